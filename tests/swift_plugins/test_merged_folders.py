"""A merged folder that was made from another adapter or model is not used in silence, by `swift infer` nor by `swift export`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tiny_run import MODEL, infer, rows_of, sft, written

from groundswift.errors import GroundswiftError

RECORD = "groundswift_merged_from.json"
MERGE = ("--merge_lora", "true", "--torch_dtype", "float32")


@pytest.fixture(scope="module")
def made(plugin, tmp_path_factory) -> dict[str, Path]:
    """Data, two adapters of different trainings, and an empty place to answer into."""
    folder = tmp_path_factory.mktemp("merged")
    data = written(folder / "rows.jsonl", rows_of(folder, 2))
    adapters = {}
    for name, rate in (("first", "1e-4"), ("second", "2e-2")):
        sft(plugin, data, folder / name, "--learning_rate", rate, "--save_steps", "1", "--max_steps", "2", "--save_total_limit", "1")
        adapters[name] = folder / name / "checkpoint-2"
    return {"data": data, **adapters}


@pytest.fixture
def adapter(made, tmp_path) -> Path:
    """A copy of the first adapter."""
    return Path(shutil.copytree(made["first"], tmp_path / "checkpoint"))


def answer(plugin, made, adapter, number=0) -> list[str]:
    rows = infer(plugin, made["data"], adapter.parent / f"result-{number}.jsonl", "--adapters", str(adapter), *MERGE)
    return [row["response"] for row in rows]


def retrain(made, adapter) -> None:
    """What another training in the same folder leaves."""
    shutil.copytree(made["second"], adapter, dirs_exist_ok=True, copy_function=shutil.copy)


def test_a_folder_of_the_same_adapter_is_used_again_and_its_record_says_what_was_merged(plugin, made, adapter):
    merged = Path(f"{adapter}-merged")
    assert answer(plugin, made, adapter, 0) == answer(plugin, made, adapter, 1)
    record = json.loads((merged / RECORD).read_text())
    assert len(record["adapters"]) == 2
    assert all(" bytes, sha256 " in each for each in [*record["adapters"], record["model"]])
    moved = shutil.move(merged, adapter.parent / "moved")
    shutil.move(moved, merged)
    shutil.copytree(adapter, adapter.parent / "copy")
    shutil.copytree(merged, adapter.parent / "copy-merged")
    answer(plugin, made, adapter.parent / "copy", 2)


def test_after_another_training_it_is_refused_and_removing_it_helps(plugin, made, adapter):
    before = answer(plugin, made, adapter, 0)
    retrain(made, adapter)
    with pytest.raises(GroundswiftError, match="was merged from another adapter .*Remove the folder to merge again.*--model .*-merged"):
        answer(plugin, made, adapter, 1)
    shutil.rmtree(f"{adapter}-merged")
    assert answer(plugin, made, adapter, 2) != before


def test_without_a_record_the_times_of_the_files_decide(plugin, made, adapter):
    answer(plugin, made, adapter, 0)
    merged = Path(f"{adapter}-merged")
    (merged / RECORD).unlink()
    answer(plugin, made, adapter, 1)
    later = (merged / "model.safetensors").stat().st_mtime + 5
    os.utime(adapter / "adapter_model.safetensors", (later, later))
    with pytest.raises(GroundswiftError, match="is older than the adapter"):
        answer(plugin, made, adapter, 2)


@pytest.mark.parametrize("left", [[], ["config.json"]])
def test_what_a_merge_that_did_not_end_leaves_is_refused(plugin, made, adapter, left):
    merged = Path(f"{adapter}-merged")
    merged.mkdir()
    for name in left:
        (merged / name).write_text("{}")
    with pytest.raises(GroundswiftError, match="holds no weights"):
        answer(plugin, made, adapter)


def test_another_base_is_refused(plugin, made, adapter, tmp_path):
    answer(plugin, made, adapter, 0)
    base = Path(shutil.copytree(Path(MODEL[1]), tmp_path / "base"))
    weights = base / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-4:] = b"\0\0\0\0"
    weights.write_bytes(changed)
    with pytest.raises(GroundswiftError, match="was merged into another model"):
        infer(plugin, made["data"], tmp_path / "result.jsonl", "--adapters", str(adapter), "--model", str(base), *MERGE)


def test_export_onto_an_outdated_folder_is_refused_too(plugin, made, adapter):
    from swift import export_main

    export = ["--adapters", str(adapter), *MERGE, "--exist_ok", "true", "--custom_register_path", str(plugin)]
    export_main(export)
    export_main(export)
    retrain(made, adapter)
    with pytest.raises(GroundswiftError, match="was merged from another adapter"):
        export_main(export)
