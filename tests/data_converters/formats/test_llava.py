"""Conversations as LLaVA's sets have them, with the oddities of those sets -> rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from talk_fixture import EARLIER, check_skipped, check_whole_way, command, counted, made, picture, said, told, written

from groundswift.data_converters.formats.llava import LlavaOptions


def turns(*texts: str, names: tuple[str, str] = ("human", "gpt")) -> list[dict[str, str]]:
    return [{"from": names[index % 2], "value": text} for index, text in enumerate(texts)]


GOOD = {"id": "ok", "image": "a.jpg", "conversations": turns("<image>\nWhat?", "A cat.")}


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    draw(tmp_path / "a.jpg", (64, 48))
    draw(tmp_path / "coco/b.jpg", (40, 30))
    draw(tmp_path / "turned.jpg", (60, 40), orientation=6)
    (tmp_path / "half.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:30])
    return tmp_path


@pytest.fixture
def source(folder: Path):
    """Write rows as a JSON list -> the options that read it."""

    def write(*rows: Any, **options: Any) -> LlavaOptions:
        path = folder / "instruct.json"
        path.write_text(json.dumps(list(rows)), encoding="utf-8")
        return LlavaOptions(annotations=str(path), **options)

    return write


def test_one_picture_several_turns(source, folder):
    row = {
        "id": "000000033471",
        "image": "coco/b.jpg",
        "conversations": turns("<image>\nWhat colour?", "White [0.1, 0.2, 0.3, 0.4].", "And behind?", "An advertisement."),
        "model": "",
    }
    assert made(source(row)) == [
        {
            "messages": [
                {"role": "user", "content": "<image>\nWhat colour?"},
                {"role": "assistant", "content": "White [0.1, 0.2, 0.3, 0.4]."},
                {"role": "user", "content": "And behind?"},
                {"role": "assistant", "content": "An advertisement."},
            ],
            "images": [str(folder / "coco/b.jpg")],
            "sample_id": "000000033471",
            "size_wh": [40, 30],
        }
    ]


def test_text_alone_a_system_text_and_several_pictures(source, folder):
    system = {"from": "system", "value": "Be brief."}
    text, plain, several = made(
        source(
            {"id": 7, "conversations": turns("Hello", "Hi")},
            {"id": "s", "image": None, "conversations": [system, *turns("Hello", "Hi")]},
            {"id": "m", "image": ["a.jpg", "coco/b.jpg"], "conversations": turns("<image>\nFirst?", "Yes", "<image> and this?", "No")},
        )
    )
    assert text == {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}], "sample_id": "7"}
    assert said(plain) == ["system: Be brief.", "user: Hello", "assistant: Hi"]
    assert several["images"] == [str(folder / "a.jpg"), str(folder / "coco/b.jpg")]
    assert several["size_wh"] == [64, 48]
    assert said(several)[2] == "user: <image> and this?"


def test_placeholders_that_are_not_there_come_first(source):
    (row,) = made(source({"image": ["a.jpg", "a.jpg"], "conversations": [{"from": "system", "value": "S"}, *turns("Same?", "Yes")]}))
    assert said(row) == ["system: S", "user: <image><image>Same?", "assistant: Yes"]


def test_pictures_that_rows_hold(folder):
    """As LLaVA-OneVision-Data and LLaVA-NeXT-Data have them."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    turn = pyarrow.struct([("from", pyarrow.string()), ("value", pyarrow.string())])
    names = [("id", pyarrow.string()), ("image", image), ("conversations", pyarrow.list_(turn)), ("data_source", pyarrow.string())]
    held = {**GOOD, "image": {"bytes": picture(size_wh=(30, 20)), "path": "x/ai2d_1.png"}, "data_source": "ai2d(gpt4v)"}
    rows = [held, {**held, "image": None, "conversations": turns("Hello", "Hi")}, {**held, "image": {"bytes": None, "path": "a.jpg"}}]
    parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(names)), folder / "train.parquet")
    options = LlavaOptions(annotations=str(folder / "train.parquet"), save_pictures=str(folder / "kept"))
    first, second, third = made(options)
    assert (first["images"], first["size_wh"]) == ([str(folder / "kept/train/1.png")], [30, 20])
    assert said(first)[0] == "user: <image>\nWhat?"
    assert "images" not in second
    assert third["images"] == [str(folder / "a.jpg")]


def test_ids_stand_once(source):
    ids = ["x", "x", 5, "5", None, "x/2", "x", "y/2", "y", "y"]
    rows = made(source(*({**GOOD, "id": each} for each in ids)))
    assert [row["sample_id"] for row in rows] == ["x", "x/2", "5", "5/2", "instruct/5", "x/2/2", "x/3", "y/2", "y", "y/3"]


def test_a_turned_picture_has_its_upright_size_and_is_counted(source):
    options = source({**GOOD, "image": "turned.jpg"})
    assert made(options)[0]["size_wh"] == [40, 60]
    assert counted(options) == {"image-rotated-by-exif": 1}


