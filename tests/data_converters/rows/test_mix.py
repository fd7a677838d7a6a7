"""`groundswift mix`: exact counts, the same rows everywhere, lines untouched, and a file that is whole or not there."""

from __future__ import annotations

import json
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from converted import run
from hypothesis import given
from hypothesis import strategies as st
from lint_rows import line, peak_kib

from groundswift.data_converters.rows.mix import Source, most_without_repeating, permuted, shares, source_of
from groundswift.errors import GroundswiftError

WEIGHTS = st.lists(st.fractions(Fraction(1, 1000), 1000), min_size=1, max_size=6)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_bytes(b"".join(line(f"a{n}") for n in range(6)))
    Path("b.jsonl").write_bytes(b"".join(line(f"b{n}") for n in range(4)))


def lines_of(path: str) -> list[bytes]:
    return Path(path).read_bytes().splitlines(True)


def ids(path: str = "out.jsonl") -> list[Any]:
    return [json.loads(each)["sample_id"] for each in Path(path).read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("text", "path", "weight"),
    [
        ("a.jsonl", "a.jsonl", 1),
        ("a.jsonl:2", "a.jsonl", 2),
        ("a.jsonl:0.5", "a.jsonl", Fraction(1, 2)),
        ("a.jsonl:.1", "a.jsonl", Fraction(1, 10)),
        ("a.jsonl:1e-3", "a.jsonl", Fraction(1, 1000)),
        ("s3://b/a.jsonl", "s3://b/a.jsonl", 1),
        ("s3://b/a.jsonl:2", "s3://b/a.jsonl", 2),
        ("http://host:9000/a.jsonl", "http://host:9000/a.jsonl", 1),
        (r"C:\data\a.jsonl", r"C:\data\a.jsonl", 1),
        (r"C:\data\a.jsonl:3", r"C:\data\a.jsonl", 3),
        ("night:2/a.jsonl", "night:2/a.jsonl", 1),
        ("a:2:3", "a:2", 3),
        ("a.jsonl:", "a.jsonl:", 1),
    ],
)
def test_the_weight_is_the_number_after_the_last_colon(text, path, weight):
    assert source_of(text) == Source(path, weight)


@pytest.mark.parametrize("text", ["a:0", "a:-1", "a:nan", "a:inf", "a:1e999", "a:-0.0", ":2"])
def test_a_weight_that_is_none(text):
    with pytest.raises(GroundswiftError, match="expected (a number above 0|FILE or FILE:WEIGHT)"):
        source_of(text)


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        pytest.param(10, [1, 1, 1], [4, 3, 3], id="equal remainders: the earlier"),
        pytest.param(7, [5, 3, 2], [4, 2, 1], id="3.5, 2.1, 1.4"),
        pytest.param(1, [1, 2, 1], [0, 1, 0], id="one row"),
        pytest.param(3, [Fraction(1, 10)] * 3, [1, 1, 1], id="tenths are exact"),
        pytest.param(100, [1], [100], id="one file"),
    ],
)
def test_shares_by_largest_remainder(total, weights, expected):
    assert shares(total, weights) == expected


@given(st.integers(1, 10**12), WEIGHTS)
def test_shares_add_up_and_are_less_than_a_row_off(total, weights):
    counts = shares(total, weights)
    assert sum(counts) == total
    assert all(abs(count - total * weight / sum(weights)) < 1 for count, weight in zip(counts, weights, strict=True))


@given(st.data())
def test_the_largest_mix_without_repeating_fits(data):
    weights = data.draw(WEIGHTS)
    sizes = data.draw(st.lists(st.integers(1, 10**6), min_size=len(weights), max_size=len(weights)))
    total, first = most_without_repeating(sizes, weights)
    assert all(count <= size for count, size in zip(shares(total, weights), sizes, strict=True))
    assert (total + 1) * weights[first] / sum(weights) > sizes[first]


def test_a_permutation_is_the_same_everywhere():
    """Worked out once: another result on another machine or numpy would be another mix."""
    assert permuted(10, 7, 1).tolist() == [1, 3, 2, 7, 8, 4, 5, 9, 0, 6]
    assert permuted(0, 7).tolist() == []
    assert sorted(permuted(1000, 3).tolist()) == list(range(1000))


def test_a_mix_of_a_given_size():
    done = run("mix", "a.jsonl:2", "b.jsonl:1", "--total", 15, "--seed", 1, "--out", "out.jsonl")
    counts = Counter(ids())
    assert sum(counts.values()) == 15
    assert sum(count for each, count in counts.items() if each[0] == "a") == 10
    assert sorted(count for each, count in counts.items() if each[0] == "a") == [1, 1, 2, 2, 2, 2]  # 6 whole, then 4 of 6
    assert sorted(count for each, count in counts.items() if each[0] == "b") == [1, 1, 1, 2]
    assert done.stdout.splitlines() == [
        "15 rows of 2 files, seed 1 -> out.jsonl",
        "      rows   share    weight          of    repeated  file",
        "        10   66.7%         2           6           4  a.jsonl",
        "         5   33.3%         1           4           1  b.jsonl",
        "a.jsonl has fewer rows than its share: each is taken 1 time, 4 of them once more",
        "b.jsonl has fewer rows than its share: each is taken 1 time, 1 of them once more",
    ]
    assert set(lines_of("out.jsonl")) <= set(lines_of("a.jsonl") + lines_of("b.jsonl"))


