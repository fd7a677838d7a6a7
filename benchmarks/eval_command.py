"""`groundswift eval coco-map` as a user types it: whole processes of this build, the usual script and, if wanted, an earlier build.

Start of Python, imports, reading, scoring and writing of the files are in the time; the report is not. `usual_map.py` is the usual script.

    python benchmarks/eval_command.py                                       # 5,000 images, two ways in which families write boxes
    python benchmarks/eval_command.py --against 4bc2397 --skip-usual --images 80000 --boxes 1200000
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from builds import TREE, earlier_tree, environment
from eval_map import agree, write_data
from measure import JSON, options_of, rounds, show
from tqdm import tqdm

from groundswift.eval.metrics.coco_numbers import SUMMARY

FAMILIES = {"qwen2_vl": "thousandths, as tokens", "qwen2_5_vl": "pixels of the resized image, as JSON"}
TARGET = 30  # times as fast as the usual script
START = """
import sys
try:
    from groundswift.__main__ import main
except ImportError:  # builds before 2026-11-29
    from groundswift.cli import main
sys.exit(main())
"""  # as the installed script does
PIXELS = ["--min-pixels", "3136", "--max-pixels", "12845056"]  # of Qwen2.5-VL


class Spent(NamedTuple):
    """What a process took."""

    wall_s: float
    cpu_s: float
    gigabytes: float
    numbers: list[float | None]


def measured(command: list[str], tree: Path, numbers_of: Callable[[str], list[float | None]]) -> Spent:
    """Run a command of a build to its end."""
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=tree, env=environment(tree), stdout=printed, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        printed.seek(0), errors.seek(0)
        if status:
            raise SystemExit(errors.read())
        peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
        return Spent(wall_s, used.ru_utime + used.ru_stime, peak, numbers_of(printed.read()))


def ours(tree: Path, files: tuple[Path, Path], family: str, out: Path, more: Sequence[str] = ()) -> Spent:
    """The command, of a build, with more options."""
    words = ["eval", "coco-map", str(files[1]), "--gt", str(files[0]), "--family", family, "--no-report", "--out", str(out), *more]
    words += PIXELS if family == "qwen2_5_vl" else []
    command = [sys.executable, "-c", START, *words]

    def numbers_of(_: str) -> list[float | None]:
        document = json.loads((out / "metrics.json").read_text())
        return [document[key] for key in SUMMARY]

    return measured(command, tree, numbers_of)


def table(family: str, options: object, revision: str | None) -> dict[str, object]:
    """Medians of each way and of the ratios in each round, in turns; one round before, which compiles, is not counted."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        files = write_data(folder, options.images, options.boxes, family=family)
        trees = {"groundswift": TREE} | ({revision: stack.enter_context(earlier_tree(revision))} if revision else {})
        ways = {key: (lambda tree=tree, key=key: ours(tree, files, family, folder / f"out-{key}")) for key, tree in trees.items()}
        if not options.skip_usual:
            script = [sys.executable, str(TREE / "benchmarks" / "usual_map.py"), *map(str, files), family]
            ways["the usual script"] = lambda: measured(script, TREE, json.loads)
        runs = {key: [way()] for key, way in ways.items()}
        for key, way in tqdm(list(ways.items()) * options.repeats, desc=family, unit="run"):
            runs[key].append(way())
    counted = {key: done[1:] for key, done in runs.items()}
    found = {
        key: dict(zip(Spent._fields[:3], map(statistics.median, list(zip(*done, strict=True))[:3]), strict=True))
        for key, done in counted.items()
    }
    own = counted.pop("groundswift")
    ratios = {
        key: {
            clock: statistics.median(getattr(a, clock) / getattr(b, clock) for a, b in zip(done, own, strict=True))
            for clock in Spent._fields[:2]
        }
        for key, done in counted.items()
    }
    equal = all(agree(own[0].numbers, done[0].numbers) for done in counted.values())
    return {"spent": found, "times_as_fast": ratios, "equal": equal}


def lines_of(family: str, found: dict[str, object]) -> list[str]:
    """A table for the terminal."""
    lines = [f"{family} ({FAMILIES[family]})"]
    lines += [
        "  {:<20} {wall_s:8.3f} s, CPU {cpu_s:8.3f} s, peak {gigabytes:.2f} GB".format(key, **row) for key, row in found["spent"].items()
    ]
    lines += [
        "  {:.1f} times as fast as {} (CPU time: {:.1f})".format(row["wall_s"], key, row["cpu_s"])
        for key, row in found["times_as_fast"].items()
    ]
    return [*lines, f"  12 numbers: {'equal' if found['equal'] else 'DIFFERENT'}"]


def main() -> int:
    options = options_of(
        __doc__,
        images={"type": int, "default": 5_000},
        boxes={"type": int, "default": 36_000},
        repeats=rounds(5),
        family={"choices": list(FAMILIES), "help": "only this one (default: both)"},
        against={"metavar": "REVISION", "help": "an earlier build, too"},
        skip_usual={"action": "store_true", "help": "without the usual script, which takes minutes for 80,000 images"},
        json=JSON,
    )
    families = [options.family] if options.family else list(FAMILIES)
    result = {family: table(family, options, options.against) for family in families}
    size = f"{options.images} images, {options.boxes} boxes, medians of {options.repeats}"
    lines = [f"eval coco-map, whole processes, {size} (target: {TARGET} times)"]
    show(result, options.json, [*lines, *(line for family, found in result.items() for line in lines_of(family, found))])
    return 0 if all(found["equal"] for found in result.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
