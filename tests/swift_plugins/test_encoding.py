"""A model's template without its weights, and a row as the model gets it: for every family of the zoo, and every way to go wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from clips import write_clip
from rows import detection, noise
from zoo import KINDS

from groundswift import resized_wh
from groundswift.data_converters.rows.lint.video_readers import missing_reader
from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.tools.encoding import NO_LOSS, Encoded, encoded, open_template
from groundswift.swift_plugins.tools.quiet import quiet
from groundswift.swift_plugins.tools.show.encoded_boxes import image_tokens, parse_boxes, parts_of

RUN = {"model_type": "qwen2_vl", "template": "qwen2_vl_grounding"}
SIZE_WH = (500, 300)
BOXES = [[25.5, 71, 190, 221], [156, 125, 317.25, 271], [0, 0, 500, 300]]


@pytest.fixture(scope="module")
def row(tmp_path_factory) -> dict:
    """Three boxes on an image of noise."""
    return detection(noise(tmp_path_factory.mktemp("encoding") / "noise.png", SIZE_WH), ["star", "moon", "all"], BOXES)


def checkpoint(folder: Path, **said: object) -> Path:
    """The folder of a LoRA run, as far as a template needs it."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "args.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_boxes_of_a_row_are_read_back_from_its_tokens(zoo, row, kind):
    before = copy.deepcopy(row)
    template = zoo[kind]
    result = encoded(template, row)
    assert row == before
    assert len(result.input_ids) == len(result.labels)
    assert (result.family, result.sizes_wh) == (KINDS[kind].family, [SIZE_WH])
    assert [image.size for image in result.images] == result.model_input_wh
    assert image_tokens(template, result) > 0
    found = parse_boxes(template, result, parts_of(template, result), row)
    assert [mark.truth_px for mark in found.marks] == [tuple(box) for box in BOXES]
    assert [mark.differs for mark in found.marks] == [False] * 3
    assert ([answer.status for answer in found.answers], found.notes) == (["ok"], [])


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v"])
def test_the_model_input_is_what_its_tokens_count(zoo, row, kind):
    template, factor = zoo[kind], {"qwen3_vl": 32}.get(kind, 28)
    result = encoded(template, row)
    (wide, high) = result.model_input_wh[0]
    assert wide * high // factor**2 == image_tokens(template, result)
    assert result.tiles is None


def test_tiles_are_counted(zoo, row):
    result = encoded(zoo["internvl"], row)
    count, size_wh = result.tiles
    assert count > 1
    assert result.model_input_wh == [SIZE_WH]
    assert size_wh[0] < SIZE_WH[0]


