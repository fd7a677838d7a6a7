"""What the encoded tokens hold: their text, which of it has loss, and the boxes parsed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from groundswift.coordinates import to_original_px
from groundswift.family import family_row
from groundswift.grammars.registry import parse
from groundswift.spaces import space_row, square_margins

from ..encoding import NO_LOSS, Encoded

IMAGE_TOKENS = ("<IMG_CONTEXT>", "<image>", "<|image|>")  # where nothing names one
NO_BOX = "no-box"  # reason of `parse` for a text without anything like a box
SHORTENED = 4  # shortest run of equal special tokens that is written as a count


@dataclass(frozen=True)
class Part:
    """A run of tokens that all have loss, or none has. `text` shortens long runs of one special token, `full` does not."""

    text: str
    full: str
    has_loss: bool


@dataclass(frozen=True)
class Mark:
    """One box or point that the tokens hold.

    `number`: from 1, in the order of the text. `written`: 4 or 2 numbers as in the text; `original_px`: in pixels of the original image,
    `model_input_px`: of the resized image. `truth_px`: the numbers of `objects.bbox` that belong to it, in original pixels; None
    where that is not known. `off_px`: how far the two are apart, at most, in (x, y); `quantum_px`: the family's step.
    """

    number: int
    label: str
    image: int
    written: tuple[float, ...]
    original_px: tuple[float, ...]
    model_input_px: tuple[float, ...]
    quantum_px: tuple[float, float]
    truth_px: tuple[float, ...] | None = None
    has_loss: bool = True

    @property
    def off_px(self) -> tuple[float, float] | None:
        if self.truth_px is None:
            return None
        apart = np.abs(np.array(self.original_px) - np.array(self.truth_px)).reshape(-1, 2).max(axis=0)
        return float(apart[0]), float(apart[1])

    @property
    def differs(self) -> bool:
        """Whether it is off by more than a step of the last written digit."""
        return any(apart > step + 1e-6 for apart, step in zip(self.off_px or (0.0, 0.0), self.quantum_px, strict=True))


@dataclass(frozen=True)
class AnswerText:
    """One answer with loss: its text without the template's suffix, and status and reasons of `parse`."""

    text: str
    status: str
    reasons: list[str]

    @property
    def is_prose(self) -> bool:
        """Whether it is an answer in prose, without a box, complete or broken."""
        return self.reasons == [NO_BOX]


@dataclass(frozen=True)
class ParsedBoxes:
    """All boxes of a row, its answers with loss, and remarks for the user (`notes`)."""

    marks: list[Mark]
    answers: list[AnswerText]
    notes: list[str]


def parts_of(template: Any, encoded: Encoded) -> list[Part]:
    """The text of the tokens, split where loss starts or stops."""
    parts = []
    pairs = list(zip(encoded.input_ids, encoded.labels, strict=True))
    for has_loss, group in groupby(pairs, lambda pair: pair[1] != NO_LOSS):
        ids = [token for token, _ in group]
        parts.append(Part(_shortened(template, ids), _decoded(template, ids), has_loss))
    return parts


def image_tokens(template: Any, encoded: Encoded) -> int:
    """Number of image tokens; 0 for a model that takes images in another way."""
    image_ids = _image_token_ids(template)
    return sum(token in image_ids or token < 0 for token in encoded.input_ids)


def parse_boxes(template: Any, encoded: Encoded, parts: Sequence[Part], row: dict[str, Any]) -> ParsedBoxes:
    """Parse the boxes of the text with loss, and of all text where `objects` has more, and convert them to pixels."""
    objects = row.get("objects") or {}
    truths = objects.get("bbox") or []
    suffixes = _suffixes(template)
    found, answers, notes = [], [], []
    for part in parts:
        text = _without_suffixes(part.full, suffixes) if part.has_loss else part.full
        answer = parse(text, encoded.family)
        found += [(thing, part.has_loss) for thing in answer.objects]
        answers += [AnswerText(text, answer.status, answer.reasons)] if part.has_loss else []
    trained = [(thing, has_loss) for thing, has_loss in found if has_loss]
    things = trained if len(trained) >= len(truths) else found
    matched = len(things) == len(truths)
    if not matched:
        notes.append(f"{len(things)} boxes or points in the text, {len(truths)} in objects.bbox: not compared")
    images = [*(objects.get("image_id") or [])] if matched else []
    if things and len(encoded.model_input_wh) > 1 and not images:
        notes.append("objects.image_id is missing: swift assigns all boxes to the first image")
    marks = []
    for place, (thing, has_loss) in enumerate(things):
        image = images[place] if place < len(images) else 0
        written = thing.box if thing.box is not None else thing.point
        truth = _truth_px(truths[place], objects, encoded.sizes_wh[image]) if matched else None
        if truth is not None and len(truth) != len(written):
            notes.append(f"{place + 1} has {len(written)} numbers in the text and {len(truth)} in objects.bbox")
            truth = None
        px, model_input_px = placed(written, encoded, image)
        step = family_row(encoded.family).quantum_px(encoded.sizes_wh[image], encoded.model_input_wh[image])
        marks.append(Mark(place + 1, thing.label, image, tuple(written), px, model_input_px, step, truth, has_loss))
    return ParsedBoxes(marks, answers, notes)


