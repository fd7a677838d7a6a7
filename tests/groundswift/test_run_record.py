"""The record of a run: written, found again, read, and compared."""

import json

import pytest

from groundswift.errors import GroundswiftError
from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord, differing_limits, read_record, record_of_folder, record_of_result, write_record

RECORD = RunRecord(
    family="qwen2_5_vl",
    template="qwen2_5_vl_grounding",
    grammar="json_bbox_2d",
    space="resized_px",
    limits=Limits(3136, 100_352, None),
    versions={"ms-swift": "4.6.0"},
)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "record.json"
    write_record(path, RECORD)
    assert read_record(path) == RECORD
    assert json.loads(path.read_text())["limits"] == {"min_pixels": 3136, "max_pixels": 100352, "first_max_pixels": None}


def changed(**fields):
    kept = {name: getattr(RECORD, name) for name in RECORD.__struct_fields__ if name != "limits"}
    return json.dumps({**kept, **fields})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(None, "cannot be read (No such file or directory)", id="missing"),
        pytest.param("", "is not a record of a run", id="empty"),
        pytest.param("[]", "is not a record of a run", id="a list"),
        pytest.param("\udcff", "is not a record of a run", id="no text"),
        pytest.param("{}", "missing required field", id="no fields"),
        pytest.param(changed(), "missing required field `limits`", id="no limits"),
        pytest.param(changed(limits={"max_pixels": "many"}), "Expected `int | null`, got `str`", id="limit in words"),
        pytest.param(changed(limits={}, family="qwen9"), "unknown model family 'qwen9'", id="unknown family"),
        pytest.param(changed(limits={}, space="norm9"), "unknown coordinate space 'norm9'", id="unknown space"),
        pytest.param(changed(limits={}, format=2), "is of format 2; expected format 1 at most", id="later format"),
    ],
)
def test_a_record_that_cannot_be_used_says_where_and_why(tmp_path, text, message):
    path = tmp_path / "record.json"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(GroundswiftError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("files", "result", "found"),
    [
        pytest.param([], "result.jsonl", None, id="none"),
        pytest.param(["result.jsonl.run.json"], "result.jsonl", "result.jsonl.run.json", id="next to it"),
        pytest.param(["other.jsonl.run.json", "groundswift_run.json"], "result.jsonl", None, id="of another"),
        pytest.param(["groundswift_run.json"], "predict.jsonl", "groundswift_run.json", id="training's own answers"),
        pytest.param(["groundswift_run.json", "predict.jsonl.run.json"], "predict.jsonl", "predict.jsonl.run.json", id="its own first"),
    ],
)
def test_the_record_of_a_result_is_next_to_it(tmp_path, files, result, found):
    for name in files:
        (tmp_path / name).touch()
    assert record_of_result(tmp_path / result) == (tmp_path / found if found else None)


def test_the_record_of_a_folder(tmp_path):
    assert record_of_folder(tmp_path) is None
    assert record_of_folder("Qwen/Qwen2.5-VL-7B-Instruct") is None
    (tmp_path / "groundswift_run.json").touch()
    assert record_of_folder(str(tmp_path)) == tmp_path / "groundswift_run.json"


@pytest.mark.parametrize(
    ("one", "other", "family", "differing"),
    [
        pytest.param(Limits(), Limits(3136, 12845056, 0), "qwen2_5_vl", {}, id="defaults and their values"),
        pytest.param(Limits(max_pixels=100_352), Limits(max_pixels=100_400), "qwen2_5_vl", {}, id="the same whole tokens"),
        pytest.param(Limits(max_pixels=100_352), Limits(), "qwen2_5_vl", {"max_pixels": (100352, 12845056)}, id="most"),
        pytest.param(Limits(784, None, 9), Limits(0), "qwen2_vl", {"min_pixels": (784, 0), "first_max_pixels": (9, None)}, id="two"),
        pytest.param(Limits(None, None, 9), Limits(), "internvl", {"first_max_pixels": (9, None)}, id="no resize of the family"),
    ],
)
def test_limits_are_compared_as_they_are_in_force(one, other, family, differing):
    assert differing_limits(one, other, family) == differing
