"""The pictures of rows that name each by its own path: an absolute one or an address stays as it is, others lie in a folder."""

from __future__ import annotations

import os
import re

import msgspec

from groundswift.file_guard import path_inside
from groundswift.storage import is_file, stat_key
from groundswift.urls import is_url, shown

from ..issues import Issue, IssueLog
from .box_checks import ImageFolder, Seen, counted

LONGEST = 4096  # characters of a path; a picture spelt out in a row has more


class RowPictures(msgspec.Struct, frozen=True):
    """The folder that relative paths start from, and whether to look at the pictures."""

    inside: ImageFolder

    def find(
        self, name: str, thing: str, log: IssueLog, stated_wh: tuple[int, int] | None = None, size_needed: bool = False
    ) -> Seen | None:
        """A picture by the path that a row has for it, as `see`; one that EXIF turns is counted."""
        return counted(self.see(name, thing, log, stated_wh, size_needed), name, log)

    def see(self, name: str, thing: str, log: IssueLog, stated_wh: tuple[int, int] | None = None, size_needed: bool = False) -> Seen | None:
        """A picture by the path that a row has for it; else as `ImageFolder.see`."""
        path = self.path_of(name, thing, log)
        return None if path is None else self.inside.see(path, thing, log, stated_wh, size_needed)

    def see_video(self, name: str, thing: str, log: IssueLog) -> str | None:
        """A video's absolute path or address by what a row has for it; None, and a fault is noted, where it cannot be used."""
        path = self.path_of(name, thing, log)
        spoilt = video_fault(path, thing) if path is not None and self.inside.check else None
        if spoilt:
            log.add(spoilt)
        return None if spoilt else path

    def path_of(self, name: str, thing: str, log: IssueLog) -> str | None:
        """The absolute path or address of what a row names, without detours, so that one file is one picture.

        None, and a fault is noted, where that is no path or leaves the folder.
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
            expected = "an absolute path, an address, or a path that stays inside the folder of the pictures"
            log.add(Issue("image-path-outside", thing, f"image {name!r} with {self.inside.folder}", expected))
        return path


def video_fault(path: str, thing: str) -> Issue | None:
    """Why a video cannot be used: there is no such file, or nothing in it. Raises GroundswiftError where a store does not say."""
    if not is_file(path):
        return Issue("video-missing", thing, f"no file {shown(path)}", "the video; --no-check-images does without")
    if stat_key(path)[0] == 0:
        return Issue("video-empty", thing, f"{shown(path)} has no bytes", "a whole file")
    return None
