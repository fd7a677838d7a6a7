"""One file of each EXIF orientation through all rooms: converter, template, inference and evaluator see the same upright image."""

from __future__ import annotations

import json

import numpy as np
import pytest
from converted import run
from PIL import Image
from rows import read_rows
from tiny_run import TEMPLATE, infer, scored, written

from groundswift import Located, format_answer, from_original_px, parse
from orientations import STORED_BY

SIZE_WH = (140, 84)
BOX_XYXY_PX = (14, 7, 70, 63)


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """A folder with one image stored in each of the 8 ways, as COCO and as swift rows (`turned.jsonl`)."""
    folder = tmp_path_factory.mktemp("turned")
    (folder / "images").mkdir()
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 255, (SIZE_WH[1], SIZE_WH[0], 3), dtype=np.uint8))
    for orientation, turn in STORED_BY.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = upright if turn is None else upright.transpose(turn)
        stored.save(folder / "images" / f"{orientation}.png", exif=exif)
    x1, y1, x2, y2 = BOX_XYXY_PX
    coco = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": SIZE_WH[0], "height": SIZE_WH[1]} for n in STORED_BY],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            for n in STORED_BY
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "coco.json").write_text(json.dumps(coco))
    images = folder / "images"
    done = run("convert", "coco", folder / "coco.json", "--images", images, "--out", folder / "turned.jsonl")
    assert done.exit_code == 0, done.output
    return folder


def test_the_converter_and_the_template_see_one_image(zoo, turned):
    rows = read_rows(turned / "turned.jsonl")
    assert [row["sample_id"] for row in rows] == list(STORED_BY)
    assert all(tuple(row["size_wh"]) == SIZE_WH for row in rows)
    template = zoo["qwen2_vl"]
    encoded = [template.encode(row) for row in rows]
    assert all((one["pixel_values"] == encoded[0]["pixel_values"]).all() for one in encoded)
    texts = {template.tokenizer.decode([token for token in one["labels"] if token != -100]) for one in encoded}
    assert len(texts) == 1
    box = parse(texts.pop().split("<|im_end|>")[0]).objects[0].box
    assert box == tuple(from_original_px([BOX_XYXY_PX], "qwen2_vl", SIZE_WH)[0].tolist())


def test_inference_answers_alike_and_the_evaluator_places_alike(plugin, models, turned, tmp_path):
    model = {"model": models["qwen2_vl"], "torch_dtype": "float32", "max_new_tokens": 12, "max_batch_size": 1}
    rows = infer(plugin, turned / "turned.jsonl", tmp_path / "result.jsonl", *TEMPLATE, **model)
    assert len({row["response"] for row in rows}) == 1, "the untrained model sees one image, so it writes one answer"
    perfect = format_answer([Located("cat", tuple(from_original_px([BOX_XYXY_PX], "qwen2_vl", SIZE_WH)[0].tolist()))])
    result = written(tmp_path / "perfect.jsonl", [row | {"response": perfect} for row in rows])
    words = ("--images", turned / "images", "--family", "qwen2_vl")
    assert scored(result, turned / "coco.json", tmp_path / "out", *words)["AP"] == 1.0
