"""Parity without a model: what a way is, what is asked of it, and servers that refuse, break off or answer something else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from converted import run
from PIL import Image
from rows import detection, noise
from tiny_run import written

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.tools.parity import served_way
from groundswift.swift_plugins.tools.parity.drawn import draw_rows
from groundswift.swift_plugins.tools.parity.questions import blanked, read_questions, size_of
from groundswift.swift_plugins.tools.parity.ways import Way, parse_way

Reply = Callable[[dict[str, Any]], tuple[int, Any]]
TEXT = "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(89,83),(446,750)<|box_end|>"


def row(folder: Path, index: int = 0, **more: Any) -> dict[str, Any]:
    image = noise(folder / f"{index}.png", (112, 84), index)
    return detection(image, ["cat"], [[10, 7, 50, 63]]) | {"sample_id": index, "size_wh": [112, 84]} | more


@contextmanager
def server(reply: Reply) -> Iterator[str]:
    """An OpenAI-compatible server with one model `m`, which answers a request as `reply` says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send(200, {"data": [{"id": "m"}]})

        def do_POST(self) -> None:
            self.send(*reply(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def send(self, status: int, body: Any) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}"
    finally:
        served.shutdown()
        served.server_close()


def said(text: str, logprobs: Any = None) -> tuple[int, Any]:
    return 200, {"choices": [{"message": {"content": text}, "finish_reason": "stop", "logprobs": logprobs}]}


def compared(folder: Path, reply: Reply, count: int = 3, words: tuple[object, ...] = ()) -> tuple[int, str]:
    """(exit status, output) of a server against a right one."""
    rows = written(folder / "rows.jsonl", [row(folder, index) for index in range(count)])
    with server(lambda body: said(TEXT)) as right, server(reply) as other:
        ways = ("--way", f"right={right}", "--way", f"other={other}", "--family", "qwen2_vl")
        done = run("parity", rows, *ways, "--out", folder / "out", *words)
    assert "Traceback" not in done.output
    return done.exit_code, done.output


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(served_way, "PAUSE_S", 0)


def test_two_servers_agree_and_get_the_image_where_it_belongs(tmp_path):
    asked: list[dict[str, Any]] = []

    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        asked.append(body)
        return said(TEXT)

    code, output = compared(tmp_path, reply)
    assert code == 0, output
    assert (asked[0]["model"], asked[0]["temperature"], asked[0]["logprobs"]) == ("m", 0, True)
    (message,) = asked[0]["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert message["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert "other: 3 answers without tokens" in output


@pytest.mark.parametrize("end", ["<|im_end|>", "<|endoftext|>", "</s>"])
def test_the_token_that_ended_an_answer_is_no_difference(tmp_path, end):
    code, output = compared(tmp_path, lambda body: said(TEXT + end))
    assert (code, "another text" in output) == (0, False)
    _, output = compared(tmp_path, lambda body: said(TEXT + end + "more"), words=("--out", tmp_path / "other"))
    assert "3 answers of 3 with another text" in output


def test_a_server_that_refuses_log_probabilities_is_asked_without(tmp_path):
    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        return (400, {"error": "logprobs are not supported"}) if "logprobs" in body else said(TEXT)

    code, output = compared(tmp_path, reply)
    assert code == 0, output


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((404, {"error": "no such model"}), r"HTTP 404: {\"error\": \"no such model\"}; expected a running OpenAI-compatible server"),
        ((500, b"overloaded"), "HTTP 500: overloaded"),
        ((200, b"<html>"), "answered something else than a JSON object"),
        ((200, []), "answered something else than a JSON object"),
        ((200, {"choices": []}), 'answered {"choices": []}; expected choices with a message'),
        ((200, {"choices": [{"message": None}]}), "expected choices with a message"),
    ],
)
def test_a_server_that_does_not_answer_is_an_error_of_one_line(tmp_path, reply, message):
    code, output = compared(tmp_path, lambda body: reply)
    assert code == 1
    assert "way other: http://127.0.0.1:" in output
    assert message.replace("\\", "") in output


def test_a_server_that_dies_half_way_says_after_how_many_answers(tmp_path):
    left = iter([said(TEXT)] * 2)
    code, output = compared(tmp_path, lambda body: next(left, (503, b"gone")), count=4)
    assert code == 1
    assert "HTTP 503: gone" in output
    assert "(2 of 4 answers before it)" in output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{m}", Way("x", "swift", "{m}")),
        ("{m}:bnb4", Way("x", "swift", "{m}", None, ("--quant_method", "bnb", "--quant_bits", "4"))),
        ("{m},{a}", Way("x", "swift", "{m}", "{a}")),
        ("{a}:bf16", Way("x", "swift", None, "{a}", ("--torch_dtype", "bfloat16"))),
        ("owner/name", Way("x", "swift", "owner/name")),
        ("http://h:1/,m", Way("x", "server", url="http://h:1", served_model="m")),
    ],
)
def test_the_forms_of_a_way(tmp_path, text, expected):
    places = {"m": tmp_path / "model:7", "a": tmp_path / "adapter"}
    for place in places.values():
        place.mkdir()
    (places["a"] / "adapter_config.json").write_text("{}")
    filled = [value.format(**places) if isinstance(value, str) else value for value in expected]
    assert parse_way("x", text.format(**places)) == Way(*filled)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".:int5", "--way x: unknown form 'int5'; expected MODEL"),
        ("/no/where", "no such folder: /no/where"),
        ("a,", "no such folder: a;"),
        (".,", "no such folder: .,"),
    ],
)
def test_an_unknown_way_is_refused(text, message):
    with pytest.raises(GroundswiftError, match=message):
        parse_way("x", text)


