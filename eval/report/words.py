"""Words of the page in English and Chinese, from words.tsv by key, and those of metrics, tables and warnings from chinese.tsv."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path


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
