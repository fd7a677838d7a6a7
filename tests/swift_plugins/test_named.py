"""`--dataset NAME#N` reads a source file of the YAML list, in any format, through the converter's own code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rows import read_rows


@pytest.fixture
def listed(plugin, night, monkeypatch):
    """The drawn set under the name `night_set`, registered as register.py does it."""
    from swift.dataset import register_dataset

    from groundswift.swift_plugins.grounding.datasets.named import named_sets

    (night / "sets.yaml").write_text("night_set:\n  format: coco\n  annotations: annotations.json\n  images: images\n", encoding="utf-8")
    monkeypatch.setenv("GROUNDSWIFT_DATASETS", str(night / "sets.yaml"))
    for meta in named_sets():
        register_dataset(meta, exist_ok=True)
    return read_rows(night / "night.jsonl")


def test_a_named_set_has_the_rows_of_the_converter(listed):
    from swift.dataset import load_dataset

    rows, _ = load_dataset(["night_set"], num_proc=1)
    assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in listed]
    assert [row["objects"]["bbox"] for row in rows] == [row["objects"]["bbox"] for row in listed]
    assert [row["size_wh"] for row in rows] == [row["size_wh"] for row in listed]
    assert [row["messages"] for row in rows] == [row["messages"] for row in listed]


def test_a_number_after_the_name_samples(listed):
    from swift.dataset import load_dataset

    rows, rest = load_dataset(["night_set#5"], num_proc=1)
    assert (len(rows), rest) == (5, None)


def test_it_joins_with_a_file_of_rows(listed, night):
    from swift.dataset import load_dataset

    rows, _ = load_dataset(["night_set#3", str(night / "night.jsonl")], num_proc=1)
    assert len(rows) == 3 + len(listed)
    assert None not in rows["sample_id"]


def test_it_splits_off_a_validation_set(listed):
    from swift.dataset import load_dataset

    rows, validation = load_dataset(["night_set"], split_dataset_ratio=0.2, num_proc=1)
    assert len(rows) + len(validation) == len(listed)
    assert len(validation) == 2


def test_no_list_no_sets(plugin, monkeypatch):
    from groundswift.swift_plugins.grounding.datasets.named import named_sets

    monkeypatch.delenv("GROUNDSWIFT_DATASETS", raising=False)
    assert named_sets() == []


OLD = [
    {"query": "Find <ref-object>", "response": "<bbox>", "images": ["a.png"]},
    {"query": "<image><image>Point at <ref-object>", "response": "<bbox><bbox>", "images": ["a.png", "b.png"]},
    {"query": "What happens?", "response": "Nothing.", "videos": ["clip.mp4"]},
    {"query": "Hello", "response": "Hi", "history": [["a", "b"]], "system": "S"},
]


@pytest.fixture
def old_rows(plugin, tmp_path, monkeypatch):
    """Rows of swift 2.x with one picture, several, a video and none, under the name `old_set`; and a set with a fault in it."""
    from PIL import Image
    from swift.dataset import register_dataset

    from groundswift.swift_plugins.grounding.datasets.named import named_sets

    for name in ("a.png", "b.png"):
        Image.new("L", (64, 48)).save(tmp_path / name)
    (tmp_path / "clip.mp4").write_bytes(b"a video")
    boxed = [{"caption": "dog", "bbox": [1, 2, 30, 40], "bbox_type": "real", "image": 0}]
    boxed += [{"caption": "cat", "bbox": [0, 0, 0.5, 1], "bbox_type": "norm_1", "image": 1}]
    rows = [OLD[0] | {"objects": json.dumps(boxed[:1])}, OLD[1] | {"objects": json.dumps(boxed)}, *OLD[2:]]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [rows[3], {"query": "no answer"}]))
    sets = "old_set: {format: swift2, annotations: old.jsonl}\nbad_set: {format: swift2, annotations: bad.jsonl}\n"
    sets += "skipping_set: {format: swift2, annotations: bad.jsonl, on_error: skip}\n"
    (tmp_path / "sets.yaml").write_text(sets)
    monkeypatch.setenv("GROUNDSWIFT_DATASETS", str(tmp_path / "sets.yaml"))
    for meta in named_sets():
        register_dataset(meta, exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("streaming", [False, True])
def test_pictures_videos_and_plain_text_in_one_set(old_rows, streaming):
    from swift.dataset import load_dataset

    rows = list(load_dataset(["old_set"], num_proc=1, streaming=streaming)[0])
    picture = {name: {"bytes": None, "path": str(old_rows / f"{name}.png")} for name in "ab"}
    assert [row["images"] for row in rows] == [[picture["a"]], [picture["a"], picture["b"]], None, None]
    assert [row["videos"] for row in rows] == [None, None, [str(old_rows / "clip.mp4")], None]
    one_image = {"image_id": None} if streaming else {}
    assert rows[0]["objects"] == {"ref": ["dog"], "bbox": [[1, 2, 30, 40]], "bbox_type": "real"} | one_image
    assert rows[1]["objects"] == {"ref": ["dog"], "bbox": [[1, 2, 30, 40], [0, 0, 32, 48]], "bbox_type": "real", "image_id": [0, 1]}
    assert rows[2]["objects"] is rows[3]["objects"] is None
    assert [row["sample_id"] for row in rows] == ["old/1", "old/2", "old/3", "old/4"]
    assert [[turn["role"] for turn in row["messages"]] for row in rows][3] == ["system", "user", "assistant", "user", "assistant"]


def test_it_has_the_columns_of_the_file_that_the_converter_writes(old_rows):
    from click.testing import CliRunner
    from swift.dataset import load_dataset

    from groundswift.cli import main

    out = old_rows / "new.jsonl"
    assert CliRunner().invoke(main, ["convert", "swift2", str(old_rows / "old.jsonl"), "--out", str(out)]).exit_code == 0
    named, written = (load_dataset([name], num_proc=1, load_from_cache_file=False)[0] for name in ("old_set", str(out)))
    assert {name: kind for name, kind in named.features.items() if name != "dataset"} == {
        name: kind for name, kind in written.features.items() if name != "dataset"
    }
    for ours, swifts in zip(named, written, strict=True):
        assert {**ours, "dataset": None} == {**swifts, "dataset": None}


def test_a_faulty_set_stops_plainly_and_leaves_no_file(old_rows):
    from modelscope.hub.utils.utils import get_cache_dir
    from swift.dataset import load_dataset

    from groundswift.errors import GroundswiftError

    with pytest.raises(GroundswiftError, match=r"bad\.jsonl:2: no response, output, conversations or messages"):
        load_dataset(["bad_set"], num_proc=1)
    assert not list(Path(get_cache_dir(), "datasets", "groundswift").glob("bad_set*"))
    assert len(load_dataset(["skipping_set"], num_proc=1)[0]) == 1


def test_a_source_that_changed_is_read_anew(old_rows):
    from swift.dataset import load_dataset

    first = load_dataset(["old_set"], num_proc=1)[0]
    lines = (old_rows / "old.jsonl").read_text().splitlines(keepends=True)
    (old_rows / "old.jsonl").write_text("".join(lines[2:]))
    assert len(load_dataset(["old_set"], num_proc=1)[0]) == 2
    assert len(list(first)) == 4  # it still lies over the file that it was made with


def test_columns_are_renamed_as_asked(old_rows):
    from swift.dataset import load_dataset

    rows, _ = load_dataset(["old_set"], num_proc=1, columns={"sample_id": "label"})
    assert rows["label"][:2] == ["old/1", "old/2"]


MEASURE = """
import json, resource, sys
from groundswift.swift_plugins.grounding.datasets.named import SetLoader
from groundswift.data_converters.formats.swift2.source import Swift2Options

class Loader(SetLoader):
    spec, name = Swift2Options(annotations=sys.argv[1], check_images=False), "large"

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

before = peak_mb()
table = Loader(num_proc=1, remove_unused_columns=False).load()
print(json.dumps([len(table), peak_mb() - before]))
"""


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
