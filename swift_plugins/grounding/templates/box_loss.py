"""`--loss_scale default+box:2`: the tokens of boxes weigh twice in the loss. It combines with every loss scale of swift: weights multiply.

swift scales text between placeholders, before boxes are written, and encodes text of each weight by itself, which changes the tokens at the
seams. Here the whole answer is encoded as without weights, and boxes are found in its text, so that only the weights differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from swift.loss_scale import LossScale

from groundswift.answers import Located
from groundswift.errors import GroundswiftError
from groundswift.grammars.base import NUMBER, Grammar

from ..patches.wrap_once import patch

NAME, DEFAULT_WEIGHT = "box", 2.0
FOUR_NUMBERS = re.compile(rf"[\[(]*{NUMBER}(?:[\s,()\[\]]+{NUMBER}){{3}}[\])]*")
Range = tuple[int, int]  # start and end in characters


class BoxLossScale(LossScale):
    """Another loss scale, and the weight of the tokens of boxes, which grounding templates multiply with its weights."""

    def __init__(self, inner: LossScale, box_weight: float) -> None:
        super().__init__(inner.base_strategy)
        self.inner, self.box_weight = inner, box_weight

    def get_loss_scale(self, context: str, **kwargs: Any) -> tuple[list[str], list[float]]:
        return self.inner.get_loss_scale(context, **kwargs)

    def __call__(self, *given: Any, **more: Any) -> tuple[list[str], list[float]]:
        return self.inner(*given, **more)

    @property
    def is_binary_loss_scale(self) -> bool:
        return False


@patch("get_loss_scale", "swift.loss_scale.mapping", "swift.loss_scale")
def with_box_weight(get_loss_scale: Callable[[str], LossScale], loss_scale: str) -> LossScale:
    """swift's loss scale of a name, or several joined by `+`, of which `box` or `box:WEIGHT` is ours. Raises as `box_weight_of`."""
    weight = box_weight_of(loss_scale)
    if weight is None:
        return get_loss_scale(loss_scale)
    others = [part for part in loss_scale.split("+") if not is_box(part)]
    return BoxLossScale(get_loss_scale("+".join(others) or "default"), weight)


def is_box(part: str) -> bool:
    """Whether a part of `--loss_scale` is `box` or `box:WEIGHT`."""
    return part.partition(":")[0] == NAME


def box_weight_of(loss_scale: str) -> float | None:
    """The weight that `--loss_scale` gives to boxes; None without one. Raises GroundswiftError for two, or one that is not above 0."""
    parts = [part for part in loss_scale.split("+") if is_box(part)]
    if not parts:
        return None
    text = parts[0].partition(":")[2]
    try:
        weight = float(text) if text or ":" in parts[0] else DEFAULT_WEIGHT
    except ValueError:
        weight = math.nan
    if len(parts) > 1 or not 0 < weight < math.inf:
        raise GroundswiftError(f"--loss_scale {loss_scale}: expected {NAME}:WEIGHT once, with a weight above 0, such as default+box:2")
    return weight


def with_aligned_scales(encoded: dict[str, Any], loss_scale: LossScale) -> dict[str, Any]:
    """An encoding whose weights are those of its tokens: some of swift's templates add the tokens of an image without weights.

    The tokens that have loss are the same ones, in the same order. Raises GroundswiftError where a template drops the weights of boxes.
    """
    scales, labels = encoded.get("loss_scale"), encoded.get("labels")
    if labels is None or (scales is not None and len(scales) == len(labels)):
        return encoded
    of_trained = [scale for scale in scales or [] if scale > 0]
    trained = [place for place, label in enumerate(labels) if label != -100]
    if len(of_trained) != len(trained):
        if isinstance(loss_scale, BoxLossScale):
            raise GroundswiftError(f"--loss_scale {NAME}: swift's template of this model passes no weights on. Remove {NAME}")
        return encoded
    aligned = [0.0] * len(labels)
    for place, scale in zip(trained, of_trained, strict=True):
        aligned[place] = scale
    return {**encoded, "loss_scale": aligned}


def box_ranges(text: str, grammar: Grammar, largest: float | None) -> list[Range]:
    """The characters of each box in a text, labels excluded: (start, end), in order. `largest`: the largest coordinate of the space."""
    found = (located for located in grammar.parse(text, largest).objects if located.box is not None and located.span is not None)
    return sorted({part for located in found for part in _of_box(text, located, grammar)})


def _of_box(text: str, located: Located, grammar: Grammar) -> list[Range]:
    """A box as its family writes it, else its four numbers, else all of the object but its label."""
    start, end = located.span
    written = grammar.write_box(located.box)
    if (at := text.find(written, start, end)) >= 0:
        return [(at, at + len(written))]
    for match in FOUR_NUMBERS.finditer(text, start, end):
        if sorted(map(float, re.findall(NUMBER, match[0]))) == sorted(located.box):
            return [match.span()]
    at = text.find(located.label, start, end) if located.label else -1
    return [(start, at), (at + len(located.label), end)] if at >= 0 else [(start, end)]


def token_ranges(tokenizer: Any, text: str, ids: list[int]) -> list[Range]:
    """The characters of each token of a text. Raises GroundswiftError where the tokenizer cannot place its tokens."""
    if tokenizer.is_fast:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        if encoded["input_ids"] == ids:
            return [tuple(place) for place in encoded["offset_mapping"]]
    pieces = [tokenizer.decode([number]) for number in ids]
    if "".join(pieces) != text:
        name = type(tokenizer).__name__
        raise GroundswiftError(f"--loss_scale {NAME}: {name} does not say which characters its tokens are. Remove {NAME} from --loss_scale")
    ends = list(accumulate(map(len, pieces)))
    return list(zip([0, *ends], ends, strict=False))


def box_factors(tokens: list[Range], boxes: list[Range], weight: float) -> list[float]:
    """For each token `weight` where it has a character of a box, else 1."""
    factors, box = [], 0
    for start, end in tokens:
        while box < len(boxes) and boxes[box][1] <= start:
            box += 1
        factors.append(weight if box < len(boxes) and boxes[box][0] < end else 1.0)
    return factors
