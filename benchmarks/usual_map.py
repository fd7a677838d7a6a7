"""The usual script from a result file to COCO's 12 numbers: a regular expression a row, Python dicts, json.load and pycocotools.

python benchmarks/usual_map.py truth.json result.jsonl qwen2_vl     # prints the 12 numbers as JSON, null where undefined
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

TOKENS = re.compile(r"<\|object_ref_start\|>(.*?)<\|object_ref_end\|><\|box_start\|>\((\d+),(\d+)\),\((\d+),(\d+)\)<\|box_end\|>")
FENCE = re.compile(r"```json(.*?)```", re.DOTALL)
FACTOR = 28  # to which Qwen2.5-VL rounds the sides of an image; no image of the benchmark is smaller or larger than it allows


def boxes_of(text: str, family: str) -> Iterator[tuple[str, list[float]]]:
    """Labels and boxes as an answer has them: of qwen2_vl in thousandths, of qwen2_5_vl in pixels of the resized image."""
    if family == "qwen2_vl":
        yield from ((label, [int(value) for value in digits]) for label, *digits in TOKENS.findall(text))
        return
    for each in json.loads(FENCE.search(text)[1]):
        yield each["label"], each["bbox_2d"]


def results_of(lines: Iterator[str], family: str, category_id: dict[str, int]) -> list[dict]:
    """The boxes as COCO results: clipped, without duplicates, with constant scores."""
    results = []
    for line in lines:
        row = json.loads(line)
        width, height = row["size_wh"]
        units = (1000, 1000) if family == "qwen2_vl" else tuple(max(FACTOR, round(side / FACTOR) * FACTOR) for side in (width, height))
        seen = set()
        for label, box in boxes_of(row["response"], family):
            scaled = np.array(box) * np.array([width, height, width, height]) / np.array([*units, *units])
            x1, y1, x2, y2 = np.clip(scaled, 0, [width, height, width, height]).tolist()
            if label not in category_id or x2 <= x1 or y2 <= y1 or (label, x1, y1, x2, y2) in seen:
                continue
            seen.add((label, x1, y1, x2, y2))
            box_xywh = [x1, y1, x2 - x1, y2 - y1]
            results.append({"image_id": row["sample_id"], "category_id": category_id[label], "bbox": box_xywh, "score": 1.0})
    return results


def usual(truth_path: str, result_path: str, family: str = "qwen2_vl") -> list[float | None]:
    """The 12 numbers."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(truth_path)
        category_id = {row["name"]: row["id"] for row in truth.dataset["categories"]}
        with open(result_path) as lines:
            results = results_of(lines, family, category_id)
        scoring = COCOeval(truth, truth.loadRes(results), "bbox")
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    return [None if value < 0 else float(value) for value in scoring.stats]


if __name__ == "__main__":
    print(json.dumps(usual(*sys.argv[1:])))
