"""Tiny local models of each family, real swift templates over them, and a small drawn dataset. Nothing is downloaded."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from recipe_runner import load_script

if TYPE_CHECKING:
    from zoo import Zoo

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
DATA_HOME = tempfile.TemporaryDirectory(prefix="groundswift-tests-")  # training writes there
os.environ["XDG_DATA_HOME"] = DATA_HOME.name
ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "recipes" / "quickstart"


@pytest.fixture(autouse=True, scope="module")
def own_logging_dir() -> None:
    """swift keeps the first training's folder in the environment, and later trainings of the process would log there."""
    os.environ.pop("TENSORBOARD_LOGGING_DIR", None)


@pytest.fixture(scope="session")
def plugin() -> Path:
    """The file given to --custom_register_path, loaded here as swift loads it."""
    from swift.utils import import_external_file

    path = ROOT / "swift_plugins" / "register.py"
    import_external_file(str(path))
    return path


@contextmanager
def listening(emit: Callable[[logging.LogRecord], None], level: int = logging.NOTSET) -> Iterator[None]:
    """Pass on what swift logs."""
    listener = logging.Handler(level)
    listener.emit = emit
    logging.getLogger("swift").addHandler(listener)
    yield
    logging.getLogger("swift").removeHandler(listener)


@pytest.fixture
def logged(plugin: Path) -> Iterator[list[logging.LogRecord]]:
    """What swift logs."""
    records: list[logging.LogRecord] = []
    with listening(records.append):
        yield records


@pytest.fixture
def warned(plugin: Path) -> Iterator[list[str]]:
    """What swift warns of, as a list of messages."""
    messages: list[str] = []
    with listening(lambda record: messages.append(record.getMessage()), logging.WARNING):
        yield messages


@pytest.fixture
def register_sets(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, dict[str, Any]], None]:
    """Write a list of named sets into a folder and register them as register.py does."""
    from swift.dataset import register_dataset

    from groundswift.swift_plugins.grounding.datasets.named import named_sets

    def register(folder: Path, sets: dict[str, Any]) -> None:
        (folder / "sets.yaml").write_text(json.dumps(sets), encoding="utf-8")
        monkeypatch.setenv("GROUNDSWIFT_DATASETS", str(folder / "sets.yaml"))
        for meta in named_sets():
            register_dataset(meta, exist_ok=True)

    return register


@pytest.fixture(scope="session")
def zoo(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Tiny models of every family with a class of its own in transformers; `zoo["glm4v"]` is our template over one, as swift makes it."""
    from zoo import Zoo

    return Zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def stub_templates(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Our template by swift's name over a stub of its remote code; images that swift saves go to a folder of the test."""
    from stubs import stub_template

    folder = tmp_path_factory.mktemp("stubs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELSCOPE_CACHE", str(folder / "cache"))
        yield cache(partial(stub_template, folder=folder))


@pytest.fixture(scope="session")
def special_folders(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders by model type; swift's own type for Florence-2 gets the processor of the native class."""
    from special_models import make_chatglm4v, make_florence

    folder = tmp_path_factory.mktemp("special")
    florence = make_florence(folder / "florence2")
    return {"chatglm4v": make_chatglm4v(folder / "chatglm4v"), "florence2": florence, "florence": florence}


@pytest.fixture(scope="session")
def special_templates(special_folders: dict[str, Path]) -> dict[str, Any]:
    """Our template of each, over the processor that swift's loader makes of the folder."""
    from special_models import special_template

    return {stock: special_template(folder, stock) for stock, folder in special_folders.items()}


@pytest.fixture(scope="session")
def oriented(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[int, Path]]:
    """(the upright pixels, a file of them in each of the 8 orientations)."""
    from oriented_images import in_every_orientation

    return in_every_orientation(tmp_path_factory.mktemp("oriented"))


@pytest.fixture(scope="session")
def models(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of untrained models: the quickstart's own for Qwen2-VL, and the zoo's for its successor."""
    from transformers.models.qwen2_vl import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    make = load_script(QUICKSTART / "make_model.py")
    folder = tmp_path_factory.mktemp("models") / "qwen2_vl"
    tokenizer = make.make_tokenizer()
    make.make_model(tokenizer, seed=0).save_pretrained(folder)
    processor = Qwen2VLProcessor(Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), chat_template=make.CHAT_TEMPLATE)
    processor.save_pretrained(folder)
    return {"qwen2_vl": folder, "qwen2_5_vl": zoo.folder("qwen2_5_vl", weights=True)}


@pytest.fixture(scope="session")
def image_of_size(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[int, int]], Path]:
    """An image of one colour for each size (width, height) px, drawn once."""
    from rows import plain

    folder = tmp_path_factory.mktemp("pictures")

    @cache
    def image(size_wh: tuple[int, int]) -> Path:
        return plain(folder / f"{size_wh[0]}x{size_wh[1]}.png", size_wh)

    return image


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn set of 12 image_of_size, one of them EXIF-rotated and one with a crowd, as COCO and as swift rows (`night.jsonl`)."""
    return drawn_set("night", tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 images of what the embedded model knows, as COCO and as swift rows (`toys.jsonl`)."""
    return drawn_set("toys", tmp_path_factory.mktemp("toys"))


def drawn_set(domain: str, folder: Path) -> Path:
    """Draw 12 images and convert their COCO file by the command."""
    from converted import run

    draw, images, annotations = load_script(QUICKSTART / "draw.py"), folder / "images", folder / "annotations.json"
    images.mkdir()
    draw.write_coco(domain, 5, [draw.draw_image(domain, 5, images, index) for index in range(12)], annotations)
    done = run("convert", "coco", annotations, "--images", images, "--out", folder / f"{domain}.jsonl")
    assert done.exit_code == 0, done.output
    return folder
