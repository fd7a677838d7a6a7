"""What the benchmarks share: medians of ways that take turns, peak memory, and the command line."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

JSON = {"action": "store_true", "help": "print the figures as JSON"}


def rounds(default: int) -> dict[str, Any]:
    """An option: of how many runs the median is taken."""
    return {"type": int, "default": default, "help": "rounds, of which the median is taken (default: %(default)s)"}


def options_of(doc: str, **options: dict[str, Any]) -> argparse.Namespace:
    """The command line; options by name, as `add_argument` takes them."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, how in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **how)
    return parser.parse_args()


def medians(ways: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Median seconds of each way; in every round each has its turn."""
    runs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(repeats), desc=", ".join(ways), unit="round"):
        for name, way in ways.items():
            start = clock()
            way()
            runs[name].append(clock() - start)
    return {name: statistics.median(seconds) for name, seconds in runs.items()}


def show(result: dict[str, Any], as_json: bool, lines: Iterable[str]) -> None:
    """Print the figures: as JSON, or as lines of text."""
    print(json.dumps(result, ensure_ascii=False) if as_json else "\n".join(lines))


def needs_lines(needs: dict[str, dict[str, object]]) -> list[str]:
    """What each way does where something is needed of it, by need and way."""
    return [f"{need}:" + "".join(f"\n    {name:<20} {shown}" for name, shown in by_way.items()) for need, by_way in needs.items()]


def peak_bytes() -> int:
    """The most memory that this process has held. Linux's getrusage starts from what the parent held: its own count does not."""
    return _counted(os.getpid(), "VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _counted(pid: int, what: str) -> int:
    """A count of a process, in bytes; 0 where the system or the process has none."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:")), 0)
    return 0


class PeakOfAll:
    """While the block runs: the most memory that this process and those that it has started hold together. A context."""

    def __enter__(self) -> PeakOfAll:
        self.bytes, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.bytes = max(self.bytes, peak_bytes())

    def _watch(self) -> None:
        mine = os.getpid()
        while not self._over.wait(0.05):  # often enough for growing memory, and cheap
            with contextlib.suppress(OSError), open(f"/proc/{mine}/task/{mine}/children") as children:
                self.bytes = max(self.bytes, sum(_counted(pid, "VmRSS") for pid in (mine, *map(int, children.read().split()))))
