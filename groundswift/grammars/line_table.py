"""The grammars without marks around labels, each made when it is used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .base import Grammar
from .json_objects import JsonKeys
from .lines import BRACKETS, CORNER_PAIRS, CORNER_RUNS, GLM_BOX, POLYGON_RUNS, RUNS, LabelLastGrammar, LineGrammar
from .number_lists import DOUBLE, NESTED, SPACED, TIGHT
from .numbers import (
    Numbers,
    Runs,
    corners_to_boxes,
    from_corners,
    in_eights,
    in_runs,
    listed,
    quadrangle_in,
    to_corners,
    write_decimals,
    write_padded,
    write_token,
    y_first,
)
from .tokens import ANY_LIST

PADDED, TWO_DECIMALS, THREE_DECIMALS = partial(write_padded, digits=3), *(partial(write_decimals, digits=digits) for digits in (2, 3))
TWO_PAIRS = Numbers("({0},{1}),({2},{3})", None, ANY_LIST, longer=quadrangle_in)
GLM_MARKS = {"opening": "<|begin_of_box|>[", "closing": "]<|end_of_box|>"}
GLM_LISTS = {"items": listed("", r";\[\]()<>"), "longer": quadrangle_in, "nested": True, "joint_points": False}  # pairs may be corners
FLORENCE = {"items": in_runs("loc_"), "write_number": partial(write_token, largest=999)}
PALIGEMMA = {"items": in_runs("loc"), "write_number": partial(write_token, largest=1023, digits=4), "decode": y_first}


def four_corners() -> Numbers:
    """PaddleOCR-VL's boxes: eight numbers."""
    return Numbers(
        "".join(f"<|LOC_{{{place}}}|>" for place in range(8)),
        None,
        in_eights(),
        encode=partial(to_corners, largest=1000),
        decode=from_corners,
        decode_columns=corners_to_boxes,
    )


TABLE: dict[str, Callable[[], Grammar]] = {
    "glm_box": lambda: LineGrammar(Numbers("[{0},{1},{2},{3}]", "[{0},{1}]", joint=",", **GLM_MARKS, **GLM_LISTS), GLM_BOX),
    "cogvlm_brackets": lambda: LineGrammar(Numbers(**TIGHT, opening="[[", closing="]]", write_number=PADDED), BRACKETS),
    "shikra_brackets": lambda: LineGrammar(Numbers(**TIGHT, **DOUBLE, write_number=THREE_DECIMALS, whole=False), BRACKETS),
    "llava_brackets": lambda: LineGrammar(Numbers(**SPACED, write_number=TWO_DECIMALS, whole=False), BRACKETS),
    "ferret_brackets": lambda: LineGrammar(Numbers(**SPACED), BRACKETS, gap=" "),
    "swift_brackets": lambda: LineGrammar(Numbers("[({0},{1}),({2},{3})]", "[({0},{1})]", **NESTED), BRACKETS),
    "florence_loc": lambda: LineGrammar(
        Runs("<loc_{0}><loc_{1}><loc_{2}><loc_{3}>", "<loc_{0}><loc_{1}>", joint="", joint_points=False, **FLORENCE), POLYGON_RUNS, joint=""
    ),
    "paligemma_loc": lambda: LabelLastGrammar(Numbers("<loc{1}><loc{0}><loc{3}><loc{2}>", None, **PALIGEMMA), RUNS, gap=" ", joint=" ; "),
    "paddleocr_corners": lambda: LineGrammar(four_corners(), CORNER_RUNS),
    "hunyuan_pairs": lambda: LineGrammar(TWO_PAIRS, CORNER_PAIRS, joint="", keys=JsonKeys("box", "")),
}
