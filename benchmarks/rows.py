"""The tools over rows, whole commands on one million rows: lint, mix and split, this build, an earlier one and the least work, in turns.

    python benchmarks/rows.py                        # 1,000,000 rows with 2.5 million boxes, about 6 minutes
    python benchmarks/rows.py --rows 50000 --rounds 5

Half of the rows are detection rows as `convert coco` writes them, with up to 8 boxes, half are referring rows, a phrase and a box.
The least work is to copy the file through a typed decode: each line is decoded as `records.Row` and written as it is.
CPU seconds of all processes, start of Python included; medians of the ratios of neighbouring runs. `lint` also runs on all processors,
by the clock.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from big_coco import NAMES
from builds import TREE, earlier_tree, environment
from measure import JSON, options_of, rounds, show
from tqdm import tqdm

BEFORE = "4bc2397"
COPY = """
import sys
import msgspec
from groundswift.records import Row
decode = msgspec.json.Decoder(Row).decode
with open(sys.argv[1], "rb") as lines, open(sys.argv[2], "wb") as out:
    for line in lines:
        decode(line)
        out.write(line)
"""
COMMANDS = {
    "lint": ["lint", "rows.jsonl", "--no-check-images", "--workers", "1"],
    "mix": ["mix", "rows.jsonl", "--out", "mixed.jsonl"],
    "split": ["split", "rows.jsonl", "--out", "parts", "--parts", "train=0.9", "val=0.1"],
}
SAID_OF_ALL = "<image>Detect every object of these categories: {}."


def write_rows(path: Path, count: int, seed: int = 0) -> int:
    """Write the rows. Returns their number of boxes."""
    rng, names = random.Random(seed), [name for name in NAMES.split(",") if name]
    question, boxes = SAID_OF_ALL.format(", ".join(names)), 0
    with open(path, "w") as out:
        for number in tqdm(range(count), desc="write rows", unit="row"):
            refs = sorted(rng.choices(names, k=rng.randrange(9))) if number % 2 else [f"the {number % 50_000} thing on the left"]
            corners = [drawn_box(rng) for _ in refs]
            said = (question, "<ref-object><bbox>" * len(refs) or "None") if number % 2 else ("<image>Find <ref-object>.", "<bbox>")
            row = {
                "messages": [{"role": role, "content": content} for role, content in zip(("user", "assistant"), said, strict=True)],
                "images": [f"/data/coco/train2017/{number:012d}.jpg"],
                "objects": {"ref": refs, "bbox": corners, "bbox_type": "real"},
                "sample_id": number,
                "size_wh": [640, 480],
                "prompt": "detect.en.1" if number % 2 else "find.en.1",
            }
            boxes += len(refs)
            out.write(json.dumps(row, separators=(",", ":")) + "\n")
    return boxes


def drawn_box(rng: random.Random) -> list[float]:
    """x1, y1, x2, y2 in px, with two decimals as COCO has them."""
    x, y = round(rng.random() * 400, 2), round(rng.random() * 300, 2)
    return [x, y, round(x + 5 + rng.random() * 200, 2), round(y + 5 + rng.random() * 150, 2)]


def cpu_s(command: list[str], folder: Path, tree: Path) -> float:
    """CPU seconds of one process and all that it starts. Raises SystemExit where it fails; status 1 of lint is a finding."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    done = subprocess.run([sys.executable, "-c", *command], cwd=folder, env=environment(tree), capture_output=True, text=True)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise SystemExit(done.stderr)
    return spent() - before


def ours(words: list[str], folder: Path, tree: Path = TREE) -> Callable[[], float]:
    """A command of a build."""
    return lambda: cpu_s(["from groundswift.cli import main; main()", *words], folder, tree)


def measured(folder: Path, earlier: Path, repeats: int) -> dict[str, dict[str, float]]:
    """By command: median CPU seconds of this build, the earlier one and the copy, and the median ratios to both."""
    result = {}
    copy = lambda: cpu_s([COPY, "rows.jsonl", "copy.jsonl"], folder, TREE)  # noqa: E731
    for name, words in tqdm(COMMANDS.items(), unit="command"):
        ways = [ours(words, folder, earlier), ours(words, folder), copy]
        runs = [[way() for way in ways] for _ in range(repeats)]
        before, now, copied = (statistics.median(column) for column in zip(*runs, strict=True))
        result[name] = {
            "before_s": before,
            "now_s": now,
            "copy_s": copied,
            "times_faster": statistics.median(one / two for one, two, _ in runs),
            "share_of_copy_speed": statistics.median(least / two for _, two, least in runs),
        }
    return result


def lint_wall_s(folder: Path) -> dict[str, float]:
    """Seconds of lint by the clock, on one process and on all processors."""
    seconds = {}
    for workers in ("1", str(os.cpu_count())):
        start = time.perf_counter()
        ours([*COMMANDS["lint"][:-1], workers], folder)()
        seconds[workers] = time.perf_counter() - start
    return seconds


def main() -> int:
    options = options_of(
        __doc__,
        rows={"type": int, "default": 1_000_000, "help": "rows (default: %(default)s)"},
        before={"default": BEFORE, "metavar": "REVISION", "help": "the earlier build (default: %(default)s)"},
        rounds=rounds(3),
        json=JSON,
    )
    with tempfile.TemporaryDirectory() as name, earlier_tree(options.before) as earlier:
        folder = Path(name)
        boxes = write_rows(folder / "rows.jsonl", options.rows)
        result = {"commands": measured(folder, earlier, options.rounds), "lint_wall_s": lint_wall_s(folder), "boxes": boxes}
    lines = [f"{options.rows:,} rows, {boxes:,} boxes; CPU seconds, medians of {options.rounds}"]
    lines.append(f"{'':8}{options.before:>10}{'this build':>12}{'copy':>8}{'faster':>9}{'of the speed of the copy':>27}")
    for name, row in result["commands"].items():
        lines.append(
            f"{name:8}{row['before_s']:>10.2f}{row['now_s']:>12.2f}{row['copy_s']:>8.2f}{row['times_faster']:>8.2f}x{row['share_of_copy_speed']:>27.2f}"
        )
    rate = options.rows / result["commands"]["lint"]["now_s"]
    lines.append(f"lint: {rate:,.0f} rows per CPU second; " + ", ".join(f"{s:.2f} s on {n}" for n, s in result["lint_wall_s"].items()))
    show(result, options.json, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
