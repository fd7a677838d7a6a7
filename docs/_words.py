"""The texts of the generated tables in both languages, and their cells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHINESE = dict(line.split("\t") for line in (ROOT / "docs/_chinese.tsv").read_text(encoding="utf-8").splitlines())
Row = Iterable[str]


class Words:
    """The texts of the tables in one language, by key."""

    def __init__(self, chinese: bool) -> None:
        self.chinese = chinese

    def __call__(self, key: str, english: str) -> str:
        """The text of a key; the English one where there is no translation."""
        return CHINESE.get(key, english) if self.chinese else english

    def table(self, columns: str, rows: Iterable[Row]) -> str:
        """A Markdown table; `columns` are headings separated by `;`."""
        heads = [self(f"column.{name}", name) for name in columns.split(";")]
        lines = [heads, ["---"] * len(heads), *rows]
        return "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in lines)


def cell(text: str) -> str:
    """A text that may hold any character, for a cell."""
    return text.replace("|", "\\|")


def code(text: str) -> str:
    """A text as code in a cell."""
    return f"`{cell(text)}`"
