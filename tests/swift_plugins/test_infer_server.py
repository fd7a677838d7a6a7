"""`groundswift infer --url` against a real server on this machine: what is sent, answers, passing faults."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from answer_server import AnswerServer, answer_to, image_of, parts_of, text_of
from evaluated import call, metrics_of, write_json
from infer_runs import infer, rows_file
from PIL import Image
from rows import detection, noise, read_rows

from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.tools.infer.journal import Answer
from groundswift.swift_plugins.tools.infer.questions import question_of
from groundswift.swift_plugins.tools.infer.server import Server, record_of_server
from groundswift.swift_plugins.tools.infer.settings import Settings


def test_answers_are_in_the_order_of_the_rows_and_can_be_scored(tmp_path):
    data, out = rows_file(tmp_path, 30), tmp_path / "r.jsonl"
    with AnswerServer(delay=0.002) as server:
        said = infer(data, out, server, "--logprobs", "--batch-size", "4")
    rows = read_rows(out)
    assert "30 rows, 30 answered" in said
    assert [row["sample_id"] for row in rows] == list(range(30))
    assert 1 < server.most_at_once <= 4
    by_text = {image_of(body).tobytes(): answer_to(body)["choices"][0]["message"]["content"] for body in server.requests}
    assert [row["response"] for row in rows] == [by_text[Image.open(row["images"][0]).tobytes()] for row in rows]
    first = rows[0]
    assert first["labels"] == "<ref-object><bbox>"
    assert first["messages"][-1] == {"role": "assistant", "content": first["response"]}
    assert (first["finish_reason"], first["inference"]["prompt_tokens"]) == ("stop", 7)
    assert first["inference"]["boxes"] == first["response"].count("<|box_start|>")
    assert first["inference"]["boxes_per_second"] == pytest.approx(first["inference"]["boxes"] / first["inference"]["seconds"], rel=0.01)
    assert first["logprobs"]["content"][0]["logprob"] == -0.25
    truth = {
        "images": [
            {"id": row["sample_id"], "file_name": f"{row['sample_id']}.png", "width": row["size_wh"][0], "height": 20} for row in rows
        ],
        "annotations": [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 10, 10], "area": 100, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    call("coco-map", out, "--gt", write_json(tmp_path / "gt.json", truth), "--out", tmp_path / "scored", "--no-report")
    assert metrics_of(tmp_path / "scored")["protocol"]["family"] == "qwen2_vl"


def test_a_passing_fault_of_the_server_is_waited_out_and_a_lasting_one_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("openai._constants.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)
    data, out = rows_file(tmp_path, 40), tmp_path / "r.jsonl"
    seen: set[str] = set()

    def refuse_once(number, body):
        """Each third row when it comes for the first time."""
        row, known = json.dumps(body), len(seen)
        seen.add(row)
        return 503 if len(seen) > known and known % 3 == 1 else None

    with AnswerServer(refuse=refuse_once) as server:
        infer(data, out, server)
    assert not any(row.get("error") for row in read_rows(out))
    assert len(server.requests) > len(seen) > 30
    with AnswerServer(refuse=lambda number, body: 500) as server:
        assert "20 requests in a row failed" in infer(data, tmp_path / "s.jsonl", server, "--batch-size", "2", code=1)
    with AnswerServer(refuse=lambda number, body: 401) as server:
        assert "refused the key (401); expected the server's key in OPENAI_API_KEY" in infer(data, tmp_path / "t.jsonl", server, code=1)
    assert "no connection" in infer(data, tmp_path / "u.jsonl", server, code=1)


def test_an_image_goes_upright_and_in_its_place(tmp_path):
    pixels = Image.new("RGB", (30, 20), (250, 0, 0))
    pixels.paste((0, 0, 250), (0, 0, 15, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    row = detection(tmp_path / "turned.jpg", [], [], "Look here: <image> and say what there is.") | {"sample_id": "a/1"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with AnswerServer() as server:
        infer(tmp_path / "rows.jsonl", tmp_path / "r.jsonl", server)
    (body,) = server.requests
    assert [part["type"] for part in body["messages"][0]["content"]] == ["text", "image_url", "text"]
    assert text_of(body) == "Look here:  and say what there is."
    sent = image_of(body)
    assert sent.size == (20, 30)
    assert sent.getpixel((10, 3))[2] > 200
    assert sent.getpixel((10, 27))[0] > 200
    assert len(body["messages"]) == 1


def test_placeholders_go_to_a_server_of_swift_only(tmp_path):
    data, out = rows_file(tmp_path, 1), tmp_path / "r.jsonl"
    row = read_rows(data)[0]
    row["messages"][0]["content"] = "<image>Find <ref-object>."
    data.write_text(json.dumps(row) + "\n")
    with AnswerServer() as server:
        infer(data, out, server, code=3)
        assert "only a server of swift" in read_rows(out)[0]["error"]
    with AnswerServer(owner="swift") as server:
        infer(data, tmp_path / "s.jsonl", server)
        assert server.requests[0]["objects"]["ref"] == ["cat"]
        assert len(parts_of(server.requests[0], "image_url")) == 1


@pytest.mark.parametrize(("tokens", "right"), [(23, False), (24, True), (900, True), (1100, False), (None, True)])
def test_a_prompt_that_the_pixel_limits_cannot_give_is_refused(tmp_path, tokens, right):
    """An image of 168x112 px has 24 tokens by the limits."""
    row = {"messages": [{"role": "user", "content": "<image>?"}], "images": [str(noise(tmp_path / "a.png", (168, 112)))]}
    record = record_of_server(Settings(data="r", out="o", url="http://x", family="qwen2_vl", min_pixels=3136, max_pixels=50176))
    server = SimpleNamespace(record=record, url="http://x/v1")
    with nullcontext() if right else pytest.raises(GroundswiftError, match="as the server has them"):
        Server._check_limits(server, question_of(row, "rows.jsonl:1"), Answer(prompt_tokens=tokens))


def test_the_likeliest_tokens_are_kept_where_they_are_asked_for(tmp_path):
    data = rows_file(tmp_path, 2)
    with AnswerServer() as server:
        infer(data, tmp_path / "r.jsonl", server, "--logprobs", "--top-logprobs", "3")
        assert "expected both" in infer(data, tmp_path / "s.jsonl", server, "--top-logprobs", "3", code=1)
        assert "sampling.top_logprobs 3, now null" in infer(data, tmp_path / "r.jsonl", server, "--logprobs", code=1)
    first = read_rows(tmp_path / "r.jsonl")[0]["logprobs"]["content"][0]
    assert [each["logprob"] for each in first["top_logprobs"]] == [-0.25, -1.25, -2.25]
