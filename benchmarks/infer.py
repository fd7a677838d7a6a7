"""Answers to the same rows by the embedded model: `groundswift infer` and `swift infer` with its defaults, both in this run.

Each command runs as a process of its own, so imports and loading count; what is left without the seconds of one row is the time of
answering. The answers are compared row by row. Rows are drawn images of what the model knows.

    python benchmarks/infer.py                   # 400 rows
    python benchmarks/infer.py --rows 40 --json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import JSON, options_of, show

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


def seconds_of(words: list[str]) -> float:
    """How long a command runs."""
    started = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return time.perf_counter() - started


def responses(path: Path) -> list[str]:
    """The answers in a result file."""
    return [json.loads(line)["response"] for line in path.read_text(encoding="utf-8").splitlines()]


def measure(count: int) -> dict[str, Any]:
    """Both on `count` rows, and on one row: what is left without it is the time of answering."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = draw_rows(folder, count)
        first = folder / "first.jsonl"
        first.write_text(rows.read_text(encoding="utf-8").splitlines(keepends=True)[0], encoding="utf-8")
        seconds = {}
        for way, words in (("swift infer", theirs), ("groundswift infer", ours)):
            loading = seconds_of(words(first, folder / f"{way} first.jsonl"))
            seconds[way] = {"whole": seconds_of(words(rows, folder / f"{way}.jsonl")), "one row": loading}
        swift, own = (responses(folder / f"{way}.jsonl") for way in seconds)
    same = sum(one == other for one, other in zip(swift, own, strict=True))
    return {"rows": count, "seconds": seconds, "same_answers": same}


def lines_of(result: dict[str, Any]) -> list[str]:
    """The figures for people."""
    swift, own = result["seconds"].values()
    lines = [f"{result['rows']} rows, {result['same_answers']} answers the same"]
    lines += [f"{way:<20} {each['whole']:8.1f} s, of one row {each['one row']:6.1f} s" for way, each in result["seconds"].items()]
    answering = [each["whole"] - each["one row"] for each in (swift, own)]
    lines.append(
        f"{'times as fast':<20} {swift['whole'] / own['whole']:8.2f}, without loading {answering[0] / max(answering[1], 1e-9):6.2f}"
    )
    return lines


if __name__ == "__main__":
    given = options_of(__doc__, rows={"type": int, "default": 400, "help": "rows (default: %(default)s)"}, json=JSON)
    measured = measure(given.rows)
    show(measured, given.json, lines_of(measured))
