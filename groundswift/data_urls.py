"""Images in the text of a request: data URLs that every server shows upright."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image

from .errors import ImageUnreadable
from .images import open_image, orientation_of

SENT_AS_STORED = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp"}


def data_url(data: bytes) -> str:
    """The content of an image file as a data URL: as it is stored where every server shows that upright, else as a PNG of its upright
    pixels. Raises GroundswiftError where it is not an image."""
    kind = stored_kind(data)
    if kind is None:
        buffer = BytesIO()
        open_image(data).save(buffer, "PNG")
        data, kind = buffer.getvalue(), "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def stored_kind(data: bytes) -> str | None:
    """The MIME subtype of an image that every server opens alike: 8-bit grey or RGB, upright. None for any other."""
    try:
        with Image.open(BytesIO(data)) as image:
            plain = image.mode in ("L", "RGB") and orientation_of(image) == 1
            if plain:
                image.load()  # a broken file is this row's failure, not the server's
            return SENT_AS_STORED.get(image.format or "") if plain else None
    except Exception as error:  # Pillow's decoders raise many kinds
        raise ImageUnreadable(f"not a readable image ({type(error).__name__}: {error})") from None
