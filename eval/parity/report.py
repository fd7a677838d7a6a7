"""Parity in the standard report: the reference's boxes in the place of the ground truth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..evaluated_run import FN, FP, TP, DrawnBox, ImageResult, NumberTable, Run, Table
from ..report.page import write_report
from .answers import Sample
from .comparison import NUMBERS, Compared, WayParity
from .result import ALL, Parity, numbers_with_ap, place_of, sentence

EXPLANATION = (
    "Each way against the reference, whose boxes are drawn as ground truth. Agreement is the mean IoU of a sample's boxes or, where "
    "neither answer has one, whether the texts are equal; its mean is over the samples. \u2013 means undefined."
)
MATCHED = 0.5  # IoU from which a box is drawn as found
MOST_DIFFERENCES = 200


def write(parity: Parity, out: Path, title: str, place: Path | None = None) -> None:
    """Write the report of all ways; `place`: the folder where it will be, if another than now.

    Raises GroundswiftError where it cannot be written.
    """
    reference = {**parity.ap[parity.reference].get(ALL, {}), **_terms({"samples": len(parity.keys)})}
    runs = [Run(parity.reference, reference, [], [])] + [_run(parity, way) for way in parity.ways]
    names = [each.reference.image for way in parity.ways for each in way.compared]
    table = NumberTable([each for each in NUMBERS if any(each.key in run.metrics for run in runs)], explanation=EXPLANATION)
    write_report(runs, out, _folder_of(names), title, table, place=place)


def _terms(counts: dict[str, int]) -> dict[str, object]:
    return {"counts": counts, "protocol": {"metric": "parity"}, "warnings": []}


def _folder_of(names: Sequence[str]) -> Path | None:
    """The folder that all images are in, as the report needs one; None where they are not files."""
    local = [os.path.abspath(name) for name in names if name and "://" not in name]
    return Path(os.path.commonpath([os.path.dirname(name) for name in local])) if local else None


def _run(parity: Parity, way: WayParity) -> Run:
    metrics = {**numbers_with_ap(parity, way), **_terms(way.counts)}
    images = [_image(number, each) for number, each in enumerate(way.compared)]
    return Run(way.name, metrics, [], images, [_size_table(parity, way), _difference_table(way)])


def _image(number: int, each: Compared) -> ImageResult:
    """A sample with the reference's boxes as truth."""
    own, other = ([False] * len(sample.labels or ()) for sample in (each.reference, each.other))
    for first, second, overlap in zip(*each.pairs[:3], strict=True) if each.pairs else ():
        own[first] = other[second] = bool(overlap >= MATCHED)
    found, missed = 2 * sum(own), len(own) + len(other) - 2 * sum(own)
    return ImageResult(
        number,
        os.path.abspath(each.reference.image) if each.reference.image else "",
        each.reference.size_wh or (0, 0),
        each.other.status,
        _drawn(each.reference, own, FN),
        _drawn(each.other, other, FP),
        found / (found + missed) if found + missed else 1.0,
        each.other.text,
        each.reference.sample_id,
        references=[each.reference.text],
        values={
            "agreement": each.parity.agreement,
            "first difference": each.parity.first_difference and sentence(each.parity.first_difference),
        },
    )


def _drawn(sample: Sample, matched: list[bool], otherwise: str) -> list[DrawnBox]:
    boxes = [] if sample.boxes_xyxy_px is None else sample.boxes_xyxy_px.round(2).tolist()
    rows = zip(sample.labels or (), boxes, matched, strict=True)
    return [DrawnBox(label, tuple(box), TP if is_matched else otherwise) for label, box, is_matched in rows]


def _size_table(parity: Parity, way: WayParity) -> Table:
    titles = {
        "samples": "samples",
        "agreement": "agreement",
        "box_iou": "box IoU",
        "shift_x_px": "shift x, px",
        "shift_y_px": "shift y, px",
    }
    titles |= {"wider_px": "wider, px", "taller_px": "taller, px"}
    rows = [
        [size, *(numbers.get(key) for key in titles), parity.ap[way.name].get(size, {}).get("AP")] for size, numbers in way.by_size.items()
    ]
    return Table("by-size", "By size of the image", ["size", *titles.values(), "AP"], rows)


def _difference_table(way: WayParity) -> Table:
    found = sorted((each.parity for each in way.compared if each.parity.first_difference), key=lambda each: each.agreement)
    rows: list[list[str | float | None]] = [
        [place_of(each), each.agreement, each.first_difference.gap, sentence(each.first_difference)] for each in found[:MOST_DIFFERENCES]
    ]
    return Table("first-differences", "First differences", ["sample", "agreement", "log-probability gap", "first difference"], rows)
