"""Images as the model gets them, with the boxes and points of the encoded text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from groundswift import box_drawing
from groundswift.image_marks import Colour, drawable, font_of

from .encoded_boxes import Mark

LEAST_PX = 448  # an image whose longer side is shorter is drawn enlarged, by a whole factor
BACKGROUND, CAPTION_COLOUR = (32, 32, 36), (235, 235, 235)
GAP_PX = 16
Marked = tuple[Mark, Colour]


def coloured(marks: Sequence[Mark]) -> list[Marked]:
    """Each mark with its colour: those of one label share it; without labels every mark has its own."""
    return list(zip(marks, box_drawing.colours_of([mark.label or mark.number for mark in marks]), strict=True))


def enlargement(size_wh: tuple[int, int]) -> int:
    """The whole factor by which an image is enlarged, so that labels are readable."""
    return max(1, math.ceil(LEAST_PX / max(size_wh)))


def is_outside(mark: Mark, model_input_wh: Sequence[float]) -> bool:
    """Whether a mark is entirely outside the model's input image."""
    xs, ys = mark.model_input_px[::2], mark.model_input_px[1::2]
    return max(xs) < 0 or max(ys) < 0 or min(xs) > model_input_wh[0] or min(ys) > model_input_wh[1]


def drawn(image: Image.Image, marked: Sequence[Marked], scale: float, labels: bool) -> Image.Image:
    """A copy of an image, `scale` times as large, with marks given in px of the image: boxes as frames, points as crosses."""
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX) if scale != 1 else image.copy()
    pen = ImageDraw.Draw(canvas)
    width = max(1, round(max(size) / 320)) if labels else 1
    for mark, colour in marked:
        numbers = [value * scale for value in mark.model_input_px]
        if len(numbers) == 4:
            x1, y1, x2, y2 = numbers
            pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=width if mark.has_loss else 1)
        else:
            _cross(pen, numbers[0], numbers[1], max(3, 4 * width), colour, width)
    for mark, colour in marked if labels else ():
        _tag(pen, mark, colour, scale, size)
    return canvas


def _cross(pen: ImageDraw.ImageDraw, x: float, y: float, arm: int, colour: Colour, width: int) -> None:
    pen.line((x - arm, y - arm, x + arm, y + arm), fill=colour, width=width)
    pen.line((x - arm, y + arm, x + arm, y - arm), fill=colour, width=width)


def _tag(pen: ImageDraw.ImageDraw, mark: Mark, colour: Colour, scale: float, size: tuple[int, int]) -> None:
    """Number and label above the upper left corner, moved into the image."""
    size_px = max(11, round(max(size) / 48))
    font = font_of(size_px)
    where = " (outside)" if is_outside(mark, (size[0] / scale, size[1] / scale)) else ""
    text = drawable(f"{mark.number} {mark.label}".strip() + where, size_px)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    wide, high = right - left + 4, bottom - top + 4
    x = box_drawing.inside(mark.model_input_px[0] * scale, size[0] - wide)
    y = box_drawing.inside(mark.model_input_px[1] * scale - high, size[1] - high)
    pen.rectangle((x, y, x + wide, y + high), fill=colour)
    pen.text((x + 2 - left, y + 2 - top), text, fill=(0, 0, 0), font=font)


def sheet(images: Sequence[Image.Image], marked: Sequence[Sequence[Marked]], captions: Sequence[str]) -> Image.Image:
    """All images of a row next to each other, each with its marks and under its caption."""
    panels = [drawn(image, marks, enlargement(image.size), labels=True) for image, marks in zip(images, marked, strict=True)]
    size_px = max(12, round(max(panel.width for panel in panels) / 40))
    font, head = font_of(size_px), size_px * 2
    widths = [max(panel.width, math.ceil(font.getlength(caption)) + 8) for panel, caption in zip(panels, captions, strict=True)]
    canvas = Image.new("RGB", (sum(widths) + GAP_PX * (len(panels) - 1), head + max(panel.height for panel in panels)), BACKGROUND)
    pen, x = ImageDraw.Draw(canvas), 0
    for panel, caption, width in zip(panels, captions, widths, strict=True):
        pen.text((x + 4, size_px // 2), caption, fill=CAPTION_COLOUR, font=font)
        canvas.paste(panel, (x, head))
        x += width + GAP_PX
    return canvas
