"""Stage 1, local concepts: each labelled region as an image of its own, with questions about the object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, Reading
from ..issues import IssueLog
from .frames import AnomalyRow, Frame, Frames, Request, SavingOptions, requests_of, stage_row
from .new_images import NewImages
from .questions import AB_KINDS, Questions, other_class


class CropOptions(SavingOptions, frozen=True, kw_only=True):
    """Stage 1, local concepts: crop each labelled region and ask about the object.

    SOURCE is data.yaml of a YOLO dataset, or its folder. A crop is the box with --margin, moved and widened to --min-size as far as
    the image allows. Questions: what it is, whether it is a class (yes, and no with another class), and a choice of A or B.

    \b
    Example:
      groundswift anomaly crop set/data.yaml --save-images local --out local.jsonl
      groundswift anomaly crop set/data.yaml --save-images local --requests --out local.requests.jsonl
    """

    name, summary = "crop", "Stage 1: crop each labelled region, ask about the object."
    writes = "rows of stage 1"
    EXAMPLE = {
        "set/data.yaml": "train: images\nnames: [tip, bubble]\n",
        "set/images/a.jpg": EXAMPLE_IMAGE,
        "set/labels/a.txt": "0 0.5 0.5 1 1\n",
    }

    margin: Annotated[float, msgspec.Meta(ge=0, le=10, description="Margin on each side, as a fraction of the box's side.")] = 0.1
    min_size: Annotated[int, msgspec.Meta(ge=1, description="Least width and height of a crop in px.")] = 56
    smallest: Annotated[int, msgspec.Meta(ge=1, description="Boxes whose shorter side is below N px are skipped and counted.")] = 4

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        reading, frames = self.frames(log, pool)
        images = NewImages(self.folder(), self.image_format, self.quality)
        return Reading(reading.items, Cropper(frames, self.asks(), images, self), reading.total, "image")


def crop_box(box_xyxy_px: list[float], size_wh: tuple[int, int], margin: float, min_size: int) -> tuple[int, int, int, int]:
    """The region of a crop in whole px, inside the image: the box with its margin, at least `min_size` wide and high where it can be."""
    sides = [side_range(box_xyxy_px[axis], box_xyxy_px[axis + 2], size_wh[axis], margin, min_size) for axis in (0, 1)]
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def side_range(low: float, high: float, most: int, margin: float, min_size: int) -> tuple[int, int]:
    """The range of a crop along one axis; `most`: the side of the image."""
    wanted = min(most, max(round((high - low) * (1 + 2 * margin)), min_size, 1))
    start = min(max(0, round((low + high - wanted) / 2)), most - wanted)
    return min(start, int(low)), max(start + wanted, min(most, -int(-high // 1)))


class Cropper(msgspec.Struct, frozen=True):
    """Makes the rows, or requests, of one image's regions."""

    frames: Frames
    questions: Questions
    new: NewImages
    options: CropOptions

    def __call__(self, item: Any, log: IssueLog) -> list[AnomalyRow | Request]:
        found = self.frames.decoded(item, log)
        return [] if found is None else [row for number in range(len(found[0].ranks)) for row in self.region(*found, number, log)]

    def region(self, frame: Frame, image: Any, number: int, log: IssueLog) -> Iterator[AnomalyRow | Request]:
        """Save one region, and what is asked about it."""
        x1, y1, x2, y2 = frame.boxes_xyxy_px[number]
        where = f"{frame.name}: box {number}"
        if min(x2 - x1, y2 - y1) < self.options.smallest:
            log.count("region-too-small", where)
            return
        place = crop_box([x1, y1, x2, y2], frame.size_wh, self.options.margin, self.options.min_size)
        crop = image.crop(place)
        path = self.new.save(crop, f"{frame.name}_{number}", where, log)
        if path is None:
            return
        label, id = self.frames.names[frame.ranks[number]], f"crop/{frame.name}/{number}"
        if self.options.requests:
            values = {"label": label, "labels": label, "count": "1", "pairs": str(self.options.pairs)}
            yield from requests_of(self.questions, self.options.template(), Request(id, [path], "", "crop", 1, frame.path, label), values)
            return
        for kind, question in self.asked(id, label, frame.ranks[number], log):
            yield stage_row("crop", f"{id}/{kind}", question, [path], crop.size, source_image=frame.path, class_name=label)

    def asked(self, id: str, label: str, rank: int, log: IssueLog) -> Iterator[tuple[str, Any]]:
        """(kind, question) of one region; a kind that needs another class is counted where there is none."""
        names, values = self.frames.names, {"label": label}
        other = other_class(names, {rank}, self.questions.seed, id)
        if other is None:
            log.count("choice-one-class", id)
        for kind in self.questions.content.crop:
            if self.options.answers == "ab" and kind not in AB_KINDS:
                continue
            if kind in ("choice", "is_it_other") and other is None:
                continue
            if kind == "choice":
                question = self.questions.choose("crop", kind, id, values, label, other)
            else:
                question = self.questions.ask("crop", kind, id, values | {"other": other or ""})
            if question:
                yield kind, question
