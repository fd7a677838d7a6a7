"""A JSONL file line by line, in bounded memory, whatever its content."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from groundswift.errors import error_at

LONGEST = 1 << 28  # bytes of a line; longer ones are skipped
_decode = msgspec.json.Decoder().decode


class Decoded(NamedTuple):
    """The JSON object of a line, and a problem: why there is none, or that it contains NaN. Neither: the line is blank."""

    row: dict[str, Any] | None
    problem: str = ""


class Line(NamedTuple):
    """One line. `raw`: as in the file, None if it is longer than LONGEST; `size`: its bytes; `rule`: id of its problem, if it has one."""

    number: int
    size: int
    raw: bytes | None
    row: dict[str, Any] | None
    rule: str = ""
    problem: str = ""


def lines_of(path: str | Path, longest: int = LONGEST) -> Iterator[Line]:
    """All lines, including blank ones. Raises GroundswiftError if the file cannot be read."""
    try:
        with open(path, "rb") as file:
            number = 0
            while raw := file.readline(longest):
                number += 1
                size = len(raw)
                if size == longest and not raw.endswith(b"\n"):
                    size += _rest_of_line(file.readline, longest)
                    if size > longest:
                        yield Line(number, size, None, None, "line-too-long", f"{size} bytes; expected a row of at most 256 MiB")
                        continue
                row, problem = decoded(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw)
                if problem:
                    yield Line(number, size, raw, row, "not-json", f"{problem}; expected one JSON object per line")
                else:
                    yield Line(number, size, raw, row)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})") from None


def _rest_of_line(readline: Callable[[int], bytes], longest: int) -> int:
    """Skip the rest of a line. Returns its bytes."""
    size = 0
    while piece := readline(longest):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def decoded(text: bytes) -> Decoded:
    """The content of a line. Never raises."""
    if not text.strip():
        return Decoded(None)
    try:
        row = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _decoded_otherwise(text, error)
    return Decoded(row) if isinstance(row, dict) else Decoded(None, _no_object(row))


def _decoded_otherwise(text: bytes, error: Exception) -> Decoded:
    """Python's reader accepts NaN, infinity and numbers beyond a float, which are not JSON."""
    if b"\0" in text:
        return Decoded(None, "it contains zero bytes (a binary or UTF-16 file)")
    problem = f"{str(error) or type(error).__name__}"
    if text.strip()[:1] == b"[" and not text.rstrip().endswith(b"]"):
        problem += " (a JSON list over several lines?)"
    elif not text.endswith(b"\n"):
        problem += " (the file stops in the middle of this line?)"
    try:
        row = json.loads(text)
        json.dumps(row, ensure_ascii=False).encode()  # lone surrogates cannot be encoded
    except (ValueError, RecursionError):
        return Decoded(None, problem)
    return Decoded(row if isinstance(row, dict) else None, problem)


def _no_object(value: object) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return f"it holds {kinds.get(type(value), 'a number')}"
