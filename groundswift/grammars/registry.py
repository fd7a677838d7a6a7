"""Box text: which grammar each family speaks, and the two public functions, `parse` and `format_answer`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module

from ..answers import Answer, Located, as_truncated
from ..errors import GroundswiftError
from ..family import family_row
from ..spaces import space_row
from .base import Grammar

PLACES = {  # grammar -> the module whose TABLE has it
    "qwen_ref_box": "token_table",
    "qwen2_tokens": "token_table",
    "json_bbox_2d": "json_table",
    "json_box_2d": "json_table",
    "json_bbox_category": "json_table",
    "internvl_ref_box": "token_table",
    "deepseek_ref_det": "token_table",
    "minicpm_ref_box": "token_table",
    "rex_omni_tokens": "token_table",
    "locate_tokens": "token_table",
    "youtu_tokens": "token_table",
    "kosmos_patches": "token_table",
    "glm_box": "line_table",
    "cogvlm_brackets": "line_table",
    "shikra_brackets": "line_table",
    "llava_brackets": "line_table",
    "ferret_brackets": "line_table",
    "swift_brackets": "line_table",
    "florence_loc": "line_table",
    "paligemma_loc": "line_table",
    "paddleocr_corners": "line_table",
    "hunyuan_pairs": "line_table",
    "molmo_points": "tags",
    "molmo2_points": "tags",
}


class Grammars(Mapping[str, Grammar]):
    """The grammars by name, each loaded when it is used: all their regular expressions take longer to compile than a command to start."""

    def __init__(self) -> None:
        self._made: dict[str, Grammar] = {}

    def __getitem__(self, name: str) -> Grammar:
        if name not in self._made:
            self._made[name] = import_module(f".{PLACES[name]}", __package__).TABLE[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


GRAMMARS = Grammars()


@cache
def grammar_of(family: str) -> Grammar:
    """The grammar of a family. Raises GroundswiftError for an unknown family, or one whose grammar is unknown."""
    grammar = family_row(family).grammar
    if not isinstance(grammar, str):
        return grammar
    try:
        return GRAMMARS[grammar]
    except KeyError:
        raise GroundswiftError(f"family {family}: unknown grammar {grammar!r}; expected one of {', '.join(GRAMMARS)}") from None


def without_surrogates(text: str) -> str:
    """The text with a question mark for each lone surrogate, which is not text, and which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def parse(text: str, family: str = "qwen2_vl", cut: bool = False) -> Answer:
    """Read a model's answer. Never raises on any text, keeps what precedes an error, and takes time linear in its length.

    `cut`: whether generation stopped at its token limit (`finish_reason` "length"), which a text of blanks alone does not show.
    Boxes come in the family's own space with ordered corners; text up to `</think>` is not part of the answer.
    Raises GroundswiftError for an unknown family.
    """
    answer = grammar_of(family).parse(without_surrogates(text), space_row(family_row(family).space).largest)
    return as_truncated(answer) if cut else answer


def format_answer(objects: Sequence[Located], family: str = "qwen2_vl") -> str:
    """Write things located, in the family's own space, as the family writes them; nothing located -> its empty answer.

    Raises GroundswiftError where a label cannot be written in the grammar, a coordinate is not finite, or box and point are both absent.
    """
    row = family_row(family)
    for located in objects:
        if located.box is None and located.point is None:
            raise GroundswiftError(f"{located.label!r} has neither box nor point; expected one of them")
    return grammar_of(family).format(objects) if objects else row.empty_answer
