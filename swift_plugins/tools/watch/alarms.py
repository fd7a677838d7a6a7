"""When verdicts make an alarm: K of N frames in the order of the frames, one alarm for each time that this is so without a pause."""

from __future__ import annotations

from bisect import bisect, insort
from collections import deque

ENDLESS = 1 << 62
REMEMBERED = 512  # verdicts that a late one can still be sorted among


class AlarmRule:
    """An alarm begins where K of the last N verdicts are positive, and ends where none of them is.

    Verdicts may come in another order than their frames: after a time without a server the newest frames are asked first.
    """

    def __init__(self, needed: int, window: int) -> None:
        self.needed, self.window = needed, window
        self.verdicts: list[tuple[int, bool]] = []  # (frame, positive) by frame
        self.raised: list[int] = []  # frames that raised an alarm, in order
        self._before: tuple[bool, list[bool]] = (False, [])  # state before the first of `verdicts`
        self._restart()

    def add(self, frame: int, positive: bool) -> int | None:
        """The verdict on a frame -> the frame at which an alarm begins that was not raised yet, or None."""
        is_late = bool(self.verdicts) and frame < self.verdicts[-1][0]
        insort(self.verdicts, (frame, positive))
        if is_late:
            self._restart()
            for each in self.verdicts:
                self._step(*each)
        else:
            self._step(frame, positive)
        new = next((first for first, last in self.episodes if not self._is_raised(first, last)), None)
        if new is not None:
            insort(self.raised, new)
        self._forget()
        return new

    def is_quiet(self) -> bool:
        """Whether none of the last N verdicts is positive: nothing is going on that an unchanged frame could hide."""
        return not self.is_on and not any(self.recent)

    def _restart(self) -> None:
        """Begin again before the first verdict."""
        self.is_on, self.recent = self._before[0], deque(self._before[1], self.window)
        self.episodes: list[list[int]] = [[self.verdicts[0][0], ENDLESS]] if self.is_on else []  # first and last frame of each alarm

    def _step(self, frame: int, positive: bool) -> None:
        self.recent.append(positive)
        if not self.is_on and sum(self.recent) >= self.needed:
            self.is_on = True
            self.episodes.append([frame, ENDLESS])
        elif self.is_on and not any(self.recent):
            self.is_on = False
            self.episodes[-1][1] = frame

    def _is_raised(self, first: int, last: int) -> bool:
        return bisect(self.raised, last) > bisect(self.raised, first - 1)

    def _forget(self) -> None:
        """Drop the oldest verdict where there are too many, and keep what it did to the state."""
        if len(self.verdicts) <= REMEMBERED:
            return
        is_on, recent = self._before
        recent = [*recent, self.verdicts.pop(0)[1]][-self.window :]
        self._before = (is_on or sum(recent) >= self.needed) and any(recent), recent
        first = self.verdicts[0][0]
        self.episodes = [each for each in self.episodes if each[1] >= first]
        if self._before[0] and self.episodes and not self._is_raised(first, self.episodes[0][1]):
            insort(self.raised, first)  # the alarm that goes on was raised by a verdict that is forgotten
        del self.raised[:-REMEMBERED]
