"""swift truncates generated answers at 64 tokens by default, about three boxes: raise the limit to what the ground truth needs."""

from __future__ import annotations

from typing import Any

from swift.callbacks.base import TrainerCallback
from swift.utils import get_logger

from groundswift.answers import Located
from groundswift.family import family_row
from groundswift.grammars.registry import format_answer
from groundswift.records import BOX, REF
from groundswift.spaces import space_row

from ..templates.grounding import family_of

ENOUGH_TOKENS = "groundswift_enough_tokens"
ROOM = 1.5  # an answer may grow to this many times the longest true one before it is truncated
WIDEST_PX = 9999.0  # a coordinate with as many digits as any has
TOKENISED = 16  # rows, the longest in characters


class EnoughNewTokens(TrainerCallback):
    """Raises `max_new_tokens` before training, and logs it, where a true answer of the validation set would not fit."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        family = family_of(self.trainer.template)
        config = self.trainer.model.generation_config
        texts = sorted((widest_answer(row, family) for row in self.trainer.eval_dataset), key=len)[-TOKENISED:]
        longest = max((len(self.trainer.template.tokenizer.encode(text)) for text in texts), default=0)
        needed = int(longest * ROOM) + 8
        if (config.max_new_tokens or 0) < needed:
            get_logger().info(f"coco_map: max_new_tokens {config.max_new_tokens} -> {needed}; true answers have up to {longest} tokens")
            config.max_new_tokens = needed


def widest_answer(row: dict[str, Any], family: str) -> str:
    """The answer of a validation row as its family writes it, every coordinate at its longest."""
    objects = row.get("objects") or {}
    labels, boxes = objects.get("ref") or [], objects.get("bbox") or []
    labels = [*labels, *[""] * (len(boxes) - len(labels))]
    space = space_row(family_row(family).space)
    widest = WIDEST_PX if space.largest is None else space.largest
    located = [Located(label, (widest,) * 4) for label, _ in zip(labels, boxes, strict=False)]
    prose = row["messages"][-1]["content"] if row["messages"][-1]["role"] == "assistant" else ""
    return prose.replace(REF, "").replace(BOX, "") + format_answer(located, family)
