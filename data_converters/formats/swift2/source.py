"""Rows of ms-swift 2.x -> today's: `query`, `response`, `history`, and `objects` as a text of JSON, which swift 4 drops in silence.

What 2.x did with a row (its template code, 2.0 to 2.6), and what is done here:

* The k-th `<ref-object>` of a conversation stood for the caption of object k, the k-th `<bbox>` for its box or boxes, each counted by
  itself over all turns. Today `<bbox>` is one box, so it is repeated for an object with several.
* `bbox_type` says the space: `real` is pixels; `norm_1` fractions of the picture; `norm_1000` steps from 0 to 999, which 2.x turned into
  pixels by value / 999 * size. All become pixels of the original, so that answers can be evaluated.
* 2.x opened pictures as they are stored. Where EXIF turns one, its boxes may belong to the stored or to the upright picture: that has to
  be said (`turned`).
* A picture or video without its tag stood before the first question; `<img>path</img>` named a picture in place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from groundswift.records import Message, Objects, Row, swift_tag_in, whole

from ...base import ImageOptions, Reading
from ...file_io.box_checks import Seen, fitted_box
from ...file_io.exif_boxes import Turned, to_px, turn_of
from ...file_io.row_files import read_rows
from ...file_io.row_images import RowPictures
from ...issues import Issue, IssueLog, SkipSample
from ...tasks.conversation import NATIVE, NATIVE_KEPT, ConversationMaker, numbered
from .objects import OldObject, objects_of
from .turns import OldRow, media_of, turns_of, unused_columns

TAG = re.compile("<ref-object>|<bbox>")
OWN = re.compile("<image>|<video>|<bbox>|<ref-object>")  # what may stand in a text
REAL, NORM_1000, NORM_1 = "real", "norm_1000", "norm_1"


class Swift2Options(ImageOptions, frozen=True, kw_only=True):
    """Turn rows of swift 2.x into today's: query, response, history, system, images, videos, objects.

    Rows of the other forms that 2.x read (conversations, conversation, messages, or instruction, input and output) are taken
    too. `objects` is a list of {caption, bbox, bbox_type, image}, or that list as a text; bbox is one box or several, x1, y1,
    x2, y2. Boxes come out in pixels of the upright picture, whatever their bbox_type: real (pixels), norm_1 (0 to 1) or
    norm_1000 (0 to 999).
    A relative path of a picture or video starts at DIR. sample_id is the name of SOURCE and the number of the line: train/7.

    Left out or changed, and counted: objects that no placeholder names, boxes of those that only <ref-object> names, captions
    of those that only <bbox> names; columns that these rows cannot keep (tools, rejected_response, label) or that another form
    of the conversation precedes; boxes cut at the border; blanks of a caption. Box text in a model's own tokens stays text, and
    is counted.

    Faults: more placeholders than objects, an object without bbox_type or image, a box that cannot be used, more <image> than
    images, turns out of order, a missing or blank answer, a picture or video that is missing, a picture that is unreadable or
    spelt out as base64, a video that is empty, audio.

    \b
    Example:
      groundswift convert swift2 old.jsonl --images /data --out train.jsonl
    """

    bbox_type: Annotated[
        Literal["real", "norm_1000", "norm_1"] | None, msgspec.Meta(description="The space of boxes whose object does not say it.")
    ] = None
    norm_1000: Annotated[
        Literal["999", "1000"], msgspec.Meta(description="What stands for the right and lower border in norm_1000; swift 2.x had 999.")
    ] = "999"
    turned: Turned = None

    def read(self, log: IssueLog) -> Reading:
        rows, total = read_rows(self.annotations, OldRow)
        make = Swift2Maker(
            pictures=RowPictures(self.pictures()),
            source=self.annotations,
            bbox_type=self.bbox_type,
            norm_1000=int(self.norm_1000),
            turned=self.turned,
        )
        return Reading(rows, make, total)


class Swift2Maker(ConversationMaker, frozen=True):
    """Makes today's row of one of 2.x. The name of `source` begins its sample_id."""

    pictures: RowPictures
    source: str
    bbox_type: str | None
    norm_1000: int
    turned: str | None

    def row(self, where: str, old: OldRow, log: IssueLog) -> Row:
        messages = turns_of(where, old)
        for name in (*(name for name in ("tools", "rejected_response", "label") if getattr(old, name)), *unused_columns(old)):
            log.count(f"column {name}, left out", where)
        images, videos = media_of(where, old, messages)
        objects = objects_of(where, old.objects)
        if any(NATIVE.search(message.content) for message in messages):
            log.count(NATIVE_KEPT, where)
        needed = self.turned == "stored" or any((each.bbox_type or self.bbox_type) != REAL for each in objects)
        places = [f"{where}, image {index} ({name[:200]})" for index, name in enumerate(images)]
        seen = [self.pictures.find(name, place, log, None, needed) for name, place in zip(images, places, strict=True)]
        clips = [self.pictures.see_video(name, f"{where}, video {index} ({name[:200]})", log) for index, name in enumerate(videos)]
        if None in seen or None in clips:
            raise SkipSample(None)
        messages, objects_now = self.with_boxes(where, messages, objects, seen, log)
        check_texts(where, messages, objects_now)
        return Row(
            messages=messages,
            images=[each.path for each in seen],
            videos=clips,
            objects=objects_now,
            sample_id=numbered(self.source, where),
            size_wh=seen[0].size_wh if seen else None,
        )

    def with_boxes(
        self, where: str, messages: list[Message], objects: list[OldObject], seen: list[Seen], log: IssueLog
    ) -> tuple[list[Message], Objects | None]:
        """The messages with a `<bbox>` for each box, and what stands for the placeholders, in the order of the conversation."""
        tags = [tag for message in messages if message.role != "system" for tag in TAG.findall(message.content)]
        labels, boxed = tags.count("<ref-object>"), tags.count("<bbox>")
        if max(labels, boxed) > len(objects):
            tag, count = ("<ref-object>", labels) if labels > len(objects) else ("<bbox>", boxed)
            what = f"{count} {tag} and {len(objects)} objects"
            raise SkipSample(Issue("more placeholders than objects", where, what, f"an object for each {tag}"))
        if len(objects) > max(labels, boxed):
            log.count("object that no placeholder names, left out", where, len(objects) - max(labels, boxed))
        for reason, unnamed in (
            ("box of an object that only <ref-object> names, left out", objects[boxed:labels]),
            ("caption of an object that only <bbox> names, left out", [each for each in objects[labels:boxed] if each.caption]),
        ):
            if unnamed:
                log.count(reason, where, len(unnamed))
        if not tags:
            return messages, None
        captions = [caption_of(f"{where}, object {index}", each, log) for index, each in enumerate(objects[:labels])]
        placed = [self.placed(f"{where}, object {index}", each, seen, log) for index, each in enumerate(objects[:boxed])]
        if None in placed:
            raise SkipSample(None)
        counts = iter(map(len, placed))
        repeated = [message if message.role == "system" else repeated_boxes(message, counts) for message in messages]
        image_ids = [each.image or 0 for each, boxes in zip(objects, placed, strict=False) for _ in boxes]
        return repeated, Objects(
            ref=captions,
            bbox=[box for boxes in placed for box in boxes],
            image_id=image_ids if len(seen) > 1 else None,
        )

    def placed(self, thing: str, each: OldObject, seen: list[Seen], log: IssueLog) -> list[list[float]] | None:
        """The boxes of an object as xyxy in px of its upright picture; None, and faults are noted, where one cannot be used."""
        index = each.image if each.image is not None else 0 if len(seen) == 1 else None
        if index is None or not 0 <= index < len(seen):
            raise SkipSample(
                Issue("object without its image", thing, f"image {each.image} of {len(seen)}", "the index of an image, from 0")
            )
        picture, space = seen[index], each.bbox_type or self.bbox_type
        if space not in (REAL, NORM_1000, NORM_1):
            expected = "real, norm_1000 or norm_1" + ("; --bbox-type says it for objects that do not" if each.bbox_type is None else "")
            raise SkipSample(Issue("bbox_type unknown", thing, f"bbox_type {each.bbox_type!r}", expected))
        turn = turn_of(thing, picture, self.turned)
        steps = {REAL: None, NORM_1000: self.norm_1000, NORM_1: 1}[space]
        boxes = []
        for numbers in each.boxes(thing):
            box = fitted_box(to_px(numbers, steps, picture.size_wh, turn), picture.size_wh, thing, log)
            boxes.append(box and [whole(value) for value in box])
        return None if None in boxes else boxes


