"""COCO files: problems named by file and place, and annotations checked one by one."""

import json
import math

import pytest

from groundswift.coco_file import CocoAnnotation, CocoImage, annotation_problem, read_coco, structural_problems
from groundswift.errors import GroundswiftError

GONE = object()
FIELDS = ["image_id", "category_id", "bbox"]


def small() -> dict:
    """A file with nothing wrong in it."""
    return {
        "info": {"year": 2024},
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40, "license": 3},
            {"id": 2, "file_name": "b.jpg", "width": 5, "height": 5},
        ],
        "annotations": [
            {"id": 10, "image_id": 1, "category_id": 7, "bbox": [1, 2, 30.5, 20], "area": 610.0, "iscrowd": 0, "segmentation": [[1, 2]]},
            {"image_id": 1, "category_id": 7, "bbox": [0, 0, 60, 40], "iscrowd": 1},
        ],
        "categories": [{"id": 7, "name": "dog", "supercategory": "animal"}],
    }


def with_value(place: tuple, value: object) -> dict:
    """The file with another value in one place; `GONE` removes it."""
    coco = holder = small()
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    if value is GONE:
        del holder[place[-1]]
    return coco


def written(tmp_path, coco: object) -> str:
    path = tmp_path / "ann.json"
    path.write_bytes(coco if isinstance(coco, bytes) else json.dumps(coco).encode())
    return str(path)


def test_a_file_is_read_without_problems(tmp_path):
    path = written(tmp_path, small())
    coco = read_coco(path)
    assert coco.images[0] == CocoImage(1, "a.jpg", 60, 40)
    assert coco.annotations == [CocoAnnotation(1, 7, [1, 2, 30.5, 20], 10, 610.0, 0), CocoAnnotation(1, 7, [0, 0, 60, 40], iscrowd=1)]
    assert structural_problems(coco, path) == []


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        pytest.param(("images", 0, "id"), "1", r"Expected `int`, got `str` - at `\$\.images\[0\]\.id`", id="image id is text"),
        pytest.param(("images", 1, "width"), None, r"Expected `int`, got `null` - at `\$\.images\[1\]\.width`", id="width is null"),
        pytest.param(("images", 1, "width"), 5.5, r"Expected `int`, got `float` - at `\$\.images\[1\]\.width`", id="width is a fraction"),
        pytest.param(("annotations", 1, "bbox"), "1,2,3,4", r"`array`, got `str` - at `\$\.annotations\[1\]\.bbox`", id="bbox is text"),
        pytest.param(("annotations", 0, "bbox", 2), None, r"got `null` - at `\$\.annotations\[0\]\.bbox\[2\]`", id="null in bbox"),
        pytest.param(("annotations", 0, "bbox", 2), "30", r"at `\$\.annotations\[0\]\.bbox\[2\]`", id="text in bbox"),
        pytest.param(("annotations",), {}, r"Expected `array`, got `object` - at `\$\.annotations`", id="annotations by name"),
        pytest.param(("categories", 0, "name"), 7, r"Expected `str`, got `int` - at `\$\.categories\[0\]\.name`", id="name is a number"),
        pytest.param(("categories",), None, r"at `\$\.categories`", id="categories are null"),
    ],
)
def test_a_wrong_type_is_named_by_its_place(place, value, message, tmp_path):
    path = written(tmp_path, with_value(place, value))
    with pytest.raises(GroundswiftError, match=message) as caught:
        read_coco(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("expected COCO with images, annotations and categories")


@pytest.mark.parametrize("place", [("images",), ("annotations",), ("categories",), *(("annotations", 1, name) for name in FIELDS)], ids=str)
def test_what_is_missing_is_named_by_its_place(place, tmp_path):
    where = rf" - at `\$\.{place[0]}\[{place[1]}\]`" if len(place) > 1 else ""
    with pytest.raises(GroundswiftError, match=f"missing required field `{place[-1]}`{where}"):
        read_coco(written(tmp_path, with_value(place, GONE)))


def test_nan_and_infinity_as_python_writes_them_are_read_so_that_the_box_can_be_named(tmp_path):
    read = read_coco(written(tmp_path, with_value(("annotations", 0, "bbox"), [math.nan, 2, math.inf, 4])))
    assert str(read.annotations[0].bbox) == "[nan, 2.0, inf, 4.0]"
    assert annotation_problem(read.annotations[0], read.images[0], True).id == "box-not-finite"


def test_nan_in_a_file_of_wrong_types_is_named_by_its_place_too(tmp_path):
    with pytest.raises(GroundswiftError, match=r"at `\$\.annotations\[0\]\.bbox\[2\]`"):
        read_coco(written(tmp_path, with_value(("annotations", 0, "bbox"), [math.nan, 2, "3", 4])))


def test_a_byte_order_mark_is_passed_over(tmp_path):
    assert len(read_coco(written(tmp_path, b"\xef\xbb\xbf" + json.dumps(small()).encode())).images) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", r"ann\.json:1:1: not JSON", id="empty file"),
        pytest.param(b"id,name\n1,dog\n", r"ann\.json:1:1: not JSON", id="csv"),
        pytest.param(json.dumps(small(), indent=1).encode()[:200], r"ann\.json:\d+:\d+: not JSON", id="cut"),
        pytest.param(json.dumps(small()).encode() + b"}", r"ann\.json:1:\d+: not JSON \(Extra data\)", id="more behind it"),
        pytest.param(json.dumps(small()).encode().replace(b"dog", b"d\xf6g"), r"ann\.json: not UTF-8 text \(byte \d+\)", id="latin-1"),
        pytest.param(json.dumps(small()).encode("utf-16"), r"ann\.json: not UTF-8 text \(byte 0\)", id="utf-16"),
        *(pytest.param(top, "Expected `object`", id=f"top level {top!r}") for top in (b"[]", b'"text"', b"3", b"null")),
        pytest.param(b'{"info": ' + b"[" * 100_000, r"ann\.json: JSON nested too deep", id="deep"),
    ],
)
def test_an_error_in_json_is_named_by_its_place(data, message, tmp_path):
    with pytest.raises(GroundswiftError, match=message):
        read_coco(written(tmp_path, data))


