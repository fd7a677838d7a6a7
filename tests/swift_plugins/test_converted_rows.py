"""What converters write can be taught: encoded by real templates, its boxes read back; and trained on, all sources in one run."""

from __future__ import annotations

import json
from pathlib import Path

import flickr30k_fixture
import msgspec
import pytest
import refcoco_fixture
from PIL import Image
from tiny_run import sft

from groundswift.data_converters.engine.convert import RunOptions, convert_to_file
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.registry import FORMATS
from groundswift.swift_plugins.tools.encoding import encoded
from groundswift.swift_plugins.tools.show.encoded_boxes import parse_boxes, parts_of

SHIKRA = {
    "image": "plain.png",
    "target": {"boxes": [[1, 2, 30, 20], [5, 6, 40.5, 44]], "points": [[10, 12]]},
    "conversations": [
        {"from": "human", "value": "What joins <boxes> at <points>? <image>", "boxes_seq": [[0, 1]], "points_seq": [[0]]},
        {"from": "gpt", "value": "This <boxes>.", "boxes_seq": [[1]], "points_seq": None},
    ],
}
SWIFT2 = {
    "query": "Find <ref-object>",
    "response": "<bbox>",
    "images": ["plain.png"],
    "objects": json.dumps([{"caption": "guy in red", "bbox": [[3, 4, 20, 30], [1, 2, 3, 4]], "bbox_type": "real", "image": 0}]),
}
LLAVA = {
    "id": "7",
    "image": "plain.png",
    "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A star."}],
}
SOURCES = {  # a name -> (format, the source within the folder, options)
    "refcoco find": ("refcoco", "refcoco", {"split_by": "unc", "split": "val", "images": "pictures"}),
    "refcoco describe": ("refcoco", "refcoco", {"split_by": "unc", "split": "val", "images": "pictures", "task": "describe"}),
    "grounded captions": ("flickr30k", "flickr30k", {"images": "flickr30k/images", "task": "grounded_caption"}),
    "phrase grounding": ("flickr30k", "flickr30k", {"images": "flickr30k/images", "task": "phrase_grounding"}),
    "the reverse": ("flickr30k", "flickr30k", {"images": "flickr30k/images", "task": "reverse"}),
    "shikra": ("shikra", "shikra.jsonl", {}),
    "swift 2.x": ("swift2", "swift2.jsonl", {}),
    "llava": ("llava", "llava.json", {}),
}
KINDS = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v"]


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> dict[str, Path]:
    """The rows of each source as a file."""
    folder = tmp_path_factory.mktemp("converted")
    refcoco_fixture.write_refer(folder)
    refcoco_fixture.draw(folder / "pictures")
    flickr30k_fixture.write_flickr30k(folder / "flickr30k")
    Image.new("RGB", (64, 48), "grey").save(folder / "plain.png")
    (folder / "shikra.jsonl").write_text(json.dumps(SHIKRA) + "\n", encoding="utf-8")
    (folder / "swift2.jsonl").write_text(json.dumps(SWIFT2) + "\n", encoding="utf-8")
    (folder / "llava.json").write_text(json.dumps([LLAVA]), encoding="utf-8")
    files = {}
    for name, (kind, source, options) in SOURCES.items():
        options = {key: str(folder / value) if key == "images" else value for key, value in options.items()}
        spec = FORMATS[kind](annotations=str(folder / source), on_error="skip", **options)
        files[name] = folder / f"{name}.jsonl"
        assert convert_to_file(spec, files[name], RunOptions(progress=False), IssueLog("skip")).rows
    return files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_box_is_read_back_from_the_model_input(zoo, converted, source, kind):
    template = zoo[kind]
    for line in converted[source].read_bytes().splitlines():
        row = msgspec.json.decode(line)
        result = encoded(template, row)
        assert any(result.has_loss)
        text = template.tokenizer.decode([token for token in result.input_ids if token >= 0])
        assert not any(tag in text for tag in ("<bbox>", "<ref-object>"))
        found = parse_boxes(template, result, parts_of(template, result), row)
        boxes = (row.get("objects") or {}).get("bbox", ())
        assert (len(found.marks), sum(mark.differs for mark in found.marks)) == (len(boxes), 0)


def test_all_of_them_train_together(plugin, models, converted, tmp_path):
    """One run of `swift sft` over all sources: no row is dropped, whatever columns each has."""
    names = {"dataset": list(converted.values()), "strict": True, "max_steps": 2}
    logged = sft(plugin, "", tmp_path / "out", model=models["qwen2_vl"], **names)
    assert logged[-1]["global_step"] == 2
