"""The files of a merged model against its base: what is missing is named with the command that copies it, what differs by its meaning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from converted import run

from groundswift.errors import GroundswiftError
from groundswift.merged_files import compare_files
from groundswift.run_record import FOLDER_RECORD

MODEL = Path(__file__).resolve().parents[2] / "recipes" / "quickstart" / "model"


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """A base model with remote code, and a merged one with the same files."""
    base = copytree(MODEL, tmp_path / "base", ignore=ignore_patterns("*.safetensors"))
    edit(base / "config.json", lambda each: each | {"auto_map": {"AutoModel": "modeling_x.X"}})
    (base / "modeling_x.py").write_text("class X: pass\n")
    (base / "README.md").write_text("about")
    return base, copytree(base, tmp_path / "merged", ignore=ignore_patterns("README.md"))


def edit(path: Path, change: Callable[[dict], dict | None]) -> None:
    """Change a JSON file."""
    document = json.loads(path.read_text())
    path.write_text(json.dumps(change(document) or document))


def test_equal_folders_fit_whatever_the_order_of_keys(folders):
    base, merged = folders
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        edit(merged / name, lambda each: dict(reversed(each.items())))
    report = compare_files(base, merged)
    assert (report.fits, report.notes, report.remedy()) == (True, [], [])
    assert report.lines() == ["files of the base model that are missing: none", "differs from the base model: nothing"]


@pytest.mark.parametrize("name", ["tokenizer_config.json", "modeling_x.py", "tokenizer.json", "generation_config.json"])
def test_a_missing_file_is_named_with_its_command(folders, name):
    base, merged = folders
    (merged / name).unlink()
    report = compare_files(base, merged)
    assert report.missing == [name]
    assert report.remedy() == [f"cp {base / name} {merged / name}"]
    done = run("parity", "--files", base, merged)
    assert done.exit_code == 1
    assert f"missing: {name}" in done.output
    assert f"cp {base / name}" in done.output


def test_files_that_newer_transformers_merge_are_not_missing(folders):
    base, merged = folders
    for name in ("vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"):
        (base / name).write_text("{}")
    assert compare_files(base, merged).fits
    (base / "tokenizer.model").write_bytes(b"x")
    assert compare_files(base, merged).missing == ["tokenizer.model"]


def test_a_vocabulary_in_text_is_a_part_of_the_model(folders):
    base, merged = folders
    (base / "vocab.txt").write_text("[PAD]")
    assert compare_files(base, merged).fits  # tokenizer.json has it
    for folder in folders:
        (folder / "tokenizer.json").unlink()
    assert compare_files(base, merged).missing == ["vocab.txt"]


CHANGES = {
    "a token": ("tokenizer.json", lambda each: each["model"]["vocab"].update({"zzz": 1}), "tokenizer.json: vocabulary: 1 of"),
    "an added token": ("tokenizer.json", lambda each: each["added_tokens"][0].update(content="<x>"), "added tokens: 1 of"),
    "end": ("tokenizer_config.json", lambda each: each.update(eos_token="<other>"), "special tokens: eos_token"),
    "stop": ("generation_config.json", lambda each: each.update(eos_token_id=3), "generation_config.json: eos_token_id"),
    "code map": ("config.json", lambda each: each.pop("auto_map"), "config.json: auto_map"),
    "mean": ("processor_config.json", lambda each: each["image_processor"].update(image_mean=[0, 0, 0]), "image processor: image_mean"),
    "decoder": ("tokenizer.json", lambda each: each.update(decoder=None, normalizer={"type": "Lowercase"}), "tokenizer.json: "),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_tokens_or_pixels_is_named(folders, change):
    base, merged = folders
    name, edited, message = CHANGES[change]

    def changed(document: dict) -> None:
        edited(document)

    edit(merged / name, changed)
    report = compare_files(base, merged)
    assert [each for each in report.different if message in each], report
    assert run("parity", "--files", base, merged, "--json").exit_code == 1


def test_other_code_is_named(folders):
    base, merged = folders
    (merged / "modeling_x.py").write_text("class X:  pass\n\n")
    assert compare_files(base, merged).fits, "white space is the same code"
    (merged / "modeling_x.py").write_text("class Y: pass\n")
    assert compare_files(base, merged).different == ["modeling_x.py: other code"]


def test_template_and_limits_of_a_training_are_notes(folders):
    base, merged = folders
    (merged / "chat_template.jinja").write_text("other")
    edit(merged / "processor_config.json", lambda each: each["image_processor"].update(min_pixels=1, size={"shortest_edge": 1}))
    edit(base / "processor_config.json", lambda each: each["image_processor"].update(min_pixels=2))
    assert "chat template: another text" in compare_files(base, merged).different
    (merged / FOLDER_RECORD).write_text("{}")
    report = compare_files(base, merged)
    assert report.fits
    assert report.notes[0] == "chat template: another text"
    assert "image processor: min_pixels: 2, merged 1" in report.notes


def test_one_value_has_several_forms(folders):
    base, merged = folders
    edit(base / "generation_config.json", lambda each: each | {"eos_token_id": [7], "temperature": 1})
    edit(merged / "generation_config.json", lambda each: each | {"eos_token_id": 7, "temperature": 1.0})
    edit(base / "tokenizer_config.json", lambda each: each | {"tokenizer_class": "Qwen2TokenizerFast", "eos_token": {"content": "<e>"}})
    edit(merged / "tokenizer_config.json", lambda each: each | {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<e>"})
    assert compare_files(base, merged).fits


def test_other_folders_and_options_are_refused(folders, tmp_path):
    base, merged = folders
    with pytest.raises(GroundswiftError, match="no such folder"):
        compare_files(tmp_path / "none", merged)
    (tmp_path / "empty").mkdir()
    with pytest.raises(GroundswiftError, match="config.json: cannot be read"):
        compare_files(base, tmp_path / "empty")
    assert run("parity", "--files", base, merged, "--out", tmp_path / "x").exit_code == 2
    assert "Missing option '--out'" in run("parity", "--result", "a=b", "--result", "c=d").output
    (merged / "tokenizer.json").write_text("{broken")
    assert "tokenizer.json: cannot be read" in compare_files(base, merged).different[0]
