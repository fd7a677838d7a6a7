"""COCO files with entries that cannot be read: an error with their place, or dropped together with what they would make untrue."""

from __future__ import annotations

import pytest
from converted import converted, refusal

from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.errors import GroundswiftError

BAD = {  # changes of annotation 4, of class dog on plain.jpg with three others
    "no box": ({"bbox": None}, "Expected `array`, got `null` - at `$.bbox`"),
    "a missing box": ({"bbox": ...}, "missing required field `bbox`"),
    "text in a box": ({"bbox": ["5", 5, 10, 10]}, "Expected `float`, got `str` - at `$.bbox[0]`"),
    "a class by name": ({"category_id": "dog"}, "Expected `int`, got `str` - at `$.category_id`"),
    "true for a class": ({"category_id": True}, "Expected `int`, got `bool`"),
    "null for a mark": ({"iscrowd": None}, "Expected `int`, got `null` - at `$.iscrowd`"),
    "text for an id": ({"id": "4"}, "Expected `int | null`, got `str` - at `$.id`"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_an_annotation_that_cannot_be_read_takes_its_image_with_it(small, annotate, image_folder, tmp_path, change, message):
    small["annotations"][3] = {key: value for key, value in (small["annotations"][3] | change).items() if value is not ...}
    options = {"annotations": str(annotate(small)), "images": str(image_folder)}
    refused = refusal(CocoOptions(**options), tmp_path / "out.jsonl")
    assert "1 problem, nothing written" in refused
    assert "annotations.json: annotation entry 3: " in refused
    assert message in refused
    rows, counts = converted(CocoOptions(**options, on_error="skip"), tmp_path / "out.jsonl")
    assert [row["sample_id"] for row in rows] == [12, 13, 15]
    assert counts["annotation-entry-unreadable"] == counts["image-annotation-unreadable"] == 1
    assert counts["annotation-image-skipped"] == 3


@pytest.mark.parametrize("image_id", ["11", None, 11.5, 99])
def test_an_annotation_without_an_image_is_counted_alone(small, annotate, image_folder, tmp_path, image_id):
    small["annotations"][3] |= {"image_id": image_id, "bbox": None}
    options = CocoOptions(annotations=str(annotate(small)), images=str(image_folder), on_error="skip")
    rows, counts = converted(options, tmp_path / "out.jsonl")
    assert [(row["sample_id"], len(row["objects"]["bbox"])) for row in rows] == [(11, 3), (12, 1), (13, 0), (15, 1)]
    assert counts["annotation-entry-unreadable"] == 1


@pytest.mark.parametrize("change", [{"width": "64"}, {"file_name": None}, {"height": 48.5}])
def test_an_image_that_cannot_be_read(small, annotate, image_folder, tmp_path, change):
    small["images"][0] |= change
    options = {"annotations": str(annotate(small)), "images": str(image_folder)}
    assert "annotations.json: image entry 0: Expected" in refusal(CocoOptions(**options), tmp_path / "out.jsonl")
    rows, counts = converted(CocoOptions(**options, on_error="skip"), tmp_path / "out.jsonl")
    assert [row["sample_id"] for row in rows] == [12, 13, 15]
    assert (counts["image-entry-unreadable"], counts["annotation-image-skipped"]) == (1, 4)


def test_problems_are_named_where_nothing_is_left(small, annotate, tmp_path):
    small["images"] = ["a.jpg", "b.jpg"]
    refused = refusal(CocoOptions(annotations=str(annotate(small)), check_images=False), tmp_path / "out.jsonl")
    assert "2  image-entry-unreadable" in refused
    assert "annotations.json: image entry 0: Expected `object`, got `str`; expected id, file_name, width and height" in refused


@pytest.mark.parametrize("change", [{"categories": [{"id": 1}]}, {"images": {}}, {"annotations": None}])
def test_what_is_no_entry_stops(small, annotate, tmp_path, change):
    options = CocoOptions(annotations=str(annotate(small | change)), check_images=False, on_error="skip")
    assert "expected COCO with images, annotations and categories" in refusal(options, tmp_path / "out.jsonl")


def test_the_error_of_the_whole_file_stays(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [')
    with pytest.raises(GroundswiftError, match=r"a\.json:1:13: not JSON"):
        converted(CocoOptions(annotations=str(tmp_path / "a.json"), check_images=False), tmp_path / "out.jsonl")
