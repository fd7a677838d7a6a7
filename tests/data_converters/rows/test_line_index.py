"""What mix and split share: rows are copied byte by byte, broken lines stop or are skipped, and a file may not change while it is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import run
from hypothesis import given
from hypothesis import strategies as st
from lint_rows import line

from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.rows import line_index
from groundswift.data_converters.rows.line_index import LineIndex
from groundswift.data_converters.rows.mix import Source, plan_mix
from groundswift.data_converters.rows.split_plan import parts_of, plan_split
from groundswift.errors import GroundswiftError

EARLIER = b"an earlier file\n"
PARTS = ("--parts", "a=1.0", "b=1")
COMMANDS = {  # command -> (words, where it writes)
    "mix": (("mix", "set.jsonl", "--out", "out/a.jsonl"), ["a.jsonl"]),
    "split": (("split", "set.jsonl", *PARTS, "--out", "out"), ["a.jsonl", "b.jsonl"]),
}
PLANS: dict[str, Callable[[], Any]] = {
    "mix": lambda: plan_mix([Source("set.jsonl", Fraction(1))], IssueLog()),
    "split": lambda: plan_split("set.jsonl", parts_of(["a=1", "b=5"]), IssueLog()),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("set.jsonl").write_bytes(b"".join(line(f"a{n}") for n in range(6)))


def written(command: str) -> list[bytes]:
    return sorted(each for name in COMMANDS[command][1] for each in Path("out", name).read_bytes().splitlines(True))


BROKEN = {  # a line, and what is said of it
    "a list": (b"[1]\n", "it holds a list"),
    "a number": (b"1e999999\n", ""),
    "null": (b"null\n", "it holds null"),
    "truncated": (b'{"sample_id": 1', "the file stops in the middle of this line?"),
    "NaN": (b'{"a": NaN}\n', ""),
    "infinity": (b'{"a": -Infinity}\n', ""),
    "gigantic number": (b'{"sample_id": ' + b"9" * 5000 + b"}\n", ""),
    "latin-1": (b'{"a": "\xe9"}\n', ""),
    "UTF-16": ("{}\n".encode("utf-16"), "UTF-16"),
    "half a surrogate pair": (b'{"a": "\\ud800"}\n', ""),
    "too deep": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", ""),
    "old Mac line ends": (b'{"a": 1}\r{"a": 2}\r', ""),
    "a mark in the middle": (b"{}\n\xef\xbb\xbf{}\n", ""),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_stops_or_is_skipped(command, name):
    broken, said = BROKEN[name]
    Path("set.jsonl").write_bytes(line(1) + line(2) + broken)
    Path("out/a.jsonl").write_bytes(EARLIER)
    words = COMMANDS[command][0]
    done = run(*words)
    assert done.exit_code == 1
    assert "set.jsonl:3: " in done.stderr or "set.jsonl:4: " in done.stderr
    assert "not-json" in done.stderr
    assert "list of datasets" not in done.stderr
    assert said in done.stderr
    assert {name: Path("out", name).read_bytes() for name in os.listdir("out")} == {"a.jsonl": EARLIER}
    done = run(*words, "--on-error", "skip", "--dry-run", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["counts"]["not-json"] >= 1


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("content", [b"", b"\n\r\n"], ids=["empty", "blank lines"])
def test_a_file_without_rows(command, content):
    Path("set.jsonl").write_bytes(content)
    done = run(*COMMANDS[command][0])
    assert (done.exit_code, "set.jsonl: no row in it" in done.stderr) == (1, True)
    assert os.listdir("out") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_lines_stay_as_they_are(command):
    """A byte order mark, CRLF, odd blanks and escapes, and a last line without its end."""
    kept = [b'{"images":"a",  "x":"\\u00e9"}\r\n', ' {"images": "b", "x": "é"} \n'.encode(), b'{"b": 1.50, "a": 1e2}']
    Path("set.jsonl").write_bytes(b"\xef\xbb\xbf" + kept[0] + b"\r\n" + kept[1] + b"\n" + kept[2])
    done = run(*COMMANDS[command][0])
    assert written(command) == sorted([*kept[:2], kept[2] + b"\n"])
    assert [each.split()[:2] for each in done.stdout.splitlines() if "line-blank" in each] == [["2", "line-blank:"]]
    assert "set.jsonl:2, set.jsonl:4" in done.stdout


@pytest.mark.process
@pytest.mark.parametrize("command", COMMANDS)
def test_the_seed_decides_and_nothing_else(command):
    Path("set.jsonl").write_bytes(b"".join(line(n) for n in range(300)))

    def made(seed: int, hash_seed: str) -> list[bytes]:
        total = ("--total", "900") if command == "mix" else ()
        words = [sys.executable, "-m", "groundswift.cli", *COMMANDS[command][0], "--seed", str(seed), *total]
        subprocess.run(words, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})
        return Path("out/a.jsonl").read_bytes().splitlines()

    first = made(5, "1")
    assert made(5, "2") == first
    assert made(6, "1") != first


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_by_its_url(command, monkeypatch, tmp_path):
    import fsspec

    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    with fsspec.open("memory://set/s.jsonl", "wb") as file:
        file.write(line("a") + line("b"))
    done = run(*("memory://set/s.jsonl" if word == "set.jsonl" else word for word in COMMANDS[command][0]))
    assert done.exit_code == 0, done.stderr
    assert written(command) == [line("a"), line("b")]


CHANGES: dict[str, tuple[bool, Callable[[], object], str]] = {  # whether a line was read before, the change, what is said
    "emptied": (False, lambda: Path("set.jsonl").write_bytes(b""), "changed"),
    "grown": (False, lambda: Path("set.jsonl").write_bytes(line("c") * 20), "changed"),
    "other": (False, lambda: Path("set.jsonl").write_bytes(line("x0") + line("x1") * 9), "changed"),
    "overwritten in its size": (True, lambda: Path("set.jsonl").write_bytes(b"x" + Path("set.jsonl").read_bytes()[1:]), "changed"),
    "truncated between two lines": (True, lambda: os.truncate("set.jsonl", 5), "became shorter"),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("command", PLANS)
def test_a_file_that_changes_while_it_is_read(command, name):
    begun, change, said = CHANGES[name]
    Path("set.jsonl").write_bytes(b"".join(line(f"a{n}", note="x" * 300_000) for n in range(6)))  # more than is read ahead
    lines = PLANS[command]().lines()
    if begun:
        next(lines)
    change()
    with pytest.raises(GroundswiftError, match=f"set.jsonl: {said} while being read"):
        list(lines)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=30), st.integers(5, 40))
def test_neighbours_of_one_kind_are_copied_together(rows, chunk):
    """(size, gap in front, kind) of each row."""
    index, end = LineIndex("f", Path("f")), 0
    for size, gap, _ in rows:
        index.starts.append(end + gap)
        index.sizes.append(size)
        end += gap + size
    before, line_index.CHUNK = line_index.CHUNK, chunk
    try:
        joined, first = index.joined(np.array([kind for *_, kind in rows]))
    finally:
        line_index.CHUNK = before
    spans = [range(start, start + size) for start, size in zip(joined.starts, joined.sizes, strict=True)]
    of_row = [range(start, start + size) for start, size in zip(index.starts, index.sizes, strict=True)]
    for number, (span, begin) in enumerate(zip(spans, first.tolist(), strict=True)):
        some = slice(begin, first[number + 1] if number + 1 < len(first) else None)
        assert [byte for row in of_row[some] for byte in row] == list(span)
        assert len({kind for *_, kind in rows[some]}) == 1
        assert len(span) < chunk + 9
