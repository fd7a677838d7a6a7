"""Texts -> comparable texts, and how far two are apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

INSTALL = "pip install 'groundswift[text-eval]'"
ANLS_THRESHOLD = 0.5
ENDS = " \t\n.,;:!?\"'`\u3002\uff0c\uff1b\uff1a\uff01\uff1f\u3001\u201c\u201d\u2018\u2019"
TEXT_IN_TEX = re.compile(r"(\\(?:text|mbox|textrm|textbf|textit))\s*\{([^{}]*)\}")
TEX = re.compile(r"\\(?:text|mbox|textrm|textbf|textit)\s*\{[^{}]*\}|\\[A-Za-z]+|\\.|\S", re.DOTALL)
CJK = re.compile("[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]")


def one_blank(text: str) -> str:
    """White space as single blanks, none at the ends."""
    return " ".join(text.split())


def plain_latex(text: str) -> str:
    """LaTeX without the white space that TeX ignores: one blank stays where a command would run into the letter behind it.

    `\\frac { a } { b }` -> `\\frac{a}{b}`; `\\alpha  x` -> `\\alpha x`. Within `\\text{...}` white space is one blank.
    """
    out, after_command = [], False
    for token in TEX.findall(text):
        if found := TEXT_IN_TEX.fullmatch(token):
            token = f"{found[1]}{{{one_blank(found[2])}}}"
        if after_command and token[0].isalpha():
            out.append(" ")
        out.append(token)
        after_command = len(token) > 1 and token[0] == "\\" and token[-1].isalpha()
    return "".join(out)


NORMALIZATIONS: dict[str, Callable[[str], str]] = {
    "none": str,
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
    "casefold": str.casefold,
    "whitespace": one_blank,
    "punctuation": lambda text: text.strip(ENDS),
    "latex": plain_latex,
}


def normalizer(names: Sequence[str]) -> Callable[[str], str]:
    """A text after these normalisations, in the order of NORMALIZATIONS whatever that of `names`."""
    chosen = [step for name, step in NORMALIZATIONS.items() if name in names]

    def normalized(text: str) -> str:
        for step in chosen:
            text = step(text)
        return text

    return normalized


def normalizations(names: Sequence[str]) -> list[str]:
    """The chosen ones in the order of their steps; `none` only alone."""
    return [name for name in NORMALIZATIONS if name in names and name != "none"] or ["none"]


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Levenshtein distance of two texts or two lists of words."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(first, second)


def normalized_distance(first: str, second: str) -> float:
    """Edit distance over the length of the longer text, 0 to 1; 0 for two empty texts."""
    return edit_distance(first, second) / max(len(first), len(second), 1)


def anls(answer: str, references: Sequence[str]) -> float:
    """Average normalised Levenshtein similarity of one answer (ICDAR DocVQA): that of the best reference, 0 from a distance of 0.5 on.

    Case and runs of white space do not count.
    """
    said = one_blank(answer.lower())
    best = min(normalized_distance(said, one_blank(text.lower())) for text in references)
    return 1 - best if best < ANLS_THRESHOLD else 0.0


def has_cjk(texts: Sequence[str]) -> bool:
    """Whether a text has Chinese, Japanese or Korean characters."""
    return any(CJK.search(text) for text in texts if not text.isascii())
