"""Rows of RefCOCO as two publishers have them on the hubs -> rows, and everything that may be wrong with them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from PIL import Image
from refcoco_fixture import CAFE, LADY, draw, jxu124_rows, lmms_rows, write_refer
from talk_fixture import brief, check_problem, error_of, ours, outcome, write_parquet
from talk_fixture import made as rows_of

from groundswift.data_converters.file_io.box_checks import ImageFolder
from groundswift.data_converters.file_io.row_files import read_rows
from groundswift.data_converters.formats.refcoco.hub import ROWS, HubMaker, RefcocoHubOptions
from groundswift.data_converters.formats.refcoco.source import RefcocoOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.tasks.referring import plain_referring

LMMS = pyarrow.schema(
    [
        ("question_id", pyarrow.string()),
        ("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
        ("question", pyarrow.string()),
        ("answer", pyarrow.list_(pyarrow.string())),
        ("segmentation", pyarrow.list_(pyarrow.float32())),
        ("bbox", pyarrow.list_(pyarrow.float32())),
        ("iscrowd", pyarrow.int8()),
        ("file_name", pyarrow.string()),
    ]
)


@pytest.fixture
def train2014(tmp_path) -> Path:
    return draw(tmp_path / "coco/train2014")


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    """Rows as Parquet or as JSON Lines, by the name of the file; bytes are base64 in JSON."""
    if path.suffix == ".parquet":
        write_parquet(path, *content, schema=LMMS if "question_id" in content[0] else None)
    else:
        path.write_text("".join(json.dumps(row, default=lambda data: base64.b64encode(data).decode()) + "\n" for row in content))
    return path


def options_of(source: Path, schema: str, **options: Any) -> RefcocoHubOptions:
    paths = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
    return RefcocoHubOptions(annotations=str(source), schema=schema, **paths)


def rows(source: Path, schema: str, **options: Any) -> tuple[list[dict], dict[str, int]]:
    return outcome(options_of(source, schema, **options))


JXU124 = [
    ("validation/val/0/0", ["the lady"], [[5.5, 6, 25.5, 16.5]]),
    ("validation/val/0/1", ["lady in blue"], [[5.5, 6, 25.5, 16.5]]),
    ("validation/val/0/2", ["left 'one'\\"], [[5.5, 6, 25.5, 16.5]]),
    ("validation/testA/1/3", ["right man"], [[30, 10, 64, 30]]),
]


@pytest.mark.parametrize("name", ["validation.parquet", "validation.jsonl"])
@pytest.mark.parametrize("below", [".", "coco", "coco/train2014"])
def test_jxu124(tmp_path, train2014, name, below):
    made, counts = rows(write(tmp_path / name, jxu124_rows()), "jxu124", images=tmp_path / below)
    assert brief(made) == JXU124
    assert made[0] == ours(
        "<image>Find <ref-object>.",
        "<bbox>",
        images=[str(train2014 / LADY)],
        objects={"ref": ["the lady"], "bbox": [[5.5, 6, 25.5, 16.5]], "bbox_type": "real"},
        sample_id="validation/val/0/0",
        size_wh=[64, 48],
        prompt="find.en.1",
    )
    assert counts == {"phrase-spaces": 1, "box-clipped": 1}


def test_jxu124_is_the_same_as_refer(tmp_path, train2014):
    source = write(tmp_path / "validation.parquet", jxu124_rows())
    hub, _ = rows(source, "jxu124", images=train2014, id_prefix="refcoco/unc", split="testA")
    options = RefcocoOptions(annotations=str(write_refer(tmp_path)), images=str(train2014), split="testA")
    assert hub == rows_of(options)


def test_jxu124_by_split(tmp_path, train2014):
    made, counts = rows(write(tmp_path / "validation.parquet", jxu124_rows()), "jxu124", images=train2014, split="testA", task="describe")
    assert brief(made) == [("validation/testA/1/3", "right man", [[30, 10, 64, 30]])]
    assert counts == {"row-other-split": 1, "box-clipped": 1}


def test_a_split_that_no_row_has_is_an_error(tmp_path, train2014):
    options = options_of(write(tmp_path / "validation.parquet", jxu124_rows()), "jxu124", images=train2014, split="validation")
    assert re.search("nothing to write: every row was dropped\n +2  row-other-split", error_of(options))


def test_jxu124_without_a_look(tmp_path):
    made, _ = rows(write(tmp_path / "validation.jsonl", jxu124_rows()), "jxu124", images=tmp_path / "elsewhere", check_images=False)
    assert brief(made) == JXU124
    assert (made[0]["images"], made[0]["size_wh"]) == ([str(tmp_path / "elsewhere" / LADY)], [64, 48])


@pytest.mark.parametrize("name", ["val.parquet", "val.jsonl"])
def test_lmms(tmp_path, train2014, name):
    """Boxes are stored in 32 bits there: they come out as the numbers that were meant, and two refs share one image."""
    kept = tmp_path / "kept"
    made, counts = rows(write(tmp_path / name, lmms_rows(train2014)), "lmms", save_images=kept)
    assert brief(made) == [
        ("val/1/1001/0", ["the lady"], [[5.3, 6, 25.400000000000002, 16.5]]),
        ("val/1/1001/1", ["lady in blue"], [[5.3, 6, 25.400000000000002, 16.5]]),
        ("val/2/1002/0", ["right man"], [[30, 10, 64, 30]]),
        ("val/3/1001/0", ["sign"], [[0, 0, 10, 10]]),
    ]
    assert counts == {"box-clipped": 1}
    assert [row["images"] for row in made] == [[str(kept / LADY)]] * 3 + [[str(kept / CAFE)]]
    assert made[3]["size_wh"] == [40, 60]
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {name: (train2014 / name).read_bytes() for name in (LADY, CAFE)}


def test_lmms_with_paths(tmp_path, train2014):
    content = [row | {"image": {"bytes": None, "path": None}} for row in lmms_rows(train2014)]
    made, _ = rows(write(tmp_path / "val.parquet", content), "lmms", images=tmp_path)
    assert made[0]["images"] == [str(train2014 / LADY)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "rows of lmms-lab hold their images; expected --save-images"),
        ({"images": "."}, "row 1: the row holds its image, and swift reads files; expected --save-images"),
        ({"save_images": "kept", "split": "val"}, "rows of lmms-lab have no column split"),
    ],
)
def test_lmms_options_that_cannot_be_used(tmp_path, train2014, options, message):
    assert message in error_of(options_of(write(tmp_path / "val.parquet", lmms_rows(train2014)), "lmms", **options))


@pytest.mark.parametrize(("schema", "other"), [("lmms", "jxu124"), ("jxu124", "lmms")])
def test_the_schema_is_never_guessed(tmp_path, train2014, schema, other):
    content = lmms_rows(train2014) if other == "lmms" else jxu124_rows()
    options = options_of(write(tmp_path / "val.parquet", content), schema, images=train2014, save_images=tmp_path / "kept")
    assert "not a row: Object missing required field" in error_of(options)


def test_rows_for_who_has_the_image(train2014, tmp_path):
    """What a plugin does with a hub's own tables: no folder, no file."""
    items, _ = read_rows(str(write(tmp_path / "val.parquet", lmms_rows(train2014))), ROWS["lmms"])
    made = [row for item in items for row in HubMaker(plain_referring("find"), "refcoco-find/val")(item, IssueLog())]
    assert [(row.sample_id, row.images, row.size_wh) for row in made][1:] == [
        ("refcoco-find/val/1/1001/1", [], (64, 48)),
        ("refcoco-find/val/2/1002/0", [], (64, 48)),
        ("refcoco-find/val/3/1001/0", [], (40, 60)),
    ]
    items, _ = read_rows(str(write(tmp_path / "val.jsonl", jxu124_rows())), ROWS["jxu124"])
    maker = HubMaker(plain_referring("describe"), "refcoco/unc", images=ImageFolder(str(train2014)))
    assert [row.images for item in items for row in maker(item, IssueLog())] == [[str(train2014 / LADY)]] * 4


