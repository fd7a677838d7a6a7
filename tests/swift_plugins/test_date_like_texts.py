"""Ids, labels and answers that all look like dates are read as the texts that they are, streamed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rows import detection
from tiny_run import infer, sft, written

from groundswift.swift_plugins.grounding.patches.date_like_texts import CACHE_TAG, reader

SPELLINGS = ["2024-01-01", "2024-01-01T00:00:00", "2024-01-01 10:00", "2024-01-01T00:00:00Z", "2024-01-01 00:00:00.500", "10:30:00"]
COLUMNS = {
    "id": lambda text: {"sample_id": text},
    "labels": lambda text: {"objects": {"ref": [text], "bbox": [[1, 2, 50, 60]]}},
    "question and answer": lambda text: {
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": f"{text[:-1]}{9 - int(text[-1]) if text[-1].isdigit() else 'Z'}"},
        ]
    },
    "rejected": lambda text: {"rejected_response": text, "rejected_objects": {"ref": [text], "bbox": [[1, 2, 3, 4]]}},
    "label": lambda text: {"label": text},
    "solution": lambda text: {"solution": text},
    "image": lambda text: {"images": [text]},
}


def loaded(path: Path, streaming: bool) -> list[dict[str, Any]]:
    from swift.dataset import load_dataset

    return list(load_dataset([str(path)], streaming=streaming, remove_unused_columns=False)[0])


@pytest.mark.parametrize("streaming", [False, True], ids=["stored", "streamed"])
@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("column", COLUMNS)
def test_they_stay_texts_in_their_spelling(plugin, tmp_path, column, text, streaming):
    row = detection("a.png", ["cat"], [[1, 2, 50, 60]]) | COLUMNS[column](text)
    expected = row | {"images": [{"bytes": None, "path": row["images"][0]}]}
    for read in loaded(written(tmp_path / "rows.jsonl", [row, row]), streaming):
        assert {name: read[name] for name in expected} == expected


@pytest.mark.parametrize("others", [["cat"], [7], ["2024-02-30"], [None]], ids=["a word", "a number", "a day that is none", "nothing"])
def test_dates_among_other_ids_stay_texts(plugin, tmp_path, others):
    ids = ["2024-01-01", *others, "2024-01-02"]
    path = written(tmp_path / "rows.jsonl", [detection("a.png", ["cat"], [[1, 2, 50, 60]]) | {"sample_id": each} for each in ids])
    assert [row["sample_id"] for row in loaded(path, streaming=False)] == ids


def test_a_file_that_was_read_without_the_plugin_is_read_anew(plugin, tmp_path, monkeypatch):
    import pyarrow.json
    from datasets import load_dataset, packaged_modules

    path = str(written(tmp_path / "rows.jsonl", [{"sample_id": "2024-01-01"}]))
    with monkeypatch.context() as without:
        module, digest = packaged_modules._PACKAGED_DATASETS_MODULES["json"]
        without.setattr(reader, "paj", pyarrow.json)
        without.setitem(packaged_modules._PACKAGED_DATASETS_MODULES, "json", (module, digest.removesuffix(CACHE_TAG)))
        before = load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))[0]["sample_id"]
    assert not isinstance(before, str), "datasets reads dates as texts by now: swift_plugins/grounding/patches/date_like_texts.py can go"
    assert load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))[0]["sample_id"] == "2024-01-01"


@pytest.mark.parametrize("streaming", ["false", "true"])
def test_inference_and_training_pass_them_on(plugin, image_of_size, tmp_path, streaming):
    rows = [
        detection(image_of_size((112, 84)), [f"2024-01-0{day}"], [[10, 7, 50, 63]]) | {"sample_id": f"2024-01-0{day}", "size_wh": [112, 84]}
        for day in range(1, 5)
    ]
    path = written(tmp_path / "rows.jsonl", rows)
    if streaming == "false":  # swift's inference needs stored rows
        answered = infer(plugin, path, tmp_path / "result.jsonl", max_new_tokens=4)
        assert [(row["sample_id"], row["objects"]["ref"]) for row in answered] == [
            (row["sample_id"], row["objects"]["ref"]) for row in rows
        ]
    assert sft(plugin, path, tmp_path / "out", streaming=streaming, strict=True, save_strategy="no")[0]["loss"] > 0
