"""Images of predictions in TensorBoard: a real training's event file is read back, and its pixels have the boxes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rows import read_rows
from tiny_run import sft, written

from groundswift import Located, format_answer
from groundswift.errors import GroundswiftError
from groundswift.eval.answers.protocol import Rules
from groundswift.swift_plugins.grounding.metrics import prediction_images
from groundswift.swift_plugins.grounding.metrics.prediction_images import FOUND_COLOUR, TRUE_COLOUR, as_code, drawn, image_count, spread
from groundswift.swift_plugins.grounding.metrics.unanswered import Unanswered
from groundswift.swift_plugins.grounding.metrics.validation_rows import LABELLED, Sample

SCORED = {"predict_with_generate": True, "eval_metric": "coco_map", "per_device_eval_batch_size": 4, "learning_rate": "1e-12"}
SCORED |= {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "no"}


def events_of(out: Path) -> Any:
    """What TensorBoard reads from a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = {path.parent for path in out.rglob("events.out.tfevents.*")}
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0})
    return events.Reload()


def pixels_of(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(encoded)).convert("RGB"))


def of_colour(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    """How many pixels have a colour."""
    return int((pixels == np.array(colour)).all(axis=-1).sum())


def test_each_evaluation_of_a_training_draws_the_same_rows(plugin, toys, tmp_path, monkeypatch, warned):
    """Three of 12 rows at two steps; one of them cannot be read, is not drawn, and does not end the run."""
    rows = read_rows(toys / "toys.jsonl")
    rows[4]["images"] = [str(tmp_path / "missing.png")]
    validation = written(tmp_path / "val.jsonl", rows)
    monkeypatch.setenv("GROUNDSWIFT_EVAL_IMAGES", "3")
    more = SCORED | {"report_to": "tensorboard", "max_steps": 2}
    sft(plugin, toys / "toys.jsonl", tmp_path / "out", val_dataset=validation, **more)
    events = events_of(tmp_path / "out")
    assert sorted(tag for tag in events.Tags()["images"]) == ["eval_images/row 0", "eval_images/row 8"]
    assert [event.step for event in events.Images("eval_images/row 0")] == [1, 2]
    pixels = pixels_of(events.Images("eval_images/row 0")[-1].encoded_image_string)
    assert of_colour(pixels, TRUE_COLOUR) > 100
    assert of_colour(pixels, FOUND_COLOUR) > 100
    answer = events.Tensors("eval_answers/row 0/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert "<|box_start|>" in answer
    assert {"eval/AP", "eval/unanswered_image_missing"} <= set(events.Tags()["scalars"])
    assert [event.value for event in events.Scalars("eval/unanswered")] == [1, 1]
    assert any("1 images cannot be drawn; first: row 4: " in line and "missing.png" in line for line in warned)


def test_numbers_of_each_class_are_in_tensorboard_and_in_a_file(plugin, toys, tmp_path):
    more = SCORED | {"report_to": "tensorboard", "callbacks": "groundswift_images"}
    sft(plugin, toys / "toys.jsonl", tmp_path / "out", val_dataset=toys / "toys.jsonl", **more)
    events = events_of(tmp_path / "out")
    (entry,) = read_rows(tmp_path / "out" / "eval_per_class.jsonl")
    assert (entry["step"], entry["metric"]) == (1, "coco_map")
    of_classes = {name: numbers["AP"] for name, numbers in entry["per_class"].items() if numbers["AP"] is not None}
    assert len(of_classes) > 2
    assert {name: events.Scalars(f"eval/AP/{name}")[0].value for name in of_classes} == pytest.approx(of_classes)
    assert len(events.Tags()["images"]) == 8, "the default number"


def test_it_is_refused_without_answers_to_draw(plugin, toys, tmp_path):
    with pytest.raises(GroundswiftError, match="--callbacks groundswift_images draws generated answers: add --predict_with_generate true"):
        sft(plugin, toys / "toys.jsonl", tmp_path / "out", callbacks="groundswift_images")


def test_a_run_without_tensorboard_goes_on_and_says_so(plugin, toys, tmp_path, warned):
    more = SCORED | {"callbacks": "groundswift_images"}
    sft(plugin, toys / "toys.jsonl", tmp_path / "out", val_dataset=f"{toys / 'toys.jsonl'}#2", **more)
    assert any("does not report to TensorBoard, no image is written" in line for line in warned)


SAMPLE = Sample(LABELLED, (2000, 1000), ["cat"], [[200, 100, 1000, 900]])
ANSWER = format_answer([Located("dog", (700, 100, 900, 500))], "qwen2_vl")


def test_true_boxes_are_in_the_left_panel_and_predicted_ones_in_the_right_at_their_places(plugin):
    """An image of half the size that the row states, as the thumbnail of a large one."""
    panels = np.asarray(drawn(Image.new("RGB", (1000, 500)), SAMPLE, ANSWER, Rules("qwen2_vl")))
    right = 1000 + 16
    head = panels.shape[0] - 500
    assert (panels[head + 250, 100:102] == TRUE_COLOUR).all(axis=-1).any(), "the left edge of the true box, 200 px of 2000"
    assert (panels[head + 150, right + 698 : right + 704] == FOUND_COLOUR).all(axis=-1).any(), "that of the answer, 700 of 1000"
    assert of_colour(panels[:, :1000], FOUND_COLOUR) == of_colour(panels[:, right:], TRUE_COLOUR) == 0


@pytest.mark.parametrize("text", [Unanswered("a.png: no such image [image-missing]"), "None", "(((", "<|box_start|>(1,", ""])
def test_answers_without_boxes_are_drawn_without_boxes(plugin, text):
    panels = np.asarray(drawn(Image.new("RGB", (1000, 500)), SAMPLE, text, Rules("qwen2_vl")))
    assert of_colour(panels, TRUE_COLOUR) > 0
    assert of_colour(panels, FOUND_COLOUR) == 0


@pytest.mark.parametrize(("count", "chosen"), [(0, []), (1, [2]), (2, [2, 7]), (5, [2, 5, 7, 9]), (4, [2, 5, 7, 9])])
def test_rows_are_spread_over_the_set(count, chosen):
    assert spread([2, 5, 7, 9], count) == chosen


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "99999", "٣"])
def test_another_number_of_images_is_refused(monkeypatch, text):
    monkeypatch.setenv("GROUNDSWIFT_EVAL_IMAGES", text)
    with pytest.raises(GroundswiftError, match="GROUNDSWIFT_EVAL_IMAGES: .*expected a number of images"):
        image_count()


def test_a_long_answer_is_shortened_and_shown_unchanged():
    assert as_code("# a\n<b>") == "    # a\n    <b>"
    assert as_code("x" * 5000).endswith("... (5,000 characters)")


def test_processes_after_the_first_write_nothing(plugin):
    trainer = SimpleNamespace(coco_map=SimpleNamespace(), callback_handler=None)
    prediction_images.PredictionImages(None, trainer).on_evaluate(None, SimpleNamespace(is_world_process_zero=False), None)
