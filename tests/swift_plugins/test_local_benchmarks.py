"""Benchmarks by name from local copies: evalscope's adapters give the evaluator's numbers; a whole `swift eval`, and a training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import run
from evaluated import call, metrics_of, write_json
from flickr30k_fixture import GUYS, write_flickr30k
from refcoco_fixture import draw, write_refer
from rows import read_rows
from test_served_commands import SECONDS, log_of, needs, swift
from tiny_run import MODEL, sft, written
from web_site import free_port

from groundswift import Located, format_answer, from_original_px
from groundswift.errors import GroundswiftError
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.ground_truth import read_truth, truth_of_images

RULES = Rules("qwen2_vl")


@pytest.fixture
def adapter_of(plugin, monkeypatch):
    """One of our benchmarks as evalscope makes it."""
    needs("evalscope")
    from evalscope.api.registry import get_benchmark
    from evalscope.config import TaskConfig

    from groundswift.swift_plugins.grounding.benchmarks import adapter

    adapter.register_benchmarks()
    monkeypatch.setattr(adapter, "_rules", [RULES])

    def made(name: str, folder: Path, limit: int | None = None, **more: Any) -> Any:
        arguments = {"local_path": str(folder), **more}
        return get_benchmark(name, TaskConfig(model="m", datasets=[name], dataset_args={name: arguments}, limit=limit))

    return made


def scored(adapter: Any, subset: str, answer: Any) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """(the numbers of a subset whose questions are answered by `answer(row)`, None for no answer; its rows)."""
    from evalscope.api.metric import SampleScore

    dataset, scores = adapter.load_dataset()[subset], []
    for sample, row in zip(dataset, adapter.rows[subset], strict=True):
        assert "<image>" not in sample.input[0].content[1].text
        assert Path(sample.input[0].content[0].image).is_file()
        if (text := answer(row)) is not None:
            scores.append(SampleScore(score=adapter.match_score(text, text, sample.target, None), sample_metadata=sample.metadata))
    return {each.metric_name: each.score for each in adapter.aggregate_scores(scores[::-1])}, adapter.rows[subset]


def said(row: dict[str, Any], most: int | None = None) -> str:
    """The true answer of a row as Qwen2-VL writes it, its first boxes only."""
    objects = row["objects"] or {"ref": [], "bbox": []}
    boxes = from_original_px(np.array(objects["bbox"]).reshape(-1, 4), "qwen2_vl", tuple(row["size_wh"])).tolist()[:most]
    labels = [*objects["ref"], *[""] * len(boxes)] if "<ref-object>" in row["messages"][-1]["content"] else [""] * len(boxes)
    return format_answer([Located(label, tuple(box)) for label, box in zip(labels, boxes, strict=False)], "qwen2_vl")


@pytest.fixture
def coco_copy(night, tmp_path) -> Path:
    """The drawn set, with a crowd and an EXIF-rotated image, as COCO is unpacked."""
    folder = tmp_path / "coco"
    shutil.copytree(night / "images", folder / "val2017")
    (folder / "annotations").mkdir()
    shutil.copy(night / "annotations.json", folder / "annotations" / "instances_val2017.json")
    return folder


def test_coco_has_the_numbers_of_the_command(adapter_of, coco_copy, tmp_path):
    """Answers with the first box only, and one row without an answer."""
    adapter = adapter_of("groundswift_coco", coco_copy)
    rows: list[dict[str, Any]] = []
    numbers, rows = scored(adapter, "val2017", lambda row: None if row["sample_id"] == 3 else said(row, 1))
    result = [{"response": said(row, 1), "sample_id": row["sample_id"], "size_wh": row["size_wh"]} for row in rows if row["sample_id"] != 3]
    truth = coco_copy / "annotations" / "instances_val2017.json"
    more = ("--family", "qwen2_vl", "--no-report", "--out", tmp_path / "out")
    call("coco-map", written(tmp_path / "result.jsonl", result), "--gt", truth, *more)
    expected = metrics_of(tmp_path / "out")
    assert 0.1 < numbers["AP"] < 0.9
    assert numbers == {name: pytest.approx(expected[name]) for name in numbers}
    assert next(iter(numbers)) == "AP", "evalscope's score is the first number"


def test_a_limit_scores_the_images_that_were_asked(adapter_of, coco_copy):
    numbers, rows = scored(adapter_of("groundswift_coco", coco_copy, limit=2), "val2017", said)
    assert len(rows) == 2
    assert numbers["AP"] == pytest.approx(1)


def test_truth_of_some_images_is_the_truth_of_a_file_with_these_images(night, tmp_path):
    coco = json.loads((night / "annotations.json").read_text())
    ids = [image["id"] for image in coco["images"][1:9:2]]
    part = coco | {"images": [each for each in coco["images"] if each["id"] in ids]}
    part["annotations"] = [each for each in coco["annotations"] if each["image_id"] in ids]
    expected = read_truth(write_json(tmp_path / "part.json", part))
    found = truth_of_images(read_truth(night / "annotations.json"), ids)
    for name in ("image_ids", "file_names", "category_names", "image_index", "category_index", "boxes_xywh_px", "is_crowd", "sizes_wh"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_lvis_is_scored_by_its_own_rules(adapter_of, coco_copy):
    """Images named by coco_url alone; a class that was not looked for in an image does not count."""
    path = coco_copy / "annotations" / "instances_val2017.json"
    coco = json.loads(path.read_text())
    for image in coco["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/val2017/{image.pop('file_name')}"
        image |= {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    coco["annotations"] = [each | {"iscrowd": 0} for each in coco["annotations"] if not each.get("iscrowd")]
    coco["categories"] = [each | {"frequency": "f"} for each in coco["categories"]]
    write_json(coco_copy / "lvis_v1_val.json", coco)
    numbers, rows = scored(adapter_of("groundswift_lvis", coco_copy), "val", said)
    assert numbers["AP"] == numbers["APf"] == pytest.approx(1)
    assert "AR300" in numbers


def test_refcoco_by_split(adapter_of, tmp_path):
    draw(tmp_path / "train2014")
    for name, partition in (("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "umd")):
        write_refer(tmp_path, name, partition=partition)
    adapter = adapter_of("groundswift_refcoco", tmp_path, subset_list=["val", "testA"])
    wrong = "<|box_start|>(0,0),(1,1)<|box_end|>"
    numbers, rows = scored(adapter, "val", lambda row: said(row) if row["sample_id"].endswith("/0") else wrong)
    assert numbers["acc_iou50"] == pytest.approx(sum(row["sample_id"].endswith("/0") for row in rows) / len(rows))
    assert 0 < numbers["acc_iou50"] < 1
    assert [row["sample_id"] for row in adapter.rows["testA"]] == ["refcoco/unc/testA/1/3"]
    for name in ("groundswift_refcoco_plus", "groundswift_refcocog"):
        assert scored(adapter_of(name, tmp_path, subset_list=["val"]), "val", said)[0]["acc_iou50"] == 1


def test_flickr30k_by_phrase(adapter_of, tmp_path):
    write_flickr30k(tmp_path)
    (tmp_path / "images").rename(tmp_path / "flickr30k-images")
    (tmp_path / "test.txt").write_text(f"{GUYS}\n")
    numbers, rows = scored(adapter_of("groundswift_flickr30k", tmp_path), "test", true_phrases)
    assert rows
    assert (numbers["R1"], numbers["R_all"]) == pytest.approx((1, 1))
    assert scored(adapter_of("groundswift_flickr30k", tmp_path), "test", lambda row: "None")[0]["R1"] == 0


def true_phrases(row: dict[str, Any]) -> str:
    """The true phrases of a row, each with its boxes."""
    from groundswift.swift_plugins.grounding.metrics.validation_rows import sample_of

    sample = sample_of(0, row)
    boxes = from_original_px(np.array(sample.boxes_xyxy_px), "qwen2_vl", sample.size_wh).tolist()
    return format_answer([Located(label, tuple(box)) for label, box in zip(sample.labels, boxes, strict=True)], "qwen2_vl")


def test_odinw_is_the_plain_mean_of_its_sets(adapter_of, coco_copy, tmp_path):
    for name in ("Packages/Raw", "pothole"):
        folder = tmp_path / "odinw" / name / "valid"
        shutil.copytree(coco_copy / "val2017", folder)
        shutil.copy(coco_copy / "annotations" / "instances_val2017.json", folder / "annotations_without_background.json")
    adapter = adapter_of("groundswift_odinw13", tmp_path / "odinw", subset_list=["Packages", "pothole"])
    assert scored(adapter, "pothole", said)[0]["AP"] == pytest.approx(1)
    (score,) = [each for each in adapter.aggregate_scores([sample_score()]) if each.metric_name == "AP"]
    assert (score.num, score.score) == (1, 0), "one answer of a set of several images, and it is wrong"


def sample_score() -> Any:
    from evalscope.api.metric import SampleScore, Score

    return SampleScore(score=Score(prediction="None"), sample_metadata={"row": 0, "subset": "Packages"})


REFUSED = {
    "no folder": ("groundswift_coco", "nowhere", {}, "no local copy at '.*nowhere'; expected .*local_path.*instances_val2017.json"),
    "no annotations": ("groundswift_coco", ".", {}, "no annotations; expected annotations/instances_val2017.json"),
    "no folder of REFER": ("groundswift_refcoco", ".", {}, "refcoco: does not exist; expected the folder refcoco"),
    "another subset": ("groundswift_odinw13", ".", {"subset_list": ["Cats"]}, "unknown subset 'Cats'; expected AerialMaritimeDrone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_copy_that_lacks_something_is_refused_in_words(adapter_of, tmp_path, name):
    benchmark, folder, more, message = REFUSED[name]
    with pytest.raises(GroundswiftError, match=message):
        adapter_of(benchmark, tmp_path / folder, **more).load_dataset()


def test_an_unknown_family_is_refused_before_a_question_is_asked(adapter_of, coco_copy, monkeypatch):
    from groundswift.swift_plugins.grounding.benchmarks import adapter

    monkeypatch.setattr(adapter, "_rules", [])
    with pytest.raises(GroundswiftError, match="groundswift_coco: which family writes the answers is not known"):
        adapter_of("groundswift_coco", coco_copy).load_dataset()
    found = adapter_of("groundswift_coco", coco_copy, extra_params={"family": "qwen3_vl"})
    assert found.rules().family == "qwen3_vl"


@pytest.mark.parametrize(("limit", "count"), [(None, 12), (5, 5), (0.5, 6)])
def test_a_limit_may_be_a_share(adapter_of, coco_copy, limit, count):
    assert adapter_of("groundswift_coco", coco_copy, limit=limit).counted(12) == count


# ---------------------------------------------------------------------------------------------------------------------
# whole runs


@pytest.fixture
def toys_copy(toys, tmp_path) -> Path:
    """The first four images of what the embedded model knows, as COCO is unpacked."""
    folder = tmp_path / "toys"
    shutil.copytree(toys / "images", folder / "val2017")
    coco = json.loads((toys / "annotations.json").read_text())
    coco["images"] = coco["images"][:4]
    ids = {image["id"] for image in coco["images"]}
    coco["annotations"] = [each for each in coco["annotations"] if each["image_id"] in ids]
    (folder / "annotations").mkdir()
    write_json(folder / "annotations" / "instances_val2017.json", coco)
    return folder


def test_swift_eval_runs_a_benchmark_to_its_end(plugin, toys_copy, tmp_path):
    """Over the server that it starts on loopback: the report's AP is that of the command on the rows that the server wrote."""
    needs("evalscope")
    arguments = {"groundswift_coco": {"local_path": str(toys_copy)}}
    words = ["--external_plugins", plugin, "--host", "127.0.0.1", "--port", free_port(), "--eval_dataset", "groundswift_coco"]
    words += ["--eval_dataset_args", json.dumps(arguments), "--eval_generation_config", json.dumps({"max_tokens": 160})]
    with swift("eval", *MODEL, *words, "--eval_output_dir", "out", "--result_path", "served.jsonl", folder=tmp_path) as process:
        assert process.wait(SECONDS) == 0, log_of(tmp_path)
    (report,) = (tmp_path / "out").rglob("reports/*/groundswift_coco.json")
    found = {metric["name"]: metric["score"] for metric in json.loads(report.read_text())["metrics"]}
    (predicted,) = (tmp_path / "out").rglob("predictions/*/groundswift_coco_val2017.jsonl")
    answers = {row["index"]: row["model_output"]["choices"][0]["message"]["content"] for row in read_rows(predicted)}
    truth = toys_copy / "annotations" / "instances_val2017.json"
    done = run("convert", "coco", truth, "--images", toys_copy / "val2017", "--out", tmp_path / "asked.jsonl")
    assert done.exit_code == 0, done.output
    asked = read_rows(tmp_path / "asked.jsonl")
    result = [row | {"response": answers[place]} for place, row in enumerate(asked)]
    call("coco-map", written(tmp_path / "r.jsonl", result), "--gt", truth, "--family", "qwen2_vl", "--no-report", "--out", tmp_path / "s")
    expected = metrics_of(tmp_path / "s")
    assert found["AP"] > 0.2
    assert found["AP"] == pytest.approx(expected["AP"], abs=1e-4), "the report has four digits"


def test_a_training_logs_the_benchmark(plugin, toys, toys_copy, tmp_path):
    needs("evalscope")
    more = {"eval_use_evalscope": True, "eval_dataset": "groundswift_coco", "eval_strategy": "steps", "eval_steps": 1}
    more |= {"eval_dataset_args": json.dumps({"groundswift_coco": {"local_path": str(toys_copy)}}), "eval_limit": 2}
    more |= {"eval_generation_config": json.dumps({"max_tokens": 160}), "learning_rate": "1e-12", "save_strategy": "no"}
    logged = sft(plugin, toys / "toys.jsonl", tmp_path / "out", **more)
    (found,) = [entry["test_groundswift_coco"] for entry in logged if "test_groundswift_coco" in entry]
    assert 0.1 < found <= 1
