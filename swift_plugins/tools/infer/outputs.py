"""Other forms of a result: its boxes as a COCO file or COCO results, and drawn on the images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from groundswift.atomic_write import write_whole
from groundswift.boxes import Boxes, xyxy_to_xywh
from groundswift.data_converters.tasks.category_file import read_categories
from groundswift.errors import GroundswiftError, error_at
from groundswift.eval.answers.confidence import Tokens
from groundswift.eval.answers.protocol import rules_of_record
from groundswift.eval.answers.swift_results import logprob_range
from groundswift.eval.answers.to_boxes import boxes_of_answers
from groundswift.images import open_image
from groundswift.records import read_jsonl, whole
from groundswift.run_record import record_of_result
from groundswift.terminal import counted

from .questions import size_of, source_of

DRAWERS = 4  # threads
LONGEST_NAME = 80  # characters of a file name
DIGITS = 4  # of a score
NO_RECORD = "the record of the run, which --family gives with --url"


@dataclass(frozen=True)
class Found:
    """The boxes of one row: (n, 4) xyxy in px of its upright image, with labels and scores (1.0 without log-probabilities)."""

    row: dict[str, Any]
    size_wh: tuple[int, int]
    labels: list[str]
    boxes_xyxy_px: Boxes
    scores: Sequence[float]

    @property
    def image(self) -> Any:
        """The row's image."""
        return self.row["images"][0]

    @property
    def name(self) -> str:
        """The row's id, else the name of its image."""
        sample_id = self.row.get("sample_id")
        return str(source_of(self.image))[-200:] if sample_id is None else str(sample_id)


def found_in(result: Path) -> list[Found]:
    """The boxes of every answered row with one image that can be opened. Raises GroundswiftError where the result has no run record."""
    record = record_of_result(result)
    if record is None:
        raise error_at(result, "how its boxes are written is not known", NO_RECORD)
    rows, sizes = [], []
    for _, row in read_jsonl(result, dict):
        if isinstance(row, GroundswiftError):
            raise row
        images = row.get("images") or []
        size_wh = row.get("size_wh") or (size_of(images[0]) if images else None)
        if row.get("error") is None and len(images) == 1 and size_wh:
            rows.append(row)
            sizes.append(tuple(size_wh))
    tokens = [tokens_of(row) for row in rows]
    scored = bool(tokens) and all(each is not None for each in tokens)
    rules = rules_of_record(record, None, None, {}, score="logprob" if scored else "constant")
    texts, cut = [row["response"] for row in rows], [row.get("finish_reason") == "length" for row in rows]
    names = [str(row.get("sample_id")) for row in rows]
    found = boxes_of_answers(texts, sizes, rules, names, cut, tokens if scored else None)
    columns = zip(rows, sizes, found.labels, found.boxes_xyxy_px, found.scores, strict=True)
    return [Found(row, size_wh, *kept(labels, boxes, scores)) for row, size_wh, labels, boxes, scores in columns]


def kept(labels: list[str], boxes: Boxes, scores: Sequence[float]) -> tuple[list[str], Boxes, list[float]]:
    """The boxes that have an area in their image."""
    places = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])) if len(boxes) else []
    return [labels[place] for place in places], boxes[places] if len(boxes) else boxes, [float(scores[place]) for place in places]


def tokens_of(row: dict[str, Any]) -> Tokens | None:
    """The tokens of an answer and their log-probabilities; None without, and where one is not a number up to 0 (null: it was NaN)."""
    content = (row.get("logprobs") or {}).get("content")
    values = [each["logprob"] for each in content or ()]
    usable = all(isinstance(value, int | float) for value in values) and logprob_range(values) is None
    return Tokens([each["token"] for each in content], values) if usable and content is not None else None


def write_coco(out: Path, found: Sequence[Found], categories: str | None, classes: Sequence[str] = ()) -> str:
    """Write the boxes as COCO -> a line that says what.

    With `categories`, a COCO file, they are results: a list of image_id (the row's `sample_id`), category_id, bbox and score; boxes of
    other labels are counted and skipped. Else they are a file of images, annotations with a score, and categories: `classes`, then other
    labels by first appearance. Raises GroundswiftError where an id is not a whole number in results.
    """
    if categories is None:
        document, boxes, skipped = coco_file(found, classes)
    else:
        document, boxes, skipped = coco_results(found, {each.name: each.id for each in read_categories(categories)}, str(out))
    write_whole(out, [msgspec.json.encode(document), b"\n"])
    more = f", {skipped} of unknown labels skipped [label-unknown]" if skipped else ""
    return f"{out}: {counted(boxes, 'box', 'boxes')} of {counted(len(found), 'row')}{more}"


