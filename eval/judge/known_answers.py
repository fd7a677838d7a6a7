"""Answers of which it is known whether they are right, made of the true answers of questions: to check a judge, or to train one."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..answers.choices import chosen, options_in
from ..answers.text_measures import CJK, normalizer
from ..answers.text_rows import Question, TextSample
from ..answers.vqa import contains

KINDS = {  # how an answer was made
    "same": "the true answer",
    "same-form": "the true answer in another form",
    "other": "another option, or the true answer of another question",
    "other-form": "the same in another form",
}
MOST_OTHERS = 50  # true answers of other questions that are tried for one
LONGEST_REASON = 24  # characters of a text in a reason
plain = normalizer(["nfkc", "casefold", "whitespace", "punctuation"])


class KnownAnswer(NamedTuple):
    """An answer to a question as a judge gets it, how it was made, whether it is right, and what it says in short."""

    sample: TextSample
    kind: str
    is_right: bool
    short: str


class Candidate(NamedTuple):
    """A text, how it was made, and what it says in short."""

    text: str
    kind: str
    short: str


def known_answers(questions: Iterable[Question], seed: int, each: int, longest: int | None = None) -> list[KnownAnswer]:
    """As many right as wrong answers to every question, `each` of both at most; the same questions and seed give the same ones.

    A question without a wrong answer has none: all questions have its true answer. Nor has one whose true answer has more than `longest`
    characters; as a wrong answer to others it is cut there.
    """
    chance, listed = random.Random(seed), list(questions)
    others = sorted({text[:longest] for question in listed if not options_in(question.asked) for text in question.references})
    found = []
    for question in listed:
        if is_longer(question, longest):
            continue
        sides = right_answers(question), wrong_answers(question, others, chance)
        count = min(each, *map(len, sides))
        for is_right, side in zip((True, False), sides, strict=True):
            for text, kind, short in chance.sample(side, count):
                found.append(KnownAnswer(TextSample(question, text, "ok"), kind, is_right, short))
    return found


def is_longer(question: Question, longest: int | None) -> bool:
    """Whether a true answer has more characters."""
    return longest is not None and any(len(text) > longest for text in question.references)


def right_answers(question: Question) -> list[Candidate]:
    """The true answers, and each in other forms."""
    return with_forms(question.references, options_in(question.asked), "same")


def wrong_answers(question: Question, others: Sequence[str], chance: random.Random) -> list[Candidate]:
    """Answers that are wrong: the other options of a choice, true answers of other questions, and these in other forms.

    A true answer of another question that has a true one in it, or is in one, is not among them.
    """
    options = options_in(question.asked)
    truths = {chosen(text, options) for text in question.references}
    known = [plain(text) for text in (*question.references, *(options[letter] for letter in truths if letter))]
    tried = others if len(others) <= MOST_OTHERS else chance.sample(others, MOST_OTHERS)
    wrong = [text for text in tried if not any(contains(plain(text), each) or contains(each, plain(text)) for each in known)]
    wrong += [letter for letter in options if None not in truths and letter not in truths]
    return with_forms(wrong, options, "other")


def with_forms(texts: Sequence[str], options: dict[str, str], kind: str) -> list[Candidate]:
    """Texts as they are and in other forms, each once."""
    found = {text: Candidate(text, kind, short_of(text)) for text in texts}
    for text in texts:
        for form in forms_of(text, options):
            found.setdefault(form, Candidate(form, f"{kind}-form", short_of(text)))
    return list(found.values())


def short_of(text: str) -> str:
    """What a text says in short: without white space and a period at its ends."""
    return text.strip().rstrip(".\u3002")


def forms_of(text: str, options: dict[str, str]) -> list[str]:
    """A text in other forms; an option also as what it says, where that is not said by another one."""
    bare = short_of(text)
    said_so = f"\u7b54\u6848\u662f{bare}\u3002" if CJK.search(bare) else f"The answer is {bare}."
    found = [bare.lower(), bare[:1].upper() + bare[1:], f"{bare}.", f'"{bare}"', said_so]
    if said := options.get(bare):
        found += [f"({bare})", f"{bare}. {said}", said]
    return [form for form in dict.fromkeys(found) if form and form != text and (not said or chosen(form, options) == bare)]


def reason_of(known: KnownAnswer) -> str:
    """What the true answer and the given one say, in short, as a judge can write before its verdict: of a choice the two letters.

    A text of more than LONGEST_REASON characters is `...`. Empty where both are, and where yes or no is among these words: the verdict
    could not be read after them.
    """
    texts = [text if len(text) <= LONGEST_REASON else "..." for text in (short_of(known.sample.question.references[0]), known.short)]
    hidden = any(contains(plain(text), word) for text in texts for word in ("yes", "no"))
    return "" if hidden or texts == ["...", "..."] else f"{texts[0]} / {texts[1]}: "


def is_held_out(prompt: str, share: float) -> bool:
    """Whether a prompt is of the share that no training row has, by its hash."""
    return int.from_bytes(hashlib.sha256(prompt.encode("utf-8", "backslashreplace")).digest()[:8]) < share * 2**64
