"""What every format does, whoever adds it: its example converts, here and from a store, shared and resumed; it has help; a broken source is
refused in words."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import click
import fsspec
import msgspec
import pytest
from converted import lint_findings, run
from source_examples import example, lay_out

from groundswift.data_converters.base import Options, WholeOptions
from groundswift.data_converters.cli_options import options_of
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.registry import FORMATS
from groundswift.errors import GroundswiftError
from groundswift.worker_pool import WorkerPool

ROW_FORMATS = [name for name in FORMATS if FORMATS[name].makes_rows]
BROKEN = {"empty": b"", "binary": b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "nested too deep": b"[" * 100_000, "zero bytes": b"\0" * 64}


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's memory, empty."""
    store = fsspec.filesystem("memory")
    yield store
    store.rm("/", recursive=True)


@pytest.fixture
def laid_out(tmp_path, monkeypatch):
    """Write the source of a format's example and work in its folder -> the arguments of the example."""

    def write(name: str) -> list[str]:
        lay_out(name, tmp_path)
        monkeypatch.chdir(tmp_path)
        return example(name)

    return write


def out_of(arguments: list[str]) -> Path:
    return Path(arguments[arguments.index("--out") + 1])


@pytest.mark.parametrize("name", FORMATS)
def test_it_describes_itself(name):
    struct = FORMATS[name]
    assert issubclass(struct, Options)
    assert struct.name == name
    assert all((struct.summary, struct.reads, struct.writes, struct.EXAMPLE))
    assert struct.__struct_config__.forbid_unknown_fields
    assert inspect.signature(struct).parameters.keys() == {parameter.name for parameter in options_of(struct)}
    assert [each.name for each in options_of(struct) if isinstance(each, click.Option) and not each.help] == []
    assert msgspec.json.schema(struct)
    done = run("convert", name, "--help")
    assert done.exit_code == 0
    assert f"groundswift convert {name} " in done.stdout.split("Example:")[1]
    assert "--on-error" in done.stdout
    assert ("--resume" in done.stdout) == (not issubclass(struct, WholeOptions))
    assert f"  {name} " in run("convert", "--help").stdout


@pytest.mark.parametrize("name", FORMATS)
def test_the_example_converts_and_says_so_in_counts(name, laid_out):
    arguments = laid_out(name)
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    counts, out = json.loads(done.stdout), out_of(arguments)
    assert counts["rows"] > 0
    assert out.exists()
    if FORMATS[name].makes_rows:
        assert len(out.read_bytes().splitlines()) == counts["rows"]
        assert lint_findings(out) == {}


@pytest.mark.parametrize("name", ROW_FORMATS)
def test_a_store_gives_the_same_rows(name, tmp_path, monkeypatch, store):
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
    if "--save-images" in arguments:  # which are written here, wherever the rows come from
        folder = arguments[arguments.index("--save-images") + 1].rstrip("/")
        expected = expected.replace(f'"{there}/{folder}/', f'"{here}/{folder}/')
    assert Path(arguments[out]).read_text() == expected


@pytest.mark.parametrize("name", FORMATS)
def test_workers_and_resume_give_the_same_bytes_or_are_refused(name, laid_out):
    arguments = laid_out(name)
    if issubclass(FORMATS[name], WholeOptions):
        refused = run(*arguments, "--workers", "2", "--resume", "--engine", "ray")
        assert refused.exit_code == 1
        assert "--resume, --workers 2, --engine ray: not available here" in refused.stderr
        assert not out_of(arguments).exists()
        if FORMATS[name].open is WholeOptions.open:
            with pytest.raises(GroundswiftError, match=f": format {name} does not make rows"):
                FORMATS[name](annotations=arguments[2]).open(IssueLog(), WorkerPool())
        return
    assert run(*arguments).exit_code == 0
    alone = out_of(arguments).read_bytes()
    assert run(*arguments, "--workers", "2", "--resume").exit_code == 0
    assert out_of(arguments).read_bytes() == alone


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_source_is_refused_in_words(name, kind, laid_out):
    arguments = laid_out(name)
    source = Path(arguments[2])
    path = source if source.is_file() else next(each for each in sorted(source.rglob("*")) if each.is_file() and each.suffix != ".jpg")
    path.write_bytes(BROKEN[kind])
    refused = run(*arguments)  # raises where it is a traceback
    assert refused.exit_code in (0, 1)
    if refused.exit_code:
        assert refused.stderr.startswith("error: ")
        assert any(each.name in refused.stderr for each in (source, path))
    assert (refused.exit_code == 0) == out_of(arguments).exists()
