"""`groundswift infer --url`: folders as sources, and results as COCO, drawn images and CSV."""

from __future__ import annotations

import csv
import json
import math
from io import StringIO

import pytest
from answer_server import AnswerServer
from converted import run
from evaluated import call, metrics_of, write_json
from infer_runs import folder_of_rows, infer, rows_file
from PIL import Image
from rows import noise, read_rows

from groundswift import parse


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
