"""Stage 2, the scene with strong guidance: boxes drawn on the whole image, with questions about what is marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from groundswift.box_drawing import COLOURS
from groundswift.errors import error_at
from groundswift.image_marks import can_draw, draw_boxes, font_of
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, Reading, path_option
from ..issues import IssueLog
from .frames import AnomalyRow, Frame, Frames, Request, SavingOptions, requests_of, stage_row
from .new_images import NewImages
from .questions import AB_KINDS, Question, Questions, other_class

FONT_PX = 20  # any size: which characters a font has does not depend on it


class DrawOptions(SavingOptions, frozen=True, kw_only=True):
    """Stage 2, strong guidance: draw the boxes on the whole image and ask about what is marked.

    A class has one colour in all images. Lines are 1/320 of the image's longer side, thinner around small boxes. --tags label writes
    the class at each box (its letters answer what the box marks: the default none leaves that to the model).

    Questions: what the boxes of a colour mark, how many there are, each also as a choice of A or B, and with --anomaly whether an
    anomaly is marked. Where two classes of an image have one colour (ten are drawn), neither is asked about by colour.

    \b
    Example:
      groundswift anomaly draw set/data.yaml --save-images marked --anomaly bubble --answers ab --out marked.jsonl
    """

    name, summary = "draw", "Stage 2: draw the boxes on the image, ask about what is marked."
    writes = "rows of stage 2"
    EXAMPLE = {
        "set/data.yaml": "train: images\nnames: [tip, bubble]\n",
        "set/images/a.jpg": EXAMPLE_IMAGE,
        "set/labels/a.txt": "0 0.5 0.5 1 1\n",
    }

    tags: Annotated[Literal["none", "label", "number"], msgspec.Meta(description="Text at each box: none, its class, or its number.")] = (
        "none"
    )
    font: Annotated[str | None, path_option("Font file for labels that Pillow's own font cannot write.")] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        font_of(FONT_PX, self.font)  # an invalid file is reported once here, not for every image
        reading, frames = self.frames(log, pool)
        if self.tags == "label":
            check_labels(frames.names, self.font)
        images = NewImages(self.folder(), self.image_format, self.quality)
        return Reading(reading.items, Drawer(frames, self.asks(), images, self), reading.total, "image")


def check_labels(names: Sequence[str], font: str | None) -> None:
    """Raise GroundswiftError for a class whose name the font cannot write: question marks would be trained on."""
    for name in names:
        if missing := "".join(dict.fromkeys(character for character in name if not can_draw(character, FONT_PX, font))):
            where = f"--tags label: class {name!r:.100}"
            raise error_at(where, f"the font has no {missing[:50]!r}", "--font FILE, a font that has it, or --tags number")


def colour_of(rank: int) -> tuple[int, int, int]:
    """The colour of a class."""
    return COLOURS[rank % len(COLOURS)]


class Drawer(msgspec.Struct, frozen=True):
    """Makes the rows, or the request, of one image with its boxes drawn."""

    frames: Frames
    questions: Questions
    new: NewImages
    options: DrawOptions

    def __call__(self, item: Any, log: IssueLog) -> list[AnomalyRow | Request]:
        if (found := self.frames.decoded(item, log)) is None:
            return []
        frame, image = found
        path = self.new.save(self.drawn(image, frame), frame.name, frame.name, log)
        if path is None:
            return []
        id = f"draw/{frame.name}"
        if self.options.requests:
            request = Request(id, [path], "", "draw", 2, frame.path)
            return requests_of(self.questions, self.options.template(), request, self.values(frame, id))
        return [
            stage_row("draw", f"{id}/{kind}", question, [path], frame.size_wh, source_image=frame.path, class_name=label)
            for kind, question, label in self.asked(frame, id, log)
        ]

    def drawn(self, image: Any, frame: Frame) -> Any:
        """The image with its boxes."""
        tags = {
            "none": None,
            "label": [self.frames.names[rank] for rank in frame.ranks],
            "number": [str(number) for number in range(1, len(frame.ranks) + 1)],
        }[self.options.tags]
        draw_boxes(image, frame.boxes_xyxy_px, list(map(colour_of, frame.ranks)), tags, self.options.font)
        return image

    def values(self, frame: Frame, id: str) -> dict[str, str]:
        """The fields of a prompt."""
        marks = [f"{self.questions.mark(id, rank)}: {self.frames.names[rank]}" for rank in dict.fromkeys(frame.ranks)]
        labels = ", ".join(dict.fromkeys(self.frames.names[rank] for rank in frame.ranks))
        return {"count": str(len(frame.ranks)), "marks": "; ".join(marks), "labels": labels, "pairs": str(self.options.pairs)}

    def asked(self, frame: Frame, id: str, log: IssueLog) -> Iterator[tuple[str, Question, str | None]]:
        """(name of the question in the image, question, class) of one image."""
        ambiguous = {rank for rank in frame.ranks for other in frame.ranks if rank != other and colour_of(rank) == colour_of(other)}
        for kind in self.questions.content.draw:
            if self.options.answers == "ab" and kind not in AB_KINDS:
                continue
            if kind == "anomaly_choice":
                question = self.anomaly(frame, id) if self.frames.anomalies else None
                if question:
                    yield kind, question, None
                continue
            for rank in dict.fromkeys(frame.ranks):
                if kind in ("what", "choice") and rank in ambiguous:
                    log.count("colour-of-two-classes", f"{frame.name}: {self.frames.names[rank]}")
                elif question := self.about(kind, frame, rank, f"{id}/{rank}", log):
                    yield f"{rank}/{kind}", question, self.frames.names[rank]

    def anomaly(self, frame: Frame, id: str) -> Question | None:
        """Whether an anomaly is marked."""
        right, wrong = self.questions.words(id, not self.frames.anomalies.isdisjoint(frame.ranks))
        return self.questions.choose("draw", "anomaly_choice", id, {}, right, wrong)

    def about(self, kind: str, frame: Frame, rank: int, key: str, log: IssueLog) -> Question | None:
        """A question about the boxes of one class."""
        label, count = self.frames.names[rank], frame.ranks.count(rank)
        values = {"label": label, "mark": self.questions.mark(key, rank), "count": str(count)}
        if kind == "count_choice":
            wrong = count + 1 if count == 1 or self.questions.pick(key, 2) else count - 1
            return self.questions.choose("draw", kind, key, values, str(count), str(wrong))
        if kind != "choice":
            return self.questions.ask("draw", kind, key, values)
        other = other_class(self.frames.names, {rank}, self.questions.seed, key)
        if other is None:
            log.count("choice-one-class", key)
            return None
        return self.questions.choose("draw", kind, key, values, label, other)
