"""What a model wrote, read: pairs of question and answer, or description, verdict and reason. What cannot be used has an id."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from groundswift.grammars.base import without_thinking
from groundswift.records import swift_tag_in

MARK = re.compile(  # the beginning of a question or answer: `Q:`, `**Question 2:**`, `1. Q:`, `A1.`; a choice `A. red` is none
    r"^[\s>#*_-]*(?:\d+\s*[.)、]\s*)?[*_]*(?:(?P<q>question|q|问题|问)|(?P<a>answer|a|答案|回答|答))\s*\d*\s*[*_]*\s*[:：]\s*[*_]*\s*",
    re.IGNORECASE,
)
SECTION = re.compile(
    r"^[\s>#*_-]*(?:(?P<description>description|描述|场景描述)|(?P<verdict>verdict|判断|结论)|(?P<reason>reason|理由|原因))\s*[*_]*\s*[:：]\s*[*_]*\s*",
    re.IGNORECASE,
)
LETTER = re.compile(r"^\W*([AB])(?:[\s.)：:、].*)?\W*$", re.DOTALL)
ABNORMAL, NORMAL = (
    re.compile(r"\b(?:anomal\w*|abnormal|not\s+normal)\b|异常|不正常", re.IGNORECASE),
    re.compile(r"\bnormal\b|正常", re.IGNORECASE),
)
NEGATED = re.compile(
    r"\b(?:no|not|without|any)\s+(?:an\s+|any\s+)?(?:anomal\w*|abnormal)\b|(?:没有|无|未见|未发现)(?:任何)?(?:明显)?异常", re.IGNORECASE
)
REFUSAL = re.compile(
    r"^\W*(?:i['’]?m sorry|i am sorry|sorry|i can(?:no|['’])t|i am unable|as an ai|抱歉|对不起|很抱歉|我无法|我不能)", re.IGNORECASE
)
FENCE = re.compile(r"^```\w*\s*\n(.*?)\n```\s*$", re.DOTALL)


class Pair(NamedTuple):
    """A question and its answer."""

    question: str
    answer: str


class Read(NamedTuple):
    """What an answer holds, and what of it cannot be used, by id."""

    pairs: list[Pair]
    problems: Counter[str]


class Described(NamedTuple):
    """A description with its verdict: anomaly or normal; None where it is not clear."""

    description: str
    verdict: str | None
    reason: str


def pairs_of(text: str, truncated: bool = False, ab_only: bool = False) -> Read:
    """The pairs in a text: marked lines (`Q:`, `A:`, `问：`, `答：`), or JSON with question and answer.

    `truncated`: the text was cut, and its last pair is dropped. Ids: `answer-refused`, `text-without-pairs`, `answer-without-question`,
    `question-without-answer`, `answer-truncated`, `pair-with-tag`, `pair-repeated` and, with `ab_only`, `answer-not-choice`.
    """
    said = (without_thinking(text) or "").strip()
    found = FENCE.match(said)
    parts = json_parts(found[1] if found else said)
    if parts is None:
        parts = list(marked_parts(said))
    problems: Counter[str] = Counter()
    pairs, question = [], None
    for kind, part in parts:
        if kind == "q":
            problems["question-without-answer"] += question is not None
            question = part or None
        elif question is None:
            problems["answer-without-question"] += 1
        else:
            pairs.append(Pair(question, part))
            question = None
    if truncated and (pairs or question):
        problems["answer-truncated"] += 1
        pairs = pairs if question is not None else pairs[:-1]
    elif question is not None:
        problems["question-without-answer"] += 1
    if not parts:
        problems["answer-refused" if REFUSAL.match(said) else "text-without-pairs"] += 1
    return Read(list(usable(pairs, ab_only, problems)), +problems)


def whole_text(question: str, text: str) -> Read:
    """A text as the answer to a question."""
    problems: Counter[str] = Counter()
    return Read(list(usable([Pair(question, (without_thinking(text) or "").strip())], False, problems)), problems)


def usable(pairs: list[Pair], ab_only: bool, problems: Counter[str]) -> Iterator[Pair]:
    """The pairs that can become rows; the others are counted."""
    seen = set()
    for question, answer in pairs:
        letter = LETTER.match(answer) if ab_only else None
        if not answer:
            problems["question-without-answer"] += 1
        elif swift_tag_in(question + answer):
            problems["pair-with-tag"] += 1
        elif question in seen:
            problems["pair-repeated"] += 1
        elif ab_only and letter is None:
            problems["answer-not-choice"] += 1
        else:
            seen.add(question)
            yield Pair(question, letter[1] if letter else answer)


def marked_parts(text: str) -> Iterator[tuple[str, str]]:
    """(q or a, text) of the parts of a text whose lines begin with marks; lines without one continue a part, lines before the first are
    dropped."""
    kind, lines = "", []
    for line in text.splitlines():
        if mark := MARK.match(line):
            if kind:
                yield kind, cleaned(lines)
            kind, lines = ("q" if mark["q"] else "a"), [line[mark.end() :]]
        elif kind == "a" and not line.strip() and any(map(str.strip, lines)):
            yield kind, cleaned(lines)
            kind, lines = "", []
        else:
            lines.append(line)
    if kind:
        yield kind, cleaned(lines)


def cleaned(lines: list[str]) -> str:
    """The text of a part, without blanks and marks of emphasis around it."""
    return re.sub(r"^[*_]{2}|[*_]{2}$", "", "\n".join(line.rstrip() for line in lines).strip()).strip()


def json_parts(text: str) -> list[tuple[str, str]] | None:
    """The same of a JSON list of objects with question and answer (or q and a), alone or under one key; None for other text."""
    if not text.startswith(("[", "{")):
        return None
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if isinstance(found, dict) and not {"question", "q"} & set(map(str.lower, found)):
        found = next((value for value in found.values() if isinstance(value, list)), None)
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list):
        return None
    return [part for each in found if isinstance(each, dict) for part in parts_of_object(each)]


def parts_of_object(pair: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The question and the answer of one JSON object."""
    given = {key.lower(): value for key, value in pair.items()}
    for kind, name in (("q", "question"), ("a", "answer")):
        value = given.get(name, given.get(kind))
        if isinstance(value, str | int | float):
            yield kind, str(value).strip()


def described(text: str) -> Described | str:
    """Description, verdict and reason of a text whose lines begin with these words; the id of the problem where there are none."""
    said = (without_thinking(text) or "").strip()
    parts: dict[str, list[str]] = {}
    name = ""
    for line in said.splitlines():
        if mark := SECTION.match(line):
            name = mark.lastgroup or ""
            parts[name] = [line[mark.end() :]]
        elif name:
            parts[name].append(line)
    texts = {name: cleaned(lines) for name, lines in parts.items()}
    if not texts.get("description"):
        return "answer-refused" if REFUSAL.match(said) else "text-without-description"
    if swift_tag_in("\n".join(texts.values())):
        return "pair-with-tag"
    return Described(texts["description"], verdict_of(texts.get("verdict", "")), texts.get("reason", ""))


def verdict_of(text: str) -> str | None:
    """anomaly or normal, as a text says; None where it says neither or both."""
    rest, negated = NEGATED.subn(" ", text)
    rest = re.sub(r"不正常", "异常", rest)
    abnormal, normal = ABNORMAL.search(rest), negated or NORMAL.search(ABNORMAL.sub(" ", rest))
    return None if bool(abnormal) == bool(normal) else "anomaly" if abnormal else "normal"
