"""Panels for TensorBoard: an image with frames and labels, several next to each other, each under its caption."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from groundswift.box_drawing import FONT_SIZE, HEIGHT, PADDING, one_line, place_tags
from groundswift.boxes import Boxes, xyxy_to_xywh

Colour = tuple[int, int, int]
LEAST_PX = 448  # an image whose longer side is shorter is drawn enlarged, by a whole factor
BACKGROUND, TEXT, TAG_TEXT = (32, 32, 36), (235, 235, 235), (0, 0, 0)
GAP_PX = 16


def panel(image: Image.Image, boxes_xyxy_px: Boxes, labels: Sequence[str], colour: Colour) -> Image.Image:
    """A copy of an image with boxes (N, 4), in its pixels, as frames of one colour, and their labels."""
    factor = max(1, math.ceil(LEAST_PX / max(image.size)))
    canvas = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    pen, boxes = ImageDraw.Draw(canvas), np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4) * factor
    width = max(1, round(max(canvas.size) / 320))
    for x1, y1, x2, y2 in boxes.tolist():
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=width)
    named = [number for number, label in enumerate(labels) if label]
    texts = [(labels[number], "") for number in named]
    for tag in place_tags(xyxy_to_xywh(boxes[named]).tolist(), texts, [False] * len(named), canvas.size):
        pen.rectangle((tag.x, tag.y, tag.x + tag.width, tag.y + tag.height), fill=colour)
        pen.text((tag.x + PADDING, tag.y + 1), written(tag.text), fill=TAG_TEXT, font=font())
    return canvas


def sheet(panels: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    """Panels next to each other."""
    widths = [max(each.width, math.ceil(font().getlength(written(text))) + 8) for each, text in zip(panels, captions, strict=True)]
    canvas = Image.new("RGB", (sum(widths) + GAP_PX * (len(panels) - 1), HEIGHT + max(each.height for each in panels)), BACKGROUND)
    pen, x = ImageDraw.Draw(canvas), 0
    for each, caption, width in zip(panels, captions, widths, strict=True):
        pen.text((x + 4, 1), written(caption), fill=TEXT, font=font())
        canvas.paste(each, (x, HEIGHT))
        x += width + GAP_PX
    return canvas


def font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font; before Pillow 10.1, and without FreeType, it has one size only."""
    try:
        return ImageFont.load_default(FONT_SIZE)
    except TypeError:
        return ImageFont.load_default()


def written(text: str) -> str:
    """A text on one line; the font of one size knows Latin-1 only."""
    line = one_line(text)
    return line if isinstance(font(), ImageFont.FreeTypeFont) else line.encode("latin-1", "replace").decode("latin-1")
