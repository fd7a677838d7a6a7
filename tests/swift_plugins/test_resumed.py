"""Warnings before the first step of a training that continues a checkpoint: what the checkpoint overrides, and files that have changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_run import sft

from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord, read_record, write_record

REPEATED = "rows are shuffled differently, so this epoch repeats some and skips others"
IGNORED = "is ignored: the"


def train(plugin: Path, rows: Path, out: Path, steps: int, **more: object) -> Path:
    """The checkpoint of a LoRA training's last step; two rows a step."""
    sft(plugin, rows, out, max_steps=steps, save_steps=1, lr_scheduler_type="constant", **more)
    return out / f"checkpoint-{steps}"


def test_a_resume_names_what_it_ignores_and_what_has_changed(plugin, toys, warned, tmp_path):
    """In swift's own training; the values that it says continue are those of the second checkpoint."""
    rows = tmp_path / "rows.jsonl"
    shutil.copy(toys / "toys.jsonl", rows)
    first = train(plugin, rows, tmp_path / "out", 1, learning_rate="3e-4", weight_decay=0.2, lora_rank=4)
    assert not [text for text in warned if text.startswith(str(first))]
    with open(rows, "a") as file:
        file.write(rows.read_text().splitlines()[0] + "\n")
    again = {"learning_rate": "7e-4", "weight_decay": 0.3, "lora_rank": 16}
    second = train(plugin, rows, tmp_path / "out", 2, **again, resume_from_checkpoint=first)
    texts = "\n".join(text for text in warned if text.startswith(str(first)))
    assert "--learning_rate 0.0007 is ignored: the schedule of the checkpoint continues with 0.0003" in texts
    assert "--weight_decay 0.3 is ignored: the optimizer of the checkpoint continues with 0.2" in texts
    assert "--lora_rank 16 is ignored: the adapter of the checkpoint has 4" in texts
    before, now = (read_record(folder / "groundswift_run.json").data_files[str(rows)] for folder in (first, second))
    assert f"{rows} has changed since the checkpoint (then {before}, now {now}): {REPEATED}" in texts
    assert texts.count("\n") == 3
    assert json.loads((second / "adapter_config.json").read_text())["r"] == 4
    groups = torch.load(second / "optimizer.pt", weights_only=True)["param_groups"]
    assert {group["lr"] for group in groups} == {3e-4}
    assert {group["weight_decay"] for group in groups} == {0.2}


TRAINED = {"learning_rate": 1e-4, "weight_decay": 0.1, "adam_beta1": 0.9, "adam_beta2": 0.95, "adam_epsilon": 1e-8}
TRAINED |= {"target_modules": ["all-linear"], "modules_to_save": [], "freeze_vit": True, "data_seed": 42, "per_device_train_batch_size": 1}
ADAPTER = {"lora_alpha": 32, "lora_dropout": 0.05, "use_rslora": False, "use_dora": False}
RUN = {"family": "qwen2_vl", "template": "qwen2_vl_grounding", "grammar": "qwen2_vl", "space": "norm1000"}


@pytest.fixture
def saved(plugin, tmp_path) -> Path:
    """A checkpoint's settings, a schedule and an optimizer, and the record of a run on two files."""
    from groundswift.swift_plugins.grounding.datasets.fingerprints import fingerprints

    folder = tmp_path / "checkpoint-7"
    folder.mkdir()
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"{name}": 1}}\n')
    names = [f"{tmp_path / 'a.jsonl'}#5", str(tmp_path / "b.jsonl")]
    (folder / "args.json").write_text(json.dumps(TRAINED | {"dataset": names}))
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8, "bias": "none"} | ADAPTER))
    torch.save({"base_lrs": [1e-4, 1e-4], "last_epoch": 7}, folder / "scheduler.pt")
    (folder / "optimizer.pt").write_bytes(b"")
    write_record(folder / "groundswift_run.json", RunRecord(**RUN, limits=Limits(), versions={}, data_files=fingerprints(names)))
    return folder


