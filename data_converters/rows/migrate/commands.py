"""The swift commands of a script, and which of their words are flags and values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .shell import Command, Word, assignments
from .tables import flags_of

ROUTES = {  # what may follow `swift`, as 2.x and 3.x knew it -> the command whose flags it takes
    "sft": "sft",
    "pt": "pt",
    "rlhf": "rlhf",
    "dpo": "rlhf",
    "orpo": "rlhf",
    "simpo": "rlhf",
    "infer": "infer",
    "export": "export",
    "merge-lora": "export",
    "deploy": "deploy",
    "eval": "eval",
    "app-ui": "app-ui",
    "app": "app-ui",
    "web-ui": "web-ui",
}
NEW_ROUTES = {"app-ui": "app", "dpo": "rlhf", "orpo": "rlhf", "simpo": "rlhf"}
TRAINS = {"sft", "pt", "rlhf"}
SCRIPTS = re.compile(r"(?P<head>(?:.*/)?swift/cli/)(?P<route>\w+)\.py")
MODULES = re.compile(r"(?P<head>swift\.cli\.)(?P<route>\w+)")
OLD_SCRIPTS = re.compile(r"(?:.*/)?llm_(?P<route>sft|infer|export|dpo|orpo|rlhf)\.py")
TODAYS = {  # flags of 3.x and 4.6 that no 2.x command had: who gives one has migrated; some begin like a flag of 2.x
    *("model", "template", "tuner_type", "train_type", "adapters", "torch_dtype", "attn_impl", "load_args", "load_data_args"),
    *("external_plugins", "split_dataset_ratio", "data_seed", "dataset_num_proc", "device_map", "loss_scale", "lora_bias", "check_model"),
    *("freeze_llm", "freeze_aligner", "padding_free", "max_pixels", "trainable_parameters", "vllm_max_model_len", "result_path"),
}
NOT_SHORT = TODAYS | {"stream", "metric"}  # no short forms of 2.x flags
FLAG = re.compile(r"""--(?P<no>no[_-])?(?P<name>[A-Za-z][\w-]*)(?P<rest>=[\s\S]*)?""")


class Found(NamedTuple):
    """A swift command: `route` as written (`app-ui`), `command` whose flags it takes, `route_word` that names it, `how` it is started
    (`swift`, `script`, `module`, `old script`), the `prefix` words before it and its `args`."""

    route: str
    command: str
    route_word: Word
    how: str
    prefix: list[Word]
    args: list[Word]


class Option(NamedTuple):
    """A flag with its values. `name` is 2.x's full name where that is known, else as written; `joined` says that it was `--flag=value`."""

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
    """The swift command that a simple command starts, behind whatever wraps it (`nohup`, `torchrun ...`, `VAR=...`); None for others.
    `known`: what a word comes to, for `$SWIFT sft`."""
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
    """The options among the words of a command, and the words that belong to none (`"$@"`, `"${ARGS[@]}"`)."""
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
    if known.values == "bool" and option.values:
        return False
    if known.values == "bool" and word.value is None:
        return True
    if known.values == "bool":
        return word.value.lower() in {"true", "false", "1", "0", "yes", "no", "t", "f", "y", "n"}
    return known.values == "list" or not option.values


def full_name(written: str, command: str) -> str:
    """The name with `_` for `-`, and spelt out where 2.x would have known the flag by its beginning."""
    name, flags = written.replace("-", "_"), flags_of(command)
    if name in flags or name in NOT_SHORT:
        return name
    longer = [each for each in flags if each.startswith(name)]
    return longer[0] if len(longer) == 1 else name


def prefix_assignments(command: Command) -> list[tuple[str, Word]]:
    """(name, word) of the `NAME=value` words that a command opens with."""
    return list(assignments(command.words))
