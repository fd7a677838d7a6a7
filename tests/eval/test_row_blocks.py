"""A result file read in blocks, by one process and by several: the same answers, counts and errors as row by row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluated import call, write_json
from hypothesis import given
from hypothesis import strategies as st

from groundswift.errors import GroundswiftError
from groundswift.eval.answers import row_blocks
from groundswift.eval.answers.row_blocks import RowsAhead, line_ranges, lines_of, rows_ahead
from groundswift.eval.answers.swift_results import read_answers
from groundswift.eval.ground_truth import truth_from_rows
from groundswift.eval.metrics.coco_map import Rules

IMAGES = 12
TRUTH = truth_from_rows([(number, (100, 100), ["cat", "dog"], [(0, 0, 50, 50), (10, 10, 90, 90)]) for number in range(1, IMAGES + 1)])
CAT = "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(0,0),(500,{})<|box_end|>"
BARE = "<|box_start|>(0,0),(500,500)<|box_end|>"
POINT = "<|object_ref_start|>dog<|object_ref_end|><|box_start|>(5,5)<|box_end|>"


def row(number: int, **more: object) -> bytes:
    text = more.setdefault("response", CAT.format(400 + number))
    tokens = [{"token": letter, "logprob": -0.01 * (place % 7)} for place, letter in enumerate(str(text))]
    said = {
        "sample_id": number % IMAGES + 1,
        "logprobs": {"content": tokens},
        "messages": [{"role": "user", "content": f"q{number // IMAGES}"}],
    }
    return json.dumps({**said, **more}, ensure_ascii=False).encode() + b"\n"


KINDS = {
    "ordinary": lambda n: row(n),
    "several boxes": lambda n: row(n, response=CAT.format(100) + CAT.format(n + 200) + POINT + CAT.format(100)),
    "empty": lambda n: row(n, response="None"),
    "unknown class": lambda n: row(n, response=CAT.format(7).replace("cat", "c\u00e4t")),
    "cut": lambda n: row(n, response=CAT.format(5)[:-9]),
    "truncated": lambda n: row(n, finish_reason="length"),
    "one class asked": lambda n: row(n, response=BARE, asked=["dog"]),
    "other tokens": lambda n: row(n, logprobs={"content": [{"token": "x", "logprob": -1.0}]}),
    "failed": lambda n: row(n, response="", error="too long"),
    "no response": lambda n: row(n, response=None),
    "no id": lambda n: row(n, sample_id=None),
    "unknown image": lambda n: row(n, sample_id=99),
    "another size": lambda n: row(n, size_wh=[5, 5]),
    "not a row": lambda n: b"[1, 2]\n",
    "half a line": lambda n: b'{"sample_id": 1, "respo\n',
    "blank": lambda n: b"\n",
}


def both(path: Path, kinds: list[str], score: str, on_error: str, block_bytes: int, workers: int = 1) -> list[object]:
    """What is read row by row, and in blocks."""
    path.write_bytes(b"".join(KINDS[kind](number) for number, kind in enumerate(kinds)))
    rules = Rules("qwen2_vl", score=score)
    found = []
    for ahead in (None, RowsAhead(path, rules, workers, block_bytes).rows()):
        try:
            answers = read_answers(path, TRUTH, rules, on_error, ahead=ahead)
        except GroundswiftError as error:
            found.append(str(error))
            continue
        columns = [column.tolist() for each in (answers.predictions, answers.copies) for column in vars(each).values()]
        found.append(
            [columns, answers.statuses, answers.texts, answers.counts.document(), answers.lines(), answers.questions, answers.unknown]
        )
    return found


@given(
    st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=30),
    st.sampled_from(["constant", "order", "logprob"]),
    st.sampled_from(["stop", "skip"]),
    st.sampled_from([1, 3_000, 1 << 20]),
)
def test_blocks_are_read_as_rows_are(tmp_path_factory, kinds, score, on_error, block_bytes):
    by_row, in_blocks = both(tmp_path_factory.mktemp("blocks") / "r.jsonl", kinds, score, on_error, block_bytes)
    assert in_blocks == by_row


@pytest.mark.process
@pytest.mark.parametrize("score", ["order", "logprob"])
def test_several_processes(tmp_path, score):
    kinds = ["ordinary", "several boxes", "unknown class", "cut", "truncated", "one class asked", "other tokens", "unknown image"] * 30
    by_row, in_blocks = both(tmp_path / "r.jsonl", kinds, score, "skip", 2_000, workers=3)
    assert in_blocks == by_row


def test_ordinary_rows_are_not_read_again(tmp_path, monkeypatch):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(map(row, range(20))))
    ahead = RowsAhead(path, Rules("qwen2_vl"), 1, 1_000)
    assert all(block.parsed for block in ahead._blocks.result())
    monkeypatch.setattr(row_blocks, "lines_of", None)
    assert [number for number, _ in ahead.rows()] == list(range(1, 21))


@pytest.mark.parametrize("text", [b"", b"a", b"a\n", b"\n\n", b"ab\nc\r\nd", b"x" * 50 + b"\ny"])
@pytest.mark.parametrize("block_bytes", [1, 3, 100])
def test_ranges_hold_each_line_once(tmp_path, text, block_bytes):
    path = tmp_path / "lines"
    path.write_bytes(text)
    with open(path, "rb") as lines:
        wanted = list(lines)
    assert [line for each in line_ranges(path, block_bytes) for line in lines_of(path, *each)] == wanted


@pytest.mark.parametrize(("size", "workers", "name"), [(9, 2, "r.jsonl"), (99, 1, "r.jsonl"), (99, 2, "r.csv"), (0, 2, "none.jsonl")])
def test_small_files_and_tables_are_read_row_by_row(tmp_path, monkeypatch, size, workers, name):
    monkeypatch.setattr(row_blocks, "LARGE", 50)
    if size:
        (tmp_path / name).write_bytes(b"x" * size)
    assert rows_ahead(tmp_path / name, Rules("qwen2_vl"), workers) is None


@pytest.mark.process
@pytest.mark.parametrize("workers", [None, 2])
def test_the_command_reads_a_large_result_in_blocks(tmp_path, monkeypatch, workers):
    """The files of both ways are the same; a ground truth that cannot be read ends the other processes, too."""
    monkeypatch.setattr(row_blocks, "LARGE", 50)
    (tmp_path / "r.jsonl").write_bytes(b"".join(map(row, range(IMAGES))))
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 100} for number in TRUTH.image_ids]
    categories = [{"id": number, "name": name} for number, name in enumerate(TRUTH.category_names, 1)]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 40]}
    write_json(tmp_path / "gt.json", {"images": images, "categories": categories, "annotations": [box]})
    words = tmp_path / "r.jsonl", "--family", "qwen2_vl", "--no-report", "--gt"
    for name, number in (("alone", 1), ("shared", workers)):
        more = [] if number is None else ["--workers", number]
        call("coco-map", *words, tmp_path / "gt.json", "--out", tmp_path / name, *more)
    first, second = ((tmp_path / name / "test_pred.json").read_bytes() for name in ("alone", "shared"))
    assert first == second
    (tmp_path / "gt.json").write_text("{")
    assert "error: " in call("coco-map", *words, tmp_path / "gt.json", "--out", tmp_path / "none", "--workers", 2, code=1).stderr


def test_boxes_keep_all_their_digits(tmp_path):
    """Coordinates that a short float does not hold."""
    truth = truth_from_rows([(1, (10**6, 10**6), ["cat"], [(0, 0, 50, 50)])])
    text = '```json\n[{"bbox_2d": [1, 2, 16777217, 333333.3333333], "label": "cat"}]\n```'
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"sample_id": 1, "response": text, "messages": []}) + "\n")
    rules = Rules("qwen2_5_vl", space="original_px")
    boxes = [read_answers(path, truth, rules, ahead=ahead).predictions.boxes_xywh_px for ahead in (None, RowsAhead(path, rules, 1).rows())]
    assert np.array_equal(*boxes)
    assert boxes[0].shape == (1, 4)
