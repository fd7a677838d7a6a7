"""Frames: which of a source's images are taken, and each as a JPEG that is ready to be sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .settings import Settings

THUMBNAIL_WH = (96, 72)
GREY_STEP = 12  # of 255: a smaller difference is a camera's noise
TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


class Frame(NamedTuple):
    """One frame. `time_s`: in the source; `ready_s`: of time.perf_counter, when the source gave it; `at`: of time.time."""

    number: int
    time_s: float
    ready_s: float
    at: float
    jpeg: bytes
    size_wh: tuple[int, int]
    thumbnail: np.ndarray | None  # (72, 96) uint8 grey


class Sampler:
    """Takes at most `fps` images a second of the source's time."""

    def __init__(self, fps: float) -> None:
        self.fps, self.last = fps, -1

    def takes(self, time_s: float) -> bool:
        """Whether the image at this time is the first of its slot; a source that began again starts anew."""
        slot = int(time_s * self.fps + 1e-6)
        if slot == self.last:
            return False
        self.last = slot
        return True


class Encoder:
    """Images of PyAV or Pillow as frames, numbered from 1."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.count = settings, 0

    def frame(self, image: Any, time_s: float) -> Frame:
        """Encode one image."""
        ready_s, at, buffer = time.perf_counter(), time.time(), BytesIO()
        shown = to_pillow(image, self.settings.max_side)
        shown.save(buffer, "JPEG", quality=self.settings.quality)
        self.count += 1
        small = None if self.settings.only_on_change is None else thumbnail_of(shown)
        return Frame(self.count, time_s, ready_s, at, buffer.getvalue(), shown.size, small)


def to_pillow(image: Any, max_side: int | None) -> Image.Image:
    """An upright RGB image, its longer side at most `max_side` px."""
    size_wh = image.width, image.height
    scale = min(1.0, max_side / max(size_wh)) if max_side else 1.0
    wanted = tuple(max(1, round(side * scale)) for side in size_wh)
    if isinstance(image, Image.Image):
        return image if scale == 1 else image.resize(wanted, Image.Resampling.BILINEAR)
    turn = TURNS.get(int(image.rotation) % 360)
    shown = image.to_image(width=wanted[0], height=wanted[1])
    return shown if turn is None else shown.transpose(turn)


def thumbnail_of(image: Image.Image) -> np.ndarray:
    """A small grey image, (72, 96) uint8."""
    reduced = image.reduce(max(1, min(image.width // THUMBNAIL_WH[0], image.height // THUMBNAIL_WH[1])))
    return np.asarray(reduced.convert("L").resize(THUMBNAIL_WH, Image.Resampling.BOX))


def changed_share(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the image, 0 to 1, whose grey differs by more than GREY_STEP."""
    return float(np.mean(np.abs(before.astype(np.int16) - after) > GREY_STEP))


def paced(shots: Iterator[tuple[float, Any]], stop: Any) -> Iterator[tuple[float, Any]]:
    """Images of a file at their own speed, as a camera would give them."""
    started = time.monotonic()
    for time_s, image in shots:
        if stop.wait(max(0.0, started + time_s - time.monotonic())):
            return
        yield time_s, image
