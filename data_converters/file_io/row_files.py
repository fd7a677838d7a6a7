"""Files of rows, streamed as typed structs: JSON Lines, a JSON list, or Parquet. Every row format reads through here."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from groundswift.errors import GroundswiftError, error_at
from groundswift.file_guard import regular_size
from groundswift.records import read_jsonl
from groundswift.storage import local_copy
from groundswift.urls import file_name, shown

from ..issues import Issue
from .mmap_json import NO_ROW, NOT_JSON, read_mapped

BATCH = 256
BLANKS, BETWEEN = re.compile(r"[ \t\r\n]*"), re.compile(r"[ \t\r\n]*([],])[ \t\r\n]*")  # before an element of a list, and behind it


class Sourced(NamedTuple):
    """A row and its place: `train.jsonl:7` by its line, or `train.parquet: row 7` by its number from 1."""

    where: str
    row: Any


def read_rows(path: str, row_type: type[msgspec.Struct]) -> tuple[Iterator[Sourced | Issue], int | None]:
    """(the rows of a file in its order, how many). `.parquet` by its schema, `.json` as one list, anything else as JSON Lines.

    A row that is not a `row_type` is an Issue in its place; null counts as absent where a field has a default of None.
    Raises GroundswiftError where the file as a whole cannot be read.
    """
    suffix, here = Path(file_name(path)).suffix.lower(), local_copy(path)
    try:
        regular_size(here)  # it is read twice
        if suffix == ".parquet":
            return _parquet(shown(path), here, row_type)
        if suffix == ".json" and _first_byte(here) == b"[":
            encoded = _encoded(path, here)
            return _json_list(shown(path), encoded, row_type), len(encoded)
        return _json_lines(path, row_type), _lines(here)
    except OSError as error:
        raise error_at(shown(path), f"cannot be read ({error.strerror})", "a file of rows") from None


def _json_lines(path: str, row_type: type[msgspec.Struct]) -> Iterator[Sourced | Issue]:
    name = shown(path)
    for number, row in read_jsonl(path, row_type):
        where = f"{name}:{number}"
        if isinstance(row, GroundswiftError):
            yield Issue.of(NO_ROW, where, str(row).removeprefix(f"{where}: "))
        else:
            yield Sourced(where, row)


def _lines(here: Path) -> int:
    """How many lines a file has, blank ones included: one fast pass over its bytes."""
    with open(here, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _first_byte(here: Path) -> bytes:
    """The first byte of the text, after a byte order mark and white space."""
    with open(here, "rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _encoded(path: str, here: Path) -> list[msgspec.Raw] | list[bytes]:
    """The elements of a JSON list, each encoded. Raises GroundswiftError where it is none."""
    try:
        return read_mapped(path, list[msgspec.Raw], "a list of rows, or one row per line", "not a JSON list")
    except GroundswiftError:
        elements = _elements(here.read_bytes().removeprefix(codecs.BOM_UTF8).decode(errors="surrogateescape"))
        if elements is None:
            raise
        return elements


def _json_list(path: str, encoded: list[msgspec.Raw] | list[bytes], row_type: type[msgspec.Struct]) -> Iterator[Sourced | Issue]:
    """The elements of a list, each decoded when it is asked for: lists of conversations are of hundreds of megabytes."""
    decoder = msgspec.json.Decoder(row_type)
    for number, element in enumerate(encoded, 1):
        where = f"{path}: row {number}"
        try:
            yield Sourced(where, decoder.decode(element))
        except NOT_JSON as error:
            yield Issue(NO_ROW, where, f"not a row: {error}", "one JSON object")


def _elements(text: str) -> list[bytes] | None:
    """The elements, still encoded, of a list of which some are not JSON; None if it is not a list either.

    Python's reader finds where each ends: it accepts NaN, lone surrogates and line breaks in strings, which single rows may have.
    """
    decoder, elements = json.JSONDecoder(strict=False), []
    try:
        at = BLANKS.match(text, text.index("[") + 1).end()
        while True:
            end = decoder.raw_decode(text, at)[1]
            elements.append(text[at:end].encode(errors="surrogateescape"))
            mark = BETWEEN.match(text, end)
            if mark is None or mark[1] == "]":
                return elements if mark and mark.end() == len(text) else None
            at = mark.end()
    except (ValueError, RecursionError):
        return None


def _parquet(path: str, here: Path, row_type: type[msgspec.Struct]) -> tuple[Iterator[Sourced | Issue], int]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise error_at(path, "Parquet needs the package pyarrow: pip install pyarrow") from None
    try:
        file = pyarrow.parquet.ParquetFile(here)
        names = file.schema_arrow.names
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise error_at(path, f"cannot be read ({str(error).splitlines()[0]})", "a Parquet file") from None
    fields = {field.encode_name for field in msgspec.structs.fields(row_type)}
    columns = [name for name in names if name in fields]
    if doubled := next((name for name in columns if columns.count(name) > 1), None):
        raise error_at(path, f"{columns.count(doubled)} columns named {doubled!r}", "one column of each name")

    def rows() -> Iterator[Sourced | Issue]:
        number = 0
        try:
            for batch in file.iter_batches(BATCH, columns=columns):
                for values in _values(batch):
                    number += 1
                    where = f"{path}: row {number}"
                    try:
                        if isinstance(values, ValueError):
                            raise values
                        yield Sourced(where, msgspec.convert(values, row_type))
                    except (ValueError, msgspec.ValidationError) as error:
                        yield Issue(NO_ROW, where, f"not a row: {error}", "the columns of this format")
        except (OSError, pyarrow.ArrowException) as error:
            raise error_at(f"{path}: row {number + 1}", f"cannot be read ({str(error).splitlines()[0]})", "a whole Parquet file") from None

    return rows(), file.metadata.num_rows


def _values(batch: Any) -> Iterator[dict[str, Any] | ValueError]:
    """The rows of a batch; a ValueError in place of one that Python cannot represent: text that is not UTF-8, a year beyond 9999."""
    try:
        yield from batch.to_pylist()
    except ValueError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except ValueError as error:
                yield error
