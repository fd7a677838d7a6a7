"""Evaluation while training in batches: the answers of one row at a time, in the order of the rows, whatever is among them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rows import detection, read_rows
from swift.infer_engine import RequestConfig, TransformersEngine
from swift.metrics import eval_metrics_map
from swift.metrics.base import EvalMetrics
from tiny_run import evaluation_of, sft, sft_process, unreadable, written

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.grounding.metrics.batched_answers import in_batches, rows_in_a_batch, token_budget
from groundswift.swift_plugins.grounding.metrics.unanswered import tolerant

METRIC = {"predict_with_generate": True, "eval_metric": "coco_map", "eval_steps": 1, "save_steps": 1, "max_length": 400}
BASICS = METRIC | {"learning_rate": "1e-12", "per_device_train_batch_size": 1}


@pytest.fixture(scope="module")
def mixed(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Known images with one to three objects, a bare box, text without an image, a text about one, and three rows that cannot be read."""
    folder = tmp_path_factory.mktemp("mixed")
    rows = read_rows(toys / "toys.jsonl")
    bare, said = ({**rows[number], "objects": {"ref": [], "bbox": [[9, 9, 60, 60]]}} for number in (0, 1))
    bare["messages"] = [{"role": "user", "content": "<image>Where is it?"}, {"role": "assistant", "content": "<bbox>"}]
    said["messages"] = [{"role": "user", "content": "<image>What is at <bbox>?"}, {"role": "assistant", "content": "A circle."}]
    text = {"messages": [{"role": "user", "content": "Count to two."}, {"role": "assistant", "content": "1 2"}]}
    lost = [detection(path, ["circle"], [[10, 7, 50, 63]]) | {"size_wh": [112, 84]} for path in unreadable(folder)]
    ordered = [lost[0], *rows[:5], bare, text, *rows[5:9], said, *lost[1:], *rows[9:]]
    ordered = [row | {"sample_id": number} for number, row in enumerate(ordered)]
    return written(folder / "val.jsonl", ordered)


def trained(plugin: Path, toys: Path, validation: Path, out: Path, **more: object) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """(the rows of predict.jsonl, what the evaluation logged, without times)."""
    sft(plugin, toys / "toys.jsonl", out, val_dataset=validation, **BASICS, **more)
    return outcome(out)


def outcome(out: Path, number: str = "eval_AP") -> tuple[list[dict[str, Any]], dict[str, float]]:
    logged = evaluation_of(out / "checkpoint-1", number)
    logged = {name: value for name, value in logged.items() if "second" not in name and name not in ("epoch", "eval_runtime")}
    return read_rows(out / "checkpoint-1" / "predict.jsonl"), logged


@pytest.fixture
def batches(plugin, monkeypatch) -> list[int]:
    """The rows of each batch that an engine answers."""
    sizes: list[int] = []
    infer = TransformersEngine._infer
    monkeypatch.setattr(
        TransformersEngine, "_infer", lambda self, rows, *given, **more: sizes.append(len(rows)) or infer(self, rows, *given, **more)
    )
    return sizes


@pytest.mark.long
def test_batches_give_the_answers_and_the_numbers_of_single_rows(plugin, toys, mixed, tmp_path, monkeypatch, batches, warned):
    monkeypatch.setenv("GROUNDSWIFT_EVAL_TOKENS", "0")
    alone = trained(plugin, toys, mixed, tmp_path / "alone")
    count = len(read_rows(mixed))
    assert batches == [1] * count
    for tokens, more, expected in (("", {}, [count]), ("1000", {}, None), ("0", {"per_device_eval_batch_size": 5}, [5, 5, 5, 3])):
        batches.clear()
        monkeypatch.setenv("GROUNDSWIFT_EVAL_TOKENS", tokens)
        together = trained(plugin, toys, mixed, tmp_path / f"together{tokens}", **more)
        assert batches == expected or (expected is None and 1 < max(batches) < count), batches
        assert [row["sample_id"] for row in together[0]] == list(range(count))
        assert together == alone
    assert sum(bool(row.get("error")) for row in alone[0]) == 3
    assert alone[1]["eval_AP"] > 0.3
    assert not [line for line in warned if "at a time" in line]


