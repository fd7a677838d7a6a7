"""Which of several options an answer chooses: `B`, `(b)`, `B. a cat`, `the answer is B`, or the text of an option."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .text_measures import normalizer
from .vqa import contains

LETTERS = "letters"  # the value of --choices that reads the options of each question
LISTED = re.compile(r"(?:(?<=\s)|^)\(?([A-Z])[.):\uff1a\uff0e\u3001]\s*(.*?)(?=\s+\(?[A-Z][.):\uff1a\uff0e\u3001]|$)", re.DOTALL)
ALONE = re.compile(r"[\W_]*([A-Za-z])[\W_]*")
LEADING = re.compile(r"[\s(\[*\"']*([A-Za-z])[)\].:*\uff1a\uff0e\u3001]")
MARKED = re.compile(
    r"(?:answer|option|choice|\u7b54\u6848|\u9009\u9879|\u9009\u62e9)\s*(?:is|:|\uff1a|\u662f|\u4e3a|=)?\s*[(\[*\"'\s]*([A-Z])(?![A-Za-z'])"
    r"|\\boxed\{\s*([A-Z])\s*\}",
    re.IGNORECASE,
)
ARTICLE = re.compile(r"\bA(?=\s+(?!(?:and|or)\b)[a-z])")
LONGEST = 20_000  # characters of an answer that are read, from its end
plain = normalizer(["nfkc", "casefold", "whitespace", "punctuation"])


def options_in(question: str) -> dict[str, str]:
    """The options that a question lists, from A on: `A. a dog B. a cat` -> {A: a dog, B: a cat}; {} where it lists none.

    Where no option before has a line break, the last one ends with its line: an instruction may follow.
    """
    found: dict[str, str] = {}
    for letter, text in LISTED.findall(question):
        if letter == chr(ord("A") + len(found)):
            found[letter] = text.strip()
    if len(found) < 2:
        return {}
    *others, last = found
    if not any("\n" in found[letter] for letter in others):
        found[last] = found[last].partition("\n")[0]
    return {letter: " ".join(text.split()) for letter, text in found.items()}


def options_of(choices: str, question: str) -> dict[str, str]:
    """The options of a question: those it lists, or the comma-separated ones of `choices`."""
    if choices == LETTERS:
        return options_in(question)
    names = [name.strip() for name in choices.split(",") if name.strip()]
    return {name: name if len(name) > 1 else options_in(question).get(name, "") for name in names}


def chosen(text: str, options: Mapping[str, str]) -> str | None:
    """The option that an answer chooses; None where it names none or several.

    The first of these that names an option: a letter alone; a letter with a bracket, period or colon at the beginning; the last letter
    behind `answer is`, `option` or in a `\\boxed{}`; the text of an option, alone or, of one option only, in the answer; the only
    capital letter.
    """
    text = text.strip()[-LONGEST:]
    letters = {name.upper(): name for name in options if len(name) == 1}
    for found in (ALONE.fullmatch(text), LEADING.match(text)):
        if found and found[1].upper() in letters:
            return letters[found[1].upper()]
    marked = [first or second for first, second in MARKED.findall(text) if (first or second) in letters]
    if marked:
        return letters[marked[-1]]
    said = plain(text)
    texts = {name: plain(option or name) for name, option in options.items() if option or len(name) > 1}
    equal = [name for name, option in texts.items() if option == said]
    within = equal or [name for name, option in texts.items() if contains(said, option)]
    if len(within) == 1:
        return within[0]
    capitals = set(re.findall(r"\b[A-Z]\b", ARTICLE.sub("", text))) & letters.keys()
    return letters[capitals.pop()] if len(capitals) == 1 and not within else None
