"""A folder of JSONL files as several jobs, one result each; and each result as a table for a spreadsheet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from groundswift.atomic_write import write_whole
from groundswift.csv_files import LONGEST_CELL, csv_lines
from groundswift.errors import GroundswiftError, error_at
from groundswift.records import IMAGE, read_jsonl
from groundswift.row_view import RowView, image_source
from groundswift.terminal import counted

from .settings import Settings, row_files

COLUMNS = ("sample_id", "image", "question", "answer", "response", "stage", "label", "source", "prompt", "error")


def settings_of_files(settings: Settings) -> list[Settings]:
    """The settings of each file of a folder of JSONL files; of one file or a folder of images: these settings alone.

    Raises GroundswiftError where the results would be written over the rows, or the work is shared in a way that is for one file.
    """
    if not settings.holds_row_files:
        return [settings]
    out = Path(settings.out)
    if settings.ray or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise error_at(settings.data, "is a folder of JSONL files, which --ray and torchrun do not take", "one file, or --workers N")
    if out.exists() and not out.is_dir():
        raise error_at(out, "is a file", f"a folder (--out) for the results of the files of {settings.data}")
    if out.exists() and os.path.samefile(out, settings.data):
        raise error_at(out, "is the folder of the rows", "another folder (--out) for the results")
    files = row_files(settings.data)
    return [msgspec.structs.replace(settings, data=str(path), out=str(out / path.name)) for path in files]


def table_path(result: Path) -> Path:
    """Where the table of a result is written: result.jsonl -> result.csv."""
    return result.with_suffix(".csv")


def write_table(result: Path, bom: bool) -> str:
    """Write a result as CSV next to it -> a line that says what. A cell that a spreadsheet would truncate is counted."""
    rows = list(table_rows(result))
    write_whole(table_path(result), csv_lines(COLUMNS, rows, bom))
    long = sum(max(map(len, row)) > LONGEST_CELL for row in rows)
    more = f", {counted(long, 'row')} with a cell above {LONGEST_CELL:,} characters [cell-too-long]" if long else ""
    return f"{table_path(result)}: {counted(len(rows), 'row')}{more}"


def table_rows(result: Path) -> Iterator[tuple[str, ...]]:
    """The cells of each row: `answer` is the true one, `response` the model's; several images are on lines of one cell."""
    for _, row in read_jsonl(result, dict):
        if isinstance(row, GroundswiftError):
            raise row
        view = RowView.of(row)
        images = [str(image_source(image) or "") for image in view.images]
        question = "\n".join(content or "" for role, content in view.messages if role == "user").replace(IMAGE, "").strip()
        more = (row.get(name) for name in ("stage", "class_name", "source_image", "prompt", "error"))
        cells = (row.get("sample_id"), "\n".join(images), question, row.get("labels"), row.get("response"), *more)
        yield tuple(map(text_of, cells))


def text_of(value: Any) -> str:
    """A cell; a missing value is an empty one."""
    return "" if value is None else str(value)
