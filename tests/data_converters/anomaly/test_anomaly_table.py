"""Questions and answers between text files, CSV, swift rows, GLM-4V and Phi-3-vision: both ways, and edited by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from anomaly_set import lay_out_frames
from converted import lint_findings, run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from groundswift.csv_files import neutralised, restored
from groundswift.data_converters.anomaly.csv_cells import COLUMNS, Line, csv_lines, table_lines

HEAD = ",".join(COLUMNS)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Rows of drawn scenes."""
    lay_out_frames(tmp_path / "set")
    done = run("anomaly", "draw", tmp_path / "set", "--save-images", tmp_path / "marked", "--out", tmp_path / "rows.jsonl")
    assert done.exit_code == 0, done.output
    return tmp_path / "rows.jsonl"


def table(source: Path, out: Path, *options: object) -> dict:
    done = run("anomaly", "table", source, "--out", out, "--json", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def lines(path: Path) -> list[dict]:
    return list(map(json.loads, path.read_text().splitlines()))


def content(rows: list[dict]) -> list[tuple]:
    """What a table keeps of rows."""
    keys = ("messages", "images", "stage", "class_name", "source_image", "size_wh")
    return [tuple(json.dumps(row.get(key)) for key in keys) for row in rows]


def test_rows_to_csv_and_back(rows, tmp_path):
    count = len(lines(rows))
    assert table(rows, tmp_path / "t.csv")["lines"] == count
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    assert tuple(records[0]) == COLUMNS
    assert [record["question"] for record in records] == [row["messages"][0]["content"].removeprefix("<image>") for row in lines(rows)]
    assert {record["stage"] for record in records} == {"2"}
    table(tmp_path / "t.csv", tmp_path / "back.jsonl")
    assert content(lines(tmp_path / "back.jsonl")) == content(lines(rows))
    assert lint_findings(tmp_path / "back.jsonl") == {}
    table(tmp_path / "back.jsonl", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()


@pytest.mark.parametrize(("form", "name"), [("glm4v", "t.jsonl"), ("phi3v", "t.json")])
def test_csv_to_the_files_of_trainers_and_back(rows, tmp_path, form, name):
    table(rows, tmp_path / "t.csv")
    count = table(tmp_path / "t.csv", tmp_path / name, "--form", form)["lines"]
    assert count == len(lines(rows))
    first = json.loads((tmp_path / name).read_text() if form == "phi3v" else (tmp_path / name).read_text().splitlines()[0])
    if form == "glm4v":
        question, answer = first["messages"]
        assert set(question) == {"role", "content", "image"}
        assert "<image>" not in question["content"]
    else:
        question, answer = first[0]["conversations"]
        assert question["value"].startswith("<|image_1|>")
    table(tmp_path / name, tmp_path / "back.csv", "--read", form)
    with open(tmp_path / "t.csv", newline="") as one, open(tmp_path / "back.csv", newline="") as other:
        before, after = list(csv.DictReader(one)), list(csv.DictReader(other))
    assert [[line[key] for key in ("image", "question", "answer")] for line in after] == [
        [line[key] for key in ("image", "question", "answer")] for line in before
    ]


def test_a_folder_of_texts(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "crops").mkdir()
    for name, text in (("a", "Q: What?\nA: a tip\n\nQ: Why?\nA: =1+1"), ("b", "A: alone\nQ: Where?\nA: here"), ("c", "Q: x\nA: y")):
        (tmp_path / f"texts/{name}.txt").write_text(text)
        Image.new("RGB", (8, 6)).save(tmp_path / f"crops/{name}.png")
    report = table(tmp_path / "texts", tmp_path / "t.csv", "--images", tmp_path / "crops", "--stage", 1, "--bom")
    assert (report["lines"], report["counts"]) == (4, {"answer-without-question": 1})
    data = (tmp_path / "t.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfimage,question,answer,stage,label,source\r\n")
    assert b"Why?,'=1+1,1,," in data
    table(tmp_path / "t.csv", tmp_path / "t.jsonl")
    assert [row["messages"][1]["content"] for row in lines(tmp_path / "t.jsonl")] == ["a tip", "=1+1", "here", "y"]
    (tmp_path / "crops/b.png").unlink()
    done = run("anomaly", "table", tmp_path / "texts", "--out", tmp_path / "no.csv", "--images", tmp_path / "crops")
    assert (done.exit_code, "image-missing" in done.output) == (1, True)


@given(st.text(st.sampled_from("'=+-@\t\r\n ,\"a＝;管"), max_size=6))
def test_no_cell_is_a_formula_and_every_text_comes_back(text):
    cell = neutralised(text)
    assert not cell.startswith(tuple("=+-@\t\r＝＋－＠"))
    assert restored(cell) == text


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(st.builds(Line, *[TEXT] * 6), max_size=4), st.booleans())
def test_every_table_comes_back(tmp_path_factory, made, bom):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(b"".join(csv_lines(made, bom)))
    assert [line[:6] for line in table_lines(str(path))] == [line[:6] for line in made]


def test_rows_with_boxes_are_counted(tmp_path):
    lay_out_frames(tmp_path / "set")
    assert run("anomaly", "locate", tmp_path / "set", "--anomaly", "bubble", "--out", tmp_path / "rows.jsonl").exit_code == 0
    report = table(tmp_path / "rows.jsonl", tmp_path / "t.csv")
    boxes = sum("<bbox>" in row["messages"][1]["content"] for row in lines(tmp_path / "rows.jsonl"))
    assert report["counts"] == {"row-with-objects": boxes}


EDITED = {  # what a hand did to a table -> (lines, what is said, what is counted with --on-error skip)
    "an answer without a question": ([HEAD, "a.png,,yes,1,,", "a.png,What?,tip,1,,"], None, {"answer-without-question": 1}),
    "a question without an answer": ([HEAD, "a.png,Why?,,1,,", "a.png,What?,tip,1,,"], None, {"question-without-answer": 1}),
    "an empty line": ([HEAD, ",,,,,", "a.png,What?,tip,1,,"], None, {"line-blank": 1}),
    "other columns": ([HEAD.replace("answer", "reply"), "a.png,What?,tip,1,,"], "t.csv:1: no column answer; expected CSV", None),
    "a further column": ([f"{HEAD},note", "a.png,What?,tip,1,,,x"], "unknown column 'note'", None),
    "semicolons": ([HEAD.replace(",", ";"), "a.png;What?;tip;1;;"], "separated by semicolons", None),
    "a field too many": ([HEAD, "a.png,What?,tip, it is,1,,", "a.png,What?,tip,1,,"], "t.csv:2: 7 fields; expected 6", {"csv-fields": 1}),
    "a missing image": ([HEAD, "b.png,What?,tip,1,,", "a.png,What?,tip,1,,"], "image not found", {"image-missing": 1}),
    "no image": ([HEAD, ",What?,tip,1,,", "a.png,What?,tip,1,,"], "t.csv:2: no image", {"image-missing": 1}),
    "a stage": ([HEAD, "a.png,What?,tip,one,,", "a.png,What?,tip,1,,"], "stage 'one'; expected 1, 2, 3", {"stage-unknown": 1}),
    "a tag": ([HEAD, "a.png,What?,<bbox>,1,,", "a.png,What?,tip,1,,"], "holds <bbox>", {"text-tag": 1}),
    "an open quotation mark": ([HEAD, 'a.png,"What?,tip,1,,'], "not CSV", None),
}


@pytest.mark.parametrize("name", EDITED)
def test_a_table_edited_by_hand(tmp_path, name):
    text, said, counts = EDITED[name]
    (tmp_path / "t.csv").write_text("\r\n".join(text))
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    words = ["anomaly", "table", tmp_path / "t.csv", "--out", tmp_path / "t.jsonl", "--images", tmp_path]
    done = run(*words)
    assert done.exit_code == (1 if said else 0), done.output
    assert (said or "") in done.output
    if counts is None:
        assert run(*words, "--on-error", "skip").exit_code == 1
        return
    report = table(tmp_path / "t.csv", tmp_path / "t.jsonl", "--images", tmp_path, "--on-error", "skip")
    assert (report["lines"], report["counts"]) == (1, counts)


def test_columns_in_any_order(tmp_path):
    (tmp_path / "t.csv").write_text("Answer,image,question\ntip,a.png,What?\n")
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    table(tmp_path / "t.csv", tmp_path / "t.jsonl", "--images", tmp_path, "--stage", 2)
    (row,) = lines(tmp_path / "t.jsonl")
    assert (row["messages"][1]["content"], row["stage"], row["sample_id"]) == ("tip", 2, "t/1")


def test_wrong_use(rows, tmp_path):
    assert run("anomaly", "table", rows, "--out", tmp_path / "t.xlsx").exit_code == 2
    assert "is the source" in run("anomaly", "table", rows, "--out", rows).output
