"""Rows for swift -> a Pascal VOC dataset, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from converted import converted, refusal, short

from groundswift.data_converters.formats.voc import VocOptions
from groundswift.data_converters.formats.voc_export import ToVocOptions
from groundswift.data_converters.issues import IssueLog

SIZE_WH = (64, 48)
WHOLE = [("dog", [16, 12, 48, 36]), ("cat & co", [0, 0, 64, 48]), ("猫", [63, 47, 64, 48])]
FRACTIONS = [("dog", [16.25, 12.5, 48, 36.125]), ("cat & co", [0, 0, 63.5, 48])]


def back(source: str, out: Path, read: dict[str, Any] | None = None, **options: Any) -> tuple[list[Any], dict[str, int]]:
    """(labels and boxes by image after the way there and back, what the way there counts)."""
    log = IssueLog()
    totals = ToVocOptions(annotations=source, **options).write(out, log, progress=False)
    assert (totals.rows, totals.negatives) == (2, 1)
    found, _ = converted(VocOptions(annotations=str(out), order="annotation", **(read or {})), out.parent / f"{out.name}.jsonl")
    assert [short(row)[1:3] for row in found] == [("b.png", SIZE_WH), ("two words.jpg", SIZE_WH)]
    assert short(found[0])[3] == []
    return short(found[1])[3], dict(log.counted.counts)


def test_whole_pixels_come_back_by_both_rules(rows_of_two_images, tmp_path):
    source = rows_of_two_images(*WHOLE)
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


def test_fractions_are_kept_by_edges_and_rounded_outwards_by_pixels(rows_of_two_images, tmp_path):
    source = rows_of_two_images(*FRACTIONS)
    assert back(source, tmp_path / "edges", {"corners": "edges"}, corners="edges") == (FRACTIONS, {})
    around = [("dog", [16, 12, 48, 37]), ("cat & co", [0, 0, 64, 48])]
    assert back(source, tmp_path / "pixels") == (around, {"box-rounded": 2})


def test_without_images(rows_of_two_images, tmp_path):
    source = rows_of_two_images(*WHOLE)
    ToVocOptions(annotations=source, image_files="none").write(tmp_path / "out", IssueLog(), progress=False)
    assert not (tmp_path / "out/JPEGImages").exists()
    assert "<filename>two words.jpg</filename>" in (tmp_path / "out/Annotations/two words.xml").read_text()
    found, _ = converted(VocOptions(annotations=str(tmp_path / "out"), images=str(tmp_path)), tmp_path / "out.jsonl")
    assert [row["images"] for row in found] == [[str(tmp_path / "x/two words.jpg")], [str(tmp_path / "y/b.png")]]


@pytest.mark.parametrize("name", ["a\x01b", " dog"])
def test_a_class_that_the_format_cannot_hold_is_refused(rows_of_two_images, tmp_path, name):
    message = refusal(ToVocOptions(annotations=rows_of_two_images((name, [1, 2, 3, 4]))), tmp_path / "out")
    assert "a\\x01b" in message or "class ' dog'; expected a name without control characters" in message
