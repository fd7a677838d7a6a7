"""The question of a sample: from the file of prompts by task and language, fixed or sampled, or the user's own text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Literal, NamedTuple

import msgspec

from groundswift.errors import GroundswiftError, error_at
from groundswift.records import swift_tag_in

OWN = "own"  # the name of a prompt that the user wrote
_NEEDS_QUOTES = re.compile('[,"\x00-\x1f\x7f\x85\u2028\u2029]')  # comma, quote, and all that breaks a line
UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")  # characters that no class name has
_FIELD = re.compile(r"\{\w*\}")
Language = Literal["en", "zh", "both"]


def hashed(seed: int, key: object) -> int:
    """64 bits of a seed and a key, the same in any process."""
    return int.from_bytes(blake2b(f"{seed}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class Prompt(NamedTuple):
    """A question with its fields unfilled; `name` says which one it is, such as `find.en.2`."""

    name: str
    text: str


class Asking(msgspec.Struct, frozen=True):
    """The questions of one task of which a row gets one: by a hash of seed and row, the same in any process."""

    choices: tuple[Prompt, ...]
    seed: int

    def pick(self, key: object) -> Prompt:
        """The question of the row that `key` (its sample_id) names."""
        if len(self.choices) == 1:
            return self.choices[0]
        return self.choices[hashed(self.seed, key) % len(self.choices)]

    def filled(self, values: Mapping[str, str]) -> Asking:
        """The same with fields filled that have one value for all rows."""
        return Asking(tuple(Prompt(name, filled(text, values)) for name, text in self.choices), self.seed)


def asking(
    task: str, language: Language, own: str | None, seed: int, sampled: bool, fields: Sequence[str] = (), tags: Sequence[str] = ()
) -> Asking:
    """The questions of a task in one language or both; `own` is the user's text in their place. Unless `sampled` is wanted, of each
    language only the first.

    `fields` are the names that a text may hold in braces, `tags` those of swift's placeholders that it must hold, once each.
    Raises GroundswiftError where the user's text is blank, holds another field, or lacks or adds one of swift's tags.
    """
    if own is not None:
        check_text(own, fields, tags)
        return Asking((Prompt(OWN, own),), seed)
    by_language = all_prompts()[task]
    languages = ("en", "zh") if language == "both" else (language,)
    asked = {each: by_language[each] if sampled else by_language[each][:1] for each in languages}
    choices = [Prompt(f"{task}.{each}.{number}", text) for each, texts in asked.items() for number, text in enumerate(texts, 1)]
    return Asking(tuple(choices), seed)


@cache
def all_prompts() -> dict[str, dict[str, list[str]]]:
    """Task -> language -> questions, as in prompts.yaml."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is not built everywhere
    return yaml.load((files(__package__) / "prompts.yaml").read_text(encoding="utf-8"), loader)


def check_text(text: str, fields: Sequence[str], tags: Sequence[str] = ()) -> None:
    """Raise GroundswiftError where a question is blank, has an unknown field, or lacks one of `tags` or holds others of swift's."""
    if not text.strip():
        wanted = f"a question{''.join(f', with {{{name}}} where it belongs' for name in fields)}"
        raise GroundswiftError(f"the prompt is blank; expected {wanted}")
    for field in _FIELD.findall(text):
        if field[1:-1] not in fields:
            known = "".join(f"{{{name}}} or " for name in fields)
            raise error_at(f"prompt {text!r}", f"unknown field {field}", f"{known}no field")
    for tag in tags:
        if text.count(tag) != 1:
            raise error_at(f"prompt {text!r}", f"holds {tag} {text.count(tag)} times", "once")
    rest = text
    for tag in tags:
        rest = rest.replace(tag, "")
    if found := swift_tag_in(rest):
        raise error_at(f"prompt {text!r}", f"holds {found}, which swift would replace", "text without swift's tags")


def filled(text: str, values: Mapping[str, str]) -> str:
    """A question with its fields filled; braces of the values stay as they are."""
    return _FIELD.sub(lambda field: values.get(field[0][1:-1], field[0]), text)


def written_name(name: str) -> str:
    """A class name as written in a list of names: a JSON string if it has a comma, a quote or a line break, else unchanged."""
    return json.dumps(name, ensure_ascii=False) if _NEEDS_QUOTES.search(name) else name


def check_names(names: Sequence[str]) -> None:
    """Raise GroundswiftError where a class name holds one of swift's tags, or a control character."""
    for name in names:
        if tag := swift_tag_in(name):
            raise error_at(f"category name {name!r}", f"holds {tag}, which swift would replace", "text without swift's tags")
        if UNPRINTABLE.search(name):
            raise error_at(f"category name {name!r}", "holds a control character", "printable text (--rename-class)")
