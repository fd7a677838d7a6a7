"""CSV files: records with the number of the line that each begins on, and tables that a spreadsheet opens rightly."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from .errors import error_at
from .file_guard import regular_size
from .storage import local_copy
from .urls import shown

LONGEST_CELL = 32_767  # characters that a spreadsheet keeps
FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # what a spreadsheet may run begins so; an apostrophe before it makes it text
NEUTRALISED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
BOM = "\ufeff"
LONGEST_FIELD = 1 << 26  # characters; a longer one is a quotation mark that was never closed


def csv_records(path: str, expected: str, multiline: bool) -> Iterator[tuple[int, list[str]]]:
    """(number of its first line, fields) of each record of a file in UTF-8 that is not blank; a byte order mark is skipped.

    `multiline`: fields in quotation marks may hold line breaks, and nothing follows the closing mark. Otherwise a mark that is not
    closed on its line is an error: it would take in the lines after it. Raises GroundswiftError where the file cannot be read on.
    """
    name, last = shown(path), 0
    csv.field_size_limit(LONGEST_FIELD)
    try:
        here = local_copy(path)
        regular_size(here)  # to open a pipe would wait for ever
        with open(here, encoding="utf-8-sig", newline="") as file:
            records = csv.reader(file, strict=multiline)
            for fields in records:
                line, last = last + 1, records.line_num
                if last > line and not multiline:
                    raise error_at(f"{name}:{line}", "a quotation mark that is not closed on its line", expected)
                if fields:
                    yield line, fields
    except UnicodeDecodeError as error:
        raise error_at(f"{name}:{last + 1} or below", f"not UTF-8 text (byte {error.object[error.start]:#04x})", expected) from None
    except csv.Error as error:
        raise error_at(f"{name}:{last + 1}", f"not CSV ({error})", expected) from None
    except OSError as error:
        raise error_at(name, f"cannot be read ({error.strerror})", expected) from None


def table_records(
    path: str, needed: Sequence[str], expected: str, known: Sequence[str] | None = None
) -> Iterator[tuple[int, dict[str, str] | str]]:
    """(number of its line, cells by column as they were before `csv_lines`, or in words what is wrong) of each line of a table.

    Columns may be in any order. `needed`: those that must be there; `known`: the only ones that may, None for any. Raises
    GroundswiftError where it is not such a table.
    """
    records, name = csv_records(path, expected, multiline=True), shown(path)
    head = [cell.strip().lower() for cell in next(records, (1, []))[1]]
    if len(head) == 1 and ";" in head[0]:
        raise error_at(f"{name}:1", "its fields are separated by semicolons", f"{expected}, separated by commas")
    lacking = [column for column in needed if column not in head]
    unknown = [cell for cell in head if known is not None and cell not in known]
    if lacking or unknown or len(set(head)) != len(head):
        what = f"no column {lacking[0]}" if lacking else f"unknown column {unknown[0]!r:.100}" if unknown else "a column twice"
        raise error_at(f"{name}:1", what, expected)
    for number, fields in records:
        if len(fields) != len(head):
            yield number, f"{len(fields)} fields; expected {len(head)}, as in line 1 (quotation marks around text with commas)"
        else:
            yield number, {column: restored(cell) for column, cell in zip(head, fields, strict=True)}


def neutralised(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def restored(cell: str) -> str:
    """The text of a cell that was neutralised, or never had to be."""
    return cell[1:] if NEUTRALISED.match(cell) else cell


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[str]], bom: bool) -> Iterator[bytes]:
    """The file of a table, cells neutralised; `bom`: with the mark by which spreadsheets know UTF-8."""
    buffer = StringIO(newline="")
    writer = csv.writer(buffer)
    buffer.write(BOM if bom else "")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(map(neutralised, row))
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()
