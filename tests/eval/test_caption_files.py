"""`groundswift eval captions --gt captions_val2017.json`: COCO's file as ground truth, joined by image id."""

from __future__ import annotations

import json

import pytest
from evaluated import call, write_json, write_rows
from test_captions import CAPTIONS, NUMBERS, rows_of
from text_rows import refused, scored, text_row

pytest.importorskip("pycocoevalcap")


def coco(captions=CAPTIONS, **more) -> dict:
    """The captions as COCO has them: images from 100 on, captions from 1000 on."""
    annotations = [{"image_id": 100 + image, "caption": text} for image, (_, texts) in enumerate(captions) for text in texts]
    images = [{"id": 100 + image, "file_name": f"{image}.jpg", "width": 64, "height": 48} for image in range(len(captions))]
    return {"images": images, "annotations": [{"id": 1000 + n} | each for n, each in enumerate(annotations)], **more}


def answers(sample_id=lambda image: 100 + image):
    return [text_row(sample_id(image), answer, question=f"Describe {image}.") for image, (answer, _) in enumerate(CAPTIONS)]


IDS = {
    "image id": lambda image: 100 + image,
    "as text": lambda image: str(100 + image),
    "of convert coco-captions": lambda image: f"{100 + image}/{1000 + [0, 2, 4, 6][image]}",
}


@pytest.mark.parametrize("indent", [None, 1], ids=["one line", "several lines"])
@pytest.mark.parametrize("sample_id", IDS.values(), ids=IDS)
def test_it_is_the_same_as_rows_with_references(tmp_path, sample_id, indent):
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(coco(), indent=indent), encoding="utf-8-sig")
    found, rows = scored("captions", tmp_path, answers(sample_id), "--gt", path), scored("captions", tmp_path, rows_of(CAPTIONS))
    assert {key: found[key] for key in NUMBERS} == pytest.approx({key: rows[key] for key in NUMBERS}, abs=1e-12)
    assert (found["counts"]["references"], found["counts"]["rows_left_out"]) == (7, {})
    assert found["protocol"]["gt"] == "captions of captions.json"
    assert found["protocol"]["join"].startswith("by sample_id: the image id")
    assert [(each["file_name"], len(each["references"])) for each in found["images"]] == [
        (f"{n}.jpg", len(CAPTIONS[n][1])) for n in range(4)
    ]


def test_captions_that_are_equal_count_twice_as_in_pycocoevalcap(tmp_path):
    twice = [(answer, [*texts, texts[0]]) for answer, texts in CAPTIONS]
    found = scored("captions", tmp_path, answers(), "--gt", write_json(tmp_path / "gt.json", coco(twice)))
    assert found["counts"]["references"] == 11


def test_what_has_no_partner_is_counted(tmp_path):
    truth = coco()
    truth["images"].append({"id": 7, "file_name": "7.jpg"})
    rows = [*answers()[1:], answers()[1] | {"response": "another"}, text_row(999, "of no image")]
    found = scored("captions", tmp_path, rows, "--gt", write_json(tmp_path / "gt.json", truth))
    assert found["counts"]["rows_left_out"] == {"truth-missing": 1, "row-duplicate": 1, "question-unknown": 1}
    assert found["counts"]["answers_missing"] == 1
    assert [each["id"] for each in found["warnings"]] == ["answers-missing"]


@pytest.mark.parametrize(
    ("change", "said", "counted"),
    [
        ({"image_id": 5}, "annotations[0]: image_id 5 is not the id of an image of the file", "image-id-unknown"),
        ({"caption": None}, "annotations[0]: no text in `caption`", "truth-invalid"),
        ({"caption": " "}, "annotations[0]: the caption is empty", "truth-empty"),
    ],
)
def test_captions_that_are_none(tmp_path, change, said, counted):
    truth = coco()
    truth["annotations"][0] |= change
    path = write_json(tmp_path / "gt.json", truth)
    assert f"{path}: {said}" in refused("captions", tmp_path, answers(), "--gt", path)
    assert scored("captions", tmp_path, answers(), "--gt", path, "--on-error", "skip")["counts"]["rows_left_out"] == {counted: 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"annotations": []}, "Object missing required field `images`"),
        (coco(annotations=[]), "no image has a caption"),
        (coco(annotations=[{"id": 1, "image_id": 100, "bbox": [1, 2, 3, 4]}]), "annotations[0]: no text in `caption`"),
    ],
)
def test_another_file_is_refused(tmp_path, content, said):
    assert said in refused("captions", tmp_path, answers(), "--gt", write_json(tmp_path / "gt.json", content))


def test_options_of_rows_are_refused(tmp_path):
    path = write_json(tmp_path / "gt.json", coco())
    words = ("captions", write_rows(tmp_path / "r.jsonl", answers()), "--gt", path, "--group-by", "split", "--json")
    assert "--group-by names columns of rows" in call(*words, code=2).stderr
