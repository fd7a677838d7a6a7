"""Large JSON lists in pieces, an element a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

ENCODER = msgspec.json.Encoder()


def list_items(parts: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The elements of parts of a list, with what is between them and before the first; the brackets are the caller's."""
    before = b"\n"
    for part in parts:
        if len(part):
            yield before + ENCODER.encode_lines(part)[:-1].replace(b"\n", b",\n")  # strings in JSON escape their line breaks
            before = b",\n"
