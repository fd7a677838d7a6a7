"""Stage 3, the bare scene: verdict and place of anomalies from the labels, and prompts for a model that describes the scene."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from groundswift.errors import GroundswiftError, error_at
from groundswift.images import read_size_wh
from groundswift.records import BOX, EMPTY_ANSWER, REF
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, Reading, path_option
from ..issues import Issue, IssueLog
from ..prompts import written_name
from .frames import AnomalyRow, Frame, FrameOptions, Frames, Request, objects_of, requests_of, stage_row
from .questions import AB_KINDS, Question, Questions

EXAMPLE = {
    "set/data.yaml": "train: images\nnames: [tip, bubble]\n",
    "set/images/a.jpg": EXAMPLE_IMAGE,
    "set/labels/a.txt": "1 0.5 0.5 1 1\n",
}
REFERENCE = path_option("Image without an anomaly for every frame, or a folder with one of each frame's name.", "IMAGE|DIR")


class BareOptions(FrameOptions, frozen=True, kw_only=True):
    """What both commands about the bare image take."""

    reference: Annotated[str | None, REFERENCE] = None

    def references(self) -> References:
        """The reference images. Raises GroundswiftError where the file or folder does not exist."""
        if self.reference is None or os.path.isdir(self.reference):
            return References(self.reference and os.path.abspath(self.reference), True)
        read_size_wh(self.reference)
        return References(os.path.abspath(self.reference), False)


class LocateOptions(BareOptions, frozen=True, kw_only=True):
    """Stage 3 without a model: is there an anomaly in the bare image (A or B), and where (boxes that are scored and rewarded).

    Both follow from the labels: the classes of --anomaly are anomalies. The answer to where has <ref-object> and <bbox> for each
    box of `objects`, so `groundswift eval` scores it and the plugin's rewards apply; a normal image answers None.

    With --reference each row has two images, the frame first. GLM-4V and Phi-3-vision's trainers take one.

    \b
    Example:
      groundswift anomaly locate set/data.yaml --anomaly bubble --out located.jsonl
      groundswift anomaly locate set/data.yaml --anomaly bubble --reference normal.jpg --out located.jsonl
    """

    name, summary = "locate", "Stage 3: verdict and box of anomalies from the labels, on the bare image."
    writes = "rows of stage 3"
    EXAMPLE = EXAMPLE

    answers: Annotated[
        Literal["all", "ab"], msgspec.Meta(description="Which questions: all, or only those that are answered by A or B.")
    ] = "all"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        if not self.anomaly:
            raise GroundswiftError("no --anomaly; expected the classes that are anomalies, such as --anomaly bubble --anomaly spill")
        reading, frames = self.frames(log, pool)
        return Reading(reading.items, Locator(frames, self.asks(), self.references(), self.answers == "ab"), reading.total, "image")


class DescribeOptions(BareOptions, frozen=True, kw_only=True):
    """Stage 3, weak guidance: fill a prompt with the labels of each image, for a model that sees the bare image.

    The prompt (`requests.describe` in questions.yaml) asks for a description, a verdict and a reason. `groundswift anomaly ask` sends
    it and writes the rows. With --anomaly each prompt has the verdict that the labels give; a model that says otherwise is counted.

    \b
    Example:
      groundswift anomaly describe set/data.yaml --anomaly bubble --out bare.requests.jsonl
    """

    name, summary = "describe", "Stage 3: a prompt from the labels, for a model that describes the scene."
    writes = "requests"
    EXAMPLE = EXAMPLE

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        reading, frames = self.frames(log, pool)
        return Reading(reading.items, Describer(frames, self.asks(), self.references()), reading.total, "image")


class References(msgspec.Struct, frozen=True):
    """The reference image of a frame. `path`: absolute; None: there are none. `is_folder`: one of each frame's name."""

    path: str | None
    is_folder: bool

    def images(self, frame: Frame, root: str, log: IssueLog) -> list[str] | None:
        """The images of a row, the frame first; None, and a problem is logged, where the reference is missing or broken."""
        if self.path is None:
            return [frame.path]
        if not self.is_folder:
            return [frame.path, self.path]
        path = os.path.join(self.path, os.path.relpath(frame.path, root))
        try:
            read_size_wh(path)
        except GroundswiftError as error:
            issue = error_at(frame.name, f"reference {error}")
            log.add(Issue.of("image-missing", frame.name, str(issue).removeprefix(f"{frame.name}: "), "an image of the frame's name"))
            return None
        return [frame.path, path]


