"""Rows for swift -> a Pascal VOC dataset, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from converted import converted, detection_row, refusal, short, write_lines

from groundswift.data_converters.formats.voc import VocOptions
from groundswift.data_converters.formats.voc_export import ToVocOptions
from groundswift.data_converters.issues import IssueLog

SIZE_WH = (64, 48)
WHOLE = [("dog", [16, 12, 48, 36]), ("cat & co", [0, 0, 64, 48]), ("猫", [63, 47, 64, 48])]
FRACTIONS = [("dog", [16.25, 12.5, 48, 36.125]), ("cat & co", [0, 0, 63.5, 48])]


@pytest.fixture
def rows(tmp_path: Path, draw):
    """Write rows about x/two words.jpg and y/b.png -> their file."""

    def make(*boxes: tuple[str, list[float]]) -> str:
        for name in ("x/two words.jpg", "y/b.png"):
            draw(tmp_path / name, SIZE_WH)
        found = detection_row(*boxes, image="x/two words.jpg"), detection_row(image="y/b.png", sample_id=2)
        return str(write_lines(tmp_path / "rows.jsonl", *found))

    return make


def back(source: str, out: Path, read: dict[str, Any] | None = None, **options: Any) -> tuple[list[Any], dict[str, int]]:
    """(labels and boxes by image after the way there and back, what the way there counts)."""
    log = IssueLog()
    totals = ToVocOptions(annotations=source, **options).write(out, log, progress=False)
    assert (totals.rows, totals.negatives) == (2, 1)
    found, _ = converted(VocOptions(annotations=str(out), order="annotation", **(read or {})), out.parent / f"{out.name}.jsonl")
    assert [short(row)[1:3] for row in found] == [("b.png", SIZE_WH), ("two words.jpg", SIZE_WH)]
    assert short(found[0])[3] == []
    return short(found[1])[3], dict(log.counted.counts)


def test_whole_pixels_come_back_by_both_rules(rows, tmp_path):
    source = rows(*WHOLE)
    assert back(source, tmp_path / "pixels") == (WHOLE, {})
    assert back(source, tmp_path / "split", {"split": "train"}) == (WHOLE, {})
    assert back(source, tmp_path / "edges", {"corners": "edges"}, corners="edges", image_files="copy") == (WHOLE, {})
    text = (tmp_path / "pixels/Annotations/two words.xml").read_text(encoding="utf-8")
    assert "<xmin>17</xmin>" in text
    assert "<xmax>48</xmax>" in text
    assert "<name>cat &amp; co</name>" in text
    assert (tmp_path / "pixels/labels.txt").read_text(encoding="utf-8").splitlines() == ["dog", "cat & co", "猫"]
    assert (tmp_path / "pixels/labelmap.txt").read_text(encoding="utf-8").splitlines()[1:] == ["dog:::", "cat & co:::", "猫:::"]
    assert (tmp_path / "pixels/ImageSets/Main/train.txt").read_text().splitlines() == ["two words", "b"]


def test_fractions_are_kept_by_edges_and_rounded_outwards_by_pixels(rows, tmp_path):
    source = rows(*FRACTIONS)
    assert back(source, tmp_path / "edges", {"corners": "edges"}, corners="edges") == (FRACTIONS, {})
    around = [("dog", [16, 12, 48, 37]), ("cat & co", [0, 0, 64, 48])]
    assert back(source, tmp_path / "pixels") == (around, {"box-rounded": 2})


def test_without_images(rows, tmp_path):
    source = rows(*WHOLE)
    ToVocOptions(annotations=source, image_files="none").write(tmp_path / "out", IssueLog(), progress=False)
    assert not (tmp_path / "out/JPEGImages").exists()
    assert "<filename>two words.jpg</filename>" in (tmp_path / "out/Annotations/two words.xml").read_text()
    found, _ = converted(VocOptions(annotations=str(tmp_path / "out"), images=str(tmp_path)), tmp_path / "out.jsonl")
    assert [row["images"] for row in found] == [[str(tmp_path / "x/two words.jpg")], [str(tmp_path / "y/b.png")]]


@pytest.mark.parametrize("name", ["a\x01b", " dog"])
def test_a_class_that_the_format_cannot_hold_is_refused(rows, tmp_path, name):
    message = refusal(ToVocOptions(annotations=rows((name, [1, 2, 3, 4]))), tmp_path / "out")
    assert "a\\x01b" in message or "class ' dog'; expected a name without control characters" in message
