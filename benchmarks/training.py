"""Training: swift with groundswift's plugin against stock swift on the same rows, in turns, each in a process of its own.

    python benchmarks/training.py                            # everything, about 6 minutes on one core
    python benchmarks/training.py --only evaluation --json

encoding    rows a second of Qwen2-VL's template: JPEGs of 1280x960 px under a limit of 1 MP, the same rescaled first by --max_pixels, and
            photographs of 4000x3000 px. Tokens, labels and grids must be equal; how far pixels differ is printed in steps of 1/255
step        one LoRA step of the quickstart's model on a row of 1280x960 px, with its encoding
evaluation  `--predict_with_generate true` while training, of rows with up to three objects: stock at its default of one row at a time, ours
            with coco_map. Greedy, in 32 bits; the answers must be equal, row by row

One thread. Medians over --rounds, of CPU seconds and of wall seconds; the ratio to reach is that of CPU seconds, which neighbours on the
machine disturb less.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import JSON, options_of, rounds, show
from PIL import Image
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
LIMIT = 1_003_520  # px, 1280 tokens of Qwen2-VL
ENCODED = {  # name -> (size in px, swift's --max_pixels)
    "1280x960": ((1280, 960), None),
    "1280x960, --max_pixels": ((1280, 960), LIMIT),
    "4000x3000": ((4000, 3000), None),
}
TARGETS = {"encoding": 1.3, "evaluation": 3.0}
LEVEL = np.array([0.26862954, 0.26130258, 0.27577711]).mean() * 255  # steps of 1/255 in 1 of a normalised value
SIDES = ("ours", "stock")


class Worker:
    """One side in its own process: `ask(do=..., ...)` returns what it measured."""

    def __init__(self, side: str, log: Path) -> None:
        environment = {**os.environ, "MAX_PIXELS": str(LIMIT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        environment |= {"HF_HUB_OFFLINE": "1", "GROUNDSWIFT_EXACT_PIXELS": "", "GROUNDSWIFT_EVAL_TOKENS": ""}
        command = [sys.executable, str(HERE / "training_worker.py"), side]
        self.log = log
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def answer(self) -> dict[str, Any]:
        for line in self.process.stdout:
            if line.startswith("RESULT "):
                return json.loads(line.removeprefix("RESULT "))
        raise SystemExit(f"a worker ended before it answered:\n{self.log.read_text()[-3000:]}")

    def ask(self, **asked: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def photograph(path: Path, size_wh: tuple[int, int], seed: int) -> None:
    """A JPEG of quality 90 with the spectrum of photographs: detail at every scale, amplitude falling with frequency."""
    rng, (width, height) = np.random.default_rng(seed), size_wh
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    grey, *tints = (
        np.fft.irfft2((rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)) / frequency, s=(height, width))
        for _ in range(4)
    )
    colours = np.stack([grey + 0.2 * tint for tint in tints], axis=-1)
    Image.fromarray((128 + 45 * colours / colours.std()).clip(0, 255).astype(np.uint8)).save(path, quality=90)


def detection_rows(folder: Path, size_wh: tuple[int, int], count: int) -> list[dict[str, Any]]:
    """Rows of three boxes each."""
    rows, (width, height) = [], size_wh
    for number in range(count):
        path = folder / f"{width}x{height}-{number}.jpg"
        if not path.exists():
            photograph(path, size_wh, number)
        boxes = [[8, 8, width / 4, height / 2], [width / 3, 9, width / 2, height - 3], [0, 0, width, height]]
        question = "<image>Detect every object of these categories: cat, dog."
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "<ref-object><bbox>" * 3}]
        rows.append({"messages": messages, "images": [str(path)], "objects": {"ref": ["cat", "dog", "cat"], "bbox": boxes}})
    return rows


def compared(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians of both sides, and how many times as fast ours is."""
    found = {side: {name: statistics.median(run[name] for run in runs[side]) for name in ("cpu", "wall")} for side in SIDES}
    return found | {"ratio": {name: found["stock"][name] / found["ours"][name] for name in ("cpu", "wall")}}


