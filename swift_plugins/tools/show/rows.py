"""The row to show: found by line or id, and converted as swift's data loading does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from groundswift.errors import GroundswiftError, error_at
from groundswift.records import read_jsonl

from ..encoding import one_line
from ..quiet import quiet

SHOWN_IDS = 5


def row_at(path: str | Path, line: int | None) -> tuple[int, dict[str, Any]]:
    """(line, row) in a line of a JSONL file, counted from 1 as in error messages; None: in the first line that has one.

    Raises GroundswiftError where the line is blank, beyond the end or no row.
    """
    last = 0
    for number, row in read_jsonl(path, dict):
        if line is None or number == line:
            if isinstance(row, GroundswiftError):
                raise row
            return number, row
        if number > line:
            raise error_at(f"{path}:{line}", "blank line", "the line of a row")
        last = number
    if not last:
        raise error_at(path, "no rows", "one JSON object per line")
    raise error_at(path, f"no line {line}; the last row is in line {last}", f"--row from 1 to {last}")


def row_of_sample(path: str | Path, sample_id: str) -> tuple[int, dict[str, Any]]:
    """(line, row) of the first row with a `sample_id`, compared as text. Raises GroundswiftError where there is none."""
    ids = []
    for number, row in read_jsonl(path, dict):
        if isinstance(row, GroundswiftError) or row.get("sample_id") is None:
            continue
        if str(row["sample_id"]) == sample_id:
            return number, row
        ids.append(str(row["sample_id"]))
    shown = ", ".join(ids[:SHOWN_IDS]) + (", ..." if len(ids) > SHOWN_IDS else "")
    raise error_at(path, f"no row has sample_id {sample_id}", f"one of {shown}" if ids else "rows with a sample_id")


def as_loaded(row: dict[str, Any], where: str) -> dict[str, Any]:
    """A row as swift's data loading passes it to a template: columns by swift's names, corners of boxes ordered, other columns dropped.

    Raises GroundswiftError, with `where`, for a row that swift drops.
    """
    with quiet():
        from datasets import Dataset, are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
        from swift.dataset.preprocessor import AutoPreprocessor, RowPreprocessor

        bars = not are_progress_bars_disabled()
        disable_progress_bars()
        try:
            table = AutoPreprocessor()(Dataset.from_list([row]), strict=True, load_from_cache_file=False)
            return RowPreprocessor.remove_useless_columns(table)[0]
        except Exception as error:  # assertions and type errors, for the most part
            what = f"swift drops this row ({one_line(error)})"
            raise error_at(where, what, "messages, images and objects as swift describes them") from None
        finally:
            if bars:
                enable_progress_bars()
