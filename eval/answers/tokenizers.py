"""Texts -> words, for metrics that count them."""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

from groundswift.errors import GroundswiftError

from .text_measures import CJK, INSTALL

LONGEST = 10_000  # words of a text that count
LONGEST_CHARACTERS = 100 * LONGEST
APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\uff07", "''''")
NEEDS_JAVA = "--tokenizer ptb runs Stanford's tokenizer, and `java` was not found; expected a Java runtime, or --tokenizer words"
MEANINGS = {
    "words": "lower case (after NFKC); words, numbers and hyphenated words, with 's, n't and the like split off; punctuation dropped",
    "chars": "as words, and each Chinese, Japanese or Korean character is a word",
    "spaces": "what white space separates, as it is: for texts that were tokenised before",
    "ptb": "Stanford's PTBTokenizer (Java) as COCO's caption server runs it: lower case, punctuation dropped",
}


NOT = re.compile(r"n't\b")


@cache
def word_pattern(ascii_only: bool) -> re.Pattern[str]:
    """What `words` finds in a text in lower case. Combining marks are parts of words: Python's `\\w` does not know them."""
    marks = "" if ascii_only else "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code)).startswith("M"))
    letters = "[a-z0-9]+" if ascii_only else rf"(?:[^\W_]|[{marks}])+"
    return re.compile(rf"n't\b|'(?:s|m|d|re|ve|ll)\b|\d+(?:[.,:/]\d+)+|{letters}(?:-{letters})*")


def words(text: str) -> list[str]:
    """`A dog's ball isn't well-made.` -> a, dog, 's, ball, is, n't, well-made."""
    plain = unicodedata.normalize("NFKC", text).translate(APOSTROPHES).lower()
    return word_pattern(plain.isascii()).findall(NOT.sub(" n't", plain))


def characters(text: str) -> list[str]:
    """As `words`, with each character of Chinese, Japanese or Korean a word."""
    return words(CJK.sub(r" \g<0> ", text))


SPLITTERS: dict[str, Callable[[str], list[str]]] = {"words": words, "chars": characters, "spaces": str.split}


def tokenized(texts: Sequence[str], name: str) -> list[list[str]]:
    """The words of each text, at most LONGEST. Raises GroundswiftError where the tokenizer cannot run."""
    cut = [text[:LONGEST_CHARACTERS] for text in texts]
    found = ptb(cut) if name == "ptb" else map(SPLITTERS[name], cut)
    return [each[:LONGEST] for each in found]


def check_java() -> None:
    """Raises GroundswiftError where `ptb` would find no Java."""
    if shutil.which("java") is None:
        raise GroundswiftError(NEEDS_JAVA)


def ptb(texts: Sequence[str]) -> list[list[str]]:
    """The words of COCO's caption server. All texts go through one Java process."""
    check_java()
    try:
        from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
    except ImportError:
        raise GroundswiftError(f"--tokenizer ptb needs the package pycocoevalcap: {INSTALL}") from None
    captions = {number: [{"caption": " ".join(text.split())}] for number, text in enumerate(texts)}
    try:
        found = PTBTokenizer().tokenize(captions)  # it writes a file into the folder of the package
    except OSError as error:
        raise GroundswiftError(f"--tokenizer ptb: {error}; expected Java, and a folder of pycocoevalcap that can be written") from None
    if len(found) != len(captions) or any(len(lines) != 1 for lines in found.values()):
        raise GroundswiftError(f"--tokenizer ptb: Java returned {len(found)} of {len(captions)} texts; expected all")
    return [found[number][0].split() for number in range(len(texts))]
