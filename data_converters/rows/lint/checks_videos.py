"""What is wrong with the videos of a row: whether they are there, and whether anything here can decode them. No video is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

from groundswift.errors import GroundswiftError
from groundswift.row_view import Finding, RowView, frames_of, image_source, short
from groundswift.storage import exists
from groundswift.urls import is_url

from .checks_images import inline_content, path_of
from .video_readers import missing_reader

_missing_reader = lru_cache(maxsize=1)(missing_reader)


def check_videos(view: RowView) -> Iterator[Finding]:
    """Each video of a row, and each frame of one that is a list of images."""
    if any(isinstance(video, str) for video in view.videos) and (problem := _missing_reader()):
        yield "video-no-reader", problem
    for source in filter(None, (image_source(frame) for video in view.videos for frame in frames_of(video))):
        if source.strip().startswith(("http://", "https://")):
            yield "video-remote", f"{short(source)} was not looked at"
        elif is_url(source):
            yield from _at_an_address(source)
        elif (path := path_of(source)) is None:
            if inline_content(source) is None:
                yield "video-missing", f"no file {short(source)}; expected a path, seen from the working directory or ROOT_IMAGE_DIR"
        elif not os.path.isfile(path):
            yield "video-missing", f"{short(source)} is no file; expected a video, or a list of frames"
        elif not os.path.getsize(path):
            yield "video-empty", f"{short(source)} has no bytes; expected a whole file"


def _at_an_address(source: str) -> Iterator[Finding]:
    try:
        if not exists(source):
            yield "video-missing", f"nothing at {short(source)}; expected a video"
    except GroundswiftError as error:
        yield "video-missing", str(error)
