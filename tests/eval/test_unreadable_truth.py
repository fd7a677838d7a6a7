"""A ground truth with entries that cannot be read: with --on-error skip, the evaluator and the converter keep the same images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from converted import run
from evaluated import coco_of, results_of, write_json
from rows import read_rows

ANNOTATION = "annotation-entry-unreadable"
IMAGE = "image-entry-unreadable"
LOST = "annotation-image-skipped"


def truth() -> dict[str, list[dict[str, Any]]]:
    return coco_of((100, 80), [(n, 1, [10 * n, 10, 20, 20]) for n in (1, 2, 3)], (1, 2, 3))


def perfect(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """COCO results that are right by the rows."""
    return [
        {"image_id": row["sample_id"], "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 1}
        for row in rows
        for x1, y1, x2, y2 in row["objects"]["bbox"]
    ]


def scored(folder: Path, content: dict[str, Any], found: list[dict[str, Any]], *words: str) -> Result:
    """The result of `eval coco-map --json`, whatever its exit code."""
    files = write_json(folder / "found.json", found), "--gt", write_json(folder / "gt.json", content)
    return run("eval", "coco-map", "--predictions", *files, "--out", folder / "scored", "--json", *words)


def converted(folder: Path, content: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that the converter makes of a ground truth with --on-error skip."""
    file, out = write_json(folder / "gt.json", content), folder / "rows.jsonl"
    assert run("convert", "coco", file, "--no-check-images", "--on-error", "skip", "--out", out).exit_code == 0
    return read_rows(out)


@pytest.mark.parametrize(
    ("key", "change", "counted", "left"),
    [
        ("annotations", {"bbox": None}, {ANNOTATION: 1, "image-annotation-unreadable": 1}, [1, 3]),
        ("annotations", {"category_id": "cat"}, {ANNOTATION: 1}, [1, 3]),
        ("annotations", {"bbox": ["20", 10, 20, 20]}, {ANNOTATION: 1}, [1, 3]),
        ("annotations", {"iscrowd": None}, {ANNOTATION: 1}, [1, 3]),
        ("annotations", {"image_id": "2"}, {ANNOTATION: 1}, [1, 2, 3]),
        ("images", {"width": "100"}, {IMAGE: 1, LOST: 1}, [1, 3]),
        ("images", {"file_name": 2}, {IMAGE: 1, LOST: 1}, [1, 3]),
        ("images", {"id": None}, {IMAGE: 1}, [1, 3]),
    ],
)
def test_rows_and_ground_truth_hold_the_same_images(tmp_path, key, change, counted, left):
    content = truth()
    content[key][1] |= change
    rows = converted(tmp_path, content)
    assert [row["sample_id"] for row in rows] == left
    refused = scored(tmp_path, content, perfect(rows))
    assert (refused.exit_code, f"$.{key}[1]" in refused.stderr) == (1, True)
    document = json.loads(scored(tmp_path, content, perfect(rows), "--on-error", "skip").stdout)
    assert (document["AP"], document["counts"]["images"]) == (pytest.approx(1), len(left))
    assert counted.items() <= document["counts"]["annotations_left_out"].items()


@pytest.mark.parametrize(
    ("ids", "kept"), [((1, 1, 2, 3), (1, 1, 1)), ((1, 2, 3, 1), (2, 1, 0)), ((7, 7, 8, 7), (1, 1, 0)), ((1, 2, None, None), (2, 1, 1))]
)
def test_the_first_annotation_of_an_id_counts(tmp_path, ids, kept):
    content = truth()
    content["annotations"].insert(1, {"image_id": 1, "category_id": 1, "bbox": [60, 40, 20, 20]})
    content["annotations"] = [row | {"id": number} for row, number in zip(content["annotations"], ids, strict=True)]
    rows = converted(tmp_path, content)
    assert [len(row["objects"]["bbox"]) for row in rows] == [count for count in kept if count]
    assert scored(tmp_path, content, perfect(rows)).exit_code == (len(set(ids) - {None}) < 4 - ids.count(None))
    document = json.loads(scored(tmp_path, content, perfect(rows), "--on-error", "skip").stdout)
    assert document["AP"] == pytest.approx(1)
    assert document["counts"]["annotations_left_out"].get("annotation-id-repeated", 0) == 4 - sum(kept)


def test_no_image_that_can_be_read(tmp_path):
    content = truth()
    content["images"] = ["1.jpg", {"id": "2", "file_name": "2.jpg", "width": 5, "height": 5}]
    done = scored(tmp_path, content, [], "--on-error", "skip")
    assert done.exit_code == 1
    assert "gt.json: none of its images can be read" in done.stderr
    assert f"2  {IMAGE}" in done.stderr


@pytest.mark.parametrize(
    "change",
    [{"image_id": "2"}, {"category_id": "cat"}, {"image_id": True}, {"bbox": ["20", 10, 20, 20]}, {"score": "0.9"}, {"bbox": None}],
)
def test_predictions_of_other_types_are_skipped_and_counted(tmp_path, change):
    found = results_of(truth())
    found[1] |= change
    assert scored(tmp_path, truth(), found).exit_code == 1
    counts = json.loads(scored(tmp_path, truth(), found, "--on-error", "skip").stdout)["counts"]
    reason = "bbox-missing" if change == {"bbox": None} else "prediction-invalid"
    assert (counts["predictions"], counts["predictions_left_out"]) == (2, {reason: 1})
