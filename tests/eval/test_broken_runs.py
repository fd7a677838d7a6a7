"""`eval compare` on folders whose files somebody has changed: it says what is wrong or reports, and never ends with a traceback."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
from click.testing import CliRunner

from groundswift.cli import main
from groundswift.eval.run_check import read_run

NUMBERS = (True, 0, -1, 1.5, -1e300, 1e300, 2**63, 10**30)
TEXTS = ("", "text", "\ud800", "a\0b", "../../x", "x" * 5000)
VALUES = (None, *NUMBERS, *TEXTS, [], [[]], ["a"], [1, 2, 3, 4, 5], {}, {"a": {"b": []}})


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """A scored run with everything in it: TP, FN, FP, crowds, curves, counts of all kinds, a warning."""
    folder = tmp_path_factory.mktemp("scored")
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 50} for n in (1, 2)]
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [50, 0, 50, 50], "iscrowd": 1},
    ]
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "gt.json").write_text(json.dumps(coco))
    text = "<|object_ref_start|>{}<|object_ref_end|><|box_start|>({}),({})<|box_end|>"
    answers = [text.format("cat", "100,200", "300,600") + text.format("dog", "0,0", "9,9") + text.format("cat", "900,0", "1200,90")]
    rows = [{"response": answer, "sample_id": number} for number, answer in enumerate([*answers, "nothing at all"], 1)]
    (folder / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["eval", "coco-map", str(folder / "r.jsonl"), "--gt", str(folder / "gt.json"), "--family", "qwen2_vl", "--no-report"]
    assert CliRunner().invoke(main, [*words, "--out", str(folder / "out")]).exit_code == 0
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
    done = CliRunner().invoke(main, ["eval", "compare", str(first), str(second), "--names", "a,b", "--out", str(out)])
    assert done.exception is None or isinstance(done.exception, SystemExit), (second, done.exception)
    assert done.exit_code in (0, 1)
    if done.exit_code == 1:
        assert done.stderr.startswith(f"error: {second}"), done.stderr
        assert len(done.stderr) < 1500
    return done.exit_code


@pytest.mark.long
@pytest.mark.parametrize("value", VALUES, ids=lambda value: json.dumps(value)[:20])
def test_every_value_of_a_run_changed(scored, tmp_path, value):
    """The same change in both files, so that only the value itself can be at fault."""
    run, folder = json.loads((scored / "run.json").read_text()), tmp_path / "changed"
    folder.mkdir()
    (folder / "test_pred.json").write_bytes((scored / "test_pred.json").read_bytes())
    codes = set()
    for path in places(run):
        document = changed(run, path, value)
        (folder / "run.json").write_text(json.dumps(document))
        metrics = document.get("metrics") if isinstance(document, dict) else document
        (folder / "metrics.json").write_text(json.dumps(metrics))
        codes.add(compare(scored, folder, tmp_path / "both"))
    assert 1 in codes


@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
def test_every_value_of_one_file_changed(scored, tmp_path, name):
    """A change in one file alone is never taken, unless it is in what only the other has."""
    document, folder = json.loads((scored / name).read_text()), tmp_path / "changed"
    folder.mkdir()
    for other in ("run.json", "metrics.json", "test_pred.json"):
        (folder / other).write_bytes((scored / other).read_bytes())
    for path in places(document["metrics"] if name == "run.json" else document):
        (folder / name).write_text(json.dumps(changed(document, ("metrics", *path) if name == "run.json" else path, "other")))
        assert compare(scored, folder, tmp_path / "both") == 1, path


@pytest.mark.parametrize("text", [b"", b"{", b"[", b"null", b"\xff\xfe", b"[" * 100_000, b'{"name": NaN}', b"\0" * 10])
@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
def test_what_is_no_document(scored, tmp_path, name, text):
    folder = tmp_path / "changed"
    folder.mkdir()
    for other in ("run.json", "metrics.json", "test_pred.json"):
        (folder / other).write_bytes((scored / other).read_bytes())
    (folder / name).write_bytes(text)
    assert compare(scored, folder, tmp_path / "both") == 1


def test_a_run_of_an_older_version_is_taken(scored, tmp_path):
    run, folder = json.loads((scored / "run.json").read_text()), tmp_path / "older"
    folder.mkdir()
    del run["metrics"]["run"], run["metrics"]["warnings"]
    text = json.dumps(run).replace('"outcome"', '"verdict"')
    for old, new in (("hit", "true_positive"), ("miss", "false_negative"), ("false_alarm", "false_positive")):
        text = text.replace(f'"{new}"', f'"{old}"')
    (folder / "run.json").write_text(text)
    (folder / "metrics.json").write_text(json.dumps(run["metrics"]))
    assert compare(scored, folder, tmp_path / "both") == 0
    assert read_run(folder).images == read_run(scored).images
