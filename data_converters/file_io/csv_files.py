"""CSV files: records with the number of the line that each begins on."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from groundswift.errors import error_at
from groundswift.file_guard import regular_size
from groundswift.storage import local_copy
from groundswift.urls import shown

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
