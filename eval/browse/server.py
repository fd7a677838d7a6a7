"""The report from a server: the same page, whose data and images are sent when they are shown.

Images are asked for by their number in the run, never by a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from pathlib import Path

from groundswift.file_guard import regular_size

from ..report.image_index import CHUNK, data_chunk, path_of
from ..report.page import Report, head_chunks, json_bytes, setup_of
from ..report.thumbnails import LOOK_OF_A_SERVER, Task, thumbnail
from .page_server import Part, bytes_part, part_of_file

KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif", ".bmp": "bmp", ".avif": "avif"}
KEPT = 64  # chunks of thumbnails in memory


class Site:
    """All that the server can answer, by address; None for what is not there."""

    def __init__(self, report: Report, images_dir: Path | None) -> None:
        self.report, self.images_dir = report, images_dir
        self.place_of = {name: place for place, name in enumerate(report.classes)}
        self.sizes = {image.file_name: image.size_wh for image in reversed(report.shown.images)}
        files = len(report.shown.files)
        setup = setup_of(report, None if images_dir is None else True, images_dir, files, served=True)
        self.page = b"".join(chain(head_chunks(report, setup, files), [b"</body>\n</html>\n"]))
        self.thumbnails = lru_cache(KEPT)(self._thumbnails)
        self.routes: dict[str, Callable[[int], Part | None]] = {
            r"/chunk/d(\d{1,9})\.json": self.data,
            r"/chunk/t(\d{1,9})\.json": lambda number: self.thumbnails(number),
        }

    def answer(self, address: str, wanted_range: str = "") -> Part | None:
        """What is at an address."""
        if address == "/":
            return bytes_part("text/html; charset=utf-8", self.page)
        if found := re.fullmatch(r"/image/(\d{1,9})", address):
            return self.image(int(found[1]), wanted_range)
        for pattern, make in self.routes.items():
            if found := re.fullmatch(pattern, address):
                return make(int(found[1]))
        return None

    def data(self, number: int) -> Part | None:
        """Boxes and texts of a chunk of images."""
        rows = data_chunk(self.report.shown, number, self.place_of)
        return json_part(rows) if rows else None

    def _thumbnails(self, number: int) -> Part | None:
        files = self.report.shown.files[number * CHUNK : (number + 1) * CHUNK]
        if not files or self.images_dir is None:
            return None
        return json_part([thumbnail(Task(path_of(name, self.images_dir), self.sizes[name], LOOK_OF_A_SERVER)) for name in files])

    def image(self, number: int, wanted_range: str) -> Part | None:
        """The file of an image that the run names, whole or a part of it; None where it is outside the folder."""
        files = self.report.shown.files
        path = path_of(files[number], self.images_dir) if self.images_dir is not None and number < len(files) else None
        kind = KINDS.get(os.path.splitext(path or "")[1].lower())
        if path is None or kind is None:
            return None
        try:
            size = regular_size(path)
        except (OSError, ValueError):
            return None
        return part_of_file(f"image/{kind}", Path(path), size, wanted_range)


def json_part(value: object) -> Part:
    """An answer in JSON."""
    return bytes_part("application/json", json_bytes(value))
