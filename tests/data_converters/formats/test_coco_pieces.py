"""A COCO file read piece by piece holds what the file read whole holds, wherever it is split; what cannot be read so is read whole."""

from __future__ import annotations

import json
import random

import msgspec
import pytest

from groundswift.coco_file import CocoFile, read_coco
from groundswift.data_converters.formats.coco.parallel_reader import read_pieces
from groundswift.worker_pool import WorkerPool

COUNT = 300


def document(*, nested: bool = False) -> dict:
    rng = random.Random(3)
    annotations = [
        {
            "segmentation": [[rng.randint(0, 99) for _ in range(8)]],
            "area": rng.random(),
            "note": 'a "}, {" in a text, and "annotations":[',
            "iscrowd": number % 7 == 0 and 1 or 0,
            "image_id": 1 + number % 3,
            "bbox": [number, 2.25, 3, 4],
            "category_id": 5,
            "id": number,
        }
        for number in range(COUNT)
    ]
    if nested:
        annotations[COUNT // 2]["parts"] = [{"a": 1}, {"a": 2}] * 50
    return {
        "info": {"description": "}, {"},
        "images": [{"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480} for number in (1, 2, 3)],
        "annotations": annotations,
        "categories": [{"id": 5, "name": "cat"}],
    }


def written(path, content: dict, **layout) -> str:
    path.write_text(json.dumps(content, **layout), encoding="utf-8")
    return str(path)


def whole(path: str) -> CocoFile:
    """The file read whole, without what columns do not keep."""
    coco = read_coco(path)
    return msgspec.structs.replace(coco, annotations=[msgspec.structs.replace(row, area=None) for row in coco.annotations])


@pytest.mark.parametrize("piece_bytes", [1, 200, 1000, 10_000, 1 << 20])
@pytest.mark.parametrize("layout", [{}, {"indent": 2}, {"separators": (",", ":")}], ids=["plain", "indented", "dense"])
@pytest.mark.parametrize("first", ["images", "annotations", "categories"])
def test_pieces_are_the_whole(tmp_path, piece_bytes, layout, first):
    content = document()
    path = written(tmp_path / "a.json", {first: content[first], **content}, **layout)
    found = read_pieces(path, WorkerPool(), piece_bytes)
    assert CocoFile(found.images, found.annotations, found.categories) == whole(path)


@pytest.mark.process
def test_processes_share_the_pieces(tmp_path):
    path = written(tmp_path / "a.json", document())
    with WorkerPool(2) as pool:
        alone, together = read_pieces(path, WorkerPool(), 100), read_pieces(path, pool, 100)
    assert [column.tolist() for column in alone.columns[:5]] == [column.tolist() for column in together.columns[:5]]


def test_a_boundary_within_an_annotation_costs_time_only(tmp_path):
    """What follows the false boundary is read in one go; nothing is lost or read twice."""
    path = written(tmp_path / "a.json", document(nested=True))
    found = read_pieces(path, WorkerPool(), 200)
    assert CocoFile(found.images, found.annotations, found.categories) == whole(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"area": 0', '"area": NaN, "was": 0', id="no JSON but Python's"),
        pytest.param('"image_id": 2', '"image_id": "2"', id="a wrong type"),
        pytest.param('"id": 150}', '"id": null}', id="no id"),
        pytest.param('"category_id": 5', f'"category_id": {10**30}', id="a gigantic id"),
        pytest.param("[150, 2.25, 3, 4]", "[150, 2.25, 3]", id="a box of three numbers"),
        pytest.param('"annotations": [', '"annotations": [], "annotations": [', id="two arrays"),
        pytest.param('"categories"', '"annotations": [], "categories"', id="another array behind it"),
        pytest.param('"info": {', '"info": {"annotations": [1], ', id="an array of that name elsewhere"),
        pytest.param('"images"', '"pictures"', id="no images"),
        pytest.param("}]}", "}]", id="a cut file"),
        pytest.param("}]}", "}]}}", id="more than a file"),
        pytest.param('{"info"', '\ufeff{"info"', id="a byte order mark"),
    ],
)
@pytest.mark.parametrize("piece_bytes", [200, 1 << 20])
def test_what_is_unusual_is_left_to_the_reader_of_whole_files(tmp_path, old, new, piece_bytes):
    text = json.dumps(document())
    assert old in text
    head, _, tail = text.rpartition(old)
    (tmp_path / "a.json").write_text(head + new + tail, encoding="utf-8")
    assert read_pieces(str(tmp_path / "a.json"), WorkerPool(), piece_bytes) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff\xfe"], ids=repr)
def test_no_such_file(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_pieces(str(tmp_path / "a.json"), WorkerPool()) is None
    assert read_pieces(str(tmp_path), WorkerPool()) is None
