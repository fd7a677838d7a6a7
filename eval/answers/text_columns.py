"""The columns of rows whose answers are text: the question, its true answers, the media, and those that a metric names."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from groundswift.records import TAGS, whole

from .referring_rows import ReferringRow

TRUTH_COLUMNS = ("references", "answers", "solution")


class TextRow(ReferringRow):
    """One line of rows or of a result: the columns that may hold true answers, and the media."""

    references: Any = None
    answers: Any = None
    solution: Any = None
    videos: Any = None

    def question(self) -> str:
        """All that the user said, without placeholders, white space as single blanks."""
        return " ".join(TAGS.sub(" ", self.asked()).split())

    def media(self) -> str:
        """The first image or video, if it is a file; else an empty text."""
        first = next((each[0] for each in (self.images, self.videos) if isinstance(each, list) and each), None)
        first = first[0] if isinstance(first, list) and first else first  # frames of a video
        path = first.get("path") if isinstance(first, dict) else first
        return path if isinstance(path, str) and len(path) < 4096 else ""


class Columns(NamedTuple):
    """Which columns to read. `truth`: that of the true answers, None for the usual ones; `groups`: those whose values make a group each.

    `empty_truth`: whether an empty text is a true answer, as of an image without text. `alternatives`: whether answers have theirs.
    `more`: columns that a metric reads by itself, which rows need not have.
    """

    truth: str | None = None
    groups: tuple[str, ...] = ()
    empty_truth: bool = False
    alternatives: bool = False
    more: tuple[str, ...] = ()

    def row_type(self) -> type[TextRow]:
        """A row that also has the named columns, under the names that `attribute` gives."""
        named = dict.fromkeys(name for name in (self.truth, *self.groups, *self.more) if name and name not in TextRow.__struct_fields__)
        fields = [(self.attribute(name), Any, msgspec.field(default=None, name=name)) for name in named]
        return msgspec.defstruct("NamedRow", fields, bases=(TextRow,)) if fields else TextRow

    def attribute(self, name: str) -> str:
        """Where `row_type` has a column; a name need not be one of Python."""
        own = TextRow.__struct_fields__
        return name if name in own else f"column_{name.encode().hex()}"


def true_value(row: TextRow, columns: Columns) -> Any:
    """What a row has as true answers: the named column, else the first usual one, else the answer of the dataset."""
    if columns.truth:
        return getattr(row, columns.attribute(columns.truth))
    named = (value for name in TRUTH_COLUMNS if (value := getattr(row, name)) is not None)
    return next(named, row.true_answer())


def texts_of(value: Any) -> list[str] | None:
    """True answers as texts: of a text, a number, `{"answer": ...}` (VQA), or a list of these; None for anything else."""
    found = []
    for each in value if isinstance(value, list) else [] if value is None else [value]:
        each = each.get("answer") if isinstance(each, dict) else each
        if isinstance(each, bool) or not isinstance(each, str | int | float):
            return None
        found.append(each if isinstance(each, str) else str(whole(each)))
    return found
