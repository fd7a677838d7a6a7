"""A row that cannot be read ends neither inference nor evaluation: it stays in the result, with the reason, and counts as missed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rows import noise, read_rows
from tiny_run import EMBEDDED

from groundswift.cli import main
from groundswift.errors import GroundswiftError

LOST = {
    "missing": (lambda folder: folder / "missing.png", "no such image"),
    "cut short": (lambda folder: cut(folder / "cut.png"), "image file is truncated"),
    "no image": (lambda folder: text(folder / "text.png"), "not a readable image"),
    "too long": (lambda folder: noise(folder / "long.png", (840, 840)), "larger than the max_length"),
}


def cut(path: Path) -> Path:
    whole = noise(path, (112, 84)).read_bytes()
    path.write_bytes(whole[:900])
    return path


def text(path: Path) -> Path:
    path.write_text("no image")
    return path


def infer(plugin: Path, rows: list[dict[str, Any]], folder: Path, *more: str) -> list[dict[str, Any]]:
    from swift import infer_main

    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    infer_main(
        ["--model", str(EMBEDDED), "--model_type", "qwen2_vl", "--template", "qwen2_vl_grounding", "--torch_dtype", "float32"]
        + ["--attn_impl", "sdpa", "--custom_register_path", str(plugin), "--val_dataset", str(folder / "rows.jsonl"), "--temperature", "0"]
        + ["--result_path", str(folder / "result.jsonl"), "--max_new_tokens", "160", "--max_batch_size", "4", "--max_length", "400", *more]
    )
    return read_rows(folder / "result.jsonl")


@pytest.mark.parametrize("more", [(), ("--stream", "true")], ids=["batches", "streamed"])
def test_every_row_is_in_the_result_and_those_without_an_answer_count_as_missed(plugin, toys, tmp_path, more):
    rows = read_rows(toys / "toys.jsonl")[:6]
    for row, (make, _) in zip(rows, LOST.values(), strict=False):
        row["images"] = [str(make(tmp_path))]
    result = infer(plugin, rows, tmp_path, *more)
    assert [row["sample_id"] for row in result] == [row["sample_id"] for row in rows]
    for row, (_, reason) in zip(result, LOST.values(), strict=False):
        assert row["response"] == ""
        assert reason in row["error"]
    assert [bool(row["response"]) for row in result[len(LOST) :]] == [True, True]
    assert not any(row.get("error") for row in result[len(LOST) :])
    command = [
        "eval",
        "coco-map",
        str(tmp_path / "result.jsonl"),
        "--gt",
        str(toys / "annotations.json"),
        "--out",
        str(tmp_path / "scored"),
    ]
    done = CliRunner().invoke(main, [*command, "--family", "qwen2_vl", "--no-report"])
    assert done.exit_code == 0, done.output
    assert "4  row-failed: " in done.output
    metrics = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    assert 0 < metrics["AR100"] < 0.5


def test_a_run_without_any_answer_is_an_error_that_names_the_first_reason(plugin, toys, tmp_path):
    rows = read_rows(toys / "toys.jsonl")[:2]
    with pytest.raises(GroundswiftError, match="no row could be answered; first error: .*no such image"):
        infer(plugin, [row | {"images": ["nowhere.png"]} for row in rows], tmp_path)
    assert len((tmp_path / "result.jsonl").read_text(encoding="utf-8").splitlines()) == 2


REASONS = {
    "a.png: no such image": "image-missing",
    "FileNotFoundError: [Errno 2] No such file or directory: 'a.png'": "image-missing",
    "a.png: broken image (OSError: image file is truncated)": "image-unreadable",
    "UnidentifiedImageError: cannot identify image file": "image-unreadable",
    "Current length of row(921) is larger than the max_length(400).": "row-too-long",
    "box [1, 2] is outside its image of 9x9 px: clip it, as converters do": "row-refused",
}


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_are_counted_by_id(plugin, reason):
    from groundswift.swift_plugins.grounding.metrics.unanswered import kind_of

    assert kind_of(reason) == REASONS[reason]


def test_no_answer_passes_between_processes_and_into_json_as_an_empty_text(plugin):
    from groundswift.swift_plugins.grounding.metrics.unanswered import Unanswered

    passed = pickle.loads(pickle.dumps(Unanswered("a.png: no such image")))
    assert (passed, passed.reason, json.dumps(passed)) == ("", "a.png: no such image", '""')


def test_a_row_that_training_replaces_by_another_is_named(zoo, pictures, warned):
    from rows import detection
    from swift.dataset.utils import LazyLLMDataset

    good = detection(pictures((112, 84)), ["cat"], [[10, 7, 50, 63]]) | {"sample_id": "good"}
    template = zoo.make_template("qwen2_vl", max_length=300)
    long = good | {"sample_id": "long", "images": [str(pictures((840, 840)))]}
    LazyLLMDataset([good, long], template.encode, random_state=0)[1]
    assert any(line.startswith("row 'long' (row-too-long) is replaced by another row: Current length") for line in warned)
