"""Shell variables of a script that hold values of flags: where they are set, and whether they can be changed there."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from typing import NamedTuple

from .shell import ASSIGNED, Command, Word, assignments, quoted

DEFAULT = re.compile(r"""(["']?)\$\{\w+:?-(?P<value>[^{}$`"']*)\}\1""")


class Site(NamedTuple):
    """The span of a literal assigned to a variable."""

    start: int
    end: int


def _default(raw: str, start: int) -> list[tuple[Site, str]]:
    """The literal in `${NAME:-literal}`, a word or the end of one that begins at `start`."""
    found = DEFAULT.fullmatch(raw)
    return [(Site(start + found.start("value"), start + found.end("value")), found["value"])] if found else []


class Variables:
    """The literals of every variable of a script, and the requested changes."""

    def __init__(self, text: str, commands: list[Command]) -> None:
        self.text = text
        self._lines = [found.start() for found in re.finditer("\n", text)]
        self.sites: dict[str, list[tuple[Site, str]]] = defaultdict(list)
        self.unknown: set[str] = set()
        self.wanted: dict[str, list[tuple[Word, dict[Site, str]]]] = defaultdict(list)
        for command in commands:
            for name, word in assignments(command.words):
                self._assigned(name, word)
            self._looped(command.words)

    def line(self, at: int) -> int:
        """Number of the line of the script that holds position `at`."""
        return bisect_left(self._lines, at) + 1

    def _assigned(self, name: str, word: Word) -> None:
        rest = word.raw[ASSIGNED.match(word.raw).end() :]
        start = word.end - len(rest)
        if word.value is not None and rest:
            self.sites[name].append((Site(start, word.end), word.value.partition("=")[2]))
        elif found := _default(rest, start):
            self.sites[name] += found
        elif rest:
            self.unknown.add(name)

    def _looped(self, words: list[Word]) -> None:
        """`for NAME in a b c`."""
        if len(words) > 3 and words[0].value == "for" and words[2].value == "in":
            for word in words[3:]:
                if word.value is None:
                    self.unknown.add(words[1].raw)
                else:
                    self.sites[words[1].raw].append((Site(word.start, word.end), word.value))

    def literals(self, word: Word) -> list[tuple[Site, str]]:
        """The possible literals of a word: those of its variable, and the default in `${NAME:-default}`."""
        own, name = _default(word.raw, word.start), word.variable
        return own + (self.sites.get(name, []) if name and name not in self.unknown else [])

    def value(self, word: Word) -> str | None:
        """The value of a word: its own text, or the one literal of its variable."""
        values = {word.value} if word.value is not None else {value for _, value in self.literals(word)}
        return values.pop() if len(values) == 1 else None

    def uses(self, name: str) -> int:
        """How often the script reads a variable, without `${NAME:-x}` in its own assignment."""
        reads = len(re.findall(rf"\$\{{?{name}(?![A-Za-z0-9_])", self.text))
        return reads - len(re.findall(rf"(?<![A-Za-z0-9_]){name}=[\"']?\$\{{{name}:?-", self.text))

    def want(self, word: Word, new: dict[Site, str]) -> None:
        """Request other literals for one use of the variable, `word`."""
        self.wanted[word.variable or f"at {word.start}"].append((word, new))

    def settled(self) -> tuple[dict[Site, str], dict[str, dict[Site, str]]]:
        """(spans to change: literals, or uses of a variable with one literal and other uses; variables that cannot be changed, with their
        requested literals)."""
        change: dict[Site, str] = {}
        stay: dict[str, dict[Site, str]] = {}
        for name, asked in self.wanted.items():
            merged: dict[Site, str] = {}
            for _, each in asked:
                merged |= each
            agreed = all(each.items() <= merged.items() for _, each in asked)
            if name.startswith("at ") or (agreed and len(asked) >= self.uses(name)):
                change |= {site: self._written(site, new) for site, new in merged.items()}
            elif len(self.sites[name]) == 1 and not any(self._is_default(site) for _, each in asked for site in each):
                change |= {Site(word.start, word.end): quoted(new, word.raw) for word, each in asked for new in each.values()}
            else:
                stay[name] = merged
        return change, stay

    def _is_default(self, site: Site) -> bool:
        """Whether a literal is that of `${NAME:-literal}`."""
        return self.text[site.start - 1 : site.start] == "-" and self.text[site.end : site.end + 1] == "}"

    def _written(self, site: Site, new: str) -> str:
        return new if self._is_default(site) else quoted(new, self.text[site.start : site.end])