def ignored(checkpoint: Path, **given) -> list[str]:
    """What is warned of at a resume with the options of the checkpoint, but for those given."""
    from groundswift.swift_plugins.grounding.run_checks.resumed import ignored as found

    parent = checkpoint.parent
    args = TRAINED | ADAPTER | {"lora_rank": 8, "lora_bias": "none", "adapters": [], "cached_dataset": [], "deepspeed": None}
    args |= {"resume_from_checkpoint": str(checkpoint), "resume_only_model": False, "ignore_data_skip": False}
    args |= {"dataset": [f"{parent / 'a.jsonl'}#5", str(parent / "b.jsonl")]}
    texts = list(found(SimpleNamespace(**args | given)))
    assert all(text.startswith(f"{checkpoint}: ") for text in texts)
    return [text.removeprefix(f"{checkpoint}: ") for text in texts]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"learning_rate": 2e-4}, f"--learning_rate 0.0002 {IGNORED} schedule of the checkpoint continues with 0.0001."),
        ({"weight_decay": 0.0}, f"--weight_decay 0.0 {IGNORED} optimizer of the checkpoint continues with 0.1."),
        ({"adam_beta2": 0.999}, f"--adam_beta2 0.999 {IGNORED} optimizer of the checkpoint continues with 0.95."),
        ({"lora_rank": 16}, f"--lora_rank 16 {IGNORED} adapter of the checkpoint has 8."),
        ({"lora_alpha": 64}, f"--lora_alpha 64 {IGNORED} adapter of the checkpoint has 32."),
        ({"use_dora": True}, f"--use_dora true {IGNORED} adapter of the checkpoint has false."),
        ({"target_modules": ["q_proj", "v"]}, f"--target_modules q_proj v {IGNORED} adapter of the checkpoint has all-linear."),
        ({"freeze_vit": False}, f"--freeze_vit false {IGNORED} adapter of the checkpoint has true."),
        ({"data_seed": 7}, f"--data_seed 7 was 42: {REPEATED}"),
        ({"per_device_train_batch_size": 4}, f"--per_device_train_batch_size 4 was 1: {REPEATED}"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_each_option_that_is_ignored(saved, given, expected):
    texts = ignored(saved, **given)
    assert texts == [] if expected is None else len(texts) == 1 and texts[0].startswith(expected)


@pytest.mark.parametrize(
    ("held", "given", "said"),
    [
        ({"target_modules": ["v_proj", "q_proj"]}, {"target_modules": ["q_proj", "v_proj"]}, None),
        (
            {"target_modules": ["v_proj", "q_proj"]},
            {"target_modules": ["k_proj"]},
            f"k_proj {IGNORED} adapter of the checkpoint has q_proj v_proj.",
        ),
        ({"target_modules": ["q_proj"]}, {"target_modules": ["all-linear"]}, None),  # which modules that is, the adapter does not say
        ({"target_modules": "model.*q_proj"}, {"target_modules": ["all-linear"]}, None),
        ({"modules_to_save": ["lm_head"]}, {"modules_to_save": ["lm_head"]}, None),
        ({"modules_to_save": None}, {"modules_to_save": ["lm_head"]}, f"lm_head {IGNORED} adapter of the checkpoint has none."),
    ],
)
def test_modules_are_those_of_the_adapter_not_those_that_the_last_resume_ignored(saved, held, given, said):
    """args.json of a second checkpoint has what was given, the adapter what is trained."""
    adapter = json.loads((saved / "adapter_config.json").read_text())
    (saved / "adapter_config.json").write_text(json.dumps(adapter | held))
    ignored_before = {"target_modules": ["all-linear"], "modules_to_save": ["other"]}
    (saved / "args.json").write_text(json.dumps(json.loads((saved / "args.json").read_text()) | ignored_before))
    args = {"target_modules": ["all-linear"], "modules_to_save": adapter.get("modules_to_save", [])} if "modules_to_save" in held else {}
    texts = ignored(saved, **{"modules_to_save": ["other"], **args, **given})
    (option,) = held
    assert [text for text in texts if text.startswith(f"--{option} ")] == (
        [f"--{option} {said} Start a new adapter to change it"] if said else []
    )


def test_weights_alone_take_new_rates_but_no_new_rank(saved):
    given = {"learning_rate": 1, "weight_decay": 1, "lora_rank": 4, "resume_only_model": True}
    for more in ({}, {"resume_from_checkpoint": None, "adapters": [str(saved)]}):
        assert [text.partition(" is")[0] for text in ignored(saved, **given, **more)] == ["--lora_rank 4"]


def test_a_training_from_nothing_and_other_tuners_are_not_compared(saved):
    assert ignored(saved, resume_from_checkpoint=None, lora_rank=1, learning_rate=1) == []
    (saved / "adapter_config.json").write_text(json.dumps({"peft_type": "VERA", "r": 256}))
    assert ignored(saved, lora_rank=1, use_dora=True) == []


@pytest.mark.parametrize("held", [{"base_lrs": [5e-4, 1e-5]}, {"best": 1}, [1], None], ids=str)
def test_the_rate_that_continues_is_that_of_the_schedule(saved, held):
    """Not that of args.json, which may have been ignored at an earlier resume; only where there is no schedule to read."""
    torch.save(held, saved / "scheduler.pt") if held else (saved / "scheduler.pt").write_bytes(b"")
    (text,) = ignored(saved, learning_rate=2e-4)
    rates = "0.0005, 1e-05" if isinstance(held, dict) and "base_lrs" in held else "0.0001"
    assert text.startswith(f"--learning_rate 0.0002 is ignored: the schedule of the checkpoint continues with {rates}. --resume")


RESTART = "weights and step continue, optimizer and schedule restart"
BY_DEEPSPEED = f"the optimizer was saved by DeepSpeed, and this run has no --deepspeed: {RESTART}"
WITHOUT = f"it was saved without its optimizer: {RESTART}"


@pytest.mark.parametrize(
    ("folder", "given", "expected"),
    [
        ("global_step7", {}, [BY_DEEPSPEED]),
        ("global_step7", {"learning_rate": 1}, [BY_DEEPSPEED]),
        ("global_step7", {"deepspeed": {"zero_optimization": {"stage": 2}}}, []),
        ("global_step7", {"resume_only_model": True}, []),
        (None, {}, [WITHOUT]),
        (None, {"resume_only_model": True}, []),
    ],
    ids=str,
)
def test_an_optimizer_that_begins_anew(saved, folder, given, expected):
    (saved / "optimizer.pt").unlink()
    if folder:
        (saved / folder).mkdir()
    assert ignored(saved, **given) == expected


def test_a_deepspeed_checkpoint_continues_with_its_own_rate(saved):
    (saved / "optimizer.pt").unlink()
    (saved / "global_step7").mkdir()
    (text,) = ignored(saved, learning_rate=2e-4, deepspeed={"zero_optimization": {"stage": 3}})
    assert text.startswith("--learning_rate 0.0002 is ignored: the schedule of the checkpoint continues with 0.0001.")


@pytest.mark.parametrize(
    ("name", "content"), [("b", '{"b": 1}\n{"c": 1}\n'), ("a", '{"z": 1}\n'), ("a", "")], ids=["added", "replaced", "removed"]
)
def test_a_file_that_has_changed_is_named(saved, name, content):
    (saved.parent / f"{name}.jsonl").write_text(content)
    (text,) = ignored(saved)
    assert text.startswith(f"{saved.parent / name}.jsonl has changed since the checkpoint (then 9 bytes, sha256 ")
    assert text.endswith(REPEATED)
    assert ignored(saved, ignore_data_skip=True) == []


@pytest.mark.parametrize(
    "names", [["a.jsonl#5"], ["a.jsonl", "b.jsonl"], ["a.jsonl#5", "c.jsonl"], ["a.jsonl#5", "b.jsonl", "hub/set"]], ids=str
)
def test_another_dataset_is_named(saved, names):
    folder = saved.parent
    (folder / "c.jsonl").write_text("{}\n")
    given = [name if name.startswith("hub") else str(folder / name) for name in names]
    (text,) = ignored(saved, dataset=given)
    assert text == f"--dataset {' '.join(given)} was {folder / 'a.jsonl'}#5 {folder / 'b.jsonl'}: {REPEATED}"


def test_files_that_were_moved_are_the_same(saved, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("a", "b"):
        shutil.move(saved.parent / f"{name}.jsonl", other / f"{name}.jsonl")
    assert ignored(saved, dataset=[f"{other / 'a.jsonl'}#5", str(other / "b.jsonl")]) == []


@pytest.mark.parametrize("held", ["{", "[]", "3", ""])
def test_a_checkpoint_that_cannot_be_read_is_not_compared(saved, held):
    for name in ("args.json", "adapter_config.json", "groundswift_run.json"):
        (saved / name).write_text(held)
    assert ignored(saved, weight_decay=1, lora_rank=1, data_seed=1) == []


def test_a_fingerprint_is_of_the_whole_file_and_of_every_file_of_a_folder(plugin, tmp_path, monkeypatch):
    from groundswift.swift_plugins.grounding.datasets import fingerprints as data_files

    (tmp_path / "data" / "part").mkdir(parents=True)
    names = ["data/a.jsonl", "data/part/b.parquet", "data/image.png"]
    for name in names:
        (tmp_path / name).write_bytes(b"0123456789")
    assert list(data_files.fingerprints([str(tmp_path / "data"), "hub/set#3"])) == [str(tmp_path / name) for name in names[:2]]
    monkeypatch.setattr(data_files, "PIECE", 2)
    seen = {data_files.fingerprint(tmp_path / names[0])}
    for place in range(10):
        data = bytearray(b"0123456789")
        data[place] = 0
        (tmp_path / names[0]).write_bytes(data)
        seen.add(data_files.fingerprint(tmp_path / names[0]))
    assert len(seen) == 11
