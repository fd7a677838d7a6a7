"""One file of each EXIF orientation through all rooms: converter, template, inference and evaluator see the same upright image."""

from __future__ import annotations

import json

import pytest
from converted import run
from evaluated import coco_of
from rows import read_rows
from tiny_run import TEMPLATE, infer, scored, written

from groundswift import Located, format_answer, from_original_px, parse
from orientations import STORED_BY

SIZE_WH = (70, 42)
BOX_XYXY_PX = (14, 7, 49, 35)


@pytest.fixture(scope="module")
def turned(oriented, tmp_path_factory):
    """A folder with one image stored in each of the 8 ways, as COCO and as swift rows (`turned.jsonl`)."""
    folder, images = tmp_path_factory.mktemp("turned"), oriented[1][1].parent
    (folder / "images").symlink_to(images)
    x1, y1, x2, y2 = BOX_XYXY_PX
    coco = coco_of(SIZE_WH, [(n, 1, [x1, y1, x2 - x1, y2 - y1]) for n in STORED_BY], STORED_BY)
    (folder / "coco.json").write_text(json.dumps(coco).replace(".jpg", ".png"))
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