def coco_results(found: Sequence[Found], ids: dict[str, int], out: str) -> tuple[list[dict[str, Any]], int, int]:
    """(COCO results, boxes in them, boxes of labels without an id)."""
    results, skipped = [], 0
    for each in found:
        sample_id = each.row.get("sample_id")
        if not re.fullmatch(r"-?[0-9]{1,18}", str(sample_id), re.ASCII):
            raise error_at(out, f"sample_id {sample_id!r}", "the image ids of --categories, whole numbers, or no --categories")
        for label, box, score in boxes_of(each):
            if label in ids:
                results.append({"image_id": int(sample_id), "category_id": ids[label], "bbox": box, "score": score})
            else:
                skipped += 1
    return results, len(results), skipped


def coco_file(found: Sequence[Found], classes: Sequence[str]) -> tuple[dict[str, Any], int, int]:
    """(a COCO file, boxes in it, 0). Images that several rows have are there once; ids count from 1."""
    ids = {name: number for number, name in enumerate(classes, 1)}
    images: dict[str, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for each in found:
        name = os.path.abspath(source) if isinstance(source := source_of(each.image), str) else each.name
        width, height = each.size_wh
        image = images.setdefault(
            name, {"id": len(images) + 1, "file_name": name, "width": width, "height": height, "sample_id": each.name}
        )
        for label, box, score in boxes_of(each):
            number = ids.setdefault(label, len(ids) + 1)
            area = whole(round(box[2] * box[3], 6))
            own = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": number, "bbox": box, "area": area, "iscrowd": 0}
            annotations.append(own | {"score": score})
    shared = os.path.commonpath([os.path.dirname(name) for name in images]) if images else ""
    for image in images.values():
        image["file_name"] = os.path.relpath(image["file_name"], shared)
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    return {"images": list(images.values()), "annotations": annotations, "categories": categories}, len(annotations), 0


def boxes_of(found: Found) -> Iterator[tuple[str, list[float], float]]:
    """(label, xywh in px, score) of each box."""
    for label, box, score in zip(found.labels, xyxy_to_xywh(found.boxes_xyxy_px).tolist(), found.scores, strict=True):
        yield label, [whole(round(value, DIGITS)) for value in box], whole(round(score, DIGITS))


def draw_all(folder: Path, found: Sequence[Found]) -> str:
    """Draw the boxes of each row into a file of a folder, named by its number and id -> a line that says how many."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(DRAWERS) as pool:
        list(pool.map(lambda item: draw(folder / file_name(*item), item[1]), enumerate(found, 1)))
    return f"{folder}: {counted(len(found), 'image')} with their boxes"


def file_name(number: int, found: Found) -> str:
    """A file name that any system takes."""
    plain = re.sub(r"[^\w.-]+", "_", found.name)[-LONGEST_NAME:].strip("._")
    return f"{number:06d}_{plain or 'row'}.jpg"


def draw(path: Path, found: Found) -> None:
    """Draw the boxes of a row on its image. Raises GroundswiftError where the file cannot be written."""
    from ..show.drawing import coloured, drawn, enlargement
    from ..show.encoded_boxes import Mark

    image = open_image(source_of(found.image))
    marks = []
    for number, (label, box, score) in enumerate(zip(found.labels, found.boxes_xyxy_px.tolist(), found.scores, strict=True), 1):
        text = label if score == 1 else f"{label} {score:.2f}"
        marks.append(Mark(number, text, 0, tuple(box), tuple(box), tuple(box), (0.0, 0.0)))
    try:
        drawn(image, coloured(marks), enlargement(image.size), labels=True).save(path, quality=90)
    except OSError as error:
        raise error_at(path, f"cannot be written ({error.strerror or error})", "a folder that can be written") from None
