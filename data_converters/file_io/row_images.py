"""Images that rows name by path: absolute paths and URLs are kept, relative ones are inside a folder."""

from __future__ import annotations

import os
import re
from typing import ClassVar

from groundswift.storage import is_file, stat_key
from groundswift.urls import is_url, shown

from ..issues import Issue, IssueLog
from .box_checks import ImageFolder

LONGEST = 4096  # characters of a path; an image embedded in a row has more


class RowImages(ImageFolder, frozen=True):
    """Images by the path in a row: absolute, a URL, or relative to the folder."""

    named: ClassVar[str] = "image"
    expected: ClassVar[str] = "an absolute path, a URL, or a path inside the image folder"

    def inspect_video(self, name: str, thing: str, log: IssueLog) -> str | None:
        """The absolute path or URL of a video that a row names; None, and a problem is logged, if it cannot be used."""
        path = self.path_of(name, thing, log)
        problem = video_problem(path, thing) if path is not None and self.check else None
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
        return super().path_of(name, thing, log)


def video_problem(path: str, thing: str) -> Issue | None:
    """Why a video cannot be used: it does not exist or is empty. Raises GroundswiftError if its store does not answer."""
    if not is_file(path):
        return Issue("video-missing", thing, f"video not found: {shown(path)}", "the video file (use --no-check-images to skip this check)")
    if stat_key(path)[0] == 0:
        return Issue("video-empty", thing, f"{shown(path)} has no bytes", "a whole file")
    return None
