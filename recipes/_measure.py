"""Measure the trainings of single-GPU recipes: memory, tokens per second, seconds per step. Run by measure_gpu.sh.

Each recipe's own `swift sft` command runs for a few steps on random weights of the published sizes and on generated rows, with sdpa and, if
installed, with flash attention. Figures of a GPU are written into the heads; those of a CPU never are.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shlex
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import _inventory

RECIPES = Path(__file__).resolve().parent
TINY_MODELS = RECIPES.parent / "tests" / "helpers" / "tiny_models.py"
ROWS, SIZE_WH, BOXES = 64, (1280, 960), 8  # of the generated data
MESSAGES = [
    {"role": "user", "content": "<image>Detect every object of these categories: car, person."},
    {"role": "assistant", "content": "<ref-object><bbox>" * BOXES},
]
MEASURE = (
    *("--eval_strategy", "no", "--save_strategy", "no", "--report_to", "none", "--check_model", "false"),
    *("--include_num_input_tokens_seen", "true", "--external_plugins", str(RECIPES / "_measure_callback.py"), "--callbacks", "measure"),
)
ON_CPU = (
    *("--torch_dtype", "float32", "--fp16", "false", "--use_cpu", "true", "--dataloader_num_workers", "0"),
    *("--gradient_accumulation_steps", "2", "--gradient_checkpointing", "false"),
)
SMALL = {"MIN_PIXELS": "3136", "MAX_PIXELS": "12544"}
TINY = r"^# Tiny .*MODEL=@(\w+)"  # in the head: a tiny model of the same class
NEEDED = 40  # seconds that a measurement takes at least; none is started with less left


def measurable(paths: list[str]) -> list[_inventory.Head]:
    """Heads of recipes that train on one GPU and have a tiny model to take the tokenizer from; those named, or all."""
    heads = [head for head in _inventory.read_heads() if not paths or head.path in paths]
    unknown = set(paths) - {head.path for head in heads}
    if unknown:
        expected = "paths as in recipes/README.md, e.g. detection/qwen2_5_vl_lora.sh"
        sys.exit(f"error: no recipe {', '.join(sorted(unknown))}; expected {expected}")
    return [head for head in heads if head.values["Hardware"].startswith("1 GPU") and training(head) and (paths or tiny_name(head))]


def tiny_name(head: _inventory.Head) -> str | None:
    """The tiny model of a recipe's class: of its own line Tiny, or of another recipe with the same model type."""
    names = {named(other, r"--model_type (\w+)"): tiny for other in _inventory.read_heads() if (tiny := named(other, TINY))}
    return named(head, TINY) or names.get(named(head, r"--model_type (\w+)"))


