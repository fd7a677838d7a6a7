"""Where images come from: a camera, a stream, a video file or a folder. Cameras and streams that end are opened again, with pauses."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

from groundswift.errors import GroundswiftError, error_at
from groundswift.images import open_image
from groundswift.urls import scheme_of, shown

from .settings import CAMERA, Settings

INSTALL = "pip install 'groundswift[watch]'"
IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)  # before a source is opened again; the last one for ever
OPEN_S, READ_S = 10.0, 10.0  # a source that is silent for longer is gone
Shot = tuple[float, Any]  # seconds from the start, image of PyAV or Pillow


class Source:
    """The images of a source, in order. `counts`: of what could not be read, by id; `problem`: what is wrong now, or nothing."""

    def __init__(self, settings: Settings, stop: Event) -> None:
        self.settings, self.stop = settings, stop
        self.name = shown(settings.source)
        self.counts: Counter[str] = Counter()
        self.problem = ""
        self.av = None if settings.kind == "folder" else load_av()
        self.started = time.monotonic()
        self.zero: float | None = None  # of time.monotonic, where the time of a file that is watched as a camera is 0

    def shots(self) -> Iterator[Shot]:
        """Raises GroundswiftError where nothing can be read."""
        if self.settings.kind == "folder":
            return self._folder()
        if self.settings.kind == "file" or not self.settings.is_live:
            return self._once()
        return self._again_and_again()

    def _folder(self) -> Iterator[Shot]:
        paths = sorted(path for path in Path(self.settings.source).iterdir() if path.suffix.lower() in IMAGES)
        if not paths:
            raise error_at(self.name, "has no image", f"files {', '.join(sorted(IMAGES))}")
        for number, path in enumerate(paths):
            time_s = (number + 0.5) / self.settings.fps
            if not self._is_due(time_s):
                return
            try:
                yield time_s, open_image(path)
            except GroundswiftError:
                self.counts["image-unreadable"] += 1

    def _once(self) -> Iterator[Shot]:
        try:
            yield from self._decoded()
        except (self.av.FFmpegError, OSError) as error:
            raise error_at(self.name, f"cannot be read ({reason(error)})", "a video that FFmpeg reads") from None

    def _again_and_again(self) -> Iterator[Shot]:
        """A camera or stream: the first time it must open; later it is opened again for as long as the run lasts."""
        seen = tries = 0
        while not self.stop.is_set():
            what = "ended"
            try:
                for _, image in self._decoded():
                    seen, tries, self.problem = seen + 1, 0, ""
                    yield time.monotonic() - self.started, image
            except (self.av.FFmpegError, OSError) as error:
                what = reason(error)
            if self.stop.is_set():
                return
            if not seen:
                raise error_at(self.name, f"cannot be opened ({what})", "a camera or stream that is on, and its address")
            self.problem = f"the source is gone ({what}); it is opened again"
            self.counts["source-lost" if tries == 0 else "source-not-back"] += 1
            self.stop.wait(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1

    def _decoded(self) -> Iterator[Shot]:
        """The images of the source, opened once."""
        name, form, options = self._address()
        with self.av.open(name, format=form, options=options, timeout=(OPEN_S, READ_S)) as container:
            if not container.streams.video:
                raise error_at(self.name, "has no video", "a video, a camera or a stream of one")
            stream = container.streams.video[0]
            stream.thread_type = "SLICE" if self.settings.is_live else "AUTO"  # threads for frames hold several of them back
            number = 0
            for packet in container.demux(stream):
                if not self._is_due(packet.dts and float(packet.dts * packet.time_base)):
                    return
                for image in self._images(packet):
                    yield image.time if image.time is not None else number / 25, image
                    number += 1

    def _is_due(self, time_s: float | None) -> bool:
        """Wait for the moment of a file's packet or image where it is watched as a camera; False where the run ends before it."""
        if not self.settings.is_live or self.settings.kind not in ("file", "folder") or time_s is None:
            return not self.stop.is_set()
        if self.zero is None:
            self.zero = time.monotonic() - time_s
        return not self.stop.wait(max(0.0, self.zero + time_s - time.monotonic()))

    def _images(self, packet: Any) -> list[Any]:
        try:
            return packet.decode()
        except self.av.error.InvalidDataError:
            self.counts["frame-broken"] += 1
            return []

    def _address(self) -> tuple[str, str | None, dict[str, str]]:
        """(name, format, options) as FFmpeg takes them."""
        source, options = self.settings.source, dict(self.settings.source_options)
        if found := CAMERA.fullmatch(source):
            return (*camera(source, found[1] or "0"), options)
        if self.settings.kind == "file":
            return source, None, options
        live = {"fflags": "nobuffer"} if self.settings.is_live else {}  # of a file it would lose the first frames
        by_tcp = {"rtsp_transport": "tcp"} if scheme_of(source).startswith("rtsp") else {}  # by UDP a lost packet breaks a frame
        return source, None, live | by_tcp | options


def camera(source: str, which: str) -> tuple[str, str]:
    """(name, format) of a camera, as FFmpeg on this system has it."""
    if sys.platform == "darwin":
        return which, "avfoundation"
    if sys.platform == "win32":
        return f"video={which}", "dshow"
    return (source if source.startswith("/") else f"/dev/video{which}"), "v4l2"


def load_av() -> Any:
    """PyAV. Raises GroundswiftError where it is not installed."""
    try:
        import av
    except ImportError:
        raise GroundswiftError(f"videos, cameras and streams need PyAV: {INSTALL}") from None
    av.logging.set_level(av.logging.PANIC)
    return av


def reason(error: Exception) -> str:
    """An error of FFmpeg in its own words, without the address, which may hold a password."""
    return str(getattr(error, "strerror", None) or type(error).__name__)
