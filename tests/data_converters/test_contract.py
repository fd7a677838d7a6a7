"""What every format does, whoever adds it: its example converts, here and from a store, shared and resumed; it has help; a broken source is
refused in words."""

from __future__ import annotations

import gzip
import inspect
import json
import os
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import fsspec
import msgspec
import numpy as np
import pytest
from converted import lint_findings, run
from source_examples import example, lay_out, out_of
from spoilt import HARMLESS, SPOILT, check_refused

from groundswift.data_converters import formats
from groundswift.data_converters.base import ImageOptions, Options, WholeOptions
from groundswift.data_converters.cli import command_of
from groundswift.data_converters.cli_options import options_of
from groundswift.data_converters.engine.convert import rows_of
from groundswift.data_converters.file_io import mmap_json
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.registry import FORMATS, BuiltIn
from groundswift.errors import GroundswiftError
from groundswift.worker_pool import WorkerPool

ROW_FORMATS = [name for name in FORMATS if FORMATS[name].makes_rows]
SOURCES = [(name, path) for name in FORMATS for path in FORMATS[name].EXAMPLE if Path(path).suffix not in (".jpg", ".png", ".mp4")]
TEXTS = [(name, file) for name, file in SOURCES if Path(file).suffix not in (".p", ".parquet")]
DESCRIPTIONS = "openimages/annotations/class-descriptions-boxable.csv"
BACK = {  # format that has a writer -> (the part of what that makes which is read, options of the reader)
    "coco": ("", ["--images", "images"]),
    "createml": ("", ["--images", "images"]),
    "cvat": ("annotations.xml", []),
    "dota": ("", []),
    "glm4v": ("", ["--images", "."]),
    "kitti": ("", []),
    "label-studio": ("tasks.json", ["--images", "images", "--use", "predictions"]),
    "labelme": ("", []),
    "odvg": ("odvg.jsonl", ["--images", ".", "--label-map", "odvg/label_map.json"]),
    "openimages": ("annotations/train-annotations-bbox.csv", ["--images", "images", "--class-descriptions", DESCRIPTIONS]),
    "paligemma": ("", ["--images", "."]),
    "phi3v": ("", ["--images", "."]),
    "shikra": ("", ["--images", "data/flickr30k_images"]),
    "voc": ("", ["--corners", "pixels"]),
    "yolo": ("", []),
}
BOXES_IN_TEXT = {"glm4v", "phi3v"}


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's memory, empty."""
    store = fsspec.filesystem("memory")
    yield store
    store.rm("/", recursive=True)


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


def test_no_format_is_missing_here():
    """Every class of the folder `formats` that has a name is one of FORMATS, of which the tests below take each."""
    modules = [import_module(each.name) for each in pkgutil.walk_packages(formats.__path__, f"{formats.__name__}.")]
    kinds = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Options)}
    assert {kind.name for kind in kinds if kind.name and kind.__module__.startswith(formats.__name__)} == set(BuiltIn())
    assert set(BACK) == {name.removeprefix("to-") for name in FORMATS if name.startswith("to-")}


@pytest.mark.parametrize("name", BACK)
def test_what_is_written_is_read_as_it_was(name, laid_out):
    """Rows -> the format -> rows: the same image and boxes, but for the grid of what has one."""
    arguments, (part, options) = laid_out(f"to-{name}"), BACK[name]
    for command in (arguments, ["convert", name, out_of(arguments) / part, *options, "--out", "again.jsonl"]):
        done = run(*command)
        assert done.exit_code == 0, done.stderr
    assert lint_findings(Path("again.jsonl")).keys() <= ({"boxes-as-text"} if name in BOXES_IN_TEXT else set())
    for ours, theirs in zip(*(map(json.loads, Path(path).read_text().splitlines()) for path in (arguments[2], "again.jsonl")), strict=True):
        assert [Path(image).name for image in theirs["images"]] == [Path(image).name for image in ours["images"]]
        if name not in BOXES_IN_TEXT:
            assert theirs["objects"]["ref"] in (ours["objects"]["ref"], [])  # Shikra's labels are words of the text
            assert np.allclose(theirs["objects"]["bbox"], ours["objects"]["bbox"], atol=0.01)


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


