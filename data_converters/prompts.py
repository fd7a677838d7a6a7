"""The question of a detection sample: all class names in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from groundswift.errors import GroundswiftError, fault
from groundswift.records import swift_tag_in

CATEGORIES = "{categories}"
DETECT_ALL = f"Detect every object of these categories: {CATEGORIES}."
_NEEDS_QUOTES = re.compile('[,"\x00-\x1f\x7f\x85\u2028\u2029]')  # comma, quote, and all that breaks a line
_FIELD = re.compile(r"\{\w*\}")


def written_name(name: str) -> str:
    """A class name as it stands in a list of names: a JSON string where a comma, a quote or a line break would split it, else as it is."""
    return json.dumps(name, ensure_ascii=False) if _NEEDS_QUOTES.search(name) else name


def detection_prompt(text: str, names: Sequence[str]) -> str:
    """The question, with the names in the order given in place of `{categories}`; a text without it is the question as it stands.

    Raises GroundswiftError where the text is blank or has another field, or where text or name holds one of swift's tags.
    """
    if not text.strip():
        raise GroundswiftError(f"the prompt is blank; expected a question, with {CATEGORIES} where the names belong")
    for field in _FIELD.findall(text):
        if field != CATEGORIES:
            raise fault(f"prompt {text!r}", f"unknown field {field}", f"{CATEGORIES} or no field")
    for what, written in (("prompt", text), *(("category name", name) for name in names)):
        if tag := swift_tag_in(written):
            raise fault(f"{what} {written!r}", f"holds {tag}, which swift would replace", "text without swift's tags")
    return text.replace(CATEGORIES, ", ".join(map(written_name, names)))