def named(head: _inventory.Head, pattern: str) -> str | None:
    """The group of a pattern in the text of a recipe; None where it is not there."""
    found = re.search(pattern, (RECIPES / head.path).read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else None


def training(head: _inventory.Head, **variables: str) -> list[str]:
    """The words of a recipe's `swift sft` command, environment variables first; empty where it has none."""
    environment = {**os.environ, "DRY_RUN": "1", **variables}
    shown = subprocess.run(["bash", str(RECIPES / head.path)], env=environment, capture_output=True, text=True)
    lines = [shlex.split(line[2:]) for line in shown.stdout.splitlines() if line.startswith("+ ")]
    return next((line for line in lines if "swift" in line and "sft" in line), [])


def draw_rows(folder: Path) -> Path:
    """Images of random stripes and rows with boxes on them; their content does not matter for speed, their size and length do."""
    import numpy as np
    from PIL import Image

    rng, rows = np.random.default_rng(0), []
    (folder / "images").mkdir(parents=True)
    width, height = SIZE_WH
    for number in range(ROWS):
        path = folder / "images" / f"{number}.jpg"
        Image.fromarray(rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)).resize(SIZE_WH).save(path)
        corners = rng.integers(0, (width // 2, height // 2), (BOXES, 2))
        boxes = [[int(x), int(y), int(x) + width // 3, int(y) + height // 3] for x, y in corners]
        objects = {"ref": ["car", "person"] * (BOXES // 2), "bbox": boxes}
        rows.append({"messages": MESSAGES, "images": [str(path)], "objects": objects})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_model(head: _inventory.Head, work: Path, tiny: bool) -> Path | None:
    """A folder with random weights of the recipe's model, made once; None, with the reason printed, where it cannot be made."""
    name, published = tiny_name(head), named(head, r"^MODEL=\$\{MODEL:-([^}]+)\}")
    if name is None or published is None:
        print(f"{head.path}: skipped, no tiny model of its class", flush=True)
        return None
    like = Path(run([sys.executable, str(TINY_MODELS), name, str(work / "tiny")]).stdout.split("\n")[-2])
    model = str(like) if tiny else published
    out = work / f"random-{name if tiny else model.rpartition('/')[2]}"
    if not out.exists():
        command = [sys.executable, "-m", "groundswift.swift_plugins.tools.random_model", model, "--like", str(like), "--out", str(out)]
        made = run(command, check=False)
        if made.returncode:
            print(f"{head.path}: skipped, {made.stderr.strip().splitlines()[-1]}", flush=True)
            return None
    return out


def run(command: list[str], check: bool = True, **more: Any) -> subprocess.CompletedProcess:
    return subprocess.run(command, check=check, capture_output=True, text=True, **more)


def measure(head: _inventory.Head, attention: str, model: Path, rows: Path, work: Path, args: argparse.Namespace) -> dict[str, Any] | None:
    """Run a recipe's training for a few steps; what the callback wrote, None with the end of its log where it failed."""
    out = work / f"{head.path.replace('/', '-')}-{attention}"
    out.mkdir(exist_ok=True)
    variables = {"MODEL": str(model), "TRAIN": str(rows), "VAL": str(rows), "OUT": str(out), **(SMALL if args.tiny else {})}
    words = training(head, **variables)
    last = ["--output_dir", str(out / "train"), "--max_steps", str(args.steps + 2), "--logging_steps", "1", "--attn_impl", attention]
    command = ["env", *words, *MEASURE, *last, *(ON_CPU if args.tiny else ())]
    environment = {**os.environ, **variables, "MEASURED": str(out / "measured.json"), "HF_HUB_OFFLINE": "1"}
    with open(out / "log.txt", "w", encoding="utf-8") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode or not (out / "measured.json").exists():
        print(f"{head.path} {attention}: failed, the end of {out / 'log.txt'}:", flush=True)
        print("\n".join(f"    {line[:200]}" for line in (out / "log.txt").read_text(errors="replace").splitlines()[-8:]), flush=True)
        return None
    return json.loads((out / "measured.json").read_text()) | {"attention": attention}


def sentence(found: dict[str, Any]) -> str:
    """The speed in words; `groundswift plan` reads the number before `s/step`."""
    speed = f"{found['tokens_per_second']:,.0f} tokens/s with {found['attention']}"
    return f"{found['seconds_per_step']:.2f} s/step of {found['rows_per_step']} rows, {speed}"


def write_head(path: Path, measured: list[dict[str, Any]], day: str, commit: str) -> None:
    """Set the lines Memory and Rate of a head to figures of a GPU. Raises ValueError for figures of a CPU."""
    if any(found["device"] == "cpu" for found in measured):
        raise ValueError(f"{path}: figures of a CPU are not written into a head")
    where = f"({day}, {commit}, {measured[0]['device']}, random weights, {SIZE_WH[0]} x {SIZE_WH[1]} px)"
    memory = ", ".join(f"{found['memory_gb']:.1f} GB with {found['attention']}" for found in measured)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# Rate ")]
    place = next(number for number, line in enumerate(lines) if line.startswith("# Memory "))
    rate = "; ".join(map(sentence, measured))
    lines[place : place + 1] = [f"# Memory    {memory}, peak of the GPU {where}", f"# Rate      {rate} {where}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def attentions(head: _inventory.Head, tiny: bool) -> list[str]:
    """The attention implementations to compare; packing and padding-free training have only one."""
    flash = "--attn_impl flash_attn" in (RECIPES / head.path).read_text(encoding="utf-8")
    available = find_spec("flash_attn") is not None and not tiny
    return (["flash_attn"] if available else []) if flash else ["sdpa", *(["flash_attn"] if available else [])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help="e.g. detection/qwen2_5_vl_lora.sh  [default: all that train on one GPU]")
    parser.add_argument("--work", type=Path, required=True, help="folder for random models, rows and logs")
    parser.add_argument("--steps", type=int, default=5, help="optimizer steps to measure, after two warm-up steps")
    parser.add_argument("--seconds", type=float, default=540, help="start no measurement after these")
    parser.add_argument("--tiny", action="store_true", help="tiny models on the CPU: test run, writes no head")
    args = parser.parse_args()
    begun, rows, results = time.monotonic(), draw_rows(args.work / "rows"), {}
    day = datetime.date.today().isoformat()
    commit = run(["git", "-C", str(RECIPES), "rev-parse", "--short", "HEAD"], check=False).stdout.strip() or "no commit"
    for head in measurable(args.recipes):
        left, names = args.seconds - (time.monotonic() - begun), attentions(head, args.tiny)
        if left < NEEDED or not names:
            reason = f"{left:.0f} s are left" if left < NEEDED else "flash_attn is not installed"
            print(f"{head.path}: skipped, {reason}", flush=True)
            continue
        model = make_model(head, args.work, args.tiny)
        found = [measure(head, name, model, rows, args.work, args) for name in names] if model else []
        measured = [each for each in found if each]
        for each in measured:
            print(f"{head.path}: {each['memory_gb']:.1f} GB, {sentence(each)} ({each['device']})", flush=True)
        results[head.path] = measured
        if measured and not args.tiny:
            write_head(RECIPES / head.path, measured, day, commit)
    (args.work / "measured.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    if not any(results.values()):
        sys.exit("error: nothing was measured")


if __name__ == "__main__":
    main()
