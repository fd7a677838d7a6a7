"""`eval compare` on folders whose files somebody has changed: it says what is wrong or reports, and never ends with a traceback."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
from converted import run
from evaluated import call, coco_of, write_json, write_rows

from groundswift.eval.run_check import read_run

NUMBERS = (True, 0, -1, 1.5, -1e300, 1e300, 2**63, 10**30)
TEXTS = ("", "text", "\ud800", "a\0b", "../../x", "x" * 5000)
VALUES = (None, *NUMBERS, *TEXTS, [], [[]], ["a"], [1, 2, 3, 4, 5], {}, {"a": {"b": []}})


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """A scored run with everything in it: TP, FN, FP, crowds, curves, counts of all kinds, a warning."""
    folder = tmp_path_factory.mktemp("scored")
    boxes = [(1, 1, [10, 10, 20, 20]), (1, 1, [50, 0, 50, 50], {"iscrowd": 1})]
    truth = write_json(folder / "gt.json", coco_of((100, 50), boxes, (1, 2)))
    text = "<|object_ref_start|>{}<|object_ref_end|><|box_start|>({}),({})<|box_end|>"
    answers = [text.format("cat", "100,200", "300,600") + text.format("dog", "0,0", "9,9") + text.format("cat", "900,0", "1200,90")]
    rows = [{"response": answer, "sample_id": number} for number, answer in enumerate([*answers, "nothing at all"], 1)]
    result = write_rows(folder / "r.jsonl", rows)
    call("coco-map", result, "--gt", truth, "--family", "qwen2_vl", "--no-report", "--out", folder / "out")
    return folder / "out"


def places(value, path=()):
    """The path of every value in a document, the document itself among them; of a long list its ends."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)) if len(value) < 5 else (0, len(value) - 1):
            yield from places(value[index], (*path, index))


def changed(document, path, value):
    if not path:
        return value
    document = deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document


def compare(first: Path, second: Path, out: Path):
    done = run("eval", "compare", first, second, "--names", "a,b", "--out", out)
    assert done.exit_code in (0, 1)
    if done.exit_code == 1:
        assert done.stderr.startswith(f"error: {second}"), done.stderr
        assert len(done.stderr) < 1500
    return done.exit_code


def copied(scored, folder):
    """The files of a run in a new folder."""
    folder.mkdir()
    for name in ("run.json", "metrics.json", "test_pred.json"):
        (folder / name).write_bytes((scored / name).read_bytes())
    return folder


@pytest.mark.long
@pytest.mark.parametrize("value", VALUES, ids=lambda value: json.dumps(value)[:20])
def test_every_value_of_a_run_changed(scored, tmp_path, value):
    """The same change in both files, so that only the value itself can be the problem."""
    whole, folder = json.loads((scored / "run.json").read_text()), copied(scored, tmp_path / "changed")
    codes = set()
    for path in places(whole):
        document = changed(whole, path, value)
        (folder / "run.json").write_text(json.dumps(document))
        metrics = document.get("metrics") if isinstance(document, dict) else document
        (folder / "metrics.json").write_text(json.dumps(metrics))
        codes.add(compare(scored, folder, tmp_path / "both"))
    assert 1 in codes


@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
def test_every_value_of_one_file_changed(scored, tmp_path, name):
    """A change in one file alone is never taken, unless it is in what only the other has."""
    document, folder = json.loads((scored / name).read_text()), copied(scored, tmp_path / "changed")
    for path in places(document["metrics"] if name == "run.json" else document):
        (folder / name).write_text(json.dumps(changed(document, ("metrics", *path) if name == "run.json" else path, "other")))
        assert compare(scored, folder, tmp_path / "both") == 1, path


@pytest.mark.parametrize("text", [b"", b"{", b"[", b"null", b"\xff\xfe", b"[" * 100_000, b'{"name": NaN}', b"\0" * 10])
@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
def test_what_is_no_document(scored, tmp_path, name, text):
    folder = copied(scored, tmp_path / "changed")
    (folder / name).write_bytes(text)
    assert compare(scored, folder, tmp_path / "both") == 1


def test_a_run_of_an_older_version_is_taken(scored, tmp_path):
    older, folder = json.loads((scored / "run.json").read_text()), copied(scored, tmp_path / "older")
    del older["metrics"]["run"], older["metrics"]["warnings"]
    text = json.dumps(older).replace('"outcome"', '"verdict"')
    for old, new in (("hit", "true_positive"), ("miss", "false_negative"), ("false_alarm", "false_positive")):
        text = text.replace(f'"{new}"', f'"{old}"')
    (folder / "run.json").write_text(text)
    write_json(folder / "metrics.json", older["metrics"])
    assert compare(scored, folder, tmp_path / "both") == 0
    assert read_run(folder).images == read_run(scored).images
