"""The cheap half of a cascade: a small served model is asked about a frame first, the watching model only where it fires."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from groundswift.errors import error_at

from .asking import Asker, model_of
from .frames import Frame
from .settings import Settings
from .verdicts import judge_of


class Proposal(NamedTuple):
    """`fires`: whether the model is to be asked; also where the detector has no answer or an undecided one, as `problem` says by id."""

    fires: bool
    seconds: float
    problem: str = ""


class Detector:
    """A served model with a question and a rule of its own. Raises GroundswiftError where it cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self.settings = msgspec.structs.replace(
            settings,
            url=settings.detector_url,
            served_model=settings.detector_model,
            question=settings.detector_question or settings.question,
            alarm_on=settings.detector_on or settings.alarm_on,
            family=settings.detector_family or settings.family,
            min_pixels=None,  # where its boxes are does not count
            max_pixels=None,
        )
        self.judge, self.model = judge_of(self.settings), model_of(self.settings)

    def asker(self) -> Asker:
        """A connection to it, for one thread."""
        return Asker(self.settings, self.model)

    def propose(self, asker: Asker, frame: Frame) -> Proposal:
        """Ask about a frame."""
        reply = asker.ask(frame.jpeg)
        if reply.problem:
            return Proposal(True, reply.seconds, f"detector-{reply.problem}")
        found = self.judge(reply.text, reply.is_cut, frame.size_wh).is_alarm
        return Proposal(found is not False, reply.seconds, "detector-undecided" if found is None else "")


def detector_of(settings: Settings) -> Detector | None:
    """The detector that the options name, if any. Raises GroundswiftError where they do not fit."""
    if settings.detector_url is not None:
        return Detector(settings)
    for name in ("model", "question", "on", "family"):
        if getattr(settings, f"detector_{name}") is not None:
            raise error_at(f"--detector-{name}", "needs a detector", "--detector-url, its server")
    return None
