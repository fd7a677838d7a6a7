"""An answer in original pixels, by the record of its run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from groundswift import from_original_px, resized_wh
from groundswift.answer_px import answer_in_px, record_of_model
from groundswift.answers import Located
from groundswift.errors import GroundswiftError
from groundswift.family import family_row
from groundswift.grammars.registry import format_answer
from groundswift.image_resize import Limits
from groundswift.run_record import FOLDER_RECORD, RunRecord, write_record

SIZE = (640, 480)
BOX = (100.0, 120.0, 300.0, 400.0)


def record(family: str, **limits: int) -> RunRecord:
    """A run of a family under pixel limits."""
    row = family_row(family)
    return RunRecord(family=family, template="x", grammar=row.grammar, space=row.space, limits=Limits(**limits), versions={})


def text_of(family: str, boxes: list[tuple[float, ...]], **limits: int) -> str:
    """What a model that sees everything would answer."""
    resized = resized_wh(SIZE, family, **limits) if family_row(family).resize_factor else None
    written = from_original_px(boxes, family, SIZE, resized)
    return format_answer([Located("cat", tuple(box)) for box in written.tolist()], family)


@pytest.mark.parametrize("limits", [{}, {"max_pixels": 100352}, {"min_pixels": 802816, "max_pixels": 1605632}])
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl", "paligemma", "llava"])
def test_boxes_come_back_in_pixels(family, limits):
    answer = answer_in_px(text_of(family, [BOX], **limits), record(family, **limits), SIZE)
    (found,) = answer.objects
    quantum = max(SIZE) / 90 if family == "llava" else 2  # llava writes two decimals
    assert found.box == pytest.approx(BOX, abs=max(quantum, 640 / 300))
    assert answer.status == "ok"


def test_the_limits_of_the_run_are_what_counts():
    text = text_of("qwen2_5_vl", [BOX], max_pixels=100352)
    right = answer_in_px(text, record("qwen2_5_vl", max_pixels=100352), SIZE).objects[0].box
    wrong = answer_in_px(text, record("qwen2_5_vl"), SIZE).objects[0].box
    assert right == pytest.approx(BOX, abs=2)
    assert wrong != pytest.approx(BOX, abs=20)


def test_a_box_is_clipped_at_the_border_and_a_point_is_placed():
    run = record("qwen2_vl")
    answer = answer_in_px("<|box_start|>(900,900),(1200,1300)<|box_end|><|box_start|>(500,500)<|box_end|>", run, SIZE)
    assert answer.objects[0].box == pytest.approx((576, 432, 640, 480))
    assert answer.objects[1].point == pytest.approx((320, 240))


@pytest.mark.parametrize("text", ["", "None", "no idea", "<|box_start|>(1,2"])
def test_an_answer_without_boxes_has_its_status(text):
    answer = answer_in_px(text, record("qwen2_5_vl"), SIZE, cut=True)
    assert answer.objects == []
    assert answer.status in ("truncated", "unreadable")


def test_the_record_of_a_model(tmp_path):
    with pytest.raises(GroundswiftError, match=r"has no groundswift_run.json; expected a checkpoint"):
        record_of_model(tmp_path)
    run = replace(record("qwen2_5_vl"), limits=Limits(3136, 12544))
    write_record(tmp_path / FOLDER_RECORD, run)
    assert record_of_model(tmp_path) == run
