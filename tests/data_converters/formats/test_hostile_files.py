"""Files that are not what their name says, format by format: an error or counted, never a traceback, never a partial output."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from converted import lint_findings, run
from label_sources import SOURCES, Item, write_source

CAPTIONS = {
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
    "annotations": [{"id": 1, "image_id": 1, "caption": "A cat."}, {"id": 2, "image_id": 2, "caption": "A dog."}],
}
LABELS = {"a": [Item("cat", "2 3 20 30")], "b": [Item("cat", "2 3 20 30")]}
FILES = {  # name -> the file that is spoilt
    "yolo": "labels/a.txt",
    "yolo data.yaml": "data.yaml",
    "voc": "Annotations/a.xml",
    "cvat": "annotations.xml",
    "dota": "labelTxt/a.txt",
    "openimages": "boxes.csv",
    "coco-captions": "captions.json",
}
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "fine": lambda text: text,
    "BOM and CRLF": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
    "no line break at the end": lambda text: text.rstrip(b"\n"),
    "empty": lambda text: b"",
    "cut": lambda text: text[: len(text) * 2 // 3],
    "gzip": gzip.compress,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "zero bytes behind": lambda text: text + b"\0" * 9,
    "an image": lambda text: b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "a number": lambda text: b"7\n",
    "a list": lambda text: b"[1, 2]\n",
    "deep JSON": lambda text: b"[" * 100_000,
    "deep XML": lambda text: b"<annotation>" * 100_000,
}
READ = ("fine", "BOM and CRLF", "no line break at the end")


@pytest.fixture
def spoilt(tmp_path: Path) -> Callable[[str, Callable[[Path], object]], list[object]]:
    """Write the files of a format, spoil one -> the arguments that convert it into out.jsonl."""

    def write(name: str, spoil: Callable[[Path], object]) -> list[object]:
        kind, root = name.split()[0], tmp_path / "source"
        write_source("yolo" if kind == "coco-captions" else kind, root, LABELS)
        (root / "captions.json").write_text(json.dumps(CAPTIONS, indent=1) + "\n")
        spoil(root / FILES[name])
        images = [] if kind == "yolo" else ["--images", root / "images"]
        return ["convert", kind, root / SOURCES.get(kind, "captions.json"), *images, "--out", tmp_path / "out.jsonl"]

    return write


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_content(spoilt, tmp_path, name, kind):
    arguments = spoilt(name, lambda path: path.write_bytes(KINDS[kind](path.read_bytes())))
    strict, out = run(*arguments), tmp_path / "out.jsonl"
    assert (strict.exit_code == 0) == out.exists()
    if kind in READ:
        assert len(out.read_bytes().splitlines()) == 2, strict.output
    skipping = run(*arguments, "--on-error", "skip", "--json")
    assert {strict.exit_code, skipping.exit_code} <= {0, 1}
    if strict.exit_code == 1:
        assert "; expected " in strict.stderr
    if skipping.exit_code == 0:
        assert lint_findings(out) == {}
        done = json.loads(skipping.stdout)
        assert done["rows"] == 2 or sum(done["counts"].values()) >= 2 - done["rows"]
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "out.jsonl"}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["a folder", "a link that leads nowhere"])
def test_no_file(spoilt, tmp_path, name, kind):
    def spoil(path: Path) -> None:
        path.unlink()
        path.mkdir() if kind == "a folder" else path.symlink_to("nowhere")

    done = run(*spoilt(name, spoil))
    assert done.exit_code == 1
    assert "; expected " in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
