"""Frames that wait for the model: the newest first, old ones dropped and counted; those of a time without a server are kept."""

from __future__ import annotations

from bisect import insort
from threading import Condition

from .frames import Frame


class Kept:
    """At most `most` frames, by number, spread over the whole time: where they are too many every second one goes, and of the next too."""

    def __init__(self, most: int) -> None:
        self.most, self.every, self.seen, self.dropped = most, 1, 0, 0
        self.frames: list[Frame] = []

    def add(self, frame: Frame) -> None:
        """Keep a frame, if it is its turn."""
        self.seen += 1
        if not self.most or (self.seen - 1) % self.every:
            self.dropped += 1
            return
        self.restore(frame)
        if len(self.frames) > self.most:
            self.dropped += len(self.frames) // 2
            self.frames, self.every = self.frames[::2], 2 * self.every

    def restore(self, frame: Frame) -> None:
        """Keep a frame whatever its turn: it was asked about in vain."""
        insort(self.frames, frame, key=number_of)

    def pop(self, newest: bool) -> Frame:
        """The newest or oldest one."""
        frame = self.frames.pop(-1 if newest else 0)
        if not self.frames:
            self.every, self.seen = 1, 0
        return frame


def number_of(frame: Frame) -> int:
    """What frames are sorted by."""
    return frame.number


class Waiting:
    """The frames between a source and the model.

    live: one place, whose frame gives way to a newer one. What was passed over during a request is dropped where the server answered, and
    kept where it failed; while the server is away everything is kept. Kept frames are asked in turn with new ones once it is back.
    Not live: the source waits, no frame is dropped.
    """

    def __init__(self, is_live: bool, keep: int) -> None:
        self.is_live, self.changed = is_live, Condition()
        self.newest: Frame | None = None
        self.passed, self.kept = Kept(keep), Kept(keep)
        self.dropped = self.asked_now = 0
        self.again: set[int] = set()  # frames that were kept and are asked about again
        self.is_away = self.is_closed = self.was_kept = False

    def put(self, frame: Frame) -> None:
        """Offer a frame. Where nothing may be dropped, waits for a place."""
        with self.changed:
            while not self.is_live and self.newest is not None and not self.is_closed:
                self.changed.wait()
            if self.newest is not None:
                (self.kept if self.is_away else self.passed).add(self.newest)
            self.newest = frame
            self.changed.notify_all()

    def take(self) -> Frame | None:
        """The next frame to ask about, which `settle` or `skip` must follow; waits for one. None when there will be none."""
        with self.changed:
            while True:
                if frame := self._next():
                    self.asked_now += 1
                    self.changed.notify_all()
                    return frame
                if self.is_closed and not self.asked_now:
                    return None
                self.changed.wait()

    def _next(self) -> Frame | None:
        old_first = not self.is_live or (not self.is_away and not self.was_kept)
        if self.kept.frames and (old_first or self.newest is None):
            self.was_kept = True
            frame = self.kept.pop(newest=self.is_live)
            self.again.add(frame.number)
            return frame
        self.was_kept, frame, self.newest = False, self.newest, None
        return frame

    def skip(self) -> None:
        """A frame that was taken needs no request."""
        with self.changed:
            self.asked_now -= 1
            self.changed.notify_all()

    def settle(self, frame: Frame, is_away: bool) -> None:
        """The request of a frame has ended. `is_away`: the server gave no answer, so the frame is kept to be asked again."""
        with self.changed:
            self.asked_now -= 1
            self.is_away = is_away
            if is_away:
                is_again = frame.number in self.again or not self.is_live
                (self.kept.restore if is_again else self.kept.add)(frame)
                for each in self.passed.frames:
                    self.kept.add(each)
            else:
                self.dropped += len(self.passed.frames)
            self.again.discard(frame.number)
            self.dropped += self.passed.dropped
            self.passed = Kept(self.passed.most)
            self.changed.notify_all()

    def close(self) -> None:
        """No frame will come any more."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def abandon(self) -> int:
        """Drop all that waits -> how many frames."""
        with self.changed:
            left = len(self.kept.frames) + len(self.passed.frames) + (self.newest is not None)
            self.kept.frames, self.passed.frames, self.newest, self.is_closed = [], [], None, True
            self.changed.notify_all()
            return left

    def counts(self) -> dict[str, int]:
        """Frames that were dropped, by id."""
        return {"dropped-model-slower": self.dropped, "dropped-server-away": self.kept.dropped}