@pytest.mark.parametrize("name", [name for name in ROW_FORMATS if issubclass(FORMATS[name], ImageOptions)])
def test_images_that_are_not_opened_change_no_box(name, laid_out):
    arguments = laid_out(name)
    assert run(*arguments).exit_code == 0
    out = out_of(arguments)
    boxes = [row.get("objects") for row in map(json.loads, out.read_text().splitlines())]
    out.unlink()
    done = run(*arguments, "--no-check-images")
    assert done.exit_code == 0, done.stderr
    assert [row.get("objects") for row in map(json.loads, out.read_text().splitlines())] == boxes
    out.unlink()
    for image in [path for path in Path.cwd().rglob("*") if path.suffix in (".jpg", ".png")]:
        image.unlink()
    done = run(*arguments, "--no-check-images")
    assert done.exit_code == 0 or (done.exit_code == 1 and done.stderr.startswith("error: ")), done.output


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
        assert "--resume, --workers 2, --engine ray: not available for this format" in refused.stderr
        assert not out_of(arguments).exists()
        if FORMATS[name].open is WholeOptions.open:
            with pytest.raises(GroundswiftError, match=f": format {name} does not make rows"):
                FORMATS[name](annotations=arguments[2]).open(IssueLog(), WorkerPool())
        return
    assert run(*arguments).exit_code == 0
    alone = out_of(arguments).read_bytes()
    assert run(*arguments, "--workers", "2", "--resume").exit_code == 0
    assert out_of(arguments).read_bytes() == alone


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, file in TEXTS if name in ROW_FORMATS])
@pytest.mark.parametrize("kind", HARMLESS)
def test_marks_and_line_ends_change_nothing(name, file, kind, laid_out):
    arguments, path = laid_out(name), Path(file)
    assert run(*arguments).exit_code == 0
    expected = out_of(arguments).read_bytes()
    path.write_bytes(HARMLESS[kind](path.read_bytes()))
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    assert out_of(arguments).read_bytes() == expected


@pytest.mark.long
@pytest.mark.parametrize(("name", "file"), SOURCES)
@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_file_is_read_or_refused_in_words(name, file, kind, laid_out):
    arguments, path = laid_out(name), Path(file)
    content, out = path.read_bytes(), out_of(arguments)
    path.write_bytes(SPOILT[kind](content))
    done = run(*arguments)  # raises where it is a traceback
    assert (done.exit_code == 0) == out.exists()
    if done.exit_code:
        check_refused(done, arguments, path)
        assert run(*arguments, "--on-error", "skip").exit_code in (0, 1)
    if out.is_file() and FORMATS[name].makes_rows:
        assert lint_findings(out) == {}


@pytest.mark.parametrize(("name", "file"), SOURCES)
@pytest.mark.parametrize("kind", ["a folder", "a link that leads nowhere"])
def test_a_file_that_is_not_there_is_refused_in_words(name, file, kind, laid_out):
    arguments, path = laid_out(name), Path(file)
    path.unlink()
    path.mkdir() if kind == "a folder" else path.symlink_to("nowhere")
    check_refused(run(*arguments), arguments, path)
    assert not out_of(arguments).exists()


@pytest.mark.parametrize("name", FORMATS)
def test_an_archive_is_named_as_such(name, laid_out):
    """Tools export zip files, and datasets are published compressed."""
    arguments = laid_out(name)
    for suffix, content, kind in ((".zip", b"PK\x03\x04" + bytes(60), "a zip archive"), (".gz", gzip.compress(b"{}"), "gzip")):
        source = Path(arguments[2] if Path(arguments[2]).is_file() else f"export{suffix}")
        source.write_bytes(content)
        done = run(*arguments[:2], source, *arguments[3:])
        assert (done.exit_code, done.stderr) == (1, f"error: {source}: {kind}; expected what is in it: unpack it first\n")


@pytest.mark.parametrize("change", ["truncated", "touched"])
@pytest.mark.parametrize("name", [name for name in ROW_FORMATS if "." in Path(example(name)[2]).name])
def test_a_source_that_changes_while_it_is_read_is_an_error(name, change, laid_out, monkeypatch):
    """Documents count as larger than the memory: a format that mapped one itself, and not a copy, would end this process (SIGBUS)."""
    monkeypatch.setattr(mmap_json, "memory_bytes", lambda: 16)
    arguments = laid_out(name)
    given = command_of(FORMATS[name]).make_context(name, arguments[2:]).params
    options = FORMATS[name](**{key: given[key] for key in FORMATS[name].__struct_fields__})
    rows = rows_of(options, IssueLog())
    next(rows)
    os.truncate(options.annotations, 0) if change == "truncated" else os.utime(options.annotations, ns=(1, 1))
    with pytest.raises(GroundswiftError, match=f"{Path(options.annotations).name}: changed while being read; expected a file that does"):
        list(rows)
