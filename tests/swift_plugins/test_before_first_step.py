"""What only model and rows show is checked before the first step: image tokens, and rows without an image under zero3."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rows import detection, noise
from tiny_run import rows_of, sft, sft_process, written
from zoo import KINDS

TEXT_ROW = {"messages": [{"role": "user", "content": "Say a."}, {"role": "assistant", "content": "a"}]}


@pytest.mark.parametrize(
    ("words", "count", "remedy"), [((), 12, ": export"), (("--max_pixels", "5000"), 6, ": remove --max_pixels 5000, and export")]
)
def test_few_image_tokens_are_reported_with_the_variables_to_set(plugin, tmp_path, warned, words, count, remedy):
    """112 x 84 px are 4 x 3 tokens of 28 px, and 81 x 61 px 3 x 2."""
    sft(plugin, written(tmp_path / "rows.jsonl", rows_of(tmp_path, 4)), tmp_path / "out", *words)
    (line,) = [line for line in warned if "[image-tokens-few]" in line]
    assert f"4 of 4 sampled images have fewer than 1024 tokens (median {count}; limits 4 to 16384)" in line
    assert f"{remedy} IMAGE_MIN_TOKEN_NUM=1024, in training and inference" in line


def test_enough_tokens_are_not_spoken_of(plugin, tmp_path, warned, monkeypatch):
    from qwen_vl_utils import vision_process

    monkeypatch.setattr(vision_process, "IMAGE_MIN_TOKEN_NUM", 1024)
    rows = rows_of(tmp_path, 2)
    for row in rows:
        del row["size_wh"]
    sft(plugin, written(tmp_path / "rows.jsonl", rows), tmp_path / "out")
    assert not [line for line in warned if "[image-tokens-few]" in line]


class AnotherProcessHasAnImage:
    """torch.distributed as Gemma 4's loader asks it: whether any process has an image in its batch."""

    ReduceOp = torch.distributed.ReduceOp

    @staticmethod
    def is_initialized() -> bool:
        return True

    @staticmethod
    def all_reduce(state: torch.Tensor, operation: Any) -> None:
        state[0] = True


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_families_that_always_run_their_tower_is_right(zoo, monkeypatch, kind):
    """A batch of text alone through swift's own hook and the model, with DeepSpeed in force as the templates ask for it."""
    from swift.utils import deep_getattr

    from groundswift.swift_plugins.grounding.run_checks.before_first_step import ALWAYS_RUN_VISION_TOWER

    for name, module in list(sys.modules.items()):
        if name.startswith("swift.") and "is_deepspeed_enabled" in vars(module):
            monkeypatch.setattr(module, "is_deepspeed_enabled", lambda: True)
    monkeypatch.setattr("swift.model.models.gemma.dist", AnotherProcessHasAnImage)
    template, model = zoo.make_template(kind), zoo.model(kind).train()
    template.model = model
    towers = [name for name in model.model_meta.model_arch.vision_tower if deep_getattr(model, name) is not None]
    seen = []
    handles = [model.get_submodule(name).register_forward_hook(lambda *_: seen.append(True)) for name in towers]
    template.register_post_encode_hook([model])
    try:
        with torch.no_grad():
            model(**template.data_collator([template.encode(TEXT_ROW)]))
    finally:
        template.remove_post_encode_hook()
        for handle in handles:
            handle.remove()
    assert bool(seen) == (KINDS[kind].family in ALWAYS_RUN_VISION_TOWER)


def zero3(plugin: Path, rows: Path, code: int = 0, **more: object) -> str:
    """The output of two steps of full training in two processes under zero3."""
    full = {"deepspeed": "zero3", "tuner_type": "full", "freeze_vit": False, "torch_dtype": "bfloat16", "max_steps": 2}
    order = {"per_device_train_batch_size": 1, "train_dataloader_shuffle": False, "dataset_shuffle": False, "save_strategy": "no"}
    return sft_process(plugin, rows, rows.parent / "out", processes=2, code=code, **full, **order, **more)


@pytest.fixture
def mixed(tmp_path) -> Path:
    """Each step has an image in one process and none in the other."""
    with_image = [detection(noise(tmp_path / f"{number}.png", (112, 84), number), ["cat"], [[10, 7, 50, 63]]) for number in range(2)]
    return written(tmp_path / "rows.jsonl", [with_image[0], TEXT_ROW, TEXT_ROW, with_image[1]])


@pytest.mark.long
def test_text_rows_among_images_train_under_zero3_where_the_tower_always_runs(plugin, mixed):
    assert "'global_step/max_steps': '2/2'" in zero3(plugin, mixed)


@pytest.mark.long
def test_text_rows_among_images_are_refused_under_zero3_where_it_does_not(plugin, mixed, zoo):
    model = {"model": zoo.folder("llava1_5", weights=True), "model_type": "llava1_5_hf", "template": "llava1_5_hf_grounding"}
    said = zero3(plugin, mixed, code=1, **model)
    for text in ("error: 2 of 4 rows have no image", "[zero3-text-rows]", "Use --deepspeed zero2"):
        assert text in said
