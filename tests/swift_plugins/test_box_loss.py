"""`--loss_scale default+box:2`: the tokens stay what they are, those of boxes weigh more, and swift's own weights multiply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from rows import detection, four_boxes, read_rows, trained_answer
from stubs import STUBS
from tiny_run import EMBEDDED, rlhf, rows_of, sft, written
from zoo import KINDS

from groundswift import families, parse
from groundswift.errors import GroundswiftError
from groundswift.grammars.registry import grammar_of
from groundswift.swift_plugins.grounding.templates.box_loss import BoxLossScale, box_factors, box_weight_of

SIZE_WH = (640, 480)


@pytest.fixture(scope="module")
def template_of(zoo, stub_templates, special_templates) -> Callable[[str], Any]:
    """Our template by a name such as zoo-qwen2_vl."""
    sources = {"zoo": zoo.template, "stub": stub_templates, "special": special_templates.__getitem__}
    return lambda name: sources[name.partition("-")[0]](name.partition("-")[2])


def encoded(template: Any, row: dict[str, Any], loss_scale: str) -> dict[str, Any]:
    """The encoding of a row under a loss scale."""
    before, template._loss_scale = template._loss_scale, loss_scale
    try:
        return template.encode(row)
    finally:
        template._loss_scale = before


def heavy_text(template: Any, encoding: dict[str, Any], weight: float) -> list[str]:
    """Every run of trained tokens of this weight, as text."""
    runs, before = [], False
    for token, scale, label in zip(encoding["input_ids"], encoding["loss_scale"], encoding["labels"], strict=True):
        heavy = label != -100 and scale == weight
        if heavy:
            runs = [*runs[:-1], [*runs[-1], token]] if before else [*runs, [token]]
        before = heavy
    return [template.tokenizer.decode(run) for run in runs]


FAMILY_OF = {f"zoo-{name}": kind.family for name, kind in KINDS.items()} | {f"stub-{name}": stub.family for name, stub in STUBS.items()}
FAMILY_OF["special-chatglm4v"] = "chatglm4v"
WITHOUT_WEIGHTS = ["stub-deepseek_vl2", "special-florence", "special-florence2"]


@pytest.mark.parametrize("name", [name for name in FAMILY_OF if name not in WITHOUT_WEIGHTS and families()[FAMILY_OF[name]].boxes])
def test_only_the_tokens_of_boxes_weigh_more_in_every_family(template_of, image_of_size, name):
    template, family = template_of(name), FAMILY_OF[name]
    row, _, boxes = four_boxes(image_of_size(SIZE_WH), SIZE_WH)
    plain, weighed = encoded(template, row, "default"), encoded(template, row, "default+box:3")
    assert (weighed["input_ids"], weighed["labels"]) == (plain["input_ids"], plain["labels"])
    trained = [scale for scale, label in zip(weighed["loss_scale"], weighed["labels"], strict=True) if label != -100]
    assert set(trained) == {1, 3}
    text = "".join(heavy_text(template, weighed, 3))
    answer = parse(trained_answer(template, plain), family)
    assert len(answer.objects) == len(boxes)
    digits = [number for located in answer.objects for number in digits_of(grammar_of(family).write_box(located.box))]
    assert digits_of(text) == digits, text
    assert not {"cat", "dog", "label"} & set(text.replace('"', " ").split()), text


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
def test_a_template_of_swift_that_passes_no_weights_on_is_refused(template_of, image_of_size, name):
    row, _, _ = four_boxes(image_of_size(SIZE_WH), SIZE_WH)
    with pytest.raises(GroundswiftError, match="passes no weights on"):
        encoded(template_of(name), row, "default+box:3")


def digits_of(text: str) -> list[str]:
    """The digits of a text in order, one by one: families pad numbers and join boxes in their own ways."""
    return [sign for sign in text if sign.isdecimal()]


def test_weights_multiply_with_those_of_swift_and_of_the_row(template_of, image_of_size):
    template = template_of("zoo-qwen2_vl")
    row = detection(image_of_size((200, 100)), ["cat", "dog"], [[0, 0, 100, 50], [20, 10, 120, 60]])
    row["messages"] = [
        {"role": "user", "content": "<image>Find <ref-object>."},
        {"role": "assistant", "content": "<bbox>"},
        {"role": "user", "content": "And <ref-object>?"},
        {"role": "assistant", "content": "<bbox>"},
    ]
    first, second = ["<|box_start|>(0,0),(500,500)<|box_end|>"], ["<|box_start|>(100,100),(600,600)<|box_end|>"]
    assert heavy_text(template, encoded(template, row, "box:2"), 2) == first + second
    assert heavy_text(template, encoded(template, row, "last_round+box"), 2) == second
    assert heavy_text(template, encoded(template, row, "box:0.5+hermes"), 0.5) == first + second
    row["messages"][1]["loss_scale"] = 4.0
    assert heavy_text(template, encoded(template, row, "default+box:2"), 8) == first


def test_boxes_of_one_label_and_boxes_written_in_the_row_are_found(template_of, image_of_size):
    template = template_of("zoo-qwen3_vl")
    row = detection(image_of_size((200, 100)), [], [])
    row["messages"][1]["content"] = '[{"bbox_2d": [1, 2, 30, 40], "label": "1, 2, 30, 40"}, {"label": "2", "bbox_2d": [5, 6, 70, 80]}]'
    found = heavy_text(template, encoded(template, row, "default+box:2"), 2)
    assert [text.strip() for text in found] == ["[1, 2, 30, 40]", "[5, 6, 70, 80]"]


@pytest.mark.parametrize(
    ("text", "weight"),
    [("default", None), ("hermes", None), ("box", 2), ("all+box:3.5", 3.5), ("box:0.1+hermes", 0.1), ("react+boxes", None)],
)
def test_the_weight_is_read_from_the_name(plugin, text, weight):
    from swift.loss_scale import get_loss_scale

    assert box_weight_of(text) == weight
    if weight is not None:
        made = get_loss_scale(text)
        assert isinstance(made, BoxLossScale)
        assert not made.is_binary_loss_scale
        assert made.base_strategy == ("all" if text.startswith("all") else "default")


@pytest.mark.parametrize("text", ["box:0", "box:-1", "box:", "box:two", "box:nan", "box:inf", "box:2+box:3"])
def test_another_weight_is_refused(text):
    with pytest.raises(GroundswiftError, match="expected box:WEIGHT once, with a weight above 0"):
        box_weight_of(text)


def test_a_token_that_has_a_character_of_a_box_weighs():
    assert box_factors([(0, 2), (2, 5), (5, 5), (5, 6), (6, 9), (9, 12)], [(4, 6), (8, 9)], 2.0) == [1, 2, 2, 2, 2, 1]


# ---------------------------------------------------------------------------------------------------------------------
# real trainings


def losses_by_hand(rows: list[dict[str, Any]], weight: float) -> tuple[float, float]:
    """(the mean loss of the trained tokens of all rows, the same with boxes weighed): plain transformers, one row at a time."""
    from transformers import Qwen2VLForConditionalGeneration

    from groundswift.swift_plugins.tools.encoding import open_template

    model = Qwen2VLForConditionalGeneration.from_pretrained(EMBEDDED, dtype=torch.float32).eval()
    template = open_template(str(EMBEDDED), "qwen2_vl")
    template.set_mode("train")
    plain, weighed, tokens = 0.0, 0.0, 0
    for row in rows:
        made = encoded(template, row, f"default+box:{weight:g}")
        ids, labels = torch.tensor([made["input_ids"]]), torch.tensor(made["labels"][1:])
        images = {name: made[name] for name in ("pixel_values", "image_grid_thw")}
        kinds = (ids == model.config.image_token_id).int()
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=kinds, **images).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="none", ignore_index=-100)
        plain += loss.sum().item()
        weighed += (loss * torch.tensor(made["loss_scale"][1:])).sum().item()
        tokens += (labels != -100).sum().item()
    return plain / tokens, weighed / tokens


def test_the_logged_loss_is_the_weighed_one_by_hand(plugin, toys, tmp_path):
    """Linear in the weight: with 1 it is swift's own loss. The gradient grows too: the weights are of the training, not of the log."""
    rows = read_rows(toys / "toys.jsonl")[:2]
    data, loss, gradient = written(tmp_path / "rows.jsonl", rows), {}, {}
    for scale in ("default", "default+box:1", "default+box:2", "default+box:3"):
        logged = sft(plugin, data, tmp_path / scale.replace(":", "-"), loss_scale=scale, save_strategy="no", lora_dropout=0)
        first = next(entry for entry in logged if "loss" in entry)
        loss[scale[-1]], gradient[scale[-1]] = first["loss"], first["grad_norm"]
    plain, weighed = losses_by_hand(rows, 2)
    assert loss["t"] == pytest.approx(plain, rel=1e-4)
    assert loss["2"] == pytest.approx(weighed, rel=1e-4)
    assert weighed > plain * 1.05
    assert loss["1"] == pytest.approx(loss["t"], rel=1e-4)
    assert loss["3"] - loss["2"] == pytest.approx(loss["2"] - loss["1"], rel=1e-2)
    assert gradient["1"] < gradient["2"] < gradient["3"]


def test_where_it_would_do_nothing_it_is_refused(plugin, tmp_path):
    data = written(tmp_path / "rows.jsonl", rows_of(tmp_path, 4))
    with pytest.raises(GroundswiftError, match=r"template qwen2_vl does not weigh boxes.*\[box-loss-unused\]"):
        sft(plugin, data, tmp_path / "out", "--template", "qwen2_vl", loss_scale="default+box:2")
    with pytest.raises(GroundswiftError, match=r"rlhf_type dpo does not weigh tokens.*\[box-loss-unused\]"):
        rlhf(plugin, "dpo", data, tmp_path / "out", loss_scale="last_round+box:2")
    with pytest.raises(GroundswiftError, match="expected box:WEIGHT once"):
        sft(plugin, data, tmp_path / "out", loss_scale="default+box:none")
    with pytest.raises(GroundswiftError, match="drops all weights"):
        sft(plugin, data, tmp_path / "out", loss_scale="box:2", is_binary_loss_scale=True)
    assert not list(tmp_path.rglob("checkpoint-*"))
