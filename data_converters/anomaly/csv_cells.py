"""A table of questions and answers as CSV that a spreadsheet opens rightly: formulas neutralised, and restored on the way back."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import NamedTuple

from groundswift.errors import error_at
from groundswift.urls import shown

from ..file_io.csv_files import csv_records

COLUMNS = ("image", "question", "answer", "stage", "label", "source")
LONGEST_CELL = 32_767  # characters that a spreadsheet keeps
FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # what a spreadsheet may run begins so; an apostrophe before it makes it text
NEUTRALISED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
BOM = "\ufeff"
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


def neutralised(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def restored(cell: str) -> str:
    """The text of a cell that was neutralised, or never had to be."""
    return cell[1:] if NEUTRALISED.match(cell) else cell


def csv_lines(lines: Iterable[Line], bom: bool) -> Iterator[bytes]:
    """The file of a table; `bom`: with the mark by which spreadsheets know UTF-8."""
    buffer = StringIO(newline="")
    writer = csv.writer(buffer)
    buffer.write(BOM if bom else "")
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow(map(neutralised, line[: len(COLUMNS)]))
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


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
