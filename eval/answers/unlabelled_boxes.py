"""Answers -> boxes in original pixels whatever their labels, in the order of each answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from groundswift.answers import as_truncated
from groundswift.boxes import Boxes, as_boxes
from groundswift.grammars.registry import grammar_of
from groundswift.spaces import space_row

from .counts import Counts
from .placement import count_boxes, place_boxes
from .protocol import Rules
from .space_check import BoxSample, Explanation, mismatch_warnings


@dataclass(frozen=True)
class BareAnswers:
    """For each answer its boxes, (n, 4) xyxy in original pixels, their labels, and its status (`missing` without a text).

    `sample` has the same boxes as `space_check.explain_mismatch` takes them, one group per answer; `mismatch` is what it said of them.
    """

    boxes_xyxy_px: list[Boxes]
    labels: list[list[str]]
    statuses: list[str]
    counts: Counts
    sample: BoxSample
    mismatch: Explanation | None = None

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """Warnings for `metrics.json`."""
        return mismatch_warnings(self.mismatch)


def boxes_of_answers(
    texts: Sequence[str | None],
    sizes_wh: Sequence[tuple[int, int]],
    rules: Rules,
    names: Sequence[str],
    truncated: Sequence[bool] | None = None,
) -> BareAnswers:
    """Parse and place answers, one per sample; `sizes_wh` are those of their images, `names` the samples' names in errors and counts.
    `truncated`: which answers stopped at their token limit, where that is known.

    Boxes are clipped at the border of their image; one without area there is kept, empty, in its place.
    """
    parse, limit = grammar_of(rules.family).parse, space_row(rules.space_name).largest
    counts, statuses, written, index, labels = Counts(), [], [], [], [[] for _ in texts]
    for number, (text, stopped) in enumerate(zip(texts, truncated or repeat(False), strict=False)):
        if text is None:
            statuses.append("missing")
            continue
        counts.read += 1
        answer = as_truncated(parse(text, limit)) if stopped else parse(text, limit)
        statuses.append(answer.status)
        counts.reasons.update(answer.reasons)
        boxes = [located.box for located in answer.objects if located.box is not None]
        labels[number] = [located.label for located in answer.objects if located.box is not None]
        written += boxes
        index += [number] * len(boxes)
        if len(boxes) < len(answer.objects):
            counts.dropped.add("point", names[number], len(answer.objects) - len(boxes))
    counts.statuses = Counter(statuses)
    numbers, sizes = as_boxes(written), np.array(sizes_wh, dtype=np.int64).reshape(-1, 2)
    groups = np.array(index, dtype=np.int64)
    placed = place_boxes(numbers, groups, sizes, rules, names.__getitem__)
    count_boxes(counts.changed, "box-clipped", groups, placed.clipped, names.__getitem__)
    count_boxes(counts.changed, "box-empty", groups, ~placed.has_area, names.__getitem__)
    split = np.searchsorted(groups, np.arange(1, len(texts)))
    sample = BoxSample(numbers, placed.unclipped_xyxy_px, sizes[groups], groups)
    return BareAnswers(np.split(placed.boxes_xyxy_px, split) if texts else [], labels, statuses, counts, sample)