def test_a_square_space_shows_the_padded_image(zoo, row):
    template = zoo["llava1_5"]
    result = encoded(template, row)
    (side, also) = result.model_input_wh[0]
    assert side == also
    for mark in parse_boxes(template, result, parts_of(template, result), row).marks:
        assert mark.model_input_px == pytest.approx([side * number for number in mark.written])
    pixels = np.asarray(result.images[0])
    assert (pixels[: side // 8] == pixels[0, 0]).all()  # the margin above


def test_tokens_with_loss_come_in_runs():
    result = Encoded([1, 2, 3, 4, 5, 6], [NO_LOSS, 2, 3, NO_LOSS, NO_LOSS, 6], [], [], [], "qwen2_vl")
    assert result.has_loss == [[2, 3], [6]]


def test_nothing_is_printed(models, row, capsys):
    encoded(open_template(str(models["qwen2_vl"]), "qwen2_vl"), row)
    with quiet():
        print("noise")
    assert capsys.readouterr().out == ""


def test_a_named_template_tells_the_type_of_a_model(models):
    made = open_template(str(models["qwen2_vl"]), template="qwen2_vl")
    assert (made.template_meta.template_type, made.model_meta.model_type) == ("qwen2_vl", "qwen2_vl")


def test_limits_of_a_run_hold_and_can_be_replaced(models, row, tmp_path):
    run = checkpoint(tmp_path / "run", **RUN, model=str(models["qwen2_vl"]), max_pixels=20000)
    assert open_template(str(run)).max_pixels == 20000
    assert encoded(open_template(str(run)), row).model_input_wh == [resized_wh(SIZE_WH, "qwen2_vl", first_max_pixels=20000)] == [(168, 112)]
    assert open_template(str(run), max_pixels=30000).max_pixels == 30000


def test_the_system_text_of_a_run_is_in_its_tokens(models, row, tmp_path):
    made = open_template(str(checkpoint(tmp_path / "run", **RUN, model=str(models["qwen2_vl"]), system="You point.")))
    assert "You point." in made.tokenizer.decode(encoded(made, row).input_ids)


def test_a_full_checkpoint_is_its_own_model(models, tmp_path):
    for path in models["qwen2_vl"].glob("*.json*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "args.json").write_text(json.dumps({"model": "gone", **RUN}))
    assert open_template(str(tmp_path)).model_info.model_dir == str(tmp_path)


def test_an_empty_thought_has_no_loss_as_in_training(zoo, row):
    """swift adds it before answers of models that may think, and `swift sft` drops it from the loss."""
    made = open_template(str(zoo.folder("qwen3_5")), "qwen3_5", "qwen3_5_grounding")
    result = encoded(made, row)
    assert "<think>" in made.tokenizer.decode(result.input_ids)
    assert "<think>" not in "".join(made.tokenizer.decode(run) for run in result.has_loss)


UNCLEAR = {  # arguments of open_template -> what is said
    "several templates": ({"model": "qwen2_5_vl", "model_type": "qwen2_5_vl"}, "one of qwen2_5_vl_grounding, mimo_vl_grounding"),
    "several types": ({"model": "paddleocr_vl"}, "--model-type, one of paddle_ocr, paddleocr_vl"),
    "no grounding template": ({"model": "qwen2_vl", "model_type": "qwen2_gme"}, "qwen2_gme: has no grounding template"),
    "unknown type": ({"model": "qwen2_vl", "model_type": "qwen_2vl"}, "unknown model type; expected for example .*qwen2_vl"),
    "template of no family": ({"model": "qwen2_vl", "model_type": "qwen2_vl", "template": "qwen"}, "not in the table of families"),
    "unknown template": ({"model": "qwen2_vl", "template": "qwen2_vl_groundin"}, "for example qwen2_vl_grounding"),
}


@pytest.mark.parametrize(("arguments", "said"), UNCLEAR.values(), ids=UNCLEAR)
def test_what_is_not_clear_is_asked(models, zoo, arguments, said):
    folder = models.get(arguments["model"]) or zoo.folder(arguments["model"])
    with pytest.raises(GroundswiftError, match=said):
        open_template(**{**arguments, "model": str(folder)})


def test_the_one_type_that_answers_is_taken(models):
    """Qwen2-VL's class is also that of an embedding model, for which no template writes boxes."""
    assert open_template(str(models["qwen2_vl"])).model_meta.model_type == "qwen2_vl"


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (None, "run: no such folder"),
        ("", "cannot load its processor"),
        ("{", "args.json: cannot be read"),
        ("{}", "args.json: names no model"),
        ('{"model": "./tiny", "template": "qwen2_vl_grounding"}', "model not found: ./tiny"),
    ],
)
def test_a_folder_that_is_no_model_is_named(plugin, tmp_path, held, message):
    run = tmp_path / "run"
    if held is not None:
        run.mkdir()
    if held:
        (run / "args.json").write_text(held)
    with pytest.raises(GroundswiftError, match=message):
        open_template(str(run), "qwen2_vl")


PROBLEMS = {
    "image missing": ({"images": ["gone.png"]}, "gone.png: no such image"),
    "box outside": ({"objects": {"ref": ["a"] * 3, "bbox": [[0, 0, 900, 9]] * 3}}, "outside its image"),
    "boxes of text": ({"objects": {"ref": ["a"] * 3, "bbox": [["1", "2", "3", "4"]] * 3}}, "box-not-number"),
    "no messages": ({"messages": []}, "swift cannot encode this row"),
}


@pytest.mark.parametrize(("change", "said"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_row_that_cannot_be_encoded_is_reported(zoo, row, change, said):
    with pytest.raises(GroundswiftError, match=said):
        encoded(zoo["qwen2_vl"], {**row, **change})


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("videos") / "clip.mp4"))


def test_this_environment_has_a_reader():
    assert missing_reader() is None


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_video_is_read(zoo, clip, kind):
    messages = [{"role": "user", "content": "<video>What happens?"}, {"role": "assistant", "content": "It gets lighter."}]
    template = zoo[kind]
    result = encoded(template, {"messages": messages, "videos": [clip]})
    video_tokens = result.input_ids.count(template.processor.video_token_id)
    assert video_tokens > 1
