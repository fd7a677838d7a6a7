"""Answers with token log-probabilities to boxes with scores: next to constant scores of the same file, both in this run.

The file is as `swift infer --logprobs true` writes it: a token for each digit and mark, its log-probability and bytes, the end mark last.
By functions, with the ground truth read before, and as whole processes of `groundswift eval coco-map`; figures are medians of CPU
seconds. "only the rows" decodes the same lines into a typed row that skips the log-probabilities.

    python benchmarks/logprobs.py                # 5,000 images and 36,000 boxes
    python benchmarks/logprobs.py --non-ascii    # labels of several bytes a character, some of which are split between tokens
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from builds import TREE
from eval_command import ours
from eval_map import write_data
from measure import JSON, medians, options_of, rounds, show
from tqdm import tqdm

from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.swift_results import ResultRow, read_answers
from groundswift.eval.ground_truth import read_truth
from groundswift.records import read_jsonl

TOKEN = re.compile(r"<\|[a-z_]+\|>|[0-9]| ?[^\W\d]+|.", re.DOTALL)
END, BROKEN = "<|im_end|>", "\ufffd"
TARGET = 1.5
RATIOS = {"read": "seconds", "process": "processes"}


def tokens_of(text: str, rng: np.random.Generator) -> list[dict[str, object]]:
    """The entries of one answer. A character of several bytes is two tokens, none of which can be read."""
    pieces = [part for piece in (*TOKEN.findall(text), END) for part in ([piece] if piece.isascii() else [BROKEN] * 2 * len(piece))]
    return [
        {"token": piece, "logprob": round(float(value), 9), "bytes": list(piece.encode())}
        for piece, value in zip(pieces, -rng.exponential(0.2, len(pieces)), strict=True)
    ]


def add_logprobs(path: Path, non_ascii: bool, seed: int = 0) -> Path:
    """The same result file with log-probabilities."""
    rng = np.random.default_rng(seed)
    with_logprobs = path.with_name("with_logprobs.jsonl")
    with open(path) as lines, open(with_logprobs, "w") as out:
        for line in tqdm(lines, desc="write log-probabilities", unit="row"):
            row = json.loads(line)
            if non_ascii:
                row["response"] = row["response"].replace("class 1", "cláss 1")
            row["logprobs"] = {"content": tokens_of(row["response"], rng)}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    return with_logprobs


def measure(images: int, boxes: int, repeats: int, non_ascii: bool) -> dict[str, object]:
    """CPU seconds of both, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        truth_path, result_path = write_data(Path(folder), images, boxes)
        path = add_logprobs(result_path, non_ascii)
        truth = read_truth(truth_path)
        ways = {
            "constant": lambda: read_answers(path, truth, Rules("qwen2_vl")),
            "logprob": lambda: read_answers(path, truth, Rules("qwen2_vl", score="logprob")),
            "only the rows": lambda: sum(1 for _ in read_jsonl(path, ResultRow)),
        }
        seconds = medians(ways, repeats, time.process_time)
        processes = {name: [] for name in ("constant", "logprob")}
        for name in tqdm([*processes] * repeats, desc="eval coco-map", unit="run"):
            spent = ours(TREE, (truth_path, path), "qwen2_vl", Path(folder) / name, ["--score", name])
            processes[name].append(spent.cpu_s)
        size = path.stat().st_size
    found = {"images": images, "boxes": boxes, "megabytes": size / 1e6, "seconds": seconds}
    found["processes"] = {name: median(runs) for name, runs in processes.items()}
    found |= {f"{name}_ratio": found[key]["logprob"] / found[key]["constant"] for name, key in RATIOS.items()}
    return found


def lines_of(found: dict[str, object]) -> list[str]:
    """The figures as text."""
    lines = [f"answers with log-probabilities to scores, {found['images']} images, {found['boxes']} boxes, {found['megabytes']:.0f} MB"]
    lines += [f"  {name:<16}{seconds:8.3f} s" for name, seconds in found["seconds"].items()]
    lines += [f"  process, {name:<9}{seconds:6.3f} s" for name, seconds in found["processes"].items()]
    return [
        *lines,
        f"  ratio: {found['read_ratio']:.2f} functions, {found['process_ratio']:.2f} processes (target: at most {TARGET})",
    ]


def main() -> int:
    options = options_of(
        __doc__,
        images={"type": int, "default": 5_000, "help": "images (default: %(default)s)"},
        boxes={"type": int, "default": 36_000, "help": "boxes (default: %(default)s)"},
        non_ascii={"action": "store_true", "help": "labels with characters of several bytes"},
        repeats=rounds(5),
        json=JSON,
    )
    found = measure(options.images, options.boxes, options.repeats, options.non_ascii)
    show(found, options.json, lines_of(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
