"""Questions written by a model over a real connection: rows, rates, retries, and every way in which it fails."""

from __future__ import annotations

import json
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from asked import ask, failed, raw
from converted import run, write_lines
from judge_server import judge_server
from writer_server import WriterHandler, pixels

from groundswift.chat_client import Reply
from groundswift.data_converters.anomaly import asking
from groundswift.data_converters.anomaly.asking import FIRST_WAIT_S, Pace, wait_s

pytestmark = pytest.mark.process


def test_pairs_become_rows_in_the_order_of_the_requests(server, requests):
    report = ask(server, requests, "writer", "--price", 2.5, 10)
    asked = list(map(json.loads, requests.read_text().splitlines()))
    assert [row["sample_id"] for row in report["lines"]] == [f"{each['request_id']}/ask/{n}" for each in asked for n in (0, 1)]
    assert all(row["images"] == each["images"] for row, each in zip(report["lines"][::2], asked, strict=True))
    first = report["lines"][0]
    assert (first["stage"], first["prompt"], first["messages"][0]["content"][:15]) == (2, "ask.draw", "<image>What is ")
    assert (report["prompt_tokens"], report["completion_tokens"]) == (700, 140)
    assert report["cost"] == pytest.approx(700 * 2.5e-6 + 140 * 10e-6)
    assert all(len(pixels(each["messages"][0]["content"])) == 1 for each in server.seen)
    assert {each["text"][:17] for each in raw(requests)} == {"Here they are.\n\nQ"}


def test_a_second_run_asks_only_what_is_new(server, requests):
    first = ask(server, requests, "writer")
    again = ask(server, requests, "writer")
    assert (len(server.seen), again["asked"], again["kept"]) == (7, 0, 7)
    assert again["lines"] == first["lines"]
    raw_path = requests.with_name("asked.answers.jsonl")
    raw_path.write_bytes(b"".join(raw_path.read_bytes().splitlines(keepends=True)[:4]) + b'{"request_id": "half')
    assert ask(server, requests, "writer")["asked"] == 3
    assert ask(server, requests, "writer")["lines"] == first["lines"]
    assert ask(server, requests, "writer", "--field", "max_tokens=8")["asked"] == 7
    assert server.seen[-1]["max_tokens"] == 8


def test_the_model_that_a_server_lists_is_asked(server, requests):
    out = requests.with_name("asked.jsonl")
    done = run("anomaly", "ask", requests, "--base-url", server.url, "--out", out)
    assert "to writer ->" in done.output


def test_busy_and_broken_servers_are_asked_again(server, requests):
    report = ask(server, requests, "flaky", "--workers", 2)
    assert (report["repeated"], report["failed"], len(report["lines"])) == (14, 0, 14)
    assert {each["attempts"] for each in raw(requests)} == {3}


def test_what_has_no_answer_is_asked_by_the_next_run(server, requests):
    assert "nothing to write" in failed(server, requests, "flaky")
    assert len(raw(requests)) == 7
    assert "nothing to write" in failed(server, requests, "flaky")
    report = ask(server, requests, "flaky", "--retries", 0)
    assert (report["asked"], report["kept"], report["failed"]) == (7, 0, 0)


def test_some_failed(server, requests):
    """Exit status 3 where some requests have no answer."""
    lines = requests.read_text().splitlines()
    ask(server, write_lines(requests.with_name("one.jsonl"), lines[0].encode()), "flaky")
    report = ask(server, requests, "flaky", "--retries", 0, status=3)
    assert (report["kept"], report["failed"], report["counts"]) == (1, 6, {"ask-error": 6})
    assert len(report["lines"]) == 2


def test_descriptions(server, scenes):
    report = ask(server, scenes, "describer")
    asked = {each["request_id"]: each for each in map(json.loads, scenes.read_text().splitlines())}
    assert len(report["lines"]) == 16
    for row in report["lines"]:
        request = asked[row["sample_id"].rpartition("/ask/")[0]]
        text = row["messages"][1]["content"]
        if row["prompt"].startswith("described.scene"):
            assert text == "A bench."
        else:
            assert text == ("Yes. It shows one." if request["verdict"] == "anomaly" else "No. It lacks one.")


def test_a_verdict_against_the_labels_is_dropped(server, scenes):
    verdicts = [json.loads(line)["verdict"] for line in scenes.read_text().splitlines()]
    report = ask(server, scenes, "contrary")
    assert report["counts"] == {"verdict-differs": verdicts.count("normal")}
    assert len(report["lines"]) == 2 * verdicts.count("anomaly")


def test_letters_alone(server, requests):
    report = ask(server, requests, "letters", "--answers", "ab")
    assert [row["messages"][1]["content"] for row in report["lines"]] == ["B"] * 7
    assert report["lines"][0]["messages"][0]["content"] == "<image>Which?\nA. red\nB. blue"
    assert report["counts"] == {"answer-not-choice": 7}


def test_a_whole_text_as_the_answer(server, requests):
    report = ask(server, requests, "sorry", "--question", "What is it?")
    assert {row["messages"][0]["content"] for row in report["lines"]} == {"<image>What is it?"}
    assert len(report["lines"]) == 7


def test_malformed_answers_are_counted(server, requests):
    report = ask(server, requests, "orphans")
    assert [row["messages"][0]["content"] for row in report["lines"]] == ["<image>one?"] * 7
    ids = {"answer-without-question": 14, "question-without-answer": 14, "pair-with-tag": 7, "pair-repeated": 7}
    assert report["counts"] == ids


