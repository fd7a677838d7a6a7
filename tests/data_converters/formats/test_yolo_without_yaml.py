"""YOLO datasets without data.yaml: as darknet, CVAT, Label Studio, LabelImg and Roboflow write them, and broken ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import fsspec
import pytest
from converted import converted, lint_findings, refusal, run, short
from source_examples import put
from spoilt import HARMLESS, SPOILT, check_refused

from groundswift.data_converters.formats.yolo.source import YoloOptions

OBJ_DATA = "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt # optional\nnames = data/obj.names\nbackup = backup/\n"
NOTES = {
    "categories": [{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}],
    "info": {"year": 2026, "version": "1.0", "contributor": "Label Studio"},
}
A, B = "1 0.5 0.25 0.25 0.5\n0 0.125 0.5 0.25 0.25\n", "0 0.5 0.5 0.5 0.5\n"
LAYOUTS = {  # name -> SOURCE, the folder of its images, those of its labels, its other files
    "CVAT's YOLO 1.1": (
        ".",
        "obj_train_data",
        "obj_train_data",
        {"obj.data": OBJ_DATA, "obj.names": "cat\ndog\n", "train.txt": "data/obj_train_data/a.jpg\ndata/obj_train_data/b.png\n"},
    ),
    "the same by its file": (
        "obj.data",
        "obj_train_data",
        "obj_train_data",
        {"obj.data": OBJ_DATA, "obj.names": "cat\ndog\n", "train.txt": "obj_train_data/a.jpg\nobj_train_data/b.png\n"},
    ),
    "darknet's, with the paths of another machine": (
        "cfg/pets.data",
        "cfg/img",
        "cfg/img",
        {
            "cfg/pets.data": "# ours\nnames=/data/darknet/pets.names\ntrain=/data/darknet/train.txt\neval=coco\n",
            "cfg/pets.names": "cat\r\ndog\r\n\r\n",
            "cfg/train.txt": "/data/darknet/img/a.jpg\r\nC:\\me\\img\\gone.jpg\r\n/data/darknet/img/b.png",
        },
    ),
    "Label Studio's": (".", "images", "labels", {"classes.txt": "cat\ndog\n", "notes.json": NOTES}),
    "Label Studio's notes": (".", "images", "labels", {"notes.json": NOTES}),
    "LabelImg's, in one folder": (".", ".", ".", {"classes.txt": "cat\ndog\n"}),
    "Roboflow's darknet": (".", "train", "train", {"train/_darknet.labels": "cat\ndog", "_darknet.labels": "cat\ndog"}),
    "split folders": (".", "images/train", "labels/train", {"obj.names": "cat\ndog\n"}),
    "folders of splits": ("coco.names", "train/images", "train/labels", {"coco.names": "cat\ndog\n"}),
}
ROWS = [
    ("a.jpg", (64, 48), [("cat", [0, 18, 16, 30]), ("dog", [24, 0, 40, 24])]),
    ("b.png", (20, 20), [("cat", [5, 5, 15, 15])]),
]


def lay(root: Path, draw, name: str) -> Path:
    """Write the files of a layout -> its SOURCE."""
    source, images, labels, files = LAYOUTS[name]
    draw(root / images / "a.jpg", (64, 48))
    draw(root / images / "b.png", (20, 20))
    for path, content in {f"{labels}/a.txt": A, f"{labels}/b.txt": B, **files}.items():
        put(root / path, content.encode() if isinstance(content, str) else content)
    return root / source


def read(source: Path, out: Path, **more) -> tuple[list, dict[str, int]]:
    rows, counts = converted(YoloOptions(annotations=str(source), **more), out)
    return [short(row)[1:] for row in rows], counts


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, draw, name):
    source, skip = lay(tmp_path / "set", draw, name), {"on_error": "skip"} if name.startswith("darknet") else {}
    rows, counts = read(source, tmp_path / "out.jsonl", **skip)
    assert rows == ROWS
    paths = {"listed-path-shortened": 2} if "data/obj_train" in str(LAYOUTS[name]) or skip else {}
    assert counts == paths | ({"image-unlabelled-as-empty": 1, "image-missing": 1, "file-name-backslashes": 1} if skip else {})
    (tmp_path / "names.txt").write_text("Katze\nHund\n")
    rows, _ = read(source, tmp_path / "own.jsonl", categories=str(tmp_path / "names.txt"), **skip)
    assert [label for label, _ in rows[0][2]] == ["Katze", "Hund"]


@pytest.mark.parametrize("name", ["CVAT's YOLO 1.1", "Label Studio's", "the same by its file"])
def test_a_store_workers_and_resume_give_the_same_rows(tmp_path, draw, name, monkeypatch):
    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    source, store = lay(tmp_path / "set", draw, name), fsspec.filesystem("memory")
    store.put(str(tmp_path / "set"), "/there", recursive=True)
    try:
        files = []
        for given, more in ((source, ()), (source, ("--workers", 2)), (f"memory://there/{LAYOUTS[name][0].strip('.')}", ("--resume",))):
            out = tmp_path / f"{len(files)}.jsonl"
            done = run("convert", "yolo", given, "--out", out, *more)
            assert done.exit_code == 0, done.stderr
            files.append(out.read_text().replace("memory://there", str(tmp_path / "set")))
        assert files == [files[0]] * 3
    finally:
        store.rm("/", recursive=True)


def test_only_names_of_ones_own(tmp_path, draw):
    lay(tmp_path / "set", draw, "Label Studio's")
    (tmp_path / "set/raw.data").mkdir()  # a folder names nothing
    for each in ("classes.txt", "notes.json"):
        (tmp_path / "set" / each).unlink()
    put(tmp_path / "names.txt", "cat\ndog\n")
    assert read(tmp_path / "set", tmp_path / "out.jsonl", categories=str(tmp_path / "names.txt"))[0] == ROWS
    text = refusal(YoloOptions(annotations=str(tmp_path / "set")), tmp_path / "other.jsonl")
    assert "set: nothing names the classes; expected data.yaml, obj.data, obj.names or classes.txt, or --categories" in text


@pytest.mark.parametrize("names", ["nc: 2\nnames: [cat, dog]\n", "names: {0: cat, 1: dog}\ntrain:\nval: []\n"])
def test_a_data_yaml_that_names_no_split(tmp_path, draw, names):
    """supervision's: the splits are those of the folder."""
    lay(tmp_path / "set", draw, "Label Studio's")
    for each in ("classes.txt", "notes.json"):
        (tmp_path / "set" / each).unlink()
    put(tmp_path / "set/data.yaml", names)
    assert read(tmp_path / "set", tmp_path / "out.jsonl")[0] == ROWS
    put(tmp_path / "set/val.txt", "images/b.png\n")
    assert read(tmp_path / "set", tmp_path / "val.jsonl", split="val")[0] == ROWS[1:]
    assert "data.yaml: train is None; expected a folder of images, a file that lists them, or a list" in refusal(
        YoloOptions(annotations=str(tmp_path / "set/data.yaml")), tmp_path / "other.jsonl"
    )


