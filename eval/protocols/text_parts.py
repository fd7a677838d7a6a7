"""Parts of a text as the regular expressions of others find them, in time linear in its length, which theirs are not."""

from __future__ import annotations

import re
from collections.abc import Iterator

FENCE = "```"
SIGNED = r"-?\d+(?:\.\d+)?"
FIRST_SIGNED = rf"(?:-|(?<!\d)){SIGNED[2:]}"  # where digits begin: from within them it could be found only if it is found from there


class Finder:
    """The next place of a mark, for positions that only grow."""

    def __init__(self, text: str, mark: str) -> None:
        self.text, self.mark, self.at = text, mark, -2

    def after(self, start: int) -> int:
        """The first place at or after `start`; the end of the text where there is none."""
        if self.at < start:
            found = self.text.find(self.mark, start)
            self.at = len(self.text) if found < 0 else found
        return self.at


def between(text: str, opening: str, closing: str) -> Iterator[str]:
    """What is between each opening and the first closing mark after it."""
    at = text.find(opening)
    while at >= 0:
        start = at + len(opening)
        end = text.find(closing, start)
        if end < 0:
            return
        yield text[start:end]
        at = text.find(opening, end + len(closing))


def fenced(text: str) -> Iterator[str]:
    """The content of each code fence, with or without `json` behind it, without blanks around."""
    for part in between(text, FENCE, FENCE):
        yield (part[4:] if part[:4].lower() == "json" else part).strip()


def runs_of_four(separator: str) -> re.Pattern[str]:
    """Four numbers with `separator` between them, each a group."""
    return re.compile(f"({FIRST_SIGNED})" + "".join([rf"{separator}({SIGNED})"] * 3))


BLANKS_OR_COMMAS, COMMA_OR_BLANKS = runs_of_four(r"[\s,]+"), runs_of_four(r"(?:\s*,\s*|\s+)")
