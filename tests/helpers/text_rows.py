"""Rows of questions whose answers are text, as `swift infer` writes them, and `groundswift eval` of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluated import call, write_rows


def text_row(number: int | str | None, response: str | None, truth: Any = None, question: str = "Read.", **more: Any) -> dict[str, Any]:
    """A row of a result: `truth` is the dataset's answer, which swift keeps in `labels`; a key that is changed to None is absent."""
    row = {
        "response": response,
        "labels": truth,
        "messages": [{"role": "user", "content": f"<image>{question}"}, {"role": "assistant", "content": response}],
        "images": [f"{number}.jpg"],
        "sample_id": number,
        **more,
    }
    return {key: value for key, value in row.items() if value is not None}


def asked(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The row that swift infer read: without a response, with the true answer as its last turn."""
    kept = {key: value for key, value in row.items() if key not in ("response", "labels")}
    return {**kept, "messages": [row["messages"][0], {"role": "assistant", "content": row.get("labels", "")}], **more}


def scored(metric: str, folder: Path, rows: list[Any], *words: object) -> dict[str, Any]:
    """The metrics.json of rows."""
    out = folder / f"scored-{len(list(folder.iterdir()))}"
    done = call(metric, write_rows(folder / "r.jsonl", rows), "--json", "--out", out, *words)
    run = json.loads((out / "run.json").read_text())
    return json.loads(done.stdout) | {"images": run["images"], "tables": run["tables"]}


def refused(metric: str, folder: Path, rows: list[Any], *words: object) -> str:
    """The error of a command that writes nothing."""
    said = call(metric, write_rows(folder / "r.jsonl", rows), "--out", folder / "none", *words, code=1).stderr
    assert not (folder / "none").exists()
    return said
