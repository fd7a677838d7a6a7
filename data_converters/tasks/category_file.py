"""A list of classes given by the user: the categories of a COCO file, or names, one per line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from groundswift.coco_file import repeated
from groundswift.coco_types import CocoCategory
from groundswift.errors import error_at
from groundswift.storage import read_text
from groundswift.urls import shown

EXPECTED = "a COCO file, or names, one per line"


class _OnlyCategories(msgspec.Struct):
    categories: list[CocoCategory]


def read_categories(path: str | Path) -> list[CocoCategory]:
    """The classes of a file in its order; names, one per line, get the ids 1, 2, ...

    Raises GroundswiftError where it cannot be read, has none, or one twice.
    """
    text, path = read_text(path, EXPECTED), shown(path)
    if text.lstrip()[:1] == "{":
        try:
            found = msgspec.json.decode(text, type=_OnlyCategories).categories
            categories = [CocoCategory(each.id, each.name, each.supercategory) for each in found]
        except (msgspec.MsgspecError, RecursionError) as error:
            raise error_at(path, str(error), "a COCO file with categories") from None
    else:
        names = [line.strip() for line in text.splitlines()]
        categories = [CocoCategory(number, name) for number, name in enumerate(filter(None, names), 1)]
    if not categories:
        raise error_at(path, "no class", EXPECTED)
    for what, values in (("name", (each.name for each in categories)), ("id", (each.id for each in categories))):
        if twice := repeated(values):
            raise error_at(path, f"duplicate category {what} {twice[0]!r}")
    return categories
