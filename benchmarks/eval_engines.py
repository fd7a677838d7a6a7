"""What computes COCO's numbers: hotcoco, ultrafast-pycocotools and faster-coco-eval on the same files, each in a process of its own.

By CPU time, from the files to the arrays, and of that matching and accumulation alone; the arrays of precision and recall are compared with
those of pycocotools bit by bit, on small drawn sets with crowds, equal scores and equal boxes, too. The peers are installed into an
environment of their own. groundswift's own engine and hotcoco are also given columns; no other one takes a ground truth as columns.

    python benchmarks/eval_engines.py                                  # 5,000 images, 36,000 boxes; 40 drawn sets
    python benchmarks/eval_engines.py --images 80000 --boxes 1200000   # without faster-coco-eval and pycocotools: minutes, 11 GB
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from builds import TREE, environment, printed_json
from eval_map import CLASSES, write_data
from interchange import environment as peer_environment
from measure import JSON, options_of, rounds, show
from tqdm import tqdm

PEERS = "hotcoco==1.3.0 ultrafast-pycocotools==0.1.14 faster-coco-eval==1.8.0 pycocotools==2.0.11"
ENGINES = ("pycocotools", "hotcoco", "ultrafast_pycocotools", "faster_coco_eval")
SLOW, MOST_OF_THE_SLOW = {"pycocotools", "faster_coco_eval"}, 100_000  # boxes
WORKER = r"""
import contextlib, hashlib, io, json, sys, time
import numpy as np
name, truth, *files = sys.argv[1:]
if name == "hotcoco":
    from hotcoco import COCO, COCOeval
elif name == "ultrafast_pycocotools":
    from ultrafast_pycocotools import COCO, COCOeval
elif name == "faster_coco_eval":
    from faster_coco_eval import COCO, COCOeval_faster as COCOeval
else:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
found = []
for truth, result in zip([truth, *files[1::2]], files[::2]):
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.process_time()
        wanted = COCO(truth)
        results = wanted.load_res(result) if name == "hotcoco" else wanted.loadRes(result)
        read = time.process_time()
        scoring = COCOeval(wanted, results, "bbox")
        scoring.evaluate()
        scoring.accumulate()
        end = time.process_time()
    arrays = [np.ascontiguousarray(scoring.eval[key], dtype=np.float64) for key in ("precision", "recall")]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    found.append({"all_s": end - start, "scoring_s": end - read, "arrays": digest})
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"runs": found, "gigabytes": peak * 1024 / 1e9}))
"""
COLUMNS = """
import json, sys, time
from groundswift.eval.answers.coco_results import read_results
from groundswift.eval.ground_truth import read_truth
from groundswift.eval.metrics.coco_engines import accumulate
truth = read_truth(sys.argv[1])
predictions = read_results(sys.argv[2], truth)
spent = {}
for engine in ("groundswift", "hotcoco"):
    start = time.process_time()
    accumulate(truth, predictions, engine)
    spent[engine] = time.process_time() - start
print(json.dumps(spent))
"""


def write_results(truth: Path, answers: Path, out: Path) -> None:
    """The boxes of answers as a COCO result file, by groundswift."""
    code = "from groundswift.cli import main; main()"
    words = ["eval", "coco-map", answers, "--gt", truth, "--family", "qwen2_vl", "--no-report", "--out", out.parent / "scored"]
    subprocess.run([sys.executable, "-c", code, *map(str, words)], cwd=TREE, env=environment(TREE), check=True, capture_output=True)
    (out.parent / "scored" / "test_pred.json").rename(out)


def write_drawn(folder: Path, seed: int) -> list[Path]:
    """A small truth and results in which boxes, IoUs and scores are often equal, some boxes are crowds, and areas are at COCO's borders."""
    rng = random.Random(seed)
    images = rng.randint(1, 5)

    def box() -> list[float]:
        return [8.0 * rng.randint(0, 3), 8.0 * rng.randint(0, 3), 32.0 * rng.randint(1, 3), 32.0 * rng.randint(1, 3)]

    rows = [{"image_id": rng.randint(1, images), "category_id": rng.randint(1, 3), "bbox": box()} for _ in range(60)]
    truth = {
        "images": [{"id": number + 1, "file_name": "", "width": 200, "height": 200} for number in range(images)],
        "categories": [{"id": number, "name": str(number)} for number in (1, 2, 3)],
        "annotations": [
            {**row, "id": number, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": int(rng.random() < 0.1)}
            for number, row in enumerate(rows[:30], 1)
        ],
    }
    files = [folder / f"{seed}-truth.json", folder / f"{seed}-result.json"]
    for file, content in zip(files, (truth, [{**row, "score": rng.choice((0.3, 0.5, 1.0))} for row in rows[30:]]), strict=True):
        file.write_text(json.dumps(content))
    return files


def run(python: str, code: str, *words: object) -> dict:
    """What a process prints."""
    return printed_json([python, "-c", code, *map(str, words)], TREE)


def main() -> int:
    options = options_of(
        __doc__,
        images={"type": int, "default": 5_000},
        boxes={"type": int, "default": 36_000},
        drawn={"type": int, "default": 40, "help": "drawn sets to compare (default: %(default)s)"},
        python={"help": "of an environment that has the peers (default: a new one)"},
        repeats=rounds(5),
        json=JSON,
    )
    engines = [name for name in ENGINES if options.boxes <= MOST_OF_THE_SLOW or name not in SLOW]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = options.python or peer_environment(PEERS, folder)
        truth, answers = write_data(folder, options.images, options.boxes)
        write_results(truth, answers, result := folder / "result.json")
        drawn = [file for seed in range(options.drawn) for file in write_drawn(folder, seed)]
        arrays = {engine: [each["arrays"] for each in run(python, WORKER, engine, *drawn)["runs"]] for engine in ENGINES}
        runs: dict[str, list[dict]] = {engine: [] for engine in engines}
        columns: list[dict] = []
        for _ in tqdm(range(options.repeats), unit="round"):
            for engine in engines:
                runs[engine].append(run(python, WORKER, engine, truth, result))
            columns.append(run(sys.executable, COLUMNS, truth, result))
    found = {}
    for engine, done in runs.items():
        medians = {key: statistics.median(each["runs"][0][key] for each in done) for key in ("all_s", "scoring_s")}
        same = sum(one == two for one, two in zip(arrays[engine], arrays["pycocotools"], strict=True))
        found[engine] = {**medians, "gigabytes": statistics.median(each["gigabytes"] for each in done), "drawn_equal": same}
        found[engine]["equal"] = done[0]["runs"][0]["arrays"] == runs[engines[0]][0]["runs"][0]["arrays"]
    from_columns = {engine: statistics.median(each[engine] for each in columns) for engine in columns[0]}
    lines = [f"{options.images} images, {options.boxes} boxes, {len(CLASSES)} classes, CPU seconds, medians of {options.repeats}"]
    for engine, row in found.items():
        text = "{all_s:8.3f} files to arrays, {scoring_s:8.3f} scoring, peak {gigabytes:.2f} GB".format(**row)
        same = (
            f"{row['drawn_equal']} of {options.drawn} drawn sets equal to pycocotools, this set {'equal' if row['equal'] else 'DIFFERENT'}"
        )
        lines.append(f"  {engine:<22}{text}; {same}")
    lines += [f"  {engine}, from columns to arrays: {seconds:.3f}" for engine, seconds in from_columns.items()]
    show({**found, "columns_s": from_columns}, options.json, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
