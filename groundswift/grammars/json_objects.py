"""One JSON object of an answer -> the boxes and labels that it names: several boxes under a key, nested pairs, other names for the label.

Only what is certain is read without a word. An ambiguous list of numbers is not a box; a name that is not the family's own
is read with a reason where its meaning is in the name (`xmin`), and not at all where it is open (`bbox`, `width`: corners or sizes?).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .base import NUMBER, as_number, is_quadrangle

KEYS_OF_ANYBODY = frozenset(
    ["bbox_2d", "box_2d", "bbox", "point_2d", "point", "box", "boxes", "bboxes", "bounding_box", "bounding_boxes", "boundingbox", "rect"]
    + ["rectangle", "coordinates", "coords", "coordinate", "location", "position", "points", "polygon", "poly", "quad", "segmentation"]
    + ["x", "y", "w", "h", "width", "height", "size", "cx", "cy", "center", "keypoints", "region", "area", "bndbox", "bbox2d", "box2d"]
    + ["xywh", "xyxy", "bbox_xywh", "bbox_xyxy", "color", "colour", "image_size", "resolution", "dimensions"]
)
LABEL_KEYS = ("label", "category", "class", "name", "class_name", "category_name", "label_name", "object_name", "object", "ref")
LABEL_KEYS += ("text_content", "text", "phrase", "caption", "description", "desc", "labels", "classes", "categories")
ANY_LABEL_KEY = frozenset(LABEL_KEYS)
WRAPPERS = KEYS_OF_ANYBODY | {"objects", "object", "detections", "detection", "results", "result", "annotations", "predictions", "items"}
WRAPPERS |= {"data", "output", "answer", "response", "shapes", "instances", "parts", "children", "elements", "sub", "attributes", "image"}
CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"))
CORNERS += (("left", "top", "right", "bottom"), ("x0", "y0", "x1", "y1"), ("minx", "miny", "maxx", "maxy"))
NUMBERS_ALONE = re.compile(rf"[\s()\[\]]*{NUMBER}(?:[\s(),;\[\]]+{NUMBER})*[\s()\[\]]*")
LONGEST_TEXT = 200  # characters of a string that may be numbers
DEEPEST_LIST = 6  # lists in lists
NOTHING = ("", "none", "null")
FLAT_SIZES = ((2, 4), (2,))  # how many numbers a list of a box has, or of a point
NUMBER_TYPES = frozenset([int, float, bool])
PLAIN_TYPES = frozenset([int, float, type(None)])
FEWEST_CORNERS = 4  # fields that name a box by its corners

Fields = dict[str, object]
Numbers = list[float | None]  # None is something else than a number


class JsonKeys(NamedTuple):
    """How a family names things in JSON, and whether it writes y before x. `point` "": the family has no points."""

    box: str
    point: str
    y_first: bool = False
    label: str = "label"

    def swapped(self, numbers: Sequence[float]) -> Sequence[float]:
        """Numbers as they are written -> in our order, and back: (y, x, ...) and (x, y, ...) where y is first."""
        if not self.y_first:
            return numbers
        return tuple(number for y, x in zip(numbers[::2], numbers[1::2], strict=True) for number in (x, y))


class Found(NamedTuple):
    """What one object names. `boxes`: label and numbers as written, in the family's order; or in ours, where `ordered`.

    Numbers are 4 for a box, 2 for a point, more for a polygon; None for a list that is neither. `absent`: it says that there is none.
    """

    boxes: list[tuple[str, Numbers | None]]
    reasons: list[str]
    absent: bool = False
    ordered: bool = False


def read_object(fields: Fields, keys: JsonKeys, may_name: bool) -> Found | None:
    """The boxes of one object; None where it has none at all. `may_name`: whether its keys may be labels (`{"dog": [[...]]}`)."""
    if not fields or (len(fields) < FEWEST_CORNERS and NUMBER_TYPES.issuperset(map(type, fields.values()))):
        return None
    if keys.box not in fields and keys.point not in fields:
        fields = folded(fields)
        if keys.box not in fields and keys.point not in fields:
            return _without_key(fields, may_name)
    points = keys.box not in fields or (is_nothing(fields[keys.box]) and not is_nothing(fields.get(keys.point)))
    value = fields[keys.point if points else keys.box]
    if isinstance(value, list) and len(value) in FLAT_SIZES[points] and PLAIN_TYPES.issuperset(map(type, value)):
        return _labelled([value], fields, [])
    if is_nothing(value):
        return Found([], [], absent=True)
    if isinstance(value, dict):
        return _named(folded(value), fields, points=True)
    read = numbers_in_text(value) if isinstance(value, str) else without_text(value)
    if not isinstance(read, list):
        return None
    boxes = list(shapes(read, points))
    whole = all(numbers is not None and None not in numbers for numbers in boxes)
    return _labelled(boxes, fields, ["numbers-as-text"] if whole and read != value else [])


def folded(fields: Fields) -> Fields:
    """Fields with their names in lower case, without blanks around."""
    return {name.casefold().strip(): value for name, value in fields.items()}


def is_nothing(value: object) -> bool:
    """Whether a value says that nothing was found: null, an empty list, or a word for it."""
    if isinstance(value, str):
        return value.strip().casefold() in NOTHING
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value is None or (isinstance(value, list) and not value)


def numbers_in_text(text: str) -> Numbers | None:
    """`[1, 2, 3, 4]`, `1, 2, 3, 4` or `(1,2),(3,4)` as a string -> its numbers; None for any other."""
    if len(text) > LONGEST_TEXT or NUMBERS_ALONE.fullmatch(text) is None:
        return None
    return [as_number(found[0]) for found in re.finditer(NUMBER, text)]


def without_text(value: object, depth: int = 0) -> object:
    """A value with its strings of numbers as numbers, where all of its strings are such."""
    if not isinstance(value, list) or depth > DEEPEST_LIST:
        return value
    read = [numbers_in_text(child) if isinstance(child, str) else without_text(child, depth + 1) for child in value]
    return [
        child[0] if isinstance(before, str) and child is not None and len(child) == 1 else child
        for child, before in zip(read, value, strict=True)
    ]


def shapes(value: list, points: bool, depth: int = 0) -> Iterator[Numbers | None]:
    """The number lists of a value: a flat list, a list of lists, pairs of corners, quadrangles; None for each that cannot be read."""
    if not any(isinstance(child, list) for child in value):
        sizes = (2,) if points else (2, 4)
        yield value if len(value) in sizes or (len(value) == 8 and not points and is_quadrangle(value)) else None
    elif depth == DEEPEST_LIST:
        yield None
    elif not points and len(value) > 1 and all(_is_flat(child, 2) for child in value):
        joined = [number for pair in value for number in pair] if len(value) in (2, 4) else []
        yield joined if len(joined) == 4 or is_quadrangle(joined) else None
    else:
        for child in value if all(isinstance(child, list) for child in value) else [[None]]:
            if child:
                yield from shapes(child, points, depth + 1)


def _is_flat(value: object, size: int) -> bool:
    return isinstance(value, list) and len(value) == size and not any(isinstance(child, (list, str)) for child in value)


def _labelled(boxes: list[Numbers | None], fields: Fields, reasons: list[str]) -> Found:
    """Give each box its label: the one of the object, or one each where there are as many."""
    if len(boxes) == 1 and isinstance(label := fields.get("label"), str):
        return Found([(label, boxes[0])], reasons)
    labels, why = labels_of(fields) if len(fields) > 1 else ([""], "")
    if len(labels) == 1:
        labels = labels * len(boxes)
    elif len(labels) != len(boxes):
        labels, why = [""] * len(boxes), "label-not-text"
    return Found(list(zip(labels, boxes, strict=True)), [*reasons, why] if why else reasons)


def labels_of(fields: Fields) -> tuple[list[str], str]:
    """The labels of an object, under the first key that names one, and the parse warning about them; [""] where there is none."""
    for key in () if ANY_LABEL_KEY.isdisjoint(fields) else LABEL_KEYS:
        value = fields.get(key)
        if isinstance(value, str):
            return [value], ""
        if isinstance(value, list) and value and all(isinstance(label, str) for label in value):
            return value, ""
        if key in fields and (key == "label" or isinstance(value, (int, float))):
            return [str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""], "label-not-text"
    if (others := folded(fields)).keys() != fields.keys():
        return labels_of(others)
    other = any(isinstance(value, str) and name not in KEYS_OF_ANYBODY for name, value in fields.items())
    return [""], "unknown-label-key" if other else ""


def _without_key(fields: Fields, may_name: bool) -> Found | None:
    """An object without the family's keys (they are in lower case here): corners by name, or labels as keys."""
    if len(fields) >= FEWEST_CORNERS and (named := _named(fields, fields, points=False)):
        return named
    absent = [name for name, value in fields.items() if (not value or isinstance(value, (str, list))) and is_nothing(value)]
    if absent and (len(absent) == len(fields) or any(fields[name] == [] and name in WRAPPERS for name in absent)):
        return Found([], [], absent=True)
    if not KEYS_OF_ANYBODY.isdisjoint(fields):
        within = (value for name, value in fields.items() if name in KEYS_OF_ANYBODY and isinstance(value, dict))
        return next(filter(None, (_named(folded(corners), fields, points=False) for corners in within)), None)
    if not may_name or not all(map(_is_boxes, fields.values())):
        return None
    return Found([(label, numbers) for label, value in fields.items() if value for numbers in shapes(value, False)], ["label-as-key"])


def _is_boxes(value: object) -> bool:
    """Whether a value is a box, several, or the word that there is none, and nothing else."""
    if not isinstance(value, list) or not value or not isinstance(value[0], list) and len(value) != 4:
        return value == []
    return _is_flat(value, 4) or all(_is_flat(child, 4) for child in value)


def _named(corners: Fields, fields: Fields, points: bool) -> Found | None:
    """A box whose corners are named (`x1`, `xmin`, `left`), or a point (`x` and `y`) under the key of one; never x, y, width, height.

    The names of `corners` are in lower case.
    """
    if len(corners) >= FEWEST_CORNERS:
        names = next((names for names in CORNERS if all(name in corners for name in names)), None)
    else:
        names = ("x", "y") if points and corners.keys() == {"x", "y"} else None
    if names is None:
        return None
    numbers = [corners[name] for name in names]
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers):
        return None
    return _labelled([numbers], fields, ["named-corners"])._replace(ordered=True)