def test_box_text_of_a_model_is_counted(source):
    options = source({**GOOD, "conversations": turns("<image>Where?", "<|box_start|>(1,2),(3,4)<|box_end|>")})
    assert counted(options) == {"native-boxes-kept": 1}


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        (
            {"conversations": turns("<image><image>?", "A")},
            "image-count",
            "2 <image> and 1 images; expected as many",
        ),
        ({"image": None}, "image-count", "1 <image> and 0 images"),
        ({"image": ["a.jpg", "a.jpg"]}, "image-count", "1 <image> and 2 images"),
        ({"conversations": turns("Q", "<image>")}, "placeholder-outside-question", "<image> in a text of assistant"),
        ({"conversations": turns("Q", "A", "Q")}, "roles-order", "roles user, assistant, user; expected system at most once"),
        ({"conversations": turns("A", "Q", names=("gpt", "human"))}, "roles-order", "roles assistant, user"),
        ({"conversations": []}, "roles-order", "roles none"),
        ({"conversations": turns("Q", "A", names=("human", "bot"))}, "role-unknown", "turn 1: role 'bot'; expected human, gpt, system"),
        ({"conversations": turns("Q", " \n")}, "answer-empty", "turn 1: answer ' \\n'; expected a text"),
        ({"conversations": turns("Q", "at <bbox>")}, "text-tag", "turn 1: the text of assistant holds <bbox>"),
        ({"conversations": turns("<video>Q", "A")}, "text-tag", "holds <video>, which swift would replace"),
        ({"image": None, "conversations": turns("<img>x</img>Q", "A")}, "text-tag", "holds <img>"),
        ({"video": "v.mp4"}, "row-with-video", "video 'v.mp4'; expected pictures"),
        ({"image": "no.jpg"}, "image-missing", "image 0 (no.jpg): no file"),
        ({"image": "half.jpg"}, "image-unreadable", "half.jpg"),
        ({"image": "../a.jpg"}, "image-path-outside", "image '../a.jpg' with"),
        ({"image": {"bytes": None, "path": "no.jpg"}}, "image-missing", "image 0 (no.jpg): no file"),
        ({"image": {"bytes": "AAAA"}}, "image-embedded", "swift reads files; expected --save-pictures DIR"),
        ({"image": {"bytes": 5}}, "row-unreadable", "got `int` - at `$.image.bytes`"),
        ({"image": ""}, "image-path-outside", "image '' with"),
        ({"image": "data:image/png;base64,AAAA"}, "image-inline", "expected a path to a file"),
        ({"image": 3}, "row-unreadable", "Expected `str | object | array | null`, got `int` - at `$.image`"),
        ({"conversations": "x"}, "row-unreadable", "Expected `array`, got `str`"),
        ({"conversations": [{"from": "human"}]}, "row-unreadable", "missing required field `value`"),
        ({"conversations": [{"from": "human", "value": None}]}, "row-unreadable", "Expected `str`, got `null`"),
        ({"id": 1.5}, "row-unreadable", "Expected `int | str | null`, got `float`"),
    ],
)
def test_faults(source, change, reason, message):
    options = source({**GOOD, **change}, GOOD)
    error = told(options)
    assert f"1  {reason}" in error
    assert "instruct.json: row 1" in error
    assert message in error
    check_skipped(options, reason)


FILES = {
    "BOM": (b"\xef\xbb\xbf" + json.dumps([GOOD]).encode(), None),
    "CRLF": (json.dumps([GOOD], indent=1).replace("\n", "\r\n").encode(), None),
    "empty": (b"", "no row is left"),
    "empty list": (b"[]", "no row is left"),
    "cut": (json.dumps([GOOD]).encode()[:-9], "not a JSON list"),
    "Latin-1": (json.dumps([GOOD]).encode().replace(b"What", b"Wh\xe4t"), "row 1"),
    "UTF-16": (json.dumps([GOOD]).encode("utf-16"), "row"),
    "half a character": (json.dumps([GOOD]).encode().replace(b"What", b"\\ud800"), "row 1: not a row: JSON is malformed"),
    "NaN": (b'[{"id": NaN}]', "row 1: not a row: JSON is malformed"),
    "deep": (b"[" * 100_000, "not a JSON list"),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES)
def test_files(folder, content, message):
    path = folder / "file.json"
    path.write_bytes(content)
    options = LlavaOptions(annotations=str(path))
    if message is None:
        assert [row["sample_id"] for row in made(options)] == ["ok"]
    else:
        error = told(options)
        assert str(path) in error
        assert message in error


def test_lines_with_bom_and_crlf_and_one_bad_line(folder):
    path = folder / "lines.jsonl"
    good = json.dumps(GOOD).encode()
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([good, b"", b'{"id": NaN}', good]) + b"\r\n")
    options = LlavaOptions(annotations=str(path))
    assert "lines.jsonl:3: not a row" in told(options)
    check_skipped(options, "row-unreadable", 2)


def test_no_such_file_and_no_such_folder(source, folder):
    assert "no such folder" in told(source(GOOD, images=str(folder / "none")))
    assert "cannot be read" in told(LlavaOptions(annotations=str(folder / "none.json")))


def test_pictures_unchecked(source, folder):
    (row,) = made(source({**GOOD, "image": "no.jpg"}, check_images=False))
    assert row["images"] == [str(folder / "no.jpg")]
    assert "size_wh" not in row


def test_two_processes_give_the_same_bytes(source, folder):
    options = source(*({**GOOD, "id": number % 7} for number in range(600)))
    assert written(options, folder / "one.jsonl") == written(options, folder / "two.jsonl", workers=2)


def test_the_command_and_lint(source, folder):
    options = source(
        GOOD, {"id": "t", "conversations": turns("Hi", "Hello")}, {"id": "n", "image": "a.jpg", "conversations": turns("Q", "A")}
    )
    rows = check_whole_way(folder / "out.jsonl", "llava", options.annotations, "--images", folder)
    assert [row["sample_id"] for row in rows] == ["ok", "t", "n"]


def test_a_fault_leaves_the_earlier_file(source, folder):
    out = folder / "out.jsonl"
    out.write_bytes(EARLIER)
    options = source({**GOOD, "image": "no.jpg"})
    done = command("llava", options.annotations, "--out", out)
    assert done.exit_code == 1
    assert "image-missing" in done.output
    assert out.read_bytes() == EARLIER
