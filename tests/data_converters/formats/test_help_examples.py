"""The example in the help of each format, run as it stands there on a small source of the layout that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from converted import lint_findings, run
from source_examples import example, lay_out

from groundswift.data_converters.registry import FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_the_example_works_as_it_stands(name, tmp_path, monkeypatch):
    lay_out(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    arguments = example(name)
    out = Path(arguments[arguments.index("--out") + 1])
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.partition(" -> ")[2].splitlines()[0] == str(out)
    assert out.exists()
    if FORMATS[name].makes_rows:
        assert lint_findings(out) == {}


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's memory, empty."""
    store = fsspec.filesystem("memory")
    yield store
    store.rm("/", recursive=True)


@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].makes_rows])
def test_the_example_makes_the_same_rows_of_what_lies_at_addresses(name, tmp_path, monkeypatch, store):
    here, there = tmp_path / "here", "memory://there"
    lay_out(name, here)
    store.put(str(here), "/there", recursive=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    arguments = [f"{there}/{each.rstrip('/')}" if Path(each).exists() else each for each in example(name)]
    assert run(*example(name)).exit_code == 0
    out = arguments.index("--out") + 1
    rows = Path(arguments[out]).read_text()
    arguments[out] = str(tmp_path / "out.jsonl")
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    expected = rows.replace(f'"{here}/', f'"{there}/')
    if "--save-pictures" in arguments:  # which are written here, wherever the rows come from
        folder = arguments[arguments.index("--save-pictures") + 1].rstrip("/")
        expected = expected.replace(f'"{there}/{folder}/', f'"{here}/{folder}/')
    assert Path(arguments[out]).read_text() == expected
