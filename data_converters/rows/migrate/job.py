"""One swift command during its migration: its options, the edits and findings so far."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from .commands import Found, Option
from .shell import Word, quoted
from .variables import Variables

Level = Literal["changed", "added", "dropped", "todo"]
NEEDS_VALUE = {"stream", "vit_gradient_checkpointing"}  # flags of 4.6 that need a value, unlike those of 2.x


class Edit(NamedTuple):
    """Replace characters `start` to `end` of the script by `text`."""

    start: int
    end: int
    text: str


class Finding(msgspec.Struct, frozen=True):
    """One line of the report: `old` became `new` at `line`, counted from 1. `todo`: to be done by hand."""

    line: int
    level: Level
    old: str
    new: str = ""
    note: str = ""
    is_default: bool = False  # of 2.x, which 4.6 has changed


class Settings(msgspec.Struct, frozen=True):
    """`keep_defaults`: write defaults of 2.x that 4.6 has changed. `plugin`: use groundswift's named datasets and templates. `folder`:
    where relative paths of the script start. `rows`: folder for converted row files, or None."""

    keep_defaults: bool = True
    plugin: bool = True
    folder: Path = Path()
    rows: Path | None = None


class Job:
    """`text`: the whole script. `options`: of the command, and of the arrays and strings that it uses, in order."""

    def __init__(self, text: str, found: Found, options: list[Option], variables: Variables, settings: Settings, quote: str) -> None:
        self.text, self.found, self.options, self.variables, self.settings = text, found, options, variables, settings
        self.quote = quote
        self._last = {option.name: number for number, option in enumerate(options)}
        self.own = [option for option in options if found.args and found.args[0].start <= option.word.start < found.args[-1].end]
        self.edits: list[Edit] = []
        self.findings: list[Finding] = []
        self.gone: set[str] = set()
        self.extra: list[str] = []
        self.row_files: list[tuple[Path, Path]] = []  # (rows of 2.x, where the converted ones go)
        self.grounding = False  # whether it trains on boxes with groundswift's plugin
        self.more = False  # whether it takes words unknown here, such as "$@"
        self.trained = "lora"  # tuner of the script's last training

    def option(self, *names: str) -> Option | None:
        """The last option of one of these names, as argparse takes it."""
        found = [self._last[name] for name in names if name in self._last]
        return self.options[max(found)] if found else None

    def literal(self, *names: str) -> str | None:
        """The value of an option, if the script has it: a word, or a variable that is set once. None otherwise."""
        option = self.option(*names)
        return self.known(option.values[0]) if option is not None and len(option.values) == 1 else None

    def known(self, word: Word) -> str | None:
        """The value of a word, if the script has it."""
        return self.variables.value(word)

    def all_known(self, word: Word) -> set[str]:
        """All values that a word can have, as far as the script has them."""
        return {word.value} if word.value is not None else {value for _, value in self.variables.literals(word)}

    def true(self, name: str) -> bool:
        """Whether a switch is on."""
        option = self.option(name)
        return option is not None and not option.negated and (self.literal(name) or "true").lower() in ("true", "1", "yes")

    def report(self, level: Level, at: int, old: str, new: str = "", note: str = "") -> None:
        """Report a finding at a position of the script."""
        self.findings.append(Finding(self.variables.line(at), level, old, new, note))

    def say(self, level: Level, option: Option, new: str = "", note: str = "") -> None:
        """Report an option."""
        self.report(level, option.word.start, self.shown(option), new, note)

    def edit(self, start: int, end: int, text: str) -> None:
        """Add one edit."""
        self.edits.append(Edit(start, end, text))

    def shown(self, option: Option) -> str:
        """An option as in the script, on one line."""
        return " ".join([option.word.raw] if option.joined else [option.word.raw, *(word.raw for word in option.values)])

    def rename(self, option: Option, new: str) -> None:
        """Rename a flag and keep its values."""
        if option.negated:
            self.edit(option.word.start, option.word.end, f"--{new} false")
            return
        if new != option.name or not option.word.raw.startswith("--" + new):
            start = option.word.start
            end = option.values[0].start - 1 if option.joined else option.word.end
            self.edit(start, end, "--" + new)
        if not option.values and new in NEEDS_VALUE:
            self.edit(option.word.end, option.word.end, " true")

    def replace(self, word: Word, new: str) -> None:
        """Replace a value, in the same quotes."""
        if new != word.value:
            self.edit(word.start, word.end, self.fitting(quoted(new, word.raw)))

    def fitting(self, written: str) -> str:
        """Shell text without the quote around the whole command (`bash -c '...'`)."""
        return written.replace(self.quote, "'" if self.quote == '"' else '"') if self.quote else written

    def remove(self, option: Option) -> None:
        """Remove an option, with the blanks and line continuations before it."""
        self.edit(self._gap_before(option), option.end, "")
        self.gone.add(option.name)

    def drop(self, option: Option, note: str, level: Level = "dropped") -> None:
        """Remove an option and report why."""
        self.say(level, option, note=note)
        self.remove(option)

    def todo(self, option: Option, note: str) -> None:
        """Remove an option that cannot be migrated and report what to do."""
        self.drop(option, note, "todo")

    def instead(self, option: Option, flag: str, value: str) -> None:
        """Replace an option by another flag with another value."""
        written = self.fitting(f"--{flag} {quoted(value)}")
        self.say("changed", option, written)
        self.edit(option.word.start, option.end, written)

    def _gap_before(self, option: Option) -> int:
        """Start of the blanks and line continuations before an option."""
        start = option.word.start
        while start > 0 and self.text[start - 1] in " \t\r\n\\" and not (self.text[start - 1] == "\\" and self.text[start] not in "\r\n"):
            start -= 1
        return start

    def add(self, flag: str, value: str, note: str, raw: bool = False) -> None:
        """Append a flag to the command. A `raw` value is shell text."""
        written = self.fitting(f"--{flag} {value if raw else quoted(value)}")
        self.extra.append(written)
        self.report("added", self.found.route_word.start, "", written, note)

    def add_default(self, flag: str, value: str, now: str) -> None:
        """Append a flag with its default of 2.x, as shell text; `now` is that of 4.6."""
        self.add(flag, value, f"was the default of 2.x; 4.6's is {now}", raw=True)
        self.findings[-1] = msgspec.structs.replace(self.findings[-1], is_default=True)

    def finish(self) -> list[Edit]:
        """All edits, including the flags appended to the command's own options."""
        last = max((option.end for option in self.own), default=self.found.route_word.end)
        if self.extra:
            separator = self._separator()
            self.edit(last, last, "".join(separator + each for each in self.extra))
        return self.edits

    def _separator(self) -> str:
        """The gap between two options of this command: its line continuation, if it has one."""
        for option in reversed(self.own):
            gap = self.text[self._gap_before(option) : option.word.start]
            if "\\\n" in gap or "\\\r\n" in gap:
                return gap
        return " "
