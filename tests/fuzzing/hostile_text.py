"""Text that a reader could be slow on: short pieces repeated up to a size, behind openings that put the reader into each of its states.

The tests read a little of every kind, `benchmarks/parse.py` a megabyte of the worst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BRACKETS = ["{", "}", "[", "]", "{}", "[]", "}{", "][", "{[", "[{", "{]", "[}", "[[]]", "[],", "{},", "(", ")", "(1,", "<", ">", "<>"]
NUMBERS = ["9", "1,", "1 ", "1e", ".", "-", "1a", "[1", "1]", "[1]", "[1],", "[1,2],", "[1,2,3,4],", "[NaN]", "(1,2),(3,4)", "[1e999,1]"]
STRINGS = ['"', '""', '"a" ', '"a",', '"\n', '\n"', '"a\n', '\\"', '\\"\n', "\\", '"\\u', '"[', '"{', '"}', '"}\n', '"狗"']
OBJECTS = ['{"', '{"a"', '{"a":', '{"":', '"":', '{"":[', '{"":[1],', '"":[{}],', '{"a":1}', '{"bbox_2d":[', '{"box_2d":[1,2]}']
OBJECTS += ['{"bbox_2d":[1,2]}', '{"bbox_2d":[9,8,7,6],"label":"\\n"}', '{"label"']
WORDS = ["a", " ", "\n", ",", ":", ";", "None", "null,", "狗", "```json\n", "<think>", "</think>", "<bbox>"]
UNITS = BRACKETS + NUMBERS + STRINGS + OBJECTS + WORDS
OPENINGS = ["", "[", "{", '{"a":', '{"a":[', '{"a":"', '[{"bbox_2d":[', '[{"bbox_2d":[1,2,3,4],"label":"', '"', "<think>"]
MIRRORED = [("[", "]"), ("{", "}"), ("[1", "]"), ('{"a":', "}"), ("[{", "}]"), ('{"a":[{', "}]}"), ("(", ")"), ("<", ">")]
PIECE = re.compile(r"<[^<>]*>|[0-9.]+|[^<>0-9.]+")


def pieces_of(answer: str) -> list[str]:
    """What a family's own answer repeats: each mark, number and word in it, each beginning and each end of it."""
    pieces = PIECE.findall(answer)
    begun = ["".join(pieces[:count]) for count in range(2, len(pieces) + 1)]
    ended = ["".join(pieces[count:]) for count in range(1, len(pieces) - 1)]
    return list(dict.fromkeys(pieces + begun + ended))


def hostile_kinds(answer: str = "") -> Iterator[tuple[str, str, str]]:
    """(opening, repeated piece, ending that is repeated as often): all kinds, with those of a family that answers like `answer`."""
    of_family = pieces_of(answer)
    for unit in UNITS + of_family:
        for opening in OPENINGS:
            yield opening, unit, ""
    for opening in of_family:
        for unit in of_family:
            yield opening, unit, ""
    for before, after in MIRRORED:
        yield "", before, after


def hostile_text(kind: tuple[str, str, str], size: int) -> str:
    """A text of about `size` characters of one kind."""
    opening, unit, ending = kind
    count = max(1, size // len(unit + ending))
    return opening + unit * count + ending * count
