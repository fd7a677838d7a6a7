"""Sources at signed addresses of a real web server: they are read as their names say, and the signature is told nowhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from converted import run

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
    """The address of a web server with three files of the same rows."""
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
    assert f"error: {site.replace('me:5ec2e7@', '')}/{name}?...: 2 faults; nothing was written\n" in refused.stderr
    assert f"no file {site.replace('me:5ec2e7@', '')}/no.jpg?...; expected the picture" in refused.stderr  # beside its source
    done = run("convert", "llava", f"{site}/{name}{SIGNATURE}", "--on-error", "skip", "--out", out)
    assert (done.exit_code, done.stdout.count("5ec2e7")) == (0, 0)
    assert [json.loads(line)["sample_id"] for line in out.read_text().splitlines()] == ["train/1"]
    assert "5ec2e7" not in all_text(tmp_path / "cache") + all_text(out.parent)


def test_a_table_at_a_signed_address(site, tmp_path):
    refused = run("convert", "image-text", f"{site}/train.csv{SIGNATURE}", "--out", tmp_path / "out.jsonl")
    assert refused.stderr.count("5ec2e7") == 0
    assert "/train.csv?...:2, image 0 (no.jpg): no file" in refused.stderr
