"""A small real COCO dataset: images drawn with Pillow, one EXIF-rotated, and an annotation file that a test may change."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from source_examples import example, lay_out

from groundswift.worker_pool import WorkerPool

SMALL = {
    "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
    "images": [
        {"id": 11, "file_name": "plain.jpg", "width": 64, "height": 48},
        {"id": 12, "file_name": "sub/turned.jpg", "width": 40, "height": 60},
        {"id": 13, "file_name": "empty.png", "width": 20, "height": 20},
        {"id": 14, "file_name": "crowd.jpg", "width": 20, "height": 20},
        {"id": 15, "file_name": "mixed.jpg", "width": 20, "height": 20},
    ],
    "annotations": [
        {"id": 1, "image_id": 11, "category_id": 3, "bbox": [30, 5, 10, 10], "area": 100, "iscrowd": 0},
        {"id": 2, "image_id": 11, "category_id": 7, "bbox": [10, 20, 8, 6], "area": 48, "iscrowd": 0},
        {"id": 3, "image_id": 11, "category_id": 7, "bbox": [2, 20, 8.5, 6], "area": 51, "iscrowd": 0},
        {"id": 4, "image_id": 11, "category_id": 3, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0},
        {"id": 5, "image_id": 12, "category_id": 3, "bbox": [-0.5, 50, 20, 12], "area": 240, "iscrowd": 0},
        {"id": 6, "image_id": 14, "category_id": 7, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 1},
        {"id": 7, "image_id": 15, "category_id": 3, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 1},
        {"id": 8, "image_id": 15, "category_id": 7, "bbox": [0, 0, 20.25, 20], "area": 405, "iscrowd": 0},
    ],
}


def draw_image(path: Path, stored_wh: tuple[int, int], orientation: int = 1) -> None:
    """A grey image whose pixels are stored `stored_wh`, with an EXIF orientation."""
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", stored_wh, "grey").save(path, exif=exif)


@pytest.fixture
def draw() -> Callable[..., None]:
    return draw_image


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for name in ("plain.jpg", "empty.png", "crowd.jpg", "mixed.jpg"):
        draw_image(folder / name, (64, 48) if name == "plain.jpg" else (20, 20))
    draw_image(folder / "sub/turned.jpg", (60, 40), orientation=6)
    return folder


@pytest.fixture
def small() -> dict:
    """The content of the annotation file, for a test to change."""
    return deepcopy(SMALL)


@pytest.fixture
def annotate(tmp_path: Path) -> Callable[[dict], Path]:
    """Write an annotation file as other people's tools do (Python's JSON, NaN included) -> its path."""

    def write(coco: dict) -> Path:
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(coco), encoding="utf-8")
        return path

    return write


@pytest.fixture
def laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Write the source of a format's example and work in its folder -> the arguments of the example."""

    def write(name: str) -> list[str]:
        lay_out(name, tmp_path)
        monkeypatch.chdir(tmp_path)
        return example(name)

    return write


@pytest.fixture(autouse=True)
def _handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes would share is pickled and read back, however little there is to do: a small source never leaves this process."""
    in_order = WorkerPool.in_order

    def checked(self: WorkerPool, tasks: Iterable[Any], work: Callable[[Any], Any], **how: Any) -> Iterator[Any]:
        if self.count > 1:
            tasks, work = (pickle.loads(pickle.dumps(task)) for task in tasks), pickle.loads(pickle.dumps(work))
        return in_order(self, tasks, work, **how)

    monkeypatch.setattr(WorkerPool, "in_order", checked)
