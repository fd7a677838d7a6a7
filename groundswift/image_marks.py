"""Boxes, labels and text drawn into the pixels of an image, with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from . import box_drawing
from .errors import error_at

UNDRAWABLE = "?"
LEAST_FONT_PX = 11
Colour = tuple[int, int, int]
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


@cache
def font_of(size_px: int, path: str | None = None) -> Font:
    """The font of a file, by default Pillow's own; before Pillow 10.1, and without FreeType, that has one size only.

    Raises GroundswiftError where the file is not a font.
    """
    if path is not None:
        try:
            return ImageFont.truetype(path, size_px)
        except OSError as error:
            raise error_at(path, f"not a font ({error})", "a TrueType or OpenType file") from None
    try:
        return ImageFont.load_default(size_px)
    except TypeError:
        return ImageFont.load_default()


@cache
def can_draw(character: str, size_px: int, path: str | None = None) -> bool:
    """Whether the font has a glyph for a character: a missing one looks as one that no font has."""
    font = font_of(size_px, path)
    try:
        return character.isspace() or bytes(font.getmask(character)) != bytes(font.getmask("\U0010ffff"))
    except UnicodeEncodeError:  # the font of one size knows Latin-1
        return ord(character) < 256


def drawable(text: str, size_px: int, path: str | None = None) -> str:
    """A label on one line, with a question mark for every character that the font does not have."""
    return "".join(character if can_draw(character, size_px, path) else UNDRAWABLE for character in box_drawing.one_line(text))


def line_width(size_wh: tuple[int, int], box_xyxy_px: Sequence[float]) -> int:
    """The width in px of a box's line: by the size of the image, at most an eighth of the box's shorter side, at least 1."""
    x1, y1, x2, y2 = box_xyxy_px
    return max(1, min(max(2, round(max(size_wh) / 320)), int(min(x2 - x1, y2 - y1) / 8)))


def draw_boxes(
    image: Image.Image,
    boxes_xyxy_px: Sequence[Sequence[float]],
    colours: Sequence[Colour],
    tags: Sequence[str] | None = None,
    font: str | None = None,
) -> None:
    """Draw boxes (N, 4) into an image, each in its colour, and their tags where they cover each other least; `tags` None: none.

    The line is inside its box, so that a box at the border of the image is whole.
    """
    pen = ImageDraw.Draw(image)
    for (x1, y1, x2, y2), colour in zip(boxes_xyxy_px, colours, strict=True):
        edges = (round(x1), round(y1), max(round(x1), round(x2) - 1), max(round(y1), round(y2) - 1))
        pen.rectangle(edges, outline=colour, width=line_width(image.size, (x1, y1, x2, y2)))
    if tags is not None:
        _draw_tags(pen, image.size, boxes_xyxy_px, colours, tags, font)


def _draw_tags(
    pen: ImageDraw.ImageDraw,
    size_wh: tuple[int, int],
    boxes_xyxy_px: Sequence[Sequence[float]],
    colours: Sequence[Colour],
    tags: Sequence[str],
    path: str | None,
) -> None:
    size_px = max(LEAST_FONT_PX, round(max(size_wh) / 48))
    font, scale = font_of(size_px, path), size_px / box_drawing.FONT_SIZE
    units = [(x1 / scale, y1 / scale, (x2 - x1) / scale, (y2 - y1) / scale) for x1, y1, x2, y2 in boxes_xyxy_px]
    texts = [(drawable(tag, size_px, path), "") for tag in tags]
    placed = box_drawing.place_tags(units, texts, [False] * len(units), (size_wh[0] / scale, size_wh[1] / scale))
    for tag, colour in zip(placed, colours, strict=True):
        x, y = tag.x * scale, tag.y * scale
        pen.rectangle((x, y, x + tag.width * scale, y + tag.height * scale), fill=colour)
        pen.text((x + box_drawing.PADDING * scale, y + tag.height * scale / 2), tag.text, fill=(0, 0, 0), font=font, anchor="lm")
