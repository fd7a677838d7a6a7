"""Images that rows name by path: absolute paths and URLs are kept, relative ones are inside a folder."""

from __future__ import annotations

import os
import re

import msgspec

from groundswift.file_guard import path_inside
from groundswift.storage import is_file, stat_key
from groundswift.urls import is_url, shown

from ..issues import Issue, IssueLog
from .box_checks import FoundImage, ImageFolder, counted

LONGEST = 4096  # characters of a path; an image embedded in a row has more


class RowImages(msgspec.Struct, frozen=True):
    """The folder that relative paths start from, and whether to check the images."""

    inside: ImageFolder

    def find(
        self, name: str, thing: str, log: IssueLog, stated_wh: tuple[int, int] | None = None, size_needed: bool = False
    ) -> FoundImage | None:
        """The image at the path in a row, as `inspect`; EXIF-rotated ones are counted."""
        return counted(self.inspect(name, thing, log, stated_wh, size_needed), name, log)

    def inspect(
        self, name: str, thing: str, log: IssueLog, stated_wh: tuple[int, int] | None = None, size_needed: bool = False
    ) -> FoundImage | None:
        """The image at the path in a row, checked as by `ImageFolder.inspect`."""
        path = self.path_of(name, thing, log)
        return None if path is None else self.inside.inspect(path, thing, log, stated_wh, size_needed)

    def inspect_video(self, name: str, thing: str, log: IssueLog) -> str | None:
        """The absolute path or URL of a video that a row names; None, and a problem is logged, if it cannot be used."""
        path = self.path_of(name, thing, log)
        problem = video_problem(path, thing) if path is not None and self.inside.check else None
        if problem:
            log.add(problem)
        return None if problem else path

    def path_of(self, name: str, thing: str, log: IssueLog) -> str | None:
        """The normalized absolute path or URL of what a row names, so that one file counts as one image.

        None, and a problem is logged, if that is not a path or not inside the folder.
        """
        if name.startswith("data:") or len(name) > LONGEST or "\n" in name or "\0" in name:
            what = f"an image of {len(name)} characters, {name[:24]!r}..."
            log.add(Issue("image-inline", thing, what, "a path to a file"))
            return None
        if is_url(name) or re.match(r"[A-Za-z]:[\\/]", name):
            return name
        if os.path.isabs(name):
            return os.path.normpath(name)
        path = path_inside(self.inside.folder, name)
        if path is None:
            expected = "an absolute path, a URL, or a path inside the image folder"
            log.add(Issue("image-path-outside", thing, f"image {name!r} with {self.inside.folder}", expected))
        return path


def video_problem(path: str, thing: str) -> Issue | None:
    """Why a video cannot be used: it does not exist or is empty. Raises GroundswiftError if its store does not answer."""
    if not is_file(path):
        return Issue("video-missing", thing, f"video not found: {shown(path)}", "the video file (use --no-check-images to skip this check)")
    if stat_key(path)[0] == 0:
        return Issue("video-empty", thing, f"{shown(path)} has no bytes", "a whole file")
    return None
