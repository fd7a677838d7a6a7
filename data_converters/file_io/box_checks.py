"""What of an object is usable: its picture found and looked at, its box or point within it. Every converter asks here."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from groundswift.box_checks import box_problem, finite
from groundswift.errors import fault
from groundswift.file_guard import path_inside
from groundswift.storage import is_folder
from groundswift.urls import file_name, folder_of, is_url, is_web, shown

from ..issues import Issue, IssueLog
from .images import TURNED_BY_EXIF, UPRIGHT, look_at, seen_size, senseless

CLIPPED, ROUNDED = "box-clipped", "box-clipped-rounding"
Box = tuple[float, float, float, float]


class Seen(NamedTuple):
    """A picture: its absolute path or URL, its upright size (width, height) in px, None where nobody looked or said, and its EXIF
    orientation 1..8."""

    path: str
    size_wh: tuple[int, int] | None
    orientation: int = UPRIGHT


class ImageFolder(msgspec.Struct, frozen=True):
    """The folder that a source's pictures lie in, absolute or a URL, and whether to look at them."""

    folder: str
    check: bool = True

    def find(
        self, name: str, thing: str, log: IssueLog, stated_wh: tuple[int, int] | None = None, size_needed: bool = False
    ) -> Seen | None:
        """The picture of a sample by its name in the folder, which it may not leave; else as `see`. One that EXIF turns is counted."""
        path = path_inside(self.folder, name)
        if path is None:
            expected = "the name of a file inside the folder of the pictures"
            log.add(Issue("image-path-outside", thing, f"file_name {name!r} with {shown(self.folder)}", expected))
            return None
        return counted(self.see(path, thing, log, stated_wh, size_needed), name, log)

    def see(self, path: str, thing: str, log: IssueLog, stated_wh: tuple[int, int] | None = None, size_needed: bool = False) -> Seen | None:
        """A picture by its path or address; None, and a fault is noted, where it is missing, unreadable or not as stated.

        `thing` says whose picture it is. Without a look the stated size, in px, is taken; `size_needed`: where none is stated, look at it
        even where pictures are not checked.
        """
        if stated_wh and (problem := senseless(stated_wh, thing)):
            log.add(problem)
            return None
        if not self.check and (stated_wh or not size_needed):
            return Seen(path, stated_wh)
        look, size_wh = (look_at(path, stated_wh, thing), stated_wh) if stated_wh else seen_size(path, thing, size_needed)
        if look.fault:
            log.add(look.fault)
            return None
        return Seen(path, size_wh, look.orientation)


def counted(seen: Seen | None, name: str, log: IssueLog) -> Seen | None:
    """The same; that EXIF turns it is counted."""
    if seen is not None and seen.orientation != UPRIGHT:
        log.count(TURNED_BY_EXIF, name)
    return seen


def pictures_of(images: str | None, annotations: str, check: bool) -> ImageFolder:
    """Where a source's pictures lie: `images`, else the folder of the annotation file, or that folder itself.

    Raises GroundswiftError where they are to be looked at and there is no such folder.
    """
    if images is None:
        images = annotations if _holds_files(annotations) else folder_of(annotations)
    if check and not is_folder(images):
        raise fault(shown(images), "no such folder", "the folder of the pictures (--images), or --no-check-images")
    if is_url(images):
        return ImageFolder(images.rstrip("/"), check)
    return ImageFolder(str(Path(images).resolve()), check)


def _holds_files(path: str) -> bool:
    """Whether a source is a folder; an address on the web, where one cannot ask, is one without a suffix."""
    return is_folder(path) and not (is_web(path) and os.path.splitext(file_name(path))[1])


def fitted_box(box_xyxy_px: Sequence[float], size_wh: tuple[int, int] | None, thing: str, log: IssueLog) -> Box | None:
    """A box within its image, cut at the border (counted); None, and a fault is noted, for one that cannot be used.

    Without a size only the left and upper border are known.
    """
    problem = box_problem(box_xyxy_px, size_wh)
    if problem:
        log.add(Issue(problem.id, thing, f"box {list(box_xyxy_px)}", problem.expected))
        return None
    return clipped(*box_xyxy_px, size_wh or (math.inf, math.inf), thing, log)


def clipped(x1: float, y1: float, x2: float, y2: float, size_wh: tuple[float, float], thing: str, log: IssueLog) -> Box:
    """A box in px within the borders of its image; what was cut off is counted."""
    over = max(-x1, -y1, x2 - size_wh[0], y2 - size_wh[1])
    if over <= 0:
        return x1, y1, x2, y2
    log.count(CLIPPED if over >= 1 else ROUNDED, thing)
    return max(x1, 0), max(y1, 0), min(x2, size_wh[0]), min(y2, size_wh[1])


def fitted_point(point_xy_px: Sequence[float], size_wh: tuple[int, int] | None, thing: str, log: IssueLog) -> tuple[float, float] | None:
    """A point on its image; None, and a fault is noted, for one that is not finite or lies beside it."""
    x, y = point_xy_px
    if not (finite(x) and finite(y)):
        log.add(Issue("point-not-finite", thing, f"point {[x, y]}", "finite numbers"))
    elif x < 0 or y < 0 or (size_wh and (x > size_wh[0] or y > size_wh[1])):
        size = f" of {size_wh[0]}x{size_wh[1]} px" if size_wh else ""
        log.add(Issue("point-outside", thing, f"point {[x, y]}", f"a point on its image{size}"))
    else:
        return x, y
    return None
