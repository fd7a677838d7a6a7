"""Words of the page in English and Chinese, from one table (words.tsv)."""

from __future__ import annotations

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
