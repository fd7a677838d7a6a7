"""Rows of the hubs that hold their image: how each is read, and malformed ones."""

from __future__ import annotations

from typing import Any

import pytest

from groundswift.data_converters.issues import Issue, IssueLog
from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.grounding.datasets.hub_rows import HubCocoRow, HubTextRow, detection_maker, text_maker, typed

NAMES = ["person", "bicycle", "traffic light"]


def coco(category: list[Any], bbox: list[Any], **changes: Any) -> dict[str, Any]:
    return {"image_id": 9, "width": 64, "height": 48, "objects": {"category": category, "bbox": bbox}} | changes


def made(values: dict[str, Any], make, row_type) -> tuple[list[Any], IssueLog]:
    log, item = IssueLog("skip"), typed("set/train/1", values, row_type)
    if isinstance(item, Issue):
        log.add(item)
        return [], log
    return list(make(item, log)), log


def test_an_image_of_coco():
    (row,), log = made(coco([2, 0], [[1.5, 2, 30, 40], [0, 0, 64.5, 48]]), detection_maker(NAMES), HubCocoRow)
    assert row.messages[0].content == "<image>Detect every object of these categories: person, bicycle, traffic light."
    assert row.messages[1].content == "<ref-object><bbox>" * 2
    assert (row.objects.ref, row.objects.bbox) == (["person", "traffic light"], [[0, 0, 64, 48], [1.5, 2, 30, 40]])
    assert (row.sample_id, row.size_wh, row.images, row.prompt) == (9, (64, 48), [], "detect.en.1")
    assert log.counted.counts == {"box-clipped-rounding": 1}


FAULTY = {
    "a category that is not there": (coco([3, 0], [[1, 2, 3, 4]] * 2), "category-unknown", 1),
    "a category below 0": (coco([-1, 0], [[1, 2, 3, 4]] * 2), "category-unknown", 1),
    "a box of three numbers": (coco([0, 0], [[1, 2, 3], [1, 2, 3, 4]]), "box-length", 1),
    "an inverted box": (coco([0, 0], [[9, 2, 3, 4], [1, 2, 3, 4]]), "box-inverted", 1),
    "NaN": (coco([0, 0], [[float("nan"), 2, 3, 4], [1, 2, 3, 4]]), "box-not-finite", 1),
    "columns-differ": (coco([0], [[1, 2, 3, 4]] * 2), "columns-differ", 0),
    "all are broken": (coco([0], [[9, 2, 3, 4]]), "image-all-skipped", 0),
    "no objects": ({"image_id": 9, "width": 64, "height": 48}, "row-unreadable", 0),
    "a name for a category": (coco(["dog"], [[1, 2, 3, 4]]), "row-unreadable", 0),
    "null for boxes": (coco([0], None), "row-unreadable", 0),
}


@pytest.mark.parametrize(("values", "reason", "rows"), FAULTY.values(), ids=FAULTY)
def test_broken_rows_of_coco(values, reason, rows):
    out, log = made(values, detection_maker(NAMES), HubCocoRow)
    assert len(out) == rows
    assert log.counted.counts[reason] == 1


def test_names_that_swift_would_misread():
    with pytest.raises(GroundswiftError, match="'a <bbox>': holds <bbox>"):
        detection_maker(["a <bbox>"])


@pytest.mark.parametrize(
    ("values", "task", "turns"),
    [
        ({"text": r"\frac{a}{b}"}, "latex_ocr", ["<image>Write the formula in the picture as LaTeX.", r"\frac{a}{b}"]),
        ({"caption": "a dog&&the dog"}, "caption", ["<image>Describe the picture in one sentence.", "a dog"]),
        ({"text": "a && b"}, "latex_ocr", ["<image>Write the formula in the picture as LaTeX.", "a && b"]),  # a formula, no captions
    ],
)
def test_an_image_and_its_text(values, task, turns):
    (row,), _ = made(values, text_maker(task), HubTextRow)
    assert [each.content for each in row.messages] == turns
    assert (row.sample_id, row.objects) == ("set/train/1", None)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"text": " "}, "text-empty"),
        ({"caption": "&&the dog"}, "text-empty"),
        ({}, "text-empty"),
        ({"text": "a <video>"}, "text-tag"),
        ({"text": 7}, "row-unreadable"),
    ],
)
def test_texts_that_cannot_be_used(values, reason):
    out, log = made(values, text_maker("latex_ocr"), HubTextRow)
    assert (out, log.counted.counts) == ([], {reason: 1})
