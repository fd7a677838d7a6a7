"""The YAML list of named sets."""

from __future__ import annotations

import pytest

from groundswift.data_converters.engine.convert import rows_of
from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.named_datasets import read_sets
from groundswift.errors import GroundswiftError

GOOD = """
night_train:
  format: coco
  annotations: night/annotations.json
  images: night/images
  negatives: 200
  on_error: skip
  check_images: false
夜间:
  format: coco
  annotations: /data/a.json
  negatives: drop
"""


@pytest.fixture
def listed(tmp_path):
    def write(text: str):
        path = tmp_path / "sets.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_good_list(listed, tmp_path):
    first = CocoOptions(
        annotations=f"{tmp_path}/night/annotations.json",
        images=f"{tmp_path}/night/images",
        negatives=200,
        on_error="skip",
        check_images=False,
    )
    assert read_sets(listed(GOOD)) == {"night_train": first, "夜间": CocoOptions(annotations="/data/a.json", negatives="drop")}
    assert (first.prompt, first.order, first.seed) == (None, "category", 0)


def test_rows(listed, small, annotate, image_folder):
    annotate(small)
    sets = read_sets(
        listed("some: {format: coco, annotations: annotations.json, images: pictures, order: reading, prompt: 'Find {categories}'}")
    )
    log = IssueLog()
    rows = list(rows_of(sets["some"], log))
    assert [row.sample_id for row in rows] == [11, 12, 13, 15]
    assert rows[0].messages[0].content == "<image>Find cat, dog"
    assert rows[0].objects.ref == ["dog", "dog", "cat", "cat"]
    assert log.counted.counts["image-crowd-only"] == 1


def test_an_old_key_works_with_a_notice(listed, capsys):
    sets = read_sets(listed("some: {format: swift2, annotations: a.jsonl, turned: stored}"))
    assert sets["some"].exif_boxes == "stored"
    assert capsys.readouterr().err == "--turned is now --exif-boxes; the old name will be removed in the next version\n"


def test_a_source_that_is_not_there(listed):
    with pytest.raises(GroundswiftError, match=r"nowhere\.json: cannot be read"):
        list(rows_of(read_sets(listed("some: {format: coco, annotations: nowhere.json}"))["some"], IssueLog()))


BAD = {
    "empty file": ("", "holds no sets"),
    "a list": ("- night", "holds no sets"),
    "a tab": ("a:\n\tformat: coco\n", r"sets\.yaml:2:1: not YAML"),
    "cut": ("a: {format: coco, annotations: 'x", r"sets\.yaml:1:\d+: not YAML"),
    "deep": ("a: " + "[" * 1_000, r"sets\.yaml: not YAML \(maximum recursion depth"),
    "a date of no calendar": ("a: 2024-02-30", r"sets\.yaml: not YAML \(day is out of range for month\)"),
    "aliases of aliases": (
        "a: [&a0 [x], " + "".join(f"&a{n + 1} [{', '.join([f'*a{n}'] * 9)}], " for n in range(5)) + "]",
        r"sets\.yaml: a: got .{1,200}; expected format",
    ),
    "name twice": ("a: {format: coco, annotations: x}\nb: {}\na: {}\n", r"sets\.yaml:3:1: not YAML \(duplicate key 'a'\)"),
    "key twice": ("a:\n  format: coco\n  format: coco\n", r"sets\.yaml:3:3: not YAML \(duplicate key 'format'\)"),
    "no mapping": ("a: night.json", r"sets\.yaml: a: got 'night\.json'; expected format \(coco, "),
    "no format": ("a: {annotations: x}", r"a: format is None; expected coco"),
    "unknown format": ("a: {format: tfrecord, annotations: x}", r"a: format is 'tfrecord'; expected coco"),
    "a list of formats": ("a: {format: [coco], annotations: x}", r"a: format is \['coco'\]; expected coco"),
    "no annotations": ("a: {format: coco}", "a: Object missing required field `annotations`"),
    "unknown key": ("a: {format: coco, annotations: x, image: y}", "a: Object contains unknown field `image`"),
    "wrong option": ("a: {format: coco, annotations: x, order: random}", r"a: Invalid enum value 'random' - at `\$\.order`"),
    "negatives below 0": ("a: {format: coco, annotations: x, negatives: -1}", r"\$\.negatives"),
    "a number for text": ("a: {format: coco, annotations: 3}", "a: Expected `str`, got `int`"),
    "# in the name": ("'a#1': {format: coco, annotations: x}", "a#1: no name for a set"),
    "/ in the name": ("a/b: {format: coco, annotations: x}", "a/b: no name for a set"),
    ": in the name": ("'a:b': {format: coco, annotations: x}", "a:b: no name for a set"),
    "no text in the name": ("'': {format: coco, annotations: x}", "no name for a set"),
    "a number for a name": ("2024: {format: coco, annotations: x}", "2024: no name for a set.*quote numbers"),
    "a path for a name": ("taken: {format: coco, annotations: x}", "taken: a file or folder of this name"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_list(listed, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    path = listed(text)
    with pytest.raises(GroundswiftError, match=message) as stopped:
        read_sets(path)
    assert str(path) in str(stopped.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"], ids=["missing", "not UTF-8"])
def test_unreadable_list(tmp_path, content):
    path = tmp_path / "sets.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GroundswiftError, match=r"sets\.yaml: (cannot be read|not UTF-8)"):
        read_sets(path)
