"""Answers that are missing, truncated or empty: they end neither inference nor evaluation, stay in the result, and are counted."""

from __future__ import annotations

import json
import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from converted import run
from hub_copies import png
from PIL import UnidentifiedImageError
from rows import detection, read_rows
from swift.dataset.utils import LazyLLMDataset
from swift.template import MaxLengthError
from tiny_run import infer, unreadable, written

from groundswift.errors import GroundswiftError
from groundswift.images import open_image
from groundswift.swift_plugins.grounding.metrics.unanswered import ROUGE_USERS, Unanswered, emptied, id_in, kind_of, reason_of

REASONS_BY_IMAGE = ("no such image", "image file is truncated", "larger than the max_length", "not a readable image")


def answered(plugin: Path, rows: list[dict[str, Any]], folder: Path, **more: object) -> list[dict[str, Any]]:
    """The result rows of the embedded model, which takes rows of up to 400 tokens."""
    given = {"max_new_tokens": 160, "max_batch_size": 4, "max_length": 400}
    return infer(plugin, written(folder / "rows.jsonl", rows), folder / "result.jsonl", **given, **more)


@pytest.mark.parametrize("more", [{}, {"stream": True}], ids=["batches", "streamed"])
def test_every_row_is_in_the_result_and_those_without_an_answer_count_as_missed(plugin, toys, tmp_path, more):
    rows = read_rows(toys / "toys.jsonl")[:6]
    (tmp_path / "text.png").write_text("no image")
    for row, path in zip(rows, [*unreadable(tmp_path), tmp_path / "text.png"], strict=False):
        row["images"] = [str(path)]
    result = answered(plugin, rows, tmp_path, **more)
    assert [row["sample_id"] for row in result] == [row["sample_id"] for row in rows]
    for row, reason in zip(result, REASONS_BY_IMAGE, strict=False):
        assert row["response"] == ""
        assert reason in row["error"]
    assert [bool(row["response"]) for row in result[len(REASONS_BY_IMAGE) :]] == [True, True]
    assert not any(row.get("error") for row in result[len(REASONS_BY_IMAGE) :])
    words = ("--gt", toys / "annotations.json", "--family", "qwen2_vl", "--no-report", "--out", tmp_path / "scored")
    done = run("eval", "coco-map", tmp_path / "result.jsonl", *words)
    assert done.exit_code == 0, done.output
    assert "4  row-failed: " in done.output
    metrics = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    assert 0 < metrics["AR100"] < 0.5


def test_a_run_without_any_answer_is_an_error_that_names_the_first_reason(plugin, toys, tmp_path):
    rows = read_rows(toys / "toys.jsonl")[:2]
    with pytest.raises(GroundswiftError, match="no row could be answered; first error: .*no such image"):
        answered(plugin, [row | {"images": ["nowhere.png"]} for row in rows], tmp_path)
    assert len(read_rows(tmp_path / "result.jsonl")) == 2


def test_images_are_counted_by_id_wherever_they_lie(plugin, tmp_path, monkeypatch):
    folder, whole = tmp_path / "images", png((64, 64))
    folder.mkdir()
    for name, data in {"text": b"no image", "truncated": whole[: len(whole) // 2], "large": whole}.items():
        (folder / f"{name}.png").write_bytes(data)
    for name, kind in [("missing", "image-missing"), *((name, "image-unreadable") for name in ("text", "truncated", "large"))]:
        if name == "large":
            monkeypatch.setenv("GROUNDSWIFT_MAX_IMAGE_PIXELS", "100")
        with pytest.raises(GroundswiftError) as raised:
            open_image(folder / f"{name}.png").load()
        assert kind_of(raised.value) == kind, name


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError(2, "No such file or directory", "images/a.png"), "image-missing"),
        (UnidentifiedImageError("cannot identify image file"), "image-unreadable"),
        (OSError("image file is truncated (3 bytes not processed)"), "image-unreadable"),
        (MaxLengthError("Current length of row(921) is larger than the max_length(400)."), "row-too-long"),
        (GroundswiftError("images/broken.png: box [1, 2] is outside its image of 9x9 px"), "row-refused"),
    ],
)
def test_errors_are_counted_by_id(plugin, error, kind):
    assert kind_of(error) == kind
    assert id_in(f"{reason_of(error)} [{kind_of(error)}]") == kind


def test_no_answer_passes_between_processes_and_into_json_as_an_empty_text(plugin):
    passed = pickle.loads(pickle.dumps(Unanswered("a.png: no such image [image-missing]")))
    assert (passed, passed.reason, json.dumps(passed)) == ("", "a.png: no such image [image-missing]", '""')


def test_a_row_that_training_replaces_by_another_is_named(zoo, image_of_size, warned):
    good = detection(image_of_size((112, 84)), ["cat"], [[10, 7, 50, 63]]) | {"sample_id": "good"}
    template = zoo.make_template("qwen2_vl", max_length=300)
    long = good | {"sample_id": "long", "images": [str(image_of_size((840, 840)))]}
    LazyLLMDataset([good, long], template.encode, random_state=0)[1]
    assert any(line.startswith("row 'long' (row-too-long) is replaced by another row: Current length") for line in warned)


@pytest.mark.parametrize("more", [(), ("--stream", "true"), ("--max_batch_size", "4")], ids=["one by one", "streamed", "in batches"])
@pytest.mark.parametrize(("limit", "count"), [("6", 12), ("300", 0)])
def test_truncated_answers_are_counted(plugin, toys, tmp_path, warned, limit, count, more):
    rows = infer(plugin, toys / "toys.jsonl", tmp_path / "result.jsonl", "--max_new_tokens", limit, *more)
    assert len(rows) == 12
    lines = [line for line in warned if "[answers-truncated]" in line]
    assert len(lines) == bool(count)
    assert all(line.startswith(f"{count} of 12 answers were truncated at --max_new_tokens {limit}") for line in lines)


@pytest.mark.parametrize("module", ROUGE_USERS)
@pytest.mark.parametrize("answer", ["\n", " ", "\u3000", "...", ". .", "\t.\n", ""])
def test_an_answer_without_a_word_scores_0(plugin, module, answer):
    compute = import_module(module).compute_rouge_bleu
    assert compute([answer], ["a cat and a dog"])["rouge-l"] == 0
    assert compute([answer, "a cat"], ["a dog", "a cat"])["rouge-l"] == pytest.approx(50, abs=0.01)


@pytest.mark.parametrize("reference", ["\n", "...", " "])
def test_a_reference_without_a_word_is_passed_over(plugin, reference):
    compute = import_module(ROUGE_USERS[0]).compute_rouge_bleu
    assert compute(["a cat", "a cat"], [reference, "a cat"])["rouge-l"] == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize("text", ["a", "。", "x.", "-", ". a ."])
def test_a_text_with_a_word_stays(text):
    assert emptied(text) == text
