"""What a job is: the fingerprint of a model, the pixel limits in force, the batches, the questions of rows in any form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import detection, noise

from groundswift.errors import GroundswiftError
from groundswift.image_resize import Limits
from groundswift.run_record import FOLDER_RECORD, RunRecord, write_record
from groundswift.swift_plugins.tools.infer import job
from groundswift.swift_plugins.tools.infer.batches import batches_of, expected_tokens
from groundswift.swift_plugins.tools.infer.job import Pixels, differences, job_of, model_fingerprint, pixels_of
from groundswift.swift_plugins.tools.infer.questions import ask_of_images, question_of, read_questions
from groundswift.swift_plugins.tools.infer.server import with_images
from groundswift.swift_plugins.tools.infer.settings import Settings
from groundswift.swift_plugins.tools.infer.workers import shares


def folder_of_model(folder: Path, **files: bytes) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for name, data in files.items():
        (folder / f"{name}.safetensors").write_bytes(data)
    return folder


@pytest.mark.parametrize("at", [0, 250, 999])
def test_a_changed_byte_of_a_weight_changes_the_fingerprint(tmp_path, at):
    data = bytearray(range(250)) * 4
    model = folder_of_model(tmp_path / "m", model=bytes(data))
    before = model_fingerprint(str(model))
    data[at] += 1
    (model / "model.safetensors").write_bytes(bytes(data))
    after = model_fingerprint(str(model))
    assert before != after
    (model / "trainer_state.json").write_text("{}")  # of the training, not of the model
    assert model_fingerprint(str(model)) == after


def test_a_large_file_is_read_in_pieces_from_its_first_to_its_last_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "WHOLE", 1000)
    monkeypatch.setattr(job, "PIECE", 50)
    path = tmp_path / "w"
    path.write_bytes(bytes(range(250)) * 8)
    pieces = job.pieces_of(path)
    assert len(pieces) == job.PIECES
    assert (pieces[0], pieces[-1]) == (path.read_bytes()[:50], path.read_bytes()[-50:])


def test_a_folder_without_a_model_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(GroundswiftError, match="empty: holds no model"):
        model_fingerprint(str(tmp_path / "empty"))


def test_pixel_limits_are_the_options_else_the_environment_else_those_of_the_training(tmp_path, monkeypatch):
    for name in ("MIN_PIXELS", "MAX_PIXELS", "IMAGE_MIN_TOKEN_NUM", "IMAGE_MAX_TOKEN_NUM"):
        monkeypatch.delenv(name, raising=False)
    model = folder_of_model(tmp_path / "m")
    settings = Settings(data="r", out="o", model=str(model))
    assert pixels_of(settings) == Pixels()
    record = RunRecord(family="qwen2_vl", template="t", grammar="g", space="norm1000", limits=Limits(3136, 50176, 70000), versions={})
    write_record(model / FOLDER_RECORD, record)
    assert pixels_of(settings) == Pixels(3136, 50176, 70000, "training")
    monkeypatch.setenv("MAX_PIXELS", "9999")
    assert pixels_of(settings).source == "environment"
    assert job_of(settings, pixels_of(settings))["environment"] == {"MAX_PIXELS": "9999"}
    assert pixels_of(Settings(data="r", out="o", model=str(model), max_pixels=77)) == Pixels(None, 77, None, "options")


def test_differences_name_each_term_with_both_values():
    assert differences({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}) == [
        "a.c 2, now 4",
        "d 3, now null",
        "e null, now 5",
    ]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60), st.sampled_from([None, 1, 3, 64]), st.integers(1, 40_000))
def test_every_question_is_in_one_batch_and_the_longest_come_first(tmp_path_factory, widths, rows, limit):
    questions = [
        question_of({"messages": [{"role": "user", "content": "<image>?"}], "images": ["a"], "size_wh": [width, 700]}, "f:1")
        for width in widths
    ]
    batches = batches_of(questions, Limits(), limit, rows)
    order = [place for batch in batches for place in batch]
    assert sorted(order) == list(range(len(widths)))
    assert max(map(len, batches)) <= (rows or 64)
    tokens = [expected_tokens(questions[place], Limits())[0] for place in order]
    assert tokens == sorted(tokens, reverse=True)


def test_rows_of_any_form_are_questions(tmp_path):
    path = noise(tmp_path / "a.png", (20, 20))
    rows = [
        detection(path, ["cat"], [[1, 2, 3, 4]]) | {"sample_id": 1},
        {"query": "<image>What is it?", "response": "A cat.", "images": [str(path)]},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]},
        {"conversations": [{"from": "human", "value": "<image>Hm?"}, {"from": "gpt", "value": "Yes."}], "image": str(path)},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    questions, dropped = read_questions(str(tmp_path / "rows.jsonl"))
    assert [question.labels for question in questions] == ["<ref-object><bbox>", "A cat.", None, "Yes."]
    assert [question.images for question in questions] == [[str(path)], [str(path)], [], [str(path)]]
    assert [question.request["messages"][-1]["role"] for question in questions] == ["user"] * 4
    assert not dropped


def test_the_content_of_an_image_and_the_question_make_the_fingerprint_not_its_truth(tmp_path):
    path = noise(tmp_path / "a.png", (20, 20))
    row = detection(path, ["cat"], [[1, 2, 3, 4]]) | {"sample_id": 1}
    first = question_of(row, "f:1")
    names = {first.fingerprint("job")}
    moved = tmp_path / "b.png"
    moved.write_bytes(path.read_bytes())
    assert question_of(row | {"images": [str(moved)]}, "f:1").fingerprint("job") in names
    assert question_of(row | {"objects": {"ref": ["dog"], "bbox": [[1, 1, 2, 2]]}}, "f:1").fingerprint("job") in names
    others = [row | {"sample_id": 2}, row | {"chat_template_kwargs": {"max_pixels": 9}}, row | {"images": [str(noise(moved, (20, 20), 1))]}]
    names |= {question_of(other, "f:1").fingerprint("job") for other in others} | {first.fingerprint("another")}
    assert len(names) == 5


def test_images_without_a_place_go_before_the_first_question():
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "one <image> two"}]
    (system, user) = with_images(messages, ["first", "second"])
    assert system["content"] == "s"
    assert [part.get("text") or part["image_url"]["url"] for part in user["content"]] == ["first", "one ", "second", " two"]


def test_classes_are_asked_for_as_convert_does(tmp_path):
    noise(tmp_path / "a.png", (20, 20))
    (question,) = ask_of_images(str(tmp_path), ["cat", 'a "b", c'], language="zh")
    assert question.text == '<image>检测图中所有属于以下类别的物体：cat, "a \\"b\\", c"。'
    with pytest.raises(GroundswiftError, match="unknown field"):
        ask_of_images(str(tmp_path), ["cat"], "Find {classes}.")


@pytest.mark.parametrize(
    ("devices", "count", "expected"),
    [([], 2, [None, None]), (["0", "1", "2", "3"], 2, [["0", "2"], ["1", "3"]]), (["5"], 3, [["5"]] * 3)],
)
def test_gpus_are_shared_out(devices, count, expected):
    assert shares(devices, count) == expected


def test_a_run_that_stopped_before_its_first_answer_binds_nobody(tmp_path):
    out, first, second = tmp_path / "r.jsonl", {"model_type": None}, {"model_type": "qwen2_vl"}
    job.folder_of(out).mkdir()
    job.claim(out, first)
    job.claim(out, second)
    (job.folder_of(out) / "part-0.jsonl").write_text("{}\n")
    with pytest.raises(GroundswiftError, match="holds answers of a different job"):
        job.claim(out, first)
