"""Rows of ms-swift 2.x -> swift 4 rows: `query`, `response`, `history`, and `objects` as JSON text, which swift 4 drops silently.

How 2.x read a row (its template code, 2.0 to 2.6), and how it is converted:

* The k-th `<ref-object>` of a conversation meant the caption of object k, the k-th `<bbox>` its box or boxes, each counted separately
  over all turns. In swift 4 `<bbox>` is one box, so it is repeated for an object with several.
* `bbox_type` is the space: `real` is pixels; `norm_1` fractions of the image; `norm_1000` steps from 0 to 999, which 2.x converted to
  pixels by value / 999 * size. All become pixels of the original, so that answers can be evaluated.
* 2.x opened images as they are stored. Where an image is EXIF-rotated, its boxes may belong to the stored or to the upright image: the
  user has to say which (`exif_boxes`).
* An image or video without its tag came before the first question; `<img>path</img>` named an image in place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from groundswift.records import BOX, IMAGE, REF, VIDEO, Message, Objects, Row, count_tags, swift_tag_in, whole

from ...base import EXAMPLE_IMAGE
from ...file_io.box_checks import FoundImage, fitted_box
from ...file_io.exif_boxes import ExifBoxes, box_orientation, to_px
from ...file_io.mmap_json import NOT_JSON
from ...issues import IssueLog, skip
from ...tasks.conversation import ConversationOptions, ImageRowMaker, all_usable, check_texts, conversation_row, numbered_id
from .turns import OldRow, media_of, turns_of, unused_columns

REAL, NORM_1000, NORM_1 = "real", "norm_1000", "norm_1"
FORM = "[{caption, bbox: [x1, y1, x2, y2] or a list of such boxes, bbox_type, image}]"


class OldObject(msgspec.Struct):
    """One object. `bbox`: four numbers, or lists of four; `bbox_type` and `image` (an index) as 2.x had them."""

    bbox: list[float | list[float]]
    caption: str | None = None
    bbox_type: str | None = None
    image: int | None = None

    def boxes(self, thing: str) -> list[list[float]]:
        """Its boxes, one or more. Raises SkipSample where they are not four numbers each."""
        boxes = self.bbox if any(isinstance(each, list) for each in self.bbox) else [self.bbox]
        for box in boxes:
            if not isinstance(box, list) or len(box) != 4 or any(isinstance(value, list) for value in box):
                raise skip("box-length", thing, f"bbox {self.bbox}", "x1, y1, x2, y2, or a list of such boxes")
        return boxes


class Swift2Options(ConversationOptions, frozen=True, kw_only=True):
    """Turn rows of swift 2.x into swift 4 rows: query, response, history, system, images, videos, objects.

    Rows of the other forms that 2.x read (conversations, conversation, messages, or instruction, input and output) are taken
    too. `objects` is a list of {caption, bbox, bbox_type, image}, or that list as a text; bbox is one box or several, x1, y1,
    x2, y2. Boxes come out in pixels of the upright image, whatever their bbox_type: real (pixels), norm_1 (0 to 1) or
    norm_1000 (0 to 999).
    A relative path of an image or video starts at DIR. sample_id is the name of SOURCE and the number of the line: train/7.

    Dropped or changed, and counted: objects that no placeholder names, boxes of those that only <ref-object> names, captions
    of those that only <bbox> names; columns that these rows cannot keep (tools, rejected_response, label), or that hold the
    conversation once more in another form; boxes that extend beyond their image are clipped; whitespace of a caption is normalized. Box
    text in a model's own tokens stays text, and is counted.

    \b
    Example:
      groundswift convert swift2 old.jsonl --images /data --out train.jsonl
    """

    name, summary = "swift2", "ms-swift 2.x rows."
    reads, writes = "rows of ms-swift 2.x, each of its forms", "any conversation, in the current form"
    EXAMPLE = {
        "old.jsonl": [
            {
                "query": "Find <ref-object>",
                "response": "<bbox>",
                "images": ["a.jpg"],
                "objects": [{"caption": "cat", "bbox": [1, 1, 4, 5], "bbox_type": "real", "image": 0}],
            }
        ],
        "data/a.jpg": EXAMPLE_IMAGE,
    }
    row_type = OldRow

    bbox_type: Annotated[
        Literal["real", "norm_1000", "norm_1"] | None, msgspec.Meta(description="Space of the boxes of objects without bbox_type.")
    ] = None
    norm_1000: Annotated[
        Literal["999", "1000"], msgspec.Meta(description="Number that means the right and lower border in norm_1000 (999 in swift 2.x).")
    ] = "999"
    exif_boxes: ExifBoxes = None

    def maker(self) -> Swift2Maker:
        return Swift2Maker.of(self, bbox_type=self.bbox_type, norm_1000=int(self.norm_1000), exif_boxes=self.exif_boxes)


class Swift2Maker(ImageRowMaker, frozen=True, kw_only=True):
    """Makes the swift 4 row of a row of 2.x. The name of `source` begins its sample_id."""

    bbox_type: str | None
    norm_1000: int
    exif_boxes: str | None

    def row(self, where: str, old: OldRow, log: IssueLog) -> Row:
        messages = turns_of(where, old)
        for name in (*(name for name in ("tools", "rejected_response", "label") if getattr(old, name)), *unused_columns(old)):
            log.count("column-dropped", f"{where}: {name}")
        images, videos = media_of(where, old, messages)
        objects = parse_objects(where, old.objects)
        needed = self.exif_boxes == "stored" or any((each.bbox_type or self.bbox_type) != REAL for each in objects)
        places = [f"{where}, image {index} ({name[:200]})" for index, name in enumerate(images)]
        seen = [self.images.find(name, place, log, None, needed) for name, place in zip(images, places, strict=True)]
        paths = [self.images.inspect_video(name, f"{where}, video {index} ({name[:200]})", log) for index, name in enumerate(videos)]
        all_usable([*seen, *paths])
        messages, placed = self.with_boxes(where, messages, objects, seen, log)
        check_texts(where, messages, [IMAGE, VIDEO, BOX, REF], True, log)
        return conversation_row(messages, seen, numbered_id(self.source, where), None, placed, paths)

    def with_boxes(
        self, where: str, messages: list[Message], objects: list[OldObject], seen: list[FoundImage], log: IssueLog
    ) -> tuple[list[Message], Objects | None]:
        """The messages with a `<bbox>` for each box, and the objects of the placeholders in the order of the conversation."""
        labels, boxed, *_ = count_tags(message.content for message in messages if message.role != "system")
        check_counts(where, objects, labels, boxed, log)
        if not (labels or boxed):
            return messages, None
        captions = [caption_of(f"{where}, object {index}", each, log) for index, each in enumerate(objects[:labels])]
        placed = all_usable([self.placed(f"{where}, object {index}", each, seen, log) for index, each in enumerate(objects[:boxed])])
        counts = iter(map(len, placed))  # a `<bbox>` for each box of its object
        messages = [
            each if each.role == "system" else Message(each.role, re.sub("<bbox>", lambda tag: tag[0] * next(counts), each.content))
            for each in messages
        ]
        image_ids = [each.image or 0 for each, boxes in zip(objects, placed, strict=False) for _ in boxes]
        return messages, Objects(captions, [box for boxes in placed for box in boxes], image_id=image_ids if len(seen) > 1 else None)

    def placed(self, thing: str, each: OldObject, seen: list[FoundImage], log: IssueLog) -> list[list[float]] | None:
        """The boxes of an object as xyxy in px of its upright image; None, and issues are logged, where one cannot be used."""
        index = each.image if each.image is not None else 0 if len(seen) == 1 else None
        if index is None or not 0 <= index < len(seen):
            raise skip("object-without-image", thing, f"image {each.image} of {len(seen)}", "the index of an image, from 0")
        image, space = seen[index], each.bbox_type or self.bbox_type
        if space not in (REAL, NORM_1000, NORM_1):
            expected = "real, norm_1000 or norm_1" + ("; or --bbox-type for objects without it" if each.bbox_type is None else "")
            raise skip("bbox-type-unknown", thing, f"bbox_type {each.bbox_type!r}", expected)
        turn = box_orientation(thing, image, self.exif_boxes)
        steps = {REAL: None, NORM_1000: self.norm_1000, NORM_1: 1}[space]
        boxes = []
        for numbers in each.boxes(thing):
            box = fitted_box(to_px(numbers, steps, image.size_wh, turn), image.size_wh, thing, log)
            boxes.append(box and [whole(value) for value in box])
        return None if None in boxes else boxes


def parse_objects(where: str, column: Any) -> list[OldObject]:
    """The objects of a row, from a list or its JSON text; an object may be [caption, bbox]. Raises SkipSample for another form."""
    if not column:
        return []
    try:
        if isinstance(column, str):
            column = msgspec.json.decode(column)
        if isinstance(column, dict) and column.keys() & {"ref", "bbox"}:
            raise skip("objects-current-form", where, f"objects has {', '.join(map(str, column))}", f"{FORM}; this row needs no conversion")
        if isinstance(column, list):
            column = [{"caption": each[0], "bbox": each[1]} if isinstance(each, list) and len(each) == 2 else each for each in column]
        return msgspec.convert(column, list[OldObject])
    except NOT_JSON as error:
        raise skip("objects-unreadable", where, f"objects: {error}", FORM) from None


def check_counts(where: str, objects: list[OldObject], labels: int, boxed: int, log: IssueLog) -> None:
    """Count what no placeholder names. Raises SkipSample where there are more `<ref-object>` or `<bbox>` than objects."""
    named = max(labels, boxed)
    if named > len(objects):
        tag = "<ref-object>" if labels > len(objects) else "<bbox>"
        what = f"{labels if labels > len(objects) else boxed} {tag} and {len(objects)} objects"
        raise skip("placeholders-over", where, what, f"an object for each {tag}")
    for reason, unnamed in (
        ("object-unused", objects[named:]),
        ("box-unused-ref", objects[boxed:labels]),
        ("caption-unused", [each for each in objects[labels:boxed] if each.caption]),
    ):
        if unnamed:
            log.count(reason, where, len(unnamed))


def caption_of(thing: str, each: OldObject, log: IssueLog) -> str:
    """The text of a `<ref-object>`, with single spaces between its words. Raises SkipSample where there is none."""
    caption = " ".join((each.caption or "").split())
    if not caption:
        what = "caption is null" if each.caption is None else f"caption {each.caption[:100]!r}"
        raise skip("object-without-caption", thing, what, "a text for its <ref-object>")
    if tag := swift_tag_in(caption):
        raise skip("text-tag", thing, f"caption {caption!r} holds {tag}, which swift would replace", "text without it")
    if caption != each.caption:
        log.count("caption-spaces", thing)
    return caption
