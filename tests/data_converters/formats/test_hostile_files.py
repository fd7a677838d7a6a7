"""Files that are not what their name says, format by format: told or counted, never a traceback, never half an output."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from converted import lint_findings, run

VOC = (
    "<annotation>\n<filename>{0}.png</filename>\n<size><width>64</width><height>48</height></size>\n<object><name>cat</name><bndbox>"
    "<xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object>\n</annotation>\n"
)
CVAT = '<image id="0" name="{0}.png" width="64" height="48">\n<box label="cat" xtl="1" ytl="2" xbr="20" ybr="30"/>\n</image>\n'
BOX = "{0},/m/1,0.1,0.2,0.3,0.4\n"
CAPTIONS = {
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
    "annotations": [{"id": 1, "image_id": 1, "caption": "A cat."}, {"id": 2, "image_id": 2, "caption": "A dog."}],
}
FORMATS = {  # name -> (what is converted, files of two pictures; the first is spoilt)
    "yolo": ("data.yaml", {"labels/a.txt": "0 0.5 0.5 0.5 0.5\n", "data.yaml": "train: images\nnames: [cat]\n", "labels/b.txt": ""}),
    "yolo data.yaml": ("data.yaml", {"data.yaml": "train: images\nnames: [cat]\n", "labels/a.txt": "", "labels/b.txt": ""}),
    "voc": (".", {"a.xml": VOC.format("images/a"), "b.xml": VOC.format("images/b")}),
    "cvat": ("c.xml", {"c.xml": f"<annotations>\n{CVAT.format('a')}{CVAT.format('b')}</annotations>\n"}),
    "dota": (".", {"a.txt": "gsd:0.1\n1 2 20 2 20 30 1 30 plane 0\n", "b.txt": "1 2 20 2 20 30 1 30 plane 0\n"}),
    "openimages": ("o.csv", {"o.csv": "ImageID,LabelName,XMin,XMax,YMin,YMax\n" + BOX.format("a") + BOX.format("b")}),
    "coco-captions": ("c.json", {"c.json": json.dumps(CAPTIONS, indent=1) + "\n"}),
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
    "a picture": lambda text: b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "a number": lambda text: b"7\n",
    "a list": lambda text: b"[1, 2]\n",
    "deep JSON": lambda text: b"[" * 100_000,
    "deep XML": lambda text: b"<annotation>" * 100_000,
}
READ = ("fine", "BOM and CRLF", "no line break at the end")


@pytest.fixture
def spoilt(tmp_path: Path, draw) -> Callable[[str, Callable[[Path], object]], list[object]]:
    """Write the files of a format, spoil the first -> the arguments that convert it into out.jsonl."""

    def write(name: str, spoil: Callable[[Path], object]) -> list[object]:
        source, files = FORMATS[name]
        root = tmp_path / "source"
        for stem in "ab":
            draw(root / f"images/{stem}.png", (64, 48))
        for file, text in files.items():
            (root / file).parent.mkdir(exist_ok=True)
            (root / file).write_text(text)
        spoil(root / next(iter(files)))
        images = [] if name.startswith("yolo") else ["--images", root if name == "voc" else root / "images"]
        return ["convert", name.split()[0], root / source, *images, "--out", tmp_path / "out.jsonl"]

    return write


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
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


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["a folder", "a link that leads nowhere"])
def test_no_file(spoilt, tmp_path, name, kind):
    def spoil(path: Path) -> None:
        path.unlink()
        path.mkdir() if kind == "a folder" else path.symlink_to("nowhere")

    done = run(*spoilt(name, spoil))
    assert done.exit_code == 1
    assert "; expected " in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
