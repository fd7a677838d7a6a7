"""A merged, exported or quantised model by plain transformers: the same ids, answers and AP as by swift, with the run's text and limits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from PIL import Image
from rows import read_rows
from tiny_run import EMBEDDED, TEMPLATE, export, infer, limit_tokens, scored, sft, written

from groundswift.coordinates import resized_wh
from groundswift.family import FAMILIES
from groundswift.image_resize import Limits
from groundswift.swift_plugins.grounding.patches.saved_models import differences

PLAIN = Path(__file__).resolve().parents[1] / "helpers" / "plain_transformers.py"
SYSTEM = "You find 'things' in images.\nAnswer with \"boxes\" {{ only }}. 物 😀 \\"


def train(plugin: Path, toys: Path, out: Path, **more: object) -> Path:
    """One step of the embedded model that changes next to nothing -> the checkpoint."""
    sft(plugin, f"{toys / 'toys.jsonl'}#2", out, learning_rate="1e-9", **more)
    return out / "checkpoint-1"


def by_swift(model: Path, rows: Path, out: Path) -> list[str]:
    greedy = {"torch_dtype": "float32", "max_new_tokens": 160, "max_batch_size": 1}
    return [row["response"] for row in infer(None, rows, out, *TEMPLATE, model=model, **greedy)]


def by_transformers(model: Path, rows: Path, out: Path, *words: str) -> list[dict]:
    command = [sys.executable, str(PLAIN), str(model), str(rows), str(out), *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return read_rows(out)


def size_of(model: Path) -> dict[str, int]:
    """The limits that a model folder has for its images."""
    return json.loads((model / "processor_config.json").read_text())["image_processor"]["size"]


def average_precision(rows: Path, responses: list[str], toys: Path, folder: Path) -> float:
    """AP of answers to the rows of a drawn set."""
    answered = [row | {"response": text} for row, text in zip(read_rows(rows), responses, strict=True)]
    result = written(folder / "result.jsonl", answered)
    return scored(result, toys / "annotations.json", folder / "scored", "--family", "qwen2_vl", "--no-report")["AP"]


@pytest.fixture(scope="module")
def adapter(plugin, toys, tmp_path_factory) -> Path:
    return train(plugin, toys, tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def merged(adapter, tmp_path_factory) -> Path:
    return export(tmp_path_factory.mktemp("merged") / "model", adapters=adapter, merge_lora=True)


@pytest.mark.long
def test_plain_transformers_reach_the_ap_of_swift(merged, toys, tmp_path):
    """The images are those that the model knows, one of them EXIF-rotated; nothing is resized."""
    rows = toys / "toys.jsonl"
    expected = by_swift(merged, rows, tmp_path / "swift.jsonl")
    answers = [answer["response"] for answer in by_transformers(merged, rows, tmp_path / "plain.jsonl")]
    assert answers == expected
    reached = average_precision(rows, answers, toys, tmp_path)
    assert reached == average_precision(rows, expected, toys, tmp_path)
    assert reached > 0.4


@pytest.mark.long
def test_the_base_models_own_chat_template_is_another_text(adapter, merged, toys, tmp_path):
    """What the folder held before: the test above fails with it."""
    bare = tmp_path / "bare"
    shutil.copytree(merged, bare)
    shutil.copy(EMBEDDED / "chat_template.jinja", bare)
    rows = toys / "toys.jsonl"
    answers = [answer["response"] for answer in by_transformers(bare, rows, tmp_path / "plain.jsonl")]
    assert average_precision(rows, answers, toys, tmp_path) < 0.3


UPRIGHT = [(336, 336), (400, 90), (70, 333), (40, 44), (150, 300), (90, 200)]  # sizes of the images in px


@pytest.fixture(scope="module")
def resized_rows(toys, tmp_path_factory) -> Path:
    """Rows whose images the model's input cannot hold as they are: enlarged, wide, tall, small, with EXIF orientations."""
    folder = tmp_path_factory.mktemp("resized")
    first = read_rows(toys / "toys.jsonl")[0]
    source = Image.open(first["images"][0]).convert("RGB")
    lines, exif = [], Image.Exif()
    for number, (size, orientation) in enumerate(zip(UPRIGHT[:4] + [(300, 150), (90, 200)], (1, 1, 1, 1, 6, 3), strict=True)):
        path, exif[0x0112] = folder / f"{number}.png", orientation
        source.resize(size, Image.BICUBIC).save(path, exif=exif)
        lines.append({"messages": first["messages"][:1], "images": [str(path)]})
    return written(folder / "rows.jsonl", lines)


def grids(model: Path, rows: Path) -> list[list[int]]:
    """(height, width) in patches that a folder's own processor makes of each image."""
    from transformers import AutoProcessor
    from transformers.image_utils import load_image

    processor = AutoProcessor.from_pretrained(model)
    images = [load_image(row["images"][0]) for row in read_rows(rows)]
    return [processor.image_processor(image, return_tensors="pt")["image_grid_thw"][0, 1:].tolist() for image in images]


