"""Images that a stage writes: encoded in memory, then written whole or not at all."""

from __future__ import annotations

from io import BytesIO

import msgspec
from PIL import Image

from groundswift.errors import GroundswiftError
from groundswift.images import open_image

from ..file_io.embedded_images import write_image
from ..issues import Issue, IssueLog


class NewImages(msgspec.Struct, frozen=True):
    """Where new images go, and how they are encoded."""

    folder: str
    format: str
    quality: int

    def save(self, image: Image.Image, name: str, thing: str, log: IssueLog) -> str | None:
        """Write an image as `name` with its suffix -> its path; None, and a problem is logged, where that cannot be."""
        data = BytesIO()
        if self.format == "png":
            image.save(data, "PNG")
        else:
            image.save(data, "JPEG", quality=self.quality, subsampling=0 if self.quality >= 90 else 2)
        return write_image(self.folder, f"{name}.{self.format}", data.getvalue(), thing, log, durable=False)


def decoded(path: str, log: IssueLog) -> Image.Image | None:
    """The upright RGB image; None, and a problem is logged, where it is missing or broken."""
    try:
        return open_image(path)
    except GroundswiftError as error:
        log.add(Issue.of("image-unreadable", path, str(error).removeprefix(f"{path}: "), "an image that Pillow can open"))
        return None
