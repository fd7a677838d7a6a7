"""`groundswift show`: what it says about a row, what it draws, and that a box in a wrong space is seen."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from converted import run
from PIL import Image
from rows import read_rows
from tiny_run import written

from groundswift import box_drawing
from groundswift.image_resize import Limits
from groundswift.run_record import FOLDER_RECORD, RunRecord, write_record
from groundswift.swift_plugins.tools.show import drawing, terminal
from groundswift.swift_plugins.tools.show.encoded_boxes import Mark

PIXEL = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m")


@pytest.fixture(scope="module")
def model(models) -> list[str]:
    return ["--model", str(models["qwen2_vl"]), "--model-type", "qwen2_vl"]


@pytest.fixture
def shown(tmp_path, monkeypatch, plugin):
    """Calls the command in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    return partial(run, "show")


@pytest.fixture
def as_json(shown, model, tmp_path):
    """What a program gets for one row."""

    def call(row: dict) -> dict:
        return json.loads(shown(written(tmp_path / "rows.jsonl", [row]), *model, "--json").stdout)

    return call


@pytest.fixture
def row(night) -> dict:
    """The first of the drawn rows."""
    return read_rows(night / "night.jsonl")[0]


SHOWN = (
    "qwen2_vl_grounding, family qwen2_vl",
    "norm1000: each axis from 0 to 1000",
    "image 1: 112x84 -> 112x84 px",
    "<|vision_start|><|image_pad|> x 12<|vision_end|>",
    "\ntokens   ",
    "12 of images",
    ">>><|object_ref_start|>star",
    "none differs by more than one step of the space",
    "wrote show-1.png",
)


def test_a_row_is_shown_in_text_and_as_an_image(shown, night, model, tmp_path):
    done = shown(night / "night.jsonl", *model)
    assert done.exit_code == 0, done.output
    assert [text for text in (f"row      {night / 'night.jsonl'}:1, sample_id 1", *SHOWN) if text not in done.output] == []
    assert "\x1b" not in done.output
    assert Image.open(tmp_path / "show-1.png").format == "PNG"


def test_the_frames_lie_where_the_objects_are(shown, night, model, tmp_path):
    """The image is drawn four times as large; its caption is above it."""
    assert shown(night / "night.jsonl", *model, "--row", 1, "--out", "look.png", "--json").exit_code == 0
    row, image = read_rows(night / "night.jsonl")[0], Image.open(tmp_path / "look.png")
    head = image.height - 4 * 84
    assert (image.width, head > 0) == (448, True)
    for colour, (x1, y1, x2, y2) in zip(box_drawing.COLOURS, row["objects"]["bbox"], strict=False):
        for x, y in ((x1, (y1 + y2) / 2), (x2 - 0.25, (y1 + y2) / 2), ((x1 + x2) / 2, y2 - 0.25)):
            near = np.asarray(image)[round(head + 4 * y) - 3 : round(head + 4 * y) + 4, max(0, round(4 * x) - 3) : round(4 * x) + 4]
            assert (near == colour).all(axis=2).any(), (x, y)


def test_a_program_reads_json_and_nothing_else(shown, night, model):
    done = shown(night / "night.jsonl", *model, "--sample-id", 4, "--json")
    report = json.loads(done.stdout)
    row = read_rows(night / "night.jsonl")[2]
    assert (report["sample_id"], report["family"], report["space"], report["png"]) == (4, "qwen2_vl", "norm1000", "show-3.png")
    assert report["images"][0]["size_wh"] == row["size_wh"]  # EXIF orientation applied
    assert [box["label"] for box in report["boxes"]] == row["objects"]["ref"]
    assert [box["truth_px"] for box in report["boxes"]] == row["objects"]["bbox"]
    assert np.abs(np.array([box["original_px"] for box in report["boxes"]]) - np.array(row["objects"]["bbox"])).max() < 0.1
    assert report["problems"] == []
    assert report["tokens"]["has_loss"] < report["tokens"]["all"]
    assert [answer["status"] for answer in report["answers"]] == ["ok"]


