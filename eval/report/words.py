"""Words of the page in English and Chinese, from words.tsv by key, and those of metrics, tables and warnings from chinese.tsv."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from ..evaluated_run import ImageResult


@cache
def words() -> dict[str, tuple[str, str]]:
    """Key -> (English, Chinese)."""
    lines = Path(__file__).with_name("words.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {key: (english, chinese) for key, english, chinese in rows}


def both(key: str, **filled: object) -> tuple[str, str]:
    """The text of a key in English and in Chinese, its places filled in."""
    english, chinese = words()[key]
    return english.format_map(filled), chinese.format_map(filled)


@cache
def chinese() -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """(Chinese by English text, (pattern, Chinese) of the texts with places for what differs from run to run)."""
    lines = Path(__file__).with_name("chinese.tsv").read_text(encoding="utf-8").splitlines()
    rows = dict(line.split("\t") for line in lines if not line.startswith("#"))
    filled = {english: text for english, text in rows.items() if "{}" in english}
    patterns = [(re.compile("(.+?)".join(map(re.escape, english.split("{}"))), re.DOTALL), text) for english, text in filled.items()]
    return {english: text for english, text in rows.items() if english not in filled}, patterns


def translated(text: str) -> tuple[str, str]:
    """A text in English and in Chinese; in English twice where chinese.tsv does not have it. `group: what` is looked up in parts."""
    exact, patterns = chinese()
    if text in exact:
        return text, exact[text]
    for pattern, other in patterns:
        if found := pattern.fullmatch(text):
            return text, other.format(*found.groups())
    head, colon, tail = text.partition(": ")
    if not colon:
        return text, text
    other = translated(tail)[1]
    return text, f"{exact[head]}\uff1a{other}" if head in exact else f"{head}: {other}"


def chinese_titles(by_run: Iterable[Sequence[ImageResult | None]]) -> dict[str, str]:
    """The Chinese of what images have: titles of values, words as values, statuses; what has none is absent."""
    images = [image for images in by_run for image in images if image is not None]
    titles = dict.fromkeys(title for image in images for title in image.values)
    found = {title: translated(title)[1] for title in titles}
    exact, _ = chinese()
    texts = {value for image in images for value in image.values.values() if isinstance(value, str)} | {image.status for image in images}
    found |= {text: exact[text] for text in sorted(texts) if text in exact}
    return {text: other for text, other in found.items() if other != text}


def group_words(text: str) -> tuple[str, str]:
    """The name of a group in English and in Chinese, such as `stage: 2`."""
    return translated(text) if text == "all" or text.startswith(("stage: ", "class_name: ")) else (text, text)
