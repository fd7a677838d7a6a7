"""Thumbnails: each image decoded once at reduced size, a small JPEG of it, as text for the page. Workers share the images."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from groundswift.errors import GroundswiftError
from groundswift.images import OpenedImage
from groundswift.worker_pool import WorkerPool, processors

from .image_index import CHUNK, path_of

ALONE = 128  # images that are decoded sooner than another process starts
ENLARGED = 1.5  # times the wanted side that a decoded image may have without a resize
RESIZED = 1.25  # times the wanted side that it is resized to


class Look(NamedTuple):
    """How a thumbnail is made: its longer side in px, at least and up to 1.5 times that; JPEG quality; bytes that it should not exceed."""

    side: int
    quality: int
    most_bytes: int


# images in a page, at most -> how each is shown, so that the file stays below 60 MB
LOOKS = {400: Look(480, 80, 90_000), 1_500: Look(256, 70, 25_000), 8_000: Look(160, 65, 8_000), 25_000: Look(112, 55, 3_500)}
LOOK_OF_A_SERVER = Look(256, 75, 60_000)
MOST_EMBEDDED = max(LOOKS)
MOST_UNASKED = min(LOOKS)  # images that a report shows where no --images says that it should


class Task(NamedTuple):
    """An image to show. `path` is None where it may not be opened."""

    path: str | None
    size_wh: tuple[int, int]
    look: Look


def look_for(count: int) -> Look:
    """How that many images are shown in one file."""
    return next((look for most, look in LOOKS.items() if count <= most), LOOKS[MOST_EMBEDDED])


def common_folder(files: Sequence[str]) -> Path | None:
    """The folder that all images are in; None where one is named without its whole path or is not there, and for so many that their
    thumbnails take long."""
    if not 0 < len(files) <= MOST_UNASKED or not all(os.path.isabs(name) and "\0" not in name and os.path.isfile(name) for name in files):
        return None
    folder = Path(os.path.commonpath([os.path.dirname(name) for name in files]))
    return None if folder == Path(folder.anchor) else folder


def jpeg(image: Image.Image, look: Look) -> bytes:
    """The image as a JPEG, of half the quality where it would be too large."""
    if max(image.size) > ENLARGED * look.side:
        side = look.side * RESIZED
        image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=1.5)
    for quality in (look.quality, look.quality // 2):
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= look.most_bytes:
            break
    return buffer.getvalue()


def thumbnail(task: Task) -> str | list[Any]:
    """JPEG in base64; or [JPEG or "", key of a note, its places] where something is to be said of the image."""
    if task.path is None:
        return ["", "note.outside", {}]
    try:
        opened = OpenedImage(task.path)
        text = base64.b64encode(jpeg(opened.decode_small(task.look.side), task.look)).decode("ascii")
    except GroundswiftError as error:
        return ["", "note.error", {"error": str(error).replace(task.path, os.path.basename(task.path))}]
    if opened.size_wh == tuple(task.size_wh) or not all(task.size_wh):
        return text
    return [text, "note.size", {"file": "×".join(map(str, opened.size_wh)), "stated": "×".join(map(str, task.size_wh))}]


def thumbnail_chunks(
    files: Sequence[str], sizes_wh: dict[str, tuple[int, int]], images_dir: Path, look: Look, workers: int = 0
) -> Iterator[list[str | list[Any]]]:
    """Thumbnails of all files, in chunks. `workers`: processes, by default one per CPU where there are many images."""
    tasks = [Task(path_of(name, images_dir), sizes_wh[name], look) for name in files]
    with WorkerPool(workers or (processors() if len(tasks) > ALONE else 1)) as pool:
        chunk = []
        for each in pool.in_order(tasks, thumbnail):
            chunk.append(each)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
