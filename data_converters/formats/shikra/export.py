"""Swift rows -> rows of Shikra: boxes and points apart from the conversation, each once, and turns that refer to them by index.

Shikra has a system message of its own for all rows. It puts boxes into the text by Python's `format`, which takes braces for fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Annotated

from groundswift.errors import GroundswiftError
from groundswift.placeholders import label_first
from groundswift.records import BOX, IMAGE, REF, SWIFT_TAGS, Message, count_tags, whole
from groundswift.row_view import RowView, box_finding, image_source
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, EXAMPLE_ROW, ImageOptions, Reading, path_option
from ...file_io.box_checks import FoundImage, fitted_box, fitted_point
from ...issues import Issue, IssueLog, SkipSample, skip
from ...rows.any_row import AnyRow, relative, viewed
from ...rows.result_rows import TruthFlag, read_truth
from ...tasks.conversation import ImageRowMaker, all_usable, check_order, check_texts, with_placeholders
from .row import BOXES, POINTS, ShikraRow, Side, Target, Turn

TAG = re.compile(f"({REF}|(?:{BOX})+)")
SPEAKERS = {"user": "human", "assistant": "gpt"}


class SwiftRow(AnyRow):
    """A swift row; see AnyRow. `prompt`: the name of its question."""

    prompt: str | None = None
    size_wh: tuple[Side, Side] | None = None


class ToShikraOptions(ImageOptions, frozen=True, kw_only=True):
    """Turn swift rows into rows of Shikra: image, target (boxes, points), conversations with boxes_seq and points_seq.

    Boxes and points are pixels of the upright image, each once in target; adjacent <bbox> become one <boxes> with several
    indices, and points one <points>. sample_id, width and height are kept as extra fields, and `groundswift convert shikra`
    reads them.

    Lists in JSON ({"bbox_2d": <bbox>, "label": "<ref-object>"}) become each label with its boxes after it.

    Dropped or changed, and counted: labels are written into the text, or dropped where no text shows them; system messages
    and names of prompts; <image> is put before the first question where a row has an image and no <image>; boxes are
    clipped; EXIF-rotated images (Shikra reads them as they are stored: store them upright first).

    Problems: several images, videos, no answer, turns out of order, braces in a turn with boxes, text with one of the
    placeholders of swift or Shikra; placeholders and boxes or labels that differ in number; a row that lint reports as
    malformed; an image that is missing, unreadable or of another size.

    \b
    Example:
      groundswift convert to-shikra train.jsonl --images /data/flickr30k_images --out train_shikra.jsonl
    """

    name, summary = "to-shikra", "swift rows to Shikra rows."
    reads, writes = "swift rows", "Shikra rows"
    makes_rows = False
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW], "data/flickr30k_images/a.jpg": EXAMPLE_IMAGE}

    truth: TruthFlag = False
    images: Annotated[
        str | None, path_option("Folder of the images: paths are written relative to it.  [default: absolute paths]", "DIR")
    ] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        rows, total = read_truth(self.annotations, SwiftRow, self.truth)
        return Reading(rows, ToShikraMaker.of(self, relative=bool(self.images)), total)


@dataclass
class Objects:
    """The boxes and points of a row: `given` in the order of their placeholders, `boxes` and `points` each once with its index."""

    given: Iterator[list[float]]
    labels: Iterator[str]
    boxes: dict[tuple[float, ...], int] = field(default_factory=dict)
    points: dict[tuple[float, ...], int] = field(default_factory=dict)

    def index(self, box: list[float]) -> int:
        """The index of a box among the boxes, or of a point among the points."""
        known = self.boxes if len(box) == 4 else self.points
        return known.setdefault(tuple(box), len(known))

    def target(self) -> Target | None:
        """All boxes and points; None where there are none."""
        boxes, points = list(map(list, self.boxes)), list(map(list, self.points))
        return Target(boxes or None, points or None) if boxes or points else None


class ToShikraMaker(ImageRowMaker, frozen=True, kw_only=True):
    """Makes the Shikra row of a swift row. `relative`: paths are written relative to the folder of the images."""

    relative: bool

    def row(self, where: str, source: SwiftRow, log: IssueLog) -> ShikraRow:
        view, issues = viewed(where, source)
        for each in issues:
            log.add(each)
        if issues:
            raise SkipSample(None)
        if source.videos or len(view.images) > 1:
            raise skip("row-not-shikra", where, "videos" if source.videos else f"{len(view.images)} images", "one image, or none")
        messages = label_before_boxes(where, without_system(where, view, log))
        check_order(where, messages)
        tagged = with_placeholders(where, messages, IMAGE, len(view.images))
        if tagged != messages:
            log.count("image-tag-added", where)
        check_texts(where, tagged, [IMAGE, REF, BOX], bool(view.images), log)
        labels = checked_labels(where, view, tagged, log)
        if source.prompt is not None:
            log.count("prompt-name-dropped", where)
        image = self.image(where, view, source, log)
        objects = Objects(iter(placed(where, view, image, log)), iter(labels))
        turns = [turn_of(f"{where}, turn {index}", each, objects) for index, each in enumerate(tagged)]
        if labels:
            log.count("label-inlined", where, len(labels))
        width, height = (image.size_wh if image else None) or (None, None)
        folder = self.images.folder if self.relative else None
        path = relative(f"{where}, image", image.path, folder) if image else None
        return ShikraRow(path, objects.target(), turns, sample_id=source.sample_id, width=width, height=height)

    def image(self, where: str, view: RowView, source: SwiftRow, log: IssueLog) -> FoundImage | None:
        """The image of a row, None where it has none. Raises SkipSample where it cannot be used; the issue is logged."""
        if not view.images:
            return None
        name = image_source(view.images[0])
        needed = view.bbox_type == "norm1"
        thing = f"{where}, image ({name[:200]})"
        (image,) = all_usable([self.images.find(name, thing, log, source.size_wh, needed, "image-rotated-by-exif-shikra")])
        return image


def without_system(where: str, view: RowView, log: IssueLog) -> list[Message]:
    """The conversation without its system message."""
    messages = [Message(role, content) for role, content in view.messages if content is not None]
    if not messages or messages[0].role != "system":
        return messages
    if BOX in messages[0].content or REF in messages[0].content:
        raise skip("boxes-in-system", where, "the system message holds placeholders", "placeholders in questions and answers only")
    log.count("system-dropped", where)
    return messages[1:]


def label_before_boxes(where: str, messages: list[Message]) -> list[Message]:
    """The conversation with its JSON lists as labels and boxes in plain text. Raises SkipSample for placeholders in other JSON."""
    out = []
    for index, each in enumerate(messages):
        try:
            out.append(Message(each.role, label_first(each.content, each.role == "assistant")))
        except GroundswiftError as error:
            raise SkipSample(Issue.of("placeholders-malformed", f"{where}, turn {index}", str(error))) from None
    return out


def checked_labels(where: str, view: RowView, messages: list[Message], log: IssueLog) -> list[str]:
    """The label of each `<ref-object>`. Raises SkipSample where labels or boxes and their placeholders differ in number."""
    labels, boxes = view.refs or [], view.boxes or []
    shown, boxed, *_ = count_tags(each.content for each in messages)
    if boxed != len(boxes):
        raise skip("bbox-count", where, f"{boxed} {BOX} and {len(boxes)} boxes", "as many of each")
    if labels and not shown:
        log.count("label-unused", where, len(labels))
        return []
    if shown != len(labels):
        raise skip("ref-count", where, f"{shown} {REF} and {len(labels)} labels", "as many of each")
    return labels


def placed(where: str, view: RowView, image: FoundImage | None, log: IssueLog) -> list[list[float]]:
    """Each box and point in px, in order. Raises SkipSample where one cannot be used; each issue is logged."""
    out: list[list[float] | None] = []
    for index, box in enumerate(view.boxes or ()):
        thing, problem = f"{where}, box {index}", box_finding(box)
        if problem:
            log.add(Issue.of(problem[0], thing, f"box {problem[1]}"))
            out.append(None)
            continue
        sides = image.size_wh * 2 if view.bbox_type == "norm1" else (1, 1, 1, 1)
        numbers = [value * side for value, side in zip(box, sides, strict=False)]
        fitted = (fitted_box if len(box) == 4 else fitted_point)(numbers, image.size_wh, thing, log)
        out.append(fitted and [whole(value) for value in fitted])
    return all_usable(out)


def turn_of(thing: str, message: Message, objects: Objects) -> Turn:
    """One turn in Shikra's form. Raises SkipSample where its text holds what Shikra would misread."""
    value, text, groups = "", "", {BOXES: [], POINTS: []}  # `text`: all except the placeholders
    for part in TAG.split(message.content):
        if part.startswith(BOX):
            boxes = [next(objects.given) for _ in range(len(part) // len(BOX))]
            for numbers, group in groupby(boxes, len):
                kind = BOXES if numbers == 4 else POINTS
                value += kind
                groups[kind].append([objects.index(box) for box in group])
            text += "\0"  # so that the texts on both sides make no placeholder together
            continue
        if part == REF:
            part = next(objects.labels)
        value += part
        text += part
    without_image = text.replace(IMAGE, "", message.content.count(IMAGE))
    if found := next((tag for tag in (BOXES, POINTS, *SWIFT_TAGS) if tag in without_image), None):
        raise skip("text-placeholder", thing, f"a text or label holds {found}, which would be replaced", "text without it")
    if any(groups.values()) and ("{" in text or "}" in text):
        raise skip("text-braces", thing, "a turn with boxes holds { or }, which Shikra's own code cannot read", "text without braces")
    return Turn(SPEAKERS[message.role], value, groups[BOXES] or None, groups[POINTS] or None)
