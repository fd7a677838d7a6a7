"""A JSONL file line by line, in bounded memory, whatever its content."""

from __future__ import annotations

import codecs
import json
import os
import stat
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from groundswift.errors import error_at

LONGEST = 1 << 28  # bytes of a line; longer ones are skipped
LINE_BREAK = ord("\n")
BLOCK = 1 << 18  # bytes that are read at a time: what is made of them stays in a processor's cache
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


class Block(NamedTuple):
    """Some whole lines of a file. `number`: that of the first; `too_long`: bytes of one line beyond LONGEST, in place of `data`.

    Another process gets only the place in a regular file, `path` and `start`, and reads the `length` bytes again (`loaded`): to send them
    takes a turn of both processes for each 200 kB, for which they wait on a machine with other work.
    """

    number: int
    data: bytes
    too_long: int = 0
    path: str | Path | None = None
    start: int = 0
    length: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.path:
            return Block, tuple(self)
        return Block, (self.number, b"", 0, os.path.abspath(self.path), self.start, self.size)

    @property
    def size(self) -> int:
        """Its bytes in the file."""
        return self.too_long or len(self.data) or self.length

    def loaded(self) -> Block:
        """With its data. Raises GroundswiftError if the file cannot be read any more."""
        if self.data or not self.length:
            return self
        try:
            with open(self.path, "rb") as file:
                file.seek(self.start)
                data = file.read(self.length)
        except OSError as error:
            raise error_at(self.path, f"cannot be read ({error.strerror})") from None
        if len(data) != self.length:
            raise error_at(self.path, "became shorter while being read", "a file that does not change during the run")
        return self._replace(data=data)


def lines_of(path: str | Path) -> Iterator[Line]:
    """All lines, including blank ones. Raises GroundswiftError if the file cannot be read."""
    for block in blocks_of(path):
        yield from lines_in(block)


def blocks_of(path: str | Path, longest: int = LONGEST) -> Iterator[Block]:
    """The lines of a file or pipe, about BLOCK bytes at a time. Raises GroundswiftError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            number, offset = 1, 0
            place = path if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
            while data := file.read(min(BLOCK, longest)):
                start = data.rfind(b"\n") + 1  # of a line that goes on
                too_long = 0
                if start < len(data):
                    data += file.readline(longest - len(data) + start)
                    if len(data) - start == longest and not data.endswith(b"\n"):
                        too_long = _rest_of_line(file.readline, longest)
                if not too_long:
                    yield Block(number, data, 0, place, offset)
                    number, offset = number + line_breaks(data), offset + len(data)
                    continue
                if start:
                    yield Block(number, data[:start], 0, place, offset)
                number, offset = number + line_breaks(data), offset + len(data) + too_long
                yield Block(number, b"", len(data) - start + too_long)
                number += 1
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})") from None


def line_breaks(data: bytes) -> int:
    """How many line breaks there are. `bytes.count` takes four times as long as reading the bytes."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == LINE_BREAK))


def lines_in(block: Block) -> Iterator[Line]:
    """The lines of a block."""
    if block.too_long:
        yield Line(block.number, block.too_long, None, None, "line-too-long", f"{block.too_long} bytes; expected a row of at most 256 MiB")
    for number, raw in enumerate(BytesIO(block.data), block.number):
        yield line_of(number, raw)


def line_of(number: int, raw: bytes) -> Line:
    """One line; a byte order mark before the first one is not part of its row."""
    row, problem = decoded(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw)
    if problem:
        return Line(number, len(raw), raw, row, "not-json", f"{problem}; expected one JSON object per line")
    return Line(number, len(raw), raw, row)


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
