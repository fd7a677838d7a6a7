"""Video answering: the accuracy of choices by task and duration, intervals over videos, judges."""

from __future__ import annotations

import pytest
from judge_server import judge_server
from text_rows import scored, text_row

QUESTION = "<video>What happens? A. it rains B. it snows\nC. nothing"


def video_row(number, response, truth, video, **more):
    turns = [{"role": "user", "content": QUESTION}]
    return text_row(number, response, truth, images=None, videos=[video], messages=turns, **more)


ROWS = [
    video_row("1-1", "B", "B", "1.mp4", task="action", duration="short"),
    video_row("1-2", "Answer: A", "A", "1.mp4", task="order", duration="short"),
    video_row("2-1", "it snows", "C", ["2/0.jpg", "2/1.jpg"], task="action", duration="long"),
    video_row("2-2", "I cannot tell", "A", ["2/0.jpg", "2/1.jpg"], task="order", duration="long"),
]


def test_choices_by_task_and_duration(tmp_path):
    found = scored("video-answering", tmp_path, ROWS, "--group-by", "task", "--group-by", "duration")
    assert (found["choice"], next(iter(found))) == (0.5, "choice")
    groups = {group: (each["choice"], each["samples"]) for group, each in found["per_class"].items()}
    assert groups == {"duration: long": (0, 2), "duration: short": (1, 2), "task: action": (0.5, 2), "task: order": (0.5, 2)}
    assert found["protocol"]["choices"] == "letters"
    assert found["counts"]["choice_unreadable"] == 1
    assert [image["file_name"] for image in found["images"]] == ["1.mp4", "1.mp4", "2/0.jpg", "2/0.jpg"]
    assert found["images"][0]["question"] == "What happens? A. it rains B. it snows C. nothing"


def test_all_questions_about_a_video_are_drawn_together(tmp_path):
    rows = [video_row(f"{video}-{n}", "A" if video else "B", "A", f"{video}.mp4") for video in range(2) for n in range(50)]
    found = scored("video-answering", tmp_path, rows)
    assert found["choice"] == 0.5
    assert found["intervals"]["choice"] == pytest.approx([0, 1]), "two videos, not 100 questions"


def test_a_judge(tmp_path):
    with judge_server() as server:
        found = scored("video-answering", tmp_path, ROWS[:1], "--judge-url", server.url, "--judge-model", "strict")
    assert found["judge"] == 1