@pytest.mark.long
@pytest.mark.parametrize(
    ("metric", "number"),
    [("coco_map", "eval_AP"), ("detection_f1", "eval_f1"), ("referring", "eval_mean_iou"), ("ocr", "eval_cer")],
)
def test_two_processes_evaluate_as_one(plugin, toys, tmp_path, metric, number):
    """11 rows over two processes: swift pads them to 12, and one padded row is not scored; one image cannot be read."""
    rows = [answered_by(metric, row) for row in read_rows(toys / "toys.jsonl")[:11]]
    rows[1]["images"] = [str(tmp_path / "missing.png")]
    validation = written(tmp_path / "val.jsonl", rows)
    chosen = BASICS | {"eval_metric": metric}
    sft(plugin, toys / "toys.jsonl", tmp_path / "alone", val_dataset=validation, **chosen)
    alone = outcome(tmp_path / "alone", number)
    said = sft_process(plugin, toys / "toys.jsonl", tmp_path / "two", processes=2, val_dataset=validation, **chosen)
    assert "coco_map: each process answers up to 6 validation rows at a time" in said
    assert json.loads((tmp_path / "two" / "checkpoint-1" / "args.json").read_text())["global_world_size"] == 2
    predicted, logged = outcome(tmp_path / "two", number)
    assert logged == pytest.approx(alone[1])
    assert logged["eval_unanswered_image_missing"] == 1
    if metric == "coco_map":
        one, two = (read_rows(tmp_path / name / "eval_per_class.jsonl") for name in ("alone", "two"))
        assert len(two) == 1, "one process writes it"
        assert two == one
    answers = {row["sample_id"]: row["response"] for row in alone[0]}
    assert {row["sample_id"]: row["response"] for row in predicted} == answers


