"""Images decoded and resized in half of the time: the sizes, tokens and boxes of swift's own way, and nearly its pixels."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rows import four_boxes
from tiny_run import limit_tokens
from transformers.models.qwen2_vl import Qwen2VLImageProcessor

from groundswift.errors import GroundswiftError
from groundswift.images import ORIENTATION_TAG, OpenedImage, open_image
from groundswift.swift_plugins.grounding.patches.lazy_images import LazyImage
from groundswift.swift_plugins.grounding.patches.run_record import record_of
from orientations import STORED_BY

LEVEL = 1 / 255 / 0.26  # one of 255 steps of a colour, after normalisation
KINDS = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"]
SIZES_WH = [(640, 480), (333, 1001), (60, 40), (1233, 485), (28, 28), (1600, 1200), (1200, 8), (9, 1500), (1, 1), (30, 29), (2048, 96)]
LIMITS = {  # MIN_PIXELS, MAX_PIXELS, swift's --max_pixels
    "no limits": (None, None, None),
    "a third of the side": (None, 40_000, None),
    "as many as so many": (50_000, 50_000, None),
    "rescaled first": (None, None, 30_001),
    "rescaled first, and then enlarged": (100_000, None, 9_000),
}


def drawn(path: Path, size_wh: tuple[int, int], orientation: int = 1, mode: str = "RGB", **options: Any) -> str:
    """A file of soft blobs with a hard-edged rectangle, stored so that its orientation turns it upright."""
    small = np.random.default_rng(size_wh[0]).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size_wh, Image.BICUBIC)
    image.paste((250, 20, 20), (size_wh[0] // 8, size_wh[1] // 8, size_wh[0] // 2, size_wh[1] // 3))
    image = image.convert(mode)
    exif, method = Image.Exif(), STORED_BY[orientation]
    exif[ORIENTATION_TAG] = orientation
    (image if method is None else image.transpose(method)).save(path, exif=exif.tobytes(), **options)
    return str(path)


def described(path: str) -> dict[str, Any]:
    """A row without boxes."""
    return {"messages": [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "A."}], "images": [path]}


@pytest.fixture
def limited(monkeypatch):
    """Set qwen-vl-utils' limits in px, in whole tokens of a factor."""

    def limit(least: int | None, most: int | None, factor: int) -> None:
        fewest = 4 if least is None else max(1, least // factor**2)
        limit_tokens(monkeypatch, fewest, 16384 if most is None else most // factor**2)

    return limit


def both(template: Any, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a template makes of a row, in its own way and in exactly swift's; an error as its text."""
    found = []
    for exact in ("", "1"):
        monkeypatch.setenv("GROUNDSWIFT_EXACT_PIXELS", exact)
        try:
            found.append(template.encode(deepcopy(row), return_template_inputs=True))
        except (GroundswiftError, ValueError) as error:
            found.append({"error": f"{type(error).__name__}: {error}"})
    return found[0], found[1]


def assert_alike(quick: dict[str, Any], exact: dict[str, Any], most: float, mean: float, what: Any) -> None:
    """The same but for pixels, which differ by at most `most`, and `mean` on average, of 255 steps."""
    assert quick.get("error") == exact.get("error"), what
    if "error" in exact:
        return
    assert quick["input_ids"] == exact["input_ids"], what
    assert quick["labels"] == exact["labels"], what
    assert quick["image_grid_thw"].tolist() == exact["image_grid_thw"].tolist(), what
    difference = (quick["pixel_values"] - exact["pixel_values"]).abs() / LEVEL
    assert difference.max() <= most, (what, float(difference.max()))
    assert difference.mean() <= mean, (what, float(difference.mean()))
    sizes = [[image.size for image in each["template_inputs"].images] for each in (quick, exact)]
    assert sizes[0] == sizes[1], what


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_tokens_and_boxes_are_those_of_the_exact_way(zoo, tmp_path, monkeypatch, limited, kind, limits):
    """PNG, so that only the resizing differs: by two steps of 255 at the most, two resizes by three."""
    least, most, first = LIMITS[limits]
    limited(least, most, 32 if kind.startswith("qwen3") else 28)
    template = zoo.make_template(kind, max_pixels=first)
    for size_wh in SIZES_WH:
        row = four_boxes(drawn(tmp_path / f"{size_wh[0]}x{size_wh[1]}.png", size_wh), size_wh)[0]
        if min(size_wh) < 10:
            row = described(row["images"][0])
        assert_alike(*both(template, row, monkeypatch), most=3.1, mean=0.1, what=size_wh)


@pytest.mark.parametrize("orientation", STORED_BY)
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(zoo, tmp_path, monkeypatch, limited, orientation):
    limited(None, 40_000, 28)
    path = drawn(tmp_path / "a.jpg", (1600, 1200), orientation, quality=90)
    row = four_boxes(path, (1600, 1200))[0]
    decoded = []
    decode = Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda self, *given, **more: decoded.append(self.size) or decode(self, *given, **more))
    quick, exact = both(zoo["qwen2_vl"], row, monkeypatch)
    assert decoded[0] in [(400, 300), (300, 400)]
    assert max(decoded) in [(1600, 1200), (1200, 1600)]
    assert_alike(quick, exact, most=60, mean=1.5, what=orientation)
    assert (quick["pixel_values"] != exact["pixel_values"]).any()


OTHERS = {  # how a JPEG of 1600 x 1200 px is written, and what its row asks for
    "grey": ({"mode": "L"}, {}),
    "CMYK": ({"mode": "CMYK"}, {}),
    "progressive": ({"progressive": True}, {}),
    "a lower limit": ({}, {"max_pixels": 20_000}),
    "a higher limit": ({}, {"min_pixels": 300_000, "max_pixels": 600_000}),
    "a size": ({}, {"resized_width": 280, "resized_height": 84}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_kind_of_jpeg_and_a_row_with_limits_of_its_own(zoo, tmp_path, monkeypatch, limited, name):
    limited(None, 100_000, 28)
    written, asked = OTHERS[name]
    row = four_boxes(drawn(tmp_path / "a.jpg", (1600, 1200), quality=90, **written), (1600, 1200))[0] | {"chat_template_kwargs": asked}
    quick, exact = both(zoo["qwen2_5_vl"], row, monkeypatch)
    assert_alike(quick, exact, most=60, mean=1.5, what=name)
    if name == "a size":
        assert quick["template_inputs"].images[0].size == (280, 84)


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen3_vl"])
def test_the_exact_way_is_swifts_own_to_the_last_bit(zoo, tmp_path, monkeypatch, limited, kind):
    limited(None, 40_000, 32)
    path = drawn(tmp_path / "a.jpg", (1600, 1200), quality=90)
    row = described(path)
    quick, exact = both(zoo[kind], row, monkeypatch)
    stock = zoo.template(kind, "").encode(deepcopy(row))
    assert stock["input_ids"] == exact["input_ids"] == quick["input_ids"]
    assert (stock["pixel_values"] == exact["pixel_values"]).all()
    assert (stock["pixel_values"] != quick["pixel_values"]).any()


def test_sources_besides_files_are_seen_alike(zoo, tmp_path, monkeypatch, limited):
    """Bytes, an image in memory, base64: by the same way as the file."""
    import base64

    limited(None, 40_000, 28)
    path = Path(drawn(tmp_path / "a.jpg", (800, 600), 6, quality=90))
    row = four_boxes(str(path), (800, 600))[0]
    expected = zoo["qwen2_vl"].encode(deepcopy(row))["pixel_values"]
    for source in ({"bytes": path.read_bytes(), "path": None}, base64.b64encode(path.read_bytes()).decode()):
        assert (zoo["qwen2_vl"].encode(row | {"images": [source]})["pixel_values"] == expected).all()
    opened = Image.open(path)
    assert_alike(*both(zoo["qwen2_vl"], row | {"images": [opened]}, monkeypatch), most=2.1, mean=0.1, what="an image")


def test_training_and_inference_see_the_same_pixels(zoo, tmp_path, limited):
    limited(None, 40_000, 28)
    row = four_boxes(drawn(tmp_path / "a.jpg", (1600, 1200), quality=90), (1600, 1200))[0]
    template = zoo.make_template("qwen2_vl")
    trained = template.encode(deepcopy(row))["pixel_values"]
    template.set_mode("transformers")
    asked = {"messages": [{"role": "user", "content": "<image>Where?"}], "images": row["images"]}
    assert (template.encode(asked)["pixel_values"] == trained).all()


def test_an_image_that_is_not_resized_is_an_ordinary_one(plugin, tmp_path):
    """Whatever else is asked of it: pixels, a crop, a copy, a pickle for another process."""
    path = drawn(tmp_path / "a.jpg", (160, 120), quality=90)
    whole = open_image(path)

    def quick() -> LazyImage:
        return LazyImage.of(OpenedImage(path))

    assert (quick().size, quick().mode, quick().width) == ((160, 120), "RGB", 160)
    assert (np.asarray(quick()) == np.asarray(whole)).all()
    assert quick().crop((5, 5, 50, 60)).tobytes() == whole.crop((5, 5, 50, 60)).tobytes()
    assert quick().resize((80, 60), Image.NEAREST).tobytes() == whole.resize((80, 60), Image.NEAREST).tobytes()
    assert quick().resize((80, 60), box=(8, 8, 100, 90)).tobytes() == whole.resize((80, 60), box=(8, 8, 100, 90)).tobytes()
    for made in (pickle.loads(pickle.dumps(quick())), deepcopy(quick()), quick().copy(), quick().convert("L").convert("RGB")):
        assert type(made) is Image.Image
    assert pickle.loads(pickle.dumps(quick())).tobytes() == whole.tobytes()


def test_a_broken_image_is_named(zoo, tmp_path, limited):
    limited(None, 40_000, 28)
    path = Path(drawn(tmp_path / "a.jpg", (1600, 1200), quality=90))
    path.write_bytes(path.read_bytes()[:3000])
    row = four_boxes(str(path), (1600, 1200))[0]
    with pytest.raises(GroundswiftError, match=r"a\.jpg: broken image"):
        zoo["qwen2_vl"].encode(row)


def test_without_vector_instructions_pillow_resizes(plugin, tmp_path, monkeypatch):
    path = drawn(tmp_path / "a.png", (160, 120))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert LazyImage.of(OpenedImage(path)).resize((84, 56)).tobytes() == open_image(path).resize((84, 56)).tobytes()


def test_the_record_of_a_run_says_which_way_it_went(plugin, monkeypatch):
    assert record_of("qwen2_vl_grounding", None).pixels == "quick"
    assert record_of("glm4v_grounding", None).pixels == "exact"  # its processor resizes
    monkeypatch.setenv("GROUNDSWIFT_EXACT_PIXELS", "1")
    assert record_of("qwen2_vl_grounding", None).pixels == "exact"


def test_an_array_of_a_resized_image_shares_its_memory_and_outlives_it(plugin):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8))
    small = LazyImage.of(image).resize((60, 45))
    shared = np.asarray(small)
    assert not shared.flags.writeable
    before = shared.copy()
    small.putpixel((3, 4), (1, 2, 3))
    assert small.getpixel((3, 4)) == (1, 2, 3)
    assert np.array_equal(np.asarray(small)[4, 3], (1, 2, 3))  # the image as it is now
    del small
    assert np.array_equal(shared, before)  # and the array as it was


@pytest.mark.parametrize("sizes", [[(56, 84)], [(56, 84), (56, 84)], [(56, 84), (112, 28)]])
@pytest.mark.parametrize("frames", [1, 2])
def test_patches_are_those_of_the_processor_to_the_last_bit(plugin, sizes, frames):
    rng = np.random.default_rng(1)
    images = [Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)) for size in sizes]
    processor = Qwen2VLImageProcessor(temporal_patch_size=frames)
    ours = processor(images, do_resize=False, return_tensors="pt")
    processor._preprocess = type(processor)._preprocess.__wrapped__.__get__(processor)
    stock = processor(images, do_resize=False, return_tensors="pt")
    assert torch.equal(ours["pixel_values"], stock["pixel_values"])
    assert torch.equal(ours["image_grid_thw"], stock["image_grid_thw"])
    for plain in ({"do_normalize": False}, {"do_rescale": False}):
        one, other = (kind(images, do_resize=False, return_tensors="pt", **plain) for kind in (Qwen2VLImageProcessor(), processor))
        assert frames != 2 or torch.equal(one["pixel_values"], other["pixel_values"])
