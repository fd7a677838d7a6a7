"""Rows whose pictures lie in a bucket train and infer through the grounding templates as rows with local pictures do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rows import read_rows
from s3_server import Bucket, environment, s3_server

SWIFT = str(Path(sys.executable).with_name("swift"))
MODEL = ["--model_type", "qwen2_vl", "--template", "qwen2_vl_grounding", "--torch_dtype", "float32", "--attn_impl", "sdpa"]


@pytest.fixture(scope="module")
def endpoint(night) -> Iterator[str]:
    """A server with the drawn pictures, one of them EXIF-rotated, in the bucket `night`."""
    with s3_server() as address:
        bucket = Bucket(address, "night")
        for path in (night / "images").iterdir():
            bucket.put(f"images/{path.name}", path.read_bytes())
        yield address


@pytest.fixture(scope="module")
def rows(night, tmp_path_factory) -> Path:
    """The rows of the drawn set with addresses in place of paths."""
    path = tmp_path_factory.mktemp("rows") / "in_bucket.jsonl"
    told = read_rows(night / "night.jsonl")
    for row in told:
        row["images"] = [f"s3://night/images/{Path(image).name}" for image in row["images"]]
    path.write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
    return path


def swift(endpoint: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    variables = {**os.environ, **environment(endpoint, folder / "cache"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run([SWIFT, *arguments], cwd=folder, env=variables, capture_output=True, text=True, timeout=500)


def inferred(endpoint: str, folder: Path, rows: Path, model: Path, plugin: Path) -> list[dict]:
    done = swift(
        endpoint, folder, "infer", "--model", str(model), *MODEL, "--custom_register_path", str(plugin), "--temperature", "0",
        "--val_dataset", str(rows), "--result_path", "result.jsonl", "--max_new_tokens", "8", "--max_batch_size", "4",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return read_rows(folder / "result.jsonl")


def test_inference_on_pictures_in_a_bucket_answers_as_on_local_ones(endpoint, rows, night, plugin, models, tmp_path):
    (tmp_path / "bucket").mkdir()
    (tmp_path / "local").mkdir()
    found = inferred(endpoint, tmp_path / "bucket", rows, models["qwen2_vl"], plugin)
    local = inferred(endpoint, tmp_path / "local", night / "night.jsonl", models["qwen2_vl"], plugin)
    assert [(row["sample_id"], row["size_wh"], row["response"]) for row in found] == [
        (row["sample_id"], row["size_wh"], row["response"]) for row in local
    ]
    assert all(row["images"][0]["path"].startswith("s3://night/images/") for row in found)
    assert len([path for path in (tmp_path / "bucket" / "cache").rglob("*") if path.is_file()]) == len(found)
    assert not (tmp_path / "local" / "cache").exists()


def test_training_reads_pictures_from_a_bucket(endpoint, rows, plugin, models, tmp_path):
    done = swift(
        endpoint, tmp_path, "sft", "--model", str(models["qwen2_vl"]), *MODEL, "--custom_register_path", str(plugin),
        "--dataset", str(rows), "--split_dataset_ratio", "0", "--dataloader_num_workers", "2", "--tuner_type", "lora", "--max_steps", "2",
        "--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "1", "--check_model", "false", "--fp16", "false",
        "--report_to", "none", "--add_version", "false", "--output_dir", "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "out" / "checkpoint-2" / "adapter_config.json").is_file()
    assert any((tmp_path / "cache").rglob("*.*"))


def test_a_picture_in_a_bucket_is_fed_as_the_local_one(endpoint, rows, night, templates, monkeypatch, tmp_path):
    for name, value in environment(endpoint, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    for far, near in zip(rows.read_text().splitlines(), (night / "night.jsonl").read_text().splitlines(), strict=True):
        fed, expected = (templates["qwen2_vl"].encode(json.loads(line)) for line in (far, near))
        assert fed["input_ids"] == expected["input_ids"]
        assert fed["pixel_values"].equal(expected["pixel_values"])


def test_a_missing_picture_is_told_by_its_address(endpoint, plugin, templates, monkeypatch, tmp_path):
    from groundswift.errors import GroundswiftError

    for name, value in environment(endpoint, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    messages = [{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "Here."}]
    with pytest.raises(GroundswiftError, match=r"^s3://night/none\.png: no such object"):
        templates["qwen2_vl"].encode({"messages": messages, "images": ["s3://night/none.png"]})
