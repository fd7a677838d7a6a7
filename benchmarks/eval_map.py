"""From the text of a result file to the 12 numbers, by functions: this evaluator and the usual way, both timed in this run.

The usual way is `usual_map.py`. The figures are medians; the 12 numbers of both ways are compared. `eval_command.py` times whole processes.

    python benchmarks/eval_map.py                             # 5,000 images and 36,000 boxes, both ways
    python benchmarks/eval_map.py --scale --against 4bc2397   # 80,000 images and 1.2 million boxes, this build and an earlier one
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from builds import TREE, earlier_tree, printed_json
from measure import JSON, medians, options_of, show
from tqdm import tqdm
from usual_map import usual

from groundswift import Located, format_answer, resized_wh
from groundswift.eval.answers.swift_results import read_answers
from groundswift.eval.ground_truth import read_truth
from groundswift.eval.metrics.coco_map import Rules, evaluate
from groundswift.eval.metrics.coco_numbers import SUMMARY

CLASSES = [f"class {number}" for number in range(1, 81)]
SIZES_WH = ((640, 480), (480, 640), (640, 427), (500, 375), (612, 612))
AT_ONCE = 100_000  # annotations that are written at once
TOLERANCE = 1e-9
TARGETS = {"ratio": 20, "times_as_fast": 3, "gigabytes": 0.9}
WORKER = """
import json, resource, sys, time
from pathlib import Path
try:  # first the names before 2026-11-28: an editable installation would lend an earlier build the modules that it lacks
    from groundswift.eval.result_file import read_answers
    from groundswift.eval.truth import read_truth
    from groundswift.eval.coco_map import Rules, evaluate
    rows_ahead = None
except ImportError:
    from groundswift.eval.answers.row_blocks import rows_ahead
    from groundswift.eval.answers.swift_results import read_answers
    from groundswift.eval.ground_truth import read_truth
    from groundswift.eval.metrics.coco_map import Rules, evaluate
truth, result, rules = *sys.argv[1:3], Rules("qwen2_vl")
start = time.perf_counter(), time.process_time()
ahead = rows_ahead(Path(result), rules, int(sys.argv[3]) or None) if rows_ahead else None
truth = read_truth(truth)
more = {"ahead": ahead.rows()} if ahead else {}
numbers = evaluate(truth, read_answers(result, truth, rules, **more).predictions).summary
spent = time.perf_counter() - start[0], time.process_time() - start[1]
others = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
memory = {"gigabytes": peak * 1024 / 1e9, "other_gigabytes": others.ru_maxrss * 1024 / 1e9}
print(json.dumps({"seconds": spent[0], "cpu_s": spent[1] + others.ru_utime + others.ru_stime, **memory, "AP": numbers["AP"]}))
"""


def write_data(folder: Path, images: int, boxes: int, seed: int = 0, family: str = "qwen2_vl") -> tuple[Path, Path]:
    """A drawn-up COCO truth and a result file in the text of a family, whose boxes are the truth's, moved, lost or of another class."""
    rng = np.random.default_rng(seed)
    sizes = np.array(SIZES_WH)[rng.integers(len(SIZES_WH), size=images)]
    owner = np.sort(rng.integers(images, size=boxes))
    classes = rng.integers(len(CLASSES), size=boxes)
    share = rng.uniform(0.02, 0.4, (boxes, 2))
    sides = share * sizes[owner]
    corners = rng.uniform(0, 1, (boxes, 2)) * (sizes[owner] - sides)
    truth_xywh = np.round(np.hstack([corners, sides]), 2)
    moved = np.hstack([corners, corners + sides]) + rng.normal(0, 0.06, (boxes, 4)) * np.hstack([sides, sides])
    units = np.array([[1000, 1000] if family == "qwen2_vl" else resized_wh(size, family) for size in SIZES_WH])
    units = np.tile(units[[SIZES_WH.index(size) for size in map(tuple, sizes.tolist())]][owner], 2)
    written = np.clip(np.rint(moved / np.hstack([sizes[owner], sizes[owner]]) * units), 0, units).astype(int)
    written = np.hstack([np.minimum(written[:, :2], written[:, 2:]), np.maximum(written[:, :2], written[:, 2:])])
    lost = rng.uniform(size=boxes) < 0.15
    labelled = np.where(rng.uniform(size=boxes) < 0.1, rng.integers(len(CLASSES), size=boxes), classes)
    truth_path, result_path = folder / "truth.json", folder / "result.jsonl"
    write_truth(truth_path, sizes, owner, classes, truth_xywh)
    kept = ~lost
    write_answers(result_path, family, sizes, owner[kept], labelled[kept], written[kept])
    return truth_path, result_path


def write_truth(path: Path, sizes_wh: np.ndarray, images: np.ndarray, classes: np.ndarray, boxes_xywh: np.ndarray) -> None:
    """A COCO file, some annotations at a time: ten million as dicts would be most of a machine's memory."""
    shown = [{"id": n + 1, "file_name": f"{n + 1:012d}.jpg", "width": w, "height": h} for n, (w, h) in enumerate(sizes_wh.tolist())]
    categories = [{"id": n + 1, "name": name} for n, name in enumerate(CLASSES)]
    with open(path, "w") as out:
        out.write(f'{{"images": {json.dumps(shown)}, "categories": {json.dumps(categories)}, "annotations": [')
        for start in tqdm(range(0, len(images), AT_ONCE), desc="write truth", unit="part"):
            part = slice(start, start + AT_ONCE)
            rows = [
                {"id": n + 1, "image_id": i + 1, "category_id": c + 1, "bbox": b, "area": b[2] * b[3], "iscrowd": int(n % 100 == 0)}
                for n, (i, c, b) in enumerate(zip(*(each[part].tolist() for each in (images, classes, boxes_xywh)), strict=True), start)
            ]
            out.write((", " if start else "") + json.dumps(rows)[1:-1])
        out.write("]}")


