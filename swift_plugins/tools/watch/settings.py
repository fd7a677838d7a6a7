"""What was asked for on the command line, as one value."""

from __future__ import annotations

import os
import re
from typing import Literal

import msgspec

from groundswift.errors import GroundswiftError, error_at
from groundswift.urls import is_url, is_web, scheme_of

Kind = Literal["camera", "stream", "file", "folder"]
STREAMS = ("rtsp", "rtsps", "rtmp", "rtp", "srt", "udp", "tcp", "http", "https")
KEPT_S = 90  # a server that restarts is away for about a minute
CAMERA = re.compile(r"camera(?::(.+))?|/dev/video\d+")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one run. Times are in seconds; `max_side` in px; `alarm_after` (K, N); `only_on_change` a share of the image.
    `detector_*`: of the model that is asked first; None as the option of the same name without it says."""

    source: str
    url: str
    question: str
    out: str | None
    served_model: str | None = None
    family: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    fps: float = 2.0
    pace: Literal["live", "every"] | None = None
    max_side: int | None = None
    quality: int = 90
    alarm_on: str = "yes"
    choices: str = "yes,no"
    alarm_after: tuple[int, int] = (2, 3)
    only_on_change: float | None = None
    detector_url: str | None = None
    detector_model: str | None = None
    detector_question: str | None = None
    detector_on: str | None = None
    detector_family: str | None = None
    webhook: str | None = None
    before: float = 5.0
    after: float = 5.0
    requests: int = 1
    timeout: float = 30.0
    max_new_tokens: int = 128
    keep: int | None = None
    wait: float = 60.0
    limit: int | None = None
    seconds: float | None = None
    source_options: tuple[tuple[str, str], ...] = ()

    def check(self) -> Settings:
        """The same settings. Raises GroundswiftError where an option does not fit."""
        kind_of(self.source)
        if not self.question.strip():
            raise error_at("--question", "is empty", "what to ask of every frame")
        if self.webhook is not None and not is_web(self.webhook):
            raise error_at("--webhook", repr(self.webhook), "a URL: http://HOST:PORT/PATH")
        return self

    @property
    def kind(self) -> Kind:
        """What the source is."""
        return kind_of(self.source)

    @property
    def frames_kept(self) -> int:
        """How many frames are kept while the server is away: --keep, or those of KEPT_S seconds within limits."""
        return min(max(round(KEPT_S * self.fps), 120), 1000) if self.keep is None else self.keep

    @property
    def is_live(self) -> bool:
        """Whether old frames are dropped where the model is slower than the source."""
        return self.pace == "live" or (self.pace is None and self.kind in ("camera", "stream"))


def kind_of(source: str) -> Kind:
    """What a source is, by its form. Raises GroundswiftError where there is none."""
    if CAMERA.fullmatch(source):
        return "camera"
    if is_url(source):
        if scheme_of(source) not in STREAMS:
            raise error_at(source, "is not a stream", f"a URL that begins with {', '.join(STREAMS)}")
        return "stream"
    if os.path.isdir(source):
        return "folder"
    if os.path.exists(source):
        return "file"
    raise error_at(source, "no such file or folder", "a video, a folder of images, camera, camera:1, or rtsp://HOST/PATH")


def alarm_after(text: str) -> tuple[int, int]:
    """`2/3` -> (2, 3). Raises GroundswiftError for another form."""
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text.strip())
    count, window = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= count <= window:
        raise GroundswiftError(f"--alarm-after {text!r}: expected K/N with K from 1 to N, such as 2/3")
    return count, window
