"""Swift rows -> conversations with boxes and labels as text, in the form of one model family."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from groundswift.coordinates import from_original_px
from groundswift.errors import GroundswiftError
from groundswift.family import family_row
from groundswift.grammars.registry import format_answer, grammar_of
from groundswift.pairing import REFUSED, Key, WholeList, planned
from groundswift.placeholders import TAG
from groundswift.records import IMAGE, REF, Message, count_tags, swift_tag_in
from groundswift.row_view import RowView, box_finding, image_source

from ..file_io.box_checks import fitted_box, fitted_point
from ..file_io.images import stated_size_problem
from ..file_io.row_images import LONGEST, RowImages
from ..issues import Issue, IssueLog, SkipSample, skip
from ..tasks.conversation import check_order
from .any_row import SOUND, AnyRow, viewed
from .lint.checks_rows import check_counts, check_roles
from .lint.rules import RULES


class Spoken(NamedTuple):
    """A conversation as text. `<image>`: its images in order, as absolute paths or as in the row."""

    messages: list[Message]
    images: list[str]


def spoken(where: str, row: AnyRow, family: str, inside: RowImages, log: IssueLog) -> Spoken:
    """A row as text of a family. `inside`: where its images are, which are opened if boxes are on one whose size the row does not state.

    Raises SkipSample if swift would refuse it, or it cannot be written as text.
    """
    view, misshapen = viewed(where, row)
    if misshapen:
        raise SkipSample(misshapen[0])
    for rule, text in (*check_roles(view), *check_counts(view)):
        if RULES[rule].severity == "error":
            raise SkipSample(Issue.of(rule, where, text, SOUND))
    if row.videos:
        raise skip("row-with-video", where, "videos", "images")
    for label in view.refs or ():
        if tag := swift_tag_in(label):
            raise skip("label-tag", where, f"label {label[:100]!r} holds {tag}", "text without it")
    images = [source_of(f"{where}, image {index}", image) for index, image in enumerate(view.images)]
    boxes = written(where, view, Sizes(where, row.size_wh, images, inside, log), family, log)
    messages = rendered(where, view, boxes, family)
    check_order(where, messages)
    for index, each in enumerate(messages):
        if tag := swift_tag_in(each.content.replace(IMAGE, "")):
            raise skip("text-tag", f"{where}, turn {index}", f"holds {tag}", "text without it")
    lacking = len(images) - count_tags(each.content for each in messages).images
    first = next(index for index, each in enumerate(messages) if each.role == "user")
    messages[first] = Message("user", IMAGE * lacking + messages[first].content)  # as swift does
    return Spoken(messages, images)


def source_of(thing: str, image: object) -> str:
    """The path or URL of an image of a row. Raises SkipSample for inline data."""
    source = image_source(image)
    if source.startswith("data:") or len(source) > LONGEST:
        raise skip("image-inline", thing, f"an image of {len(source)} characters", "a path to a file")
    return source


@dataclass
class Sizes:
    """The sizes of the images of a row: `stated_wh` of the first, in px; those of others are read once from `images`."""

    where: str
    stated_wh: tuple[int, int] | None
    images: list[str]
    inside: RowImages
    log: IssueLog
    known: dict[int, tuple[int, int]] = field(default_factory=dict)

    def of(self, index: int) -> tuple[int, int]:
        """The size (width, height) of an image in px. Raises SkipSample where it is neither stated nor readable."""
        thing = f"{self.where}, image {index}"
        if index == 0 and self.stated_wh:
            if problem := stated_size_problem(self.stated_wh, thing):
                raise SkipSample(problem)
            return self.stated_wh
        if index not in self.known:
            self.known[index] = self.read(index, thing)
        return self.known[index]

    def read(self, index: int, thing: str) -> tuple[int, int]:
        """The size in the header of an image, which is counted."""
        path = self.inside.path_of(self.images[index], thing, self.log)
        seen = path and self.inside.inspect(path, f"{thing} ({path})", self.log, size_needed=True)
        if not seen:
            raise SkipSample(None)
        self.log.count("size-from-image", thing)
        return seen.size_wh


def written(where: str, view: RowView, sizes: Sizes, family: str, log: IssueLog) -> list[list[float]]:
    """The boxes (4 numbers) and points (2) of a row in the family's space. Raises SkipSample for one that cannot be used."""
    out = []
    for index, box in enumerate(view.boxes or ()):
        thing = f"{where}, box {index}"
        if problem := box_finding(box):
            raise SkipSample(Issue.of(problem[0], thing, problem[1]))
        size_wh = sizes.of(view.image_of(index))
        px = [value * side for value, side in zip(box, size_wh * 2, strict=False)] if view.bbox_type == "norm1" else box
        fitted = (fitted_box if len(box) == 4 else fitted_point)(px, size_wh, thing, log)
        if fitted is None:
            raise SkipSample(None)
        out.append(from_original_px([[*fitted, *fitted][:4]], family, size_wh)[0].tolist()[: len(box)])
    return out


def rendered(where: str, view: RowView, boxes: list[list[float]], family: str) -> list[Message]:
    """The conversation with labels and boxes instead of their placeholders. Raises SkipSample for what the family cannot write."""
    row, labels = family_row(family), view.refs or []
    for index, (role, _) in enumerate(view.messages):
        if role not in ("system", "user", "assistant"):
            raise skip("role-unknown", f"{where}, turn {index}", f"role {role!r}", "system, user or assistant")
    if problem := next((each for each in view.pairing.problems if each.id in REFUSED), None):
        raise SkipSample(Issue.of(problem.id, f"{where}, turn {problem.message}", problem.what))
    empty = row.empty_answer if view.row.get("objects") is not None else None
    texts, lists = planned(view.turns, len(boxes), grammar_of(family).whole_answer, empty)
    writer, messages = Writer(labels, boxes, lists, family), []
    for index, ((role, _), text) in enumerate(zip(view.messages, texts, strict=True)):
        try:
            messages.append(Message(role, TAG.sub(writer.written, text)))
        except GroundswiftError as error:
            raise SkipSample(Issue.of("box-unwritable", f"{where}, turn {index}", str(error))) from None
    return messages


@dataclass
class Writer:
    """Replaces placeholders one by one: by a label as plain text, a box, or a whole list."""

    labels: list[str]
    boxes: list[list[float]]
    lists: dict[Key, WholeList]
    family: str
    refs_written: int = 0
    boxes_written: int = 0

    def written(self, tag: re.Match[str]) -> str:
        """The text for the next placeholder."""
        at = self.refs_written if tag[0] == REF else self.boxes_written
        whole = self.lists.get((tag[0], at))
        if whole is not None:
            self.refs_written += whole.refs
            self.boxes_written += len(whole.ref_of_box)
            return format_answer(whole.located(self.labels, self.boxes), self.family)
        if tag[0] == REF:
            self.refs_written += 1
            return self.labels[at]
        self.boxes_written += 1
        return grammar_of(self.family).write_box(self.boxes[at])
