"""The rows of a COCO file, and the errors and counts of everything that becomes none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from groundswift.data_converters.engine.convert import rows_of
from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.prompts import written_name
from groundswift.data_converters.tasks.detection import dropped_negatives
from groundswift.errors import GroundswiftError, Tally
from groundswift.records import Row, encode_row

PROMPT = "<image>Detect every object of these categories: cat, dog."


def converted(path: Path, image_folder: Path | None, **options) -> tuple[list[Row], Tally]:
    options = CocoOptions(annotations=str(path), images=image_folder and str(image_folder), **options)
    log = IssueLog(options.on_error)
    return list(rows_of(options, log)), log.counted


def ids(rows: list[Row]) -> list[int]:
    return [row.sample_id for row in rows]


def test_rows_by_hand(small, image_folder, annotate):
    rows, tally = converted(annotate(small), image_folder)

    def row(sample_id, name, size_wh, ref, bbox):
        answer = "<ref-object><bbox>" * len(ref) or "None"
        return {
            "messages": [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}],
            "images": [f"{image_folder}/{name}"],
            "objects": {"ref": ref, "bbox": bbox, "bbox_type": "real"},
            "sample_id": sample_id,
            "size_wh": size_wh,
            "prompt": "detect.en.1",
        }

    boxes = [[2, 20, 10.5, 26], [10, 20, 18, 26], [5, 5, 15, 15], [30, 5, 40, 15]]
    expected = [
        row(11, "plain.jpg", [64, 48], ["cat", "cat", "dog", "dog"], boxes),
        row(12, "sub/turned.jpg", [40, 60], ["dog"], [[0, 50, 19.5, 60]]),
        row(13, "empty.png", [20, 20], [], []),
        row(15, "mixed.jpg", [20, 20], ["cat"], [[0, 0, 20, 20]]),
    ]
    assert [json.loads(encode_row(each)) for each in rows] == expected
    assert tally.counts == {
        "image-rotated-by-exif": 1,
        "box-clipped": 1,
        "box-clipped-rounding": 1,
        "crowd-skipped": 2,
        "image-crowd-only": 1,
    }
    assert tally.examples["image-crowd-only"] == ["crowd.jpg"]


def with_negatives(small: dict, count: int) -> dict:
    small["images"] += [{"id": 100 + i, "file_name": f"none{i}.jpg", "width": 8, "height": 8} for i in range(count)]
    return small


@pytest.mark.parametrize(("negatives", "kept"), [("keep", 10), ("drop", 0), (0, 0), (3, 3), (10, 10), (99, 10)])
def test_negatives(small, annotate, negatives, kept):
    path = annotate(with_negatives(small, 9))
    rows, tally = converted(path, None, check_images=False, negatives=negatives)
    assert sum(not row.objects.ref for row in rows) == kept
    assert {row.messages[1].content for row in rows if not row.objects.ref} <= {"None"}
    assert tally.counts["image-empty-dropped"] == 10 - kept
    order = [image["id"] for image in small["images"]]
    assert ids(rows) == [each for each in order if each in set(ids(rows))]
    assert {11, 12, 15} <= set(ids(rows))


def test_negatives_are_chosen_by_the_seed_alone():
    choices = {seed: frozenset(dropped_negatives(range(50), 10, seed)) for seed in range(5)}
    assert {len(choice) for choice in choices.values()} == {40}
    assert len(set(choices.values())) == 5
    assert dropped_negatives(range(50), 10, 3) == choices[3]


def test_unchecked_images_are_not_opened(small, annotate):
    rows, tally = converted(annotate(small), Path("/nowhere/at/all"), check_images=False)
    assert rows[1].images == ["/nowhere/at/all/sub/turned.jpg"]
    assert rows[1].size_wh == (40, 60)
    assert "image-rotated-by-exif" not in tally.counts


def test_images_next_to_the_annotations_are_the_default(small, image_folder, annotate):
    path = annotate(small).rename(image_folder / "annotations.json")
    assert converted(path, None)[0][0].images == [str(image_folder / "plain.jpg")]


def test_paths_are_absolute_from_a_relative_folder(small, image_folder, annotate, monkeypatch):
    path = annotate(small)
    monkeypatch.chdir(image_folder.parent)
    assert converted(Path(path.name), Path("pictures"))[0][0].images == [str(image_folder / "plain.jpg")]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(small, image_folder, annotate, draw, orientation):
    """An image stored 60x40 px is 60x40 or, EXIF-rotated, 40x60 px upright; boxes and sizes are those of the upright image."""
    draw(image_folder / "turning.jpg", (60, 40), orientation)
    upright_wh = [40, 60] if orientation >= 5 else [60, 40]
    small["images"] = [{"id": 1, "file_name": "turning.jpg", "width": upright_wh[0], "height": upright_wh[1]}]
    small["annotations"] = []
    rows, tally = converted(annotate(small), image_folder)
    assert rows[0].size_wh == tuple(upright_wh)
    assert tally.counts["image-rotated-by-exif"] == (orientation != 1)
    if orientation >= 5:
        small["images"][0].update(width=60, height=40)
        with pytest.raises(GroundswiftError, match=f"60x40.*40x60.*orientation {orientation}.*stored image, not the upright one"):
            converted(annotate(small), image_folder)


def on_annotation(**fields):
    return lambda coco, _: coco["annotations"][0].update(fields)


def on_image(**fields):
    return lambda coco, _: coco["images"][0].update(fields)


def repeat_annotation_id(coco, _):
    coco["annotations"][3]["id"] = 2  # after the annotation 2 proper


ON_ANNOTATION = {  # name -> (what is spoiled, the id of the problem, part of the error)
    "unknown image": (on_annotation(image_id=99), "image-unknown", "annotation 1: image_id 99;"),
    "unknown category": (on_annotation(category_id=99), "category-unknown", "category_id 99;"),
    "inverted": (on_annotation(bbox=[30, 5, -10, 10]), "box-inverted", "bbox [30.0, 5.0, -10.0, 10.0];"),
    "NaN": (on_annotation(bbox=[30, float("nan"), 1, 1]), "box-not-finite", "bbox [30.0, nan, 1.0, 1.0];"),
    "above the image": (on_annotation(bbox=[30, -10, 10, 10]), "box-outside", "its image of 64x48 px"),
    "three numbers": (on_annotation(bbox=[30, 5, 10]), "box-length", "bbox [30.0, 5.0, 10.0]; expected x, y, width, height"),
    "crowd inverted": (on_annotation(iscrowd=1, bbox=[1, 1, -1, 1]), "box-inverted", "annotation 1 on image 11 (plain.jpg)"),
    "repeated id": (repeat_annotation_id, "annotation-id-repeated", "annotation 2 on image 11: an earlier annotation has this id"),
}
ON_IMAGE = {
    "missing": (lambda _, images: (images / "plain.jpg").unlink(), "image-missing", "image 11 (plain.jpg): "),
    "a folder": (on_image(file_name="sub"), "image-missing", "image 11 (sub): "),
    "truncated header": (lambda _, images: os.truncate(images / "plain.jpg", 30), "image-unreadable", "plain.jpg"),
    "not an image": (lambda _, images: (images / "plain.jpg").write_text("<html>404</html>"), "image-unreadable", "plain.jpg"),
    "other size": (on_image(width=65), "image-size-differs", "65x48"),
    "as stored, no EXIF": (on_image(width=48, height=64), "image-size-differs", "48x64"),
    "parent folder": (on_image(file_name="../plain.jpg"), "image-path-outside", "file_name '../plain.jpg'"),
    "no name": (on_image(file_name=""), "image-path-outside", "file_name ''"),
}


@pytest.mark.parametrize("name", [*ON_ANNOTATION, *ON_IMAGE])
def test_a_problem_stops_or_is_skipped(small, image_folder, annotate, name):
    spoil, id, text = (ON_ANNOTATION | ON_IMAGE)[name]
    spoil(small, image_folder)
    path = annotate(small)
    with pytest.raises(GroundswiftError) as stopped:
        converted(path, image_folder)
    message = str(stopped.value)
    assert message.startswith(f"{path}: 1 problem, nothing written\n")
    assert f"1  {id}: " in message
    assert text in message
    assert "--on-error skip" in message.splitlines()[-1]
    rows, tally = converted(path, image_folder, on_error="skip")
    assert tally.counts[id] == 1
    if name in ON_ANNOTATION:
        assert ids(rows) == [11, 12, 13, 15]
        assert len(rows[0].objects.ref) == 3
        assert tally.examples[id][0].startswith("annotation ")
    else:
        assert ids(rows) == [12, 13, 15]
        assert tally.counts["annotation-image-skipped"] == 4


def test_the_first_of_two_annotations_with_one_id_stays(small, image_folder, annotate):
    small["annotations"][4]["id"] = 2  # the only one of image 12; the first one with id 2 is on image 11
    rows, tally = converted(annotate(small), image_folder, on_error="skip")
    assert [10, 20, 18, 26] in rows[0].objects.bbox
    assert 12 not in ids(rows)  # its annotation went, which does not make it a negative
    assert tally.counts["image-all-skipped"] == 1


def test_annotations_without_ids_are_no_repetition(small, image_folder, annotate):
    for annotation in small["annotations"]:
        del annotation["id"]
    assert ids(converted(annotate(small), image_folder)[0]) == [11, 12, 13, 15]


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize(
    ("part", "row", "text"),
    [
        pytest.param("images", {"id": 11, "file_name": "b.jpg", "width": 1, "height": 1}, "duplicate image id 11", id="image id"),
        pytest.param("categories", {"id": 7, "name": "bird"}, "duplicate category id 7", id="category id"),
        pytest.param("categories", {"id": 8, "name": "cat"}, "duplicate category name 'cat'", id="category name"),
        pytest.param("categories", {"id": 8, "name": " "}, "category 8 has an empty name", id="empty name"),
        pytest.param("categories", {"id": 8, "name": "a <bbox>"}, "holds <bbox>, which swift would replace", id="swift tag"),
        pytest.param("images", None, "0 images and 2 categories; expected at least one of each", id="no image"),
        pytest.param("categories", None, "5 images and 0 categories; expected at least one of each", id="no category"),
    ],
)
def test_an_ambiguous_file_always_stops(small, image_folder, annotate, on_error, part, row, text):
    small[part] = [*small[part], row] if row else []
    with pytest.raises(GroundswiftError, match=text) as stopped:
        converted(annotate(small), image_folder, on_error=on_error)
    assert ("cannot choose between duplicates" in str(stopped.value)) == ("duplicate" in text)


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 9), (9, -1), (2**63, 9), (9, 10**150)])
def test_an_image_of_an_impossible_size_is_a_problem_of_its_own(small, image_folder, annotate, width, height):
    small["images"][0] |= {"width": width, "height": height}
    with pytest.raises(GroundswiftError, match=rf"image-without-size: .*\n *image 11 \(plain.jpg\): size {width}x{height}; expected 1 to "):
        converted(annotate(small), image_folder)
    rows, tally = converted(annotate(small), image_folder, on_error="skip")
    assert [row.sample_id for row in rows] == [12, 13, 15]
    assert (tally.counts["image-without-size"], tally.counts["annotation-image-skipped"]) == (1, 4)


def test_no_row_is_an_error(small, image_folder, annotate):
    small["images"] = small["images"][3:4]
    small["annotations"] = small["annotations"][5:6]
    with pytest.raises(GroundswiftError, match=r"nothing to write: every image was dropped\n.*crowd box"):
        converted(annotate(small), image_folder)


def test_an_image_folder_that_does_not_exist(small, annotate, tmp_path):
    with pytest.raises(GroundswiftError, match="no such folder; expected the image folder"):
        converted(annotate(small), tmp_path / "typo")


NAMES = {
    "plain": ("traffic light", "traffic light"),
    "Chinese": ("红绿灯", "红绿灯"),
    "apostrophe": ("driver's seat", "driver's seat"),
    "comma": ("cup, broken", '"cup, broken"'),
    "quote": ('17" screen', r'"17\" screen"'),
    "newline": ("two\nlines", r'"two\nlines"'),
    "Chinese and comma": ("杯, 破", '"杯, 破"'),
}


@pytest.mark.parametrize(("name", "written"), NAMES.values(), ids=NAMES)
def test_names_in_prompt_and_answer(small, annotate, name, written):
    small["categories"][1]["name"] = name
    rows, _ = converted(annotate(small), None, check_images=False)
    assert written_name(name) == written
    assert rows[0].messages[0].content == f"<image>Detect every object of these categories: cat, {written}."
    assert rows[0].objects.ref == ["cat", "cat", name, name]


def asked(small, annotate, prompt: str, **options) -> list[str]:
    rows, _ = converted(annotate(small), None, check_images=False, prompt=prompt, **options)
    return [row.messages[0].content.removeprefix("<image>") for row in rows]


def test_own_prompts(small, annotate):
    small["categories"][0]["name"] = "猫"
    assert asked(small, annotate, "找出 {categories}。")[0] == "找出 猫, dog。"
    assert asked(small, annotate, 'Answer as {"bbox_2d": [...]}')[0] == 'Answer as {"bbox_2d": [...]}'
    assert asked(small, annotate, "Find {category}!", classes="one", absent=0) == ["Find 猫!", "Find dog!", "Find dog!", "Find 猫!"]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Find {names}.", "unknown field {names}; expected {categories} or no field"),
        (" ", "the prompt is blank; expected a question, with {categories} where it belongs"),
        ("<image>Find {categories}", "holds <image>"),
    ],
)
def test_refused_prompts(small, annotate, prompt, text):
    with pytest.raises(GroundswiftError, match=text):
        asked(small, annotate, prompt)


def questions(rows: list[Row]) -> list[tuple[int, str, list[str]]]:
    return [(row.sample_id, row.messages[0].content.removeprefix("<image>"), row.objects.ref) for row in rows]


def test_one_class_a_question(small, image_folder, annotate):
    """Every class that is there, and one that is not; crowd boxes of a class make it neither."""
    rows, counted = converted(annotate(small), image_folder, classes="one")
    assert questions(rows) == [
        (11, "Detect every cat.", ["cat", "cat"]),
        (11, "Detect every dog.", ["dog", "dog"]),
        (12, "Detect every cat.", []),
        (12, "Detect every dog.", ["dog"]),
        (13, "Detect every cat.", []),
        (15, "Detect every cat.", ["cat"]),
    ]
    assert {row.prompt for row in rows} == {"detect_one.en.1"}
    assert counted.counts["class-crowd-only"] == 1
    assert counted.counts["image-crowd-only"] == 1


def test_absent_classes_are_sampled_by_the_seed(small, annotate):
    small["categories"] += [{"id": 100 + i, "name": f"class {i}"} for i in range(20)]

    def absent(**options) -> list[str]:
        rows, _ = converted(annotate(small), None, check_images=False, classes="one", limit=1, **options)
        return [row.messages[0].content for row in rows if not row.objects.ref]

    assert len(absent(absent=5)) == 5
    assert absent(absent=5) == absent(absent=5)
    assert absent(absent=5) != absent(absent=5, seed=1)
    assert len(absent(absent=99)) == 20


def test_only_present_classes(small, image_folder, annotate):
    rows, counted = converted(annotate(small), image_folder, classes="present")
    assert [question for _, question, _ in questions(rows)] == [
        "Detect every object of these categories: cat, dog.",
        "Detect every object of these categories: dog.",
        "Detect every object of these categories: cat.",
    ]
    assert counted.counts["image-nothing-to-ask"] == 1
