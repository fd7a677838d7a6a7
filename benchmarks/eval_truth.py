"""Reading a COCO file of train2017's size for evaluation against the typed decode of the same file, in turns, by CPU time.

The typed decode makes records of the fields that detection needs, of the whole file; the reader for evaluation checks ids, boxes and
areas besides. Each runs in a process of its own, in which the file is in the cache of the system.

    python benchmarks/eval_truth.py                  # 439 MB, 860,001 annotations
    python benchmarks/eval_truth.py --share 0.05
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from builds import TREE, printed_json
from measure import JSON, options_of, rounds, show
from tqdm import tqdm

TARGET = 1.5  # times the typed decode, at most
START = "import json, sys, time\npath = sys.argv[1]\n"
END = """
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"cpu_s": spent, "gigabytes": peak * 1024 / 1e9, "boxes": boxes}))
"""
WAYS = {
    "typed decode": """
import gc, msgspec
from pathlib import Path
from groundswift.coco_types import CocoFile
gc.disable()
start = time.process_time()
boxes = len(msgspec.json.decode(Path(path).read_bytes(), type=CocoFile).annotations)
spent = time.process_time() - start
""",
    "read for evaluation": """
from groundswift.eval.ground_truth import read_truth
start = time.process_time()
boxes = len(read_truth(path).is_crowd)
spent = time.process_time() - start
""",
}


def measured(code: str, file: Path) -> dict[str, float]:
    """CPU seconds, peak memory in GB and annotations of one way."""
    command = [sys.executable, "-c", START + code + END, str(file)]
    return printed_json(command, TREE)


def main() -> int:
    options = options_of(
        __doc__, share={"type": float, "default": 1.0, "help": "of train2017's size (default: %(default)s)"}, repeats=rounds(5), json=JSON
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "instances_train2017.json")
        subprocess.run(
            [sys.executable, TREE / "benchmarks" / "big_coco.py", file, "--share", str(options.share)], check=True, stdout=sys.stderr
        )
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
        for name, code in tqdm(list(WAYS.items()) * options.repeats, unit="run"):
            runs[name].append(measured(code, file))
    found = {name: {key: statistics.median(run[key] for run in done) for key in done[0]} for name, done in runs.items()}
    ratio = statistics.median(one["cpu_s"] / two["cpu_s"] for one, two in zip(*reversed(runs.values()), strict=True))
    lines = [f"{name:<20} CPU {row['cpu_s']:7.3f} s, peak {row['gigabytes']:.2f} GB, {row['boxes']:,} boxes" for name, row in found.items()]
    show({"ways": found, "ratio": ratio}, options.json, [*lines, f"{ratio:.2f} times the typed decode (target: at most {TARGET})"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
