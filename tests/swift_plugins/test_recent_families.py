"""Every family whose class transformers has: LoRA steps and answers in batches; of 2025 and 2026 also rows of different lengths together.

`test_remote_families.py` does the same for those whose code comes with their weights.
"""

from __future__ import annotations

import pytest
from rows import detection, noise
from swift.template.register import TEMPLATE_MAPPING
from test_remote_families import REMOTE
from tiny_run import infer, options, rows_of, sft, written
from zoo import KINDS, renumbered
from zoo_parts import losses

from groundswift.family import FAMILIES, family_row

MODEL_OF = {kind.family: name for name, kind in reversed(KINDS.items())}  # one tiny model a family
ONLY_ENCODED = {"cogvlm", "phi4_multimodal"}  # their templates are tested over stubs; a model of theirs is not
IMAGES_ONLY = {"paligemma"}  # its processor takes no text alone
RECENT = ["qwen3_8", "qwen2_5_omni", "qwen3_omni", "paddleocr_vl", "hunyuan_ocr"]


def test_every_family_with_a_template_has_a_model_that_trains():
    """A new family has to be in one of the sets: its model in the zoo, or among those of remote code."""
    trained = {row.name for row in FAMILIES.values() if row.swift_templates} - ONLY_ENCODED
    assert trained == MODEL_OF.keys() | {family_row(remote.model_type).name for remote in REMOTE.values()}


@pytest.mark.parametrize("kind", MODEL_OF.values())
def test_a_family_trains_and_answers(zoo, plugin, tmp_path, monkeypatch, kind):
    rows, made = rows_of(tmp_path, 3), KINDS[kind]
    if made.family not in IMAGES_ONLY:
        rows[1] = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "sample_id": 1}  # text alone
    data = written(tmp_path / "rows.jsonl", rows)
    if made.literals:
        stock = TEMPLATE_MAPPING[made.stock].template_cls
        monkeypatch.setattr(stock, "_encode", renumbered(stock._encode, made.literals, zoo.part(kind).processor.tokenizer))
    model = options(
        model=zoo.folder(kind, weights=True),
        model_type=made.model_type,
        template=f"{made.stock}_grounding",
        attn_impl="eager",
        check_model=False,
    )
    logged = sft(plugin, data, tmp_path / "out", *model, lora_dropout=0, use_cpu=True, max_steps=2)
    assert all(row["loss"] > 0 for row in logged if "loss" in row)
    (checkpoint,) = (tmp_path / "out").glob("checkpoint-2")
    answers = infer(None, data, tmp_path / "result.jsonl", adapters=checkpoint, max_batch_size=3, max_new_tokens=3)
    assert [row["sample_id"] for row in answers] == [0, 1, 2]


def test_swifts_own_templates_still_fail_under_this_transformers(zoo, tmp_path):
    """Lean: on the day when swift's own work, `ImagesByModel` and `HunyuanImages` of overrides.py can go."""
    row = detection(noise(tmp_path / "small.png", (140, 84)), [], [])
    with pytest.raises(AttributeError, match="pad_id"):
        zoo.template("hunyuan_ocr", "").encode(row)
    template = zoo.template("paddleocr_vl", "")
    assert "mm_token_type_ids" not in template.encode(row)
    with pytest.raises(AttributeError, match="'tuple' object has no attribute 'to'"):
        losses(zoo.model("paddleocr_vl"), template, [[row]])


@pytest.mark.parametrize("kind", RECENT)
def test_rows_of_different_lengths_learn_in_one_batch_as_alone(zoo, tmp_path, kind):
    """Images and positions stay in their places where the shorter row is padded."""
    template = zoo[kind]
    template.model = zoo.model(kind)
    rows = [
        detection(noise(tmp_path / "small.png", (140, 84), 0), ["cat"], [[14, 7, 70, 63]]),
        detection(noise(tmp_path / "large.png", (900, 300), 1), ["dog", "cat"], [[14, 7, 70, 63], [400, 7, 800, 163]]),
    ]
    counts = [sum(label != -100 for label in template.encode(row)["labels"][1:]) for row in rows]
    alone, other, both = losses(template.model, template, [rows[:1], rows[1:], rows])
    template.model = None
    assert both == pytest.approx((alone * counts[0] + other * counts[1]) / sum(counts), abs=1e-4)
