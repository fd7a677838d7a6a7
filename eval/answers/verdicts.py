"""Whether an answer says that something is abnormal, by words that the user declares, and how sure its first token is of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from groundswift.errors import GroundswiftError

from .choices import chosen, options_in, plain
from .text_rows import TextSample
from .vqa import are_one_word

BUILT_IN = ("prompt=*.verdict.*", "prompt=*.anomaly_choice.*")  # the questions of `groundswift anomaly` that ask for a verdict


class Verdict(msgspec.Struct, frozen=True):
    """Of one sample: `is_anomaly`, the truth; `said`, None where the answer has no verdict; `score`: from 0, normal, to 1."""

    is_anomaly: bool
    said: bool | None
    score: float | None


@dataclass(frozen=True)
class VerdictRules:
    """What the user declared: texts of an anomalous and of a normal answer, and which questions ask for one (COLUMN, pattern).

    An answer says what it begins with, as whole words, the longest declared text first; in a question that lists lettered options, what the
    option that it chooses says.
    """

    anomalous: tuple[str, ...]
    normal: tuple[str, ...]
    asked_by: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, anomalous: Sequence[str], normal: Sequence[str], asked_by: Sequence[str]) -> VerdictRules:
        """The rules of the options. Raises GroundswiftError where they cannot decide an answer."""
        sides = [
            tuple(dict.fromkeys(filter(None, (plain(part) for text in texts for part in text.split(","))))) for texts in (anomalous, normal)
        ]
        if bool(sides[0]) != bool(sides[1]):
            given, lacking = ("--anomalous", "--normal") if sides[0] else ("--normal", "--anomalous")
            raise GroundswiftError(f"{given} without {lacking}; expected both, such as --anomalous yes --normal no")
        if both := set(sides[0]) & set(sides[1]):
            raise GroundswiftError(f"{sorted(both)[0]!r} is declared as --anomalous and as --normal; expected one of them")
        pairs = [text.partition("=") for text in asked_by]
        if wrong := [text for text, (name, _, pattern) in zip(asked_by, pairs, strict=True) if not (name and pattern)]:
            raise GroundswiftError(f"--verdict-where {wrong[0]!r}; expected COLUMN=PATTERN, such as prompt=*.verdict.*")
        return cls(*sides, tuple((name, pattern) for name, _, pattern in pairs))

    def asks(self, values: dict[str, str], question: str) -> bool:
        """Whether a question asks for a verdict; `values`: of its columns. The column `question` is its text."""
        return any(fnmatchcase(question if name == "question" else values.get(name, ""), pattern) for name, pattern in self.asked_by)

    def said(self, text: str) -> bool | None:
        """Whether a text says anomalous (True) or normal (False); None where it begins with neither."""
        text = plain(text.lstrip(" *_#"))
        sides = {word: side for side, words in ((True, self.anomalous), (False, self.normal)) for word in words}
        for word in sorted(sides, key=len, reverse=True):
            if text.startswith(word) and not (text[len(word) :] and are_one_word(word[-1], text[len(word)])):
                return sides[word]
        return None

    def sides(self, question: str) -> dict[str, bool]:
        """Of a question that lists options: letter -> what the option says, where it says something."""
        found = {letter: self.said(text) for letter, text in options_in(question).items()}
        return {letter: side for letter, side in found.items() if side is not None}

    def of_text(self, text: str, question: str) -> bool | None:
        """What an answer to a question says."""
        options = options_in(question)
        letter = chosen(text, options) if options else None
        return self.sides(question).get(letter) if letter else self.said(text)

    def verdict(self, sample: TextSample) -> Verdict | None:
        """The verdict of a sample; None where its true answers do not say, or say both."""
        truths = {self.of_text(text, sample.question.asked) for text in sample.question.references}
        if len(truths) != 1 or None in truths:
            return None
        said = self.of_text(sample.text, sample.question.asked) if sample.answer is not None else None
        return Verdict(truths.pop(), said, self.score(sample, said))

    def score(self, sample: TextSample, said: bool | None) -> float | None:
        """The probability of the anomalous beginnings among all that say something, at the first token of the answer.

        With one alternative alone (no top_logprobs) its rest is the other side's. None without log-probabilities, and where no
        alternative says anything.
        """
        sides = self.sides(sample.question.asked)
        found = [(side, math.exp(value)) for token, value in sample.alternatives if (side := self.side_of(token, sides)) is not None]
        if len(sample.alternatives) == 1 and found and said is not None:
            side, probability = found[0]
            return probability if side else 1 - probability
        total = math.fsum(value for _, value in found)
        return math.fsum(value for side, value in found if side) / total if total else None

    def side_of(self, token: str, letters: dict[str, bool]) -> bool | None:
        """What an answer that begins with a token says, where all declared texts that begin so say the same."""
        begun = plain(token)
        if letters and begun.upper() in letters:
            return letters[begun.upper()]
        if not begun:
            return None
        found = {side for side, words in ((True, self.anomalous), (False, self.normal)) for word in words if word.startswith(begun)}
        return found.pop() if len(found) == 1 else self.said(token)


def lack_scores(verdicts: Iterable[Verdict | None]) -> bool:
    """Whether any of them has no score."""
    return any(verdict is not None and verdict.score is None for verdict in verdicts)


def scores_and_kinds(verdicts: Sequence[Verdict]) -> tuple[list[Any], list[bool]]:
    """(scores, whether anomalous)."""
    return [verdict.score for verdict in verdicts], [verdict.is_anomaly for verdict in verdicts]


def alarm_count(verdicts: Iterable[Verdict]) -> int:
    """How many of them say that there is an anomaly."""
    return sum(bool(verdict.said) for verdict in verdicts)
