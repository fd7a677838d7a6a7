"""`groundswift watch` with a detector: a cheap served model is asked first, the watching one only where it fires."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clips import write_alarm_clip
from converted import run
from watch_server import RedServer

FOUND = "<|object_ref_start|>square<|object_ref_end|><|box_start|>(100,200),(500,600)<|box_end|>"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s, red from 1.5 to 2.5 s: frames 9 to 13 of 5 a second."""
    return write_alarm_clip(tmp_path_factory.mktemp("clip") / "drawn.mp4", 4, 1.5, 2.5)


def watch(clip: Path, out: Path, server: RedServer, detector: RedServer, *words: object) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    given = ("--question", "Is the square red?", "--out", out, "--fps", "5", "--no-page", "--json", "--detector-url", detector.url)
    done = run("watch", clip, "--url", server.url, *given, *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.output), [json.loads(line) for line in (out / "verdicts.jsonl").read_text().splitlines()]


def test_the_model_is_asked_only_where_the_detector_fires(tmp_path, clip):
    """And about every frame while an alarm may be going on: it ends with 3 normal verdicts of the model."""
    with RedServer() as server, RedServer(answer=lambda red: FOUND if red else "None") as detector:
        words = ("--detector-question", "Find red squares.", "--detector-on", "box", "--detector-family", "qwen2_vl")
        found, rows = watch(clip, tmp_path / "out", server, detector, *words)
    assert [row["verdict"] for row in rows] == ["undetected"] * 8 + ["alarm"] * 5 + ["normal"] * 3 + ["undetected"] * 4
    assert {question for _, _, question in detector.seen} == {"Find red squares."}
    assert {question for _, _, question in server.seen} == {"Is the square red?"}
    assert (len(server.seen), len(detector.seen)) == (8, 13)
    assert found["counts"] == {"verdict-undetected": 12, "verdict-alarm": 5, "verdict-normal": 3, "alarms": 1}


def test_a_false_proposal_is_refused_by_the_model(tmp_path, clip):
    with RedServer(answer=lambda red: "no") as server, RedServer() as detector:
        found, rows = watch(clip, tmp_path / "out", server, detector)
    assert [row["frame"] for row in rows if row["verdict"] == "normal"] == [9, 10, 11, 12, 13]
    assert "alarms" not in found["counts"]


@pytest.mark.parametrize(
    ("mode", "answer", "counted"),
    [("html", "yes", "detector-server-not-openai"), (413, "yes", "detector-frame-refused"), ("ok", "perhaps", "detector-undecided")],
)
def test_a_detector_that_fails_or_is_undecided_hides_nothing(tmp_path, clip, mode, answer, counted):
    with RedServer() as server, RedServer(answer=lambda red: answer) as detector:
        detector.mode = mode
        found, rows = watch(clip, tmp_path / "out", server, detector, "--detector-model", "red")
    assert [row["verdict"] for row in rows] == ["alarm" if 9 <= row["frame"] <= 13 else "normal" for row in rows]
    assert found["counts"]["alarms"] == 1
    assert found["counts"][counted] == 13  # while an alarm may be going on, it is not asked


def test_options_of_no_detector_are_refused(tmp_path, clip):
    with RedServer() as server:
        words = ("watch", clip, "--url", server.url, "--question", "?", "--out", tmp_path / "out", "--detector-on", "yes")
        done = run(*words)
    assert (done.exit_code, done.output.splitlines()) == (
        1,
        ["error: --detector-on: needs a detector; expected --detector-url, its server"],
    )
