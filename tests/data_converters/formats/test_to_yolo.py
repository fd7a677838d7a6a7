"""Rows back to a YOLO dataset: a folder that is complete or absent, and boxes that come back to a hundredth of a pixel."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from converted import converted, detection_row, short, write_lines

from groundswift.data_converters.formats.yolo.export import ToYoloOptions
from groundswift.data_converters.formats.yolo.source import YoloOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.rows import dataset_folder
from groundswift.errors import GroundswiftError
from groundswift.images import read_size_wh

SIZE_WH = (64, 48)


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    for name in ("a.jpg", "sub/b.png"):
        draw(tmp_path / name, SIZE_WH)
    return tmp_path


@pytest.fixture
def source(folder: Path):
    """Write rows -> the path of the file."""
    return lambda *rows: write_lines(folder / "rows.jsonl", *rows)


def write(path: Path, on_error: str = "stop", **options: Any) -> Path:
    out = path.with_name("yolo")
    ToYoloOptions(annotations=str(path), on_error=on_error, **options).write(out, IssueLog(on_error), progress=False)
    return out


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


DOG, CAT = ("dog", [16, 12, 48, 36]), ("cat", [0, 0, 1, 48])


def test_a_whole_set(source, folder):
    out = write(source(detection_row(DOG, CAT), detection_row(image="sub/b.png"), detection_row(DOG)))
    assert files(out) == ["data.yaml", "images.txt", "images/a.jpg", "images/b.png", "labels/a.txt", "labels/b.txt"]
    assert (out / "labels/a.txt").read_text() == "0 0.5 0.5 0.5 0.5\n1 0.0078125 0.5 0.015625 1\n"
    assert (out / "labels/b.txt").read_text() == ""
    assert (out / "images.txt").read_text() == "./images/a.jpg\n./images/b.png\n"
    assert yaml.safe_load((out / "data.yaml").read_text()) == {"train": "images", "val": "images", "names": {0: "dog", 1: "cat"}}
    assert os.readlink(out / "images/a.jpg") == str(folder / "a.jpg")
    assert read_size_wh(out / "images/b.png")[0] == SIZE_WH
    assert sorted(path.name for path in folder.iterdir()) == ["a.jpg", "rows.jsonl", "sub", "yolo"]


def test_copies_and_none(source, folder):
    out = write(source(detection_row(DOG)), image_files="copy")
    assert (out / "images/a.jpg").read_bytes() == (folder / "a.jpg").read_bytes()
    assert not (out / "images/a.jpg").is_symlink()
    (folder / "yolo").rename(folder / "earlier")
    out = write(source(detection_row(DOG)), image_files="none")
    assert files(out) == ["data.yaml", "images.txt", "labels/a.txt"]
    assert (out / "images.txt").read_text() == f"{folder / 'a.jpg'}\n"
    assert yaml.safe_load((out / "data.yaml").read_text())["train"] == "images.txt"


@pytest.mark.parametrize(("name", "split"), [("a.jpg", "images"), ("b.JPEG", "images"), ("photo", "images.txt"), ("x.scan", "images.txt")])
def test_a_folder_is_named_where_it_is_read_whole(source, folder, tmp_path, name, split):
    """Readers list a folder by the suffixes of its files; both ways give the rows of before."""
    (folder / "a.jpg").rename(folder / name)
    (folder / "sub/b.png").rename(folder / "sub/c.png")
    rows = source(detection_row(DOG, CAT, image=name), detection_row(image="sub/c.png"))
    out = write(rows, image_files="copy")
    assert yaml.safe_load((out / "data.yaml").read_text())["train"] == split
    again, _ = converted(YoloOptions(annotations=str(out)), tmp_path / "again.jsonl")
    assert sorted(short(row)[1:] for row in again) == sorted([(name, SIZE_WH, [DOG, CAT]), ("c.png", SIZE_WH, [])])


def test_classes_in_the_order_given(source, folder):
    (folder / "classes.txt").write_text("bird\ncat\ndog\n")
    out = write(source(detection_row(DOG, CAT)), categories=str(folder / "classes.txt"))
    assert [line[0] for line in (out / "labels/a.txt").read_text().splitlines()] == ["2", "1"]
    assert yaml.safe_load((out / "data.yaml").read_text())["names"] == {0: "bird", 1: "cat", 2: "dog"}


def test_names_that_yaml_could_misread(source):
    names = ["no", "1", "a: b", "犬", " # "]
    out = write(source(detection_row(*((name, [1, 1, 9, 9]) for name in names))))
    assert list(yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))["names"].values()) == names


@pytest.mark.parametrize("size_wh", [(3840, 2160), (101, 67), (30000, 17)])
def test_boxes_come_back(source, size_wh):
    some, (width, height) = random.Random(0), size_wh
    boxes = []
    for _ in range(200):
        x1, y1 = some.uniform(0, width - 1), some.uniform(0, height - 1)
        boxes.append([x1, y1, some.uniform(x1 + 0.1, width), some.uniform(y1 + 0.1, height)])
    out = write(source(detection_row(*(("dog", box) for box in boxes), size_wh=size_wh)), check_images=False)
    for line, box in zip((out / "labels/a.txt").read_text().splitlines(), boxes, strict=True):
        cx, cy, w, h = (float(number) for number in line.split()[1:])
        back = [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
        assert back == pytest.approx(box, abs=0.001)


def test_hotcoco_reads_it(source):
    hotcoco = pytest.importorskip("hotcoco")
    out = write(source(detection_row(DOG, CAT), detection_row(image="sub/b.png")))
    (out / "labels/data.yaml").write_bytes((out / "data.yaml").read_bytes())  # where that reader looks for it
    read = hotcoco.COCO.from_yolo(str(out / "labels"), str(out / "images"))
    names = {each["id"]: each["name"] for each in read.dataset["categories"]}
    found = [(names[each["category_id"]], each["bbox"]) for each in read.dataset["annotations"]]
    assert found == [("dog", pytest.approx([16, 12, 32, 24])), ("cat", pytest.approx([0, 0, 1, 48]))]
    assert len(read.dataset["images"]) == 2


def test_one_name_in_two_folders(source, folder, draw):
    draw(folder / "sub/a.png", SIZE_WH)
    with pytest.raises(GroundswiftError, match=r"sub/a\.png: labels/a\.txt belongs to .*a\.jpg; expected a different name for each image"):
        write(source(detection_row(DOG), detection_row(image="sub/a.png")))
    assert not (folder / "yolo").exists()


def test_a_link_to_a_url(source):
    path = source(detection_row(DOG, image="s3://bucket/a.jpg"))
    with pytest.raises(GroundswiftError, match=r"s3://bucket/a\.jpg: a link cannot point to a URL; expected --image-files copy or none"):
        write(path, check_images=False)
    out = write(path, check_images=False, image_files="none")
    assert (out / "images.txt").read_text() == "s3://bucket/a.jpg\n"


def test_what_is_there_stays(source, folder):
    (folder / "yolo").mkdir()
    (folder / "yolo/mine").write_text("mine")
    with pytest.raises(GroundswiftError, match="yolo: exists already; expected a new folder, or an empty one"):
        write(source(detection_row(DOG)))
    assert files(folder / "yolo") == ["mine"]


def test_an_empty_folder_is_taken(source, folder):
    (folder / "yolo").mkdir()
    assert "data.yaml" in files(write(source(detection_row(DOG))))


def test_a_folder_that_cannot_be_written(source, folder):
    path = source(detection_row(DOG))
    with pytest.raises(GroundswiftError, match=r"nowhere/yolo: cannot be written \(No such file or directory\)"):
        ToYoloOptions(annotations=str(path)).write(folder / "nowhere/yolo", IssueLog(), progress=False)


def test_an_image_that_cannot_be_copied_leaves_nothing(source, folder):
    path = source(detection_row(DOG), detection_row(image="gone.jpg"))
    with pytest.raises(GroundswiftError, match=r"gone\.jpg: no such image"):
        write(path, image_files="copy", check_images=False)
    assert sorted(each.name for each in folder.iterdir()) == ["a.jpg", "rows.jsonl", "sub"]


def test_a_full_disk_is_not_an_error_of_an_image(source, folder, monkeypatch):
    def full(image: object, copy: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(image), None, str(copy))

    path = source(detection_row(DOG))
    monkeypatch.setattr(dataset_folder.shutil, "copyfile", full)
    with pytest.raises(GroundswiftError, match=r"yolo: cannot be written \(No space left on device\)"):
        write(path, image_files="copy")
    assert sorted(each.name for each in folder.iterdir()) == ["a.jpg", "rows.jsonl", "sub"]


def test_problems_leave_nothing(source, folder):
    with pytest.raises(GroundswiftError, match=r"rows\.jsonl:1, box 0: box \[9, 2, 3, 4\]; expected x1 below x2"):
        write(source(detection_row(("dog", [9, 2, 3, 4]))))
    assert not (folder / "yolo").exists()


KILLED = """
import sys, time
from groundswift.data_converters.formats.yolo import export as to_yolo
from groundswift.data_converters.issues import IssueLog
lines = to_yolo.yolo_lines

def slow_lines(*given):
    print("writing", flush=True)
    for _ in range(600):  # short sleeps: a signal between the print and one long sleep would be seen after it
        time.sleep(0.05)
    return lines(*given)

to_yolo.yolo_lines = slow_lines
to_yolo.ToYoloOptions(annotations=sys.argv[1]).write(to_yolo.Path(sys.argv[2]), IssueLog(), False)
"""


@pytest.mark.process
def test_a_run_that_is_ended_leaves_nothing(source, folder):
    path = source(detection_row(DOG))
    with subprocess.Popen([sys.executable, "-c", KILLED, path, folder / "yolo"], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "writing\n"
        run.send_signal(signal.SIGTERM)
        assert run.wait(20) == 128 + signal.SIGTERM
    time.sleep(0.1)
    assert sorted(each.name for each in folder.iterdir()) == ["a.jpg", "rows.jsonl", "sub"]
