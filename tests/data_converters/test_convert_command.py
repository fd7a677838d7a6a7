"""`groundswift convert coco` as a user runs it: output, exit status, and a file that is whole or not there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from converted import full_disk
from converted import run as command
from source_examples import lay_out

from groundswift.data_converters.cli_options import RENAMED
from groundswift.data_converters.engine.convert import rows_of
from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.registry import FORMATS
from groundswift.records import encode_row

GROUNDSWIFT = [sys.executable, "-m", "groundswift.cli"]
EARLIER = b"an earlier file\n"


def run(*arguments: object):
    return command("convert", "coco", *arguments)


def process(*arguments: object, **more: object) -> subprocess.CompletedProcess:
    return subprocess.run([*GROUNDSWIFT, "convert", "coco", *arguments], capture_output=True, text=True, **more)


def only(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.fixture
def out(tmp_path) -> Path:
    """A place to write, in a folder of its own, with an earlier file."""
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "train.jsonl"
    path.write_bytes(EARLIER)
    return path


@pytest.mark.process
def test_a_whole_run(small, image_folder, annotate, out):
    done = process(annotate(small), "--images", image_folder, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"4 rows, 6 objects, 1 row without objects -> {out}"
    assert any(re.fullmatch(r" +2  crowd-skipped: .*\(annotation 6, annotation 7\)", line) for line in done.stdout.splitlines())
    assert [json.loads(line)["sample_id"] for line in out.read_text().splitlines()] == [11, 12, 13, 15]
    assert only(out.parent, out.name)


@pytest.mark.parametrize("bad", ["source", "images", "out", "prompt"])
def test_an_option_that_is_no_text(small, image_folder, annotate, out, bad):
    options = {"source": annotate(small), "images": image_folder, "out": out, "prompt": "What is here?"}
    options[bad] = os.fsdecode(os.fsencode(options[bad]) + b"\xff")
    done = run(options["source"], "--images", options["images"], "--out", options["out"], "--prompt", options["prompt"])
    assert done.exit_code == 1
    assert "\\udcff': not UTF-8; expected UTF-8 text" in done.stderr
    assert only(out.parent, out.name)


def test_json_counts(small, image_folder, annotate, out):
    done = run(annotate(small), "--images", image_folder, "--out", out, "--json", "--negatives", "0")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "rows": 3,
        "objects": 6,
        "negatives": 0,
        "counts": {
            "crowd-skipped": 2,
            "image-crowd-only": 1,
            "image-empty-dropped": 1,
            "image-rotated-by-exif": 1,
            "box-clipped": 1,
            "box-clipped-rounding": 1,
        },
        "out": str(out),
    }


def test_a_named_set_has_the_rows_of_the_command(small, image_folder, annotate, out):
    path = annotate(small)
    assert run(path, "--images", image_folder, "--out", out, "--order", "reading").exit_code == 0
    log = IssueLog()
    rows = rows_of(CocoOptions(annotations=str(path), images=str(image_folder), order="reading"), log)
    assert b"".join(map(encode_row, rows)) == out.read_bytes()
    assert log.counted.counts["crowd-skipped"] == 2


@pytest.mark.process
def test_a_problem_leaves_the_earlier_file(small, image_folder, annotate, out):
    small["annotations"][7]["bbox"] = [0, 0, -1, 1]
    done = process(annotate(small), "--images", image_folder, "--out", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: " in done.stderr
    assert "annotation 8 on image 15 (mixed.jpg): bbox [0.0, 0.0, -1.0, 1.0]" in done.stderr
    assert "Traceback" not in done.stderr
    assert out.read_bytes() == EARLIER
    assert only(out.parent, out.name)


def test_dry_run_writes_nothing(small, image_folder, annotate, out):
    done = run(annotate(small), "--images", image_folder, "--out", out, "--dry-run", "--limit", "2")
    assert done.stdout.splitlines()[0] == "2 rows, 5 objects, 0 rows without objects; nothing written (--dry-run)"
    assert out.read_bytes() == EARLIER
    assert only(out.parent, out.name)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no --out"),
        pytest.param(["--out", "x.jsonl", "--negatives", "some"], id="negatives"),
        pytest.param(["--out", "x.jsonl", "--negatives", "-1"], id="negative negatives"),
        pytest.param(["--out", "x.jsonl", "--order", "random"], id="order"),
        pytest.param(["--out", "x.jsonl", "--limit", "0"], id="limit"),
    ],
)
def test_wrong_use(small, annotate, tmp_path, monkeypatch, arguments):
    path = annotate(small)
    monkeypatch.chdir(tmp_path)
    assert run(path, *arguments).exit_code == 2
    assert only(tmp_path, path.name)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        pytest.param("nowhere/train.jsonl", "cannot be written (No such file or directory)", id="no folder"),
        pytest.param("out", "is a folder or device", id="a folder"),
        pytest.param("annotations.json", "this is the annotation file", id="its own source"),
        pytest.param("annotations.json/train.jsonl", "cannot be written (Not a directory)", id="a file for a folder"),
        pytest.param(f"{'x' * 300}.jsonl", "cannot be written (File name too long)", id="too long"),
    ],
)
def test_a_place_that_cannot_be_written(small, image_folder, annotate, out, tmp_path, place, text):
    path = annotate(small)
    before = path.read_bytes()
    done = run(path, "--images", image_folder, "--out", tmp_path / place)
    assert done.exit_code == 1
    assert text in done.stderr
    assert path.read_bytes() == before
    assert only(tmp_path, "annotations.json", "out", "pictures")


@pytest.mark.parametrize(
    ("out", "coco_out", "message"),
    [
        pytest.param("rows.jsonl", "boxes.csv", "boxes.csv: this is the annotation file", id="its own source"),
        pytest.param("names.csv", "truth.json", "names.csv: this is what --class-descriptions names", id="the names"),
        pytest.param("rows.jsonl", "sub/../names.csv", "this is what --class-descriptions names", id="a detour"),
        pytest.param("rows.jsonl", "rows.jsonl", "rows.jsonl: this is what --out names", id="one file for two"),
        pytest.param("rows.jsonl", "link.json", "link.json: this is the annotation file", id="a link"),
    ],
)
def test_what_is_read_is_not_written_over(tmp_path, draw, monkeypatch, out, coco_out, message):
    draw(tmp_path / "pictures/a.jpg", (20, 20))
    (tmp_path / "boxes.csv").write_text("ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/1,0.1,0.2,0.3,0.4\n")
    (tmp_path / "names.csv").write_text("/m/1,cat\n")
    (tmp_path / "link.json").symlink_to("boxes.csv")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    monkeypatch.chdir(tmp_path)
    arguments = ["convert", "openimages", "boxes.csv", "--images", "pictures", "--class-descriptions", "names.csv"]
    done = command(*arguments, "--out", out, "--coco-out", coco_out)
    assert done.exit_code == 1
    assert f"{message}; give another file to write" in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_help_states_exit_status_order_and_crowds():
    assert "Exit status: 0 done, 1 problems (or Ctrl-C), 2 wrong usage." in command("convert", "--help").stdout
    text = " ".join(run("--help").stdout.split())
    assert "order of the categories in the file, then top edge, then left edge" in text
    assert "--negatives [drop|keep|N]" in text
    assert "images with crowd boxes only (they are not empty, so not negatives either)" in text


@pytest.mark.parametrize("spelling", [["--pictures", "none"], ["--pictures=none"]])
def test_an_old_option_works_with_a_notice(tmp_path, monkeypatch, spelling):
    lay_out("to-yolo", tmp_path)
    monkeypatch.chdir(tmp_path)
    done = command("convert", "to-yolo", "train.jsonl", *spelling, "--out", "yolo")
    assert (done.exit_code, done.stderr) == (0, "--pictures is now --image-files; the old name will be removed in the next version\n")
    assert not (tmp_path / "yolo/images").exists()
    assert "--pictures" not in command("convert", "to-yolo", "--help").stdout


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_option_has_a_new_one_and_does_not_hide_another(old, new):
    fields = {field for struct in FORMATS.values() for field in struct.__struct_fields__}
    assert new in fields
    assert old not in fields


STOPPED = """
import os, signal
from groundswift.cli import main
from groundswift.data_converters import cli as command

