"""Rows of small images, and `groundswift infer --url` on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from answer_server import AnswerServer
from converted import run
from rows import detection, noise


def rows_file(folder: Path, count: int, **more: Any) -> Path:
    """Rows of one small image each."""
    (folder / "images").mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        path = noise(folder / "images" / f"{number}.png", (24 + number % 5, 20), number)
        row = detection(path, ["cat"], [[1, 2, 11, 12]]) | {"sample_id": number, "size_wh": [24 + number % 5, 20]} | more
        rows.append(json.dumps(row) + "\n")
    (folder / "rows.jsonl").write_text("".join(rows))
    return folder / "rows.jsonl"


def infer(data: Path, out: Path, server: AnswerServer, *words: object, code: int = 0) -> str:
    """The command's output."""
    done = run("infer", data, "--out", out, "--url", server.url, "--family", "qwen2_vl", *words)
    assert done.exit_code == code, done.output
    return done.output


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what a clock says."""
    return [row | {"inference": {k: v for k, v in row["inference"].items() if "second" not in k}} for row in rows]


def folder_of_rows(folder: Path) -> tuple[Path, list[Path]]:
    """A folder of two files of rows with the columns of the anomaly commands, and one of questions that a spreadsheet would run."""
    data = rows_file(folder, 5, stage=2, class_name="=bubble", source_image="run1/a.png", prompt="draw.what.en.1")
    parts = folder / "parts"
    parts.mkdir()
    lines = data.read_text().splitlines(keepends=True)
    files = [parts / "a.jsonl", parts / "b.jsonl"]
    for path, chosen in zip(files, (lines[:3], lines[3:]), strict=True):
        path.write_text("".join(chosen))
    (parts / ".hidden.jsonl").write_text("no row")
    return parts, files
