"""Checks of objects, used by every converter: the image exists and is readable, the box or point is inside it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from groundswift.box_checks import box_problem, finite
from groundswift.errors import error_at
from groundswift.file_guard import path_inside
from groundswift.storage import is_folder, no_folder
from groundswift.urls import file_name, folder_of, is_url, is_web, shown

from ..issues import Issue, IssueLog
from .images import EXIF_ROTATED, UPRIGHT, FoundImage, read_header, stated_size_problem

CLIPPED, ROUNDED = "box-clipped", "box-clipped-rounding"
Box = tuple[float, float, float, float]


class ImageFolder(msgspec.Struct, frozen=True):
    """The image folder of a source, an absolute path or a URL, and whether to check that its images exist and are readable."""

    named: ClassVar[str] = "file_name"  # as messages call a name
    expected: ClassVar[str] = "a file name inside the image folder"
    folder: str
    check: bool = True

    def find(
        self,
        name: str,
        thing: str,
        log: IssueLog,
        stated_wh: tuple[int, int] | None = None,
        size_needed: bool = False,
        rotated: str = EXIF_ROTATED,
    ) -> FoundImage | None:
        """The image of this name, checked as by `inspect`; EXIF-rotated ones are counted by the id `rotated`."""
        path = self.path_of(name, thing, log)
        image = None if path is None else self.inspect(path, thing, log, stated_wh, size_needed)
        if image is not None and image.orientation != UPRIGHT:
            log.count(rotated, name)
        return image

    def path_of(self, name: str, thing: str, log: IssueLog) -> str | None:
        """The path or URL of a name in the folder; None, and a problem is logged, if it leads outside."""
        path = path_inside(self.folder, name)
        if path is None:
            log.add(Issue("image-path-outside", thing, f"{self.named} {name!r} with {shown(self.folder)}", self.expected))
        return path

    def inspect(
        self, path: str, thing: str, log: IssueLog, stated_wh: tuple[int, int] | None = None, size_needed: bool = False
    ) -> FoundImage | None:
        """An image by its path or URL; None, and a problem is logged, if it is missing, unreadable or not of the stated size.

        `thing`: the place that messages name. Unchecked images get the stated size, in px; with `size_needed`, one without a stated size
        is opened even if images are not checked.
        """
        if stated_wh and (problem := stated_size_problem(stated_wh, thing)):
            log.add(problem)
            return None
        if not self.check and (stated_wh or not size_needed):
            return FoundImage(path, stated_wh)
        found = read_header(path, thing, stated_wh, size_needed)
        if isinstance(found, Issue):
            log.add(found)
            return None
        return found


def image_folder_of(images: str | None, annotations: str, check: bool, kind: type[ImageFolder] = ImageFolder) -> ImageFolder:
    """The image folder of a source: `images`, else the folder of the annotation file, or `annotations` itself if that is a folder.

    Raises GroundswiftError if images are to be checked and the folder does not exist.
    """
    if images is None:
        images = annotations if _holds_files(annotations) else folder_of(annotations)
    if check and not is_folder(images):
        raise error_at(shown(images), no_folder(images), "the image folder (--images), or --no-check-images")
    return kind(images.rstrip("/") if is_url(images) else str(Path(images).resolve()), check)


def _holds_files(path: str) -> bool:
    """Whether a source is a folder; a web URL, which cannot be listed, counts as one if its name has no suffix."""
    return is_folder(path) and not (is_web(path) and os.path.splitext(file_name(path))[1])


def fitted_box(box_xyxy_px: Sequence[float], size_wh: tuple[int, int] | None, thing: str, log: IssueLog) -> Box | None:
    """A box clipped to its image (counted); None, and a problem is logged, if it cannot be used.

    Without a size only the left and upper border are known.
    """
    problem = box_problem(box_xyxy_px, size_wh)
    if problem:
        log.add(Issue(problem.id, thing, f"box {list(box_xyxy_px)}", problem.expected))
        return None
    return clipped(*box_xyxy_px, size_wh or (math.inf, math.inf), thing, log)


def clipped(x1: float, y1: float, x2: float, y2: float, size_wh: tuple[float, float], thing: str, log: IssueLog) -> Box:
    """A box in px clipped to its image; clipping is counted."""
    over = max(-x1, -y1, x2 - size_wh[0], y2 - size_wh[1])
    if over <= 0:
        return x1, y1, x2, y2
    log.count(CLIPPED if over >= 1 else ROUNDED, thing)
    return max(x1, 0), max(y1, 0), min(x2, size_wh[0]), min(y2, size_wh[1])


def fitted_point(point_xy_px: Sequence[float], size_wh: tuple[int, int] | None, thing: str, log: IssueLog) -> tuple[float, float] | None:
    """A point on its image; None, and a problem is logged, if it is not finite or outside the image."""
    x, y = point_xy_px
    if not (finite(x) and finite(y)):
        log.add(Issue("point-not-finite", thing, f"point {[x, y]}", "finite numbers"))
    elif x < 0 or y < 0 or (size_wh and (x > size_wh[0] or y > size_wh[1])):
        size = f" of {size_wh[0]}x{size_wh[1]} px" if size_wh else ""
        log.add(Issue("point-outside", thing, f"point {[x, y]}", f"a point on its image{size}"))
    else:
        return x, y
    return None
