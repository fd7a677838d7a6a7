"""Small files, large harm: nested aliases in data.yaml, numbers without end, names that lead to a pipe, a device or no image."""

import json
import os
from pathlib import Path

import pytest
from converted import run
from PIL import Image

DIGITS = "9" * 5000
ALIASES = ["l0: &l0 [x, x, x]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 6)}]" for n in range(1, 7))]  # 6**6 lists when written out


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "data.yaml").write_text("names: [x]\ntrain: images\n")
    return tmp_path


@pytest.mark.parametrize("key", ["path", "names", "nc", "train", "kpt_shape"])
def test_nested_aliases_are_shown_short(yolo, key):
    base = {"path": ".", "names": "[x]", "train": "images"} | {key: "*l6"}
    (yolo / "data.yaml").write_text("\n".join([*ALIASES, *(f"{name}: {value}" for name, value in base.items())]))
    done = run("convert", "yolo", yolo / "data.yaml", "--dry-run")
    assert done.exit_code == (0 if key in ("nc", "kpt_shape") else 1)
    assert len(done.output) < 2500


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("names: [1:30.5]\nnc: 1:30.5\ntrain: images", None),
        (f"names: [{'59:' * 400}1.5]\ntrain: images", "not YAML (int too large"),
        (f"names: [x]\nnc: {'59:' * 400}1.5\ntrain: images", "not YAML (int too large"),
        (f"names: [x]\nnc: 0x{DIGITS}\ntrain: images", "not YAML (Exceeds the limit"),
        (f"names: {{0: x, ? '{DIGITS}' : y}}\ntrain: images", "which is not an index"),
        (f"names: [x]\npath: {'p' * 5000}\ntrain: images", "but the folder does not exist"),
        (f"names: [x]\ntrain: ../../{'p' * 5000}", "is outside"),
    ],
)
def test_what_yaml_can_spell_is_no_traceback(yolo, content, shown):
    (yolo / "data.yaml").write_text(content)
    done = run("convert", "yolo", yolo / "data.yaml", "--dry-run")
    assert (done.exit_code, len(done.output) < 2000) == ((0 if shown is None else 1), True), done.output
    assert shown is None or (shown in done.output and done.output.startswith(f"error: {yolo / 'data.yaml'}:"))


@pytest.mark.parametrize("option", ["limit", "workers", "seed", "negatives"])
def test_an_option_of_5000_digits_is_wrong_usage(yolo, option):
    done = run("convert", "yolo", yolo / "data.yaml", "--dry-run", f"--{option}", DIGITS)
    assert done.exit_code in (1, 2), done.exception
    assert 0 < len(done.stderr) < 3000


def made(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path.parent)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_label_file_that_is_none_is_named(yolo, kind):
    Image.new("RGB", (9, 9)).save(yolo / "images" / "b.jpg")
    made(kind, yolo / "labels" / "b.txt")
    done = run("convert", "yolo", yolo / "data.yaml", "--dry-run")
    assert done.exit_code == 1
    assert (
        f"labels/b.txt: cannot be read (a {'folder' if kind == 'folder' else 'pipe, socket or device'}); expected a text file"
        in done.stderr
    )
    assert run("convert", "yolo", yolo / "data.yaml", "--dry-run", "--on-error", "skip").stdout.startswith("1 row, 1 object, ")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize(
    "name", ["data.yaml", "list.txt", "classes", "a.jsonl", "a.json", "a.xml", "labelTxt/b.txt", "instances.json", "boxes.csv"]
)
def test_no_file_that_is_found_or_named_hangs(yolo, name, kind):
    commands = {
        "data.yaml": ["yolo", yolo / "data.yaml"],
        "list.txt": ["yolo", yolo / "data2.yaml"],
        "classes": ["yolo", yolo / "data.yaml", "--categories", yolo / "classes"],
        "a.jsonl": ["swift2", yolo / "a.jsonl"],
        "a.json": ["llava", yolo / "a.json"],
        "a.xml": ["voc", yolo],
        "labelTxt/b.txt": ["dota", yolo],
        "instances.json": ["coco", yolo / "instances.json"],
        "boxes.csv": ["openimages", yolo / "boxes.csv"],
    }
    (yolo / "data2.yaml").write_text("names: [x]\ntrain: list.txt\n")
    (yolo / "labelTxt").mkdir()
    (yolo / name).unlink(missing_ok=True)
    made(kind, yolo / name)
    done = run("convert", *commands[name], "--dry-run")
    assert done.exit_code == (0 if (name, kind) == ("list.txt", "folder") else 1)  # a folder of images may be named there
    assert Path(name).name in done.stderr or kind == "folder"


@pytest.mark.parametrize("kind", ["text", "device", "pipe"])
def test_to_yolo_copies_images_only(yolo, kind, tmp_path):
    place = tmp_path / "secret.jpg"
    place.write_text("not for others") if kind == "text" else made(kind, place)
    row = {
        "messages": [{"role": "user", "content": "<image>x"}, {"role": "assistant", "content": "<ref-object><bbox>"}],
        "images": [str(place)],
        "objects": {"ref": ["a"], "bbox": [[1, 1, 5, 5]]},
        "size_wh": [9, 9],
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    done = run("convert", "to-yolo", tmp_path / "rows.jsonl", "--no-check-images", "--image-files", "copy", "--out", tmp_path / "out")
    assert (done.exit_code, (tmp_path / "out").exists()) == (1, False)
    assert done.stderr.startswith(f"error: {place}: not a readable image")
    listed = run("convert", "to-yolo", tmp_path / "rows.jsonl", "--no-check-images", "--image-files", "none", "--out", tmp_path / "out")
    assert listed.exit_code == 0


@pytest.mark.parametrize("length", [200, 240, 255, 256])
def test_a_long_name_of_an_output_is_written_or_refused_in_words(yolo, length):
    out = yolo / ("é" * 20 + "o" * (length - 40))
    done = run("convert", "yolo", yolo / "data.yaml", "--out", out)
    assert done.exit_code == (0 if length < 256 else 1), done.exception
    assert out.is_file() if length < 256 else "File name too long" in done.stderr
