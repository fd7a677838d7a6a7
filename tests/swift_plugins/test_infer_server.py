"""`groundswift infer --url` against a real server on this machine: answers, failures, resuming after kills at random moments."""

from __future__ import annotations

import csv
import json
import math
import random
import subprocess
import sys
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from answer_server import AnswerServer, answer_to, image_of, parts_of, text_of
from converted import run
from evaluated import call, metrics_of, write_json
from PIL import Image
from rows import detection, noise, read_rows
from tiny_run import EMBEDDED

from groundswift import parse
from groundswift.errors import GroundswiftError
from groundswift.swift_plugins.tools.infer.journal import Answer
from groundswift.swift_plugins.tools.infer.questions import question_of
from groundswift.swift_plugins.tools.infer.server import Server, record_of_server
from groundswift.swift_plugins.tools.infer.settings import Settings

HELPERS = Path(__file__).resolve().parents[1] / "helpers"


def rows_file(folder: Path, count: int, **more: Any) -> Path:
    """Rows of one small image each."""
    (folder / "images").mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        path = noise(folder / "images" / f"{number}.png", (24 + number % 5, 20), number)
        row = detection(path, ["cat"], [[1, 2, 11, 12]]) | {"sample_id": number, "size_wh": [24 + number % 5, 20]} | more
        rows.append(json.dumps(row) + "\n")
    (folder / "rows.jsonl").write_text("".join(rows))
    return folder / "rows.jsonl"


