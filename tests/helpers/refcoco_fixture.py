"""A small RefCOCO as REFER distributes it, written as Python 2 wrote it, and the same refs as rows of the hubs."""

from __future__ import annotations

import json
import pickle
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

LADY, CAFE = "COCO_train2014_000000000009.jpg", "COCO_train2014_000000000025.jpg"
INSTANCES = {
    "info": {"description": "a part of COCO 2014"},
    "licenses": [],
    "images": [
        {"id": 9, "file_name": LADY, "width": 64, "height": 48, "license": 3, "coco_url": "", "date_captured": "2013-11-17 05:37:38"},
        {"id": 25, "file_name": CAFE, "width": 40, "height": 60, "license": 1, "coco_url": "", "date_captured": "2013-11-14 21:40:59"},
    ],
    "annotations": [
        {"id": 1001, "image_id": 9, "category_id": 1, "bbox": [5.5, 6, 20, 10.5], "area": 210, "iscrowd": 0, "segmentation": [[1, 2, 3]]},
        {"id": 1002, "image_id": 9, "category_id": 1, "bbox": [30, 10, 40, 20], "area": 800, "iscrowd": 0, "segmentation": []},
        {"id": 1003, "image_id": 25, "category_id": 13, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0, "segmentation": []},
    ],
    "categories": [{"supercategory": "person", "id": 1, "name": "person"}, {"supercategory": "outdoor", "id": 13, "name": "stop sign"}],
}


class Long(int):
    """What Python 2 calls a long."""


def ref(ref_id: int, ann_id: int, image_id: int, split: bytes, sentences: dict[int, bytes | str]) -> dict[bytes, Any]:
    """A ref as Python 2 has it: every text is bytes, or Python 2's unicode where it is given as a str."""
    return {
        b"sent_ids": list(sentences),
        b"file_name": f"COCO_train2014_{image_id:012d}_{ref_id}.jpg".encode(),
        b"ann_id": ann_id,
        b"sentences": [
            {b"tokens": text.split(), b"raw": text.upper(), b"sent_id": sent_id, b"sent": text} for sent_id, text in sentences.items()
        ],
        b"split": split,
        b"image_id": image_id,
        b"category_id": 1,
        b"ref_id": Long(ref_id),
    }


def refs() -> list[dict[bytes, Any]]:
    return [
        ref(0, 1001, 9, b"val", {0: b"the lady", 1: b"lady in  blue", 2: b"left 'one'\\"}),
        ref(1, 1002, 9, b"testA", {3: b"right man"}),
        ref(2, 1003, 25, b"train", {4: b"caf\xe9 sign", 5: "caf\xe9".encode(), 6: "\u4e2d caf\xe9"}),
        ref(44, 1003, 25, b"val", {141: b"sign"}),
    ]


class Python2(pickle._Pickler):
    """Writes a pickle as Python 2 wrote it: bytes are its texts, str its unicode, and `Long` its long."""

    dispatch = pickle._Pickler.dispatch.copy()

    def text(self, value: bytes) -> None:
        if not self.bin:
            self.write(pickle.STRING + repr(value)[1:].encode() + b"\n")
        elif len(value) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(value)]) + value)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    def long(self, value: Long) -> None:
        self.write(pickle.LONG1 + b"\x04" + struct.pack("<i", value) if self.bin else f"L{int(value)}L\n".encode())

    dispatch |= {bytes: text, Long: long}


def pickled(value: Any, protocol: int = 2) -> bytes:
    """A pickle as Python 2 wrote it."""
    data = BytesIO()
    Python2(data, protocol).dump(value)
    return data.getvalue()


def draw(folder: Path) -> Path:
    """The two images of INSTANCES."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), "grey").save(folder / LADY)
    Image.new("RGB", (40, 60), "white").save(folder / CAFE)
    return folder


def write_refer(
    root: Path, name: str = "refcoco", *, protocol: int = 2, entries: Any = None, partition: str = "unc", **instances: Any
) -> Path:
    """The folder of a dataset: refs(PARTITION).p and instances.json."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"refs({partition}).p").write_bytes(pickled(refs() if entries is None else entries, protocol))
    (folder / "instances.json").write_text(json.dumps(INSTANCES | instances), encoding="utf-8")
    return folder


def jxu124_rows() -> list[dict[str, Any]]:
    """The refs of val and testA as jxu124/refcoco and swift/refcoco have them: boxes are x1, y1, x2, y2."""
    rows = []
    image = INSTANCES["images"][0]
    for each, box in ((refs()[0], [5.5, 6.0, 25.5, 16.5]), (refs()[1], [30.0, 10.0, 70.0, 30.0])):
        plain = {key.decode(): value.decode() if isinstance(value, bytes) else value for key, value in each.items()}
        sentences = [
            {"raw": s[b"raw"].decode(), "sent": s[b"sent"].decode(), "sent_id": s[b"sent_id"], "tokens": [t.decode() for t in s[b"tokens"]]}
            for s in each[b"sentences"]
        ]
        rows.append(
            plain
            | {
                "ref_id": int(plain["ref_id"]),
                "sentences": sentences,
                "raw_anns": json.dumps(INSTANCES["annotations"][0]),
                "raw_image_info": json.dumps(image),
                "raw_sentences": json.dumps(sentences),
                "image_path": f"coco/train2014/{image['file_name']}",
                "bbox": box,
                "captions": [s["sent"] for s in sentences],
                "global_image_id": f"coco.{image['id']}",
                "anns_id": f"coco.{plain['ann_id']}",
            }
        )
    return rows


def lmms_rows(images: Path) -> list[dict[str, Any]]:
    """Refs as lmms-lab/RefCOCO has them: boxes are x, y, width, height, and the row holds its image."""
    common = {"question": "Please carefully observe the area circled in the image.", "segmentation": [1.5, 2.5], "iscrowd": 0}
    lady, cafe = ({"bytes": (images / name).read_bytes(), "path": None} for name in (LADY, CAFE))
    return [
        {"question_id": "1001", "image": lady, "answer": ["the lady", "lady in blue"], "bbox": [5.3, 6.0, 20.1, 10.5]}
        | common
        | {"file_name": "COCO_train2014_000000000009_1001.jpg"},
        {"question_id": "1002", "image": lady, "answer": ["right man"], "bbox": [30.0, 10.0, 40.0, 20.0]}
        | common
        | {"file_name": "COCO_train2014_000000000009_1002.jpg"},
        {"question_id": "1001", "image": cafe, "answer": ["sign"], "bbox": [0.0, 0.0, 10.0, 10.0]}
        | common
        | {"file_name": "COCO_train2014_000000000025_1003.jpg"},
    ]
