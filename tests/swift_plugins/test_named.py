"""`--dataset NAME#N` reads a source file of the YAML list, in any format, through the converter's own code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from converted import run
from modelscope.hub.utils.utils import get_cache_dir
from PIL import Image
from rows import read_rows
from swift.dataset import load_dataset
from tiny_run import written

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.grounding.datasets.named import named_sets


@pytest.fixture
def listed(register_sets, night):
    """The drawn set under the name `night_set`."""
    register_sets(night, {"night_set": {"format": "coco", "annotations": "annotations.json", "images": "images"}})
    return read_rows(night / "night.jsonl")


def test_a_named_set_has_the_rows_of_the_converter(listed):
    rows, _ = load_dataset(["night_set"], num_proc=1)
    assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in listed]
    assert [row["objects"]["bbox"] for row in rows] == [row["objects"]["bbox"] for row in listed]
    assert [row["size_wh"] for row in rows] == [row["size_wh"] for row in listed]
    assert [row["messages"] for row in rows] == [row["messages"] for row in listed]


def test_a_number_after_the_name_samples(listed):
    rows, rest = load_dataset(["night_set#5"], num_proc=1)
    assert (len(rows), rest) == (5, None)


def test_it_joins_with_a_file_of_rows(listed, night):
    rows, _ = load_dataset(["night_set#3", str(night / "night.jsonl")], num_proc=1)
    assert len(rows) == 3 + len(listed)
    assert None not in rows["sample_id"]


def test_it_splits_off_a_validation_set(listed):
    rows, validation = load_dataset(["night_set"], split_dataset_ratio=0.2, num_proc=1)
    assert len(rows) + len(validation) == len(listed)
    assert len(validation) == 2


def test_no_list_no_sets(plugin, monkeypatch):
    monkeypatch.delenv("GROUNDSWIFT_DATASETS", raising=False)
    assert named_sets() == []


OLD = [
    {"query": "Find <ref-object>", "response": "<bbox>", "images": ["a.png"]},
    {"query": "<image><image>Point at <ref-object>", "response": "<bbox><bbox>", "images": ["a.png", "b.png"]},
    {"query": "What happens?", "response": "Nothing.", "videos": ["clip.mp4"]},
    {"query": "Hello", "response": "Hi", "history": [["a", "b"]], "system": "S"},
]


@pytest.fixture
def old_rows(register_sets, tmp_path):
    """Rows of swift 2.x with one image, several, a video and none, under the name `old_set`; and a set with a problem in it."""
    for name in ("a.png", "b.png"):
        Image.new("L", (64, 48)).save(tmp_path / name)
    (tmp_path / "clip.mp4").write_bytes(b"a video")
    boxed = [{"caption": "dog", "bbox": [1, 2, 30, 40], "bbox_type": "real", "image": 0}]
    boxed += [{"caption": "cat", "bbox": [0, 0, 0.5, 1], "bbox_type": "norm_1", "image": 1}]
    rows = [OLD[0] | {"objects": json.dumps(boxed[:1])}, OLD[1] | {"objects": json.dumps(boxed)}, *OLD[2:]]
    written(tmp_path / "old.jsonl", rows)
    written(tmp_path / "bad.jsonl", [rows[3], {"query": "no answer"}])
    bad = {"format": "swift2", "annotations": "bad.jsonl"}
    register_sets(tmp_path, {"old_set": bad | {"annotations": "old.jsonl"}, "bad_set": bad, "skipping_set": bad | {"on_error": "skip"}})
    return tmp_path


@pytest.mark.parametrize("streaming", [False, True])
def test_images_videos_and_plain_text_in_one_set(old_rows, streaming):
    rows = list(load_dataset(["old_set"], num_proc=1, streaming=streaming)[0])
    image = {name: {"bytes": None, "path": str(old_rows / f"{name}.png")} for name in "ab"}
    assert [row["images"] for row in rows] == [[image["a"]], [image["a"], image["b"]], None, None]
    assert [row["videos"] for row in rows] == [None, None, [str(old_rows / "clip.mp4")], None]
    one_image = {"image_id": None} if streaming else {}
    assert rows[0]["objects"] == {"ref": ["dog"], "bbox": [[1, 2, 30, 40]], "bbox_type": "real"} | one_image
    assert rows[1]["objects"] == {"ref": ["dog"], "bbox": [[1, 2, 30, 40], [0, 0, 32, 48]], "bbox_type": "real", "image_id": [0, 1]}
    assert rows[2]["objects"] is rows[3]["objects"] is None
    assert [row["sample_id"] for row in rows] == ["old/1", "old/2", "old/3", "old/4"]
    assert [[turn["role"] for turn in row["messages"]] for row in rows][3] == ["system", "user", "assistant", "user", "assistant"]


def test_streams_are_joined_whatever_their_first_rows_hold(register_sets, tmp_path):
    """`datasets` reads types off the first rows: text alone, then boxes in whole numbers, then one with a fraction."""
    boxed = [OLD[0] | {"objects": json.dumps([{"caption": "dog", "bbox": [1, 2, x, 40], "bbox_type": "real"}])} for x in (30, 30.5)]
    written(tmp_path / "old.jsonl", [OLD[3]] * 8 + boxed[:1] * 8 + boxed[1:])
    register_sets(tmp_path, {"stream_set": {"format": "swift2", "annotations": "old.jsonl", "check_images": False}})
    row = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}], "objects": None}
    files = []
    for name, first in (("null", None), ("whole", {"ref": [], "bbox": [[1, 2, 3, 4]]})):
        last = row | {"objects": {"ref": [], "bbox": [[0.5, 2, 3, 4]]}}
        files.append(str(written(tmp_path / f"{name}.jsonl", [row | {"objects": first}] * 8 + [last])))
    for names in (["stream_set"], ["stream_set", *files], [*files, "stream_set"], files[::-1]):
        found = [(each["objects"] or {}).get("bbox") for each in load_dataset(names, streaming=True)[0]]
        expected = {"stream_set": [None] * 8 + [[[1, 2, 30, 40]]] * 8 + [[[1, 2, 30.5, 40]]], files[0]: [None] * 8 + [[[0.5, 2, 3, 4]]]}
        expected[files[1]] = [[[1, 2, 3, 4]]] * 8 + [[[0.5, 2, 3, 4]]]
        assert found == [box for name in names for box in expected[name]], names


def test_it_has_the_columns_of_the_file_that_the_converter_writes(old_rows):
    out = old_rows / "new.jsonl"
    assert run("convert", "swift2", old_rows / "old.jsonl", "--out", out).exit_code == 0
    named, written = (load_dataset([name], num_proc=1, load_from_cache_file=False)[0] for name in ("old_set", str(out)))
    assert {name: kind for name, kind in named.features.items() if name != "dataset"} == {
        name: kind for name, kind in written.features.items() if name != "dataset"
    }
    for ours, swifts in zip(named, written, strict=True):
        assert {**ours, "dataset": None} == {**swifts, "dataset": None}


def test_a_broken_set_stops_plainly_and_leaves_no_file(old_rows):
    with pytest.raises(GroundswiftError, match=r"bad\.jsonl:2: no response, output, conversations or messages"):
        load_dataset(["bad_set"], num_proc=1)
    assert not list(Path(get_cache_dir(), "datasets", "groundswift").glob("bad_set*"))
    assert len(load_dataset(["skipping_set"], num_proc=1)[0]) == 1


def test_a_source_that_changed_is_read_anew(old_rows):
    first = load_dataset(["old_set"], num_proc=1)[0]
    lines = (old_rows / "old.jsonl").read_text().splitlines(keepends=True)
    (old_rows / "old.jsonl").write_text("".join(lines[2:]))
    assert len(load_dataset(["old_set"], num_proc=1)[0]) == 2
    assert len(list(first)) == 4  # it still reads the file that it was made with


def test_columns_are_renamed_as_asked(old_rows):
    rows, _ = load_dataset(["old_set"], num_proc=1, columns={"sample_id": "label"})
    assert rows["label"][:2] == ["old/1", "old/2"]


MEASURE = """
import json, resource, sys
from groundswift.swift_plugins.grounding.datasets.named import SetLoader
from groundswift.data_converters.formats.swift2.source import Swift2Options

class Loader(SetLoader):
    source, name = Swift2Options(annotations=sys.argv[1], check_images=False), "large"

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

before = peak_mb()
table = Loader(num_proc=1, remove_unused_columns=False).load()
print(json.dumps([len(table), peak_mb() - before]))
"""


@pytest.mark.long
def test_a_large_set_does_not_lie_in_memory(tmp_path):
    """60,000 rows of 1 kB each: 60 MB of text, which would be some 300 MB of Python's objects."""
    row = {"query": "Q" * 1000, "response": "A"}
    line = json.dumps(row) + "\n"
    (tmp_path / "large.jsonl").write_text(line * 60_000)
    done = subprocess.run([sys.executable, "-c", MEASURE, tmp_path / "large.jsonl"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, grown_mb = json.loads(done.stdout.splitlines()[-1])
    assert count == 60_000
    assert grown_mb < 60