def repeated_boxes(message: Message, counts: Iterator[int]) -> Message:
    """A turn with a `<bbox>` for each box of an object; `counts`: how many boxes the next ones stand for."""
    return Message(message.role, re.sub("<bbox>", lambda tag: tag[0] * next(counts), message.content))


def caption_of(thing: str, each: OldObject, log: IssueLog) -> str:
    """What stands for a `<ref-object>`, with single blanks between its words. Raises SkipSample where there is nothing."""
    caption = " ".join((each.caption or "").split())
    if not caption:
        what = "caption is null" if each.caption is None else f"caption {each.caption[:100]!r}"
        raise SkipSample(Issue("object without a caption", thing, what, "a text for its <ref-object>"))
    if caption != each.caption:
        log.count("blanks of a caption tidied", thing)
    return caption


def check_texts(where: str, messages: list[Message], objects: Objects | None) -> None:
    """Raise SkipSample where a caption, or a text beside its own placeholders, holds what swift would replace."""
    texts = [(f"caption {label!r}", label) for label in (objects.ref if objects else ())]
    texts += [(each.role, each.content if each.role == "system" else OWN.sub("", each.content)) for each in messages]
    for what, text in texts:
        if tag := swift_tag_in(text):
            raise SkipSample(
                Issue("text with one of swift's tags", where, f"{what} holds {tag}, which swift would replace", "text without it")
            )
