"""Today's rows -> rows of Shikra: boxes and points apart from the conversation, each once, and turns that point to them by index.

What Shikra's rows cannot say:

* Labels. The label of a `<ref-object>` is written into the text; labels that no text shows are left out. Both are counted.
* System messages: Shikra has one of its own for all rows. They are left out and counted; so is the name of a row's prompt.
* Several pictures, videos, rows without an answer: faults.
* Braces in a turn with boxes: Shikra puts boxes into the text by Python's `format`, which takes braces for fields. A fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Annotated

import msgspec

from groundswift.errors import GroundswiftError
from groundswift.placeholders import label_first
from groundswift.records import BOX, IMAGE, REF, SWIFT_TAGS, Message, whole
from groundswift.row_view import RowView, image_source

from ...base import ImageOptions, Reading
from ...file_io.box_checks import Seen, fitted_box, fitted_point
from ...file_io.images import UPRIGHT
from ...file_io.row_files import read_rows
from ...file_io.row_images import RowPictures
from ...issues import Issue, IssueLog, SkipSample
from ...rows.any_row import AnyRow, relative, viewed
from ...rows.lint.checks_boxes import misread
from ...rows.result_rows import TruthFlag, of_truth
from ...tasks.conversation import ConversationMaker, check_order, check_texts, with_tags
from .source import BOXES, POINTS, Side

TAG = re.compile(f"({REF}|(?:{BOX})+)")
SPEAKERS = {"user": "human", "assistant": "gpt"}


class OurRow(AnyRow):
    """A row of ours; see AnyRow. `prompt`: the name of its question."""

    prompt: str | None = None
    size_wh: tuple[Side, Side] | None = None


class OutTarget(msgspec.Struct, omit_defaults=True):
    """Boxes (xyxy) and points (xy) in px, each once, in order of their first mention."""

    boxes: list[list[float]] = []
    points: list[list[float]] = []


class OutTurn(msgspec.Struct, omit_defaults=True, rename={"speaker": "from"}):
    """What somebody says; the indices of each `<boxes>` and each `<points>` in it."""

    speaker: str
    value: str
    boxes_seq: list[list[int]] = []
    points_seq: list[list[int]] = []


class OutRow(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One line. Shikra itself reads the first three; the others are kept for `convert shikra`."""

    image: str | None = None
    target: OutTarget | None = None
    conversations: list[OutTurn]
    sample_id: int | str | None = None
    width: int | None = None
    height: int | None = None


class ToShikraOptions(ImageOptions, frozen=True, kw_only=True):
    """Turn swift rows into rows of Shikra: image, target (boxes, points), conversations with boxes_seq and points_seq.

    Boxes and points are pixels of the upright picture, each once in target; <bbox> that stand together become one <boxes>
    with several indices, and points one <points>. sample_id, width and height are kept beside, and `groundswift convert
    shikra` reads them.

    Lists in JSON ({"bbox_2d": <bbox>, "label": "<ref-object>"}) become each label with its boxes behind it.

    Left out or changed, and counted: labels are written into the text, or left out where no text shows them; system messages
    and names of prompts; <image> is put before the first question where a row has a picture and no <image>; boxes cut at the
    border; pictures that EXIF turns (Shikra reads them as they are stored: store them upright first).

    Faults: several pictures, videos, no answer, turns out of order, braces in a turn with boxes, text that holds one of the
    placeholders of swift or Shikra; placeholders and boxes or labels that differ in number; a row that lint finds
    misshapen; a picture that is missing, unreadable or of another size.

    \b
    Example:
      groundswift convert to-shikra train.jsonl --images /data/flickr30k_images --out train_shikra.jsonl
    """

    truth: TruthFlag = False
    images: Annotated[
        str | None,
        msgspec.Meta(
            description="Folder of the pictures: relative paths start there, and are written.  [default: paths are written absolute]",
            extra={"path": True, "metavar": "DIR"},
        ),
    ] = None

    def read(self, log: IssueLog) -> Reading:
        rows, total = read_rows(self.annotations, OurRow)
        rows = of_truth(rows, self.truth)
        pictures = RowPictures(self.pictures())
        return Reading(rows, ToShikraMaker(pictures, pictures.inside.folder if self.images else None), total)


@dataclass
class Pool:
    """The boxes and points of a row: `given` in the order of their placeholders, `boxes` and `points` each once with its index."""

    given: Iterator[list[float]]
    labels: Iterator[str]
    boxes: dict[tuple[float, ...], int] = field(default_factory=dict)
    points: dict[tuple[float, ...], int] = field(default_factory=dict)

    def index(self, box: list[float]) -> int:
        """The index of a box among the boxes, or of a point among the points."""
        known = self.boxes if len(box) == 4 else self.points
        return known.setdefault(tuple(box), len(known))


