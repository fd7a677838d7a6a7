"""VideoChatGPT's three subsets as the hubs have them, and the list of VideoInstruct100K."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from talk_fixture import check_problem, error_of, made, ours, write_parquet

from groundswift.data_converters.formats.video_chatgpt import VideoChatGptOptions

GENERIC = {"video_name": "v_p1QGn0IzfW0", "question": "What is it about?", "answer": "A man skis."}
CONSISTENCY = {"video_name": "v_k", "question_1": "What does he do?", "question_2": "What is his sport?", "answer": "He skis."}
INSTRUCT = {"q": "Summarise the video.", "a": "A gymnast performs.", "video_id": "v_k_ZXmr8pmrs"}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "Test_Videos"
    (folder / "sub").mkdir(parents=True)
    for name in ("v_p1QGn0IzfW0.mp4", "v_k.mkv", "v_k.webm", "v_k_ZXmr8pmrs.avi", "sub/x.mov"):
        (folder / name).write_bytes(b"a video")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "dir.mp4").mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path, videos: Path):
    def write(*rows: Any, name: str = "test.json", **options: Any) -> VideoChatGptOptions:
        (tmp_path / name).write_text(json.dumps(list(rows)), encoding="utf-8")
        return VideoChatGptOptions(annotations=str(tmp_path / name), **({"videos": str(videos)} | options))

    return write


def test_generic_and_temporal(source, videos):
    assert made(source(GENERIC, {**GENERIC, "question_1": "None", "question_2": None})) == [
        ours(
            "<video>What is it about?",
            "A man skis.",
            videos=[str(videos / "v_p1QGn0IzfW0.mp4")],
            sample_id=f"test/{number}",
            images=None,
            size_wh=None,
        )
        for number in (1, 2)
    ]


def test_consistency_asks_twice(source, videos):
    rows = made(source(CONSISTENCY))
    assert [(row["sample_id"], row["messages"][0]["content"], row["messages"][1]["content"]) for row in rows] == [
        ("test/1/1", "<video>What does he do?", "He skis."),
        ("test/1/2", "<video>What is his sport?", "He skis."),
    ]
    assert rows[0]["videos"] == rows[1]["videos"] == [str(videos / "v_k.mkv")]


def test_video_instruct(source, videos):
    first, second = made(source(INSTRUCT, {**INSTRUCT, "video_id": "sub/x.mov"}))
    assert first == ours(
        "<video>Summarise the video.",
        "A gymnast performs.",
        videos=[str(videos / "v_k_ZXmr8pmrs.avi")],
        sample_id="test/1",
        images=None,
        size_wh=None,
    )
    assert second["videos"] == [str(videos / "sub/x.mov")]


def test_the_benchmarks_own_files(source):
    """generic_qa.json, temporal_qa.json and consistency_qa.json as their authors publish them."""
    asked, answer = {"video_name": "v_k", "Q": "What is it about?", "A": "He skis."}, {"role": "assistant", "content": "He skis."}
    rows = made(source(asked, {"video_name": "v_k", "Q1": "What does he do?", "Q2": "What is his sport?", "A": "He skis."}))
    assert [(row["sample_id"], row["messages"][0]["content"]) for row in rows] == [
        ("test/1", "<video>What is it about?"),
        ("test/2/1", "<video>What does he do?"),
        ("test/2/2", "<video>What is his sport?"),
    ]
    assert all(row["messages"][1] == answer for row in rows)


def test_the_hubs_parquet(tmp_path, videos):
    path = write_parquet(tmp_path / "Consistency.parquet", CONSISTENCY, CONSISTENCY)
    rows = made(VideoChatGptOptions(annotations=str(path), videos=str(videos)))
    assert [row["sample_id"] for row in rows] == ["Consistency/1/1", "Consistency/1/2", "Consistency/2/1", "Consistency/2/2"]


def test_videos_unchecked(source, tmp_path):
    options = source({**GENERIC, "video_name": "no"}, {**GENERIC, "video_name": "no.avi"}, videos=str(tmp_path / "no"), check_videos=False)
    assert [row["videos"] for row in made(options)] == [[str(tmp_path / "no/no.mp4")], [str(tmp_path / "no/no.avi")]]
    assert "no such folder; expected the folder of the videos" in error_of(source(GENERIC, videos=str(tmp_path / "no")))


@pytest.mark.parametrize(
    ("bad", "reason", "message"),
    [
        ({**GENERIC, "video_name": "no"}, "video-missing", "(no): video not found: no.mp4|.avi|.mkv|.webm|.mov in"),
        ({**GENERIC, "video_name": "no.avi"}, "video-missing", "video not found: no.avi in"),
        ({**GENERIC, "video_name": "dir"}, "video-missing", "video not found: dir.mp4"),
        ({**GENERIC, "video_name": "a\0b"}, "video-path-outside", "the name of a file inside the folder of the videos"),
        ({**GENERIC, "video_name": "empty"}, "video-empty", "empty.mp4 has no bytes; expected a whole file"),
        ({**GENERIC, "video_name": "../test"}, "video-path-outside", "name '../test'"),
        ({**GENERIC, "video_name": "/etc/x"}, "video-path-outside", "name '/etc/x'"),
        ({"question": "Q", "answer": "A"}, "row-incomplete", "no video; expected a video, a question and an answer"),
        ({"video_name": "v_k", "question": "None"}, "row-incomplete", "no question, no answer"),
        ({"video_id": "v_k", "q": "Q"}, "row-incomplete", "no answer"),
        ({**GENERIC, "answer": " "}, "answer-empty", "a blank answer"),
        ({**CONSISTENCY, "question_2": ""}, "question-empty", "a blank question"),
        ({**GENERIC, "question": "<video>What?"}, "text-tag", "the text of user holds <video>"),
        ({**GENERIC, "answer": "<image>"}, "text-tag", "assistant holds <image>"),
    ],
)
def test_problems(source, bad, reason, message):
    check_problem(source(bad, GENERIC), reason, "test.json: row 1", message)
