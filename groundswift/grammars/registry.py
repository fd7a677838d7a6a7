"""Box text: which grammar each family speaks, and the two public functions, `parse` and `format_answer`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

from ..answers import Answer, Located, as_truncated
from ..errors import GroundswiftError
from ..family import family_row
from ..spaces import space_row
from .base import Grammar
from .json_boxes import JsonGrammar
from .json_objects import JsonKeys
from .lines import BRACKETS, CORNER_PAIRS, CORNER_RUNS, GLM_BOX, POLYGON_RUNS, RUNS, LabelLastGrammar, LineGrammar
from .numbers import (
    Numbers,
    Runs,
    corners_to_boxes,
    from_corners,
    from_indices,
    in_eights,
    in_runs,
    indices_to_cells,
    listed,
    quadrangle_in,
    to_corners,
    to_indices,
    tokenised,
    tokens_in,
    write_decimals,
    write_padded,
    write_token,
    y_first,
)
from .tags import TagGrammar
from .tokens import ANY_LIST, TokenGrammar

QWEN2_MARKS = ("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>")
REF_BOX = ("<ref>", "</ref>", "<box>", "</box>")
DEEPSEEK_MARKS = ("<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>")
QWEN2_TOKENS = TokenGrammar(*QWEN2_MARKS, quads=("<|quad_start|>", "<|quad_end|>"))
LISTS = listed("()<>", r";\[\]")
NESTED = {"items": LISTS, "longer": quadrangle_in, "nested": True}
SPACED = {"box": "[{0}, {1}, {2}, {3}]", "point": "[{0}, {1}]", **NESTED}
TIGHT = {"box": "{0},{1},{2},{3}", "point": "{0},{1}", **NESTED, "joint": ";"}
DOUBLE = {"opening": "[", "closing": "]"}
REX_TOKENS = Numbers(
    "<{0}><{1}><{2}><{3}>",
    "<{0}><{1}>",
    tokenised("", r"[,;]|\Z", r"[^,;\s][^,;]*"),
    joint=", ",
    write_number=partial(write_token, largest=999),
    longer=tokens_in,
)
PATCHES = Numbers(
    "<patch_index_{0}><patch_index_{1}>",
    None,
    tokenised("patch_index_", r"</|\Z", r"<patch_index_[^<]*(?:<patch_index_[^<]*)*"),
    joint="</delimiter_of_multi_objects/>",
    encode=to_indices,
    decode=from_indices,
    decode_columns=indices_to_cells,
)
LOCATE_TOKENS = Numbers(
    "<{0}><{1}><{2}><{3}>",
    "<{0}><{1}>",
    tokenised("", r"[,;]|\Z", r"[^,;\s][^,;]*"),
    write_number=partial(write_token, largest=1000),
    longer=tokens_in,
)
YOUTU_TOKENS = Numbers("<x_{0}><y_{1}><x_{2}><y_{3}>", "<x_{0}><y_{1}>", tokenised("[xy]_", r"[,;]|\Z", r"[^,;\s][^,;]*"))
FOUR_CORNERS = Numbers(
    "".join(f"<|LOC_{{{place}}}|>" for place in range(8)),
    None,
    in_eights(),
    encode=partial(to_corners, largest=1000),
    decode=from_corners,
    decode_columns=corners_to_boxes,
)
TWO_PAIRS = Numbers("({0},{1}),({2},{3})", None, ANY_LIST, longer=quadrangle_in)
GLM_MARKS = {"opening": "<|begin_of_box|>[", "closing": "]<|end_of_box|>"}
GLM_LISTS = {"items": listed("", r";\[\]()<>"), "longer": quadrangle_in, "nested": True, "joint_points": False}  # pairs may be corners
FLORENCE = {"items": in_runs("loc_"), "write_number": partial(write_token, largest=999)}
PALIGEMMA = {"items": in_runs("loc"), "write_number": partial(write_token, largest=1023, digits=4), "decode": y_first}

GRAMMARS: dict[str, Grammar] = {
    "qwen_ref_box": TokenGrammar(*REF_BOX, quads=("<quad>", "</quad>")),
    "qwen2_tokens": QWEN2_TOKENS,
    "json_bbox_2d": JsonGrammar(JsonKeys("bbox_2d", "point_2d"), inline=QWEN2_TOKENS),
    "json_box_2d": JsonGrammar(JsonKeys("box_2d", "point", y_first=True)),
    "json_bbox_category": JsonGrammar(JsonKeys("bbox", "", label="category"), fenced=False),
    "internvl_ref_box": TokenGrammar(*REF_BOX, numbers=Numbers(**SPACED, **DOUBLE)),
    "deepseek_ref_det": TokenGrammar(*DEEPSEEK_MARKS, numbers=Numbers(**SPACED, **DOUBLE, joint=", ", joint_points=False)),
    "minicpm_ref_box": TokenGrammar(*REF_BOX, numbers=Numbers("{0} {1} {2} {3}", "{0} {1}", ANY_LIST, longer=quadrangle_in)),
    "rex_omni_tokens": TokenGrammar(*QWEN2_MARKS, numbers=REX_TOKENS),
    "locate_tokens": TokenGrammar(*REF_BOX, numbers=LOCATE_TOKENS),
    "youtu_tokens": TokenGrammar(*REF_BOX, numbers=YOUTU_TOKENS),
    "kosmos_patches": TokenGrammar("<phrase>", "</phrase>", "<object>", "</object>", numbers=PATCHES, blank_labels=False),
    "glm_box": LineGrammar(Numbers("[{0},{1},{2},{3}]", "[{0},{1}]", joint=",", **GLM_MARKS, **GLM_LISTS), GLM_BOX),
    "cogvlm_brackets": LineGrammar(Numbers(**TIGHT, opening="[[", closing="]]", write_number=partial(write_padded, digits=3)), BRACKETS),
    "shikra_brackets": LineGrammar(Numbers(**TIGHT, **DOUBLE, write_number=partial(write_decimals, digits=3), whole=False), BRACKETS),
    "llava_brackets": LineGrammar(Numbers(**SPACED, write_number=partial(write_decimals, digits=2), whole=False), BRACKETS),
    "ferret_brackets": LineGrammar(Numbers(**SPACED), BRACKETS, gap=" "),
    "swift_brackets": LineGrammar(Numbers("[({0},{1}),({2},{3})]", "[({0},{1})]", **NESTED), BRACKETS),
    "florence_loc": LineGrammar(
        Runs("<loc_{0}><loc_{1}><loc_{2}><loc_{3}>", "<loc_{0}><loc_{1}>", joint="", joint_points=False, **FLORENCE), POLYGON_RUNS, joint=""
    ),
    "paligemma_loc": LabelLastGrammar(Numbers("<loc{1}><loc{0}><loc{3}><loc{2}>", None, **PALIGEMMA), RUNS, gap=" ", joint=" ; "),
    "paddleocr_corners": LineGrammar(FOUR_CORNERS, CORNER_RUNS),
    "hunyuan_pairs": LineGrammar(TWO_PAIRS, CORNER_PAIRS, joint="", keys=JsonKeys("box", "")),
    "molmo_points": TagGrammar(),
    "molmo2_points": TagGrammar(coords=True),
}


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
