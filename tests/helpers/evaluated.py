"""An evaluation as a user runs it: ground truth and answers as files, the command in this process, and what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from click.testing import Result
from converted import run


def call(*words: object, code: int = 0) -> Result:
    """`groundswift eval ...`, which ends with `code` and never with a traceback."""
    done = run("eval", *words)
    assert done.exit_code == code, done.output
    return done


def metrics_of(out: Path) -> dict[str, Any]:
    """The metrics.json of an output folder."""
    return json.loads((out / "metrics.json").read_text())


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_rows(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def coco_of(
    size_wh: Sequence[int], boxes: Sequence[Sequence[Any]], images: Iterable[int], names: Sequence[str] = ("cat",)
) -> dict[str, Any]:
    """A COCO file of images of one size. `boxes` are (image id, category id, bbox xywh) or these and further keys; classes count from 1."""
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": size_wh[0], "height": size_wh[1]} for n in images],
        "annotations": [
            {"id": n, "image_id": image, "category_id": category, "bbox": list(bbox), **dict(*more)}
            for n, (image, category, bbox, *more) in enumerate(boxes, 1)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names, 1)],
    }


def results_of(coco: dict[str, Any]) -> list[dict[str, Any]]:
    """The COCO results that are right by a ground truth."""
    return [{key: row[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1} for row in coco["annotations"]]