def answered_by(metric: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row of toys with an answer of the kind that a metric scores: its own, one bare box, or text."""
    if metric not in ("referring", "ocr"):
        return row
    box = [row["objects"]["bbox"][0] if row["objects"]["bbox"] else [9, 9, 60, 60]]
    question, answer = ("Where is it?", "<bbox>") if metric == "referring" else ("Read it.", f"No {row['sample_id']}")
    messages = [{"role": "user", "content": f"<image>{question}"}, {"role": "assistant", "content": answer}]
    return row | {"messages": messages, "objects": {"ref": [], "bbox": box if metric == "referring" else []}}


def test_other_metrics_are_left_alone(plugin, toys, tmp_path, batches, monkeypatch):
    class NoMetric(EvalMetrics):
        def compute_metrics(self, eval_prediction: Any) -> dict[str, float]:
            return {"rows": float(len(eval_prediction.predictions))}

    monkeypatch.setitem(eval_metrics_map, "none", NoMetric)
    metric = BASICS | {"eval_metric": "none", "metric_for_best_model": "rows"}
    sft(plugin, toys / "toys.jsonl", tmp_path / "out", val_dataset=toys / "toys.jsonl", **metric)
    assert batches == [1] * 12


KINDS = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "glm4v", "llava1_5", "llava1_6", "llava_onevision"]
KINDS += ["internvl", "paligemma", "gemma3"]


@pytest.mark.parametrize("kind", KINDS)
def test_families_answer_a_padded_batch_as_they_answer_its_rows(zoo, image_of_size, kind):
    """Questions of several lengths and images of several sizes, longest first, to an untrained model of each family."""
    template = zoo.make_template(kind)
    model = zoo.model(kind)
    sizes = [(112, 84), (84, 84), (168, 112), (112, 112)]
    asked = [
        detection(image_of_size(size), ["cat"] * number, [[1, 1, 50, 60]] * number, "<image>Find" + " it" * number)
        for number, size in enumerate(sizes, 1)
    ]
    asked = [row | {"messages": row["messages"][:1]} for row in asked]
    answers = []
    for rows in (1, 4):
        engine = TransformersEngine(model, template=template, max_batch_size=1)
        engine.infer = tolerant(engine)
        engine.infer = in_batches(engine, rows)
        found = engine.infer([json.loads(json.dumps(row)) for row in asked], RequestConfig(max_tokens=6, temperature=0), use_tqdm=False)
        answers.append([one.choices[0].message.content for one in found])
    assert answers[0] == answers[1]


# ---------------------------------------------------------------------------------------------------------------------
# what happens to a batch that fails


def engine_of(limit: int, error: Exception) -> Any:
    """An engine that answers each row by its number, and fails above a number of rows."""
    engine = SimpleNamespace(max_batch_size=1, sizes=[])

    def infer(requests: list[dict[str, Any]], *given: Any, **more: Any) -> list[str]:
        assert len(requests) <= engine.max_batch_size
        engine.sizes.append(len(requests))
        if len(requests) > limit:
            raise error
        return [f"answer {request['number']}" for request in requests]

    engine.infer = infer
    return engine


ROWS = [
    {"number": number, "objects": {"ref": ["cat"] * boxes, "bbox": [[1, 2, 3, 4]] * boxes}}
    for number, boxes in enumerate([1, 9, 0, 5, 2, 7, 7])
]
ROWS.append({"number": 7, "objects": None})


@pytest.mark.parametrize(
    ("limit", "error", "sizes", "warning"),
    [
        (8, None, [8], None),
        (3, torch.OutOfMemoryError("no room"), [8, 4, 2, 2, 2, 2], "4 validation rows at a time do not fit into memory; continuing with 2"),
        (
            1,
            ValueError("one only"),
            [8] + [1] * 8,
            "8 validation rows at a time cannot be answered (ValueError: one only); continuing with 1",
        ),
    ],
)
def test_a_batch_that_fails_is_answered_in_smaller_ones(plugin, warned, limit, error, sizes, warning):
    engine = engine_of(limit, error)
    answer = in_batches(engine, 8)
    assert answer(ROWS) == [f"answer {number}" for number in range(8)]
    assert engine.sizes == sizes
    assert [line for line in warned if "at a time" in line][-1:] == ([f"coco_map: {warning}"] if warning else [])
    engine.sizes.clear()
    assert answer(ROWS[:2]) == ["answer 0", "answer 1"]
    assert max(engine.sizes) == min(limit, 2)  # it has found what fits


def test_a_single_row_that_fails_ends_the_evaluation_as_ever(plugin):
    with pytest.raises(torch.OutOfMemoryError):
        in_batches(engine_of(0, torch.OutOfMemoryError("no room")), 8)(ROWS)


def test_longer_rows_come_first(plugin):
    engine, seen = engine_of(8, ValueError()), []
    infer = engine.infer
    engine.infer = lambda requests, *given: seen.append([each["number"] for each in requests]) or infer(requests)
    in_batches(engine, 3)(ROWS)
    assert seen == [[1, 5, 6], [3, 4, 0], [2, 7]]


@pytest.mark.parametrize(
    ("tokens", "budget", "rows"), [(100, 16384, 64), (1800, 16384, 9), (20000, 16384, 1), (0, 16384, 64), (500, 1000, 2)]
)
def test_a_budget_of_tokens_says_how_many_rows(plugin, tokens, budget, rows):
    assert rows_in_a_batch(tokens, budget) == rows


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "1e3"])
def test_a_budget_that_is_not_a_number_is_an_error(plugin, monkeypatch, text):
    monkeypatch.setenv("GROUNDSWIFT_EVAL_TOKENS", text)
    with pytest.raises(GroundswiftError, match=r"GROUNDSWIFT_EVAL_TOKENS: .*whole number of tokens, or 0"):
        token_budget()
