"""All formats of label files, on the same labels in each: rows, ground truth, what is counted, and what is wrong with a label or image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from converted import ap, converted, refusal, run, short
from label_sources import SIZE_WH, SOURCES, WHERE, WRITERS, Item, source_options, write_source
from source_examples import example, put

from groundswift.data_converters.tasks.label_files import LabelOptions, check_named
from groundswift.data_converters.tasks.labelled_image import Label, LabelledImage
from groundswift.errors import GroundswiftError

CAT, DOG, OWL = Item("cat", "16 12 48 36"), Item("dog", "4 3 8 6.75"), Item("owl", "0 0 64 48")
LABELS = {"a": [DOG, CAT], "b": [OWL]}
A = (1, "a.png", SIZE_WH, [("cat", [16, 12, 48, 36]), ("dog", [4, 3, 8, 6.75])])
B = (2, "b.png", SIZE_WH, [("owl", [0, 0, 64, 48])])
CROWDS = {"voc": "difficult-as-crowd", "dota": "difficult-as-crowd", "openimages": "group-as-crowd"}  # format -> what such a mark counts


@pytest.fixture(params=SOURCES)
def name(request) -> str:
    return request.param


def made(name: str, tmp_path: Path, labels: dict[str, list[Item]] | None = None, **options: Any) -> tuple[list[Any], dict[str, int]]:
    """(short rows, counts) of labels in a format."""
    root = write_source(name, tmp_path / "source", labels) if labels else tmp_path / "source"
    rows, counts = converted(source_options(name, root, **options), tmp_path / "out.jsonl")
    counts.pop("box-from-rotated", None)  # of a DOTA box without area
    return list(map(short, rows)), counts


def evaluated(truth: Path) -> tuple[dict[int, str], list[int]]:
    """Of the COCO file that is written: (the name of each image by id, the image of each annotation)."""
    coco = json.loads(truth.read_bytes())
    return {each["id"]: Path(each["file_name"]).name for each in coco["images"]}, [each["image_id"] for each in coco["annotations"]]


def test_rows_and_ground_truth(name, tmp_path):
    """The COCO file has the ids of the rows, and a perfect prediction of it an AP of 1."""
    truth = tmp_path / "truth.json"
    (tmp_path / "classes").write_text("dog\ncat\nfox\nowl\n")
    given = {} if name == "yolo" else {"categories": str(tmp_path / "classes")}
    rows, counts = made(name, tmp_path, LABELS, coco_out=str(truth), order="annotation", **given)
    assert (rows, counts) == ([(*A[:3], A[3][::-1]), B], {})
    coco, first = json.loads(truth.read_bytes()), "images/" if name == "yolo" else ""
    assert coco["images"] == [{"id": n, "file_name": f"{first}{stem}.png", "width": 64, "height": 48} for n, stem in ((1, "a"), (2, "b"))]
    names = {each["id"]: each["name"] for each in coco["categories"]}
    assert names == dict(enumerate(("cat", "dog", "owl") if name == "yolo" else ("dog", "cat", "fox", "owl"), 1))
    assert coco["annotations"][0] | {"category_id": 0} == {
        "id": 1,
        "image_id": 1,
        "category_id": 0,
        "bbox": [4, 3, 4, 3.75],
        "area": 15,
        "iscrowd": 0,
    }
    assert [(each["id"], each["image_id"], names[each["category_id"]]) for each in coco["annotations"]] == [
        (1, 1, "dog"),
        (2, 1, "cat"),
        (3, 2, "owl"),
    ]
    assert [each["bbox"] for each in coco["annotations"][1:]] == [[16, 12, 32, 24], [0, 0, 64, 48]]
    (tmp_path / "found.json").write_text(json.dumps([each | {"score": 1} for each in coco["annotations"]]))
    assert ap(tmp_path, truth, "--predictions", tmp_path / "found.json") == pytest.approx(1)


@pytest.mark.parametrize("name", CROWDS, indirect=True)
def test_a_mark_makes_a_crowd(name, tmp_path):
    labels = {"a": [CAT, DOG._replace(crowd=True)], "b": [OWL._replace(crowd=True)]}
    rows, counts = made(name, tmp_path, labels, coco_out=str(tmp_path / "truth.json"))
    assert rows == [(*A[:3], A[3][:1])]
    assert counts == {CROWDS[name]: 2, "crowd-skipped": 2, "image-crowd-only": 1}
    assert [each["iscrowd"] for each in json.loads((tmp_path / "truth.json").read_bytes())["annotations"]] == [0, 1, 1]
    if name != "openimages":
        assert made(name, tmp_path, difficult="keep") == ([A, B], {"difficult-kept": 2})
    asked = [row[:2] + tuple(label for label, _ in row[3]) for row in made(name, tmp_path, classes="one", absent=9)[0]]
    assert asked == [(1, "a.png", "cat"), (1, "a.png")]  # cat and owl: no dog, of which there is a crowd


BAD = {  # box -> the id of its problem
    "nan 12 48 36": "box-not-finite",
    "1e999 12 48 36": "box-not-finite",
    "16 12 1e12 36": "box-too-large",
    "48 12 16 36": "box-inverted",
    "16 36 48 12": "box-inverted",
    "16 12 16 36": "box-empty",
    "128 12 256 36": "box-outside",
    "16 -32 48 -16": "box-outside",
    "x 12 48 36": "label-unreadable",
}


FOUR_CORNERS = ("dota", "box-inverted")  # in any order they have bounds


@pytest.mark.parametrize(
    ("name", "box"), [(n, box) for n in SOURCES for box, id in BAD.items() if (n, id) != FOUR_CORNERS], indirect=["name"]
)
def test_a_box_that_cannot_be_used(name, tmp_path, box):
    """It stops with its place, or is dropped alone; one that cannot be parsed takes its image with it."""
    write_source(name, tmp_path / "source", LABELS | {"a": [DOG, CAT, Item("dog", box)]})
    truth = tmp_path / "truth.json"
    refused = refusal(source_options(name, tmp_path / "source", coco_out=str(truth)), tmp_path / "out.jsonl")
    assert not truth.exists()
    assert "1 problem, nothing written" in refused
    assert f"1  {BAD[box]}: " in refused
    assert WHERE[name].format(stem="a", number=3) in refused
    unreadable = BAD[box] == "label-unreadable"
    also = {"image-label-unreadable": 1, "annotation-image-skipped": 2} if unreadable else {}
    found = made(name, tmp_path, on_error="skip", coco_out=str(truth))
    assert found == ([B] if unreadable else [A, B], {BAD[box]: 1} | also)
    assert evaluated(truth) == ({2: "b.png"}, [2]) if unreadable else ({1: "a.png", 2: "b.png"}, [1, 1, 2])
    write_source(name, tmp_path / "source", LABELS | {"a": [Item("dog", box)]})
    also = {"image-label-unreadable" if unreadable else "image-all-skipped": 1}  # not a negative
    assert made(name, tmp_path, on_error="skip") == ([B], {BAD[box]: 1} | also)


def test_a_box_is_clipped_and_a_repeated_one_dropped(name, tmp_path):
    labels = {"a": [CAT, DOG, Item("owl", "32 -12 96 24")], "b": [OWL, OWL, OWL._replace(label="cat")]}
    rows, counts = made(name, tmp_path, labels)
    assert rows == [(*A[:3], [*A[3], ("owl", [32, 0, 64, 24])]), (*B[:3], [("cat", [0, 0, 64, 48]), *B[3]])]
    assert counts == {"box-clipped": 1, "box-repeated": 1}


def test_an_exif_rotated_image(name, tmp_path, draw):
    """Labels are of the upright image, which has the size that files state."""
    write_source(name, tmp_path / "source", LABELS)
    draw(tmp_path / "source/images/a.png", (48, 64), orientation=8)
    assert made(name, tmp_path) == ([A, B], {"image-rotated-by-exif": 1})


STATED = ("voc", "cvat")  # formats that state the size of an image
UNUSABLE = {  # id of the problem -> what is there in place of the image, the formats that notice it
    "image-missing": (None, ("voc", "cvat", "dota", "openimages", "kitti")),
    "image-unreadable": (b"no image", SOURCES),
    "image-size-differs": ((65, 48), STATED),
}


@pytest.mark.parametrize(("name", "problem"), [(name, id) for id, (_, names) in UNUSABLE.items() for name in names], indirect=["name"])
def test_an_image_that_cannot_be_used(name, tmp_path, draw, problem):
    image, content = write_source(name, tmp_path / "source", LABELS) / "images/a.png", UNUSABLE[problem][0]
    image.unlink()
    if isinstance(content, bytes):
        image.write_bytes(content)
    elif content:
        draw(image, content)
    truth = tmp_path / "truth.json"
    assert f"1  {problem}: " in refusal(source_options(name, tmp_path / "source", coco_out=str(truth)), tmp_path / "out.jsonl")
    assert not truth.exists()
    found = made(name, tmp_path, on_error="skip", coco_out=str(truth))
    assert found == ([B], {problem: 1, "annotation-image-skipped": 2})
    assert evaluated(truth) == ({2: "b.png"}, [2])


@pytest.mark.parametrize("other", ["a.jpg", "day/a.jpg"])
@pytest.mark.parametrize("name", ["dota", "openimages", "kitti"], indirect=True)
def test_two_images_of_one_name(name, tmp_path, draw, other):
    """In one folder, or in folders of which none is that of the label."""
    images = write_source(name, tmp_path / "source", LABELS) / "images"
    draw(images / other, SIZE_WH)
    if other != "a.jpg":
        (images / "night").mkdir()
        (images / "a.png").rename(images / "night/a.png")
    refused = refusal(source_options(name, tmp_path / "source"), tmp_path / "out.jsonl")
    assert "image-name-repeated" in refused
    assert f"{other} and {'' if other == 'a.jpg' else 'night/'}a.png; expected one image of that name, or one in the folder" in refused


NESTED = {  # where images are, by the name of their label -> what is counted
    "same folders": ({"day/a": "day/a", "b": "b"}, {}),
    "names that clash": ({"day/a": "day/a", "night/a": "night/a", "b": "b"}, {}),
    "names that clash, one at the root": ({"day/a": "day/a", "a": "a", "b": "b"}, {}),
    "images in folders": ({"a": "day/a", "b": "night/b"}, {}),
    "labels in folders": ({"day/a": "a", "night/b": "b"}, {}),
    "other folders": ({"day/a": "x/a", "b": "b"}, {"image-other-folder": 1}),
}


@pytest.mark.parametrize("name", ["dota", "voc", "kitti"], indirect=True)
@pytest.mark.parametrize(("places", "counts"), NESTED.values(), ids=NESTED)
def test_folders_below(name, tmp_path, draw, places, counts):
    source = write_source(name, tmp_path / "source", dict.fromkeys(["a", "b"], []))
    for each in source.rglob("[ab].*"):
        each.unlink()
    for number, (label, image) in enumerate(places.items()):
        items = [Item("cat", f"{number} 0 {number + 9} 9")]
        ((path, text),) = WRITERS[name]({label.split("/")[-1]: items}).items()
        path = f"{Path(path).parent}/{label}{Path(path).suffix}"
        put(source / path, text)
        draw(source / f"images/{image}.png", SIZE_WH)
    rows, counted = converted(source_options(name, source), tmp_path / "out.jsonl")
    assert counted == counts
    found = {str(Path(row["images"][0]).relative_to(source / "images")): row["objects"]["bbox"][0][0] for row in rows}
    assert found == {f"{image}.png": number for number, image in enumerate(places.values())}


def test_limit_reads_no_further(name, tmp_path):
    """No images after it, and --coco-out has only images with rows."""
    write_source(name, tmp_path / "source", LABELS | {"b": [Item("owl", "128 12 256 36")]})
    if name != "yolo":
        (tmp_path / "source/images/b.png").unlink()
    assert made(name, tmp_path, limit=1, coco_out=str(tmp_path / "truth.json")) == ([A], {})
    assert evaluated(tmp_path / "truth.json") == ({1: "a.png"}, [1, 1])


@pytest.mark.parametrize("name", ["voc", "cvat", "dota"], indirect=True)
def test_a_tag_of_swift_in_a_class(name, tmp_path):
    write_source(name, tmp_path / "source", {"a": [CAT._replace(label="<bbox>" if name == "dota" else "&lt;bbox&gt;")]})
    options = source_options(name, tmp_path / "source", on_error="skip", coco_out=str(tmp_path / "truth.json"))
    assert "holds <bbox>" in refusal(options, tmp_path / "out.jsonl")
    assert not (tmp_path / "truth.json").exists()


@pytest.mark.parametrize(("classes", "where"), [(["cat", " "], "a.txt:3"), (["cat", "dog", ""], "a.tsv: class 2")])
def test_an_empty_class_name_has_a_place(classes, where):
    """That of a label, or its index where no label has it."""
    labels = [Label(f"a.txt:{line}", rank, (0, 0, 1, 1)) for line, rank in ((1, 0), (3, 1))]
    with pytest.raises(GroundswiftError) as stopped:
        check_named(classes, LabelOptions(annotations="a.tsv"), classes, [LabelledImage("a.png", labels)])
    assert str(stopped.value) == f"{where}: empty class name; expected a name for every class"


def test_an_empty_name_in_the_file_of_classes(laid_out):
    Path(laid_out("dota")[2], "../a.json").write_text('{"categories": [{"id": 1, "name": "ship"}, {"id": 2, "name": " "}]}')
    refused = run(*example("dota"), "--categories", "train/a.json")
    assert refused.stderr == "error: train/a.json: class 1: empty class name; expected a name for every class\n"


NAMES = {  # format -> the class of its example
    **dict.fromkeys(("yolo", "voc", "cvat", "labelme", "label-studio", "odvg", "createml"), "cat"),
    "dota": "ship",
    "openimages": "Cat",
    "odgt": "person",
    "kitti": "Car",
}


@pytest.fixture(params=NAMES)
def arguments(request, laid_out) -> list[str]:
    """The arguments of a format's example, without its outputs; the working directory holds its source."""
    given = laid_out(request.param)
    for option in ("--out", "--coco-out"):
        if option in given:
            del given[given.index(option) : given.index(option) + 2]
    return given