class Locator(msgspec.Struct, frozen=True):
    """Makes the rows of one bare image."""

    frames: Frames
    questions: Questions
    references: References
    ab_only: bool

    def __call__(self, item: Any, log: IssueLog) -> list[AnomalyRow]:
        frame = self.frames(item, log)
        images = frame and self.references.images(frame, self.frames.root, log)
        if not images:
            return []
        return [self.row(frame, images, kind) for kind in self.kinds(frame)]

    def kinds(self, frame: Frame) -> Iterator[str]:
        """The kinds of questions that the file has."""
        for kind, by_language in self.questions.content.locate.items():
            if any(by_language.values()) and not (self.ab_only and kind not in AB_KINDS):
                yield kind

    def row(self, frame: Frame, images: list[str], kind: str) -> AnomalyRow:
        """One question to one image."""
        id, names = f"locate/{frame.name}/{kind}", self.frames.names
        objects = objects_of(frame, self.frames.anomalies, names)
        classes = [names[rank] for rank in sorted(self.frames.anomalies)]
        if kind == "verdict":
            right, wrong = self.questions.words(id, bool(objects.ref))
            there = ", ".join(dict.fromkeys(objects.ref)) or None
            question, objects, classes = self.questions.choose("locate", kind, id, {}, right, wrong), None, None
        else:
            boxes = (REF + BOX) * len(objects.ref) or EMPTY_ANSWER
            values = {"anomalies": ", ".join(map(written_name, classes)), "boxes": boxes}
            question = self.questions.ask("locate", kind, id, values)
            objects.image_id, there = [0] * len(objects.ref) if len(images) > 1 else None, None
        more = {"source_image": frame.path, "objects": objects, "asked": classes, "class_name": there}
        return stage_row("locate", id, self.with_reference(question, id, len(images)), images, frame.size_wh, **more)

    def with_reference(self, question: Question, id: str, images: int) -> Question:
        """The question, after what says which image is which."""
        head = self.questions.content.reference[self.questions.language(id)] if images > 1 else ""
        return question._replace(text=head + question.text)


class Describer(msgspec.Struct, frozen=True):
    """Makes the request of one bare image."""

    frames: Frames
    questions: Questions
    references: References

    def __call__(self, item: Any, log: IssueLog) -> list[Request]:
        frame = self.frames(item, log)
        images = frame and self.references.images(frame, self.frames.root, log)
        if not images:
            return []
        id = f"describe/{frame.name}"
        head = self.questions.content.reference[self.questions.language(id)] if len(images) > 1 else ""
        found = not self.frames.anomalies.isdisjoint(frame.ranks)
        verdict = ("anomaly" if found else "normal") if self.frames.anomalies else None
        request = Request(id, images, "", "describe", 3, frame.path, verdict=verdict)
        return requests_of(self.questions, "describe", request, self.values(frame), head)

    def values(self, frame: Frame) -> dict[str, str]:
        """The fields of the prompt."""
        names = self.frames.names
        counts = Counter(names[rank] for rank in frame.ranks)
        anomalies = [name for name in counts if names.index(name) in self.frames.anomalies]
        places = [" ".join(f"{side:.0f}" for side in box) for box in frame.boxes_xyxy_px]
        boxes = [f"{names[rank]} {place}" for rank, place in zip(frame.ranks, places, strict=True)]
        return {
            "labels": ", ".join(f"{count} {name}" for name, count in counts.items()) or "none",
            "count": str(len(frame.ranks)),
            "boxes": "; ".join(boxes) or "none",
            "anomalies": ", ".join(anomalies) or "none",
            "size": f"{frame.size_wh[0]} x {frame.size_wh[1]}",
        }