FAILURES = {
    "refusing": "ask-refused",
    "filtered": "ask-refused",
    "sorry": "answer-refused",
    "vague": "text-without-pairs",
    "empty": "ask-not-json",
    "failing": "ask-error",
    "slow": "ask-timeout",
    "dying": "ask-unreachable",
    "packed": "ask-too-large",
}


@pytest.mark.parametrize("model", FAILURES)
def test_ways_to_fail(server, requests, model):
    text = failed(server, requests, model, *(["--timeout", 0.1] if model == "slow" else []))
    assert "nothing to write: no answer can be used" in text
    assert f"7  {FAILURES[model]}: " in text
    assert len(raw(requests)) == 7  # every raw answer is stored


def test_a_web_page_is_a_clear_error(server, requests):
    assert "the server answered a web page (HTML) in place of JSON; expected the URL of an API, up to /v1" in failed(
        server, requests, "html"
    )


def test_a_server_that_is_gone(requests, monkeypatch):
    monkeypatch.setattr(asking, "FIRST_WAIT_S", 0.001)
    with judge_server(0.2, WriterHandler) as server:
        pass
    text = failed(server, requests, "writer", "--retries", 9, "--workers", 4, "--timeout", 1)
    assert "20 requests in a row failed, the last one: unreachable. Run the same command again to go on" in text


@pytest.mark.parametrize(("field", "sent"), [((), 1024), (("--field", "max_tokens=8"), 8), (("--field", "max_tokens=null"), None)])
def test_answers_of_a_served_model_have_an_end(server, requests, monkeypatch, field, sent):
    monkeypatch.setattr("groundswift.data_converters.anomaly.ask.served", lambda model, words: nullcontext(server.url))
    done = run("anomaly", "ask", requests, "--serve", "m", "--model", "writer", "--out", requests.with_name("o.jsonl"), *field)
    assert (done.exit_code, server.seen[-1].get("max_tokens")) == (0, sent), done.output


def test_the_key_comes_from_the_environment_alone(server, requests, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "never-this")
    ask(server, requests, "writer")
    assert {each["authorization"] for each in server.seen} == {"Bearer none"}
    monkeypatch.setenv("MY_KEY", "s3cret")
    requests.with_name("asked.jsonl").unlink()
    text = failed(server, requests, "locked", "--key-env", "MY_KEY")
    assert "refused the key (401" in text
    assert "s3cret" not in text
    assert "the environment variable is not set" in failed(server, requests, "writer", "--key-env", "NO_KEY")


REQUEST = {"request_id": "a", "images": ["gone.jpg"], "prompt": "x", "asked_as": "crop", "stage": 1, "source_image": "a"}
REFUSED = {
    "no file": (None, "No such file"),
    "empty": ([], "no request in it"),
    "another file": ([{"messages": []}], "request-malformed"),
    "no image": ([REQUEST], "image-missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_asked(server, tmp_path, name):
    rows, expected = REFUSED[name]
    if rows is not None:
        write_lines(tmp_path / "requests.jsonl", *rows)
    assert expected in failed(server, tmp_path / "requests.jsonl", "writer")


def test_wrong_use(server, requests):
    out = requests.with_name("asked.jsonl")
    done = run("anomaly", "ask", requests, "--base-url", server.url, "--serve", "x", "--out", out)
    assert (done.exit_code, "name two servers" in done.output) == (2, True)
    done = run("anomaly", "ask", requests, "--base-url", "ftp://x", "--out", out)
    assert (done.exit_code, "expected http://HOST:PORT/v1" in done.output) == (1, True)


def test_requests_keep_their_distance():
    pace, began, seen = Pace(1200), time.monotonic(), []
    threads = [threading.Thread(target=lambda: (pace.wait(), seen.append(time.monotonic() - began))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) >= 5 * 0.05 - 0.001


def test_waits_grow():
    waits = [wait_s(Reply(problem="error", status=500), attempt) for attempt in (1, 2, 3, 20)]
    assert waits == sorted(waits)
    assert 0.75 * FIRST_WAIT_S <= waits[0] <= FIRST_WAIT_S
    assert waits[-1] <= 60
    assert wait_s(Reply(problem="error", status=429, wait_s=7), 1) == 7


DEPLOY = """
import sys
from http.server import ThreadingHTTPServer
sys.path.insert(0, {helpers!r})
from writer_server import WriterHandler
words = sys.argv
if "--broken" in words:
    sys.exit("no such model")
assert words[words.index("--model") + 1] == "tiny"
server = ThreadingHTTPServer((words[words.index("--host") + 1], int(words[words.index("--port") + 1])), WriterHandler)
server.seen = []
server.serve_forever()
"""


@pytest.fixture
def deploy(tmp_path, monkeypatch) -> None:
    """A stand-in for ms-swift whose deploy serves the writer."""
    helpers = str(Path(__file__).resolve().parents[2] / "helpers")
    for name, text in (("__init__", ""), ("cli/__init__", ""), ("cli/deploy", DEPLOY.format(helpers=helpers))):
        path = tmp_path / f"stand-in/swift/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-in"))


def test_a_model_is_served_for_the_run(requests, deploy):
    out = requests.with_name("asked.jsonl")
    done = run("anomaly", "ask", requests, "--serve", "tiny", "--out", out)
    assert done.exit_code == 0, done.output
    assert len(out.read_text().splitlines()) == 14


def test_a_server_that_ends_is_a_clear_error(requests, deploy):
    done = run("anomaly", "ask", requests, "--serve", "tiny", "--out", requests.with_name("asked.jsonl"), "--", "--broken")
    assert done.exit_code == 1
    assert "--serve tiny: the server ended (no such model)" in done.output
