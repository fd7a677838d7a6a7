"""YOLO datasets: forms of data.yaml, kinds of labels, EXIF-rotated images, and every way that one can be broken."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from converted import converted, refusal, run, short
from label_sources import reader
from PIL import Image
from source_examples import put

from groundswift.data_converters.file_io.remote_folders import SUFFIXES
from groundswift.data_converters.formats.yolo.label_lines import LabelLines
from groundswift.data_converters.formats.yolo.source import YoloOptions
from groundswift.data_converters.issues import IssueLog, SkipSample
from groundswift.data_converters.tasks.label_files import BATCH
from groundswift.data_converters.tasks.labelled_image import Label

DATA = "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"
ASKED = "<image>Detect every object of these categories: cat, dog."


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    """A dataset as Ultralytics has them: one image with two boxes, one EXIF-rotated, one without a label file."""
    root = tmp_path / "set"
    draw(root / "images/train/plain.jpg", (64, 48))
    draw(root / "images/train/sub/turned.jpg", (60, 40), orientation=6)  # 40x60 upright
    draw(root / "images/train/empty.png", (20, 20))
    (root / "labels/train/sub").mkdir(parents=True)
    (root / "labels/train/plain.txt").write_text("1 0.5 0.25 0.25 0.5\n0 0.125 0.5 0.25 0.25\n")
    (root / "labels/train/sub/turned.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (root / "data.yaml").write_text(DATA)
    return root


options = reader(YoloOptions)


ROWS = [
    (1, "empty.png", (20, 20), []),
    (2, "plain.jpg", (64, 48), [("cat", [0, 18, 16, 30]), ("dog", [24, 0, 40, 24])]),
    (3, "turned.jpg", (40, 60), [("cat", [10, 15, 30, 45])]),
]
COUNTS = {"image-unlabelled-as-empty": 1, "image-rotated-by-exif": 1}


def test_rows(folder, tmp_path):
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert list(map(short, rows)) == ROWS
    assert counts == COUNTS
    assert rows[1] == {
        "messages": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "<ref-object><bbox><ref-object><bbox>"}],
        "images": [str(folder / "images/train/plain.jpg")],
        "objects": {"ref": ["cat", "dog"], "bbox": [[0, 18, 16, 30], [24, 0, 40, 24]], "bbox_type": "real"},
        "sample_id": 2,
        "size_wh": [64, 48],
        "prompt": "detect.en.1",
    }


@pytest.mark.process
def test_processes_share_the_looking(folder, tmp_path, draw):
    for number in range(3 * BATCH):
        draw(folder / f"images/train/sub/{number}.jpg", (20 + number % 7, 20), orientation=6 if number % 9 == 0 else 1)
        (folder / f"labels/train/sub/{number}.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (folder / "images/train/sub/5.jpg").write_bytes(b"no image")
    alone = converted(options(folder, on_error="skip"), tmp_path / "one.jsonl")
    assert converted(options(folder, on_error="skip"), tmp_path / "two.jsonl", workers=2) == alone
    assert len(alone[0]) == 3 * BATCH + 2
    assert alone[1]["image-unreadable"] == alone[1]["annotation-image-skipped"] == 1
    assert alone[1]["image-rotated-by-exif"] == 1 + len(range(0, 3 * BATCH, 9))


FORMS = {  # name -> data.yaml
    "names by index": DATA.replace("[cat, dog]", "{0: cat, 1: dog}"),
    "out of order": DATA.replace("[cat, dog]", "{1: dog, 0: cat}"),
    "quoted indexes": DATA.replace("[cat, dog]", "{'0': cat, '1': dog}"),
    "block list": DATA.replace(" [cat, dog]", "\n- cat\n- dog") + "nc: 2\n",
    "no path": DATA.replace("path: .\n", ""),
    "a list of entries": DATA.replace("images/train", "[images/train/sub, images/train/plain.txt, images/train/more.txt]"),
    "a list of images": DATA.replace("images/train", "[images/train/empty.png, images/train/plain.jpg, images/train/sub/turned.jpg]"),
    "a dot too many": DATA.replace("images/train", "../images/train"),
    "slash": DATA.replace("images/train", "images/train/"),
    "dot": DATA.replace("images/train", "./images/train"),
    "more keys": DATA + "kpt_shape: [17, 3]\ndownload: |\n  from x import y\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_data_yaml(folder, tmp_path, name):
    (folder / "data.yaml").write_bytes(FORMS[name].encode())
    (folder / "images/train/plain.txt").write_text("images/train/plain.jpg\r\n\r\n")
    (folder / "images/train/more.txt").write_bytes(b"\xef\xbb\xbf./empty.png\nimages/train/plain.jpg\n")
    assert list(map(short, converted(options(folder / "data.yaml"), tmp_path / "out.jsonl")[0])) == ROWS


def test_split(folder, tmp_path, draw):
    draw(folder / "images/val/one.bmp", (10, 10))
    (folder / "labels/val").mkdir()
    (folder / "labels/val/one.txt").touch()
    assert [short(row)[:2] for row in converted(options(folder, split="val"), tmp_path / "a.jsonl")[0]] == [(1, "one.bmp")]


KINDS = {  # name -> (--labels, lines, boxes in an image of 64x48, counts)
    "polygon": ("polygon", "0 0.25 0.25 0.5 0.5 0.25 0.75\n", [[16, 12, 32, 36]], {"box-from-polygon": 1}),
    "mixed": ("mixed", "0 .5 .5 .5 .5\n0 0 0 .5 0 .5 .5 0 .25\n", [[0, 0, 32, 24], [16, 12, 48, 36]], {"box-from-polygon": 1}),
    "obb": ("obb", "0 0.5 0.25 0.75 0.5 0.5 0.75 0.25 0.5\n", [[16, 12, 48, 36]], {"box-from-rotated": 1}),
    "pose": ("pose", "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0 0 0\n", [[16, 12, 48, 36]], {"keypoints-dropped": 1}),
    "track": ("track", "0 .5 .5 .5 .5 7\n1 .5 .25 .25 .5\n", [[16, 12, 48, 36], [24, 0, 40, 24]], {"track-id-dropped": 1}),
    "track of corners": (
        "track",
        "0 .5 .25 .75 .5 .5 .75 .25 .5 12\n1 .25 .25 .5 .5 .25 .75\n",
        [[16, 12, 48, 36], [16, 12, 32, 36]],
        {"track-id-dropped": 1, "box-from-polygon": 2},
    ),
    "whole classes as floats": ("box", "0.0 5e-1 +.5 0.5 0.5\n", [[16, 12, 48, 36]], {}),
    "tabs and CRLF": ("box", "0\t0.5  0.5 0.5 0.5\r\n\r\n", [[16, 12, 48, 36]], {}),
    "noise": ("box", "0 0.5 0.5 1.0000000001 1\n", [[0, 0, 64, 48]], {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_labels(folder, tmp_path, name):
    kind, lines, boxes, counts = KINDS[name]
    (folder / "labels/train/sub/turned.txt").unlink()
    (folder / "labels/train/plain.txt").write_bytes(lines.encode())
    rows, counted = converted(options(folder, labels=kind), tmp_path / "out.jsonl")
    assert [box for _, box in short(rows[1])[3]] == boxes
    assert {reason: count for reason, count in counted.items() if reason not in COUNTS} == counts


UNREADABLE = {  # line -> what is wrong with it; its image is skipped
    "0 .5 .5 .5": "3 numbers after the class; expected 4 numbers",
    "0 .1 .1 .2 .2 .3 .1": "--labels names other kinds",
    "cat .5 .5 .5 .5": "'cat' is not a number",
    "0 1_0 .5 .5 .5": "'1_0' is not a number",
    "2 .5 .5 .5 .5": "class 2; expected 0 to 1",
    "-1 .5 .5 .5 .5": "class -1; expected 0 to 1",
    "0.5 .5 .5 .5 .5": "class 0.5; expected 0 to 1",
    "nan .5 .5 .5 .5": "class nan",
    "1e300 .5 .5 .5 .5": "class 1e300",
    "# all done": "'#' is not a number",
    "0 50 32 100 100": "box of fractions reaches to 100 times the side of its image; expected numbers from 0 to 1",
}


@pytest.mark.parametrize("line", UNREADABLE)
def test_bad_lines(folder, tmp_path, line):
    with open(folder / "labels/train/plain.txt", "a") as file:
        file.write(f"\n{line}\n")
    text = refusal(options(folder), tmp_path / "out.jsonl")
    assert "labels/train/plain.txt:4: " in text
    assert UNREADABLE[line] in text
    assert "1 problem, nothing written" in text
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert counts["label-unreadable"] == counts["image-label-unreadable"] == 1
    assert list(map(short, rows)) == [ROWS[0], ROWS[2]]


def test_all_problems_are_reported_at_once(folder, tmp_path, draw):
    (folder / "labels/train/plain.txt").write_bytes(b"0 .5\n1 .5 .5 .5 .5 .5\n")
    (folder / "labels/train/sub/turned.txt").write_bytes(b"0 .5 \xff")
    (folder / "labels/train/stray.txt").write_text("0 .5 .5 .5 .5\n")
    (folder / "labels/train/classes.txt").write_text("cat\ndog\n")
    (folder / "images/train/empty.png").write_bytes(b"no image")
    (folder / "images/train/cut.jpg").write_bytes((folder / "images/train/plain.jpg").read_bytes()[:30])
    text = refusal(options(folder), tmp_path / "out.jsonl")
    assert "6 problems, nothing written" in text
    for each in (
        "plain.txt:1: 1 numbers after",
        "plain.txt:2: 5 numbers after",
        "turned.txt: not UTF-8 text (byte 5)",
        "labels/train/stray.txt: no image with this name",
        "(images/train/empty.png): ",
        "(images/train/cut.jpg): ",
    ):
        assert each in text
    assert "every image was dropped" in refusal(options(folder, on_error="skip"), tmp_path / "out.jsonl")


def test_a_listed_image_is_missing(folder, tmp_path):
    (folder / "train.txt").write_text("./images/train/plain.jpg\nimages/train/gone.jpg\n")
    (folder / "data.yaml").write_text(DATA.replace("images/train", "train.txt"))
    for check in (True, False):  # the size is needed either way: no advice to skip the check
        text = refusal(options(folder, check_images=check), tmp_path / "out.jsonl")
        assert "image-missing" in text
        assert "image 1 (images/train/gone.jpg): " in text
        assert "--no-check-images" not in text
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert [short(row)[:2] for row in rows] == [(2, "plain.jpg")]
    assert counts["image-missing"] == 1
    (folder / "labels" / "train" / "gone.txt").write_text("\n1 0.5 0.5 0.2 0.2\n")
    refused = refusal(options(folder), tmp_path / "none.jsonl")
    assert re.search(r"image 1 \(images/train/gone.jpg, labelled at .*labels/train/gone.txt:2\): image not found", refused), refused


BAD_DATA_YAML = {
    "no file": (None, "set: nothing names the classes; expected data.yaml, obj.data, obj.names or classes.txt, or --categories"),
    "no YAML": ("names: [a\n", "data.yaml:2:1: not YAML"),
    "python object": ("names: !!python/object/apply:os.system [ls]\n", "not YAML"),
    "not UTF-8": (b"names: [\xff]\n", "not UTF-8 text"),
    "a list for a key": ("? [1]\n: x\n" + DATA, "data.yaml:1:3: not YAML (found unhashable key)"),
    "no mapping": ("names: !!map cat\n", "data.yaml:1:8: not YAML (expected a mapping node, but found scalar)"),
    "no float": ('names: !!float ""\n', "data.yaml: not YAML"),
    "no time": ("names: !!timestamp cat\n", "data.yaml: not YAML"),
    "no number": ("names: !!int cat\n", "data.yaml: not YAML"),
    "no names": ("train: images\n", "names is None"),
    "names is text": ("names: cat\n", "names is 'cat'"),
    "a gap": ("names: {0: a, 2: b}\n", "names has the indexes 0, 2"),
    "index twice": ("names: {0: a, 0: b}\n", "data.yaml:1:15: not YAML (duplicate key '0')"),
    "split twice": (DATA + "train: images/val\n", "data.yaml:5:1: not YAML (duplicate key 'train')"),
    "keys are text": ("names: {a: b}\n", "names has the key 'a', which is not an index"),
    "keys are fractions": ("names: {0.5: a, 1.5: b}\n", "names has the key 0.5, which is not an index"),
    "keys are words that YAML reads": ("names: {no: a, yes: b}\n", "names has the key False, which is not an index"),
    "a word that YAML reads": ("names: [yes, 1]\n", "names[0] is True; expected text; quote words"),
    "an empty name": ("names: [cat, ' ']\n" + DATA.partition("names")[0], "data.yaml: names[1] is empty; expected a name for every class"),
    "nc differs": (DATA + "nc: 3\n", "nc is 3, but names has 2"),
    "name twice": (DATA.replace("dog", "cat"), "duplicate category name 'cat'"),
    "swift's tag": (DATA.replace("dog", "<bbox>"), "holds <bbox>"),
    "no split": (
        DATA.replace("train:", "other:"),
        "train is None; expected a folder of images, a file that lists them, or a list (data.yaml has val)",
    ),
    "split is a number": (DATA.replace("images/train", "3"), "train is 3"),
    "split is not there": (DATA.replace("images/train", "images/gone"), "train: file or folder not found"),
    "split leaves": (DATA.replace("images/train", "../../etc"), "'../../etc' is outside"),
    "split elsewhere": (DATA.replace("images/train", "/etc"), "'/etc' is outside"),
    "list leaves": (DATA.replace("images/train", "leaves.txt"), " is outside "),
    "path is a number": (DATA.replace("path: .", "path: 3"), "path is 3"),
    "path is not there": (DATA.replace("path: .", "path: gone"), "data.yaml: path is 'gone', but the folder does not exist"),
    "no image": (DATA.replace("images/train", "labels"), "train: no image in "),
    "no labels at all": (DATA.replace("images/train", "images/bare"), "train: none of 1 images has a label file, such as "),
}


@pytest.mark.parametrize("name", BAD_DATA_YAML)
def test_bad_data_yaml(folder, tmp_path, draw, name):
    text, expected = BAD_DATA_YAML[name]
    draw(folder / "images/bare/one.jpg", (20, 20))
    (folder / "leaves.txt").write_text("../../etc/passwd.jpg\n")
    if text is None:
        (folder / "data.yaml").unlink()
    else:
        put(folder / "data.yaml", text)
    assert expected in refusal(options(folder, on_error="skip"), tmp_path / "out.jsonl")


def test_images_elsewhere(folder, tmp_path):
    """What `to-yolo --image-files none` writes: a list of absolute paths, labels by name."""
    back = tmp_path / "back"
    converted(options(folder), tmp_path / "first.jsonl")
    assert run("convert", "to-yolo", tmp_path / "first.jsonl", "--out", back, "--image-files", "none").exit_code == 0
    again = options(back, images=str(folder), label_dir=str(back / "labels"))
    rows, _ = converted(again, tmp_path / "again.jsonl")
    assert list(map(short, rows)) == ROWS
    assert " is outside " in refusal(options(back), tmp_path / "out.jsonl")
    linked = tmp_path / "linked"
    assert run("convert", "to-yolo", tmp_path / "first.jsonl", "--out", linked).exit_code == 0
    assert [short(row)[1:] for row in converted(options(linked), tmp_path / "linked.jsonl")[0]] == [row[1:] for row in ROWS]


def test_two_images_of_one_label_file(folder, tmp_path, draw):
    draw(folder / "images/train/plain.png", (64, 48))
    assert "labels of images/train/plain.jpg and of images/train/plain.png" in refusal(options(folder), tmp_path / "out.jsonl")


def test_names_that_look_like_numbers(folder, tmp_path):
    (folder / "data.yaml").write_text(DATA.replace("[cat, dog]", "[010, 0.10, 1_0, 12:30, 7, 1.5]"))
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    assert rows[0]["messages"][0]["content"].endswith(": 010, 0.10, 1_0, 12:30, 7, 1.5.")
    assert rows[1]["objects"]["ref"] == ["010", "0.10"]


def test_names_of_ones_own(folder, tmp_path):
    (tmp_path / "names.txt").write_text("Katze\nHund\n")
    rows, _ = converted(options(folder, categories=str(tmp_path / "names.txt")), tmp_path / "out.jsonl")
    assert rows[1]["objects"]["ref"] == ["Katze", "Hund"]
    (tmp_path / "names.txt").write_text("Katze\n")
    text = refusal(options(folder, categories=str(tmp_path / "names.txt")), tmp_path / "other.jsonl")
    assert "1 classes, but data.yaml has 2" in text


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_name_that_is_not_text(folder, tmp_path, draw):
    draw(folder / "images/train/a.png", (20, 20))
    os.rename(folder / "images/train/a.png", os.fsencode(folder) + b"/images/train/\xff.png")
    assert "name-not-utf8" in refusal(options(folder), tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    ("kind", "count"), [("box", 5), ("box", 3), ("polygon", 4), ("polygon", 7), ("obb", 6), ("pose", 4), ("mixed", 5), ("track", 3)]
)
def test_no_kind_is_guessed(kind, count):
    with pytest.raises(SkipSample):
        LabelLines(kind, 1).label(["0", *["0.5"] * count], "a.txt:1", IssueLog())


def test_pose_by_its_shape():
    fields, log = ["0", ".5", ".5", ".5", ".5", ".1", ".1"], IssueLog()
    assert LabelLines("pose", 1, 2).label(fields, "a.txt:1", log) == Label("a.txt:1", 0, (0.25, 0.25, 0.5, 0.5))
    assert log.counted.counts == {"keypoints-dropped": 1}
    with pytest.raises(SkipSample, match=r"6 numbers after the class.*\(3 by kpt_shape\)"):
        LabelLines("pose", 1, 3).label(fields, "a.txt:1", log)


@pytest.mark.parametrize("kind", ["polygon", "mixed", "obb", "track"])
def test_a_pose_is_not_read_as_corners(folder, tmp_path, kind):
    """A box and 2 points are 8 numbers, as 4 corners are; kpt_shape says which they are."""
    (folder / "data.yaml").write_text(DATA + "kpt_shape: [2, 2]\n")
    (folder / "labels/train/sub/turned.txt").unlink()
    (folder / "labels/train/plain.txt").write_text("0 .5 .5 .5 .5 .4 .4 .6 .6\n")
    text = refusal(options(folder, labels=kind), tmp_path / "out.jsonl")
    assert "plain.txt:1: 8 numbers after the class; expected --labels pose: by kpt_shape of data.yaml these are a box and keypoints" in text
    rows, counts = converted(options(folder, labels="pose"), tmp_path / "out.jsonl")
    assert (short(rows[1])[3], counts["keypoints-dropped"]) == ([("cat", [16, 12, 48, 36])], 1)


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    [
        ("box", "0 .5 .5 .5 .5 3", "5 numbers after the class; expected 4 numbers"),
        ("obb", "0 .1 .1 .2 .1 .2 .2 .1 .2 3", "if the last one is a track id: --labels track"),
        ("track", "0 .5 .5 .5 .5 .93", "track id .93; expected a whole number from 0"),
        ("track", "0 .5 .5 .5 .5 -1", "track id -1; expected a whole number from 0"),
        ("track", "0 .5 .5 .5 .5 nan", "track id nan; expected a whole number from 0"),
    ],
)
def test_numbers_that_are_no_track(folder, tmp_path, kind, line, expected):
    (folder / "labels/train/plain.txt").write_text(line)
    (folder / "labels/train/sub/turned.txt").unlink()
    assert expected in refusal(options(folder, labels=kind), tmp_path / "out.jsonl")


LISTS = {  # name -> the lines of a list, the images that come out, how many of their paths are shortened
    "as Datumaro writes it": ("data/images/train/plain.jpg\ndata/images/train/empty.png\n", ["empty.png", "plain.jpg"], 2),
    "paths of another machine": ("/data/set/images/train/plain.jpg\n/data/set/images/train/gone.jpg\n", ["gone.jpg", "plain.jpg"], 2),
    "paths of Windows": ("D:\\set\\images\\train\\plain.jpg\n", ["plain.jpg"], 1),
    "only some": ("images/train/plain.jpg\ndata/images/train/empty.png\n", ["empty.png", "plain.jpg"], 1),
    "one prefix, not any": (
        "data/images/train/plain.jpg\nother/images/train/empty.png\n",
        ["plain.jpg", "other/images/train/empty.png"],
        1,
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_with_the_folders_of_another_place(folder, tmp_path, name):
    lines, images, shortened = LISTS[name]
    (folder / "data.yaml").write_text(DATA.replace("images/train", "train.txt"))
    (folder / "train.txt").write_text(lines)
    rows, counts = converted(options(folder, on_error="skip"), tmp_path / "out.jsonl")
    assert counts["listed-path-shortened"] == shortened
    assert [row["sample_id"] for row in rows] == [
        number for number, each in enumerate(images, 1) if (folder / "images/train" / each).exists()
    ]
    assert counts.get("image-missing", 0) == len(images) - len(rows)


def test_the_image_of_a_list_is_missing(folder, tmp_path):
    """Not its label file, which is looked for where the image would be."""
    (folder / "data.yaml").write_text(DATA.replace("images/train", "train.txt"))
    (folder / "train.txt").write_text("data/images/train/gone.jpg\n")
    text = refusal(options(folder), tmp_path / "out.jsonl")
    assert "data.yaml: train: none of 1 images is there, such as " in text
    assert "/set/data/images/train/gone.jpg; expected the images (--images sets their folder)" in text


FORMS_OF_IMAGES = {
    ".avif": "AVIF",
    ".jfif": "JPEG",
    ".jp2": "JPEG2000",
    ".mpo": "MPO",
    ".ppm": "PPM",
    ".tga": "TGA",
    ".tiff": "TIFF",
}


def test_suffixes_of_images(folder, tmp_path):
    """What has one of them is an image that Pillow opens."""
    Image.init()
    assert sorted(SUFFIXES - set(Image.registered_extensions())) == []
    assert {Image.registered_extensions()[each] for each in SUFFIXES} - set(Image.OPEN) == {"MPO"}  # which the plugin of JPEG opens
    for suffix, kind in FORMS_OF_IMAGES.items():
        Image.new("RGB", (64, 48), "grey").save(folder / f"images/train/one{suffix}", kind)
        (folder / f"images/train/one{suffix}").rename(folder / f"images/train/{suffix[1:]}{suffix}")
        (folder / f"labels/train/{suffix[1:]}.txt").write_text("1 0.5 0.25 0.25 0.5\n")
    rows, _ = converted(options(folder), tmp_path / "out.jsonl")
    found = {name: (size, boxes) for _, name, size, boxes in map(short, rows)}
    assert [found[f"{suffix[1:]}{suffix}"] for suffix in FORMS_OF_IMAGES] == [((64, 48), [("dog", [24, 0, 40, 24])])] * len(FORMS_OF_IMAGES)


def test_what_cannot_be_listed_is_refused(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    assert "https://host/set: a folder on the web cannot be listed" in refusal(YoloOptions(annotations="https://host/set/data.yaml"), out)
    assert "memory://nowhere/set: no such folder, or nothing in it" in refusal(YoloOptions(annotations="memory://nowhere/set"), out)