@pytest.mark.parametrize(("name", "message"), [("gone.json", r"No such file"), (".", r"a folder")])
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(name, message, tmp_path):
    with pytest.raises(GroundswiftError, match=rf"cannot be read \({message}.*; expected a COCO annotation file"):
        read_coco(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda c: c["images"].append(dict(c["images"][0])), "duplicate image id 1", id="image id twice"),
        pytest.param(lambda c: c["annotations"].append(dict(c["annotations"][0])), "duplicate annotation id 10", id="annotation id twice"),
        pytest.param(lambda c: c["categories"].append({"id": 7, "name": "cat"}), "duplicate category id 7", id="category id twice"),
        pytest.param(lambda c: c["categories"].append({"id": 8, "name": "dog"}), "duplicate category name 'dog'", id="name twice"),
        pytest.param(lambda c: c["categories"].append({"id": 8, "name": " "}), "category 8 has an empty name", id="empty name"),
        pytest.param(lambda c: c["images"][1].update(width=0), "image 2 has size 0x5; expected at least 1x1 px", id="no width"),
        pytest.param(lambda c: c["images"][1].update(height=-1), "image 2 has size 5x-1", id="negative height"),
    ],
)
def test_structural_problems_are_collected(change, message, tmp_path):
    coco = small()
    change(coco)
    path = written(tmp_path, coco)
    problems = structural_problems(read_coco(path), path)
    assert len(problems) == 1
    assert f"{path}: " in str(problems[0])
    assert message in str(problems[0])


IMAGE = CocoImage(1, "a.jpg", 60, 40)


@pytest.mark.parametrize(
    ("bbox", "image", "category_known", "problem"),
    [
        ([1, 2, 30, 20], IMAGE, True, None),
        ([-5, -5, 10, 10], IMAGE, True, None),
        ([1, 2, 30], IMAGE, True, "box-length"),
        ([1, 2, -3, 4], IMAGE, True, "box-inverted"),
        ([1, 2, 3, 0], IMAGE, True, "box-empty"),
        ([60, 2, 3, 4], IMAGE, True, "box-outside"),
        ([1, 2, 3, 4], None, True, "image-unknown"),
        ([1, 2, 3, 4], IMAGE, False, "category-unknown"),
        ([1, 2, 3, 4], None, False, "image-unknown"),
    ],
)
def test_an_annotation_that_cannot_be_used_has_an_id(bbox, image, category_known, problem):
    found = annotation_problem(CocoAnnotation(1, 7, bbox), image, category_known)
    assert (found and found.id) == problem


def test_an_annotation_names_itself():
    assert CocoAnnotation(1, 7, [], 12).where() == "annotation 12"
    assert CocoAnnotation(1, 7, [], 0).where() == "annotation 0"
    assert CocoAnnotation(1, 7, []).where() == "an annotation of image 1"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("annotations", 0, "bbox"), [1, "\ud800", 30, 20]),
        (("annotations", 0, "area"), "\ud800"),
        (("images", 0), "\ud800"),
        (("images", 0, "width"), "\udfff"),
    ],
    ids=str,
)
def test_a_lone_surrogate_in_place_of_a_number_is_an_error_of_the_file(tmp_path, place, value):
    with pytest.raises(GroundswiftError, match="ann.json"):
        read_coco(written(tmp_path, with_value(place, value)))


@pytest.mark.parametrize("digits", [310, 401, 4000, 5000])
def test_a_size_of_many_digits_is_an_error_of_the_file(tmp_path, digits):
    text = json.dumps(small()).replace('"width": 60', f'"width": {"9" * digits}').replace('"id": 2,', '"id": 2.0,')
    try:
        problems = structural_problems(read_coco(written(tmp_path, text.encode())), "ann.json")
    except GroundswiftError as error:
        problems = [error]
    assert "ann.json" in str(problems[0])