def test_a_mix_without_a_size_repeats_nothing_and_says_who_decides():
    done = run("mix", "a.jsonl:1", "b.jsonl:2", "--out", "out.jsonl")
    assert done.stdout.splitlines()[:2] == [
        "6 rows of 2 files, seed 0 -> out.jsonl",
        "no --total: b.jsonl runs out first, and no row is repeated",
    ]
    found = ids()
    assert len(set(found)) == 6
    assert {"b0", "b1", "b2", "b3"} < set(found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["nowhere.jsonl", "--out", "out.jsonl"], "nowhere.jsonl: no such file", id="missing"),
        pytest.param([".", "--out", "out.jsonl"], ".: is a folder or device", id="a folder"),
        pytest.param(["/dev/null", "--out", "out.jsonl"], "/dev/null: is a folder or device", id="a device"),
        pytest.param(["empty.jsonl", "--out", "out.jsonl"], "empty.jsonl: no row in it", id="empty"),
        pytest.param(["a.jsonl", "./a.jsonl:2", "--out", "out.jsonl"], "./a.jsonl: is given twice (a.jsonl)", id="twice"),
        pytest.param(["a.jsonl", "b.jsonl", "--out", "b.jsonl"], "b.jsonl: is an input file", id="onto itself"),
        pytest.param(["a.jsonl", "--out", "link.jsonl"], "link.jsonl: is an input file", id="onto itself by a link"),
        pytest.param(["a.jsonl:0", "--out", "out.jsonl"], "a.jsonl: its weight is 0; expected a number above 0", id="no weight"),
        pytest.param(["a.jsonl", "--out", "nowhere/out.jsonl"], "cannot be written (No such file or directory)", id="no folder"),
        pytest.param(["unknown://a.jsonl:2", "--out", "out.jsonl"], "unknown scheme unknown://", id="unknown scheme"),
    ],
)
def test_what_cannot_be_mixed(arguments, said):
    Path("empty.jsonl").write_bytes(b"\n\n")
    os.link("a.jsonl", "link.jsonl")
    before = {name: Path(name).read_bytes() for name in os.listdir()}
    done = run("mix", *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert {name: Path(name).read_bytes() for name in os.listdir()} == before


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--out", "out.jsonl"], id="no file"),
        pytest.param(["a.jsonl"], id="no --out"),
        pytest.param(["a.jsonl", "--out", "out.jsonl", "--total", 0], id="no row"),
        pytest.param(["a.jsonl", "--out", "out.jsonl", "--total", 10**20], id="gigantic total"),
        pytest.param(["a.jsonl", "--out", "out.jsonl", "--seed", -1], id="seed"),
    ],
)
def test_wrong_use(arguments):
    assert run("mix", *arguments).exit_code == 2
    assert not Path("out.jsonl").exists()


def test_json_and_a_share_of_nothing():
    done = run("mix", "a.jsonl:1000", "b.jsonl:1", "--total", 12, "--dry-run", "--json")
    assert json.loads(done.stdout) == {
        "rows": 12,
        "seed": 0,
        "files": [
            {"path": "a.jsonl", "weight": 1000, "rows": 12, "of": 6, "repeated": 6},
            {"path": "b.jsonl", "weight": 1, "rows": 0, "of": 4, "repeated": 0},
        ],
        "runs_out_first": None,
        "ids_as_text": False,
        "duplicates": 0,
        "duplicate_examples": [],
        "counts": {},
        "out": None,
    }
    assert not Path("out.jsonl").exists()
    assert "b.jsonl gives no row" in run("mix", "a.jsonl:1000", "b.jsonl:1", "--total", 12, "--dry-run").stdout


def test_rows_in_two_files_are_counted():
    Path("a.jsonl").write_bytes(line(1) + line(1, "<image>Where?") + line("1") + line(None) + line(7) + line(7))
    old = json.dumps({"query": "<image>Where?", "response": "x", "images": "a.png", "sample_id": 1}).encode() + b"\n"
    Path("b.jsonl").write_bytes(line(1, images=["other.png"]) + line(None) + line(None, "x") + line(2) + old)
    found = json.loads(run("mix", "a.jsonl", "b.jsonl", "--dry-run", "--json").stdout)
    assert found["duplicates"] == 3
    assert found["duplicate_examples"] == ["a.jsonl: sample_id 1", "a.jsonl: sample_id 1", "a.jsonl: row 4, without sample_id"]
    lines = run("mix", "a.jsonl", "b.jsonl", "--dry-run").stdout.splitlines()
    assert lines[-2] == "       3  samples  (a.jsonl: sample_id 1, a.jsonl: sample_id 1, a.jsonl: row 4, without sample_id)"


def test_negative_ids_are_not_taken_for_each_other():
    Path("a.jsonl").write_bytes(line(-1) + line(-3))
    Path("b.jsonl").write_bytes(line(-2) + line(0))
    assert json.loads(run("mix", "a.jsonl", "b.jsonl", "--dry-run", "--json").stdout)["duplicates"] == 0


@pytest.mark.process
def test_memory_is_that_of_places_not_of_content():
    """70,000 rows more of 4 kB each cost less than 120 bytes each at the peak."""
    peaks = []
    for count in (10_000, 80_000):
        with open("big.jsonl", "wb") as out:
            out.writelines(line(1, note="x" * 4000) for _ in range(count))
        peaks.append(peak_kib("groundswift.data_converters.rows.mix_cli", "mix", "big.jsonl", "--out", "out.jsonl"))
    assert peaks[1] - peaks[0] < 8_400  # KiB
