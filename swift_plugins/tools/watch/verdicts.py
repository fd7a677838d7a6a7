"""The verdict on an answer, by a declared rule: a choice, a phrase, or boxes that the family's grammar finds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from groundswift.answer_px import answer_in_px
from groundswift.errors import GroundswiftError, error_at
from groundswift.eval.answers.choices import chosen, options_of
from groundswift.grammars.base import without_thinking

from ..infer.server import record_of_server
from .settings import Settings

Box = tuple[str, tuple[float, float, float, float]]  # label; x1, y1, x2, y2 in px of the frame that was sent


class Verdict(NamedTuple):
    """`is_alarm`: None where the answer decides nothing, as `problem` says by id."""

    is_alarm: bool | None
    boxes: tuple[Box, ...] = ()
    problem: str = ""


Judge = Callable[[str, bool, tuple[int, int]], Verdict]  # (answer, whether it is cut, size of the frame)


def judge_of(settings: Settings) -> Judge:
    """The rule of --alarm-on. Raises GroundswiftError for one that cannot be."""
    record = record_of_server(settings)
    name, colon, value = settings.alarm_on.partition(":")
    decide = decider(settings, name.strip().lower() if colon or name == "box" else "", value.strip())

    def judge(text: str, is_cut: bool, size_wh: tuple[int, int]) -> Verdict:
        said = without_thinking(text) or ""
        answer = None if record is None else answer_in_px(said, record, size_wh, is_cut)
        found = [] if answer is None else [each for each in answer.objects if each.box is not None]
        boxes = tuple((each.label or "", each.box) for each in found)
        is_alarm = decide(said, boxes, "ok" if answer is None else answer.status)
        return Verdict(is_alarm, boxes, "" if is_alarm is not None else "answer-cut" if is_cut else "answer-undecided")

    return judge


def decider(settings: Settings, kind: str, value: str) -> Callable[[str, tuple[Box, ...], str], bool | None]:
    """What decides on (answer, its boxes, status of its grammar)."""
    if kind == "box":
        if settings.family is None:
            raise error_at("--alarm-on box", "needs --family", "the model's family, whose grammar finds the boxes")
        labels = {label.strip().casefold() for label in value.split(",") if label.strip()}
        return lambda said, boxes, status: by_boxes(boxes, labels, status)
    if kind == "text":
        if not value:
            raise error_at("--alarm-on text:", "no phrase", "text:PHRASE")
        phrase = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE)
        return lambda said, boxes, status: bool(phrase.search(said)) if said.strip() else None
    if kind:
        raise error_at(f"--alarm-on {settings.alarm_on}", f"unknown rule {kind!r}", "one of --choices, text:PHRASE, box or box:LABEL")
    options = options_of(settings.choices, settings.question)
    if settings.alarm_on not in options or len(options) < 2:
        raise GroundswiftError(f"--alarm-on {settings.alarm_on!r} is not one of --choices {settings.choices}; expected one, or text:PHRASE")

    def by_choice(said: str, boxes: tuple[Box, ...], status: str) -> bool | None:
        choice = leading(said, list(options)) or chosen(said, options)
        return None if choice is None else choice == settings.alarm_on

    return by_choice


def leading(said: str, names: list[str]) -> str | None:
    """The name that an answer begins with, as a whole word where it is of Latin letters; a letter alone is read by `chosen`."""
    text = re.sub(r"^[\W_]+", "", said).casefold()
    for name in sorted(names, key=len, reverse=True):
        rest = text.removeprefix(name.casefold())
        is_latin = name.isascii()
        if rest != text and not (is_latin and (len(name) == 1 or re.match(r"\w", rest))):
            return name
    return None


def by_boxes(boxes: tuple[Box, ...], labels: set[str], status: str) -> bool | None:
    """True where there is a box of these labels (of any, without labels); False only for a whole answer without one."""
    if any(not labels or label.casefold() in labels for label, _ in boxes):
        return True
    return False if status in ("ok", "empty") else None
