"""An evaluation as a user runs it: ground truth and answers as files, the command in this process, and what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from click.testing import Result
from converted import run

from groundswift.coco_file import CocoFile
from groundswift.eval.answers.coco_results import read_results
from groundswift.eval.answers.to_boxes import Predictions
from groundswift.eval.ground_truth import Truth, truth_from_coco


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


def coco_file(sizes_wh: dict[int, tuple[int, int]], categories: list[int], annotations: list[dict]) -> dict[str, Any]:
    """A COCO file of images of these sizes by id; annotations are numbered from 1, their own keys win."""
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": w, "height": h} for i, (w, h) in sizes_wh.items()],
        "categories": [{"id": c, "name": f"class {c}"} for c in categories],
        "annotations": [{"id": n, "iscrowd": 0, "area": a["bbox"][2] * a["bbox"][3]} | a for n, a in enumerate(annotations, 1)],
    }


def random_set(seed: int, images: int, boxes: int, classes: int, step: float | None = None) -> tuple[dict, list[dict]]:
    """Truth and results with moved, missed and invented boxes, crowds, sparse ids; scores in steps where `step` is given."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(10 * images)[:images].tolist()
    categories = rng.permutation(3 * classes)[:classes].tolist()
    annotations, results = [], []
    for _ in range(boxes):
        image, category = int(rng.choice(ids)), int(rng.choice(categories))
        side = rng.uniform(4, 200, 2)
        x, y = rng.uniform(0, 400, 2).tolist()
        annotations.append(
            {"image_id": image, "category_id": category, "bbox": [x, y, *side.tolist()], "iscrowd": int(rng.uniform() < 0.05)}
        )
        annotations[-1]["area"] = float(side.prod() * rng.uniform(0.5, 1))
        for _ in range(rng.choice([0, 1, 1, 2])):
            moved = np.array([x, y, *side]) + rng.normal(0, 0.1, 4) * np.tile(side, 2)
            score = float(rng.uniform()) if step is None else float(rng.integers(3) * step)
            label = category if rng.uniform() < 0.9 else int(rng.choice(categories))
            results.append(
                {"image_id": image, "category_id": label, "bbox": [*moved[:2].tolist(), *np.abs(moved[2:]).tolist()], "score": score}
            )
    rng.shuffle(results)
    return coco_file(dict.fromkeys(ids, (640, 640)), categories, annotations), results


def loaded(coco: dict, results: list[dict], folder: Path) -> tuple[Truth, Predictions]:
    """A COCO file and results as the evaluator reads them."""
    path = folder / "results.json"
    path.write_text(json.dumps(results))
    truth = truth_from_coco(msgspec.convert(coco, CocoFile))
    return truth, read_results(path, truth)
