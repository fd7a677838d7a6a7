"""A table of questions and answers as CSV that a spreadsheet opens rightly: formulas neutralised, and restored on the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from groundswift import csv_files
from groundswift.csv_files import table_records
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
    name = shown(path)
    for number, cells in table_records(path, COLUMNS[:3], EXPECTED, COLUMNS):
        where = f"{name}:{number}"
        yield f"{where}: {cells}" if isinstance(cells, str) else Line(**dict.fromkeys(COLUMNS, "") | cells, where=where)