def write_answers(path: Path, family: str, sizes_wh: np.ndarray, images: np.ndarray, classes: np.ndarray, boxes: np.ndarray) -> None:
    """Boxes, ordered by image, as the rows of a result."""
    ends = np.searchsorted(images, np.arange(len(sizes_wh) + 1)).tolist()
    with open(path, "w") as out:
        for number, size in enumerate(tqdm(sizes_wh.tolist(), desc="write answers", unit="row"), 1):
            own = slice(ends[number - 1], ends[number])
            found = [Located(CLASSES[c], tuple(box)) for c, box in zip(classes[own].tolist(), boxes[own].tolist(), strict=True)]
            text = format_answer(found, family)
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


def ours(truth_path: Path, result_path: Path) -> list[float | None]:
    """The functions of `groundswift eval coco-map`, files to the 12 numbers; those of no order are computed, too."""
    truth = read_truth(truth_path)
    answers = read_answers(result_path, truth, Rules("qwen2_vl"))
    summary = evaluate(truth, answers.predictions).summary
    return [summary[key] for key in SUMMARY]


def agree(first: list[float | None], second: list[float | None]) -> bool:
    """Whether both have the same undefined numbers, and the others are equal."""
    return np.allclose(np.array(first, float), np.array(second, float), rtol=0, atol=TOLERANCE, equal_nan=True)


def compare(images: int, boxes: int, repeats: int) -> tuple[dict[str, object], list[str]]:
    """Both ways on the same files, in this process."""
    numbers: dict[str, list[float | None]] = {}
    fewer = max(1, repeats // 3)
    with tempfile.TemporaryDirectory() as folder:
        files = write_data(Path(folder), images, boxes)
        ours_s = medians({"ours": lambda: numbers.update(ours=ours(*files))}, repeats)["ours"]
        usual_s = medians({"usual": lambda: numbers.update(usual=usual(*map(str, files)))}, fewer)["usual"]
    same = agree(numbers["ours"], numbers["usual"])
    return {"ours_s": ours_s, "usual_s": usual_s, "ratio": usual_s / ours_s, "equal": same}, [
        f"text to mAP by functions, {images} images, {boxes} boxes, {len(CLASSES)} classes",
        f"  groundswift   {ours_s:8.3f} s   (median of {repeats})   AP {numbers['ours'][0]:.4f}",
        f"  the usual way {usual_s:8.3f} s   (median of {fewer})",
        f"  ratio         {usual_s / ours_s:8.1f}     (target: at least {TARGETS['ratio']})",
        f"  12 numbers    {'agree' if same else 'DIFFER'} to {TOLERANCE:g}",
    ]


def scale(images: int, boxes: int, repeats: int, revision: str | None, workers: int) -> tuple[dict[str, object], list[str]]:
    """Time and peak memory of this build and an earlier one, each run in a process of its own; this one may share its reading."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        files = write_data(Path(folder), images, boxes)
        trees = {"this build": TREE} | ({revision: stack.enter_context(earlier_tree(revision))} if revision else {})
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
        for name, tree in tqdm(list(trees.items()) * repeats, unit="run"):
            runs[name].append(measured(tree, *files, workers))
    found = {name: {key: statistics.median(run[key] for run in done) for key in done[0]} for name, done in runs.items()}
    lines = [f"text to mAP by functions, {images} images, {boxes} boxes, {len(CLASSES)} classes, medians of {repeats}"]
    lines += [
        f"  {name:<12} {row['seconds']:8.2f} s, CPU {row['cpu_s']:.2f} s, peak {row['gigabytes']:.2f} GB and "
        f"{row['other_gigabytes']:.2f} GB of another process, AP {row['AP']:.4f}"
        for name, row in found.items()
    ]
    result: dict[str, object] = {"builds": found, "equal": len({round(row["AP"], 9) for row in found.values()}) == 1}
    if revision:
        turns = list(zip(runs[revision], runs["this build"], strict=True))
        for name, key in (("times_as_fast", "seconds"), ("times_less_cpu", "cpu_s")):
            result[name] = statistics.median(old[key] / new[key] for old, new in turns)
        targets = f"(target: {TARGETS['times_as_fast']}), at most {TARGETS['gigabytes']} GB"
        lines.append(f"  {result['times_as_fast']:.2f} times as fast {targets}; {result['times_less_cpu']:.2f} times by CPU time")
    return result, lines


def measured(tree: Path, *words: object) -> dict[str, float]:
    """Seconds, CPU seconds, peak memory in GB and AP of a build, without its start."""
    command = [sys.executable, "-c", WORKER, *map(str, words)]  # with -c the working directory is the first to be imported from
    return printed_json(command, tree)


def main() -> int:
    options = options_of(
        __doc__,
        images={"type": int},
        boxes={"type": int},
        repeats={"type": int, "help": "rounds, of which the median is taken (default: 9; 3 with --scale)"},
        scale={"action": "store_true", "help": "80,000 images and 1.2 million boxes, with peak memory, without the usual way"},
        workers={"type": int, "default": 0, "help": "with --scale: processes of this build that read answers (default: as the command)"},
        against={"metavar": "REVISION", "help": "with --scale: an earlier build, in turns"},
        json=JSON,
    )
    if options.scale:
        found, lines = scale(options.images or 80_000, options.boxes or 1_200_000, options.repeats or 3, options.against, options.workers)
    else:
        found, lines = compare(options.images or 5_000, options.boxes or 36_000, options.repeats or 9)
    show(found, options.json, lines)
    return 0 if found["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
