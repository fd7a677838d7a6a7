"""Small data for recipes, drawn once: what `TRAIN=@NAME` in the head of a recipe stands for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = 6
SETS = {"train": 21, "test": 22}  # name of a drawn set -> seed


def command(*words: str | Path) -> None:
    """Run a command of this interpreter's environment to its end."""
    subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)


def drawn(folder: Path, name: str) -> Path:
    """A drawn set of the quickstart's second domain, as COCO and as rows."""
    base = folder / name
    if not base.exists():
        command(sys.executable, ROOT / "recipes/quickstart/draw.py", "toys", "--count", str(ROWS), "--seed", str(SETS[name]), "--out", base)
        groundswift = Path(sys.executable).with_name("groundswift")
        command(groundswift, "convert", "coco", base / "annotations.json", "--images", base / "images", "--out", base / "rows.jsonl")
    return base


def coco_rows(folder: Path, name: str) -> Path:
    return drawn(folder, name) / "rows.jsonl"


def ground_truth(folder: Path) -> Path:
    return drawn(folder, "test") / "annotations.json"


def images(folder: Path) -> Path:
    return drawn(folder, "test") / "images"


def referring(folder: Path) -> Path:
    """Rows of one bare box an answer, made of the first object of each drawn image."""
    path = folder / "referring.jsonl"
    rows = []
    for line in coco_rows(folder, "test").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        objects = row.get("objects") or {}
        if objects.get("bbox"):
            row["messages"] = [
                {"role": "user", "content": "<image>Where is the <ref-object>?"},
                {"role": "assistant", "content": "<bbox>"},
            ]
            row["objects"] = {"ref": objects["ref"][:1], "bbox": objects["bbox"][:1]}
            rows.append(json.dumps(row))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def captions(folder: Path) -> Path:
    """Rows of a caption an image."""
    path = folder / "captions.jsonl"
    rows = []
    for line in coco_rows(folder, "train").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        labels = (row.pop("objects", None) or {}).get("ref", [])
        text = f"{len(labels)} shapes: {', '.join(labels)}" if labels else "nothing"
        row["messages"] = [{"role": "user", "content": "<image>Describe the image."}, {"role": "assistant", "content": text}]
        rows.append(json.dumps(row))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


DATA: dict[str, Callable[[Path], Path]] = {
    "train": lambda folder: coco_rows(folder, "train"),
    "test": lambda folder: coco_rows(folder, "test"),
    "gt": ground_truth,
    "images": images,
    "referring": referring,
    "captions": captions,
}
