"""Rows of phrase grounding: the phrases of a sentence, each with its true boxes and types, and the boxes that an answer gives each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswift.boxes import Boxes
from groundswift.pairing import paired
from groundswift.records import count_tags

from .label_matching import folded
from .referring_rows import Key, ReferringRow, box_px, image_problem, split_of
from .swift_results import Problem


class PhraseRow(ReferringRow):
    """One line of rows or of a result. `phrase_types`: for each label of `objects.ref` its type, or several separated by `/`."""

    phrase_types: Any = None

    def types(self) -> list[tuple[str, ...]]:
        """The types of each label; [] where the row does not have them."""
        found = self.phrase_types if isinstance(self.phrase_types, list) else []
        return [tuple(filter(None, each.split("/"))) if isinstance(each, str) else () for each in found]


class Phrase(NamedTuple):
    """Words of a sentence, their true boxes, xyxy in original px, and their types (people, animals)."""

    text: str
    boxes_xyxy_px: list[list[float]]
    types: tuple[str, ...] = ()


class PhraseQuestion(NamedTuple):
    """One sentence: its key, the size of its image in px, and its phrases in their order."""

    key: Key
    size_wh: tuple[int, int]
    phrases: list[Phrase]
    text: str = ""
    image: str = ""
    image_key: str = ""
    split: str = ""

    @property
    def name(self) -> str:
        """What errors and counts call it."""
        return f"sample {self.key[0]}"

    def truth(self) -> tuple[Any, ...]:
        """What the numbers depend on."""
        return self.key, self.size_wh, [tuple(phrase) for phrase in self.phrases]


def phrases_asked(row: PhraseRow, resized: bool = False, file_name: str = "") -> PhraseQuestion | Problem:
    """The phrases of a row, or why it cannot be scored. `resized`: answers are in pixels of the resized image."""
    if problem := image_problem(row, resized):
        return problem
    refs = row.objects.get("ref") if isinstance(row.objects, dict) else None
    every_box = row.objects.get("bbox") if isinstance(row.objects, dict) else None
    if not isinstance(refs, list) or not isinstance(every_box, list) or not row.boxes():
        return Problem("true-box-missing", "the answer of the row has no boxes", "phrases with boxes, in objects.ref and objects.bbox")
    turns = [(turn.role, str(turn.content)) for turn in row.messages if turn.role == "user"]
    ref_of_box = paired([*turns, ("assistant", row.true_answer() or "")], len(refs), len(every_box)).ref_of_box
    boxes: dict[int, list[list[float]]] = {}
    for place in range(count_tags([row.asked()]).boxes, len(every_box)):
        ref = ref_of_box[place]
        if ref is None or not str(refs[ref]).strip():
            return Problem("true-label-missing", f"box {place} of objects.bbox has no label", "a phrase for every box of the answer")
        if isinstance(box := box_px(every_box[place], row), Problem):
            return box
        boxes.setdefault(ref, []).append(box)
    types = row.types()
    phrases = [Phrase(str(refs[ref]), of_ref, types[ref] if ref < len(types) else ()) for ref, of_ref in boxes.items()]
    return PhraseQuestion(row.key(), row.size_wh, phrases, row.question(), row.image(), row.image_key(), split_of(row, file_name))


def phrases_of_boxes(labels: Sequence[str], boxes_xyxy_px: Sequence[list[float]]) -> list[Phrase]:
    """Phrases of boxes in their order with a label each: neighbours of one label are one phrase."""
    runs = groupby(zip(labels, boxes_xyxy_px, strict=True), key=lambda pair: pair[0])
    return [Phrase(label, [list(box) for _, box in pairs]) for label, pairs in runs]


class Found(NamedTuple):
    """For each phrase its boxes (n, 4), the best first, and their places in the answer; how many boxes have no label, an unknown one."""

    boxes_xyxy_px: list[Boxes]
    places: list[NDArray[np.int64]]
    unlabelled: int
    unknown: list[str]


def boxes_of_phrases(phrases: Sequence[Phrase], labels: Sequence[str], boxes_xyxy_px: Boxes, scores: NDArray[np.float64]) -> Found:
    """The boxes of an answer by phrase: those with its words as label, without regard to case and white space.

    Phrases of the same words share the boxes of that label evenly, in order. A box without a label belongs to the phrase of a question of
    one. Best score first; of equal ones the first written.
    """
    of_label: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        of_label.setdefault(folded(label), []).append(place)
    same: dict[str, list[int]] = {}
    for number, phrase in enumerate(phrases):
        same.setdefault(folded(phrase.text), []).append(number)
    bare = of_label.pop("", [])
    if len(phrases) == 1 and bare:
        only = next(iter(same))
        of_label[only], bare = sorted([*of_label.get(only, []), *bare]), []
    places = [np.zeros(0, dtype=np.int64) for _ in phrases]
    for words, numbers in same.items():
        parts = np.array_split(np.array(of_label.pop(words, []), dtype=np.int64), len(numbers))
        for number, part in zip(numbers, parts, strict=True):
            places[number] = part[np.argsort(-scores[part], kind="stable")]
    unknown = [labels[place] for rest in of_label.values() for place in rest]
    return Found([boxes_xyxy_px[part] for part in places], places, len(bare), unknown)
