"""Sources at signed URLs of a real web server: they are read as their names say, and the signature is reported nowhere."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from converted import run
from PIL import Image

from groundswift.data_converters.formats.refcoco.source import name_of

TURNS = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
ROWS = [
    {"conversations": TURNS, "image": None},
    {"conversations": [*TURNS, TURNS[1]], "image": None},
    {"conversations": TURNS, "image": "no.jpg"},
]
SIGNATURE = "?X-Amz-Signature=5ec2e7%2F&X-Amz-Expires=60"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[str]:
    """The URL of a web server with three files of the same rows."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "train.json").write_text(json.dumps(ROWS))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "train.parquet")
    (folder / "train.csv").write_text("image,text\nno.jpg,a dog\n")
    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://me:5ec2e7@127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def all_text(folder: Path) -> str:
    return "".join(str(path) + path.read_bytes().decode(errors="ignore") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["train.jsonl", "train.json", "train.parquet"])
def test_rows_at_a_signed_address(site, tmp_path, name):
    out = tmp_path / "out" / "train.jsonl"
    out.parent.mkdir()
    refused = run("convert", "llava", f"{site}/{name}{SIGNATURE}", "--out", out)
    assert (refused.exit_code, refused.stderr.count("5ec2e7")) == (1, 0)
    assert f"error: {site.replace('me:5ec2e7@', '')}/{name}?...: 2 problems, nothing written\n" in refused.stderr
    assert f"image not found: {site.replace('me:5ec2e7@', '')}/no.jpg?...; expected the image file" in refused.stderr  # beside its source
    done = run("convert", "llava", f"{site}/{name}{SIGNATURE}", "--on-error", "skip", "--out", out)
    assert (done.exit_code, done.stdout.count("5ec2e7")) == (0, 0)
    assert [json.loads(line)["sample_id"] for line in out.read_text().splitlines()] == ["train/1"]
    assert "5ec2e7" not in all_text(tmp_path / "cache") + all_text(out.parent)


def test_a_table_at_a_signed_address(site, tmp_path):
    refused = run("convert", "image-text", f"{site}/train.csv{SIGNATURE}", "--out", tmp_path / "out.jsonl")
    assert refused.stderr.count("5ec2e7") == 0
    assert "/train.csv?...:2, image 0 (no.jpg): image not found" in refused.stderr


@pytest.fixture
def signed(site, tmp_path) -> str:
    """A site where files are next to others: an image next to rows, images and splits next to what names them."""
    folder = tmp_path / "site"
    image = BytesIO()
    Image.new("RGB", (40, 30)).save(image, "PNG")
    (folder / "a.png").write_bytes(image.getvalue())
    said = [{"role": "user", "content": "<image>Find the dog."}, {"role": "assistant", "content": "<ref-object><bbox>"}]
    objects = {"ref": ["dog"], "bbox": [[1, 2, 10, 20]]}
    (folder / "rows.jsonl").write_text(json.dumps({"messages": said, "images": ["a.png"], "objects": objects}))
    asked = {"instruction": "What?", "answer": "That.", "image_ids": ["p"], "rel_ins_ids": []}
    (folder / "DC_instructions.json").write_text(json.dumps({"meta": {}, "data": {"q": asked}}))
    (folder / "DC.json").write_text(json.dumps({"p": base64.b64encode(image.getvalue()).decode()}))
    (folder / "problems.json").write_text(json.dumps({"7": {"question": "?", "choices": ["x", "y"], "answer": 0, "split": "val"}}))
    (folder / "pid_splits.json").write_text(json.dumps({"val": ["7"]}))
    return site


@pytest.mark.parametrize(
    ("verb", "name", "options"),
    [
        ("to-coco", "rows.jsonl", []),
        ("to-yolo", "rows.jsonl", ["--image-files", "copy"]),
        ("otter", "DC_instructions.json", ["--save-images", "frames"]),
        ("otter", "DC_instructions.json", ["--save-images", "frames", "--images", "{site}/DC.json{signature}"]),
        ("scienceqa", "problems.json", ["--split", "val"]),
    ],
)
def test_what_is_next_to_a_signed_url(signed, tmp_path, monkeypatch, verb, name, options):
    monkeypatch.chdir(tmp_path)
    signature = SIGNATURE.replace("%2F", "/")  # as is in order within a query
    given = [each.format(site=signed, signature=signature) for each in options]
    done = run("convert", verb, f"{signed}/{name}{signature}", *given, "--out", "made")
    assert (done.exit_code, done.stderr) == (0, "")
    if verb == "to-yolo":
        assert [path.name for path in sorted((tmp_path / "made").glob("*/*"))] == ["a.png", "a.txt"]


def test_the_name_of_a_dataset_has_no_signature():
    assert name_of("https://host/refer/refcoco?X-Amz-Signature=5ec2e7/") == "refcoco"
