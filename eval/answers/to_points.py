"""Answers in text -> points in original pixels; boxes count by their centre only where that is declared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from groundswift.answers import Answer, Located, as_truncated
from groundswift.boxes import as_boxes
from groundswift.grammars.registry import grammar_of
from groundswift.spaces import space_row

from .counts import Counts
from .placement import place_boxes
from .protocol import Rules
from .referring_results import Response

BoxPolicy = Literal["skip", "centre"]
Points = NDArray[np.float64]
BOXES_SKIPPED = "{} answers have boxes and no point, so they count as wrong. Use --boxes centre to count the centre of a box as the point."


@dataclass(frozen=True)
class PointAnswers:
    """For each answer its points, (n, 2) x, y in original px, their labels, its status (`missing`: no text) and text.

    `boxes_only`: how many answers had boxes and no point, where boxes do not count.
    """

    points_xy_px: list[Points]
    labels: list[list[str]]
    statuses: list[str]
    texts: list[str]
    counts: Counts
    boxes_only: int = 0

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """Warnings for `metrics.json`."""
        return [{"id": "boxes-not-points", "message": BOXES_SKIPPED.format(self.boxes_only)}] if self.boxes_only else []


def points_of_answers(
    responses: Sequence[Response], sizes_wh: Sequence[tuple[int, int]], rules: Rules, names: Sequence[str], boxes: BoxPolicy = "skip"
) -> PointAnswers:
    """Parse and place answers, one per sample. `sizes_wh` are those of their images, `names` the samples' names in errors and counts."""
    parse, limit = grammar_of(rules.family).parse, space_row(rules.space_name).largest
    counts, answers, boxes_only = Counts(), [], 0
    for name, response in zip(names, responses, strict=True):
        answer = None if response.text is None else parse(response.text, limit)
        answers.append(as_truncated(answer) if answer and response.truncated else answer)
        counts.read += answer is not None
        counts.reasons.update(answer.reasons if answer else [])
        if boxes == "skip" and (skipped := sum(each.point is None for each in located(answer))):
            counts.dropped.add("box-not-point", name, skipped)
            boxes_only += skipped == len(located(answer))
    statuses = [answer.status if answer else "missing" for answer in answers]
    counts.statuses = Counter(statuses)
    kept = [[each for each in located(answer) if each.point is not None or boxes == "centre"] for answer in answers]
    points = placed_points(kept, np.array(sizes_wh, dtype=np.int64).reshape(-1, 2), rules, names)
    texts = [response.text or "" for response in responses]
    return PointAnswers(points, [[each.label for each in part] for part in kept], statuses, texts, counts, boxes_only)


def located(answer: Answer | None) -> list[Located]:
    """What an answer located; [] without one."""
    return answer.objects if answer else []


def placed_points(found: Sequence[Sequence[Located]], sizes_wh: NDArray[np.int64], rules: Rules, names: Sequence[str]) -> list[Points]:
    """(n, 2) points of each answer in original px, not clipped; of a box the centre of what is inside the image."""
    lengths = np.array([len(part) for part in found], dtype=np.int64)
    written = as_boxes([each.box if each.point is None else (*each.point, *each.point) for part in found for each in part])
    is_box = np.array([each.point is None for part in found for each in part], dtype=bool)
    placed = place_boxes(written, np.arange(len(found)).repeat(lengths), sizes_wh, rules, names.__getitem__)
    corners = np.where(is_box[:, None], placed.boxes_xyxy_px, placed.unclipped_xyxy_px)
    return np.split((corners[:, :2] + corners[:, 2:]) / 2, np.cumsum(lengths)[:-1]) if len(found) else []
