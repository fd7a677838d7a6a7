"""The rows as questions: each image at each asked size, or blanked, with what an engine takes and what a result row keeps."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from groundswift.errors import GroundswiftError, error_at
from groundswift.images import open_image
from groundswift.records import BOX, REF, read_jsonl, tags_in
from groundswift.row_view import RowView, image_source, template_row

ORIGINAL = "original"
GREY = (127, 127, 127)  # of a blanked image
MOST_PX = 100_000_000
SIZE = re.compile(r"(\d+)x(\d+)|(\d+(?:\.\d+)?)x")


@dataclass(frozen=True)
class Question:
    """`request`: what swift's engines take, without an answer; `kept`: columns of the result row."""

    where: str
    request: dict[str, Any]
    kept: dict[str, Any]


def read_questions(rows: Path, sizes: Sequence[str], images: Path, limit: int | None = None) -> list[Question]:
    """The questions of a file of swift rows, at each size; resized images are written into the folder `images`.

    Raises GroundswiftError, with the line, where a row asks nothing, has no sample_id or its image cannot be read.
    """
    found = []
    for number, row in islice(read_jsonl(rows, dict), limit):
        if isinstance(row, GroundswiftError):
            raise row
        where = f"{rows}:{number}"
        question = question_of(row, where)
        found += [question if size == ORIGINAL else resized(question, size, images / size / f"{number}") for size in sizes]
    if not found:
        raise error_at(rows, "no rows", "one JSON object per line")
    return found


def question_of(row: dict[str, Any], where: str) -> Question:
    """What a row asks. Raises GroundswiftError."""
    view = RowView.of(row)
    if row.get("sample_id") is None:
        raise error_at(where, "the row has no sample_id", "rows as `groundswift convert` writes them")
    if view.videos:
        raise error_at(where, "the row has a video", "rows with images")
    if not view.messages or any(text is None for _, text in view.messages):
        raise error_at(where, "no messages with text", "messages that end with a question or its answer")
    request = template_row(view)
    messages = request["messages"][: -1 if view.answered else None]
    if not any(message["role"] == "user" for message in messages):
        raise error_at(where, "no question before the answer", "messages that end with a question or its answer")
    images = [_path(image_source(image)) for image in view.images]
    try:
        size_wh = open_image(images[0]).size if images else None
    except GroundswiftError as error:
        raise error_at(where, str(error)) from None
    kept = {"sample_id": row["sample_id"], "size_wh": size_wh, "images": [image for image in images if isinstance(image, str)]}
    if row.get("chat_template_kwargs"):
        request["chat_template_kwargs"] = row["chat_template_kwargs"]
    if not any(tag in (BOX, REF) for message in messages for tag in tags_in(message["content"])):
        request.pop("objects", None)
    return Question(where, {**request, "messages": messages, "images": images}, kept)


def _path(image: Any) -> Any:
    """An image as an absolute path where it is a local file, below swift's ROOT_IMAGE_DIR where it is not here."""
    if not isinstance(image, str) or "://" in image:
        return image
    below = os.path.join(os.environ.get("ROOT_IMAGE_DIR") or "", image)
    return os.path.abspath(image if os.path.exists(image) else below)


def size_of(text: str, size_wh: tuple[int, int]) -> tuple[int, int]:
    """`1600x400` or `2x` -> (width, height) in px of an image of `size_wh`. Raises GroundswiftError for another text."""
    found = SIZE.fullmatch(text)
    expected = "WIDTHxHEIGHT in px such as 1600x400, a factor such as 2x, or original"
    if not found:
        raise error_at(f"--size {text}", "not a size", expected)
    width, height, factor = found.groups()
    wanted = (int(width), int(height)) if width else tuple(max(round(side * float(factor)), 1) for side in size_wh)
    if min(wanted) < 1 or wanted[0] * wanted[1] > MOST_PX:
        raise error_at(f"--size {text}", f"{wanted[0]}x{wanted[1]} px", f"{expected}, at most {MOST_PX} px in all")
    return wanted


def resized(question: Question, size: str, place: Path) -> Question:
    """A question whose images have another size, and the boxes of its objects with the first of them."""
    before = question.kept["size_wh"]
    if before is None:
        raise error_at(question.where, f"no image to resize to {size}", "rows with images, or no --size")
    files, place_of = [], place.parent
    place_of.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(question.request["images"]):
        pixels = open_image(image)
        files.append(str(place_of / f"{place.name}-{number}.png"))
        pixels.resize(size_of(size, pixels.size), Image.Resampling.BICUBIC).save(files[-1])
    after = size_of(size, before)
    kept = {**question.kept, "size_wh": after, "images": files, "parity_size": size}
    request = {**question.request, "images": files}
    if objects := request.get("objects"):
        request["objects"] = {**objects, "bbox": [_scaled(box, before, after) for box in objects.get("bbox") or []]}
    return Question(question.where, request, kept)


def _scaled(box: Sequence[float], before: tuple[int, int], after: tuple[int, int]) -> list[float]:
    return [value * after[place % 2] / before[place % 2] for place, value in enumerate(box)]


def blanked(questions: Sequence[Question], images: Path) -> list[Question]:
    """The same questions to grey images of the same sizes, one file for each size."""
    images.mkdir(parents=True, exist_ok=True)

    def blank(image: Any) -> str:
        width, height = open_image(image).size
        path = images / f"{width}x{height}.png"
        if not path.exists():
            Image.new("RGB", (width, height), GREY).save(path)
        return str(path)

    return [
        Question(each.where, {**each.request, "images": [blank(image) for image in each.request["images"]]}, each.kept)
        for each in questions
    ]
