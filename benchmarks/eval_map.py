"""From the text of a result file to the 12 numbers: this evaluator and the usual way, both timed in this run.

The usual way is what scripts do: a regular expression a row, Python dicts an image, json.load and pycocotools. The figures are
medians; the 12 numbers of both ways are compared.

    python benchmarks/eval_map.py                # 5,000 images and 36,000 boxes, both ways
    python benchmarks/eval_map.py --scale        # 80,000 images and 1.2 million boxes, ours alone, with its peak memory
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from measure import medians, options_of, peak_bytes, rounds
from tqdm import tqdm

from groundswift import Located, format_answer
from groundswift.eval.answers.swift_results import read_answers
from groundswift.eval.ground_truth import read_truth
from groundswift.eval.metrics.coco_map import Rules, evaluate

CLASSES = [f"class {number}" for number in range(1, 81)]
SIZES_WH = ((640, 480), (480, 640), (640, 427), (500, 375), (612, 612))
BOX = re.compile(r"<\|object_ref_start\|>(.*?)<\|object_ref_end\|><\|box_start\|>\((\d+),(\d+)\),\((\d+),(\d+)\)<\|box_end\|>")
TOLERANCE = 1e-9
TARGETS = {"ratio": 20, "seconds": 30, "gigabytes": 3}


def write_data(folder: Path, images: int, boxes: int, seed: int = 0) -> tuple[Path, Path]:
    """A drawn-up COCO truth and a result file in qwen2_vl text, whose boxes are the truth's, moved, lost or of another class."""
    rng = np.random.default_rng(seed)
    sizes = np.array(SIZES_WH)[rng.integers(len(SIZES_WH), size=images)]
    owner = np.sort(rng.integers(images, size=boxes))
    classes = rng.integers(len(CLASSES), size=boxes)
    share = rng.uniform(0.02, 0.4, (boxes, 2))
    sides = share * sizes[owner]
    corners = rng.uniform(0, 1, (boxes, 2)) * (sizes[owner] - sides)
    truth_xywh = np.round(np.hstack([corners, sides]), 2)
    moved = np.hstack([corners, corners + sides]) + rng.normal(0, 0.06, (boxes, 4)) * np.hstack([sides, sides])
    written = np.clip(np.rint(moved / np.hstack([sizes[owner], sizes[owner]]) * 1000), 0, 1000).astype(int).tolist()
    lost = rng.uniform(size=boxes) < 0.15
    labelled = np.where(rng.uniform(size=boxes) < 0.1, rng.integers(len(CLASSES), size=boxes), classes)
    truth = {
        "images": [{"id": n + 1, "file_name": f"{n + 1:012d}.jpg", "width": w, "height": h} for n, (w, h) in enumerate(sizes.tolist())],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(CLASSES)],
        "annotations": [
            {"id": n + 1, "image_id": i + 1, "category_id": c + 1, "bbox": b, "area": b[2] * b[3], "iscrowd": int(n % 100 == 0)}
            for n, (i, c, b) in enumerate(zip(owner.tolist(), classes.tolist(), truth_xywh.tolist(), strict=True))
        ],
    }
    answers: list[list[Located]] = [[] for _ in range(images)]
    for i, c, box, gone in zip(owner.tolist(), labelled.tolist(), written, lost.tolist(), strict=True):
        if not gone:
            x1, y1, x2, y2 = box
            answers[i].append(Located(CLASSES[c], (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))))
    truth_path, result_path = folder / "truth.json", folder / "result.jsonl"
    truth_path.write_text(json.dumps(truth))
    with open(result_path, "w") as out:
        for number, (found, size) in enumerate(zip(tqdm(answers, desc="write data", unit="row"), sizes.tolist(), strict=True), 1):
            text = format_answer(found, "qwen2_vl")
            row = {
                "response": text,
                "labels": "None",
                "logprobs": None,
                "messages": [{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": text}],
                "images": [{"bytes": None, "path": f"{number:012d}.jpg"}],
                "sample_id": number,
                "size_wh": size,
            }
            out.write(json.dumps(row) + "\n")
    return truth_path, result_path


def ours(truth_path: Path, result_path: Path) -> list[float | None]:
    """The functions of `groundswift eval coco-map`, files to the 12 numbers."""
    truth = read_truth(truth_path)
    answers = read_answers(result_path, truth, Rules("qwen2_vl"))
    return list(evaluate(truth, answers.predictions).summary.values())


def usual(truth_path: Path, result_path: Path) -> list[float | None]:
    """The usual way, with the same rules: clipped, without duplicates, constant scores."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(truth_path))
        category_id = {row["name"]: row["id"] for row in truth.dataset["categories"]}
        results = []
        with open(result_path) as lines:
            for line in lines:
                row = json.loads(line)
                width, height = row["size_wh"]
                seen = set()
                for label, *digits in BOX.findall(row["response"]):
                    scaled = np.array([int(value) for value in digits]) * np.array([width, height, width, height]) / 1000
                    x1, y1, x2, y2 = np.clip(scaled, 0, [width, height, width, height]).tolist()
                    if label not in category_id or x2 <= x1 or y2 <= y1 or (label, x1, y1, x2, y2) in seen:
                        continue
                    seen.add((label, x1, y1, x2, y2))
                    box_xywh = [x1, y1, x2 - x1, y2 - y1]
                    results.append({"image_id": row["sample_id"], "category_id": category_id[label], "bbox": box_xywh, "score": 1.0})
        scoring = COCOeval(truth, truth.loadRes(results), "bbox")
        scoring.evaluate()
        scoring.accumulate()
        scoring.summarize()
    return [None if value < 0 else float(value) for value in scoring.stats]


def agree(first: list[float | None], second: list[float | None]) -> bool:
    """Whether both have the same undefined numbers, and the others are equal."""
    return np.allclose(np.array(first, float), np.array(second, float), rtol=0, atol=TOLERANCE, equal_nan=True)


def compare(images: int, boxes: int, repeats: int) -> int:
    numbers: dict[str, list[float | None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = write_data(Path(folder), images, boxes)
        ours_s = medians({"ours": lambda: numbers.update(ours=ours(*files))}, repeats)["ours"]
        usual_s = medians({"usual": lambda: numbers.update(usual=usual(*files))}, max(1, repeats // 3))["usual"]
    same = agree(numbers["ours"], numbers["usual"])
    print(f"text to mAP, {images} images, {boxes} boxes, {len(CLASSES)} classes")
    print(f"  groundswift   {ours_s:8.3f} s   (median of {repeats})   AP {numbers['ours'][0]:.4f}")
    print(f"  the usual way {usual_s:8.3f} s   (median of {max(1, repeats // 3)})   AP {numbers['usual'][0]:.4f}")
    print(f"  ratio         {usual_s / ours_s:8.1f}     (target: at least {TARGETS['ratio']})")
    print(f"  12 numbers    {'agree' if same else 'DIFFER'} to {TOLERANCE:g}")
    return 0 if same else 1


def scale(images: int, boxes: int) -> int:
    """Time and peak memory of ours in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        files = write_data(Path(folder), images, boxes)
        seconds, gigabytes, average_precision = process.submit(measured, *files).result()
    print(f"text to mAP, {images} images, {boxes} boxes, {len(CLASSES)} classes, ours alone")
    print(f"  time        {seconds:8.2f} s    (target: at most {TARGETS['seconds']})   AP {average_precision:.4f}")
    print(f"  peak memory {gigabytes:8.2f} GB   (target: at most {TARGETS['gigabytes']})")
    return 0


def measured(truth_path: Path, result_path: Path) -> tuple[float, float, float | None]:
    """(seconds, peak memory in GB, AP) of ours in this process."""
    start = time.perf_counter()
    numbers = ours(truth_path, result_path)
    return time.perf_counter() - start, peak_bytes() / 1e9, numbers[0]


def main() -> int:
    options = options_of(
        __doc__,
        images={"type": int},
        boxes={"type": int},
        repeats=rounds(9),
        scale={"action": "store_true", "help": "80,000 images and 1.2 million boxes through ours alone"},
    )
    if options.scale:
        return scale(options.images or 80_000, options.boxes or 1_200_000)
    return compare(options.images or 5_000, options.boxes or 36_000, options.repeats)


if __name__ == "__main__":
    sys.exit(main())
