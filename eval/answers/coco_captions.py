"""COCO's captions file (`captions_val2017.json`) as questions: one an image, with all of its captions as true answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from groundswift.errors import Tally, error_at

from ..ground_truth import OnError
from .swift_results import KEEPS_COLUMNS, Problem, drop
from .text_columns import TextRow
from .text_rows import Key, Question, Questions

EXPECTED = "COCO captions: images with id and file_name, annotations with image_id and caption"
SKIP_CAPTIONS = "Use --on-error skip to drop and count such captions."
BOM = b"\xef\xbb\xbf"


class Head(msgspec.Struct):
    """What tells the first line of rows from a COCO file on one line."""

    annotations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class CaptionedImage(msgspec.Struct):
    """An image of the file; without a size it is drawn from its file."""

    id: int | str
    file_name: str = ""
    width: int = 0
    height: int = 0


class CaptionFile(msgspec.Struct):
    """The file; a caption is checked when it is read."""

    images: list[CaptionedImage]
    annotations: list[Any]


@dataclass
class CaptionQuestions(Questions):
    """Questions by image id. `captions`: the ids of the captions of each image, which rows of `convert coco-captions` have in sample_id."""

    captions: dict[str, set[str]] = field(default_factory=dict)

    def key_of(self, row: TextRow, number: int) -> Key | Problem:
        """The image of an answer, whatever its question: sample_id is the id of the image, or IMAGE/CAPTION."""
        if row.sample_id is None:
            return Problem("sample-id-missing", "the row has no sample_id", KEEPS_COLUMNS)
        whole = str(row.sample_id)
        image, _, caption = whole.partition("/")
        return (image, "") if whole not in self.by_id and caption in self.captions.get(image, ()) else (whole, "")


def is_coco_captions(path: str | Path) -> bool:
    """Whether a file is one JSON document with annotations, and no rows."""
    with open(path, "rb") as file:
        line = next((line for line in file if line.strip(b" \t\r\n" + BOM)), b"").removeprefix(BOM)
    try:
        return msgspec.json.decode(line, type=Head).annotations is not msgspec.UNSET
    except msgspec.MsgspecError:
        return line.strip() == b"{"  # an object over several lines, which no row is


def read_captions(path: str | Path, on_error: OnError = "stop") -> CaptionQuestions:
    """The images that have captions. Raises GroundswiftError for another file and, unless `on_error` is skip, at a caption that is none."""
    try:
        content = msgspec.json.decode(Path(path).read_bytes().removeprefix(BOM), type=CaptionFile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise error_at(path, str(error), EXPECTED) from None
    images = {str(image.id): image for image in content.images}
    questions, texts = CaptionQuestions(), {}
    for number, row in enumerate(content.annotations):
        problem = _problem(row, images)
        if problem is not None:
            drop(problem, f"{path}: annotations[{number}]", questions.dropped, on_error, SKIP_CAPTIONS)
            continue
        texts.setdefault(str(row["image_id"]), []).append(row["caption"])
        questions.captions.setdefault(str(row["image_id"]), set()).add(str(row.get("id")))
    for name, found in texts.items():
        image = images[name]
        questions.add((name, ""), Question(image.id, "", sorted(found), (), image.file_name, (max(image.width, 0), max(image.height, 0))))
    if not questions.found:
        raise error_at(path, "no image has a caption", EXPECTED)
    _count_without(questions.dropped, images.keys() - texts.keys())
    return questions


def _problem(row: Any, images: dict[str, CaptionedImage]) -> Problem | None:
    """Why an entry cannot be a caption of an image of the file."""
    if not isinstance(row, dict) or not isinstance(row.get("caption"), str):
        return Problem("truth-invalid", "no text in `caption`", EXPECTED)
    if str(row.get("image_id")) not in images:
        return Problem("image-id-unknown", f"image_id {row.get('image_id')!r} is not the id of an image of the file", EXPECTED)
    return None if row["caption"].strip() else Problem("truth-empty", "the caption is empty", "text")


def _count_without(dropped: Tally, images: set[str]) -> None:
    for name in sorted(images):
        dropped.add("truth-missing", f"image {name}")
