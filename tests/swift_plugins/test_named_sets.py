"""`--dataset NAME#N` reads a COCO file of the YAML list, through the converter's own code."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def listed(plugin, night, monkeypatch):
    """The drawn set under the name `night_set`, registered as register.py does it."""
    from swift.dataset import register_dataset

    from groundswift.swift_plugins.grounding.datasets import named_sets

    (night / "sets.yaml").write_text("night_set:\n  format: coco\n  annotations: annotations.json\n  images: images\n", encoding="utf-8")
    monkeypatch.setenv("GROUNDSWIFT_DATASETS", str(night / "sets.yaml"))
    for meta in named_sets():
        register_dataset(meta, exist_ok=True)
    return [json.loads(line) for line in (night / "night.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_named_set_has_the_rows_of_the_converter(listed):
    from swift.dataset import load_dataset

    rows, _ = load_dataset(["night_set"], num_proc=1)
    assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in listed]
    assert [row["objects"]["bbox"] for row in rows] == [row["objects"]["bbox"] for row in listed]
    assert [row["size_wh"] for row in rows] == [row["size_wh"] for row in listed]
    assert [row["messages"] for row in rows] == [row["messages"] for row in listed]


def test_a_number_after_the_name_samples(listed):
    from swift.dataset import load_dataset

    rows, rest = load_dataset(["night_set#5"], num_proc=1)
    assert (len(rows), rest) == (5, None)


def test_it_joins_with_a_file_of_rows(listed, night):
    from swift.dataset import load_dataset

    rows, _ = load_dataset(["night_set#3", str(night / "night.jsonl")], num_proc=1)
    assert len(rows) == 3 + len(listed)
    assert None not in rows["sample_id"]


def test_it_splits_off_a_validation_set(listed):
    from swift.dataset import load_dataset

    rows, validation = load_dataset(["night_set"], split_dataset_ratio=0.2, num_proc=1)
    assert len(rows) + len(validation) == len(listed)
    assert len(validation) == 2


def test_no_list_no_sets(plugin, monkeypatch):
    from groundswift.swift_plugins.grounding.datasets import named_sets

    monkeypatch.delenv("GROUNDSWIFT_DATASETS", raising=False)
    assert named_sets() == []
