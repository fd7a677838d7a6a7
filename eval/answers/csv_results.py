"""A table of answers, as `groundswift infer --csv` writes it or as edited by hand, as rows of a result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

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
    from groundswift.csv_files import table_records

    name = shown(path)
    for number, cells in table_records(str(path), NEEDED, EXPECTED):
        where = f"{name}:{number}"
        yield number, error_at(where, cells) if isinstance(cells, str) else row_of(cells, kind, where)


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
