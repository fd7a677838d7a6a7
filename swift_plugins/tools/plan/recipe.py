"""The `swift` command behind a recipe, a config file or a script, with its environment. No training is started to find it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from groundswift.errors import GroundswiftError, error_at

from .shell_words import SET, commands_of, words_of

TRAININGS = ("sft", "pt", "rlhf")
CONFIGS = (".yaml", ".yml", ".json")
EXPECTED = "a recipe or script with a swift sft, pt or rlhf command, or a config of swift (.yaml, .json)"
HEAD = re.compile(r"# ([A-Z][a-z]+) +(\S.*)")
SECONDS = 60  # that a recipe may take to print its commands


@dataclass(frozen=True)
class Training:
    """One training command: `kind` sft, pt or rlhf, its options in order, the environment given with it, and its recipe's head."""

    kind: str
    options: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)


def read_training(path: Path, extra: Sequence[str] = (), gpus: int | None = None) -> Training:
    """The first training command of a file, with `extra` at its end, also where the script has no `"$@"` there.

    A recipe that knows DRY_RUN prints its commands; any other script is only read, never run. Raises GroundswiftError where the file
    cannot be read or has no such command.
    """
    if not path.is_file():
        raise error_at(path, "no such file" if not path.exists() else "not a file", EXPECTED)
    if path.suffix.lower() in CONFIGS:
        return read_config(path, extra)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise error_at(path, f"cannot be read as text ({type(error).__name__})", EXPECTED) from None
    lines = text.splitlines()
    head = {found[1]: found[2] for line in lines if (found := HEAD.match(line))}
    commands = printed_commands(path, extra, gpus) if knows_dry_run(path, text) else commands_of(text, extra)
    for words, variables in commands:
        if training := training_of(words, variables, head):
            given = training.options[-len(extra) :] == list(extra) if extra else True  # where the script has "$@"
            return training if given else replace(training, options=[*training.options, *extra])
    raise error_at(path, "no swift sft, pt or rlhf command", EXPECTED)


def read_config(path: Path, extra: Sequence[str]) -> Training:
    """A config file as swift itself reads it: its keys become options, its ENV block the environment."""
    from importlib import import_module

    import yaml

    read = import_module("swift.cli.main").parse_yaml_args
    words, before = [str(path)], dict(os.environ)
    try:
        read(words)
        environment = {name: value for name, value in os.environ.items() if before.get(name) != value and name != "SWIFT_CONFIG_FILE"}
    except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200] if isinstance(error, yaml.YAMLError | ValueError) else "not a mapping of options"
        raise error_at(path, reason, "a mapping of swift's options to values") from None
    finally:
        os.environ.clear()
        os.environ.update(before)
    if words == [str(path)]:
        raise error_at(path, "is empty", "a mapping of swift's options to values")
    return Training("rlhf" if "--rlhf_type" in words else "sft", [*words, *extra], environment)


def knows_dry_run(path: Path, text: str) -> bool:
    """Whether a script prints its commands under DRY_RUN=1: it, or a file `_*.sh` that it sources, mentions DRY_RUN."""
    if "DRY_RUN" in "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")):
        return True
    for found in re.finditer(r"^(?:source|\.) .*?/((?:\.\./)?_\w+\.sh)\"?\s*$", text, re.MULTILINE):
        sourced = path.resolve().parent / found[1]
        if sourced.is_file() and knows_dry_run(sourced, sourced.read_text(encoding="utf-8", errors="replace")):
            return True
    return False


def printed_commands(path: Path, extra: Sequence[str], gpus: int | None) -> Iterable[tuple[list[str], dict[str, str]]]:
    """The commands that a recipe prints under DRY_RUN=1: lines that begin with `+ `."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "DRY_RUN": "1", "PATH": search} | ({} if gpus is None else {"GPUS": str(gpus)})
    how = {"env": environment, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace", "timeout": SECONDS}
    try:
        done = subprocess.run(["bash", str(path), *extra], **how)
    except subprocess.TimeoutExpired:
        raise error_at(path, f"DRY_RUN=1 did not end within {SECONDS} s", "a recipe that prints its commands and runs nothing") from None
    except FileNotFoundError:
        raise GroundswiftError("bash is not on the PATH: recipes are bash scripts") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise error_at(path, f"DRY_RUN=1 ended with status {done.returncode}: {last[:300]}", "a recipe that prints its commands")
    return [(words_of(line[2:]), {}) for line in done.stdout.splitlines() if line.startswith("+ ")]


def training_of(words: list[str], variables: Mapping[str, str], head: dict[str, str]) -> Training | None:
    """A command as a training; None for any other. Assignments in front of it, and the options of torchrun, become its environment."""
    environment, rest = dict(variables), list(words)
    for number, word in enumerate(rest):
        kind = rest[number + 1] if number + 1 < len(rest) else ""
        name = Path(word).name
        if name == "megatron" and kind in TRAININGS:
            raise GroundswiftError("megatron sft cannot be planned: use a swift sft, pt or rlhf command")
        if name == "swift" and kind in TRAININGS:
            return Training(kind, expanded(rest[number + 2 :], environment), environment, head)
        if direct := re.search(r"swift[/.]cli[/.](sft|pt|rlhf)(\.py)?$", word):
            return Training(direct[1], expanded(rest[number + 1 :], environment), environment, head)
        if found := SET.fullmatch(word):
            environment[found[1]] = found[2]
        elif found := re.fullmatch(r"--(nproc[_-]per[_-]node|nnodes)(?:=(\S+))?", word):
            environment[found[1].replace("-", "_").upper()] = found[2] or kind
    return None


def expanded(options: list[str], environment: dict[str, str]) -> list[str]:
    """Options with a config file in first place replaced by what it holds, as swift does it."""
    if not options or not options[0].endswith(CONFIGS) or options[0].startswith("-"):
        return options
    config = read_training(Path(options[0]))
    for name, value in config.environment.items():
        environment.setdefault(name, value)
    return [*config.options, *options[1:]]


def shown(training: Training) -> str:
    """The command as one would type it."""
    assignments = [f"{name}={shlex.quote(value)}" for name, value in training.environment.items()]
    return " ".join([*assignments, "swift", training.kind, *map(shlex.quote, training.options)])
