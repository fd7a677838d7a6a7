"""Environment variables that 2.x read: renamed, or read nowhere today."""

from __future__ import annotations

from .data import OF_VIDEO as VIDEO_SETS
from .data import names_of
from .job import Job
from .rules import OF_VIDEO, VARIABLES, VIDEO_VARIABLES
from .shell import Command, Word, assignments

LAUNCH = {"NPROC_PER_NODE", "NNODES"}


def is_on_videos(job: Job, names: set[str]) -> bool:
    """Whether a command reads videos, judged by its datasets and variables."""
    return bool(VIDEO_SETS & set(names_of(job, "dataset", "val_dataset")) or VIDEO_VARIABLES & names)


def migrate_variables(job: Job, prefix: list[tuple[str, Word]], everywhere: set[str], video: bool, alone: bool = False) -> None:
    """Migrate `NAME=value` words before a command, or (`alone`) in a statement of their own. `everywhere`: names that statements set;
    `video`: whether it is for videos."""
    for name, word in prefix:
        if name in LAUNCH and job.found.command == "infer":
            job.report("todo", word.start, word.raw, note="4.6 starts several processes for swift infer: remove it for a dialogue")
        value = word.raw[len(name) + 1 :]
        if name in VARIABLES:
            _renamed(job, name, word, value, alone)
        elif name in OF_VIDEO and video and OF_VIDEO[name] not in everywhere:
            new = f"{OF_VIDEO[name]}={value}"
            job.report("added", word.start, word.raw, new, f"2.x took {name} for videos too, 4.6 for images only")
            job.edit(word.end, word.end, " " + new)


def _renamed(job: Job, name: str, word: Word, value: str, alone: bool) -> None:
    became = VARIABLES[name]
    written = " ".join(f"{new}={value}" for new in became.new)
    if became.new:
        job.report("changed", word.start, word.raw, written, "" if became.note == "renamed" else became.note)
        job.edit(word.start, word.end, f"{word.raw} {written}" if job.variables.uses(name) else written)
        return
    job.report("dropped", word.start, word.raw, note=became.note + (" (the line stays)" if alone else ""))
    if not alone:
        job.edit(word.start, _next_word(job.text, word.end), "")


def _next_word(text: str, at: int) -> int:
    """Position after the following blanks and line continuations."""
    while at < len(text) and (text[at] in " \t" or text.startswith(("\\\n", "\\\r\n"), at)):
        at += 1 if text[at] in " \t" else text.index("\n", at) - at + 1
    return at


def statement_of(command: Command) -> list[tuple[str, Word]]:
    """The assignments of a statement that runs nothing: `export A=1 B=2`, `A=1`."""
    found = list(assignments(command.words))
    others = [word for word in command.words if not list(assignments([word]))]
    return found if all(word.value in ("export", "declare", "readonly", "local", "typeset", "-x", "-gx") for word in others) else []
