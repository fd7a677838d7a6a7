"""Rows of a result file of `swift infer`, which have the model's answer (`response`) and the ground truth: the user chooses one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from groundswift.boxes import area, clipped
from groundswift.coordinates import resized_wh, to_original_px
from groundswift.errors import GroundswiftError, error_at
from groundswift.family import family_row
from groundswift.grammars.registry import grammar_of
from groundswift.image_resize import Limits, limits_of_its_own
from groundswift.run_record import read_record, record_of_result
from groundswift.spaces import space_row

from ..file_io.row_files import Sourced, read_rows
from ..issues import Issue, IssueLog

TruthFlag = Annotated[bool, msgspec.Meta(description="For results of swift infer: the ground truth, not the model's answers.")]
EITHER = "--truth for the ground truth, or to-coco or to-yolo with --answers for the model's answers"


def is_result(row: Any) -> bool:
    """Whether a row has a model's answer in addition to its messages."""
    return row.messages is not None and isinstance(row.response, str)


def read_truth(path: str, row_type: type[msgspec.Struct], truth: bool) -> tuple[Iterator[Sourced | Issue], int | None]:
    """(the rows of a file as `of_truth` has them, how many)."""
    rows, total = read_rows(path, row_type)
    return of_truth(rows, truth), total


def of_truth(items: Iterable[Sourced | Issue], truth: bool) -> Iterator[Sourced | Issue]:
    """Rows as they are; without `truth` an issue for each row with a model's answer.

    swift writes the generated text into `response`, the true one into `labels`, and may end the messages with either.
    """
    for item in items:
        if isinstance(item, Issue) or not is_result(item.row):
            yield item
        elif truth:
            yield Sourced(item.where, with_true_answer(item.row))
        else:
            what = "a row of inference results, with a response of the model and the ground truth"
            yield Issue("result-row", item.where, what, EITHER)


def with_true_answer(row: Any) -> Any:
    """A result row whose last message is the true answer, if swift kept it."""
    if isinstance(row.labels, str) and isinstance(row.messages, list):
        ends = row.messages[-1:] and isinstance(row.messages[-1], dict) and row.messages[-1].get("role") == "assistant"
        row.messages = [*(row.messages[:-1] if ends else row.messages), {"role": "assistant", "content": row.labels}]
    return row


@dataclass(frozen=True)
class AnswerReading:
    """How answers are read: family, space of the boxes, limits (px) of the model input. `declared_by`: `run record` or `options`."""

    family: str
    space: str
    limits: Limits | None
    declared_by: str

    def boxes(self, where: str, row: Any, size_wh: tuple[int, int], log: IssueLog) -> list[tuple[str, list[float]]]:
        """(label, xyxy in original px) of each usable box of an answer; what is skipped or clipped is counted."""
        resized = space_row(self.space).side == "resized"
        if resized and limits_of_its_own(row.chat_template_kwargs):
            log.add(Issue("row-own-limits", where, "chat_template_kwargs limit the image", "rows that leave them to the run"))
            return []
        answer = grammar_of(self.family).parse(row.response, space_row(self.space).largest)
        if answer.status in ("unreadable", "truncated"):
            log.count(f"answer-{answer.status}", where)
        found = []
        limits = self.limits or Limits()
        model_input_wh = (
            resized_wh(size_wh, self.family, limits.min_pixels, limits.max_pixels, limits.first_max_pixels) if resized else None
        )
        for located in answer.objects:
            if located.box is None or not located.label:
                log.count("answer-point-dropped" if located.box is None else "answer-box-without-label", where)
                continue
            box = clipped(to_original_px([located.box], self.family, size_wh, model_input_wh, self.space), size_wh)
            if area(box)[0] > 0:
                found.append((located.label, box[0].tolist()))
            else:
                log.count("answer-box-empty", where)
        return found


def answer_reading(source: str, family: str | None, space: str | None, limits: Limits) -> AnswerReading:
    """As the run's record declares, else as given. Raises GroundswiftError if neither says it, or if they differ."""
    record = record_of_result(source)
    if record is not None:
        read = read_record(record)
        for option, said, recorded in (("--family", family and family_row(family).name, read.family), ("--space", space, read.space)):
            if said is not None and said != recorded:
                raise error_at(record, f"says {recorded}, {option} {said}", "the same, or no record")
        return AnswerReading(read.family, read.space, read.limits, "run record")
    if family is None:
        raise error_at(source, "has no record of its run, and the space of boxes is never guessed", "--family (see groundswift families)")
    reading = AnswerReading(family_row(family).name, space_row(space or family_row(family).space).name, limits, "options")
    if space_row(reading.space).side == "resized" and (limits.min_pixels is None or limits.max_pixels is None):
        raise GroundswiftError(
            f"family {family} writes pixels of the resized image; expected --min-pixels and --max-pixels as the run had them"
        )
    return reading
