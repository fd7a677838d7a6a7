"""Result files of `swift infer`: exporters ask whether the model's answers or the truth is meant, and write that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from converted import run, write_lines
from PIL import Image

from groundswift import Located, format_answer, from_original_px, resized_wh
from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord, write_record

SIZE_WH = (640, 480)
TRUTH = [("cat", [0, 0, 320, 240]), ("dog", [320, 240, 640, 480])]
SAID = [("dog", [64, 48, 128, 96]), ("cat", [320, 240, 640, 480])]


NO_LIMITS = Limits(None, None, None)


def answer(objects, family: str, limits: Limits = NO_LIMITS) -> str:
    model_input_wh = resized_wh(SIZE_WH, family, limits.min_pixels, limits.max_pixels) if family == "qwen2_5_vl" else None
    placed = [(label, from_original_px([box], family, SIZE_WH, model_input_wh)[0].tolist()) for label, box in objects]
    return format_answer([Located(label, tuple(box)) for label, box in placed], family)


def result(response: str, sample_id=7, **more) -> dict:
    """A row as swift infer writes it."""
    messages = [{"role": "user", "content": "<image>find all"}, {"role": "assistant", "content": response}]
    objects = {"ref": [label for label, _ in TRUTH], "bbox": [box for _, box in TRUTH], "bbox_type": "real"}
    labels = "<ref-object><bbox><ref-object><bbox>"
    row = {"response": response, "labels": labels, "logprobs": None, "messages": messages, "images": [{"bytes": None, "path": "a.png"}]}
    return row | {"objects": objects, "sample_id": sample_id, "size_wh": list(SIZE_WH)} | more


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", SIZE_WH).save("a.png")
    return tmp_path


def boxes_of(path: Path) -> list[tuple[str, list[float]]]:
    """(class, xyxy) of every annotation."""
    coco = json.loads(path.read_text())
    names = {each["id"]: each["name"] for each in coco["categories"]}
    found = [(names[each["category_id"]], each["bbox"]) for each in coco["annotations"]]
    return [(name, [x, y, x + width, y + height]) for name, (x, y, width, height) in found]


@pytest.mark.parametrize("form", ["to-coco", "to-yolo", "to-shikra", "to-glm4v", "to-phi3v"])
def test_a_result_file_is_refused_until_it_is_said_what_is_meant(folder, form):
    data = write_lines(folder / "result.jsonl", result(answer(SAID, "qwen2_vl")))
    done = run("convert", form, data, "--out", folder / "out")
    assert done.exit_code == 1
    assert "with a response of the model and the ground truth; expected --truth" in done.output
    assert not (folder / "out").exists()
    assert run("convert", form, data, "--truth", "--out", folder / "out").exit_code == 0


@pytest.mark.parametrize("response", [answer(SAID, "qwen2_vl"), "None", "<ref-object><bbox>", ""])
def test_the_truth_is_the_truth_whatever_was_said(folder, response):
    data = write_lines(folder / "result.jsonl", result(response))
    assert run("convert", "to-coco", data, "--truth", "--out", folder / "out.json").exit_code == 0
    assert boxes_of(folder / "out.json") == TRUTH
    assert json.loads((folder / "out.json").read_text())["info"] == {"boxes": "truth"}


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl", "glm4v", "paligemma", "internvl"])
def test_answers_are_what_the_model_said(folder, family):
    data = write_lines(folder / "result.jsonl", result(answer(SAID, family)))
    done = run("convert", "to-coco", data, "--answers", "--family", family, "--out", folder / "out.json")
    assert done.exit_code == 0, done.output
    for (label, box), (wanted, expected) in zip(boxes_of(folder / "out.json"), SAID, strict=True):
        assert label == wanted
        assert box == pytest.approx(expected, abs=1)
    info = json.loads((folder / "out.json").read_text())["info"]
    assert (info["boxes"], info["family"], info["declared_by"]) == ("answers of a model", family, "options")


def test_the_record_of_the_run_says_how_answers_are_read(folder):
    limits = Limits(3136, 100352, None)
    data = write_lines(folder / "result.jsonl", result(answer(SAID, "qwen2_5_vl", limits)))
    assert "never guessed" in run("convert", "to-coco", data, "--answers", "--out", folder / "out.json").output
    done = run("convert", "to-coco", data, "--answers", "--family", "qwen2_5_vl", "--out", folder / "out.json")
    assert "expected --min-pixels and --max-pixels" in done.output
    record = RunRecord(family="qwen2_5_vl", template="t", grammar="json_bbox_2d", space="resized_px", limits=limits, versions={})
    write_record(folder / "result.jsonl.run.json", record)
    assert run("convert", "to-coco", data, "--answers", "--out", folder / "out.json").exit_code == 0
    assert [box for _, box in boxes_of(folder / "out.json")] == [pytest.approx(box, abs=2) for _, box in SAID]
    assert json.loads((folder / "out.json").read_text())["info"]["declared_by"] == "run record"
    done = run("convert", "to-coco", data, "--answers", "--family", "qwen3_vl", "--out", folder / "out.json")
    assert "says qwen2_5_vl, --family qwen3_vl" in done.output


def test_results_are_scored_as_the_answers_are(folder):
    data = write_lines(folder / "result.jsonl", result(answer(SAID, "qwen2_vl")))
    run("convert", "to-coco", data, "--truth", "--out", folder / "gt.json")
    options = ("--answers", "--family", "qwen2_vl", "--categories", folder / "gt.json", "--form", "results")
    assert run("convert", "to-coco", data, *options, "--out", folder / "predictions.json").exit_code == 0
    found = json.loads((folder / "predictions.json").read_text())
    assert [(each["image_id"], each["category_id"], each["score"]) for each in found] == [(7, 2, 1.0), (7, 1, 1.0)]
    options = ("--gt", folder / "gt.json", "--json", "--no-report")
    by_boxes = run("eval", "coco-map", "--predictions", folder / "predictions.json", *options, "--out", folder / "a")
    by_text = run("eval", "coco-map", data, "--family", "qwen2_vl", *options, "--out", folder / "b")
    assert json.loads(by_boxes.stdout)["AP"] == json.loads(by_text.stdout)["AP"]


@pytest.mark.parametrize(
    ("sample_id", "image_id"), [(7, 7), ("7", 7), ("-3", -3), ("x/7", None), ("07", None), ("7.5", None), ("", None), (None, None)]
)
def test_results_have_the_ids_of_the_ground_truth(folder, sample_id, image_id):
    """Mixes and streams have ids as text; an image that was numbered would be another one in the ground truth."""
    data = write_lines(folder / "result.jsonl", result(answer(SAID, "qwen2_vl"), sample_id))
    options = ("convert", "to-coco", data, "--answers", "--family", "qwen2_vl")
    done = run(*options, "--form", "results", "--out", folder / "predictions.json")
    if image_id is None:
        assert done.exit_code == 1
        assert "expected one whole number for each image, or --form annotations" in done.output
        assert run(*options, "--out", folder / "predictions.json").exit_code == 0
    else:
        assert {each["image_id"] for each in json.loads((folder / "predictions.json").read_text())} == {image_id}


def test_what_cannot_be_used_is_counted(folder):
    said = answer([*SAID, ("cow", [1, 1, 99, 99])], "qwen2_vl")
    rows = [result(said), result("I see a cat.", 8), result("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(1", 9)]
    data = write_lines(folder / "result.jsonl", *rows)
    (folder / "names.txt").write_text("cat\ndog\n")
    options = ("--answers", "--family", "qwen2_vl", "--categories", folder / "names.txt", "--json")
    counts = json.loads(run("convert", "to-coco", data, *options, "--out", folder / "out.json").stdout)["counts"]
    assert counts["answer-label-unknown"] == 1
    assert counts["answer-unreadable"] == 1
    assert counts["answer-truncated"] == 1


def test_options_that_contradict_each_other_are_refused(folder):
    data = write_lines(folder / "result.jsonl", result("None"))
    for options, text in (
        (("--answers", "--truth"), "exclude each other"),
        (("--family", "qwen2_vl"), "expected --answers too"),
        (("--form", "results", "--truth"), "needs --answers"),
    ):
        done = run("convert", "to-coco", data, *options, "--out", folder / "out.json")
        assert (done.exit_code, text in done.output) == (1, True), done.output


def test_mix_split_and_lint_say_what_they_read(folder):
    data = write_lines(folder / "result.jsonl", result("None"), result("None", 8, images=["b.png"]))
    assert "2  result-row" in run("mix", data, "--out", folder / "mix.jsonl").output
    assert "2  result-row" in run("split", data, "--parts", "a=0.5", "b=0.5", "--dry-run").output
    assert json.loads(run("lint", data, "--no-check-images", "--json").stdout)["rules"]["result-row"]["count"] == 2