def test_a_box_in_a_wrong_space_is_reported_and_drawn_where_the_text_has_it(shown, night, models, tmp_path):
    """A run of swift's own template with --norm_bbox norm1000: the family reads its boxes as pixels."""
    run = tmp_path / "run"
    run.mkdir()
    said = {"model": str(models["qwen2_5_vl"]), "model_type": "qwen2_5_vl", "template": "qwen2_5_vl", "norm_bbox": "norm1000"}
    (run / "args.json").write_text(json.dumps(said))
    done = shown(night / "night.jsonl", "--model", run, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [box["differs"] for box in report["boxes"]] == [True, True]
    assert report["boxes"][0]["written"][2] > 112
    assert report["problems"][0] == "OUTSIDE: 1 star is outside its image"
    assert "DIFFERS: 1 star differs from objects.bbox (6, 20, 43, 62) by" in report["problems"][1]
    again = shown(night / "night.jsonl", "--model", run, "--template", "qwen2_5_vl_grounding")
    assert again.exit_code == 1  # our template takes no other space
    assert "norm1000" in again.output


def test_limits_other_than_those_of_the_training_are_reported(shown, night, models, tmp_path):
    folder = shutil.copytree(models["qwen2_vl"], tmp_path / "trained")
    names = {"family": "qwen2_vl", "template": "qwen2_vl_grounding", "grammar": "qwen2_tokens", "space": "norm1000"}
    write_record(folder / FOLDER_RECORD, RunRecord(**names, limits=Limits(max_pixels=5 * 784), versions={}))
    done = shown(night / "night.jsonl", "--model", folder, "--model-type", "qwen2_vl")
    assert done.exit_code == 0, done.output
    assert "max_pixels 3920 px in training" in done.stderr


def test_points_several_images_and_labels_that_no_font_has(shown, night, model, tmp_path):
    first, second = read_rows(night / "night.jsonl")[:2]
    labels = ["\u7ea2\u8272\u7684\u661f", "dot", "a\x1b[31m"]
    answer = {"role": "assistant", "content": "<ref-object><bbox>" * 3}
    row = {
        "messages": [{"role": "user", "content": "<image><image>Find."}, answer],
        "images": first["images"] + second["images"],
        "objects": {"ref": labels, "bbox": [[6, 20, 43, 62], [50, 50], [10, 10, 60, 40]], "image_id": [0, 0, 1]},
    }
    done = shown(written(tmp_path / "rows.jsonl", [row]), *model)
    assert done.exit_code == 0, done.output
    assert labels[0] in done.output
    assert "a\\x1b[31m" in done.output
    assert "\x1b" not in done.output
    assert "are drawn as ?" in done.output
    assert re.search(r"2 dot +\(446, 595\) -> \(50, 50\) +\(image 1\)", done.output)
    assert "(image 2)" in done.output
    image = Image.open(tmp_path / "show-1.png")
    assert image.width == 2 * 448 + drawing.GAP_PX
    pixels = np.asarray(image)
    for colour, columns in zip(box_drawing.COLOURS, (slice(0, 448), slice(0, 448), slice(448, None)), strict=False):
        assert (pixels[:, columns] == colour).all(axis=2).any()


def test_a_box_of_the_question_is_shown_too(as_json, row):
    row["messages"] = [{"role": "user", "content": "<image>What is at <bbox>?"}, {"role": "assistant", "content": "a star"}]
    row["objects"] = {"ref": [], "bbox": [[6, 20, 43, 62]]}
    report = as_json(row)
    assert [(box["has_loss"], box["differs"]) for box in report["boxes"]] == [(False, False)]
    assert report["problems"] == []


def test_what_cannot_be_read_is_reported(as_json, row):
    row["messages"][1]["content"] = "<|object_ref_start|>star<|object_ref_end|><|box_start|>(1,2,3)<|box_end|>"
    row["objects"] = {"ref": [], "bbox": []}
    report = as_json(row)
    assert report["boxes"] == []
    assert "NOT READ: answer 1" in report["problems"][0]
    assert report["answers"][0]["reasons"] != []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"objects": {"ref": [], "bbox": []}}, "no boxes, and none in objects.bbox", id="negative"),
        pytest.param({"objects": None, "images": [], "size_wh": None}, "no image written: the row has none", id="text alone"),
    ],
)
def test_rows_without_boxes(shown, row, model, tmp_path, change, said):
    row |= change
    row["messages"] = [{"role": "user", "content": "<image>Any?" if row["images"] else "Any?"}, {"role": "assistant", "content": "None"}]
    done = shown(written(tmp_path / "rows.jsonl", [row]), *model)
    assert done.exit_code == 0, done.output
    assert said in done.output


def test_corners_in_another_order_are_what_swift_makes_of_them(as_json, row):
    row["objects"]["bbox"][0] = [43, 62, 6, 20]
    report = as_json(row)
    assert report["boxes"][0]["truth_px"] == [6, 20, 43, 62]
    assert report["problems"] == []


PROBLEMS = {  # options -> what is said; the file has a blank line 3 and a broken line 4
    "beyond the end": (["--row", "9"], "no line 9; the last row is in line 6; expected --row from 1 to 6"),
    "blank line": (["--row", "3"], "rows.jsonl:3: blank line"),
    "broken row": (["--row", "4"], "rows.jsonl:4: not a row"),
    "no such id": (["--sample-id", "7"], "no row has sample_id 7; expected one of 1"),
    "image missing": (["--row", "2"], "rows.jsonl:2: gone.png: no such image"),
    "quad": (["--row", "5"], "rows.jsonl:5: swift drops this row (AssertionError: len(box): 8)"),
    "no row of swift's": (["--row", "6"], "rows.jsonl:6: swift drops this row"),
    "folder missing": (["--out", "no/look.png"], "no/look.png: cannot be written"),
    "no such model": (["--model", "./nowhere"], "./nowhere: no such folder"),
    "no such template": (["--template", "qwen"], "template qwen: not in the table of families"),
}


