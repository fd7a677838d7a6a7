"""Files that are nearly right: one or a few places of a source changed, by its structure, as bytes draw it.

JSON and rows are changed as documents (a value, a key, an element), XML, CSV, YAML and text by their words and lines, everything by its
bytes now and then, and a file may be gone or hold what another does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from fuzz_target import Draws

SCRIPT = "<script>alert(1)</script>"
ODD: list[Any] = [None, True, False, 0, -1, 1.0, 1.5, -0.0, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, float("inf"), float("nan"), ""]
ODD += [" ", "1", "01", "1.5", "nan", "null", "狗", "\u2028", "\x00", "\x1b[31m", "\ud800", "a" * 300, "2024-01-01", SCRIPT, "</script>"]
ODD += ["../../a.jpg", "/a.jpg", "C:\\a.jpg", "a.jpg", ".", "b/", "<image>", "<bbox>", "<ref-object>", "<box>", "http://[", "a\nb", "{}"]
ODD += ["%s", [], [[]], {}, [1, 2], [1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 0, 0], [[1, 2, 3, 4]], ["a"], [None], {"a": 1}, {"": ""}, [1, "a"]]
ODD += [[True]]
WORDS = re.compile(rb"[\w.]+|\s+|[^\w\s]", re.DOTALL)
DEEP = b"[" * 2000
LARGEST = 20_000  # nodes of a document that are looked at
Place = tuple[Any, Any]  # a list or dict, and the index or key of one of its values


def mutated(content: bytes, suffix: str, draws: Draws) -> bytes:
    """One change of a file's content."""
    way = draws.below(8)
    if suffix == ".parquet":  # rows alone: what pyarrow does with broken bytes is not ours
        return content[: draws.up_to(len(content))] if way == 0 else by_table(content, draws)
    if way == 0:
        return by_bytes(content, draws)
    if suffix in (".json", ".jsonl") and way > 1:
        return (by_document if suffix == ".json" else by_row)(content, draws)
    if suffix in (".jpg", ".png", ".p"):
        return by_bytes(content, draws)
    return by_words(content, draws)


def by_bytes(content: bytes, draws: Draws) -> bytes:
    """Cut, flipped, doubled or foreign bytes."""
    start = draws.up_to(len(content))
    end = min(len(content), start + 1 + draws.below(16))
    middle = [b"", content[start:end] * 2, bytes([draws.below(256)]), b"\xff\xfe", b"\x00", b"\xef\xbb\xbf", DEEP][draws.below(7)]
    return content[:start] if draws.below(6) == 0 else content[:start] + middle + content[end:]


def by_document(content: bytes, draws: Draws) -> bytes:
    """A JSON document with one value, key or element changed."""
    try:
        document = [json.loads(content)]
    except (ValueError, RecursionError):
        return by_words(content, draws)
    changed(document, draws)
    return written(document[0] if document else None)


def by_row(content: bytes, draws: Draws) -> bytes:
    """JSON Lines with one row changed, doubled, moved to the end or gone."""
    lines = content.splitlines() or [b"{}"]
    number, way = draws.up_to(len(lines) - 1), draws.below(8)
    line = lines.pop(number)
    if way == 0:
        return b"\n".join(lines) + b"\n"
    lines.insert(len(lines) if way == 1 else number, line if way < 3 else by_document(line, draws))
    if way == 2:
        lines.append(line)
    return b"\n".join(lines) + b"\n" * (way != 3)


def by_table(content: bytes, draws: Draws) -> bytes:
    """A Parquet file with one value of its rows changed; as it is, where no table holds what came out."""
    import io

    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
        changed(rows, draws)
        if not all(isinstance(row, dict) and fits_a_table(row) for row in rows):
            return content
        out = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), out)
        return out.getvalue()
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError, OSError, AttributeError):
        return content


def fits_a_table(value: Any) -> bool:
    """Whether a column of Parquet can hold a value: text that can be encoded, whole numbers of 64 bits, no struct without fields."""
    if isinstance(value, dict):
        return bool(value) and all(isinstance(key, str) and fits_a_table(key) for key in value) and fits_a_table(list(value.values()))
    if isinstance(value, list):
        return all(map(fits_a_table, value))
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)
    return not isinstance(value, int) or abs(value) < 2**62


def by_words(content: bytes, draws: Draws) -> bytes:
    """Text with a word or a line replaced, doubled, moved or gone."""
    lines = draws.below(3) == 0
    pieces = content.splitlines(keepends=True) if lines else WORDS.findall(content)
    if not pieces:
        return odd_text(draws)
    start = draws.up_to(len(pieces) - 1)
    end = min(len(pieces), start + 1 + draws.below(3) * draws.below(4))
    other = pieces[draws.up_to(len(pieces) - 1)]
    middle = [[], pieces[start:end] * 2, [odd_text(draws)], [other], [odd_text(draws), *pieces[start:end]]][draws.below(5)]
    return b"".join(pieces[:start] + middle + pieces[end:])


def odd_text(draws: Draws) -> bytes:
    odd = ODD[draws.below(len(ODD))]
    return (odd if isinstance(odd, str) else str(odd)).encode("utf-8", "surrogatepass")


def written(document: Any) -> bytes:
    return json.dumps(document).encode()  # a lone surrogate as its escape, NaN and Infinity by name


def places_of(document: Any) -> list[Place]:
    """The place of every value."""
    places: list[Place] = []
    waiting = [document]
    while waiting and len(places) < LARGEST:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        waiting += [node[key] for key in keys if isinstance(node[key], (dict, list))]
    return places


def changed(document: list[Any], draws: Draws) -> None:
    """Change one place of a document, held in a list, in place."""
    places = places_of(document)
    if not places:
        return
    node, key = places[draws.up_to(len(places) - 1)]
    value = node[key]
    replace: list[Callable[[], Any]] = [
        lambda: ODD[draws.below(len(ODD))],
        lambda: [value],
        lambda: str(value),
        lambda: float(value) if isinstance(value, int) and abs(value) < 1e9 else -value if isinstance(value, float) else {"a": value},
        lambda: (lambda place: place[0][place[1]])(places[draws.up_to(len(places) - 1)]),
        lambda: value * 2 if isinstance(value, (str, list)) and len(value) < 1000 else value,
    ]
    way = draws.below(len(replace) + 4)
    if way < len(replace):
        node[key] = deepcopy(replace[way]())  # a copy: no circles
    elif way == len(replace):
        del node[key]
    elif isinstance(node, dict):
        del node[key]
        odd = ODD[draws.below(len(ODD))]
        node[odd if isinstance(odd, str) else key.upper() if isinstance(key, str) else str(odd)] = value
    else:
        node.insert(key, value)
