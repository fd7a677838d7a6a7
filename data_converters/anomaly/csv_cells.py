"""A table of questions and answers as CSV that a spreadsheet opens rightly: formulas neutralised, and restored on the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from groundswift import csv_files
from groundswift.csv_files import csv_records, restored
from groundswift.errors import error_at
from groundswift.urls import shown

COLUMNS = ("image", "question", "answer", "stage", "label", "source")
EXPECTED = f"CSV in UTF-8 with the columns {','.join(COLUMNS)}"


class Line(NamedTuple):
    """A line of the table. `image`: paths, one a line; `where`: its place."""

    image: str
    question: str
    answer: str
    stage: str
    label: str
    source: str
    where: str = ""


def csv_lines(lines: Iterable[Line], bom: bool) -> Iterator[bytes]:
    """The file of a table; `bom`: with the mark by which spreadsheets know UTF-8."""
    return csv_files.csv_lines(COLUMNS, (line[: len(COLUMNS)] for line in lines), bom)


def table_lines(path: str) -> Iterator[Line | str]:
    """The lines of a file, its columns in any order; a text says what is wrong with a line, after its place.

    Raises GroundswiftError where it is not such a table.
    """
    records, name = csv_records(path, EXPECTED, multiline=True), shown(path)
    _, head = next(records, (1, []))
    head = [cell.strip().lower() for cell in head]
    if len(head) == 1 and ";" in head[0]:
        raise error_at(f"{name}:1", "its fields are separated by semicolons", f"{EXPECTED}, separated by commas")
    lacking = [column for column in ("image", "question", "answer") if column not in head]
    unknown = [cell for cell in head if cell not in COLUMNS]
    if lacking or unknown or len(set(head)) != len(head):
        what = f"no column {lacking[0]}" if lacking else f"unknown column {unknown[0]!r:.100}" if unknown else "a column twice"
        raise error_at(f"{name}:1", what, EXPECTED)
    for number, fields in records:
        where = f"{name}:{number}"
        if len(fields) != len(head):
            yield f"{where}: {len(fields)} fields; expected {len(head)}, as in line 1 (quotation marks around text with commas)"
            continue
        cells = dict.fromkeys(COLUMNS, "") | {column: restored(cell) for column, cell in zip(head, fields, strict=True)}
        yield Line(**cells, where=where)
