"""Labels of a model -> classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from groundswift.errors import error_at

LabelMatch = Literal["exact", "casefold", "normalised"]
ARTICLES = ("a ", "an ", "the ")
BETWEEN_WORDS = re.compile(r"[\s_\-/]+")


def plain(label: str) -> str:
    """NFC, with every run of white space made one blank and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", label).split())


def folded(label: str) -> str:
    """`plain`, without regard to case."""
    return plain(plain(label).casefold())


def normalised(label: str) -> str:
    """NFKC, without regard to case; white space, `_`, `-` and `/` are one blank, full stops, commas and quotes at the ends and a leading
    article go: `The Traffic_Light.` is `traffic light`.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    text = BETWEEN_WORDS.sub(" ", text).strip(" .,;:!?\"'")
    for article in ARTICLES:
        text = text.removeprefix(article)
    return text.strip()


KEYS: dict[LabelMatch, Callable[[str], str]] = {"exact": plain, "casefold": folded, "normalised": normalised}


class LabelIndex:
    """Finds classes by label: literally, else by `plain`, else as `match` says, else by synonym; the latter only where they name one class.

    `index` holds the labels whose class is known already. `synonyms`: label -> name of its class; both are compared as `match` says.
    """

    def __init__(self, names: Sequence[str], match: LabelMatch = "exact", synonyms: Mapping[str, str] | None = None) -> None:
        self.names = list(names)
        self.match = match
        self.index = {name: number for number, name in enumerate(names)}
        self._plain = _unambiguous([plain(name) for name in names])
        self._folded = _unambiguous([folded(name) for name in names])
        self._key = KEYS[match]
        self._matched = _unambiguous([self._key(name) for name in names])
        self._synonyms = {self._key(label): self.index[name] for label, name in (synonyms or {}).items() if name in self.index}
        self._by_synonym: set[str] = set()

    def find(self, label: str) -> int | None:
        """The index of the label's class, or None."""
        number = self.index.get(label)
        if number is None:
            number = self._plain.get(plain(label))
            if number is None:
                number = self._matched.get(self._key(label))
            if number is None and (number := self._synonyms.get(self._key(label))) is not None:
                self._by_synonym.add(label)
            if number is not None:
                self.index[label] = number
        return number

    def how(self, label: str) -> str | None:
        """The id of how the class of a label was found, where that was neither literally nor by white space; None otherwise."""
        if label in self._by_synonym:
            return "label-synonym"
        return None if label not in self.index or plain(label) in self._plain else "label-normalised"

    def would_match(self, label: str) -> str | None:
        """The class that a label would mean without regard to case; None where there is none or it means one already."""
        number = self._folded.get(folded(label))
        return None if number is None or self.find(label) is not None else self.names[number]


def read_synonyms(path: str | Path) -> dict[str, str]:
    """Label -> class of a JSON file `{class: [label, ...]}`. Raises GroundswiftError for another file, or a label of two classes."""
    expected = 'JSON such as {"traffic light": ["stoplight", "signal"]}'
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, list[str]])
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})", expected) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise error_at(path, f"not a file of synonyms ({str(error)[:200]})", expected) from None
    synonyms: dict[str, str] = {}
    for name, labels in found.items():
        for label in labels:
            if synonyms.setdefault(label, name) != name:
                raise error_at(path, f"{label!r} is a synonym of {synonyms[label]!r} and of {name!r}", "one class for each label")
    return synonyms


def check_synonyms(synonyms: Mapping[str, str], names: Sequence[str], path: str | Path) -> None:
    """Raises GroundswiftError where a synonym is of an unknown class, or the name of another one."""
    for label, name in synonyms.items():
        if name not in names:
            raise error_at(path, f"{name!r} is not a class of the ground truth", "names of its classes as keys")
        if label in names and label != name:
            raise error_at(path, f"{label!r} is a synonym of {name!r} and a class of its own", "labels that are not classes")


def _unambiguous(keys: list[str]) -> dict[str, int]:
    """Key -> its place, for the keys that come once."""
    places: dict[str, int | None] = {}
    for number, key in enumerate(keys):
        places[key] = None if key in places else number
    return {key: number for key, number in places.items() if number is not None}
