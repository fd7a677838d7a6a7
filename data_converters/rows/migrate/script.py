"""A whole script: find its swift commands, migrate each, apply the edits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from .commands import Found, Functions, options, swift_command
from .environment import is_on_videos, migrate_variables, statement_of
from .job import Edit, Finding, Job, Settings
from .rewrite import migrate_command
from .shell import ASSIGNED, Command, Inner, Scan, Word, assignments
from .variables import Variables

NESTED = re.compile(r"\bswift[\s./\\]|llm_(?:sft|infer)|--\w")
DEPTH = 8  # of scripts within scripts
STAYS = "also used elsewhere, so it is unchanged: this flag needs {}"


class Migrated(NamedTuple):
    """The result for a script. `commands`: number of its swift commands; `old`: those for 2.x or 3.x; `row_files`: (rows of 2.x, where the
    script expects the converted ones)."""

    text: str
    findings: list[Finding]
    commands: int
    old: int
    row_files: list[tuple[Path, Path]]


def migrate_script(text: str, settings: Settings | None = None) -> Migrated:
    """The script for 4.6, and the findings. Every byte without a finding is unchanged."""
    settings = settings or Settings()
    pieces = list(_pieces(text, Inner(0, len(text), ""), 0))
    every = [command for commands, _ in pieces for command in commands]
    variables = Variables(text, every)
    state = _State(text, settings, variables, _fragments(text, every))
    founds = [(found, quote) for commands, quote in pieces for command in commands if (found := swift_command(command, variables.value))]
    functions = Functions(text, [found for found, _ in founds])
    state.names = {name for command in every if not command.array for name, _ in statement_of(command)}
    for found, quote in founds:
        state.command(found, quote)
    for command in every:
        if call := functions.call(command):
            state.command(call[0], "", defaults=call[1].route_word.start not in state.migrated)
    if state.old:
        state.statements(every)
    state.settle()
    return Migrated(applied(text, state.edits), sorted(state.findings, key=lambda each: each.line), state.seen, state.old, state.row_files)


def _pieces(text: str, inner: Inner, depth: int) -> Iterator[tuple[list[Command], str]]:
    """(commands, the quote around them) of the script itself, then of scripts within its words and here-documents."""
    scan = Scan(text, inner.start, inner.end)
    yield scan.commands, inner.quote
    for each in scan.inners if depth < DEPTH else ():
        if NESTED.search(text, each.start, each.end):
            yield from _pieces(text, each._replace(quote=each.quote or inner.quote), depth + 1)


def _fragments(text: str, commands: Iterable[Command]) -> dict[str, list[Word]]:
    """The words of arrays `NAME=(--flag value)` and of strings `NAME="--flag value"` with flags."""
    found: dict[str, list[Word]] = defaultdict(list)
    for command in commands:
        if command.array:
            found[command.array] += command.words
        for word in command.words:
            match = ASSIGNED.match(word.raw)
            rest = word.raw[match.end() :] if match else ""
            if rest[:1] in ("'", '"') and "--" in rest:
                scan = Scan(text, word.end - len(rest) + 1, word.end - 1)
                found[match[1]] += [each for inner in scan.commands for each in inner.words]
    return {name: words for name, words in found.items() if any(word.raw.startswith("--") for word in words)}


class _State:
    """State while the commands are migrated in order."""

    def __init__(self, text: str, settings: Settings, variables: Variables, fragments: dict[str, list[Word]]) -> None:
        self.text, self.settings, self.variables, self.fragments = text, settings, variables, fragments
        self.edits: list[Edit] = []
        self.taken: set[int] = set()  # where they are
        self.findings: dict[Finding, None] = {}
        self.row_files: list[tuple[Path, Path]] = []
        self.names: set[str] = set()  # of variables that statements set
        self.videos = False  # whether a command reads videos
        self.done: set[int] = set()
        self.migrated: set[int] = set()  # where the routes of migrated commands are
        self.seen = self.old = 0
        self.trained = "lora"

    def command(self, found: Found, quote: str, defaults: bool = True) -> None:
        """Migrate one command, and the arrays and strings that it uses. `defaults`: whether those of 2.x may be written here."""
        if found.route_word.start in self.done:
            return
        self.done.add(found.route_word.start)
        self.seen += 1
        own, loose = options(found.args, found.command)
        every, shared = list(own), set()
        for word in [*loose, *(value for option in own for value in option.values)]:
            fragment = self.fragments.get(word.variable or "")
            if fragment is not None:
                inner = options(fragment, found.command)[0]
                every += inner
                shared |= {id(option) for option in inner if option.word.start in self.done}
                self.done |= {option.word.start for option in inner}
        own_values = [  # without words that are further options: `--dataset a.jsonl $ARGS`
            option._replace(values=[word for word in option.values if (word.variable or "") not in self.fragments]) for option in every
        ]
        settings = self.settings if defaults else msgspec.structs.replace(self.settings, keep_defaults=False)
        job = Job(self.text, found, own_values, self.variables, settings, quote)
        job.trained = self.trained
        job.more = any((word.variable or "") not in self.fragments for word in loose)
        version = migrate_command(job)
        if version is None:
            return
        self.old += 1
        self.migrated.add(found.route_word.start)
        if version == "2":
            prefix = [pair for word in found.prefix for pair in assignments([word])]  # also after `env` or `nohup`
            video = is_on_videos(job, self.names | {name for name, _ in prefix})
            self.videos |= video
            migrate_variables(job, prefix, self.names, video)
        self.trained = job.trained
        self._take(job, shared and {option.word.start for option in every if id(option) in shared})

    def _take(self, job: Job, shared: set[int]) -> None:
        """Add a job's edits, except those in an array that an earlier command has migrated."""
        edits = job.finish()
        self.edits += [edit for edit in edits if not (shared and edit.start in self.taken)]
        self.taken |= {edit.start for edit in edits}
        self.findings.update(dict.fromkeys(job.findings))
        self.row_files = list(dict.fromkeys([*self.row_files, *job.row_files]))

    def statements(self, commands: list[Command]) -> None:
        """`export NFRAMES=24` and the like, for all commands of the script."""
        nowhere = Found("sft", "sft", Word(0, 0, "", None), "swift", [], [])
        for command in commands:
            prefix = statement_of(command) if not command.array else []
            job = Job(self.text, nowhere, [], self.variables, self.settings, "")
            migrate_variables(job, prefix, self.names, self.videos, alone=True)
            self._take(job, set())

    def settle(self) -> None:
        """Change variables where they are set; report those that have another use."""
        change, stay = self.variables.settled()
        self.edits += [Edit(site.start, site.end, new) for site, new in change.items()]
        for name, wanted in stay.items():
            for site, new in wanted.items():
                line = self.variables.line(site.start)
                old = f"{name}={self.text[site.start : site.end]}"
                if new != self.text[site.start : site.end].strip("\"'"):
                    self.findings[Finding(line, "todo", old, "", STAYS.format(new))] = None


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits. A repeated edit, or one within another, is ignored."""
    parts, at = [], 0
    for edit in sorted(dict.fromkeys(edits), key=lambda each: (each.start, each.end)):
        if edit.start < at:
            if edit.end <= at:
                continue
            edit = edit._replace(start=at)
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join(parts) + text[at:]