@pytest.mark.parametrize("form", ["data.yaml", "obj.data"])
def test_subsets_of_cvat(tmp_path, draw, form):
    """Of any name, in any case: one subset is never read as all images."""
    lay(tmp_path / "set", draw, "LabelImg's, in one folder")
    subsets = {"Train": "a.jpg", "Validation": "b.png", "extra": "b.png"}
    for name, image in subsets.items():
        put(tmp_path / "set" / f"{name}.txt", f"data/{image}\n")
    lines = [f"{name} = data/{name}.txt" for name in subsets]
    if form == "obj.data":
        put(tmp_path / "set/obj.names", "cat\ndog\n")
        put(tmp_path / "set/obj.data", "\n".join(["classes = 2", *lines, "names = data/obj.names", "backup = backup/"]))
    else:
        put(tmp_path / "set/data.yaml", "path: ./\nnames: [cat, dog]\n" + "".join(f"{name}: {name}.txt\n" for name in subsets))
    for split, rows in (("train", ROWS[:1]), ("val", ROWS[1:]), ("extra", ROWS[1:])):
        assert read(tmp_path / "set", tmp_path / f"{split}.jsonl", split=split)[0] == rows
    refused = refusal(YoloOptions(annotations=str(tmp_path / "set"), split="test"), tmp_path / "none.jsonl")
    assert f"{form}: test is None; expected a folder of images, a file that lists them, or a list ({form} has " in refused
    assert set(refused.rpartition("has ")[2].rstrip(")").split(", ")) == {"train", "val", "extra"}


