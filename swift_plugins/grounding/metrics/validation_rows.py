"""What the rows of a validation set hold for a metric to score: labelled boxes, one bare box, several of them, or nothing of the kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple

from groundswift.errors import GroundswiftError
from groundswift.image_resize import limits_of_its_own
from groundswift.images import read_size_wh
from groundswift.pairing import paired
from groundswift.placeholders import is_empty_answer
from groundswift.records import REF, count_tags
from groundswift.row_view import image_source

from ..templates.object_checks import check_objects

LABELLED, NOTHING, ONE_BOX, SEVERAL_BOXES = "labelled boxes", "nothing there", "one box without a label", "several boxes without a label"
TEXT, POINTS, LATER_IMAGES, UNCLEAR = "no boxes", "points", "boxes on a later image of the row", "labels that belong to no box"
UNSCORED = (TEXT, POINTS, LATER_IMAGES, UNCLEAR)
COLUMNS = ("messages", "objects", "images", "videos", "size_wh", "sample_id", "chat_template_kwargs")
LONGEST_PATH = 4096  # characters; longer ones are base64
ANSWER_COLUMNS = ("references", "answers", "solution")  # true answers in text, where they are not the assistant's


class Sample(NamedTuple):
    """The last answer of a row as in the dataset: its kind, (width, height) of its image in px, and its boxes, xyxy in
    original px, each with its label ("" without one); and the row, without encoded images."""

    kind: str
    size_wh: tuple[int, int]
    labels: list[str]
    boxes_xyxy_px: list[list[float]]
    row: Mapping[str, Any] = MappingProxyType({})


def samples_of(rows: Any, resized: bool = False) -> list[Sample]:
    """A sample for each row, in order; pixels of images are not decoded. Raises GroundswiftError as `sample_of` does."""
    names = getattr(rows, "column_names", None)
    chosen = rows.select_columns([name for name in (*COLUMNS, *ANSWER_COLUMNS) if name in names]) if names else rows
    return [sample_of(index, row, resized) for index, row in enumerate(chosen)]


def sample_of(index: int, row: dict[str, Any], resized: bool = False) -> Sample:
    """What a row holds. `resized`: answers are in pixels of the resized image.

    Raises GroundswiftError for a row with pixel limits of its own, and for invalid objects.
    """
    if resized and (own := limits_of_its_own(row.get("chat_template_kwargs"))):
        raise GroundswiftError(
            f"validation row {index}: chat_template_kwargs limit its image ({', '.join(own)}). "
            "Remove them: pixel limits are those of the run"
        )
    objects = {"ref": [], "bbox": []} | {name: value for name, value in (row.get("objects") or {}).items() if value is not None}
    try:
        check_objects(objects, max(len(row.get("images") or []), 1))
    except GroundswiftError as error:
        raise GroundswiftError(f"validation row {index}: {error}") from None
    turns = [(turn["role"], turn["content"] or "") for turn in row.get("messages") or []]
    answer = turns[-1][1] if turns and turns[-1][0] == "assistant" else ""
    asked = count_tags(text for _, text in turns[:-1]).boxes
    numbers = [number for number in range(asked, len(objects["bbox"])) if len(objects["bbox"][number]) == 4]
    kind, labels = kind_of(turns, answer, objects, numbers, asked)
    size_wh = size_of(row, objects)
    scale = (*size_wh, *size_wh) if objects.get("bbox_type") == "norm1" else (1, 1, 1, 1)
    boxes = [[value * side for value, side in zip(objects["bbox"][number], scale, strict=True)] for number in numbers]
    known = {name: row[name] for name in (*COLUMNS, *ANSWER_COLUMNS) if row.get(name) is not None} | {"images": paths_of(row)}
    return Sample(kind, size_wh, labels, boxes, known) if kind not in UNSCORED else Sample(kind, size_wh, [], [], known)


def paths_of(row: dict[str, Any]) -> list[str]:
    """The paths of a row's images, "" for one that has none: bytes of a whole set would fill the memory."""
    sources = [image.get("path") if isinstance(image, dict) else image for image in row.get("images") or []]
    return [source if isinstance(source, str) and len(source) < LONGEST_PATH else "" for source in sources]


def kind_of(turns: list[tuple[str, str]], answer: str, objects: dict[str, Any], numbers: list[int], asked: int) -> tuple[str, list[str]]:
    """What the last answer holds, and the labels of its boxes, whose indices in `objects.bbox` are `numbers`. `asked`: boxes of earlier
    messages."""
    refs, boxes = objects["ref"], objects["bbox"]
    if not numbers:
        if answer and is_empty_answer(answer, len(boxes)):
            return NOTHING, []
        return (POINTS if len(boxes) > asked else TEXT), []
    image_ids = objects.get("image_id") or [0] * len(boxes)
    if any(image_ids[number] for number in numbers):
        return LATER_IMAGES, []
    if REF not in answer:
        return (ONE_BOX if len(numbers) == 1 else SEVERAL_BOXES), [""] * len(numbers)
    pairing = paired(turns, len(refs), len(boxes))
    if any(pairing.ref_of_box[number] is None or number in pairing.unsure for number in numbers):
        return UNCLEAR, []
    return LABELLED, [refs[pairing.ref_of_box[number]] for number in numbers]


def size_of(row: dict[str, Any], objects: dict[str, Any]) -> tuple[int, int]:
    """(width, height) in px of a row's first image; of one that cannot be read, a size that contains its boxes."""
    corners = (value for box in objects["bbox"] for value in box)
    return first_image_wh(row) or (max([1, *map(ceil, corners)]),) * 2


def first_image_wh(row: dict[str, Any]) -> tuple[int, int] | None:
    """(width, height) in px of a row's first image: `size_wh`, else its header; None where there is none or it cannot be read."""
    if row.get("size_wh"):
        return tuple(row["size_wh"])
    for image in (row.get("images") or [])[:1]:
        with suppress(GroundswiftError):
            return read_size_wh(image_source(image))[0]
    return None


def unscored(samples: Iterable[Sample]) -> dict[str, int]:
    """How many rows no metric of boxes scores, by what they hold."""
    kinds = [sample.kind for sample in samples]
    return {kind: kinds.count(kind) for kind in UNSCORED if kind in kinds}
