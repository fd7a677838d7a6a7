"""Rows whose images are in a bucket train and infer through the grounding templates as rows with local images do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rows import read_rows
from s3_server import Bucket, environment, s3_server
from tiny_run import TEMPLATE, options, sft_options, swift_process, written

from groundswift.errors import GroundswiftError


@pytest.fixture(scope="module")
def endpoint(night) -> Iterator[str]:
    """A server with the drawn image_of_size, one of them EXIF-rotated, in the bucket `night`."""
    with s3_server() as address:
        bucket = Bucket(address, "night")
        for path in (night / "images").iterdir():
            bucket.put(f"images/{path.name}", path.read_bytes())
        yield address


@pytest.fixture(scope="module")
def rows(night, tmp_path_factory) -> Path:
    """The rows of the drawn set with URLs in place of paths."""
    rows = read_rows(night / "night.jsonl")
    for row in rows:
        row["images"] = [f"s3://night/images/{Path(image).name}" for image in row["images"]]
    return written(tmp_path_factory.mktemp("rows") / "in_bucket.jsonl", rows)


def inferred(endpoint: str, folder: Path, rows: Path, model: Path, plugin: Path) -> list[dict]:
    words = options(model=model, custom_register_path=plugin, val_dataset=rows, result_path="result.jsonl", torch_dtype="float32")
    words += options(temperature=0, max_new_tokens=8, max_batch_size=4)
    swift_process("infer", *TEMPLATE, *words, cwd=folder, **environment(endpoint, folder / "cache"))
    return read_rows(folder / "result.jsonl")


@pytest.mark.long
def test_inference_on_images_in_a_bucket_answers_as_on_local_ones(endpoint, rows, night, plugin, models, tmp_path):
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


def test_training_reads_images_from_a_bucket(endpoint, rows, plugin, models, tmp_path):
    words = sft_options(plugin, rows, tmp_path / "out", model=models["qwen2_vl"], dataloader_num_workers=2, max_steps=2)
    swift_process("sft", *words, cwd=tmp_path, **environment(endpoint, tmp_path / "cache"))
    assert (tmp_path / "out" / "checkpoint-2" / "adapter_config.json").is_file()
    assert any((tmp_path / "cache").rglob("*.*"))


def test_an_image_in_a_bucket_is_encoded_as_the_local_one(endpoint, rows, night, zoo, monkeypatch, tmp_path):
    for name, value in environment(endpoint, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    for far, near in zip(read_rows(rows), read_rows(night / "night.jsonl"), strict=True):
        fed, expected = (zoo["qwen2_vl"].encode(row) for row in (far, near))
        assert fed["input_ids"] == expected["input_ids"]
        assert fed["pixel_values"].equal(expected["pixel_values"])


def test_a_missing_image_is_reported_by_its_url(endpoint, plugin, zoo, monkeypatch, tmp_path):
    for name, value in environment(endpoint, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    messages = [{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "Here."}]
    with pytest.raises(GroundswiftError, match=r"^s3://night/none\.png: no such object"):
        zoo["qwen2_vl"].encode({"messages": messages, "images": ["s3://night/none.png"]})
