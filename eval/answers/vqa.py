"""Short answers: VQA's soft accuracy over ten annotators, whole-word substring, numbers within a tolerance."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

from .text_measures import CJK

LEAST_ANNOTATORS = 4  # with fewer no answer could have an accuracy of 1
ENOUGH = 3  # annotators who agree with an answer that is right
NUMBER_NAMES = ("none", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBER_WORDS = dict(zip(NUMBER_NAMES, (0, *range(11)), strict=True))
ARTICLES = {"a", "an", "the"}
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
COMMA_IN_NUMBER = re.compile(r"\d,\d")
END_PERIOD = re.compile(r"\.(?!\d)")
CONTRACTED = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's how'd how'll how's
isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've
should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd
something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've
weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
CONTRACTIONS = (
    {  # a word without one of its apostrophes -> the word
        word[:at] + word[at + 1 :]: word for word in CONTRACTED.split() for at, letter in enumerate(word) if letter == "'"
    }
    | {"somebody'd": "somebodyd"}
)
NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d{1,3})?")
AMOUNT = re.compile(r"[\s$\u20ac\u00a3\u00a5]*[-+]?[\d.,]+(?:[eE][-+]?\d+)?[\s%\uff05]*")
LONGEST = 1_000_000  # characters of an answer in which a true answer is looked for


def vqa_text(text: str) -> str:
    """An answer as VQA's evaluation compares it: punctuation, articles, number words and lost apostrophes normalised, in lower case."""
    text = text.replace("\n", " ").replace("\t", " ").strip()
    glued, plain = bool(COMMA_IN_NUMBER.search(text)), text
    for mark in PUNCTUATION:
        drop = glued or f"{mark} " in text or f" {mark}" in text
        plain = plain.replace(mark, "" if drop else " ")
    words = END_PERIOD.sub("", plain, count=32).lower().split()
    numbered = (str(NUMBER_WORDS.get(word, word)) for word in words)
    return " ".join(CONTRACTIONS.get(word, word) for word in numbered if word not in ARTICLES)


def vqa_accuracy(answer: str, references: Sequence[str]) -> float | None:
    """Mean over the annotators of min(1, others who gave this answer / 3); None with fewer than 4 annotators."""
    if len(references) < LEAST_ANNOTATORS:
        return None
    said = vqa_text(answer)
    same = sum(vqa_text(text) == said for text in references)
    others = len(references) - same
    return (same * min(1.0, (same - 1) / ENOUGH) + others * min(1.0, same / ENOUGH)) / len(references)


def contains(text: str, part: str) -> bool:
    """Whether a text has a part as whole words, in its first LONGEST characters; of Chinese, which has no spaces, anywhere."""
    text = text[:LONGEST]
    at = text.find(part) if part else -1
    while at >= 0:
        end = at + len(part)
        if not (are_one_word(text[at - 1 : at], part[0]) or are_one_word(part[-1], text[end : end + 1])):
            return True
        at = text.find(part, at + 1)
    return False


def are_one_word(first: str, second: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    return all(each.isalnum() or unicodedata.category(each).startswith("M") for each in (first or " ", second or " ")) and not (
        CJK.match(first) or CJK.match(second)
    )


def number_in(text: str) -> float | None:
    """The only number of a text, however often it comes, without currency, thousands commas or %; None for none, several or infinity."""
    found = {float(each.replace(",", "")) for each in NUMBER.findall(unicodedata.normalize("NFKC", text[:10_000])) if each}
    (value,) = found if len(found) == 1 else (None,)
    return value if value is not None and math.isfinite(value) else None


def is_close(answer: str, references: Sequence[str], tolerance: float) -> bool | None:
    """Whether the number of an answer is within a relative tolerance of a true one; None where a true answer is not a number."""
    truths = [number_in(text) if AMOUNT.fullmatch(text) else None for text in references]
    if None in truths:
        return None
    value = number_in(answer)
    return value is not None and any(abs(value - truth) <= tolerance * abs(truth) for truth in truths)
