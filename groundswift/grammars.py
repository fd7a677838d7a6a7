"""Box text: which grammar each family speaks, and the two public verbs, `parse` and `format_answer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .errors import GroundswiftError
from .family import family_row
from .json_grammar import JsonGrammar
from .located import Answer, Located
from .spaces import space_row
from .token_grammar import TokenGrammar


class Grammar(Protocol):
    """Formatting and parsing of one way to write boxes. `whole_answer`: boxes make up the answer instead of standing in a sentence."""

    whole_answer: bool

    def write_label(self, label: str) -> str: ...
    def write_box(self, coordinates: Sequence[float]) -> str: ...
    def format(self, objects: Sequence[Located]) -> str: ...
    def parse(self, text: str, limit: float | None) -> Answer: ...


QWEN2_TOKENS = TokenGrammar("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>")
GRAMMARS: dict[str, Grammar] = {
    "qwen_ref_box": TokenGrammar("<ref>", "</ref>", "<box>", "</box>"),
    "qwen2_tokens": QWEN2_TOKENS,
    "json_bbox_2d": JsonGrammar(inline=QWEN2_TOKENS),
}


def parse(text: str, family: str = "qwen2_vl") -> Answer:
    """Read a model's answer. Never raises on any text, keeps what stands before a fault, and takes time linear in its length.

    Boxes come in the family's own space with ordered corners; what a model thinks up to `</think>` is no part of its answer.
    Raises GroundswiftError for an unknown family.
    """
    row = family_row(family)
    return GRAMMARS[row.grammar].parse(text, space_row(row.space).largest)


def format_answer(objects: Sequence[Located], family: str = "qwen2_vl") -> str:
    """Write things located, in the family's own space, as the family writes them; nothing located -> its empty answer.

    Raises GroundswiftError where a label cannot be written in the grammar, a coordinate is not finite, or box and point are both absent.
    """
    row = family_row(family)
    for located in objects:
        if located.box is None and located.point is None:
            raise GroundswiftError(f"{located.label!r} has neither box nor point; expected one of them")
    return GRAMMARS[row.grammar].format(objects) if objects else row.empty_answer