class ToShikraMaker(ConversationMaker, frozen=True):
    """Makes Shikra's row of one of ours. `folder`: paths are written relative to it, where there is one."""

    pictures: RowPictures
    folder: str | None

    def row(self, where: str, source: OurRow, log: IssueLog) -> OutRow:
        view, misshapen = viewed(where, source)
        for each in misshapen:
            log.add(each)
        if misshapen:
            raise SkipSample(None)
        if source.videos or len(view.images) > 1:
            what = "videos" if source.videos else f"{len(view.images)} images"
            raise SkipSample(Issue("row that Shikra cannot hold", where, what, "one picture, or none"))
        messages = in_words(where, without_system(where, view, log))
        check_order(where, messages)
        messages = with_image(where, messages, len(view.images), log)
        check_texts(where, messages, [IMAGE, REF, BOX], bool(view.images), log)
        labels = checked_labels(where, view, messages, log)
        if source.prompt is not None:
            log.count("name of the prompt, left out", where)
        seen = self.seen(where, view, source, log)
        pool = Pool(iter(placed(where, view, seen, log)), iter(labels))
        turns = [turn_of(f"{where}, turn {index}", each, pool) for index, each in enumerate(messages)]
        if labels:
            log.count("label written into the text", where, len(labels))
        width, height = (seen.size_wh if seen else None) or (None, None)
        return OutRow(
            image=relative(f"{where}, image", seen.path, self.folder) if seen else None,
            target=OutTarget(list(map(list, pool.boxes)), list(map(list, pool.points))) if pool.boxes or pool.points else None,
            conversations=turns,
            sample_id=source.sample_id,
            width=width,
            height=height,
        )

    def seen(self, where: str, view: RowView, source: OurRow, log: IssueLog) -> Seen | None:
        """The picture of a row, None where it has none. Raises SkipSample where it cannot be used; why is noted."""
        if not view.images:
            return None
        name = image_source(view.images[0])
        needed = view.bbox_type == "norm1"
        seen = self.pictures.see(name, f"{where}, image ({name[:200]})", log, source.size_wh, size_needed=needed)
        if seen is None:
            raise SkipSample(None)
        if seen.orientation != UPRIGHT:
            log.count("image turned by its EXIF orientation, which Shikra does not apply", name)
        return seen


def without_system(where: str, view: RowView, log: IssueLog) -> list[Message]:
    """The conversation less its system message."""
    messages = [Message(role, content) for role, content in view.messages if content is not None]
    if messages and messages[0].role == "system":
        if BOX in messages[0].content or REF in messages[0].content:
            raise SkipSample(
                Issue("boxes in a system message", where, "the system message holds placeholders", "them in questions and answers")
            )
        log.count("system message, left out", where)
        return messages[1:]
    return messages


def in_words(where: str, messages: list[Message]) -> list[Message]:
    """The conversation with its lists as labels and boxes, without JSON around them. Raises SkipSample for placeholders in other JSON."""
    out = []
    for index, each in enumerate(messages):
        try:
            out.append(Message(each.role, label_first(each.content, each.role == "assistant")))
        except GroundswiftError as error:
            raise SkipSample(Issue.of("placeholders in another form", f"{where}, turn {index}", str(error))) from None
    return out


def with_image(where: str, messages: list[Message], images: int, log: IssueLog) -> list[Message]:
    """The conversation with its `<image>`. Raises SkipSample where that does not stand once in a question."""
    tagged = with_tags(where, messages, IMAGE, images)
    if tagged != messages:
        log.count("<image> put before the first question", where)
    return tagged


def checked_labels(where: str, view: RowView, messages: list[Message], log: IssueLog) -> list[str]:
    """The label of each `<ref-object>`. Raises SkipSample where labels or boxes and their placeholders differ in number."""
    labels, boxes = view.refs or [], view.boxes or []
    shown, boxed = (sum(each.content.count(tag) for each in messages) for tag in (REF, BOX))
    if boxed != len(boxes):
        raise SkipSample(Issue("<bbox> and boxes differ in number", where, f"{boxed} {BOX} and {len(boxes)} boxes", "as many of each"))
    if labels and not shown:
        log.count("label that no text shows, left out", where, len(labels))
        return []
    if shown != len(labels):
        raise SkipSample(
            Issue("<ref-object> and labels differ in number", where, f"{shown} {REF} and {len(labels)} labels", "as many of each")
        )
    return labels


def placed(where: str, view: RowView, seen: Seen | None, log: IssueLog) -> list[list[float]]:
    """Each box and point in px, in order. Raises SkipSample where one cannot be used; why is noted."""
    out: list[list[float] | None] = []
    for index, box in enumerate(view.boxes or ()):
        thing, problem = f"{where}, box {index}", misread(box)
        if problem:
            log.add(Issue.of(problem[0], thing, f"box {problem[1]}"))
            out.append(None)
            continue
        sides = seen.size_wh * 2 if view.bbox_type == "norm1" else (1, 1, 1, 1)
        numbers = [value * side for value, side in zip(box, sides, strict=False)]
        fitted = (fitted_box if len(box) == 4 else fitted_point)(numbers, seen.size_wh, thing, log)
        out.append(fitted and [whole(value) for value in fitted])
    if None in out:
        raise SkipSample(None)
    return out


def turn_of(thing: str, said: Message, pool: Pool) -> OutTurn:
    """One turn as Shikra has it. Raises SkipSample where its text holds what Shikra would misread."""
    turn, text = OutTurn(SPEAKERS[said.role], "", [], []), ""  # `text`: all but the placeholders
    for part in TAG.split(said.content):
        if part.startswith(BOX):
            boxes = [next(pool.given) for _ in range(len(part) // len(BOX))]
            for numbers, group in groupby(boxes, len):
                turn.value += BOXES if numbers == 4 else POINTS
                (turn.boxes_seq if numbers == 4 else turn.points_seq).append([pool.index(box) for box in group])
            text += "\0"  # so that what stands on both sides makes no placeholder together
            continue
        if part == REF:
            part = next(pool.labels)
        turn.value += part
        text += part
    without_image = text.replace(IMAGE, "", said.content.count(IMAGE))
    found = next((tag for tag in (BOXES, POINTS, *SWIFT_TAGS) if tag in without_image), None)
    if found:
        raise SkipSample(
            Issue("text with a placeholder", thing, f"a text or label holds {found}, which would be replaced", "text without it")
        )
    if (turn.boxes_seq or turn.points_seq) and ("{" in text or "}" in text):
        what = "holds { or }, which Shikra's own code cannot take beside boxes"
        raise SkipSample(Issue("braces beside boxes", thing, what, "text without braces"))
    return turn
