"""Rows of Shikra, as its own documentation writes them and as users bend them -> rows for swift."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from converted import run, write_lines

from groundswift.data_converters.engine.convert import How, convert_to_file, rows_of
from groundswift.data_converters.formats.shikra.source import ShikraOptions
from groundswift.data_converters.issues import IssueLog
from groundswift.errors import GroundswiftError

WIDTH, HEIGHT = 820, 800
DOG, CAT, MAN, ROPE = [10, 10, 256, 265], [24, 18, 378, 768], [100, 310, 670, 653], [278, 320, 809, 673]
POINTS = [[100, 100], [200.5, 200]]
TWO_DOGS = {  # two dogs, a man and a rope: all that a row can have
    "image": "dogs.jpg",
    "target": {"boxes": [DOG, CAT, MAN, ROPE], "points": POINTS},
    "conversations": [
        {
            "from": "human",
            "value": "What is between the dogs <boxes> and the man <boxes> in <image> ? Does the man<points> greet the man<points>?",
            "boxes_seq": [[0, 1], [2]],
            "points_seq": [[0], [1]],
        },
        {
            "from": "gpt",
            "value": "a rope <boxes> from the left dog <boxes> to the man <boxes>.",
            "boxes_seq": [[3], [0], [2]],
            "points_seq": None,
        },
    ],
}
EXPRESSION = {"img_path": "dogs.jpg", "expression": "left  dog", "bbox": [10.5, 10, 256, 265], "width": WIDTH, "height": HEIGHT}


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    draw(tmp_path / "dogs.jpg", (WIDTH, HEIGHT))
    draw(tmp_path / "turned.jpg", (60, 40), orientation=6)
    return tmp_path


@pytest.fixture
def source(folder: Path):
    """Write rows -> the path of the file."""
    return lambda *rows, name="old.jsonl": write_lines(folder / name, *rows)


def asked(turn: int = 0, **changes: Any) -> dict[str, Any]:
    """The row of two dogs with one turn changed."""
    row = deepcopy(TWO_DOGS)
    row["conversations"][turn] |= changes
    return row


def talk(question: str = "<image>Q", answer: str = "A", boxes: Any = None, image: Any = "dogs.jpg") -> dict[str, Any]:
    """A small row: `boxes` is the boxes_seq of the answer."""
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer, "boxes_seq": boxes}]
    return {"conversations": turns} if image is None else {"image": image, "conversations": turns}


def converted(path: Path, **options: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    log = IssueLog(options.get("on_error", "stop"))
    made = [msgspec.to_builtins(row) for row in rows_of(ShikraOptions(annotations=str(path), **options), log)]
    return made, dict(log.counted.counts)


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    return converted(path, **options)[0]


def said(row: dict[str, Any]) -> list[str]:
    return [each["content"] for each in row["messages"]]


def test_boxes_points_and_groups(source, folder):
    made, counts = converted(source(TWO_DOGS))
    assert made == [
        {
            "messages": [
                {
                    "role": "user",
                    "content": "What is between the dogs <bbox><bbox> and the man <bbox> in <image> ? "
                    "Does the man<bbox> greet the man<bbox>?",
                },
                {"role": "assistant", "content": "a rope <bbox> from the left dog <bbox> to the man <bbox>."},
            ],
            "images": [str(folder / "dogs.jpg")],
            "objects": {"ref": [], "bbox": [DOG, CAT, MAN, *POINTS, ROPE, DOG, MAN], "bbox_type": "real"},
            "sample_id": "old/1",
            "size_wh": (WIDTH, HEIGHT),
        }
    ]
    assert counts == {}


@pytest.mark.parametrize("task", ["find", "describe"])
def test_an_expression_and_its_box(source, folder, task):
    made, counts = converted(source(EXPRESSION), task=task)
    wanted = ["<image>Find <ref-object>.", "<bbox>"] if task == "find" else ["<image>Describe the object at <bbox>.", "left dog"]
    assert said(made[0]) == wanted
    assert made[0]["objects"] == {"ref": ["left dog"] * (task == "find"), "bbox": [[10.5, 10, 256, 265]], "bbox_type": "real"}
    assert (made[0]["sample_id"], made[0]["size_wh"], made[0]["prompt"]) == ("old/1", (WIDTH, HEIGHT), f"{task}.en.1")
    assert counts == {"phrase-spaces": 1}


@pytest.mark.parametrize(
    ("row", "texts", "boxes"),
    [
        pytest.param(talk(image=None, question="Q"), ["Q", "A"], None, id="text alone"),
        pytest.param(talk(question="Q"), ["<image>Q", "A"], None, id="no <image>"),
        pytest.param(talk(image={"path": "dogs.jpg", "width": WIDTH, "height": HEIGHT}), ["<image>Q", "A"], None, id="image with size"),
        pytest.param(talk(boxes=[]), ["<image>Q", "A"], None, id="an empty boxes_seq"),
        pytest.param(
            talk(answer="<boxes>", boxes=[[1, 0, 1]]) | {"target": {"boxes": [DOG, MAN]}},
            ["<image>Q", "<bbox><bbox><bbox>"],
            [MAN, DOG, MAN],
            id="the same index twice",
        ),
        pytest.param(
            talk(answer="<boxes>", boxes=[[0]]) | {"target": {"boxes": [DOG], "points": None}},
            ["<image>Q", "<bbox>"],
            [DOG],
            id="null points",
        ),
    ],
)
def test_forms_of_a_row(source, row, texts, boxes):
    (made,) = rows(source(row))
    assert said(made) == texts
    assert (made.get("objects") or {"bbox": None})["bbox"] == boxes


def test_fractions_of_the_picture(source):
    row = talk(answer="<boxes><points>", boxes=[[0]]) | {"target": {"boxes": [[0.25, 0.5, 0.75, 1]], "points": [[0.5, 0.25]]}}
    row["conversations"][1]["points_seq"] = [[0]]
    expected = [[205, 400, 615, 800], [410, 200]]
    assert rows(source(row), space="norm1")[0]["objects"]["bbox"] == expected
    assert rows(source(row), space="norm1", check_images=False)[0]["objects"]["bbox"] == expected
    stated = row | {"image": "nowhere.jpg", "width": 100, "height": 40}
    assert rows(source(stated), space="norm1", check_images=False)[0]["objects"]["bbox"] == [[25, 20, 75, 40], [50, 10]]
    assert rows(source(row))[0]["objects"]["bbox"] == [[0.25, 0.5, 0.75, 1], [0.5, 0.25]]  # never guessed


def test_a_turned_picture_has_to_be_declared(source):
    row = talk(answer="<boxes><points>", boxes=[[0]], image="turned.jpg")  # 60 x 40 stored, 40 x 60 upright
    row["conversations"][1]["points_seq"] = [[0]]
    row["target"] = {"boxes": [[0, 0, 30, 10]], "points": [[5, 2]]}
    with pytest.raises(GroundswiftError, match=r"old\.jsonl:1: EXIF turns .*turned\.jpg \(orientation 6\).*--turned stored"):
        rows(source(row))
    stored = row | {"width": 60, "height": 40}
    for each in (row, stored):
        assert rows(source(each), turned="stored")[0]["objects"]["bbox"] == [[30, 0, 40, 30], [38, 5]]
    assert rows(source(row | {"width": 40, "height": 60}), turned="upright")[0]["objects"]["bbox"] == [[0, 0, 30, 10], [5, 2]]
    with pytest.raises(GroundswiftError, match=r"stated as 40x60 px, but stored as 60x40 px; expected one size"):
        rows(source(row | {"width": 40, "height": 60}), turned="stored")
    with pytest.raises(GroundswiftError, match=r"box 0: box \[30\.0, 0\.0, 0\.0, 10\.0\]; expected x1 below x2"):  # turning would hide it
        rows(source(row | {"target": {"boxes": [[30, 0, 0, 10]], "points": [[5, 2]]}}), turned="stored")
    assert said(rows(source(talk(image="turned.jpg")))[0]) == ["<image>Q", "A"]  # nothing to be placed


def test_what_is_counted(source):
    path = source(
        talk(answer="<boxes><boxes> <boxes>", boxes=[[0], [2], [0]]) | {"target": {"boxes": [DOG, CAT, [-5, 1, 9, 9]], "points": POINTS}}
    )
    made, counts = converted(path)
    assert said(made[0])[1] == "<bbox> <bbox> <bbox>"
    assert made[0]["objects"]["bbox"] == [DOG, [0, 1, 9, 9], DOG]
    assert counts == {
        "box-unused": 1,
        "point-unused": 2,
        "box-clipped": 1,
        "space-added": 1,
    }


def test_an_id_of_its_own(source):
    assert [row["sample_id"] for row in rows(source(talk() | {"sample_id": 7}, talk() | {"sample_id": "a/b"}, talk()))] == [
        "7",
        "a/b",
        "old/3",
    ]


FAULTY: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "not JSON": (b'{"image": "dogs.jpg", ', r"old\.jsonl:1: (not a row|the file stops)"),
    "a list": (b"[1, 2]", r"old\.jsonl:1: not a row: Expected `object`, got `array`"),
    "no UTF-8": (b'{"image": "\xff"}', r"old\.jsonl:1: not a row"),
    "NaN": (b'{"conversations": [], "target": {"boxes": [[NaN, 1, 2, 3]]}}', r"old\.jsonl:1: not a row"),
    "a gigantic number": (
        f'{{"conversations": [], "target": {{"boxes": [[1{"0" * 400}, 1, 2, 3]]}}}}'.encode(),
        r"old\.jsonl:1: not a row: .*`\$\.target\.boxes\[0\]\[0\]`",
    ),
    "another row": ({"query": "Q"}, r"old\.jsonl:1: no conversations, and no img_path, expression and bbox; expected image, target"),
    "an expression without its box": ({"img_path": "dogs.jpg", "expression": "x"}, r"old\.jsonl:1: no conversations, and no img_path"),
    "a box of three numbers": (
        EXPRESSION | {"expression": "dog", "bbox": [1, 2, 3]},
        r"old\.jsonl:1, box 0: \[1\.0, 2\.0, 3\.0\]; expected x1, y1, x2, y2",
    ),
    "an expression with a tag": (EXPRESSION | {"expression": "a <bbox>"}, r"old\.jsonl:1: holds <bbox>, which swift would replace"),
    "no turns": (TWO_DOGS | {"conversations": []}, r"old\.jsonl:1: roles none; expected"),
    "no value": (TWO_DOGS | {"conversations": [{"from": "human"}]}, r"missing required field `value` - at `\$\.conversations\[0\]`"),
    "a number said": (asked(value=7), r"Expected `str`, got `int` - at `\$\.conversations\[0\]\.value`"),
    "an unknown role": (asked(**{"from": "system"}), r"old\.jsonl:1, turn 0: role 'system'; expected human, gpt"),
    "gpt first": (asked(**{"from": "gpt"}), r"old\.jsonl:1: roles assistant, assistant; expected"),
    "no answer": (TWO_DOGS | {"conversations": TWO_DOGS["conversations"][:1]}, r"old\.jsonl:1: roles user; expected"),
    "null boxes_seq": (asked(1, boxes_seq=None), r"old\.jsonl:1, turn 1: 3 <boxes> and 0 groups in boxes_seq; expected a group for each"),
    "null points_seq": (asked(points_seq=None), r"old\.jsonl:1, turn 0: 2 <points> and 0 groups in points_seq"),
    "a group too few": (asked(boxes_seq=[[0]]), r"old\.jsonl:1, turn 0: 2 <boxes> and 1 groups in boxes_seq"),
    "a group too many": (asked(1, points_seq=[[0]]), r"old\.jsonl:1, turn 1: 0 <points> and 1 groups in points_seq"),
    "flat": (asked(boxes_seq=[0, 1]), r"old\.jsonl:1, turn 0: boxes_seq \[0, 1\]; expected a list of lists of whole numbers"),
    "too deep": (asked(boxes_seq=[[[0]], [[1]]]), r"turn 0: boxes_seq \[\[\[0\]\], \[\[1\]\]\]; expected a list of lists"),
    "an object": (asked(boxes_seq={"0": [0]}), r"turn 0: boxes_seq \{'0': \[0\]\}; expected a list of lists"),
    "fractional index": (asked(boxes_seq=[[0.5], [1]]), r"turn 0: boxes_seq \[\[0\.5\], \[1\]\]; expected a list of lists of whole"),
    "true for an index": (asked(boxes_seq=[[True], [1]]), r"turn 0: boxes_seq \[\[True\], \[1\]\]; expected"),
    "text for an index": (asked(boxes_seq=[["0"], [1]]), r"turn 0: boxes_seq \[\['0'\], \[1\]\]; expected"),
    "an empty group": (asked(boxes_seq=[[], [1]]), r"turn 0: boxes_seq \[\[\], \[1\]\]; expected at least one index in each group"),
    "index too high": (asked(boxes_seq=[[0], [4]]), r"turn 0: index 4 in boxes_seq; expected an index from 0 to 3"),
    "index below 0": (asked(boxes_seq=[[0], [-1]]), r"turn 0: index -1 in boxes_seq; expected an index from 0 to 3"),
    "a gigantic index": (asked(boxes_seq=[[0], [10**60]]), r"turn 0: index 10{29} in boxes_seq; expected an index from 0"),
    "no target": (TWO_DOGS | {"target": None}, r"turn 0: index 0 in boxes_seq; expected none: the target has no such list"),
    "no points": (TWO_DOGS | {"target": {"boxes": [DOG, CAT, MAN, ROPE]}}, r"turn 0: index 0 in points_seq; expected none"),
    "target is a list": (TWO_DOGS | {"target": [DOG]}, r"Expected `object \| null`, got `array` - at `\$\.target`"),
    "a box that is flat": (TWO_DOGS | {"target": {"boxes": DOG}}, r"Expected `array`, got `int` - at `\$\.target\.boxes\[0\]`"),
    "a box of texts": (
        TWO_DOGS | {"target": {"boxes": [["1", 2, 3, 4]]}},
        r"Expected `float`, got `str` - at `\$\.target\.boxes\[0\]\[0\]`",
    ),
    "three numbers": (
        TWO_DOGS | {"target": {"boxes": [DOG, CAT, MAN[:3], ROPE], "points": POINTS}},
        r"old\.jsonl:1, box 2: \[100\.0, 310\.0, 670\.0\]; expected x1, y1, x2, y2",
    ),
    "a point of four": (
        TWO_DOGS | {"target": {"boxes": [DOG, CAT, MAN, ROPE], "points": [DOG, POINTS[0]]}},
        r"old\.jsonl:1, point 0: \[10\.0, 10\.0, 256\.0, 265\.0\]; expected x, y",
    ),
    "inverted": (talk(answer="<boxes>", boxes=[[0]]) | {"target": {"boxes": [[9, 9, 1, 1]]}}, r"1, box 0: box .*; expected x1"),
    "outside": (
        talk(answer="<boxes>", boxes=[[0]]) | {"target": {"boxes": [[900, 9, 950, 99]]}},
        r"1, box 0: box .*; expected a box that ov",
    ),
    "a point outside": (
        TWO_DOGS | {"target": {"boxes": [DOG, CAT, MAN, ROPE], "points": [[900, 1], [1, 1]]}},
        r"1, point 0: point \[900\.0, 1\.0\]; expected a point on its image of 820x800 px",
    ),
    "boxes-without-image": (talk(question="Q", image=None) | {"target": {"boxes": [DOG]}}, r"old\.jsonl:1: a target, and no image"),
    "<image> without a picture": (talk(image=None), r"old\.jsonl:1: 1 <image> and 0 images"),
    "<image> twice": (talk("<image><image>"), r"old\.jsonl:1: 2 <image> and 1 images"),
    "<image> in an answer": (talk(answer="see <image>"), r"old\.jsonl:1: <image> in a text of assistant"),
    "several pictures": (talk(image=["dogs.jpg", "dogs.jpg"]), r"Expected `str \| object \| null`, got `array` - at `\$\.image`"),
    "a picture without a path": (talk(image={"bytes": ""}), r"missing required field `path` - at `\$\.image`"),
    "a tag of swift": (asked(1, value="<bbox> <boxes> <boxes> <boxes>"), r"old\.jsonl:1, turn 1: the text of assistant holds <bbox>"),
    "picture missing": (talk(image="none.jpg"), r"old\.jsonl:1, image \(none\.jpg\): no file .*none\.jpg"),
    "picture cut": (talk(image="cut.jpg"), r"old\.jsonl:1, image \(cut\.jpg\): .*not a readable image"),
    "path that leaves": (talk(image="../dogs.jpg"), r"image '\.\./dogs\.jpg' with .*; expected an absolute path"),
    "another size": (talk() | {"width": 81, "height": 80}, r"annotated as 81x80 px, but the picture is 820x800 px"),
    "two sizes": (
        talk(image={"path": "dogs.jpg", "width": WIDTH, "height": HEIGHT}) | {"width": 81, "height": 80},
        r"old\.jsonl:1: width 81, height 80 and width 820, height 800; expected one width and height",
    ),
    "one side": (talk() | {"width": WIDTH}, r"old\.jsonl:1: width 820, height None; expected one width and height"),
    "a side of 0": (talk() | {"width": 0, "height": 9}, r"Expected `int` >= 1 - at `\$\.width`"),
}


@pytest.mark.parametrize(("row", "message"), FAULTY.values(), ids=FAULTY)
def test_faults(source, folder, row, message):
    (folder / "cut.jpg").write_bytes((folder / "dogs.jpg").read_bytes()[:3])
    with pytest.raises(GroundswiftError, match=message) as stopped:
        rows(source(row, TWO_DOGS))
    assert "1 problem, nothing written" in str(stopped.value)
    made, counts = converted(source(row, TWO_DOGS), on_error="skip")
    assert sum(counts.values()) == 1
    assert [each["sample_id"] for each in made] == ["old/2"]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"], ids=["empty", "blank lines", "a byte order mark"])
def test_a_file_without_rows(folder, content):
    (folder / "old.jsonl").write_bytes(content)
    with pytest.raises(GroundswiftError, match=r"old\.jsonl: no row is left"):
        rows(folder / "old.jsonl")


def test_mark_and_line_ends_of_windows(source, folder):
    plain = rows(source(TWO_DOGS, EXPRESSION))
    text = (folder / "old.jsonl").read_bytes()
    (folder / "old.jsonl").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert rows(folder / "old.jsonl") == plain


def test_a_json_list_and_parquet(source, folder):
    import pyarrow
    import pyarrow.parquet

    wanted = rows(source(TWO_DOGS, TWO_DOGS))
    (folder / "old.json").write_text(json.dumps([TWO_DOGS, TWO_DOGS]))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([TWO_DOGS, TWO_DOGS]), folder / "old.parquet")
    assert rows(folder / "old.json") == wanted
    assert rows(folder / "old.parquet") == wanted


def test_parquet_holds_numbers_that_json_cannot(folder):
    import pyarrow
    import pyarrow.parquet

    row = TWO_DOGS | {"target": {"boxes": [[float("nan"), 1, 2, 3], CAT, MAN, ROPE], "points": [[1.0, float("inf")], [1.0, 1.0]]}}
    row["target"]["boxes"] = [list(map(float, box)) for box in row["target"]["boxes"]]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), folder / "old.parquet")
    with pytest.raises(GroundswiftError, match=r"(?s)2 faults.*row 1, box 0: .*finite.*row 1, point 0: .*finite"):
        rows(folder / "old.parquet")


def test_two_workers_make_the_same_file(source, folder):
    path = source(*[asked(value=f"{n} <image> <boxes> <boxes> <points><points>") for n in range(300)], *[EXPRESSION] * 300)
    for workers in (1, 2):
        options = ShikraOptions(annotations=str(path), prompts="sampled", language="both")
        convert_to_file(options, folder / f"{workers}.jsonl", How(workers, progress=False), IssueLog())
    assert (folder / "1.jsonl").read_bytes() == (folder / "2.jsonl").read_bytes()
    assert len({json.loads(line).get("prompt") for line in (folder / "1.jsonl").read_bytes().splitlines()}) > 4


def test_the_command_and_lint(source, folder):
    once = talk("<image>Where is it? <points>", "The dog is here <boxes>.", boxes=[[1, 0]]) | {
        "target": {"boxes": [DOG, CAT], "points": POINTS[:1]}
    }
    once["conversations"][0]["points_seq"] = [[0]]
    path, out = source(once, EXPRESSION | {"expression": "left dog"}, talk("Q", image=None)), folder / "new.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "groundswift.cli", "convert", "shikra", path, "--out", out, "--json"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"rows": 3, "objects": 4, "negatives": 0, "counts": {}, "out": str(out)}
    lint = run("lint", out, "--json")
    counts = json.loads(lint.stdout)["counts"]
    assert (lint.exit_code, counts["error"], counts["warning"]) == (0, 0, 0), lint.stdout


def test_a_fault_in_the_command_leaves_nothing(source, folder):
    done = run("convert", "shikra", str(source(asked(boxes_seq=[[9]]))), "--out", folder / "new.jsonl")
    assert done.exit_code != 0
    assert not (folder / "new.jsonl").exists()


def test_absolute_paths_stay(source, folder, tmp_path_factory, draw):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "c.png"
    draw(elsewhere, (WIDTH, HEIGHT))
    assert rows(source(talk(image=str(elsewhere))))[0]["images"] == [str(elsewhere)]
