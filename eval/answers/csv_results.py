"""A table of answers, as `groundswift infer --csv` writes it or as edited by hand, as rows of a result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from groundswift.csv_files import csv_records, restored
from groundswift.errors import error_at
from groundswift.urls import shown

NEEDED = ("question", "answer", "response")
COLUMNS = {"label": "class_name", "source": "source_image"}  # of the table -> of a row
EXPECTED = f"CSV in UTF-8 with the columns {','.join(NEEDED)}, as groundswift infer --csv writes it"


def is_table(path: str | Path) -> bool:
    """Whether a result is a table, by its suffix."""
    return str(path).lower().endswith(".csv")


def read_table(path: str | Path, kind: type) -> Iterator[tuple[int, Any]]:
    """(number of the line, row or the error of that line) of a table, as `records.read_jsonl`.

    `answer` is the true one. Raises GroundswiftError where it is not such a table.
    """
    records, name = csv_records(str(path), EXPECTED, multiline=True), shown(path)
    head = checked_head(next(records, (1, []))[1], name)
    for number, fields in records:
        where = f"{name}:{number}"
        if len(fields) != len(head):
            what = f"{len(fields)} fields"
            yield number, error_at(where, what, f"{len(head)}, as in line 1 (quotation marks around text with commas)")
            continue
        yield number, row_of({column: restored(cell) for column, cell in zip(head, fields, strict=True)}, kind, where)


def checked_head(head: list[str], name: str) -> list[str]:
    """The names of the columns. Raises GroundswiftError where one is missing or there twice."""
    head = [cell.strip().lower() for cell in head]
    if len(head) == 1 and ";" in head[0]:
        raise error_at(f"{name}:1", "its fields are separated by semicolons", f"{EXPECTED}, separated by commas")
    lacking = [column for column in NEEDED if column not in head]
    if lacking or len(set(head)) != len(head):
        raise error_at(f"{name}:1", f"no column {lacking[0]}" if lacking else "a column twice", EXPECTED)
    return head


def row_of(cells: dict[str, str], kind: type, where: str) -> Any:
    """The row of a line, or an error: an answer without a question, or a question without its true answer."""
    question, truth = cells["question"].strip(), cells["answer"].strip()
    if not question or not truth:
        said = "an answer without a question" if not question else "a question without its true answer"
        return error_at(where, said, "both in columns question and answer")
    images = [path.strip() for path in cells.get("image", "").splitlines() if path.strip()]
    known = {COLUMNS.get(name, name): text for name, text in cells.items() if text and name not in (*NEEDED, "image")}
    row = {
        **known,
        "messages": [{"role": "user", "content": question}],
        "images": images,
        "labels": cells["answer"],
        "response": None if cells.get("error") else cells["response"],
    }
    try:
        return msgspec.convert(row, kind, strict=False)
    except msgspec.ValidationError as error:
        return error_at(where, f"not a row: {error}", "cells as groundswift infer --csv writes them")
