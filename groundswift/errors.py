"""Errors that say where, what, and what was expected; and a tally of what was skipped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from .terminal import one_line, printable

URL_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+://)[^/\s'\"]*@")
URL_QUERY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+://[^\s?'\"]*)\?(?!\.\.\.)[^\s'\"]+?(?=:?(?:[\s'\"]|$))")


def without_secrets(text: str) -> str:
    """A text without the user, password and query of any URL in it; a query may hold a signature."""
    return URL_QUERY.sub(r"\1?...", URL_USER.sub(r"\1", text)) if "://" in text else text


class GroundswiftError(ValueError):
    """Bad input or a bad request. Its text is complete for the user, safe for a terminal, and without secrets of URLs: the command
    line prints it without a traceback."""

    def __init__(self, text: object = "") -> None:
        super().__init__(printable(without_secrets(str(text))))


class Interrupted(GroundswiftError):
    """Bad luck, not bad input: a store that does not answer, a full disk, a worker that was killed. The same may succeed the next time."""


class ImageMissing(GroundswiftError):
    """The image does not exist."""


class ImageUnreadable(GroundswiftError):
    """The file is not an image, is broken, or is too large to decode."""


def error_at(where: object, what: str, expected: str = "", kind: type[GroundswiftError] = GroundswiftError) -> GroundswiftError:
    """`labels/7.txt:3: got 4 fields; expected 5` as an error to raise or to collect."""
    return kind(one_line(f"{where}: {what}" + (f"; expected {expected}" if expected else "")))


def shortened(text: str, most: int = 1000) -> str:
    """A text of at most so many characters: its start and its end, which says what was expected."""
    return text if len(text) <= most else f"{text[: most * 3 // 4]} ... {text[-most // 4 + 5 :]}"


class Tally:
    """Counts of what was skipped or changed, by reason, with the first examples of each, without secrets of URLs."""

    EXAMPLES = 3

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, reason: str, example: object = "", count: int = 1) -> None:
        self.counts[reason] += count
        kept = self.examples.setdefault(reason, [])
        if example != "" and len(kept) < self.EXAMPLES:
            kept.append(shortened(one_line(without_secrets(str(example)))))

    def merge(self, other: Tally) -> None:
        """Take in the counts of another tally, and its examples where there is room."""
        for reason, count in other.counts.items():
            self.counts[reason] += count
            kept = self.examples.setdefault(reason, [])
            kept += other.examples[reason][: self.EXAMPLES - len(kept)]

    def lines(self, titles: Mapping[str, str] | None = None) -> list[str]:
        """One line per id, most frequent first: `12  box-empty: box without area (annotation 7, annotation 9, ...)`.

        `titles`: id -> title; an id without one is printed alone."""
        out = []
        for reason, count in self.counts.most_common():
            shown = ", ".join(self.examples[reason])
            more = ", ..." if count > len(self.examples[reason]) > 0 else ""
            title = f": {titles[reason]}" if titles and reason in titles else ""
            out.append(f"{count:>8}  {reason}{title}" + (f"  ({shown}{more})" if shown else ""))
        return out
