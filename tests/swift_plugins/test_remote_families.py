"""Families whose code comes with their weights, over stand-ins for that code: swift's own loader, template, LoRA, merge and inference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lora_run import LoraRun, lora_run
from rows import detection, noise
from safetensors import safe_open
from tiny_models import extra_args, tiny_model

SIZES_WH = [(112, 84), (900, 300), (300, 900), (1279, 719), (40, 40)]


@dataclass(frozen=True)
class Remote:
    """A family as swift names it. `image`: of a template, whether an id is of an image. `tokens`: how many an image of each size has.

    `frozen`: modules that LoRA on the language model must not touch.
    """

    model_type: str
    template: str
    image: Callable[[Any], Callable[[int], bool]]
    tokens: tuple[int, ...]
    frozen: tuple[str, ...]


def named(token: str) -> Callable[[Any], Callable[[int], bool]]:
    return lambda template: template.tokenizer.convert_tokens_to_ids(token).__eq__


def path_or_padding(template: Any) -> Callable[[int], bool]:
    """Between its marks Qwen-VL has the bytes of a path, which are text elsewhere: the first of them stands for all 256."""
    return template.tokenizer.convert_tokens_to_ids("<img>").__eq__


REMOTE = {
    # 4 a tile: the whole image, and 2 x 2, 3 x 1, 1 x 3, 2 x 1, 2 x 2 tiles
    "phi3_vision": Remote("phi3_vision", "phi3_vision", lambda _: (0).__gt__, (20, 16, 16, 12, 20), ("vision_embed_tokens",)),
    # 64 a slice: the whole image, and none, 3, 3, 6, none
    "minicpmv4_5": Remote("minicpmv4_5", "minicpmv4_5", named("<unk>"), (64, 256, 256, 448, 64), ("vpm", "resampler")),
    # 7 for the whole image; 2 a row of 2 x 2, 4 x 2, 2 x 4, 4 x 2, 1 x 1 tiles times 2 a column and one
    "deepseek_vl2": Remote("deepseek_vl2", "deepseek_vl2", named("<image>"), (27, 43, 47, 43, 13), ("vision", "projector")),
    "qwen_vl": Remote("qwen_vl", "qwen_vl", path_or_padding, (1, 1, 1, 1, 1), ("visual",)),
    "qwen_vl_base": Remote("qwen_vl", "qwen_vl_base", path_or_padding, (1, 1, 1, 1, 1), ("visual",)),
}
every_remote = pytest.mark.parametrize("name", REMOTE)


class Loaded:
    """Models and our templates as swift makes them for training, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, tuple[Any, Any]] = {}

    def __getitem__(self, name: str) -> tuple[Any, Any]:
        """(model, template)."""
        from swift.model import get_model_processor
        from swift.template import get_template

        if name not in self.made:
            folder, kind = tiny_model(name, self.folder), REMOTE[name]
            repository = str(folder) if extra_args(name, folder) else None
            model, processor = get_model_processor(
                str(folder), model_type=kind.model_type, torch_dtype=torch.float32, attn_impl="eager", local_repo_path=repository
            )
            template = get_template(processor, template_type=f"{kind.template}_grounding")
            template.set_mode("train")
            self.made[name] = model.eval(), template
        return self.made[name]


@pytest.fixture(scope="module")
def loaded(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("remote")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELSCOPE_CACHE", str(folder / "cache"))
        yield Loaded(folder)


def losses(loaded: Loaded, name: str, batches: list[list[dict[str, Any]]]) -> list[float]:
    """The loss of each batch of rows, with swift's collator and its hook that embeds images."""
    model, template = loaded[name]
    template.register_post_encode_hook([model])
    found = []
    try:
        for rows in batches:
            with torch.no_grad():
                found.append(model(**template.data_collator([template.encode(row) for row in rows])).loss.item())
    finally:
        template.remove_post_encode_hook()
    return found


@every_remote
def test_an_image_has_the_tokens_of_its_size(loaded, pictures, name):
    _, template = loaded[name]
    is_image = REMOTE[name].image(template)
    found = [sum(map(is_image, template.encode(detection(pictures(size), ["cat"], [[1, 2, 30, 31]]))["input_ids"])) for size in SIZES_WH]
    assert tuple(found) == REMOTE[name].tokens


@every_remote
def test_the_weights_are_those_of_the_file(loaded, name):
    """What the loader does not find in a file is made anew in silence."""
    model, _ = loaded[name]
    state = model.state_dict()
    with safe_open(tiny_model(name, loaded.folder) / "model.safetensors", "pt") as weights:
        assert [key for key in weights.keys() if not torch.equal(state[key], weights.get_tensor(key))] == []  # noqa: SIM118


@every_remote
def test_another_image_is_another_loss(loaded, tmp_path, name):
    rows = [detection(noise(tmp_path / f"{seed}.png", (140, 84), seed), ["cat"], [[14, 7, 70, 63]]) for seed in (0, 1)]
    first, other, again = losses(loaded, name, [[rows[0]], [rows[1]], [rows[0]]])
    assert first == again
    assert abs(first - other) > 1e-4


@every_remote
def test_rows_of_different_lengths_learn_in_one_batch_as_alone(loaded, tmp_path, name):
    """Images stay in their places where the shorter row is padded."""
    _, template = loaded[name]
    rows = [
        detection(noise(tmp_path / "small.png", (140, 84), 0), ["cat"], [[14, 7, 70, 63]]),
        detection(noise(tmp_path / "large.png", (900, 300), 1), ["dog", "cat"], [[14, 7, 70, 63], [400, 7, 800, 163]]),
    ]
    counts = [sum(label != -100 for label in template.encode(row)["labels"][1:]) for row in rows]
    alone, other, both = losses(loaded, name, [rows[:1], rows[1:], rows])
    assert both == pytest.approx((alone * counts[0] + other * counts[1]) / sum(counts), abs=1e-5)


@pytest.fixture(scope="module", params=REMOTE)
def trained(request, plugin, loaded, night) -> tuple[str, LoraRun]:
    """(name, two LoRA steps and the answers to 12 rows, merged and not)."""
    name = request.param
    folder, kind = tiny_model(name, loaded.folder), REMOTE[name]
    template, out = f"{kind.template}_grounding", loaded.folder / f"{name}_run"
    return name, lora_run(folder, kind.model_type, template, night / "night.jsonl", out, plugin, extra_args(name, folder))


def test_training_has_a_loss_and_touches_the_language_model_alone(trained):
    name, run = trained
    assert len(run.losses) == 2
    assert all(0 < loss < 100 for loss in run.losses)
    with safe_open(run.checkpoint / "adapter_model.safetensors", "pt") as adapter:
        keys = list(adapter.keys())
    assert keys
    assert [key for key in keys if any(f".{part}." in key for part in REMOTE[name].frozen)] == []


def test_the_merged_model_answers_every_row_as_the_adapter_does(trained, night):
    _, run = trained
    ids = [json.loads(line)["sample_id"] for line in (night / "night.jsonl").read_text().splitlines()]
    assert [row["sample_id"] for row in run.merged] == ids
    assert [row["response"] for row in run.merged] == [row["response"] for row in run.adapter]
    assert len({row["response"] for row in run.merged}) > 1
