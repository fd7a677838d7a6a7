"""The frames around an alarm as JPEG files: those of some seconds before it, which are in memory until then, and after it."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from threading import Lock

from .frames import Frame

MOST_BYTES = 256 << 20  # of frames in memory


class Recorder:
    """Keeps the last frames and writes those of an alarm into a folder. `unwritten`: frames that the disk refused."""

    def __init__(self, before_s: float, after_s: float, slowest_s: float) -> None:
        self.before_s, self.after_s, self.slowest_s = before_s, after_s, slowest_s
        self.recent: deque[Frame] = deque()
        self.bytes = self.unwritten = 0
        self.open: list[tuple[Path, float, float]] = []  # folder, first and last second that it records
        self.lock = Lock()

    def add(self, frame: Frame) -> None:
        """A new frame, asked about or not."""
        with self.lock:
            self.recent.append(frame)
            self.bytes += len(frame.jpeg)
            oldest = frame.time_s - self.before_s - self.after_s - self.slowest_s
            while self.recent and (self.recent[0].time_s < oldest or self.bytes > MOST_BYTES):
                self.bytes -= len(self.recent.popleft().jpeg)
            self.open = [each for each in self.open if frame.time_s <= each[2]]
            folders = [folder for folder, first, _ in self.open if frame.time_s >= first]
        for folder in folders:
            self._write(folder, frame)

    def record(self, folder: Path, frame: Frame) -> None:
        """Record an alarm that a frame raised: this frame, those around it that are in memory, and those to come."""
        first, last = frame.time_s - self.before_s, frame.time_s + self.after_s
        with self.lock:
            frames = {each.number: each for each in self.recent if first <= each.time_s <= last} | {frame.number: frame}
            self.open.append((folder, first, last))
        for each in frames.values():
            self._write(folder, each)

    def _write(self, folder: Path, frame: Frame) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{frame.number:08d}.jpg").write_bytes(frame.jpeg)
        except OSError:
            self.unwritten += 1
