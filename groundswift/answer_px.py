"""An answer in original pixels: the text that a model gave, read and placed by the record of its run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .answers import Answer, Located
from .coordinates import resized_wh, to_original_px
from .errors import error_at
from .family import family_row
from .grammars.registry import parse
from .run_record import FOLDER_RECORD, RunRecord, read_record, record_of_folder
from .spaces import space_row


def record_of_model(folder: str | Path) -> RunRecord:
    """The record in a checkpoint or merged model. Raises GroundswiftError where there is none."""
    path = record_of_folder(folder)
    if path is None:
        raise error_at(folder, f"has no {FOLDER_RECORD}", "a checkpoint that was trained, or merged, with groundswift's plugin")
    return read_record(path)


def answer_in_px(text: str, record: RunRecord, size_wh: tuple[int, int], cut: bool = False) -> Answer:
    """What a model said about an image of `size_wh` px (upright), boxes and points in original pixels, clipped to the image.

    The family, its space and the pixel limits are those of the run. `cut`: generation stopped at its token limit. Labels, status and
    reasons are those of `parse`; the same answer in the family's own space is `parse(text, record.family)`.
    """
    answer = parse(text, record.family, cut)
    resized = _resized(record, size_wh) if answer.objects else None

    def placed(box: tuple[float, ...]) -> tuple[float, ...]:
        uncut = to_original_px([box], record.family, size_wh, resized, record.space)[0]
        return tuple(np.clip(uncut, 0, (*size_wh, *size_wh)).tolist())

    for number, each in enumerate(answer.objects):
        box = None if each.box is None else placed(each.box)
        point = None if each.point is None else placed((*each.point, *each.point))[:2]
        answer.objects[number] = Located(each.label, box, point, each.span)
    return answer


def _resized(record: RunRecord, size_wh: tuple[int, int]) -> tuple[int, int] | None:
    """Size in px of the model's input, where the space needs it."""
    if space_row(record.space).side != "resized" or family_row(record.family).resize_factor is None:
        return None
    limits = record.limits
    return resized_wh(size_wh, record.family, limits.min_pixels, limits.max_pixels, limits.first_max_pixels)
