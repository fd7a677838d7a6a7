"""Visual Genome's regions and objects -> rows, with the oddities that its files have, and everything that may be wrong with them."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from source_examples import put
from talk_fixture import brief, check_problem, error_of, outcome

from groundswift.data_converters.formats.visual_genome import VisualGenomeOptions


def region(region_id: int, image_id: int, x: float, y: float, width: float, height: float, phrase: str) -> dict[str, Any]:
    return {"region_id": region_id, "width": width, "height": height, "image_id": image_id, "phrase": phrase, "y": y, "x": x}


def thing(object_id: int, names: list[str], x: float, y: float, w: float, h: float) -> dict[str, Any]:
    box = {"x": x, "y": y, "w": w, "h": h}
    return {"synsets": [f"{name}.n.01" for name in names], "object_id": object_id, "merged_object_ids": [], "names": names} | box


REGIONS = [
    {
        "id": 1,
        "regions": [
            region(1382, 1, 5, 6, 20, 10, "the clock is green in colour"),
            region(1383, 1, -1, 6, 21, 10, " man  in a\nred shirt"),
            region(1384, 1, 5, 6, 20, 10, "the clock is green in colour"),
            region(1385, 1, 40, 20, 40, 10.5, "a street"),
            region(1386, 1, 1, 1, 4, 4, ""),
        ],
    },
    {"id": 2, "regions": [region(4091, 2, 0, 0, 40, 60, "shade on the street")]},
    {"id": 3, "regions": []},
]
OBJECTS = [
    {
        "image_id": 1,
        "objects": [
            thing(1058549, ["Man"], 30, 20, 10, 10),
            thing(1058534, ["clock"], 5, 6, 20, 10),
            thing(1058508, ["man", "person"], 2, 3, 8, 9),
            thing(1058539, ["clock"], 5, 6, 20, 10),
            thing(1058511, ["sign"], -1, 40, 20, 30),
        ],
        "image_url": "https://cs.stanford.edu/people/rak248/VG_100K_2/1.jpg",
    }
]
SITE = "https://cs.stanford.edu/people/rak248"
IMAGE_DATA = [
    {"width": 64, "url": f"{SITE}/VG_100K_2/1.jpg", "height": 48, "image_id": 1, "coco_id": None, "flickr_id": None},
    {"width": 40, "url": f"{SITE}/VG_100K/2.jpg", "height": 60, "image_id": 2, "coco_id": 5, "flickr_id": 9},
]


@pytest.fixture
def vg(tmp_path) -> Path:
    """The images, one in each of the two folders."""
    for name, size_wh in (("VG_100K_2/1.jpg", (64, 48)), ("VG_100K/2.jpg", (40, 60))):
        path = tmp_path / "vg" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", size_wh, "grey").save(path)
    return tmp_path / "vg"


def write(folder: Path, content: Any, name: str = "source.json") -> Path:
    put(folder / name, content)
    return folder / name


def options_of(source: Path, images: Path, **options: Any) -> VisualGenomeOptions:
    return VisualGenomeOptions(annotations=str(source), images=str(images), **options)


def rows(*arguments: Any, **options: Any) -> tuple[list[dict], dict[str, int]]:
    return outcome(options_of(*arguments, **options))


def test_find_a_region(tmp_path, vg):
    made, counts = rows(write(tmp_path, REGIONS), vg)
    assert made[0] == {
        "messages": [{"role": "user", "content": "<image>Find <ref-object>."}, {"role": "assistant", "content": "<bbox>"}],
        "images": [str(vg / "VG_100K_2/1.jpg")],
        "objects": {"ref": ["the clock is green in colour"], "bbox": [[5, 6, 25, 16]], "bbox_type": "real"},
        "sample_id": "vg/1/1382",
        "size_wh": [64, 48],
        "prompt": "find.en.1",
    }
    assert brief(made[1:]) == [
        ("vg/1/1383", ["man in a red shirt"], [[0, 6, 20, 16]]),
        ("vg/1/1385", ["a street"], [[40, 20, 64, 30.5]]),
        ("vg/2/4091", ["shade on the street"], [[0, 0, 40, 60]]),
    ]
    assert counts == {"phrase-spaces": 1, "box-clipped": 2, "region-repeated": 1, "phrase-blank": 1, "image-without-regions": 1}


def test_describe_a_region(tmp_path, vg):
    made, _ = rows(write(tmp_path, REGIONS), vg, task="describe")
    assert brief(made)[-1] == ("vg/2/4091", "shade on the street", [[0, 0, 40, 60]])


def test_find_all_of_a_name(tmp_path, vg):
    made, counts = rows(write(tmp_path, OBJECTS), vg)
    assert brief(made) == [
        ("vg/1/objects/man", ["Man"], [[2, 3, 10, 12], [30, 20, 40, 30]]),
        ("vg/1/objects/clock", ["clock"], [[5, 6, 25, 16]]),
        ("vg/1/objects/person", ["person"], [[2, 3, 10, 12]]),
        ("vg/1/objects/sign", ["sign"], [[0, 40, 19, 48]]),
    ]
    assert made[0]["messages"][1]["content"] == "<bbox><bbox>"
    assert counts == {"object-repeated": 1, "box-clipped": 1}


def test_describe_an_object(tmp_path, vg):
    made, _ = rows(write(tmp_path, OBJECTS), vg, task="describe")
    assert brief(made) == [
        ("vg/1/object/1058549", "Man", [[30, 20, 40, 30]]),
        ("vg/1/object/1058534", "clock", [[5, 6, 25, 16]]),
        ("vg/1/object/1058508", "man", [[2, 3, 10, 12]]),
        ("vg/1/object/1058511", "sign", [[0, 40, 19, 48]]),
    ]


def test_the_other_names_of_ids(tmp_path, vg):
    """The oldest files say `id` for an object, a region and an image; the newest say `image_id` for an image of regions."""
    old = [{"id": 2, "objects": [{"id": 7, "x": 1, "y": 2, "w": 3, "h": 4, "names": ["shade"]}]}]
    assert brief(rows(write(tmp_path, old), vg, task="describe")[0]) == [("vg/2/object/7", "shade", [[1, 2, 4, 6]])]
    old = [{"id": 2, "regions": [{"id": 7, "image": 2, "x": 1, "y": 2, "width": 3, "height": 4, "phrase": "shade"}]}]
    assert brief(rows(write(tmp_path, old), vg)[0]) == [("vg/2/7", ["shade"], [[1, 2, 4, 6]])]
    new = [{"image_id": 2, "regions": REGIONS[1]["regions"]}]
    assert brief(rows(write(tmp_path, new), vg)[0]) == [("vg/2/4091", ["shade on the street"], [[0, 0, 40, 60]])]


@pytest.mark.parametrize("below", [".", "VG_100K", "VG_100K_2"])
def test_where_an_image_may_be(tmp_path, below):
    path = tmp_path / "images" / below / "2.jpg"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (40, 60)).save(path)
    made, _ = rows(write(tmp_path, REGIONS[1:2]), tmp_path / "images")
    assert (made[0]["images"], made[0]["size_wh"]) == ([str(path.resolve())], [40, 60])


def test_image_data_states_sizes_and_folders(tmp_path, vg):
    data = str(write(tmp_path, IMAGE_DATA, "image_data.json"))
    source = write(tmp_path, REGIONS)
    assert rows(source, vg, image_data=data) == rows(source, vg)
    made, _ = rows(source, tmp_path / "elsewhere", image_data=data, check_images=False)
    assert [(Path(row["images"][0]).parts[-2:], row["size_wh"]) for row in made[2:]] == [
        (("VG_100K_2", "1.jpg"), [64, 48]),
        (("VG_100K", "2.jpg"), [40, 60]),
    ]


def test_without_any_size(tmp_path):
    made, _ = rows(write(tmp_path, REGIONS), tmp_path / "elsewhere", check_images=False)
    assert (made[2]["objects"]["bbox"], made[2].get("size_wh")) == ([[40, 20, 80, 30.5]], None)
    assert made[2]["images"] == [str(tmp_path / "elsewhere/1.jpg")]


def with_region(**values: Any) -> list[dict]:
    copy = deepcopy(REGIONS)
    copy[0]["regions"][0] |= values
    return [{**copy[0], "regions": [{key: value for key, value in copy[0]["regions"][0].items() if value is not Ellipsis}]}, copy[1]]


TWICE = [{"id": 1, "regions": [region(7, 1, 1, 2, 3, 4, "a"), region(7, 1, 5, 6, 7, 8, "b")]}, REGIONS[1]]
PROBLEMS = {  # what is broken -> (content, reason, place, what)
    "a region without a phrase": (with_region(phrase=...), "entry-unreadable", "region 0 of image 1", "missing required field `phrase`"),
    "a wrong type": (with_region(x="5"), "entry-unreadable", "region 0 of image 1", "Expected `float`, got `str` - at `$.x`"),
    "a region without id": (with_region(region_id=...), "region-id-invalid", "region 0 of image 1", "region_id None"),
    "another image": (with_region(image_id=2), "region-other-image", "region 1382 of image 1", "image_id 2; expected image_id 1"),
    "an inverted box": (with_region(width=-3), "box-inverted", "region 1382 of image 1", "x1 below x2"),
    "a box outside": (with_region(x=64), "box-outside", "region 1382 of image 1", "64x48 px"),
    "gigantic numbers": (with_region(x=1e308, width=1e308), "box-not-finite", "region 1382 of image 1", "finite numbers"),
    "a tag of swift": (with_region(phrase="a <image>"), "text-tag", "region 1382 of image 1", "holds <image>"),
    "a control character": (with_region(phrase="a \0 b"), "text-control-character", "region 1382 of image 1", r"holds '\x00'"),
    "an entry that is not an image": ([[], REGIONS[1]], "entry-unreadable", "source.json: entry 1", "Expected `object`, got `array`"),
    "an image without id": ([{"regions": [{}]}, REGIONS[1]], "image-unreadable", "source.json: entry 1", "no image_id"),
    "neither regions nor objects": ([{"id": 1}, REGIONS[1]], "image-unreadable", "entry 1 (image 1)", "not one of regions and objects"),
    "regions and objects": ([REGIONS[0] | {"objects": []}, REGIONS[1]], "image-unreadable", "entry 1 (image 1)", "not one of"),
    "a repeated image": ([REGIONS[1], REGIONS[1]], "image-id-repeated", "source.json: entry 2", "duplicate image id 2"),
    "no image": ([{"id": 9, "regions": REGIONS[0]["regions"]}, REGIONS[1]], "image-missing", "entry 1 (image 9)", "/9.jpg"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_stops_or_is_skipped_and_counted(tmp_path, vg, name):
    content, reason, place, what = PROBLEMS[name]
    source = write(tmp_path, content)
    check_problem(options_of(source, vg), reason, place, what, left=1)


def test_a_region_id_twice(tmp_path, vg):
    source = write(tmp_path, TWICE)
    assert re.search("region 1 of image 1: region_id 7; expected each id once", error_of(options_of(source, vg)))
    assert [row["sample_id"] for row in rows(source, vg, on_error="skip")[0]] == ["vg/1/7", "vg/2/4091"]


@pytest.mark.parametrize(
    ("objects", "text"),
    [
        pytest.param([thing(1, ["a"], 1, 2, 3, 4)] * 2, "object 1 of image 1: object_id 1; expected each id once", id="twice"),
        pytest.param(
            [thing(1, ["a"], 1, 2, 3, 4), {"names": ["b"], "x": 1, "y": 2, "w": 3, "h": 4}],
            "object 1 of image 1: object_id None; expected each id once",
            id="absent",
        ),
        pytest.param(
            [thing(1, ["a"], 1, 2, 3, 4), thing(2, "b", 1, 2, 3, 4)], "object 1 of image 1: Expected `array`, got `str`", id="names"
        ),
    ],
)
def test_objects_with_problems(tmp_path, vg, objects, text):
    source = write(tmp_path, [{"image_id": 1, "objects": objects}])
    assert text in error_of(options_of(source, vg))
    assert brief(rows(source, vg, on_error="skip")[0]) == [("vg/1/objects/a", ["a"], [[1, 2, 4, 6]])]


def test_objects_without_a_name_are_counted(tmp_path, vg):
    content = [{"image_id": 1, "objects": [thing(1, [], 1, 2, 3, 4), thing(2, [" "], 1, 2, 3, 4), thing(3, ["a"], 1, 2, 3, 4)]}]
    made, counts = rows(write(tmp_path, content), vg)
    assert brief(made) == [("vg/1/objects/a", ["a"], [[1, 2, 4, 6]])]
    assert counts == {"object-without-name": 1, "phrase-blank": 1}


def test_problems_of_image_data(tmp_path, vg):
    source = write(tmp_path, REGIONS)
    data = write(tmp_path, [{**IMAGE_DATA[0], "width": 65}, {"image_id": 2, "width": 0, "height": 60}, IMAGE_DATA[0]], "image_data.json")
    error = error_of(options_of(source, vg, image_data=str(data)))
    for text in (
        f"{data}: entry 2: Expected `int` >= 1 - at `$.width`; expected image_id, width and height",
        f"{data}: entry 3: image_id 1; expected each id once",
        f"{source}: entry 1 (image 1): annotated as 65x48 px, but the image is 64x48 px; expected one size",
    ):
        assert text in error
    made, counts = rows(source, vg, image_data=str(data), on_error="skip")
    assert [row["sample_id"] for row in made] == ["vg/2/4091"]
    assert counts["region-image-skipped"] == 5
