"""Frames: which of a source's images are taken, and each as a JPEG that is ready to be sent."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .jpeg import jpeg_of
from .settings import Settings

THUMBNAIL_WH = (96, 72)
GREY_STEP = 12  # of 255: a smaller difference is a camera's noise
QUARTERS = {90: 1, 180: 2, 270: 3}  # turns against the clock


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
    """Images of PyAV or Pillow as frames, numbered from 1. One reformatter serves all frames: to make one takes as long as its work."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.count, self.reformatter = settings, 0, None

    def frame(self, image: Any, time_s: float) -> Frame:
        """Encode one image. Raises ValueError where JPEG cannot hold it."""
        ready_s, at = time.perf_counter(), time.time()
        pixels = self.pixels(image)
        jpeg = jpeg_of(pixels, self.settings.quality)
        self.count += 1
        small = None if self.settings.only_on_change is None else thumbnail_of(pixels)
        return Frame(self.count, time_s, ready_s, at, jpeg, (pixels.shape[1], pixels.shape[0]), small)

    def pixels(self, image: Any) -> np.ndarray:
        """An upright image, (height, width, 3) uint8 RGB, its longer side at most --max-side px."""
        wanted = reduced_wh((image.width, image.height), self.settings.max_side)
        if isinstance(image, Image.Image):
            return np.asarray(image if image.size == wanted else image.resize(wanted, Image.Resampling.BILINEAR))
        if self.reformatter is None:
            from av.video.reformatter import VideoReformatter

            self.reformatter = VideoReformatter()
        pixels = self.reformatter.reformat(image, *wanted, "rgb24").to_ndarray()
        quarters = QUARTERS.get(int(image.rotation) % 360)
        return pixels if quarters is None else np.ascontiguousarray(np.rot90(pixels, quarters))


def reduced_wh(size_wh: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """The size with its longer side at most `max_side` px."""
    scale = min(1.0, max_side / max(size_wh)) if max_side else 1.0
    return max(1, round(size_wh[0] * scale)), max(1, round(size_wh[1] * scale))


def thumbnail_of(pixels: np.ndarray) -> np.ndarray:
    """A small grey image, (72, 96) uint8."""
    height, width = pixels.shape[:2]
    factor = max(1, min(width // THUMBNAIL_WH[0], height // THUMBNAIL_WH[1]))
    reduced = Image.fromarray(pixels).reduce(factor)
    return np.asarray(reduced.convert("L").resize(THUMBNAIL_WH, Image.Resampling.BOX))


def changed_share(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the image, 0 to 1, whose grey differs by more than GREY_STEP."""
    return float(np.mean(np.abs(before.astype(np.int16) - after) > GREY_STEP))
