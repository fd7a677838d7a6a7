"""One image in each of the 8 orientations, and what a model's own code sees of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from rows import noise

from orientations import STORED_BY


def in_every_orientation(folder: Path) -> tuple[np.ndarray, dict[int, Path]]:
    """(the upright pixels (height, width, 3), a file of them by EXIF orientation)."""
    upright = Image.open(noise(folder / "upright.png", (70, 42))).convert("RGB")
    paths = {}
    for orientation, turn in STORED_BY.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        paths[orientation] = folder / f"{orientation}.png"
        (upright if turn is None else upright.transpose(turn)).save(paths[orientation], exif=exif)
    return np.asarray(upright), paths


def seen(image: Image.Image | str) -> np.ndarray:
    """The pixels (height, width, 3) that a model's own code gets of what a template hands on, an image or a path: it ignores EXIF."""
    if isinstance(image, str):
        with Image.open(image) as opened:
            return np.asarray(opened.convert("RGB"))
    return np.asarray(image.convert("RGB"))