def spoilt(schema: str, train2014: Path, values: dict[str, Any]) -> list[dict]:
    """Two rows, the first with some columns changed, or dropped where the value is `...`."""
    first, second, *_ = lmms_rows(train2014) if schema == "lmms" else jxu124_rows()
    return [{key: value for key, value in (first | values).items() if value is not Ellipsis}, second]


def info(**values: Any) -> str:
    return json.dumps(json.loads(jxu124_rows()[0]["raw_image_info"]) | values)


PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==")
TAGGED = [{"sent": "<video>", "sent_id": 1}]
PROBLEMS = {  # what is broken -> (schema, columns, reason, what)
    "a box of 3 numbers": ("jxu124", {"bbox": [1, 2, 3]}, "box-length", "bbox [1.0, 2.0, 3.0]"),
    "an inverted box": ("jxu124", {"bbox": [30, 2, 3, 9]}, "box-inverted", "box [30.0, 2.0, 3.0, 9.0]"),
    "another size": ("jxu124", {"raw_image_info": info(width=65)}, "image-size-differs", "annotated as 65x48 px"),
    "no JSON": ("jxu124", {"raw_image_info": "{"}, "size-unreadable", "raw_image_info: "),
    "no size": ("jxu124", {"raw_image_info": info(width=0)}, "size-unreadable", "raw_image_info: Expected `int` >= 1"),
    "no image": ("jxu124", {"image_path": "coco/train2014/gone.jpg"}, "image-missing", "image not found: "),
    "a path that leaves": ("jxu124", {"image_path": "../../etc/passwd"}, "image-path-outside", "'../etc/passwd'"),
    "an absolute path": ("jxu124", {"image_path": "/etc/passwd"}, "image-path-outside", "'/etc/passwd'"),
    "a tag of swift": ("jxu124", {"sentences": TAGGED}, "text-tag", "holds <video>"),
    "another size in bytes": ("jxu124", {"image": {"bytes": PNG, "path": None}}, "image-size-differs", "the image is 1x1 px"),
    "no bytes": ("lmms", {"image": {"bytes": b"", "path": None}}, "image-missing", "no bytes in the row's image"),
    "no image in bytes": ("lmms", {"image": {"bytes": b"GIF89a?", "path": None}}, "image-unreadable", "an image that Pillow can open"),
    "a name that leaves": ("lmms", {"file_name": "../../x.jpg"}, "image-path-outside", "../x.jpg"),
    "an absolute name": ("lmms", {"file_name": "/tmp/x.jpg"}, "image-path-outside", "/tmp/x.jpg"),
    "an answer that is a text": ("lmms", {"answer": "the lady"}, "row-unreadable", "Expected `array`, got `str` - at `$.answer`"),
    "a gigantic number": ("lmms", {"bbox": [1e308, 2, 1e308, 4]}, "box-not-finite", "finite numbers"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_stops_or_is_skipped_and_counted(tmp_path, train2014, name):
    schema, values, reason, what = PROBLEMS[name]
    source = write(tmp_path / "val.jsonl", spoilt(schema, train2014, values))
    options = {"images": train2014, "save_images": tmp_path / "kept"}
    check_problem(options_of(source, schema, **options), reason, f"{source}:1: ", what, left=1)
    assert {path.name for path in tmp_path.iterdir()} <= {"coco", "val.jsonl", "kept"}


def test_a_ref_id_twice(tmp_path, train2014):
    source = write(tmp_path / "val.parquet", [*jxu124_rows(), jxu124_rows()[0]])
    options = options_of(source, "jxu124", images=train2014)
    check_problem(options, "ref-id-repeated", "val.parquet: row 3: duplicate ref_id 0; expected each id once", left=4)


def test_two_images_of_one_name(tmp_path, train2014):
    first, second, third = lmms_rows(train2014)
    source = write(tmp_path / "val.parquet", [first, second, third | {"file_name": second["file_name"]}])
    options = options_of(source, "lmms", save_images=tmp_path / "kept")
    check_problem(options, "image-name-repeated", "val.parquet: row 3: ", "0009.jpg already holds another image", left=3)
    assert Image.open(tmp_path / "kept" / LADY).size == (64, 48)
