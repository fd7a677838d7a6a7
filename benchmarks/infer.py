"""Answers to the same rows by the embedded model: `groundswift infer` and `swift infer` with its defaults, both in this run.

Each command runs as a process of its own, in turns, so imports and loading count; the same on one row shows what they take. The benchmark
fails where an answer differs. Rows are drawn images of what the model knows.

    python benchmarks/infer.py                       # 600 rows, medians of 3
    python benchmarks/infer.py --threads 1           # on a machine with other work, where threads wait for each other
    python benchmarks/infer.py --rows 3 --rounds 1 --json
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import JSON, options_of, rounds, show
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / "recipes" / "quickstart"
MODEL = ["--model", str(QUICKSTART / "model"), "--template", "qwen2_vl_grounding"]
LIMIT = 160  # tokens of an answer
OF_SWIFT = ["--torch_dtype", "float32", "--attn_impl", "sdpa"]


def draw_rows(folder: Path, count: int) -> Path:
    """Rows with drawn images."""
    draw = [sys.executable, str(QUICKSTART / "draw.py"), "toys", "--count", str(count), "--seed", "3", "--out", str(folder / "toys")]
    convert = ["convert", "coco", str(folder / "toys" / "annotations.json"), "--images", str(folder / "toys" / "images")]
    rows = folder / "toys.jsonl"
    for words in (draw, [sys.executable, "-m", "groundswift.cli", *convert, "--out", str(rows)]):
        subprocess.run(words, check=True, capture_output=True)
    return rows


def plugin() -> str:
    """The file that swift is given."""
    return subprocess.run([sys.executable, "-m", "groundswift.cli", "plugin"], check=True, capture_output=True, text=True).stdout.strip()


def ours(rows: Path, result: Path) -> list[str]:
    """The words of `groundswift infer`."""
    words = ["infer", str(rows), "--out", str(result), *MODEL, "--max-new-tokens", str(LIMIT)]
    return [sys.executable, "-m", "groundswift.cli", *words, "--", *OF_SWIFT]


def theirs(rows: Path, result: Path) -> list[str]:
    """The words of `swift infer`, with this plugin, so that both write boxes alike, and otherwise its defaults."""
    words = [*MODEL, "--model_type", "qwen2_vl", "--custom_register_path", plugin(), "--val_dataset", str(rows)]
    words += ["--result_path", str(result), "--temperature", "0", "--max_new_tokens", str(LIMIT), *OF_SWIFT]
    return [sys.executable, "-m", "swift.cli.infer", *words]


def seconds_of(words: list[str], threads: int | None) -> dict[str, float]:
    """How long a command runs, and the CPU time that it and its processes take."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"} | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    started, used = time.perf_counter(), cpu_of_children()
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return {"wall": time.perf_counter() - started, "cpu": cpu_of_children() - used}


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def responses(path: Path) -> list[str]:
    """The answers in a result file."""
    return [json.loads(line)["response"] for line in path.read_text(encoding="utf-8").splitlines()]


def check_same(swift: list[str], own: list[str]) -> None:
    """Raise SystemExit where the answers to a row differ, or a row has none."""
    if len(swift) != len(own):
        raise SystemExit(f"swift infer answered {len(swift)} rows, groundswift infer {len(own)}")
    for number, (one, other) in enumerate(zip(swift, own, strict=True), 1):
        if one != other:
            raise SystemExit(f"row {number}: swift infer answered {one!r}, groundswift infer {other!r}")


def measure(count: int, repeats: int, threads: int | None = None) -> dict[str, Any]:
    """Medians of both on `count` rows and on one row, and the ratios."""
    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = draw_rows(folder, count)
        first = folder / "first.jsonl"
        first.write_text(rows.read_text(encoding="utf-8").splitlines(keepends=True)[0], encoding="utf-8")
        for number in tqdm(range(repeats), unit="round"):
            for part, data in (("whole", rows), ("one row", first)):
                results = {way: folder / f"{number} {part} {way}.jsonl" for way in WAYS}
                for way, words in WAYS.items():
                    runs.setdefault((way, part), []).append(seconds_of(words(data, results[way]), threads))
                check_same(*map(responses, results.values()))
    seconds: dict[str, Any] = {way: {} for way in WAYS}
    for (way, part), each in runs.items():
        seconds[way][part] = {clock: statistics.median(run[clock] for run in each) for clock in ("wall", "cpu")}
    swift, own = seconds.values()
    ratio = {clock: swift["whole"][clock] / own["whole"][clock] for clock in ("wall", "cpu")}
    return {"rows": count, "rounds": repeats, "threads": threads, "seconds": seconds, "times_as_fast": ratio}


def lines_of(result: dict[str, Any]) -> list[str]:
    """The figures for people."""
    lines = [f"{result['rows']} rows, all answers the same; medians of {result['rounds']}, CPU time in brackets"]
    for way, parts in result["seconds"].items():
        whole, one = (f"{parts[part]['wall']:6.1f} s ({parts[part]['cpu']:.1f} s)" for part in ("whole", "one row"))
        lines.append(f"{way:<18} {whole}, of one row {one}")
    ratio = result["times_as_fast"]
    return [*lines, f"times as fast      {ratio['wall']:6.2f}   ({ratio['cpu']:.2f})"]


WAYS = {"swift infer": theirs, "groundswift infer": ours}

if __name__ == "__main__":
    threads = {"type": int, "metavar": "N", "help": "OMP_NUM_THREADS of both (default: torch's own)"}
    rows = {"type": int, "default": 600, "help": "rows (default: %(default)s)"}
    given = options_of(__doc__, rows=rows, rounds=rounds(3), threads=threads, json=JSON)
    measured = measure(given.rows, given.rounds, given.threads)
    show(measured, given.json, lines_of(measured))
