"""Masks of CVAT: run lengths within a frame -> the box around the pixels that are set.

The frame is not the object: CVAT's is close to the mask, Datumaro's is the whole image. Source: CVAT's XML format 1.1, where `rle`
counts pixels of the frame row by row, alternately not set and set, starting with those not set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise

from ...file_io.box_checks import Box

COUNT = re.compile(r"[0-9]{1,18}")


def mask_bounds(rle: str | None, left: float, top: float, width: float, height: float) -> Box | str:
    """The box (x1, y1, x2, y2) in px around the set pixels of a mask in its frame; without area if none is set.

    Returns what is wrong, as text, if the runs do not fill the frame. Needs memory for the text of the runs only.
    """
    if not all(float(value).is_integer() for value in (left, top, width, height)) or width < 1 or height < 1:
        return f"a frame of {width:g}x{height:g} px at {left:g}, {top:g}; masks have whole pixels"
    if rle is None:
        return "no rle"
    counts = list(map(str.strip, rle.split(",")))
    odd = next((count for count in counts if not COUNT.fullmatch(count)), None)
    if odd is not None:
        return f"rle holds {odd[:20]!r}, not a count of pixels"
    ends = [0, *accumulate(map(int, counts))]
    if ends[-1] != width * height:
        return f"rle counts {ends[-1]} of the {width * height:.0f} pixels of its frame"
    set_runs = [(start, end) for start, end in list(pairwise(ends))[1::2] if start < end]
    if not set_runs:
        return left, top, left, top
    columns = [column for run in set_runs for column in _columns(*run, int(width))]
    first_row, last_row = set_runs[0][0] // int(width), (set_runs[-1][1] - 1) // int(width)
    return left + min(columns), top + first_row, left + max(columns) + 1, top + last_row + 1


def _columns(start: int, end: int, width: int) -> Iterator[int]:
    """The outermost columns that a run of pixels touches: both edges of the frame where it goes on in the next row."""
    one_row = start // width == (end - 1) // width
    yield start % width if one_row else 0
    yield (end - 1) % width if one_row else width - 1
