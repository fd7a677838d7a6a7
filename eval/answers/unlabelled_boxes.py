"""Answers whose boxes need no label -> boxes in original pixels, in the order in which each answer gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from groundswift.answers import as_cut
from groundswift.boxes import Boxes, as_boxes
from groundswift.grammars.registry import grammar_of
from groundswift.spaces import space_row

from .placement import count_boxes, place_boxes
from .space_check import BoxSample
from .to_boxes import Counts, Rules


@dataclass(frozen=True)
class BareAnswers:
    """For each answer its boxes, (n, 4) xyxy in original pixels, and its status (`missing` where there is no text).

    `sample` has the same boxes as `space_check.explain_mismatch` takes them, one group an answer.
    """

    boxes_xyxy_px: list[Boxes]
    statuses: list[str]
    counts: Counts
    sample: BoxSample


def boxes_of_answers(
    texts: Sequence[str | None], sizes_wh: Sequence[tuple[int, int]], rules: Rules, names: Sequence[str], cut: Sequence[bool] | None = None
) -> BareAnswers:
    """Parse and place answers, one a sample; `sizes_wh` are those of their images, `names` say in errors and counts which sample it is.
    `cut`: which answers stopped at their token limit, where that is known.

    Labels are ignored. Boxes are cut at the border of their image; one that has no area there stays, empty, in its place.
    """
    parse, limit = grammar_of(rules.family).parse, space_row(rules.space_name).largest
    counts, statuses, written, index = Counts(), [], [], []
    for number, (text, stopped) in enumerate(zip(texts, cut or repeat(False), strict=False)):
        if text is None:
            statuses.append("missing")
            continue
        counts.read += 1
        answer = as_cut(parse(text, limit)) if stopped else parse(text, limit)
        statuses.append(answer.status)
        counts.reasons.update(answer.reasons)
        boxes = [located.box for located in answer.objects if located.box is not None]
        written += boxes
        index += [number] * len(boxes)
        if len(boxes) < len(answer.objects):
            counts.dropped.add("points", names[number], len(answer.objects) - len(boxes))
    counts.statuses = Counter(statuses)
    numbers, sizes = as_boxes(written), np.array(sizes_wh, dtype=np.int64).reshape(-1, 2)
    groups = np.array(index, dtype=np.int64)
    placed = place_boxes(numbers, groups, sizes, rules, names.__getitem__)
    count_boxes(counts.changed, "boxes cut at the border of their image", groups, placed.cut, names.__getitem__)
    count_boxes(counts.changed, "boxes without area in their image", groups, ~placed.has_area, names.__getitem__)
    split = np.searchsorted(groups, np.arange(1, len(texts)))
    sample = BoxSample(numbers, placed.uncut_xyxy_px, sizes[groups], groups)
    return BareAnswers(np.split(placed.boxes_xyxy_px, split) if texts else [], statuses, counts, sample)
