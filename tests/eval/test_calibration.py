"""Calibration: by hand, and equal to hotcoco's; where it is undefined; and decoders whose log-probabilities are not confidences."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluated import call, loaded, metrics_of, random_set, write_json, write_rows
from test_score_policies import case

from groundswift.eval.box_matching import IS_FP, IS_NOT_COUNTED, IS_TP, coco_evaluation
from groundswift.eval.calibration import calibration_error, reliability, reliability_plot
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.run_check import read_run
from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord, decoder_name, no_confidence, write_record


def test_by_hand():
    scores = np.array([0.95, 0.91, 0.9, 0.15, 0.1, 0.5])
    outcomes = np.array([IS_TP, IS_FP, IS_TP, IS_FP, IS_TP, IS_NOT_COUNTED], dtype=np.uint8)
    bins = reliability(scores, outcomes)
    assert bins == [(2, pytest.approx(0.125), 0.5), (3, pytest.approx(0.92), pytest.approx(2 / 3))]
    assert calibration_error(bins) == pytest.approx((2 * 0.375 + 3 * (0.92 - 2 / 3)) / 5)
    (plot,) = reliability_plot(bins)
    assert (plot.diagonal, plot.lines[0].y) == (True, [0.5, pytest.approx(2 / 3)])


@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_hotcoco(tmp_path, seed):
    truth, predictions = loaded(*random_set(seed, 12, 150, 4), tmp_path)
    evaluation = coco_evaluation(truth, predictions, [100])
    evaluation.evaluate()
    found = evaluate(truth, predictions)
    assert found.summary["ECE"] == pytest.approx(evaluation.calibration()["ece"], abs=1e-12)
    assert [plot.id for plot in found.plots] == ["reliability"]


@pytest.mark.parametrize("scores", [[1.0, 1.0], [0.5, 1.5], [-1.0, 0.5], []], ids=str)
def test_where_it_is_undefined(scores):
    assert reliability(np.array(scores), np.full(len(scores), IS_TP)) == []
    assert (calibration_error([]), reliability_plot([])) == (None, [])


def test_the_commands_have_it(tmp_path):
    truth, rows = case(tmp_path)
    files = (write_rows(tmp_path / "rows.jsonl", rows), "--gt", truth, "--family", "qwen2_vl", "--no-report")
    call("coco-map", *files, "--score", "logprob", "--out", tmp_path / "a")
    call("detection", *files, "--score", "logprob", "--out", tmp_path / "b")
    assert metrics_of(tmp_path / "a")["ECE"] == metrics_of(tmp_path / "b")["ece"] > 0
    assert {"reliability", "f1-by-score"} == {plot.id for plot in read_run(tmp_path / "b").plots}
    call("coco-map", *files, "--out", tmp_path / "c")
    assert "ECE" not in metrics_of(tmp_path / "c")
    call("compare", tmp_path / "a", tmp_path / "c", "--out", tmp_path / "both")
    assert json.loads((tmp_path / "both" / "summary.json").read_text())["a"]["ECE"] > 0


def test_names_of_decoders():
    names = [decoder_name("transformers"), decoder_name("transformers", 4), decoder_name("vllm", speculative=True), decoder_name("sglang")]
    assert names == ["transformers", "transformers, beam search of 4", "vllm, speculative decoding", "sglang"]
    assert [no_confidence(name) is None for name in (*names, None, decoder_name("x", diffusion=True))] == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("decoder", "reason"),
    [
        (None, None),
        ("vllm", None),
        ("transformers, beam search of 4", "beam search compares whole answers"),
        ("sglang", "SGLang"),
        ("vllm, speculative decoding", "a draft model"),
        ("transformers, diffusion", "a diffusion model"),
    ],
)
def test_log_probabilities_of_other_decoders_are_refused(tmp_path, decoder, reason):
    truth, rows = case(tmp_path)
    result = write_rows(tmp_path / "rows.jsonl", rows)
    record = RunRecord(
        family="qwen2_vl",
        template="qwen2_vl_grounding",
        grammar="qwen2_tokens",
        space="norm1000",
        limits=Limits(),
        versions={},
        decoder=decoder,
    )
    write_record(tmp_path / "rows.jsonl.run.json", record)
    words = ("coco-map", result, "--gt", truth, "--no-report", "--out", tmp_path / "out")
    done = call(*words, "--score", "logprob", code=0 if reason is None else 1)
    if reason is not None:
        assert f"--score logprob: the decoder was {decoder}, and " in done.output
        assert reason in done.output
        call(*words, "--score", "order")
    assert metrics_of(tmp_path / "out")["protocol"].get("decoder") == decoder
    assert write_json(tmp_path / "x", 1)