@pytest.fixture(scope="module")
def merged_with(plugin, toys, tmp_path_factory):
    """Models of trainings under limits in tokens, merged in a process with other limits; each made once."""

    @cache
    def merged(least: int, most: int) -> Path:
        folder = tmp_path_factory.mktemp("limited")
        with pytest.MonkeyPatch.context() as patch:
            limit_tokens(patch, least, most)
            checkpoint = train(plugin, toys, folder / "out")
        return export(folder / "merged", adapters=checkpoint, merge_lora=True)

    return merged


@pytest.mark.parametrize("tokens", [(4, 16), (2, 9), (25, 60)], ids=str)
def test_the_folder_has_the_limits_of_the_training(merged_with, resized_rows, tokens):
    """Not those of the merging process; and every image has the size that swift gave it."""
    least, most = (side * 784 for side in tokens)
    model = merged_with(*tokens)
    assert size_of(model) == {"shortest_edge": least, "longest_edge": most}
    expected = [resized_wh(size_wh, "qwen2_vl", least, most) for size_wh in UPRIGHT]
    assert grids(model, resized_rows) == [[high // 14, wide // 14] for wide, high in expected]


@pytest.mark.long
def test_resized_images_have_the_same_answers(merged_with, resized_rows, monkeypatch, tmp_path):
    """By Pillow's resize, which is swift's; torch's differs from it by a step of 255 in some pixels, in nothing else."""
    model = merged_with(4, 16)
    limit_tokens(monkeypatch, 4, 16)
    expected = by_swift(model, resized_rows, tmp_path / "swift.jsonl")
    answers = by_transformers(model, resized_rows, tmp_path / "plain.jsonl", "pillow")
    assert [answer["response"] for answer in answers] == expected


def test_a_first_resize_bounds_the_only_one_of_a_processor(plugin, toys, caplog, tmp_path):
    checkpoint = train(plugin, toys, tmp_path / "out", max_pixels=9_000)
    model = export(tmp_path / "merged", adapters=checkpoint, merge_lora=True)
    assert size_of(model)["longest_edge"] == 11 * 784

    (text,) = differences(FAMILIES["qwen2_vl"], Limits(first_max_pixels=9000))
    assert "at most 9000 px before" in text


def rendered(model: Path, conversation: list[dict]) -> str:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(model).apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)


QUESTION = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Find it."}]}]
ASKED = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Find it.<|im_end|>\n<|im_start|>assistant\n"


def with_system(text: str) -> str:
    return f"<|im_start|>system\n{text}<|im_end|>\n{ASKED}"


@pytest.fixture(scope="module", params=[SYSTEM, "", None], ids=["own", "none", "default"])
def with_own_system(request, plugin, toys, tmp_path_factory) -> tuple[str | None, Path]:
    """(the system text of a training, its checkpoint)."""
    own = {} if request.param is None else {"system": request.param}
    return request.param, train(plugin, toys, tmp_path_factory.mktemp("system"), **own)


@pytest.mark.parametrize("base", ["own chat template", "no chat template", "older files"])
def test_the_system_text_of_the_training_is_in_the_chat_template(with_own_system, tmp_path, base):
    system, checkpoint = with_own_system
    model = tmp_path / "base"
    shutil.copytree(EMBEDDED, model)
    if base == "no chat template":
        (model / "chat_template.jinja").unlink()
    if base == "older files":
        older = {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14}
        (model / "preprocessor_config.json").write_text(json.dumps(older))
    merged = export(tmp_path / "merged", adapters=checkpoint, model=model, merge_lora=True)
    expected = ASKED if system == "" else with_system("You are a helpful assistant." if system is None else system)
    assert rendered(merged, QUESTION) == expected
    given = [{"role": "system", "content": "Mine."}, *QUESTION]
    assert rendered(merged, given) == with_system("Mine.")
    if base == "older files":
        settings = json.loads((merged / "preprocessor_config.json").read_text())
        assert (settings["min_pixels"], settings["max_pixels"]) == (4 * 784, 16384 * 784)
        assert settings["size"] == {"shortest_edge": 4 * 784, "longest_edge": 16384 * 784}


def test_every_way_to_a_model_folder_completes_it(plugin, toys, monkeypatch, tmp_path):
    """`swift infer --merge_lora`, a quantised export of adapters and of the merged model, and a checkpoint of full training."""
    limit_tokens(monkeypatch, 4, 9)
    checkpoint = train(plugin, toys, tmp_path / "lora", system=SYSTEM)
    limit_tokens(monkeypatch, 4, 16384)
    infer(None, f"{toys / 'toys.jsonl'}#1", tmp_path / "result.jsonl", adapters=checkpoint, merge_lora=True, max_new_tokens=4)
    four_bits = {"quant_method": "bnb", "quant_bits": 4}
    folders = [
        Path(f"{checkpoint}-merged"),
        export(tmp_path / "once", adapters=checkpoint, merge_lora=True, **four_bits),
        export(tmp_path / "twice", model=f"{checkpoint}-merged", **four_bits),
    ]
    limit_tokens(monkeypatch, 4, 9)
    folders.append(train(plugin, toys, tmp_path / "full", tuner_type="full", system=SYSTEM))
    for folder in folders:
        assert rendered(folder, QUESTION) == with_system(SYSTEM), folder
        assert size_of(folder) == {"shortest_edge": 4 * 784, "longest_edge": 9 * 784}, folder
    quantised = json.loads((folders[1] / "config.json").read_text())
    assert quantised["quantization_config"]["load_in_4bit"]
