"""What a terminal can show: colours or none, text without control characters, and images in half blocks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from .drawing import Marked, drawn

RESET = "\x1b[0m"
LOSS_STYLE = "\x1b[1;4;32m"  # bold, underlined, green
UPPER_HALF = "\u2580"
WIDEST = 160  # most columns of an image


def has_colour(is_terminal: bool, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to write colours: to a terminal, unless NO_COLOR is set (no-color.org) or the terminal is a dumb one."""
    return is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def painted(text: str, colour: Sequence[int]) -> str:
    """Text in a 24-bit colour."""
    return f"\x1b[38;2;{colour[0]};{colour[1]};{colour[2]}m{text}{RESET}"


def half_blocks(image: Image.Image) -> list[str]:
    """An image as lines of text: each character is two pixels, one over the other, in 24-bit colours."""
    pixels = np.asarray(image.convert("RGB"))
    if len(pixels) % 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[:1])])
    lines = []
    for above, below in zip(pixels[::2], pixels[1::2], strict=True):
        line, last = [], None
        for pair in zip(above.tolist(), below.tolist(), strict=True):
            if pair != last:
                (r1, g1, b1), (r2, g2, b2) = pair
                line.append(f"\x1b[38;2;{r1};{g1};{b1};48;2;{r2};{g2};{b2}m")
                last = pair
            line.append(UPPER_HALF)
        lines.append("".join([*line, RESET]))
    return lines


def in_terminal(image: Image.Image, marked: Sequence[Marked], columns: int) -> list[str]:
    """An image with its marks, at most as wide as the terminal; marks are drawn after it is scaled down."""
    scale = min(1.0, min(columns, WIDEST) / image.width)
    return half_blocks(drawn(image, marked, scale, labels=False))
