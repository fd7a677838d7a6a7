"""The grammars with marks around labels and boxes, each made when it is used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .base import Grammar
from .number_lists import DOUBLE, SPACED
from .numbers import (
    Numbers,
    from_indices,
    indices_to_cells,
    quadrangle_in,
    to_indices,
    tokenised,
    tokens_in,
    write_token,
)
from .tokens import ANY_LIST, TokenGrammar

QWEN2_MARKS = ("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>")
REF_BOX = ("<ref>", "</ref>", "<box>", "</box>")
DEEPSEEK_MARKS = ("<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>")


def qwen2_tokens() -> TokenGrammar:
    """The grammar of Qwen2-VL, which others write in part."""
    return TokenGrammar(*QWEN2_MARKS, quads=("<|quad_start|>", "<|quad_end|>"))


def rex_tokens() -> Numbers:
    """Rex-Omni's boxes: a token for each number."""
    return Numbers(
        "<{0}><{1}><{2}><{3}>",
        "<{0}><{1}>",
        tokenised("", r"[,;]|\Z", r"[^,;\s][^,;]*"),
        joint=", ",
        write_number=partial(write_token, largest=999),
        longer=tokens_in,
    )


def patches() -> Numbers:
    """Kosmos-2's boxes: the patches of two corners."""
    return Numbers(
        "<patch_index_{0}><patch_index_{1}>",
        None,
        tokenised("patch_index_", r"</|\Z", r"<patch_index_[^<]*(?:<patch_index_[^<]*)*"),
        joint="</delimiter_of_multi_objects/>",
        encode=to_indices,
        decode=from_indices,
        decode_columns=indices_to_cells,
    )


def locate_tokens() -> Numbers:
    """LocateAnything's boxes: a token for each number."""
    return Numbers(
        "<{0}><{1}><{2}><{3}>",
        "<{0}><{1}>",
        tokenised("", r"[,;]|\Z", r"[^,;\s][^,;]*"),
        write_number=partial(write_token, largest=1000),
        longer=tokens_in,
    )


def youtu_tokens() -> Numbers:
    """Youtu-VL's boxes: tokens that name the axis."""
    return Numbers("<x_{0}><y_{1}><x_{2}><y_{3}>", "<x_{0}><y_{1}>", tokenised("[xy]_", r"[,;]|\Z", r"[^,;\s][^,;]*"))


TABLE: dict[str, Callable[[], Grammar]] = {
    "qwen_ref_box": lambda: TokenGrammar(*REF_BOX, quads=("<quad>", "</quad>")),
    "qwen2_tokens": qwen2_tokens,
    "internvl_ref_box": lambda: TokenGrammar(*REF_BOX, numbers=Numbers(**SPACED, **DOUBLE)),
    "deepseek_ref_det": lambda: TokenGrammar(*DEEPSEEK_MARKS, numbers=Numbers(**SPACED, **DOUBLE, joint=", ", joint_points=False)),
    "minicpm_ref_box": lambda: TokenGrammar(*REF_BOX, numbers=Numbers("{0} {1} {2} {3}", "{0} {1}", ANY_LIST, longer=quadrangle_in)),
    "rex_omni_tokens": lambda: TokenGrammar(*QWEN2_MARKS, numbers=rex_tokens()),
    "locate_tokens": lambda: TokenGrammar(*REF_BOX, numbers=locate_tokens()),
    "youtu_tokens": lambda: TokenGrammar(*REF_BOX, numbers=youtu_tokens()),
    "kosmos_patches": lambda: TokenGrammar("<phrase>", "</phrase>", "<object>", "</object>", numbers=patches(), blank_labels=False),
}