@pytest.mark.parametrize(("options", "said"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems_are_reported_in_one_line(shown, row, model, tmp_path, options, said):
    quad = {**row, "objects": {"ref": ["a"], "bbox": [[1, 2, 3, 4, 5, 6, 7, 8]]}, "sample_id": None}
    rows = [row, {**row, "images": ["gone.png"], "sample_id": None}, "", "{broken", quad, {"nothing": 1}]
    done = shown(written(tmp_path / "rows.jsonl", rows), *model, *options)
    assert done.exit_code == 1, done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_row_and_sample_id_exclude_each_other(shown, night, model):
    done = shown(night / "night.jsonl", *model, "--row", 1, "--sample-id", 1)
    assert done.exit_code == 2
    assert "not both" in done.output


def test_an_image_in_the_terminal_has_two_pixels_a_character():
    pixels = np.random.default_rng(0).integers(0, 255, (7, 5, 3), dtype=np.uint8)
    lines = terminal.half_blocks(Image.fromarray(pixels))
    assert len(lines) == 4
    for number, line in enumerate(lines):
        found = [[int(value) for value in match] for match in PIXEL.findall(line)]
        assert [pixel[:3] for pixel in found] == pixels[2 * number].tolist()
        below = pixels[2 * number + 1].tolist() if 2 * number + 1 < 7 else [[0, 0, 0]] * 5
        assert [pixel[3:] for pixel in found] == below
        assert line.endswith(terminal.RESET)


def test_the_terminal_is_as_wide_as_it_is_and_marks_are_drawn_on_the_small_image():
    mark = Mark(1, "cat", 0, (0, 0, 9, 9), (0, 0, 9, 9), (0.0, 0.0, 400.0, 300.0), (1, 1))
    lines = terminal.in_terminal(Image.new("RGB", (400, 300)), [(mark, (255, 0, 0))], 40)
    assert (len(lines), lines[0].count(terminal.UPPER_HALF)) == (15, 40)
    assert "38;2;255;0;0" in lines[0]


def test_the_terminal_is_drawn_when_it_is_asked_for(shown, night, model):
    done = shown(night / "night.jsonl", *model, "--terminal")
    assert done.output.count(terminal.UPPER_HALF) >= 80 * 30


@pytest.mark.parametrize(
    ("is_terminal", "environment", "colour"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": ""}, True),
    ],
)
def test_colours_are_for_terminals(is_terminal, environment, colour):
    assert terminal.has_colour(is_terminal, environment) is colour


@pytest.mark.parametrize(
    ("model_input_px", "outside"),
    [
        ((-9.0, 2.0, -1.0, 4.0), True),
        ((-9.0, 2.0, 1.0, 4.0), False),
        ((101.0, 3.0), True),
        ((5.0, 51.0, 9.0, 99.0), True),
        ((100.0, 50.0), False),
    ],
)
def test_a_mark_that_cannot_be_seen_is_outside(model_input_px, outside):
    assert drawing.is_outside(Mark(1, "", 0, model_input_px, model_input_px, model_input_px, (1, 1)), (100, 50)) is outside


def test_colours_tell_labels_apart():
    marks = [Mark(number, label, 0, (), (), (), (1, 1)) for number, label in enumerate(["a", "b", "a", "", ""])]
    colours = [colour for _, colour in drawing.coloured(marks)]
    assert colours[0] == colours[2]
    assert len(set(colours)) == 4


def test_the_real_command_in_a_terminal(night, model, tmp_path):
    """A pseudo-terminal: colours, underlined answers, half blocks; stdout of the other streams stays clean."""
    import pty

    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "groundswift.cli", "show", str(night / "night.jsonl"), *model]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    running = subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=subprocess.PIPE, env=environment)
    os.close(theirs)
    output = b""
    with suppress(OSError):  # the other end is closed
        while piece := os.read(mine, 65536):
            output += piece
    errors = running.communicate()[1].decode()
    text = output.decode()
    assert running.returncode == 0, errors
    assert terminal.LOSS_STYLE in text
    assert ">>>" not in text
    assert text.count(terminal.UPPER_HALF) >= 100 * 30
    assert text.rstrip().endswith("wrote show-1.png")
    assert "INFO" not in text
    assert (tmp_path / "show-1.png").is_file()