@pytest.mark.parametrize("text", ["", "x", "0x10", "12", "1x1x1", "100000x100000", "-2x", "1e3x"])
def test_an_unknown_size_is_refused(text):
    with pytest.raises(GroundswiftError, match="--size"):
        size_of(text, (100, 50))


def test_images_are_resized_and_blanked_with_their_boxes(tmp_path):
    asked = row(tmp_path)
    asked["messages"][0]["content"] = "<image>What is at <bbox>?"
    rows = written(tmp_path / "rows.jsonl", [asked])
    original, wide, double = read_questions(rows, ["original", "224x42", "2x"], tmp_path / "images")
    assert Image.open(wide.request["images"][0]).size == wide.kept["size_wh"] == (224, 42)
    assert wide.request["objects"]["bbox"] == [[20, 3.5, 100, 31.5]]
    assert (double.kept["size_wh"], double.kept["parity_size"], original.kept["size_wh"]) == ((224, 168), "2x", (112, 84))
    (blank,) = blanked([wide], tmp_path / "blank")
    assert Image.open(blank.request["images"][0]).getcolors() == [(224 * 42, (127, 127, 127))]
    assert blank.kept == wide.kept


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_id": None}, "rows.jsonl:2: the row has no sample_id"),
        ({"images": ["nowhere.png"]}, "rows.jsonl:2: .*nowhere.png: no such image"),
        ({"messages": []}, "rows.jsonl:2: no messages with text"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "rows.jsonl:2: no question before the answer"),
        ({"videos": ["a.mp4"]}, "rows.jsonl:2: the row has a video"),
    ],
)
def test_a_row_that_asks_nothing_is_refused(tmp_path, change, message):
    rows = written(tmp_path / "rows.jsonl", [row(tmp_path), row(tmp_path, 1, **change)])
    with pytest.raises(GroundswiftError, match=message):
        read_questions(rows, ["original"], tmp_path / "images")


def test_drawn_images_have_the_boxes_of_their_ground_truth(tmp_path):
    rows, truth = draw_rows(6, tmp_path)
    drawn = [json.loads(line) for line in rows.read_text().splitlines()]
    coco = json.loads(truth.read_text())
    assert sum(len(each["objects"]["bbox"]) for each in drawn) == len(coco["annotations"]) >= 6
    for each in drawn:
        image = Image.open(each["images"][0])
        background = image.getpixel((0, 0)) if all(box[:2] != [0, 0] for box in each["objects"]["bbox"]) else None
        for x1, y1, x2, y2 in each["objects"]["bbox"]:
            part = image.crop((x1, y1, x2, y2)).convert("L").point(lambda value: 255 if value < 200 else 0)
            assert part.getbbox() == (0, 0, x2 - x1, y2 - y1)
            assert background is None or image.getpixel((x1, y1)) in (background, image.getpixel(((x1 + x2) // 2, (y1 + y2) // 2)))
    assert draw_rows(6, tmp_path / "again")[1].read_bytes() == truth.read_bytes()


def test_drawn_images_at_two_sizes_through_two_servers(tmp_path):
    with server(lambda body: said(TEXT)) as one, server(lambda body: said(TEXT)) as other:
        ways = ("--way", f"a={one}", "--way", f"b={other}", "--family", "qwen2_vl")
        done = run("parity", "--draw", 2, *ways, "--size", "original", "--size", "300x900", "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["samples"], set(found["ways"]["b"]["by_size"])) == (4, {"up to 1024 px", "300x900"})
    assert found["ways"]["a"]["numbers"]["AP"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--way", "a=/no/where", "--way", "b=/no/where"), "no such folder"),
        (("--way", "a=.:int5", "--way", "b=."), "unknown form 'int5'"),
        (("--way", "a/b=.", "--way", "b=."), "expected a name of letters"),
        (("--way", "a=http://127.0.0.1:9", "--way", "b=."), "way a: http://127.0.0.1:9: does not answer"),
        (("--way", "a=."), "give at least two ways"),
        ((), "ROWS.jsonl and --draw are for --way"),
        (("--way", "a=.", "--way", "b=.", "--draw", 2), "expected no ROWS.jsonl"),
    ],
)
def test_wrong_use_is_refused_before_a_model_is_loaded(tmp_path, words, message):
    done = run("parity", written(tmp_path / "rows.jsonl", [row(tmp_path)]), *words, "--out", tmp_path / "out")
    assert done.exit_code in (1, 2)
    assert message in done.output
    assert "Traceback" not in done.output
