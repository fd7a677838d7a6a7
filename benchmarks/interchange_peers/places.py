"""Where a peer wrote, and the boxes that it found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

EDGES = ["--corners", "edges"]  # of VOC files with the lines between pixels
Boxes = list[list[Any]]  # class, x1, y1, x2, y2 in px
Place = dict[str, Any]


def place_of(source: Path, images: Path, *options: str) -> Place:
    """Where a peer wrote, and how it is read."""
    return {"source": str(source), "images": str(images), "options": list(options)}


def by_file(pairs: Iterable[tuple[str, str, Iterable[float]]]) -> dict[str, Boxes]:
    """(image, class, x1 y1 x2 y2) of each box -> the boxes by the name of their image."""
    found: dict[str, Boxes] = {}
    for name, label, box in pairs:
        found.setdefault(os.path.basename(name), []).append([label, *map(float, box)])
    return found


def yolo_place(data: Any, out: Path) -> Place:
    """Labels of YOLO with what users put to them: the images, and classes.txt."""
    shutil.copytree(data.images, out / "images")
    (out / "classes.txt").write_text("".join(f"{name}\n" for name in data.classes), encoding="utf-8")
    return place_of(out, out / "images")