command.convert_to_file = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
main()
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("coco", ["--out", "x.jsonl"], "stopped; run the same command with --resume to continue\n"),
        ("to-coco", ["--out", "x.json"], "stopped\n"),
        ("coco", ["--dry-run"], "stopped\n"),
    ],
)
def test_a_stopped_command_leaves_no_temporary_folder(tmp_path, name, more, message):
    """SIGTERM at any time, so before the first row too."""
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, "convert", name, "source", *more],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", message)
    assert not list((tmp_path / "temporary").iterdir())


def test_a_full_disk_is_reported_and_leaves_the_earlier_file(small, annotate, out):
    small["images"] += [{"id": 100 + i, "file_name": f"{i}.jpg", "width": 8, "height": 8} for i in range(200)]
    path = annotate(small)
    with full_disk():
        done = run(path, "--no-check-images", "--out", out)
    assert done.exit_code == 1
    assert "train.jsonl: cannot be written (File too large)" in done.stderr
    assert out.read_bytes() == EARLIER
    assert only(out.parent, out.name)


@pytest.mark.parametrize("classes", ["all", "one", "present"])
@pytest.mark.parametrize("prompts", ["fixed", "sampled"])
def test_lint_finds_nothing_in_the_rows(small, image_folder, annotate, out, classes, prompts):
    options = ["--images", image_folder, "--out", out, "--classes", classes, "--prompts", prompts, "--language", "both"]
    assert run(annotate(small), *options).exit_code == 0
    done = command("lint", out, "--decode", "--strict", "--json", "--family", "qwen2_5_vl")
    assert done.exit_code == 0
    assert set(json.loads(done.stdout)["rules"]) <= {"image-exif-rotated", "no-negatives"}  # both info: one image is EXIF-rotated


def test_dry_run_writes_nothing_but_the_rows(tmp_path, draw):
    """Not the COCO file of --coco-out either."""
    draw(tmp_path / "images" / "a.jpg", (20, 20))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("names: [cat]\ntrain: images\n")
    arguments = ["convert", "yolo", tmp_path / "data.yaml", "--split", "train", "--coco-out", tmp_path / "truth.json", "--dry-run"]
    done = command(*arguments)
    assert done.exit_code == 0, done.stderr
    assert only(tmp_path, "data.yaml", "images", "labels")
    assert command(*arguments[:-1], "--out", tmp_path / "rows.jsonl").exit_code == 0
    assert only(tmp_path, "data.yaml", "images", "labels", "rows.jsonl", "truth.json")


def test_an_invalid_limit_of_pixels_is_reported_once(small, image_folder, annotate, out, monkeypatch):
    """And not as a problem of every image, which --on-error skip would drop."""
    monkeypatch.setenv("GROUNDSWIFT_MAX_IMAGE_PIXELS", "much")
    done = run(annotate(small), "--images", image_folder, "--out", out, "--on-error", "skip")
    assert (done.exit_code, done.stderr) == (1, "error: GROUNDSWIFT_MAX_IMAGE_PIXELS: 'much'; expected a whole number of pixels above 0\n")
    assert out.read_bytes() == EARLIER
