"""Counts and times of a run: latency of the server, what watch adds to it, frames a second."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

LATENCIES = 1000  # of which median and p95 are
RATE_S = 10.0  # of which frames a second are


def percentile(values: Iterable[float], share: float) -> float | None:
    """The value below which that share of the values is; None without values."""
    found = sorted(values)
    return found[min(len(found) - 1, int(share * len(found)))] if found else None


def in_ms(seconds: float | None) -> float | None:
    """Seconds as milliseconds, rounded for people."""
    return None if seconds is None else round(1000 * seconds, 2)


class Figures:
    """Figures of a run.

    `server_s`: of the last requests; `added_s`: from the time when both the frame and an asker were there to the verdict, less the request.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.server_s: deque[float] = deque(maxlen=LATENCIES)
        self.added_s: deque[float] = deque(maxlen=LATENCIES)
        self.times: deque[float] = deque()
        self.first: float | None = None
        self.last, self.answers = 0.0, 0

    def answered(self, server_s: float, added_s: float) -> None:
        """A frame has its verdict."""
        now = time.perf_counter()
        self.server_s.append(server_s)
        self.added_s.append(added_s)
        self.first, self.last, self.answers = self.first or now, now, self.answers + 1
        self.times.append(now)
        while self.times[0] < now - RATE_S:
            self.times.popleft()

    def fps(self) -> float | None:
        """Frames a second of the last RATE_S seconds; None before the second verdict."""
        now = time.perf_counter()
        while self.times and self.times[0] < now - RATE_S:
            self.times.popleft()
        if self.first is None or now - self.first < 0.2:
            return None
        return round(len(self.times) / min(RATE_S, now - self.first), 2)

    def document(self) -> dict[str, Any]:
        """The figures for the page and the end of the run; None where there is none yet."""
        latencies = list(self.server_s)
        return {
            "latency_ms": {
                "last": in_ms(latencies[-1] if latencies else None),
                "median": in_ms(percentile(latencies, 0.5)),
                "p95": in_ms(percentile(latencies, 0.95)),
            },
            "added_ms": {"median": in_ms(percentile(list(self.added_s), 0.5)), "p95": in_ms(percentile(list(self.added_s), 0.95))},
            "frames_per_s": self.fps(),
            "counts": dict(self.counts),
        }
