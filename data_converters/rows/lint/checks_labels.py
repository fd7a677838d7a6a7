"""Checks of labels: their form, and whether the families can write them and read them back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from groundswift.answers import Located
from groundswift.coordinates import from_original_px, resized_wh
from groundswift.errors import GroundswiftError
from groundswift.family import FAMILIES, family_row
from groundswift.grammars.registry import format_answer, parse
from groundswift.records import CONTROL, swift_tag_in
from groundswift.row_view import Finding, RowView, short

SIZE_WH = (640, 480)
LONGEST = 1000  # characters of a label
BOX_XYXY_PX = (141, 203, 364, 425)
HARMLESS = re.compile(r"[^\W\d_][\w \-']*")  # every mark of a grammar has other characters
SAYS_NOTHING = {"none", "null"}


def check_labels(labels: Sequence[str], family: str | None) -> Iterator[Finding]:
    """Each distinct label of a row once. `family` None: a label that any family cannot write is a warning."""
    for label in dict.fromkeys(labels):
        yield from label_problems(label, family)


@lru_cache(maxsize=1 << 15)
def label_problems(label: str, family: str | None) -> tuple[Finding, ...]:
    """What is wrong with one label."""
    findings: list[Finding] = []
    if not label.strip():
        return (("label-empty", f"label {short(label)}; expected a name"),)
    if len(label) > LONGEST:
        return (("label-long", f"label {short(label)} has {len(label)} characters; expected at most {LONGEST}"),)
    if CONTROL.search(label):
        findings.append(("label-control", f"label {short(label)} has a line break or control character; expected one line"))
    elif label != label.strip():
        findings.append(("label-blank-ends", f"label {short(label)}; expected {short(label.strip())}"))
    tag = swift_tag_in(label)
    if tag:
        return (*findings, ("label-placeholder", f"label {short(label)} has {tag}; expected text without swift's placeholders"))
    if family is not None:
        if problem := round_trip_problem(label, family):
            findings.append((problem[0], f"{problem[1]}; expected a label that {family} can write"))
    elif not findings and (not HARMLESS.fullmatch(label) or label.casefold() in SAYS_NOTHING):
        names = [name for name, row in FAMILIES.items() if row.boxes and row.labels and round_trip_problem(label, name)]
        if names:
            findings.append(("label-mark", f"label {short(label)} is not read back as it is by {', '.join(names)}; expected another name"))
    return tuple(findings)


def round_trip_problem(label: str, family: str) -> Finding | None:
    """Why a family refuses a label or reads it back as another; None if it comes back as it was."""
    numbers = _example_box(family)
    points_only = not family_row(family).boxes
    located = Located(label, None, numbers[:2]) if points_only else Located(label, numbers)
    try:
        text = format_answer([located, located], family)
    except GroundswiftError as error:
        return "label-refused", f"{family}: {error}"
    answer = parse(text, family)
    read = [each.label for each in answer.objects]
    if read != [label, label]:
        return "label-changed", f"{family} reads label {short(label)} back as {short(read[0]) if read else answer.status}"
    return None


@lru_cache(maxsize=64)
def _example_box(family: str) -> tuple[float, float, float, float]:
    model_input_wh = resized_wh(SIZE_WH, family) if family_row(family).resize_factor else None
    x1, y1, x2, y2 = from_original_px([BOX_XYXY_PX], family, SIZE_WH, model_input_wh)[0].tolist()
    return x1, y1, x2, y2


def check_points(view: RowView, family: str | None) -> Iterator[Finding]:
    """Points of a row, for a family without points."""
    if family is None or family_row(family).points:
        return
    for index, box in enumerate(view.boxes or ()):
        if len(box) == 2:
            yield "point-unwritten", f"box {index} is the point {short(box)}, and family {family} has no points; expected boxes"
