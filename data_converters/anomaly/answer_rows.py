"""Raw answers -> rows: each pair of question and answer, or what was described. What cannot be used is counted by id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from groundswift.records import IMAGE, Message

from ..issues import IssueLog
from .answer_text import Pair, described, pairs_of, whole_text
from .asking import RawAnswer
from .frames import AnomalyRow, Request
from .questions import Questions

ANOMALY = "anomaly"  # the verdict
IDS = {  # problem of an answer -> what it is counted by
    "timeout": "ask-timeout",
    "unreachable": "ask-unreachable",
    "error": "ask-error",
    "too-large": "ask-too-large",
    "not-json": "ask-not-json",
    "refused": "ask-refused",
    "image-unreadable": "image-unreadable",
}


class AnswerReader(NamedTuple):
    """How answers become rows. `question`: each whole text is its answer, where that is given; `ab_only`: keep pairs answered A or B."""

    questions: Questions
    ab_only: bool
    question: str | None
    log: IssueLog

    def rows(self, request: Request, size_wh: tuple[int, int], answer: RawAnswer) -> Iterator[AnomalyRow]:
        """The rows of one answer."""
        for number, (name, (question, text)) in enumerate(self.pairs(request, answer)):
            messages = [Message("user", IMAGE * len(request.images) + question), Message("assistant", text)]
            yield AnomalyRow(
                messages,
                request.images,
                [],
                sample_id=f"{request.request_id}/ask/{number}",
                size_wh=size_wh,
                prompt=name,
                stage=request.stage,
                source_image=request.source_image,
                class_name=request.class_name,
            )

    def pairs(self, request: Request, answer: RawAnswer) -> list[tuple[str, Pair]]:
        """(name of the question, pair) of one answer."""
        if answer.problem:
            self.log.count(IDS[answer.problem], request.request_id)
            return []
        if request.asked_as == "describe" and self.question is None:
            return pairs_of_description(request, answer, self.questions, self.log)
        if self.question is not None:
            read = whole_text(self.question, answer.text)
        else:
            read = pairs_of(answer.text, answer.finish_reason == "length", self.ab_only)
        for id, count in read.problems.items():
            self.log.count(id, request.request_id, count)
        return [(f"ask.{request.asked_as}", pair) for pair in read.pairs]


def pairs_of_description(request: Request, answer: RawAnswer, questions: Questions, log: IssueLog) -> list[tuple[str, Pair]]:
    """(name of the question, pair) of a description: one about the scene, one about the verdict.

    An answer that was cut, whose verdict is not clear, or is not that of the labels, gives none: its description may say the same.
    """
    found = described(answer.text)
    id = request.request_id
    if isinstance(found, str):
        log.count(found, id)
        return []
    problem = None
    if answer.finish_reason == "length":
        problem = "answer-truncated"
    elif found.verdict is None:
        problem = "verdict-unclear"
    elif request.verdict not in (None, found.verdict):
        problem = "verdict-differs"
    if problem:
        log.count(problem, id)
        return []
    questions = msgspec.structs.replace(questions, languages=(request.language,))
    yes, no = questions.content.words[request.language]
    values = {"description": found.description, "verdict": yes if found.verdict == ANOMALY else no, "reason": found.reason}
    values["verdict"] = values["verdict"].capitalize()
    made = [questions.ask("described", kind, id, values) for kind in questions.content.described]
    return [(each.name, Pair(each.text, each.answer.strip())) for each in made if each]
