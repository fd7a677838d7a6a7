"""All formats of label files, on the example of each: --coco-out gives the same rows by way of COCO, classes can be given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from converted import run
from source_examples import example, lay_out

NAMES = {"yolo": "cat", "voc": "cat", "cvat": "cat", "dota": "ship", "openimages": "Cat"}  # format -> the class of its example


@pytest.fixture(params=NAMES)
def arguments(request, tmp_path, monkeypatch) -> list[str]:
    """The arguments of a format's example, without its outputs; the working directory holds its source."""
    lay_out(request.param, tmp_path)
    monkeypatch.chdir(tmp_path)
    given = example(request.param)
    for option in ("--out", "--coco-out"):
        if option in given:
            del given[given.index(option) : given.index(option) + 2]
    return given


def rows(arguments: list[str], *more: object) -> bytes:
    done = run(*arguments, "--out", "rows.jsonl", *more)
    assert done.exit_code == 0, done.stderr
    return Path("rows.jsonl").read_bytes()


def test_coco_out_gives_the_same_rows(arguments):
    alone = rows(arguments)
    assert b'"objects":{"ref":["' in alone
    assert rows(arguments, "--coco-out", "truth.json") == alone
    image = Path(json.loads(alone)["images"][0])
    named = Path(json.loads(Path("truth.json").read_bytes())["images"][0]["file_name"])
    folder = image.parents[len(named.parts) - 1]
    again = ["convert", "coco", "truth.json", "--images", str(folder)]
    assert rows([*again, "--classes", "present"] if "--classes" in arguments or "openimages" in arguments else again) == alone


def test_given_classes(arguments):
    name = NAMES[arguments[1]]
    Path("names.txt").write_text(f"{name}\n" if arguments[1] == "yolo" else f"other\n{name}\n")
    assert f'"ref":["{name}"]'.encode() in rows(arguments, "--categories", "names.txt")
    Path("names.txt").write_text("other\nmore\n")
    refused = run(*arguments, "--out", "none.jsonl", "--categories", "names.txt")
    assert (refused.exit_code, Path("none.jsonl").exists()) == (1, False)
    assert refused.stderr.startswith("error: names.txt: ")
