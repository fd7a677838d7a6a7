"""Tiny local models of each family, real swift templates over them, and a small drawn data set. Nothing is downloaded."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="groundswift-tests-")  # training writes there
ROOT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    """A script of recipes/quickstart as a module."""
    spec = importlib.util.spec_from_file_location(f"quickstart_{name}", ROOT / "recipes" / "quickstart" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # multiprocessing finds functions by it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def plugin() -> Path:
    """The file given to --custom_register_path, loaded here as swift loads it."""
    from swift.utils import import_external_file

    path = ROOT / "swift_plugins" / "register.py"
    import_external_file(str(path))
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of untrained models by family: the quickstart's own, and the same idea in the shape of the two younger families."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen3VLConfig, Qwen3VLForConditionalGeneration
    from transformers.models.qwen2_5_vl import Qwen2_5_VLProcessor
    from transformers.models.qwen2_vl import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor
    from transformers.models.qwen3_vl import Qwen3VLProcessor, Qwen3VLVideoProcessor

    make = script("make_model")
    tokenizer = make.make_tokenizer()
    first = make.make_model(tokenizer, seed=0)
    text = first.config.text_config.to_dict()
    tokens = {name: getattr(first.config, name) for name in ("image_token_id", "video_token_id", "vision_start_token_id")}
    tokens["vision_end_token_id"] = tokenizer.convert_tokens_to_ids("<|vision_end|>")
    torch.manual_seed(0)
    vision_2_5 = {
        "depth": 2,
        "hidden_size": 64,
        "out_hidden_size": 128,
        "num_heads": 2,
        "intermediate_size": 128,
        "fullatt_block_indexes": [1],
    }
    second = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config={**text, "model_type": "qwen2_5_vl_text"}, vision_config=vision_2_5, **tokens)
    )
    vision_3 = {"depth": 2, "hidden_size": 64, "out_hidden_size": 128, "num_heads": 2, "intermediate_size": 128, "patch_size": 16}
    third = Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(
            text_config={**text, "model_type": "qwen3_vl_text", "head_dim": 32},
            vision_config={**vision_3, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
            **tokens,
        )
    )
    template = make.CHAT_TEMPLATE
    processors = {
        "qwen2_vl": Qwen2VLProcessor(Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), chat_template=template),
        "qwen2_5_vl": Qwen2_5_VLProcessor(Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), chat_template=template),
        "qwen3_vl": Qwen3VLProcessor(Qwen2VLImageProcessor(patch_size=16), tokenizer, Qwen3VLVideoProcessor(), chat_template=template),
    }
    folder = tmp_path_factory.mktemp("models")
    for name, model in (("qwen2_vl", first), ("qwen2_5_vl", second), ("qwen3_vl", third)):
        model.save_pretrained(folder / name)
        processors[name].save_pretrained(folder / name)
    return {name: folder / name for name in processors}


@pytest.fixture(scope="session")
def templates(plugin: Path, models: dict[str, Path]) -> dict[str, object]:
    """Our template of each family over its tiny model's processor, as swift makes it for training."""
    from swift.model import get_processor
    from swift.template import get_template

    made = {}
    for name, folder in models.items():
        made[name] = get_template(get_processor(str(folder), model_type=name), template_type=f"{name}_grounding")
        made[name].set_mode("train")
    return made


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn set of 12 pictures, one of them EXIF-rotated and one with a crowd, as COCO and as swift rows (`night.jsonl`)."""
    return drawn_set("night", tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 pictures of what the embedded model knows, as COCO and as swift rows (`toys.jsonl`)."""
    return drawn_set("toys", tmp_path_factory.mktemp("toys"))


def drawn_set(domain: str, folder: Path) -> Path:
    """Draw 12 pictures and convert their COCO file by the command."""
    from click.testing import CliRunner

    from groundswift.cli import main

    draw = script("draw")
    rows = []
    (folder / "images").mkdir()
    for index in range(12):
        rows.append(draw.draw_image(domain, 5, folder / "images", index))
    draw.write_coco(domain, 5, rows, folder / "annotations.json")
    done = CliRunner().invoke(
        main,
        ["convert", "coco", str(folder / "annotations.json"), "--images", str(folder / "images"), "--out", str(folder / f"{domain}.jsonl")],
    )
    assert done.exit_code == 0, done.output
    return folder