def infer(data: Path, out: Path, server: AnswerServer, *words: object, code: int = 0) -> str:
    """The command's output."""
    done = run("infer", data, "--out", out, "--url", server.url, "--family", "qwen2_vl", *words)
    assert done.exit_code == code, done.output
    return done.output


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what a clock says."""
    return [row | {"inference": {k: v for k, v in row["inference"].items() if "second" not in k}} for row in rows]


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


def test_a_folder_of_images_needs_no_rows(tmp_path):
    rows_file(tmp_path, 3)
    (tmp_path / "images" / "deep").mkdir()
    noise(tmp_path / "images" / "deep" / "x.jpg", (40, 30))
    (tmp_path / "images" / ".hidden.png").write_bytes(b"")
    (tmp_path / "images" / "notes.txt").write_text("no image")
    (tmp_path / "images" / "zbroken.png").write_bytes(b"no image")
    with AnswerServer() as server:
        infer(tmp_path / "images", tmp_path / "r.jsonl", server, "--classes", "cat, dog", code=3)
    rows = read_rows(tmp_path / "r.jsonl")
    assert [row["sample_id"] for row in rows] == ["0.png", "1.png", "2.png", "deep/x.jpg", "zbroken.png"]
    assert rows[3]["size_wh"] == [40, 30]
    assert rows[3]["messages"][0]["content"] == "<image>Detect every object of these categories: cat, dog."
    assert "image-unreadable" in rows[4]["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rows.jsonl"], "no model given; expected --model, --adapters, or --url of a server"),
        (["rows.jsonl", "--model", "a/b/c"], "a/b/c: no such folder"),
        (["rows.jsonl", "--model", "m", "--url", "http://x"], "--model is for a local engine"),
        (["rows.jsonl", "--url", "somewhere"], "--url: 'somewhere'; expected http://HOST:PORT/v1"),
        (["rows.jsonl", "--url", "http://x", "--ray"], "--ray is for local engines; expected --batch-size N"),
        (["rows.jsonl", "--url", "http://x", "--num-beams", "3"], "--num-beams is for a local engine"),
        (["rows.jsonl", "--model", "m", "--num-beams", "3", "--logprobs"], "--logprobs with --num-beams"),
        (["rows.jsonl", "--model", "m", "--engine", "sglang", "--logprobs"], "swift's engine sglang gives none"),
        (["rows.jsonl", "--model", str(EMBEDDED), "--engine", "vllm"], "--engine vllm needs the package vllm"),
        (["rows.jsonl", "--url", "http://127.0.0.1:9", "--family", "qwen2_5_vl"], "qwen2_5_vl writes pixels of the resized image"),
        (["images"], "is a folder without a JSONL file; expected a JSONL file of rows"),
        (["rows.jsonl", "--classes", "a"], "rows.jsonl: is not a folder"),
        (["broken.jsonl", "--url", "http://x"], "broken.jsonl:2: not a row"),
        (["silent.jsonl", "--url", "http://x"], "silent.jsonl:1: no question before the answer"),
        (["none.jsonl", "--url", "http://x"], "none.jsonl: cannot be read"),
    ],
)
def test_wrong_use_is_one_line(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    rows_file(tmp_path, 1)
    Path("broken.jsonl").write_text(Path("rows.jsonl").read_text() + "{oops\n")
    Path("silent.jsonl").write_text('{"messages": [{"role": "assistant", "content": "yes"}]}\n')
    extra = ["--model", "m"] if words in (["images"], ["rows.jsonl", "--classes", "a"]) else []
    done = run("infer", *words, *extra, "--out", "r.jsonl")
    assert done.exit_code == 1, done.output
    assert said in done.output
    assert done.output.count("\n") == 1


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        (None, "--ray with torchrun: both share the work"),
        ("ray", "--ray needs the package ray: pip install 'groundswift[ray]'"),
        (
            "groundswift.swift_plugins.tools.infer.on_ray",
            "has no checkpoint (import of groundswift.swift_plugins.tools.infer.on_ray halted",
        ),
    ],
)
def test_where_ray_cannot_run_it_is_one_line(tmp_path, monkeypatch, hidden, said):
    if hidden is None:
        monkeypatch.setenv("WORLD_SIZE", "2")
    else:
        pytest.importorskip("ray")
        monkeypatch.setitem(sys.modules, hidden, None)
    done = run("infer", rows_file(tmp_path, 1), "--out", tmp_path / "r.jsonl", "--model", EMBEDDED, "--ray")
    assert done.exit_code == 1
    assert said in done.output
    assert done.output.count("\n") == 1


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


@pytest.mark.parametrize(("tokens", "right"), [(23, False), (24, True), (900, True), (1100, False), (None, True)])
def test_a_prompt_that_the_pixel_limits_cannot_give_is_refused(tmp_path, tokens, right):
    """An image of 168x112 px has 24 tokens by the limits."""
    row = {"messages": [{"role": "user", "content": "<image>?"}], "images": [str(noise(tmp_path / "a.png", (168, 112)))]}
    record = record_of_server(Settings(data="r", out="o", url="http://x", family="qwen2_vl", min_pixels=3136, max_pixels=50176))
    server = SimpleNamespace(record=record, url="http://x/v1")
    with nullcontext() if right else pytest.raises(GroundswiftError, match="as the server has them"):
        Server._check_limits(server, question_of(row, "rows.jsonl:1"), Answer(prompt_tokens=tokens))


def test_a_result_is_written_as_coco_and_drawn(tmp_path):
    data, out = rows_file(tmp_path, 8), tmp_path / "r.jsonl"
    (tmp_path / "images" / "5.png").unlink()
    truth = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 24 + n % 5, "height": 20} for n in range(8)],
        "annotations": [{"id": 1, "image_id": 0, "category_id": 7, "bbox": [1, 2, 10, 10], "area": 100, "iscrowd": 0}],
        "categories": [{"id": 7, "name": "cat"}],
    }
    gt = write_json(tmp_path / "gt.json", truth)
    with AnswerServer() as server:
        words = ("--logprobs", "--coco-out", tmp_path / "results.json", "--categories", gt, "--draw", tmp_path / "drawn")
        said = infer(data, out, server, *words, code=3)
        infer(data, out, server, "--logprobs", "--coco-out", tmp_path / "coco.json", code=3)
    rows = [row for row in read_rows(out) if not row.get("error")]
    boxes = [located.box for row in rows for located in parse(row["response"], "qwen2_vl").objects]
    results = json.loads((tmp_path / "results.json").read_text())
    assert f"{len(boxes)} boxes of 7 rows" in said
    assert [each["score"] for each in results] == [pytest.approx(math.exp(-0.25), abs=1e-4)] * len(boxes)
    call("coco-map", "--predictions", tmp_path / "results.json", "--gt", gt, "--out", tmp_path / "a", "--no-report")
    call("coco-map", out, "--score", "logprob", "--gt", gt, "--out", tmp_path / "b", "--no-report", "--on-error", "skip")
    assert metrics_of(tmp_path / "a")["AP"] == pytest.approx(metrics_of(tmp_path / "b")["AP"])
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == [f"{n}.png" for n in range(8) if n != 5]
    first = coco["annotations"][0]
    width, height = next((image["width"], image["height"]) for image in coco["images"] if image["id"] == first["image_id"])
    x1, y1, x2, y2 = boxes[0]
    assert first["bbox"] == pytest.approx(
        [x1 * width / 1000, y1 * height / 1000, (x2 - x1) * width / 1000, (y2 - y1) * height / 1000], abs=1e-3
    )
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in drawn[:2]] == ["000001_0.jpg", "000002_1.jpg"]
    assert len(drawn) == 7
    plain = Image.open(rows[0]["images"][0]).convert("RGB")
    assert Image.open(drawn[0]).width == plain.width * math.ceil(448 / max(plain.size))


def folder_of_rows(folder: Path) -> tuple[Path, list[Path]]:
    """A folder of two files of rows with the columns of the anomaly commands, and one of questions that a spreadsheet would run."""
    data = rows_file(folder, 5, stage=2, class_name="=bubble", source_image="run1/a.png", prompt="draw.what.en.1")
    parts = folder / "parts"
    parts.mkdir()
    lines = data.read_text().splitlines(keepends=True)
    files = [parts / "a.jsonl", parts / "b.jsonl"]
    for path, chosen in zip(files, (lines[:3], lines[3:]), strict=True):
        path.write_text("".join(chosen))
    (parts / ".hidden.jsonl").write_text("no row")
    return parts, files


def test_a_folder_of_files_is_answered_file_by_file_and_written_as_tables(tmp_path):
    parts, files = folder_of_rows(tmp_path)
    with AnswerServer() as server:
        said = infer(parts, tmp_path / "results", server, "--csv", "--bom")
        assert len(server.requests) == 5
        again = infer(parts, tmp_path / "results", server, "--csv", "--json")
        assert len(server.requests) == 5, "the second run asks nothing"
    assert "results/a.jsonl: 3 rows, 3 answered" in said
    assert "results/b.csv: 2 rows" in said
    found = json.loads(again)
    assert (found["rows"], found["answered_before"], [each["rows"] for each in found["files"]]) == (5, 5, [3, 2])
    rows = read_rows(tmp_path / "results" / "a.jsonl")
    text = (tmp_path / "results" / "a.csv").read_text(encoding="utf-8")
    table = list(csv.DictReader(StringIO(text, newline="")))
    assert [line["response"] for line in table] == [row["response"] for row in rows]
    assert [line["image"] for line in table] == [row["images"][0] for row in rows]
    first = table[0]
    assert (first["stage"], first["label"], first["source"], first["prompt"]) == ("2", "'=bubble", "run1/a.png", "draw.what.en.1")
    assert first["answer"] == rows[0]["labels"]
    assert "<image>" not in first["question"]
    assert first["question"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "parts"), "is the folder of the rows"),
        (("--out", "rows.jsonl"), "rows.jsonl: is a file"),
        (("--out", "result.csv"), "--out result.jsonl --csv"),
        (("--out", "results", "--coco-out", "x.json"), "--coco-out is for one result"),
        (("--out", "results", "--bom"), "--bom is for --csv"),
    ],
)
def test_options_that_do_not_fit_a_folder_of_files_are_refused(tmp_path, monkeypatch, words, message):
    folder_of_rows(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = run("infer", "parts", *words, "--url", "http://127.0.0.1:9/v1")
    assert done.exit_code in (1, 2)
    assert message in done.output
    assert not (tmp_path / "results").exists()


def test_a_broken_file_of_a_folder_stops_before_anything_is_asked(tmp_path):
    parts, files = folder_of_rows(tmp_path)
    files[1].write_text(files[1].read_text() + "{}\n")
    with AnswerServer() as server:
        assert "b.jsonl:3: the row has []; expected messages" in infer(parts, tmp_path / "results", server, code=1)
        assert server.requests == []


def test_the_likeliest_tokens_are_kept_where_they_are_asked_for(tmp_path):
    data = rows_file(tmp_path, 2)
    with AnswerServer() as server:
        infer(data, tmp_path / "r.jsonl", server, "--logprobs", "--top-logprobs", "3")
        assert "expected both" in infer(data, tmp_path / "s.jsonl", server, "--top-logprobs", "3", code=1)
        assert "sampling.top_logprobs 3, now null" in infer(data, tmp_path / "r.jsonl", server, "--logprobs", code=1)
    first = read_rows(tmp_path / "r.jsonl")[0]["logprobs"]["content"][0]
    assert [each["logprob"] for each in first["top_logprobs"]] == [-0.25, -1.25, -2.25]
