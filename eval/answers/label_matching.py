"""Labels of a model -> classes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

LabelMatch = Literal["exact", "casefold"]


def plain(label: str) -> str:
    """NFC, with every run of white space made one blank and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", label).split())


def folded(label: str) -> str:
    """`plain`, without regard to case."""
    return plain(plain(label).casefold())


class LabelIndex:
    """Finds classes by label: literally, else by `plain`, else, if asked to, by `folded`; the latter two only where they name one class.

    `index` holds the labels whose class is known already.
    """

    def __init__(self, names: Sequence[str], match: LabelMatch = "exact") -> None:
        self.names = list(names)
        self.match = match
        self.index = {name: number for number, name in enumerate(names)}
        self._plain = _unambiguous([plain(name) for name in names])
        self._folded = _unambiguous([folded(name) for name in names])

    def find(self, label: str) -> int | None:
        """The index of the label's class, or None."""
        number = self.index.get(label)
        if number is None:
            number = self._plain.get(plain(label))
            if number is None and self.match == "casefold":
                number = self._folded.get(folded(label))
            if number is not None:
                self.index[label] = number
        return number

    def would_match(self, label: str) -> str | None:
        """The class that a label would mean without regard to case; None where there is none or it means one already."""
        number = self._folded.get(folded(label))
        return None if number is None or self.find(label) is not None else self.names[number]


def _unambiguous(keys: list[str]) -> dict[str, int]:
    """Key -> its place, for the keys that come once."""
    places: dict[str, int | None] = {}
    for number, key in enumerate(keys):
        places[key] = None if key in places else number
    return {key: number for key, number in places.items() if number is not None}
