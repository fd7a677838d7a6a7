"""A small source of every format, laid out as the example in its help names it, and that example's arguments."""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path
from typing import Any

import flickr30k_fixture
import refcoco_fixture
from converted import run
from talk_fixture import picture

from groundswift.data_converters.registry import FORMATS

CAT = "<annotation><filename>{0}.jpg</filename><size><width>8</width><height>6</height></size><object><name>cat</name>"
CAT += "<difficult>0</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax></bndbox></object></annotation>"
CVAT = '<annotations><version>1.1</version><image id="0" name="a.jpg" width="8" height="6">'
CVAT += '<box label="cat" occluded="0" xtl="1" ytl="1" xbr="4" ybr="5"/></image></annotations>'
BOXES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
TALK = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 4], "area": 12, "iscrowd": 0}],
}
CAPTIONS = {"images": COCO["images"], "annotations": [{"id": 1, "image_id": 1, "caption": "A cat."}]}
REGION = {"region_id": 11, "image_id": 1, "x": 1, "y": 1, "width": 3, "height": 4, "phrase": "a cat"}
OTTER = {"instruction": "What is it?", "answer": "A cat.", "image_ids": ["DC_IMG_1"], "rel_ins_ids": []}
PROBLEM = {"question": "Which?", "choices": ["a", "b"], "answer": 1, "hint": "", "image": "image.png", "solution": "", "split": "train"}
OLD = {"query": "Find <ref-object>", "response": "<bbox>", "images": ["a.jpg"]}
OLD["objects"] = [{"caption": "cat", "bbox": [1, 1, 4, 5], "bbox_type": "real", "image": 0}]
SHIKRA = {"image": "a.jpg", "target": {"boxes": [[1, 1, 4, 5]]}}
SHIKRA["conversations"] = [
    {"from": "human", "value": "Where is the cat in <image>?"},
    {"from": "gpt", "value": "There <boxes>.", "boxes_seq": [[0]]},
]
GLM = {"messages": [{"role": "user", "content": "What is it?", "image": "a.jpg"}, {"role": "assistant", "content": "A cat."}]}
HELD = {"bytes": picture(), "path": "a.png"}
VIDEO = {"video_name": "v_1", "question": "What?", "question_1": "None", "question_2": "None", "answer": "A cat."}
JPEG = picture(form="JPEG")
SOURCES: dict[str, dict[str, Any]] = {  # format -> path -> bytes, text, rows of a Parquet file, lines of JSON, or a JSON document
    "coco": {"annotations.json": COCO, "images/a.jpg": JPEG},
    "coco-captions": {"captions_train2017.json": CAPTIONS, "train2017/a.jpg": JPEG},
    "yolo": {
        "set/data.yaml": "train: images/train\nval: images/val\nnames: {0: cat}\n",
        "set/images/val/a.jpg": JPEG,
        "set/labels/val/a.txt": "0 0.5 0.5 0.25 0.5\n",
    },
    "voc": {
        "VOCdevkit/VOC2012/Annotations/a.xml": CAT.format("a"),
        "VOCdevkit/VOC2012/JPEGImages/a.jpg": JPEG,
        "VOCdevkit/VOC2012/ImageSets/Main/val.txt": "a\n",
    },
    "cvat": {"annotations.xml": CVAT, "images/a.jpg": JPEG},
    "dota": {"train/labelTxt/P1.txt": "imagesource:x\ngsd:0.1\n1 1 4 1 4 5 1 5 ship 0\n", "train/images/P1.png": picture()},
    "openimages": {
        "validation-annotations-bbox.csv": f"{BOXES}a1,xclick,/m/01yrx,1,0.1,0.5,0.1,0.5,0,0,0,0,0\n",
        "class-descriptions-boxable.csv": "/m/01yrx,Cat\n",
        "validation/a1.jpg": JPEG,
    },
    "visual-genome": {
        "region_descriptions.json": [{"id": 1, "regions": [REGION]}],
        "image_data.json": [{"image_id": 1, "url": "https://host/VG_100K_2/1.jpg", "width": 8, "height": 6}],
        "vg/VG_100K_2/1.jpg": JPEG,
    },
    "shikra": {"train_shikra.jsonl": [SHIKRA], "data/flickr30k_images/a.jpg": JPEG},
    "llava": {"llava_instruct_150k.json": [{"id": "1", "image": "a.jpg", "conversations": TALK}], "train2017/a.jpg": JPEG},
    "otter": {
        "DC_instructions.json": {"meta": {}, "data": {"DC_INS_1": OTTER}},
        "DC.json": {"DC_IMG_1": base64.b64encode(JPEG).decode()},
    },
    "scienceqa": {
        "data/scienceqa/problems.json": {"1": PROBLEM},
        "data/scienceqa/pid_splits.json": {"train": ["1"]},
        "data/scienceqa/images/train/1/image.png": picture(),
    },
    "image-text": {"captions.csv": "file,caption\na.jpg,A cat.\n", "photos/a.jpg": JPEG},
    "latex-ocr": {"train-00000-of-00001.parquet": [{"image": HELD, "text": "x^2"}]},
    "video-chatgpt": {"Generic.parquet": [VIDEO], "Test_Videos/v_1.mp4": b"video"},
    "glm4v": {"train_glm.jsonl": [GLM], "data/a.jpg": JPEG},
    "phi3v": {"train_phi3.json": [{"id": "1", "image": "a.jpg", "conversations": TALK}], "data/a.jpg": JPEG},
    "swift2": {"old.jsonl": [OLD], "data/a.jpg": JPEG},
}


def lay_out(name: str, folder: Path) -> None:
    """Write the source of a format's example."""
    for path, content in SOURCES.get(name, {}).items():
        put(folder / path, content)
    if name == "refcoco":
        refcoco_fixture.write_refer(folder / "refer", entries=[refcoco_fixture.refs()[0]])
        refcoco_fixture.draw(folder / "coco/train2014")
    elif name == "refcoco-hub":
        put(folder / "val.parquet", refcoco_fixture.lmms_rows(refcoco_fixture.draw(folder / "pictures of it"))[:1])
    elif name == "flickr30k":
        (flickr30k_fixture.write_flickr30k(folder / "flickr30k_entities") / "images").rename(folder / "flickr30k-images")
    elif name.startswith("to-"):
        put(folder / "coco.json", COCO)
        images = folder / ("data/flickr30k_images" if name == "to-shikra" else "images")
        put(images / "a.jpg", JPEG)
        for rows in ("train.jsonl", "val.jsonl"):
            assert run("convert", "coco", folder / "coco.json", "--images", images, "--out", folder / rows).exit_code == 0


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(content), path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def example(name: str) -> list[str]:
    """The arguments of the example in a format's help."""
    text = FORMATS[name].options().__doc__.split("Example:")[1].replace("\\\n", " ").replace(" /data", " data")
    command, *arguments = shlex.split(text)
    assert command == "groundswift"
    return arguments
