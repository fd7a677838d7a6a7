"""The protocol card: one result file under every rule, by the rule's own reading of the text and on the boxes that groundswift places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from groundswift.boxes import xywh_to_xyxy

from ..answers.protocol import Rules
from ..answers.to_boxes import Answers, Predictions, boxes_of_answers
from ..evaluated_run import Table
from ..ground_truth import Truth
from . import coco, findit, lmms_eval, rex_omni, vlmevalkit
from .base import Case, Numbers, Rule, Sample, Stops

RULES: dict[str, Rule] = {rule.id: rule for module in (coco, rex_omni, findit, lmms_eval, vlmevalkit) for rule in module.RULES}
COLUMNS = ["rule", "number", "own reading", "boxes placed", "images"]
NOTE = (
    "Own reading: the text as the rule's own code reads and places it. Boxes placed: the same rule on the boxes that groundswift reads "
    "in the declared space. A gap between the two is reading, not the model."
)


class Scored(NamedTuple):
    """A rule and its numbers: by its own reading (`stops`: why it has none), on placed boxes, and of how many images."""

    rule: Rule
    own: Numbers
    placed: Numbers
    images: int
    stops: str = ""


def case_of(answers: Answers, truth: Truth, rules: Rules, score: Callable[[Truth, Predictions], Mapping[str, float | None]]) -> Case:
    """A result as the rules take it; the texts of several rows of an image count together."""
    names = [f"image {image_id}" for image_id in truth.image_ids]
    texts = [None if status == "missing" else text for status, text in zip(answers.statuses, answers.texts, strict=True)]
    sizes = list(map(tuple, truth.sizes_wh.tolist()))
    read = boxes_of_answers(texts, sizes, rules, names)
    columns = zip(texts, sizes, _class_names(read.labels, answers, truth), read.boxes_xyxy_px, answers.statuses, strict=True)
    samples = [
        Sample(text or "", size, [], [], list(zip(labels, boxes.tolist(), strict=True)), status)
        for text, size, labels, boxes, status in columns
    ]
    boxes = xywh_to_xyxy(truth.boxes_xywh_px).tolist()
    for index, category, box, crowd in zip(truth.image_index.tolist(), truth.category_index.tolist(), boxes, truth.is_crowd, strict=True):
        if not crowd:
            samples[index].labels.append(truth.category_names[category])
            samples[index].boxes_xyxy_px.append(box)
    return Case(samples, truth.category_names, rules, truth, answers.predictions, score)


def _class_names(labels: list[list[str]], answers: Answers, truth: Truth) -> Iterator[list[str]]:
    """By image the labels as the names of their classes; none is the one class that the image was asked for, others stay."""
    asked: dict[int, set[tuple[str, ...] | None]] = {}
    for question in answers.questions:
        asked.setdefault(question.image_index, set()).add(question.asked)
    for image, of_image in enumerate(labels):
        classes = asked.get(image, set())
        only = next(iter(classes)) if len(classes) == 1 else None
        bare = only[0] if only is not None and len(only) == 1 else ""
        numbers = [answers.labels.find(label or bare) for label in of_image]
        yield [label or bare if number is None else truth.category_names[number] for label, number in zip(of_image, numbers, strict=True)]


def card(case: Case) -> list[Scored]:
    """Every rule's numbers, undefined ones None."""
    return [_scored(rule, case) for rule in RULES.values()]


def _scored(rule: Rule, case: Case) -> Scored:
    placed, images = rule.numbers_of(case, placed=True)
    if rule.read is None:
        return Scored(rule, {}, placed, images)
    try:
        return Scored(rule, rule.numbers_of(case, placed=False)[0], placed, images)
    except Stops as error:
        return Scored(rule, dict.fromkeys(rule.numbers), placed, images, str(error))


def summary_of(scored: Sequence[Scored]) -> Numbers:
    """Numbers under `rule.key`, those of placed boxes under `rule.placed.key`."""
    found: Numbers = {}
    for each in scored:
        found |= {f"{each.rule.id}.{key}": value for key, value in (each.own or each.placed).items()}
        found |= {f"{each.rule.id}.placed.{key}": value for key, value in each.placed.items() if each.own}
    return found


def table_of(scored: Sequence[Scored]) -> Table:
    """For the report and the terminal: a row a number."""
    rows: list[list[Any]] = [
        [each.rule.title, title, each.own.get(key), each.placed.get(key), each.images]
        for each in scored
        for key, title in each.rule.numbers.items()
    ]
    return Table("protocols", "Protocol card", COLUMNS, rows, note=NOTE)


def lines_of(scored: Sequence[Scored], switches: bool = True) -> list[str]:
    """For the terminal: a line a rule, its numbers, its switches."""
    lines = []
    for each in scored:
        lines.append(f"{each.rule.title}: {each.rule.line}")
        for key, title in each.rule.numbers.items():
            own = "stops" if each.stops else _text(each.own.get(key))
            first = f"{own:>7}" if each.own else " " * 7
            lines.append(f"  {title:<20}{first}{_text(each.placed.get(key)):>9}")
        lines += [f"  its code stops: {each.stops}"] if each.stops else []
        lines += [f"  of {each.images} images"] if each.images < _most(scored) else []
        lines += [f"  {name}: {value}" for name, value in each.rule.switches.items()] if switches else []
        lines.append("")
    return lines


def card_lines(scored: Sequence[Scored]) -> list[str]:
    """Below other numbers: the card with its heading; nothing without one."""
    return ["", f"{'':22}{'own':>7}{'placed':>9}", *lines_of(scored)] if scored else []


def _most(scored: Sequence[Scored]) -> int:
    return max(each.images for each in scored)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
