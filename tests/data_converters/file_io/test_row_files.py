"""Files of rows as other people write them: one that cannot be read is a problem in its place, those around it are rows, one at a time."""

from __future__ import annotations

import datetime
import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundswift.data_converters.file_io.row_files import read_rows
from groundswift.data_converters.issues import Issue
from groundswift.errors import GroundswiftError


class Named(msgspec.Struct):
    """A row with a text and something that may be absent."""

    name: str
    more: Any = None


def read(path: Path) -> list[str]:
    """The names of the rows, and what is wrong with those that are none."""
    items, total = read_rows(str(path), Named)
    items = list(items)
    assert total == len(items)
    return [str(each).removeprefix(f"{path}: ") if isinstance(each, Issue) else each.row.name for each in items]


BAD = {
    "NaN": (b'{"name": "b", "more": NaN}', "invalid character (byte 22)"),
    "infinity": (b'{"name": "b", "more": [-Infinity]}', "JSON is malformed"),
    "half a character": (b'{"name": "\\ud83d and more"}', "utf-16 surrogate pair"),
    "a line break in a text": (b'{"name": "b\nc"}', "invalid character"),
    "Latin-1": (b'{"name": "\xe4"}', "'utf-8' codec can't decode byte 0xe4"),
    "another type": (b'{"name": true}', "Expected `str`, got `bool` - at `$.name`"),
    "a missing key": (b"{}", "missing required field `name`"),
    "a number": (b"7", "Expected `object`, got `int`"),
}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf \r\n"], ids=["", "BOM"])
@pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD)
def test_a_bad_row_of_a_json_list(tmp_path, bad, message, mark):
    path = tmp_path / "rows.json"
    path.write_bytes(mark + b'[ {"name": "[a]"},\r\n' + bad + b' , {"name": "\xe7\x8c\xab"}\n]\n')
    first, fault, last = read(path)
    assert (first, last) == ("[a]", "\u732b")
    assert fault.startswith("row 2: not a row: ")
    assert message in fault
    assert fault.endswith("; expected one JSON object")


NO_LISTS = {
    "cut": b'[{"name": "a"}, {"name": NaN',
    "cut behind a comma": b'[{"name": NaN}, ',
    "a comma at the end": b'[{"name": "a"},]',
    "no comma": b'[{"name": NaN} {"name": "a"}]',
    "two lists": b'[{"name": NaN}][]',
    "text behind it": b'[{"name": NaN}] x',
    "deep": b"[" * 100_000,
    "Python's quotes": b"[{'name': 'a'}]",
}


@pytest.mark.parametrize("content", NO_LISTS.values(), ids=NO_LISTS)
def test_no_json_list(tmp_path, content):
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    with pytest.raises(GroundswiftError, match=r"rows\.json: not a JSON list \(.*; expected a list of rows, or one row per line"):
        read(path)


def test_a_json_list_of_many_rows_with_a_broken_one(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{"name": str(number), "more": float("nan") if number == 77 else None} for number in range(1000)]))
    rows = read(path)
    assert rows[:77] + rows[78:] == [str(number) for number in range(1000) if number != 77]
    assert rows[77].startswith("row 78: not a row")


def test_values_of_parquet_that_python_does_not_have(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    offsets = pyarrow.array([0, 1, 3, 4], pyarrow.int32()).buffers()[1]
    names = pyarrow.Array.from_buffers(pyarrow.string(), 3, [None, offsets, pyarrow.py_buffer(b"a\xff\xfeb")])
    parquet.write_table(pyarrow.table({"name": names}), tmp_path / "rows.parquet")
    first, fault, last = read(tmp_path / "rows.parquet")
    assert (first, last) == ("a", "b")
    assert fault.startswith("row 2: not a row: 'utf-8' codec can't decode byte 0xff")
    parquet.write_table(pyarrow.table({"name": [datetime.date(2020, 1, 1)]}), tmp_path / "dates.parquet")
    assert read(tmp_path / "dates.parquet") == [
        "row 1: not a row: Expected `str`, got `date` - at `$.name`; expected the columns of this format"
    ]


def test_two_columns_of_one_name(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["name", "name"])
    parquet.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(GroundswiftError, match=r"rows\.parquet: 2 columns named 'name'; expected one column of each name"):
        read(tmp_path / "rows.parquet")


ROWS, LONG = 20_000, "x" * 1000


class Said(msgspec.Struct):
    number: int
    text: str


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_rows_are_not_held_in_memory(tmp_path, suffix):
    rows = [{"number": number, "text": LONG} for number in range(ROWS)]
    path = tmp_path / f"rows.{suffix}"
    path.write_text(json.dumps(rows) if suffix == "json" else "".join(json.dumps(row) + "\n" for row in rows))
    tracemalloc.start()
    read, total = read_rows(str(path), Said)
    assert total == ROWS
    assert [each.row.number for each in read] == list(range(ROWS))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size * (1.25 if suffix == "json" else 0.25)  # a list is held once, as text
