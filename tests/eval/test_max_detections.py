"""More boxes of a class in an image than count: they are counted, and the limit is an option, the same with both engines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluated import call, loaded, metrics_of, random_set

from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.metrics.coco_numbers import SUMMARY, TIES

CASE = Path(__file__).parents[1] / "cases" / "maxdets"  # 240 objects of one class in one image, and a perfect answer


MANY = ("coco-map", CASE / "many.jsonl", "--gt", CASE / "many.json", "--family", "qwen3_vl")


def score(out: Path, *words: str):
    return call(*MANY, "--out", out, *words), metrics_of(out)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["groundswift", "hotcoco", "pycocotools"])
@pytest.mark.parametrize(
    ("words", "limit", "ap", "beyond"),
    [
        pytest.param([], 100, 42 / 101, 140, id="default"),
        *(
            pytest.param(["--max-detections", str(limit)], limit, ap, beyond, id=str(limit))
            for limit, ap, beyond in [(1, 1 / 101, 239), (50, 21 / 101, 190), (239, 100 / 101, 1), (240, 1, 0), (300, 1, 0)]
        ),
    ],
)
def test_what_is_beyond_the_limit_does_not_count_and_is_said(tmp_path, engine, words, limit, ap, beyond):
    done, found = score(tmp_path / "out", "--engine", engine, *words)
    assert (found["AP"], found["counts"]["beyond_max_detections"]) == (pytest.approx(ap), beyond)
    assert [found[key] for key in ("AR1", "AR10", "AR100")] == pytest.approx([1 / 240, 10 / 240, 100 / 240])
    assert found[f"AR{limit}"] == found["ARm"] == pytest.approx(min(limit, 240) / 240)
    assert found["protocol"]["max_detections_of_ap"] == limit
    assert (f"{beyond} predictions beyond {limit} per class and image do not count (--max-detections)\n" in done.stdout) == (beyond > 0)
    assert f"area=   all | maxDets={limit:>3d} ] = {ap:.3f}" in done.stdout
    said = "prediction beyond the limit per class and image (LVIS: per image): does not count"
    assert (said in (tmp_path / "out" / "report.html").read_text()) == (beyond > 0)


@pytest.mark.long
@pytest.mark.parametrize("limit", [1, 7, 100, 150, 1000])
@pytest.mark.parametrize("seed", [0, 1])
def test_all_engines_agree_at_every_limit(tmp_path, seed, limit):
    truth, predictions = loaded(*random_set(seed, 2, 800, 2, 0.25), tmp_path)
    first, second, third = (evaluate(truth, predictions, engine, limit) for engine in ("groundswift", "hotcoco", "pycocotools"))
    assert first.summary == second.summary == third.summary
    assert first.counts["beyond_max_detections"] > 0 or limit == 1000
    assert list(first.summary)[:9] == list(SUMMARY)[:9]
    assert f"AR{limit}" in first.summary
    assert ([key for key in first.summary if key != "ECE"] == [*SUMMARY, *TIES]) == (limit in (1, 100))


def test_the_number_of_a_limit_of_its_own_is_compared(tmp_path):
    score(tmp_path / "a")
    score(tmp_path / "b", "--max-detections", "300")
    lines = call("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "both").stdout.splitlines()
    assert ["AR300", "-", "1.000", "-"] in [line.split() for line in lines]
    assert list(json.loads((tmp_path / "both" / "summary.json").read_text())["b"]) == [
        *SUMMARY,
        "AR300",
        *TIES[:9],
        "AR300_ties",
        *TIES[9:],
        "AP_ceiling",
    ]
