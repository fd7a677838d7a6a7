"""The swift commands of a script, also within shell functions, and which of their words are flags and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .shell import ASSIGNED, Command, Scan, Word
from .tables import flags_of

ROUTES = {  # subcommands of swift 2.x and 3.x -> the command whose flags they take
    **{command: command for command in ("sft", "pt", "rlhf", "infer", "export", "deploy", "eval", "app-ui", "web-ui")},
    **dict.fromkeys(("dpo", "orpo", "simpo"), "rlhf"),
    "merge-lora": "export",
    "app": "app-ui",
}
NEW_ROUTES = {"app-ui": "app", "dpo": "rlhf", "orpo": "rlhf", "simpo": "rlhf"}
TRAINS = {"sft", "pt", "rlhf"}
SCRIPTS = re.compile(r"(?P<head>(?:.*/)?swift/cli/)(?P<route>\w+)\.py")
MODULES = re.compile(r"(?P<head>swift\.cli\.)(?P<route>\w+)")
OLD_SCRIPTS = re.compile(r"(?:.*/)?llm_(?P<route>sft|infer|export|dpo|orpo|rlhf)\.py")
TODAYS = {  # flags of 3.x and 4.6 that no 2.x command had: a command with one has been migrated. Some begin like a flag of 2.x
    *("model", "template", "tuner_type", "train_type", "adapters", "torch_dtype", "attn_impl", "load_args", "load_data_args"),
    *("external_plugins", "split_dataset_ratio", "data_seed", "dataset_num_proc", "device_map", "loss_scale", "lora_bias", "check_model"),
    *("freeze_llm", "freeze_aligner", "padding_free", "max_pixels", "trainable_parameters", "vllm_max_model_len", "result_path"),
}
NOT_SHORT = TODAYS | {"stream", "metric"}  # no short forms of 2.x flags
DEFINED = re.compile(r"^[ \t]*(?:function[ \t]+)?([A-Za-z_][\w-]*)[ \t]*(?:\([ \t]*\))?\s*\{", re.MULTILINE)
ALL_ARGUMENTS = ('"$@"', "$@", '"$*"', "$*", '"${@}"', "${@}")
BOOLEANS = {"true", "false", "1", "0", "yes", "no", "t", "f", "y", "n"}
FLAG = re.compile(r"""--(?P<no>no[_-])?(?P<name>[A-Za-z][\w-]*)(?P<rest>=[\s\S]*)?""")


class Found(NamedTuple):
    """A swift command. `route`: as written (`app-ui`); `command`: whose flags it takes; `route_word`: its word; `how`: `swift`,
    `script`, `module` or `old script`; `prefix`: the words before it."""

    route: str
    command: str
    route_word: Word
    how: str
    prefix: list[Word]
    args: list[Word]


class Option(NamedTuple):
    """A flag with its values. `name`: 2.x's full name if known, else as written; `joined`: written as `--flag=value`."""

    name: str
    word: Word
    values: list[Word]
    joined: bool
    negated: bool

    @property
    def end(self) -> int:
        """Position behind its last word."""
        return self.values[-1].end if self.values else self.word.end


def swift_command(command: Command, known: Callable[[Word], str | None] = lambda word: word.value) -> Found | None:
    """The swift command that a shell command starts, after any wrapper (`nohup`, `torchrun ...`, `VAR=...`); None for others.

    `known`: the value of a word, for `$SWIFT sft`.
    """
    words = command.words
    for at, word in enumerate(words):
        value = known(word) or ""
        after = words[at + 1] if at + 1 < len(words) else None
        if (value == "swift" or value.endswith("/swift")) and after and _route(after.value):
            return _found(after.value, after, "swift", words, at + 1)
        for pattern, how in ((SCRIPTS, "script"), (OLD_SCRIPTS, "old script"), (MODULES, "module")):
            match = pattern.fullmatch(value or word.raw.strip("\"'"))
            if match and _route(match["route"]) and (how != "module" or (at and words[at - 1].value == "-m")):
                return _found(match["route"], word, how, words, at)
    return None


def _route(name: str | None) -> str | None:
    return ROUTES.get((name or "").replace("_", "-"))


def _found(route: str, word: Word, how: str, words: list[Word], at: int) -> Found:
    name = route.replace("_", "-")
    return Found(name, ROUTES[name], word, how, words[:at], words[at + 1 :])


def options(words: list[Word], command: str) -> tuple[list[Option], list[Word]]:
    """The options among the words of a command, and the words of none (`"$@"`, `"${ARGS[@]}"`)."""
    flags = flags_of(command)
    found: list[Option] = []
    loose: list[Word] = []
    for word in words:
        match = FLAG.fullmatch(word.raw) if not word.raw.startswith("--=") else None
        if match:
            name = full_name(match["name"], command)
            negated = bool(match["no"])
            if negated and full_name("no_" + match["name"], command) in flags:
                name, negated = full_name("no_" + match["name"], command), False
            joined = [_part(word, match["rest"])] if match["rest"] else []
            found.append(Option(name, word, joined, bool(joined), negated))
        elif found and not found[-1].joined and _takes(found[-1], flags, word):
            found[-1].values.append(word)
        else:
            loose.append(word)
    return found, loose


def _part(word: Word, rest: str) -> Word:
    """The value of `--flag=value` as a word of its own."""
    value = None if word.value is None else word.value.partition("=")[2]
    return Word(word.end - len(rest) + 1, word.end, rest[1:], value)


def _takes(option: Option, flags: dict, word: Word) -> bool:
    """Whether a word is a value of the option before it."""
    if word.raw.startswith(('"${', "${", '"$@', "$@", '"$*', "$*")) and ("@" in word.raw or "*" in word.raw):
        return False
    known = flags.get(option.name)
    if known is None:
        return True
    if known.values == "bool":
        return not option.values and (word.value is None or word.value.lower() in BOOLEANS)
    return known.values == "list" or not option.values


def full_name(written: str, command: str) -> str:
    """The name with `_` for `-`, completed if 2.x accepted it as the beginning of a flag."""
    name, flags = written.replace("-", "_"), flags_of(command)
    if name in flags or name in NOT_SHORT:
        return name
    longer = [each for each in flags if each.startswith(name)]
    return longer[0] if len(longer) == 1 else name


class Functions:
    """Shell functions that pass their arguments to a swift command: `train() { swift sft "$@"; }`, then `train --sft_type lora`."""

    def __init__(self, text: str, founds: Iterable[Found]) -> None:
        bodies = [
            (found[1], found.end(), Scan(text, 0, 0).closed("{", "}", found.end() - 1, len(text))) for found in DEFINED.finditer(text)
        ]
        self.by_name = {
            name: found
            for found in founds
            for name, start, end in bodies
            if start <= found.route_word.start < end and any(word.raw in ALL_ARGUMENTS for word in found.args)
        }

    def call(self, command: Command) -> tuple[Found, Found] | None:
        """(the call as a swift command with its own arguments, the command in the body); None for other commands."""
        at = next((at for at, word in enumerate(command.words) if not ASSIGNED.match(word.raw)), None)
        if at is None or command.array or command.words[at].value not in self.by_name or len(command.words) == at + 1:
            return None
        body = self.by_name[command.words[at].value]
        word = command.words[at]
        return Found(body.command, body.command, word, "function", command.words[:at], command.words[at + 1 :]), body
