"""Local folders of datasets: changed files, and another folder of the same name, are read as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import config, load_dataset
from hub_copies import LATEX_README, png, write_text
from swift.dataset import load_dataset as swift_load

CONFIGS = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: rows.jsonl\n---\n"


def folder_with(place: Path, text: str) -> Path:
    """A folder `boxes` with one row of this text, whose README names its file."""
    folder = place / "boxes"
    folder.mkdir(parents=True, exist_ok=True)
    messages = f'[{{"role": "user", "content": "{text}"}}, {{"role": "assistant", "content": "{text}"}}]'
    (folder / "rows.jsonl").write_text(f'{{"messages": {messages}}}\n')
    (folder / "README.md").write_text(CONFIGS)
    return folder


@pytest.fixture(autouse=True)
def cache(plugin, tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def asked_in(folder: Path) -> str:
    """The question of the one row, as `swift sft --dataset FOLDER` reads it."""
    (row,) = swift_load([str(folder)], num_proc=1)[0]
    return row["messages"][0]["content"]


def test_a_folder_is_read_as_it_is_now(tmp_path, cache):
    assert asked_in(folder_with(tmp_path / "one", "cat")) == "cat"
    assert asked_in(folder_with(tmp_path / "two", "dog")) == "dog"
    assert asked_in(folder_with(tmp_path / "one", "owl")) == "owl"
    before = len(list(cache.glob("local-*")))
    assert asked_in(tmp_path / "one" / "boxes") == "owl"
    assert len(list(cache.glob("local-*"))) == before, "what did not change comes from the cache"
    assert cache == config.HF_DATASETS_CACHE


def test_datasets_alone_gives_the_earlier_rows(tmp_path):
    """If this fails, the patch is needed no more."""
    texts = [load_dataset(str(folder_with(tmp_path / place, place)), split="train")[0]["messages"][0]["content"] for place in ("a", "b")]
    assert texts == ["a", "a"]


def test_a_named_set_follows_its_copy(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDSWIFT_HUB", str(tmp_path))
    latex = tmp_path / "AI-ModelScope" / "LaTeX_OCR"
    for split in ("validation", "test"):
        write_text(latex / f"full/{split}-00000-of-00001.parquet", [("x", png((40, 20)))])
    for formula in (r"\beta", r"\gamma"):
        write_text(latex / "small/train-00000-of-00001.parquet", [(formula, png((43, 20)))])
        (latex / "README.md").write_text(LATEX_README)
        (row,) = swift_load(["latex-ocr-small:train"], num_proc=1)[0]
        assert row["messages"][1]["content"] == formula