def rows(arguments: list[str], *more: object) -> bytes:
    done = run(*arguments, "--out", "rows.jsonl", *more)
    assert done.exit_code == 0, done.stderr
    return Path("rows.jsonl").read_bytes()


def test_coco_out_gives_the_same_rows(arguments):
    alone = rows(arguments)
    assert b'"objects":{"ref":["' in alone
    assert rows(arguments, "--coco-out", "truth.json") == alone
    image = Path(json.loads(alone)["images"][0])
    named = Path(json.loads(Path("truth.json").read_bytes())["images"][0]["file_name"])
    folder = image.parents[len(named.parts) - 1]
    again = ["convert", "coco", "truth.json", "--images", str(folder)]
    assert rows([*again, "--classes", "present"] if "--classes" in arguments or "openimages" in arguments else again) == alone


def test_given_classes(arguments):
    name = NAMES[arguments[1]]
    Path("names.txt").write_text(f"{name}\n" if arguments[1] == "yolo" else f"other\n{name}\n")
    assert f'"ref":["{name}"]'.encode() in rows(arguments, "--categories", "names.txt")
    Path("names.txt").write_text("other\nmore\n")
    refused = run(*arguments, "--out", "none.jsonl", "--categories", "names.txt")
    assert (refused.exit_code, Path("none.jsonl").exists()) == (1, False)
    assert refused.stderr.startswith("error: names.txt: ")
