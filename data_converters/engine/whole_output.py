"""Formats whose output is one document or folder, made of all rows at once: no JSONL, and nothing to go on with after a kill."""

from __future__ import annotations

from pathlib import Path

from groundswift.errors import GroundswiftError

from ..base import Options, Reading
from ..issues import IssueLog
from .batches import Totals


class WholeOptions(Options, frozen=True, kw_only=True):
    """What such a format has: options, a docstring, and `write` in place of `read`."""

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        """Make the whole output at `out`, or nothing; None: check and count only.

        Raises GroundswiftError with every fault where `on_error` is stop, where nothing is left, and where `out` cannot be written.
        """
        raise NotImplementedError

    def read(self, log: IssueLog) -> Reading:
        raise GroundswiftError(f"{self.annotations}: this format makes no rows; expected one that does")


def check_running(resume: bool, workers: int | None, engine: str) -> None:
    """Raises GroundswiftError for a way of running that these formats do not have."""
    given = ["--resume"] * resume + [f"--workers {workers}"] * (workers not in (None, 1)) + [f"--engine {engine}"] * (engine != "local")
    if given:
        raise GroundswiftError(f"{', '.join(given)}: does not apply here, the output is made of all rows at once; expected none of them")
