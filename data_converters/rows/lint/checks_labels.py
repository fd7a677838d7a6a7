"""What is wrong with labels: shape, and whether the families can write them and read them back."""

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
HARMLESS = re.compile(r"[^\W\d_][\w \-']*")  # no mark of any grammar is made of letters, digits, blanks and hyphens alone
SAYS_NOTHING = {"none", "null"}


def check_labels(labels: Sequence[str], family: str | None) -> Iterator[Finding]:
    """All that is odd about the labels of one row, each distinct label once; `family` None: what any family cannot write is a warning."""
    for label in dict.fromkeys(labels):
        yield from label_faults(label, family)


@lru_cache(maxsize=1 << 15)
def label_faults(label: str, family: str | None) -> tuple[Finding, ...]:
    """What is odd about one label."""
    found: list[Finding] = []
    if not label.strip():
        return (("label-empty", f"label {short(label)}; expected a name"),)
    if len(label) > LONGEST:
        return (("label-long", f"label {short(label)} has {len(label)} characters; expected at most {LONGEST}"),)
    if CONTROL.search(label):
        found.append(("label-control", f"label {short(label)} holds a line break or control character; expected one line"))
    elif label != label.strip():
        found.append(("label-blank-ends", f"label {short(label)}; expected {short(label.strip())}"))
    tag = swift_tag_in(label)
    if tag:
        return (*found, ("label-placeholder", f"label {short(label)} holds {tag}; expected text without swift's placeholders"))
    if family is not None:
        fault = written_otherwise(label, family)
        if fault:
            found.append((fault[0], f"{fault[1]}; expected a label that {family} can write"))
    elif not found and (not HARMLESS.fullmatch(label) or label.casefold() in SAYS_NOTHING):
        names = [name for name, row in FAMILIES.items() if row.boxes and row.labels and written_otherwise(label, name)]
        if names:
            found.append(("label-mark", f"label {short(label)} is written or read otherwise by {', '.join(names)}; expected another name"))
    return tuple(found)


def written_otherwise(label: str, family: str) -> Finding | None:
    """Write a label with a box as a family does, and read it back: what is refused or changed; None where it comes back as it was."""
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
    """Points, where the family has none."""
    if family is None or family_row(family).points:
        return
    for index, box in enumerate(view.boxes or ()):
        if len(box) == 2:
            yield "point-unwritten", f"box {index} is the point {short(box)}; expected boxes, for family {family} writes no points"
