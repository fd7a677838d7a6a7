"""Sources at signed URLs of a real web server: they are read as their names say, and the signature is printed nowhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import source_examples
from converted import run
from web_site import Site, content

from groundswift.data_converters.base import EXAMPLE_IMAGE, EXAMPLE_ROW
from groundswift.data_converters.formats.refcoco.source import name_of

TURNS = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
ROWS = [
    {"conversations": TURNS, "image": None},
    {"conversations": [*TURNS, TURNS[1]], "image": None},
    {"conversations": TURNS, "image": "no.jpg"},
]
SIGNATURE = "?X-Amz-Signature=5ec2e7%2F&X-Amz-Expires=60"


@pytest.fixture
def put(tmp_path, monkeypatch) -> Iterator[Callable[..., str]]:
    """Put files on a web server, in the form that their names say -> its URL."""
    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site()

    def put_files(files: dict[str, Any]) -> str:
        for name, given in files.items():
            source_examples.put(tmp_path / "site" / name, given)
            site.answers[f"/{name}"] = content((tmp_path / "site" / name).read_bytes())
        return site.url.replace("//", "//me:5ec2e7@")

    yield put_files
    site.server.shutdown()


@pytest.fixture
def site(put) -> str:
    """A web server with three files of the same rows."""
    rows = dict.fromkeys(("train.jsonl", "train.json", "train.parquet"), ROWS)
    return put({**rows, "train.csv": "image,text\nno.jpg,a dog\n"})


def all_text(folder: Path) -> str:
    return "".join(str(path) + path.read_bytes().decode(errors="ignore") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["train.jsonl", "train.json", "train.parquet"])
def test_rows_at_a_signed_url(site, tmp_path, name):
    out = tmp_path / "out" / "train.jsonl"
    out.parent.mkdir()
    refused = run("convert", "llava", f"{site}/{name}{SIGNATURE}", "--out", out)
    assert (refused.exit_code, refused.stderr.count("5ec2e7")) == (1, 0)
    assert f"error: {site.replace('me:5ec2e7@', '')}/{name}?...: 2 problems, nothing written\n" in refused.stderr
    assert f"image not found: {site.replace('me:5ec2e7@', '')}/no.jpg?...; expected the image file" in refused.stderr  # next to its source
    done = run("convert", "llava", f"{site}/{name}{SIGNATURE}", "--on-error", "skip", "--out", out)
    assert (done.exit_code, done.stdout.count("5ec2e7")) == (0, 0)
    assert [json.loads(line)["sample_id"] for line in out.read_text().splitlines()] == ["train/1"]
    assert "5ec2e7" not in all_text(tmp_path / "cache") + all_text(out.parent)


def test_a_table_at_a_signed_url(site, tmp_path):
    refused = run("convert", "image-text", f"{site}/train.csv{SIGNATURE}", "--out", tmp_path / "out.jsonl")
    assert refused.stderr.count("5ec2e7") == 0
    assert "/train.csv?...:2, image 0 (no.jpg): image not found" in refused.stderr


@pytest.fixture
def signed(put) -> str:
    """A web server with files next to others: an image next to rows, images and splits next to what names them."""
    asked = {"instruction": "What?", "answer": "That.", "image_ids": ["p"], "rel_ins_ids": []}
    return put(
        {
            "a.png": EXAMPLE_IMAGE,
            "rows.jsonl": [EXAMPLE_ROW | {"images": ["a.png"]}],
            "DC_instructions.json": {"meta": {}, "data": {"q": asked}},
            "DC.json": {"p": base64.b64encode(EXAMPLE_IMAGE).decode()},
            "problems.json": {"7": {"question": "?", "choices": ["x", "y"], "answer": 0, "split": "val"}},
            "pid_splits.json": {"val": ["7"]},
        }
    )


@pytest.mark.parametrize(
    ("target", "name", "options"),
    [
        ("to-coco", "rows.jsonl", []),
        ("to-yolo", "rows.jsonl", ["--image-files", "copy"]),
        ("otter", "DC_instructions.json", ["--save-images", "frames"]),
        ("otter", "DC_instructions.json", ["--save-images", "frames", "--images", "{site}/DC.json{signature}"]),
        ("scienceqa", "problems.json", ["--split", "val"]),
    ],
)
def test_files_next_to_a_signed_url(signed, tmp_path, monkeypatch, target, name, options):
    monkeypatch.chdir(tmp_path)
    signature = SIGNATURE.replace("%2F", "/")  # as is in order within a query
    given = [each.format(site=signed, signature=signature) for each in options]
    done = run("convert", target, f"{signed}/{name}{signature}", *given, "--out", "made")
    assert (done.exit_code, done.stderr) == (0, "")
    if target == "to-yolo":
        assert [path.name for path in sorted((tmp_path / "made").glob("*/*"))] == ["a.png", "a.txt"]


def test_the_name_of_a_dataset_has_no_signature():
    assert name_of("https://host/refer/refcoco?X-Amz-Signature=5ec2e7/") == "refcoco"