def test_a_text_file_that_is_no_list_of_images_is_no_split(tmp_path, draw):
    """A key of data.yaml for notes leaves the splits of the folder as they are."""
    lay(tmp_path / "set", draw, "LabelImg's, in one folder")
    put(tmp_path / "set/data.yaml", "names: [cat, dog]\nlicense: data/LICENSE.txt\n")
    assert read(tmp_path / "set", tmp_path / "out.jsonl")[0] == ROWS


def test_labels_apart_from_images(tmp_path, draw):
    """LabelImg's folder of labels, and --images with the photos."""
    lay(tmp_path / "set", draw, "LabelImg's, in one folder")
    (tmp_path / "photos").mkdir()
    for each in ("a.jpg", "b.png"):
        (tmp_path / "set" / each).rename(tmp_path / "photos" / each)
    more = {"images": str(tmp_path / "photos"), "label_dir": str(tmp_path / "set")}
    assert read(tmp_path / "set", tmp_path / "out.jsonl", **more) == (ROWS, {})
    put(tmp_path / "set/val.txt", "b.png\n")
    (tmp_path / "set/a.txt").unlink()
    assert read(tmp_path / "set", tmp_path / "val.jsonl", split="val", **more)[0] == ROWS[1:]
    assert "classes.txt: train is None; expected a folder of images, a file that lists them, or a list (classes.txt has val)" in refusal(
        YoloOptions(annotations=str(tmp_path / "set"), **more), tmp_path / "other.jsonl"
    )


def test_other_splits(tmp_path, draw):
    lay(tmp_path / "set", draw, "CVAT's YOLO 1.1")
    put(tmp_path / "set/valid.txt", "data/obj_valid_data/c.jpg\n")
    put(tmp_path / "set/obj_valid_data/c.txt", "1 .5 .5 1 1\n")
    draw(tmp_path / "set/obj_valid_data/c.jpg", (10, 10))
    assert read(tmp_path / "set", tmp_path / "out.jsonl", split="val")[0] == [("c.jpg", (10, 10), [("dog", [0, 0, 10, 10])])]
    assert "obj.data: test is None; expected a folder of images" in refusal(
        YoloOptions(annotations=str(tmp_path / "set"), split="test"), tmp_path / "other.jsonl"
    )


