"""Masks of Label Studio: a PNG of set pixels on a transparent ground (BitMask), or run lengths (Brush), of red, green, blue and alpha, as
bits of a list of bytes. Source: label-studio-sdk, converter; labelstud.io, BitmaskLabels.

The first 32 bits are the number of values, 5 the width of a value less 1, 4 times 4 the widths of a length less 1. Each run then has a bit
(1: one value for all, 0: a value each), 2 bits that choose the width of its length, and its length less 1.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from io import BytesIO

from PIL import Image

from groundswift.images import OpenedImage

Box = tuple[int, int, int, int]


class Bits:
    """Reads numbers of any width from bytes."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def read(self, width: int) -> int:
        """The next number. Raises ValueError at the end."""
        first, end = self.at // 8, self.at + width
        if end > len(self.content) * 8:
            raise ValueError("run lengths end early")
        number = int.from_bytes(self.content[first : -(-end // 8)], "big")
        self.at = end
        return (number >> (-end % 8)) & ((1 << width) - 1)


def runs_of(content: bytes, values: int) -> Iterator[tuple[int, int]]:
    """(first, end) of each run of values above 0. Raises ValueError unless there are as many as expected."""
    bits = Bits(content)
    if (found := bits.read(32)) != values:
        raise ValueError(f"a mask of {found} values, not {values}")
    width, widths = bits.read(5) + 1, [bits.read(4) + 1 for _ in range(4)]
    at = 0
    while at < values:
        same, end = bits.read(1), at + 1 + bits.read(widths[bits.read(2)])
        if end > values:
            raise ValueError("a run beyond the image")
        for first, last in [(at, end)] if same else ((place, place + 1) for place in range(at, end)):
            if bits.read(width):
                yield first, last
        at = end


def brush_bounds(rle: Sequence[int], size_wh: tuple[int, int]) -> Box:
    """The box (x1, y1, x2, y2) in px around all pixels of an alpha above 0. Raises ValueError where there is none, or for other data."""
    width, height = size_wh
    xs: list[int] = []
    ys: list[int] = []
    for first, end in runs_of(bytes(rle), width * height * 4):
        start, stop = first // 4, end // 4 - 1  # the pixels whose fourth value, 4 n + 3, is in the run
        if stop >= start:
            ys += [start // width, stop // width + 1]
            xs += [0, width] if stop // width > start // width else [start % width, stop % width + 1]
    if not xs:
        raise ValueError("an empty mask")
    return min(xs), min(ys), max(xs), max(ys)


def bitmask_bounds(url: str, size_wh: tuple[int, int]) -> Box:
    """The box (x1, y1, x2, y2) in px around all pixels of an alpha above 0 of a data URL. Raises ValueError where there is none, for other
    data, and for a mask of another size."""
    head, _, data = url.partition(",")
    if not head.startswith("data:image/png") or not head.endswith(";base64"):
        raise ValueError(f"imageDataURL is {url[:30]!r}, not a PNG as base64")
    content = b64decode(data, validate=True)
    found_wh = OpenedImage(content, "imageDataURL").size_wh  # which refuses what would be too large to decode
    if found_wh != size_wh:
        raise ValueError(f"a mask of {found_wh[0]}x{found_wh[1]} px")
    try:
        with Image.open(BytesIO(content)) as mask:
            found = mask.convert("RGBA").getchannel("A").getbbox()
    except Exception as error:  # Pillow's decoders raise many kinds
        raise ValueError(f"a mask that cannot be decoded ({type(error).__name__})") from None
    if found is None:
        raise ValueError("an empty mask")
    return found
