"""The lines of YOLO's label files: a class, then a box, corners, or a box and keypoints, as --labels says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...issues import IssueLog
from ...tasks.labelled_image import Label, bounds, fraction_label, not_a_label, number_of

Kind = Literal["box", "polygon", "mixed", "obb", "pose", "track"]
SHAPES = {  # what follows the class on a line of each kind
    "box": "4 numbers (centre x, centre y, width, height); --labels names other kinds",
    "polygon": "3 or more corners, x and y of each",
    "mixed": "4 numbers of a box, or 3 or more corners of a polygon",
    "obb": "4 corners, x and y of each",
    "pose": "4 numbers of a box, then those of its keypoints",
    "track": "4 numbers of a box, or 3 or more corners, and perhaps a track id",
}
CHANGED = {"obb": "box-from-rotated", "pose": "keypoints-dropped"}  # what a line with more than a box counts; others: box-from-polygon


@dataclass(frozen=True)
class LabelLines:
    """Reads lines of one kind. `classes`: how many there are; `keypoints`: how many numbers the keypoints of a label have, if stated."""

    kind: Kind
    classes: int
    keypoints: int | None = None

    def label(self, fields: Sequence[str], where: str, log: IssueLog) -> Label:
        """The label of a line, its box as fractions. Raises SkipSample where it has none."""
        values, kind = [number_of(field) for field in fields], self.kind
        if None in values:
            raise not_a_label(where, f"{fields[values.index(None)]!r} is not a number", f"a class and {SHAPES[kind]}")
        rank, *numbers = values
        if not rank.is_integer() or not 0 <= rank < self.classes:
            raise not_a_label(where, f"class {fields[0]}", f"0 to {self.classes - 1}, as the dataset names them")
        if not self.fits(len(numbers)):
            raise not_a_label(where, f"{len(numbers)} numbers after the class", self.expected(len(numbers)))
        if kind == "track" and len(numbers) % 2:
            self.check_track(numbers.pop(), fields[-1], where, log)
        if kind == "pose" or len(numbers) == 4:
            x, y, width, height = numbers[:4]
        else:
            x1, y1, x2, y2 = bounds(numbers[::2], numbers[1::2])
            x, y, width, height = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        if len(numbers) > 4:
            log.count(CHANGED.get(kind, "box-from-polygon"), where)
        return fraction_label(Label(where, int(rank), (x - width / 2, y - height / 2, width, height)))

    def fits(self, count: int) -> bool:
        """Whether so many numbers may follow the class. A line of a pose, by kpt_shape, is nothing else."""
        if self.kind == "pose":
            return count == 4 + self.keypoints if self.keypoints else count > 4
        if self.posed(count):
            return False
        corners = count >= 6 and count % 2 == 0
        return {"box": count == 4, "polygon": corners, "mixed": count == 4 or corners, "obb": count == 8, "track": count >= 4}[self.kind]

    def posed(self, count: int) -> bool:
        """Whether so many numbers are a box and the keypoints of kpt_shape."""
        return self.keypoints is not None and count == 4 + self.keypoints

    def expected(self, count: int) -> str:
        """What may follow the class, and which kind of lines has so many numbers."""
        if self.kind == "pose":
            return SHAPES["pose"] + (f" ({self.keypoints} by kpt_shape)" if self.keypoints else "")
        if self.posed(count):
            return "--labels pose: by kpt_shape of data.yaml these are a box and keypoints"
        last = "; if the last one is a track id: --labels track" if count >= 5 and count % 2 else ""
        return SHAPES[self.kind] + last

    def check_track(self, track: float, field: str, where: str, log: IssueLog) -> None:
        """Count a track id, which rows do not keep. Raises SkipSample for another number, such as a confidence."""
        if track < 0 or not track.is_integer():
            raise not_a_label(where, f"track id {field}", "a whole number from 0")
        log.count("track-id-dropped", where)