BROKEN = {  # name -> file, its content, part of the error
    "a name is missing": ("obj.names", "cat\n\ndog\n", "obj.names:2: no class name; expected class names, one per line"),
    "no names": ("obj.names", "\n\n", "obj.names:1: no class name"),
    "a name twice": ("obj.names", "cat\ncat\n", "duplicate category name 'cat'"),
    "swift's tag": ("obj.names", "cat\n<bbox>\n", "holds <bbox>"),
    "names are not text": ("obj.names", b"\xff\xfe", "obj.names: not UTF-8 text (byte 0)"),
    "names are zipped": ("obj.names", gzip.compress(b"cat\ndog\n"), "obj.names: not UTF-8 text"),
    "names are a list": ("obj.names", "{}", "obj.names: "),
    "names are JSON": ("obj.names", '["cat", "dog"]', "obj.names: found '['; expected class names, one per line"),
    "names are zeros": ("obj.names", b"cat\0\n", "obj.names: found '\\x00'; expected class names, one per line"),
    "too few names": ("obj.names", "cat\n", "classes is '2', but there are 1 names; expected one number"),
    "no line of data": ("obj.data", "names\n", "obj.data:1: got 'names'; expected key = value, each key once"),
    "a key twice": ("obj.data", OBJ_DATA + "train = a.txt\n", "obj.data:6: got 'train = a.txt'; expected key = value, each key once"),
    "data is not text": ("obj.data", b"\xff", "obj.data: not UTF-8 text"),
    "data names nothing": ("obj.data", "train = train.txt\n", "obj.data: no names; expected darknet's obj.data"),
    "data is empty": ("obj.data", "", "obj.data: no names"),
    "names elsewhere": ("obj.data", "names = ../../etc/passwd\n", "obj.data: names: file not found: ../../etc/passwd; expected a file in "),
    "names are gone": ("obj.data", "names = a/b.names\n", "obj.data: names: file not found: a/b.names"),
    "no split": ("obj.data", "names = obj.names\n", "train is None; expected a folder of images, a file that lists them"),
    "a list that is gone": ("obj.data", "names = obj.names\ntrain = gone.txt\n", "obj.data: train: file or folder not found: "),
    "a list elsewhere": ("obj.data", "names = obj.names\ntrain = ../../etc\n", "'../../etc' is outside "),
    "a list that leaves": ("train.txt", "../../etc/passwd\n", " is outside "),
    "a list that is empty": ("train.txt", "\n", "obj.data: train: no image in 'train.txt'; expected files with a suffix of"),
    "a list of zeros": ("train.txt", b"\0" * 64, "none of 1 images is there, such as "),
    "images that are gone": ("train.txt", "data/b/x.jpg\ndata/b/y.jpg\n", "train: none of 2 images is there, such as "),
    "another class": ("obj_train_data/a.txt", "2 .5 .5 .1 .1\n", "every image was dropped"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(tmp_path, draw, name):
    file, content, expected = BROKEN[name]
    lay(tmp_path / "set", draw, "CVAT's YOLO 1.1")
    (tmp_path / "set/obj_train_data/b.png").write_bytes(b"no image")
    put(tmp_path / "set" / file, content)
    assert expected in refusal(YoloOptions(annotations=str(tmp_path / "set"), on_error="skip"), tmp_path / "out.jsonl")


NOT_NOTES = ("", "[", "cat", "{", '{"categories": 1}', '{"categories": []}', '{"categories": [{"id": 0}]}', '{"categories": [7]}')


@pytest.mark.parametrize("text", NOT_NOTES)
def test_broken_notes(tmp_path, draw, text):
    lay(tmp_path / "set", draw, "Label Studio's notes")
    put(tmp_path / "set/notes.json", text)
    refused = refusal(YoloOptions(annotations=str(tmp_path / "set"), on_error="skip"), tmp_path / "out.jsonl")
    assert "notes.json: " in refused
    assert "; expected " in refused


def test_several_files_that_could_name_the_classes(tmp_path, draw):
    lay(tmp_path / "set", draw, "folders of splits")
    put(tmp_path / "set/voc.names", json.dumps([]))
    text = refusal(YoloOptions(annotations=str(tmp_path / "set")), tmp_path / "out.jsonl")
    assert "set: found coco.names, voc.names; expected one of them as SOURCE" in text


FILES = [
    ("CVAT's YOLO 1.1", "obj.data"),
    ("CVAT's YOLO 1.1", "obj.names"),
    ("CVAT's YOLO 1.1", "train.txt"),
    ("Label Studio's", "classes.txt"),
]


OTHER_FILES = [("Label Studio's", "classes.txt"), ("Label Studio's notes", "notes.json")]


@pytest.mark.parametrize(("name", "file"), [*FILES, *OTHER_FILES])
@pytest.mark.parametrize("kind", HARMLESS)
def test_marks_and_line_ends_change_nothing(tmp_path, draw, name, file, kind):
    source, path = lay(tmp_path / "set", draw, name), tmp_path / "set" / file
    path.write_bytes(HARMLESS[kind](path.read_bytes()))
    assert read(source, tmp_path / "out.jsonl")[0] == ROWS


@pytest.mark.long
@pytest.mark.parametrize(("name", "file"), [*FILES, ("Label Studio's notes", "notes.json"), ("CVAT's YOLO 1.1", "obj_train_data/a.txt")])
@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_file_is_read_or_refused_in_words(tmp_path, draw, name, file, kind):
    source, out = lay(tmp_path / "set", draw, name), tmp_path / "out.jsonl"
    path = tmp_path / "set" / file
    path.write_bytes(SPOILT[kind](path.read_bytes()))
    arguments = ["convert", "yolo", str(source), "--out", str(out)]
    done = run(*arguments)  # raises where it is a traceback
    assert (done.exit_code == 0) == out.exists()
    if done.exit_code:
        check_refused(done, arguments, path)
        assert run(*arguments, "--on-error", "skip").exit_code in (0, 1)
    if out.is_file():
        assert lint_findings(out) == {}