def placed(written: Sequence[float], encoded: Encoded, image: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A box (4 numbers) or point (2) as it is written -> (original px, px of the resized image)."""
    size_wh, model_input_wh = encoded.sizes_wh[image], encoded.model_input_wh[image]
    corners = [*written] if len(written) == 4 else [*written, *written]
    px = to_original_px([corners], encoded.family, size_wh, model_input_wh)[0].reshape(2, 2)
    if len(written) == 2:
        px[:] = px.mean(axis=0)
    if space_row(family_row(encoded.family).space).side == "square":
        resized = (px + square_margins(size_wh)) * (np.array(model_input_wh) / max(size_wh))
    else:
        resized = px * (np.array(model_input_wh) / np.array(size_wh))
    return tuple(px.ravel()[: len(written)].tolist()), tuple(resized.ravel()[: len(written)].tolist())


def _truth_px(numbers: Sequence[float], objects: dict[str, Any], size_wh: tuple[int, int]) -> tuple[float, ...]:
    scale = np.array(size_wh if objects.get("bbox_type") == "norm1" else (1, 1), dtype=np.float64)
    pairs = np.array(numbers, dtype=np.float64).reshape(-1, 2) * scale
    return tuple(np.sort(pairs, axis=0).ravel().tolist())


def _decoded(template: Any, ids: Sequence[int]) -> str:
    """Tokens as text, special ones by name; those that no tokenizer has (below 0) as [number]."""
    text = ""
    for known, group in groupby(ids, lambda token: token >= 0):
        run = list(group)
        text += template.tokenizer.decode(run, skip_special_tokens=False) if known else "".join(f"[{token}]" for token in run)
    return text


def _shortened(template: Any, ids: Sequence[int]) -> str:
    special = _image_token_ids(template) | set(template.tokenizer.all_special_ids)
    pieces, rest = [], []
    for token, group in groupby(ids):
        run = list(group)
        if len(run) >= SHORTENED and (token in special or token < 0):
            pieces += [_decoded(template, rest), f"{_decoded(template, [token])} x {len(run)}"]
            rest = []
        else:
            rest += run
    return "".join([*pieces, _decoded(template, rest)])


def _image_token_ids(template: Any) -> set[int]:
    """Id of the token in whose place a model puts its images: as its configuration names it, or else template, processor or vocabulary."""
    config, processor, vocabulary = getattr(template, "config", None), template.processor, template.tokenizer.get_vocab()
    named = [getattr(config, name, None) for name in ("image_token_id", "image_token_index")]
    named += [getattr(template, "image_token_id", None), getattr(processor, "image_token_id", None)]
    named += [vocabulary.get(token) for token in IMAGE_TOKENS]
    return set([token for token in named if isinstance(token, int)][:1])


def _suffixes(template: Any) -> list[str]:
    """What the template puts behind an answer, as text."""
    ends = []
    for contexts in (template.template_meta.suffix, template.template_meta.chat_sep):
        pieces = [context if isinstance(context, str) else _decoded(template, context) for context in contexts or []]
        ends.append("".join(pieces))
    tokens = [token for token in (template.tokenizer.eos_token, "\n") if token]
    return [end for end in (*ends, *tokens) if end]


def _without_suffixes(text: str, ends: Sequence[str]) -> str:
    while end := next(filter(text.endswith, ends), None):
        text = text.removesuffix(end)
    return text
