"""`groundswift infer --url` goes on where it stopped, asks nothing twice, and survives kills at random moments."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from answer_server import AnswerServer
from infer_runs import infer, rows_file, untimed
from rows import noise, read_rows

HELPERS = Path(__file__).resolve().parents[1] / "helpers"


def test_a_second_run_asks_nothing_and_more_rows_are_added(tmp_path):
    data, out = rows_file(tmp_path, 12), tmp_path / "r.jsonl"
    lines = data.read_text().splitlines(keepends=True)
    data.write_text("".join(lines[:9]))
    with AnswerServer() as server:
        infer(data, out, server)
        before = out.read_bytes()
        assert "9 before" in infer(data, out, server)
        assert out.read_bytes() == before
        assert len(server.requests) == 9
        data.write_text("".join(lines))
        infer(data, out, server)
        assert len(server.requests) == 12
    assert out.read_bytes().startswith(before)
    assert [row["sample_id"] for row in read_rows(out)] == list(range(12))


def test_another_job_in_the_same_result_is_refused(tmp_path):
    data, out = rows_file(tmp_path, 3), tmp_path / "r.jsonl"
    with AnswerServer() as server:
        infer(data, out, server)
        before = out.read_bytes()
        assert "sampling.temperature 0.0, now 0.5" in infer(data, out, server, "--temperature", "0.5", code=1)
        noise(tmp_path / "images" / "1.png", (25, 20), 77)
        assert "the images of 1 row changed since they were answered (sample_id 1)" in infer(data, out, server, code=1)
        noise(tmp_path / "images" / "1.png", (25, 20), 1)
        lines = data.read_text().splitlines(keepends=True)
        data.write_text("".join(lines[1:]))
        assert "holds 1 answer to questions that are not in" in infer(data, out, server, code=1)
        data.write_text("".join(lines).replace("dog.", "fox."))
        assert "holds 3 answers to questions that are not in" in infer(data, out, server, code=1)
        (tmp_path / "other.jsonl").write_text("{}\n")
        assert "is not a result of `groundswift infer`" in infer(data, tmp_path / "other.jsonl", server, code=1)
        assert len(server.requests) == 3
    assert out.read_bytes() == before


def test_failures_are_set_aside_with_a_reason_and_tried_again(tmp_path):
    data, out = rows_file(tmp_path, 6), tmp_path / "r.jsonl"
    rows = read_rows(data)
    rows[2]["images"] = [str(tmp_path / "gone.png")]
    rows[3]["messages"][0]["content"] += " please" * 60
    (tmp_path / "images" / "4.png").write_bytes((tmp_path / "images" / "4.png").read_bytes()[:200])
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with AnswerServer() as server:
        said = infer(data, out, server, code=3)
        assert "3 rows without an answer" in said
        found = read_rows(out)
        assert [row.get("error", "").rpartition("[")[2] for row in found] == [
            "",
            "",
            "image-missing]",
            "row-refused]",
            "image-unreadable]",
            "",
        ]
        assert "the question is longer than the model" in found[3]["error"]
        assert [row["response"] == "" for row in found] == [False, False, True, True, True, False]
        asked = len(server.requests)
        noise(tmp_path / "images" / "4.png", (28, 20), 4)
        infer(data, out, server, code=3)
        assert len(server.requests) == asked + 2
    assert [bool(row.get("error")) for row in read_rows(out)] == [False, False, True, True, False, False]


def test_a_row_without_an_answer_may_be_changed_or_removed(tmp_path):
    data, out = rows_file(tmp_path, 4), tmp_path / "r.jsonl"
    rows = read_rows(data)
    rows[1]["messages"][0]["content"] += " please" * 60
    rows[2]["images"] = [str(tmp_path / "gone.png")]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with AnswerServer() as server:
        infer(data, out, server, code=3)
        rows[1]["messages"][0]["content"] = "<image>Detect every object of these categories: cat."
        data.write_text("".join(json.dumps(row) + "\n" for row in [*rows[:2], rows[3]]))
        assert "3 rows, 1 answered, 2 before" in infer(data, out, server)
    assert [row["sample_id"] for row in read_rows(out)] == [0, 1, 3]


def test_a_row_that_is_there_twice_is_answered_once_and_rows_without_id_are_kept(tmp_path):
    data, out = rows_file(tmp_path, 3), tmp_path / "r.jsonl"
    rows = read_rows(data)
    unnamed = {key: value for key, value in rows[0].items() if key != "sample_id"}
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[1], unnamed, unnamed]))
    with AnswerServer() as server:
        assert "1 row dropped: 1 row-duplicate" in infer(data, out, server)
    assert [row.get("sample_id") for row in read_rows(out)] == [0, 1, 2, None, None]
    assert len({row["inference"]["key"] for row in read_rows(out)}) == 5


def test_fifty_kills_leave_exactly_one_answer_for_each_sample(tmp_path):
    data, out = rows_file(tmp_path, count := 1200), tmp_path / "r.jsonl"
    draw = random.Random(5)
    moments = [draw.uniform(0.1, 0.6) for _ in range(50)]
    with AnswerServer(delay=0.02) as server:
        words = [str(data), "--out", str(out), "--url", server.url, "--family", "qwen2_vl", "--batch-size", "4"]
        script = [sys.executable, str(HELPERS / "kill_loop.py"), ",".join(map(str, moments)), *words]
        done = subprocess.run(script, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        killed = done.stdout.split("\n").count("killed")
        asked_before = len(server.requests)
        infer(data, out, server, "--batch-size", "4")
        asked = len(server.requests)
        rows = read_rows(out)
        assert [row["sample_id"] for row in rows] == list(range(count))
        infer(data, tmp_path / "once.jsonl", server, "--batch-size", "4")
    assert killed >= 40, done.stdout
    assert asked_before > 100
    assert asked <= count + killed * 2 * 4  # at most what was on its way at each kill
    assert untimed(rows) == untimed(read_rows(tmp_path / "once.jsonl"))
    assert sorted(path.name for path in tmp_path.glob("*r.jsonl*")) == ["r.jsonl", "r.jsonl.job.json", "r.jsonl.run.json"]
