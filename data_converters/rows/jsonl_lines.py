"""A JSONL file line by line, in bounded memory, whatever it holds."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from groundswift.errors import fault

LONGEST = 1 << 28  # bytes of a line; what is longer is passed over
_decode = msgspec.json.Decoder().decode


class Line(NamedTuple):
    """One line. `raw`: as it stands in the file, None where it is longer than LONGEST. `size`: its bytes."""

    number: int
    raw: bytes | None
    size: int


class Decoded(NamedTuple):
    """What a line holds. `row`: the object, None where there is none, and then `problem` says why. `not_json`: NaN stands in it."""

    row: dict[str, Any] | None
    problem: str = ""
    not_json: bool = False


def lines_of(path: str | Path, longest: int = LONGEST) -> Iterator[Line]:
    """All lines, blank ones among them. Raises GroundswiftError where the file cannot be read."""
    try:
        with open(path, "rb") as file:
            number = 0
            while raw := file.readline(longest):
                number += 1
                size = len(raw)
                if size == longest and not raw.endswith(b"\n"):
                    size += _rest_of_line(file.readline, longest)
                    if size > longest:
                        yield Line(number, None, size)
                        continue
                yield Line(number, raw, size)
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})") from None


def _rest_of_line(readline: Callable[[int], bytes], longest: int) -> int:
    """Pass over what is left of a line -> its bytes."""
    size = 0
    while piece := readline(longest):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def decoded(raw: bytes, first: bool = False) -> Decoded:
    """The JSON object of a line; a byte order mark at the start of the `first` one is passed over. Never raises."""
    text = raw.removeprefix(codecs.BOM_UTF8) if first else raw
    try:
        row = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _decoded_otherwise(text, error)
    return Decoded(row) if isinstance(row, dict) else Decoded(None, _no_object(row))


def _decoded_otherwise(text: bytes, error: Exception) -> Decoded:
    """Python's reader takes NaN, infinity and numbers beyond a float, which are no JSON."""
    if b"\0" in text:
        return Decoded(None, "it holds zero bytes (a binary file, or UTF-16)")
    problem = f"{str(error) or type(error).__name__}"
    if text.strip()[:1] == b"[" and not text.rstrip().endswith(b"]"):
        problem += " (a JSON list over several lines?)"
    elif not text.endswith(b"\n"):
        problem += " (the file stops in the middle of this line?)"
    try:
        row = json.loads(text)
        json.dumps(row, ensure_ascii=False).encode()  # halves of surrogate pairs are no text
    except (ValueError, RecursionError):
        return Decoded(None, problem)
    return Decoded(row, problem, True) if isinstance(row, dict) else Decoded(None, problem)


def _no_object(value: object) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return f"it holds {kinds.get(type(value), 'a number')}"
