"""What the boxes of a set say about their format: pixels, ratios, norm1000, or x, y, width, height. Each box is only counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .checks_boxes import SLIGHT, Box
from .findings import Place

LEAST_BOXES = 10  # before the format of all boxes is judged
LEAST_FAR_BOXES = 50
SetFinding = tuple[str, Place, str, int]  # rule, place, what, how often
Boxes = NDArray[np.float64]
PlaceOf = Callable[[int], Place]
COUNTED = ("boxes", "sized", "not_xyxy", "fit_xywh", "ratios", "to_1000", "outside", "in_wide", "in_wide_to_1000")


@dataclass
class BoxCounts:
    """What boxes in pixels with 4 numbers say about their format. `sized`: those whose image's size is known."""

    boxes: int = 0
    sized: int = 0
    not_xyxy: int = 0  # inverted or outside, read as x1, y1, x2, y2
    fit_xywh: int = 0  # inside, read as x, y, width, height
    ratios: int = 0
    to_1000: int = 0
    outside: int = 0
    in_wide: int = 0  # in an image of at least 1100 px width
    in_wide_to_1000: int = 0
    largest: float = 0.0
    first: dict[str, Place] = field(default_factory=dict)

    def add(self, box: Box, place: Place) -> None:
        """Count one box in pixels."""
        x1, y1, x2, y2 = box.numbers
        self.boxes += 1
        most = max(box.numbers)
        self.largest = max(self.largest, most)
        fits_1000 = min(box.numbers) >= 0 and most <= 1000
        self.to_1000 += fits_1000
        if min(box.numbers) >= 0 and most <= 1 and not all(value.is_integer() for value in box.numbers):
            self.ratios += 1
            self._first("ratios", place)
        if box.size_wh is None:
            return
        width, height = box.size_wh
        self.sized += 1
        outside = x2 > width + SLIGHT or y2 > height + SLIGHT
        if outside or x2 < x1 or y2 < y1:
            self.not_xyxy += 1
            self._first("xywh", place)
        if outside:
            self.outside += 1
            self._first("norm1000", place)
        self.fit_xywh += x2 > 0 and y2 > 0 and x1 > -SLIGHT and y1 > -SLIGHT and x1 + x2 <= width + SLIGHT and y1 + y2 <= height + SLIGHT
        if width >= 1100:
            self.in_wide += 1
            self.in_wide_to_1000 += fits_1000
            self._first("wide", place)

    def add_plain(self, boxes_xyxy_px: Boxes, widths_px: NDArray[np.int64], heights_px: NDArray[np.int64], place_of: PlaceOf) -> None:
        """Count N boxes that have an area inside their images. `place_of`: the place of the box of an index."""
        x1, y1, x2, y2 = boxes_xyxy_px.T
        most = np.maximum(x2, y2)
        within_1000 = most <= 1000
        self.boxes += len(most)
        self.sized += len(most)
        self.largest = max(self.largest, float(most.max(initial=0)))
        self.to_1000 += int(within_1000.sum())
        small = np.flatnonzero(most <= 1)
        ratios = small[(boxes_xyxy_px[small] != np.floor(boxes_xyxy_px[small])).any(axis=1)]
        wide = widths_px >= 1100
        self.ratios += len(ratios)
        self.fit_xywh += int(((x1 + x2 <= widths_px + SLIGHT) & (y1 + y2 <= heights_px + SLIGHT)).sum())
        self.in_wide += int(wide.sum())
        self.in_wide_to_1000 += int((wide & within_1000).sum())
        for key, found in (("ratios", ratios), ("wide", np.flatnonzero(wide))):
            if len(found):
                self._first(key, place_of(int(found[0])))

    def merge(self, other: BoxCounts) -> None:
        """Take in the counts of later boxes, or of the same lines."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.largest = max(self.largest, other.largest)
        for key, place in other.first.items():
            self._first(key, place)

    def _first(self, key: str, place: Place) -> None:
        known = self.first.get(key)
        if known is None or (known.file == place.file and place.line < known.line):
            self.first[key] = place

    def check(self) -> Iterator[SetFinding]:
        """What the counts show."""
        if self.ratios:
            what = f"{self.ratios} of {self.boxes} boxes are within 0 to 1, with fractions, and bbox_type is real; expected pixels"
            yield "boxes-look-like-ratios", self.first["ratios"], what, self.ratios
        if self.sized >= LEAST_BOXES and self.fit_xywh == self.sized and self.not_xyxy >= 0.1 * self.sized:
            what = (
                f"read as x1, y1, x2, y2, {self.not_xyxy} of {self.sized} boxes are inverted or extend beyond their image; "
                "read as x, y, width, height all fit; expected x1, y1, x2, y2"
            )
            yield "boxes-look-like-xywh", self.first["xywh"], what, self.not_xyxy
        elif self.sized >= LEAST_BOXES and self.to_1000 == self.boxes and self.largest >= 900:
            if self.outside >= 0.1 * self.sized:
                what = f"{self.outside} of {self.sized} boxes extend beyond their image, and no number is above 1000; expected pixels"
                yield "boxes-look-like-norm1000", self.first["norm1000"], what, self.outside
            elif self.in_wide >= LEAST_FAR_BOXES:
                what = f"{self.in_wide} boxes are in images at least 1100 px wide, and no number is above 1000; expected pixels"
                yield "boxes-look-like-norm1000", self.first["wide"], what, self.in_wide