def encoding(workers: dict[str, Worker], folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Each kind of image: seconds a row, whether tokens are equal, and how far pixels differ in steps of 1/255."""
    result = {}
    for name, (size_wh, max_pixels) in ENCODED.items():
        rows = detection_rows(folder, size_wh, count)
        runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for number in tqdm(range(rounds), desc=f"encoding {name}", unit="round"):
            for side in SIDES if number % 2 else SIDES[::-1]:
                pixels = None if number else str(folder / f"{side}.pt")
                runs[side].append(workers[side].ask(do="encode", rows=rows, max_pixels=max_pixels, pixels=pixels))
        equal = len({run["tokens"] for side in SIDES for run in runs[side]}) == 1
        result[name] = compared(runs) | {"equal": equal, "pixels": pixel_difference(folder)}
    return result


def pixel_difference(folder: Path) -> dict[str, float]:
    import torch

    ours, stock = (torch.load(folder / f"{side}.pt") for side in SIDES)
    apart = [(one - other).abs() * LEVEL for one, other in zip(ours, stock, strict=True) if one.shape == other.shape]
    return {"mean": float(torch.cat(apart).mean()), "max": float(torch.cat(apart).max())} if apart else {"mean": np.nan, "max": np.nan}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def step(workers: dict[str, Worker], folder: Path, steps: int, rounds: int) -> dict[str, Any]:
    """Seconds of a LoRA step, medians over all steps but the first of each training."""
    data = write(folder / "step.jsonl", detection_rows(folder, (1280, 960), 4))
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in tqdm(range(rounds), desc="step", unit="round"):
        for side in SIDES:
            runs[side] += workers[side].ask(do="step", data=data, steps=steps, out=str(folder / f"step-{side}-{number}"))["steps"]
    return compared(runs)


def drawn_rows(folder: Path, count: int) -> str:
    """Rows of what the quickstart's model knows, converted from COCO by the command."""
    images, file = folder / "toys", folder / "toys.jsonl"
    draw = [sys.executable, str(HERE.parent / "recipes" / "quickstart" / "draw.py"), "toys", "--count", str(count), "--seed", "3"]
    subprocess.run([*draw, "--out", str(images)], check=True, stdout=subprocess.DEVNULL)
    code = "from groundswift.cli import main\nmain()"
    convert = ["convert", "coco", str(images / "annotations.json"), "--images", str(images / "images"), "--out", str(file)]
    subprocess.run([sys.executable, "-c", code, *convert], check=True, stdout=subprocess.DEVNULL)
    return str(file)


def evaluation(workers: dict[str, Worker], folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Seconds of an evaluation of so many rows, and whether every answer is the same."""
    rows = drawn_rows(folder, count)
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    answers = set()
    for number in tqdm(range(rounds), desc="evaluation", unit="round"):
        for side in SIDES:
            out = folder / f"evaluation-{side}-{number}"
            runs[side].append(workers[side].ask(do="evaluation", data=rows, validation=rows, out=str(out)))
            answers.add(tuple(answers_of(out)))
    return compared(runs) | {"rows": count, "equal": len(answers) == 1 and len(answers.pop()) == count}


def answers_of(out: Path) -> list[tuple[str, str]]:
    """(image, answer) of each row of a training's predict.jsonl, in its order."""
    file = next(out.rglob("predict.jsonl"))
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [(json.dumps(row["images"]), row["response"]) for row in rows]


def lines_of(result: dict[str, Any]) -> list[str]:
    """The figures as text."""
    lines = []
    for name, found in result.get("encoding", {}).items():
        lines.append(f"encoding, {name:<23}{sides(found, per_second=True)}  {reached(found, 'encoding' if name == '1280x960' else None)}")
        same = "tokens, labels and grids equal" if found["equal"] else "TOKENS DIFFER"
        pixels = f"mean {found['pixels']['mean']:.4f}, at most {found['pixels']['max']:.1f}"
        lines.append(f"    {same}; pixels differ by {pixels} steps of 1/255")
    if "step" in result:
        lines.append(f"{'one LoRA step':<33}{sides(result['step'])}  {reached(result['step'])}")
    if "evaluation" in result:
        found = result["evaluation"]
        lines.append(f"evaluation of {found['rows']:>4} rows{'':<14}{sides(found)}  {reached(found, 'evaluation')}")
        lines.append("    answers equal, row by row" if found["equal"] else "    ANSWERS DIFFER")
    return lines


def sides(found: dict[str, Any], per_second: bool = False) -> str:
    unit = "rows/s" if per_second else "s"
    shown = {side: 1 / found[side]["cpu"] if per_second else found[side]["cpu"] for side in SIDES}
    return f"ours {shown['ours']:8.3f} {unit}  stock {shown['stock']:8.3f} {unit}"


def reached(found: dict[str, Any], target: str | None = None) -> str:
    text = f"ratio {found['ratio']['cpu']:5.2f} by CPU, {found['ratio']['wall']:5.2f} by wall time"
    return text + (f" (target: at least {TARGETS[target]})" if target else "")


def wrong(result: dict[str, Any]) -> bool:
    """Whether ours does other work than stock swift."""
    found = [*result.get("encoding", {}).values(), result.get("evaluation", {})]
    return not all(each.get("equal", True) for each in found)


def main() -> int:
    options = options_of(
        __doc__,
        only={"choices": ["encoding", "step", "evaluation"], "help": "only this table"},
        rows={"type": int, "default": 8, "help": "images of each size (default: %(default)s)"},
        steps={"type": int, "default": 5, "help": "of each training (default: %(default)s)"},
        validation={"type": int, "default": 64, "help": "rows to evaluate (default: %(default)s)"},
        rounds=rounds(5),
        json=JSON,
    )
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workers = {side: Worker(side, folder / f"{side}.log") for side in SIDES}
        for worker in workers.values():
            worker.answer()  # both have started
        tables = {"encoding": (encoding, options.rows), "step": (step, options.steps), "evaluation": (evaluation, options.validation)}
        for table in [options.only] if options.only else tables:
            measure, count = tables[table]
            result[table] = measure(workers, folder, count, options.rounds)
        for worker in workers.values():
            worker.close()
    show(result, options.json, lines_of(result))
    return 1 if wrong(result) else 0


if __name__ == "__main__":
    sys.exit(main())
