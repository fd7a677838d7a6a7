"""Columns as swift reads them, stored and streamed: ids of a file that is written have one type, and what looks like a date stays text."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from converted import run
from rows import detection, read_rows
from swift.dataset import load_dataset
from tiny_run import infer, sft, written

from groundswift.swift_plugins.grounding.patches.row_columns import CACHE_TAG, reader

CASE = Path(__file__).resolve().parents[1] / "cases" / "streaming_mixed_ids"
MIXED = [7, "x8", None, "9", -3, 10**18]


def done(*words: object) -> Any:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result


def streamed(*paths: Path | str) -> list[dict[str, Any]]:
    return list(load_dataset(list(map(str, paths)), streaming=True)[0])


def check(path: Path, kind: type) -> None:
    """All ids of a file are of one type, lint says so, and swift streams every row."""
    rows = read_rows(path)
    assert {type(row["sample_id"]) for row in rows} == {kind}
    assert [row["sample_id"] for row in streamed(path)] == [str(row["sample_id"]) for row in rows]
    found = run("lint", path, "--no-check-images", "--json")
    assert "sample-id-types" not in json.loads(found.stdout)["rules"]


def converted(name: str, source: Path, out: Path, *more: str) -> Path:
    done("convert", name, source, "--no-check-images", "--out", out, *more)
    return out


def test_the_case_streams(plugin, tmp_path):
    detections = converted("coco", CASE / "det.json", tmp_path / "det.jsonl")
    captions = converted("coco-captions", CASE / "cap.json", tmp_path / "cap.jsonl")
    shown = done("mix", f"{detections}:1", f"{captions}:1", "--total", 4, "--out", tmp_path / "mix.jsonl").stdout
    assert "all are written as strings" in shown
    check(tmp_path / "mix.jsonl", str)
    check(detections, int)
    (row,) = [row for row in read_rows(tmp_path / "mix.jsonl") if row["sample_id"] == "1"]
    assert row == read_rows(detections)[0] | {"sample_id": "1"}
    check(converted("llava", CASE / "llava.json", tmp_path / "llava.jsonl"), str)
    assert [row["sample_id"] for row in read_rows(tmp_path / "llava.jsonl")] == ["7", "x8", "llava/3"]


@pytest.mark.parametrize("name", ["llava", "phi3v", "shikra"])
def test_rows_with_ids_of_their_own_have_texts(plugin, tmp_path, name):
    turns = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "A field."}]
    key = "sample_id" if name == "shikra" else "id"
    rows = [{"conversations": turns} | ({} if each is None else {key: each}) for each in MIXED]
    check(converted(name, written(tmp_path / "a.jsonl", rows), tmp_path / "out.jsonl"), str)
    assert [row["sample_id"] for row in read_rows(tmp_path / "out.jsonl")] == ["7", "x8", "a/3", "9", "-3", str(10**18)]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([[1, 2], ["a", "b"]], str),
        ([[1, "a"], [2, 3]], str),
        ([[1, "a", 2]], str),
        ([[1.0, 2.0], ["a"]], str),
        ([["a", 3.0]], str),
        ([[1, 2], [3, 4]], int),
        ([["1", "2"], ["3"]], str),
    ],
)
def test_a_mix_has_one_type(plugin, tmp_path, ids, kind):
    files = [
        written(tmp_path / f"{number}.jsonl", [detection("a.png", ["狗"], [[1, 2, 50, 60.5]]) | {"sample_id": each} for each in some])
        for number, some in enumerate(ids)
    ]
    report = json.loads(done("mix", *files, "--total", sum(map(len, ids)), "--out", tmp_path / "mix.jsonl", "--json").stdout)
    assert report["ids_as_text"] == (len({type(each) for some in ids for each in some}) > 1)
    check(tmp_path / "mix.jsonl", kind)


@pytest.mark.parametrize(
    ("ids", "kind"),
    [([1, "a", 2, "b"], str), (["a", 1, "b", 2], str), ([None, 1, "1", 2], str), ([1, 2, 3, 4], int), (["1x", "2", "3", "4"], str)],
)
def test_parts_have_one_type(plugin, tmp_path, ids, kind):
    rows = [
        detection(f"{n}.png", ["cat"], [[1, 2, 50, 60.5]]) | ({} if each is None else {"sample_id": each}) for n, each in enumerate(ids)
    ]
    source = written(tmp_path / "all.jsonl", rows)
    shown = done("split", source, "--out", tmp_path / "parts", "--parts", "a=0.5", "b=0.5").stdout
    assert ("all are written as strings" in shown) == (len({*map(type, ids)} - {type(None)}) > 1)
    made = [row for name in "ab" for row in read_rows(tmp_path / "parts" / f"{name}.jsonl")]
    assert sorted(str(row.get("sample_id")) for row in made) == sorted(map(str, ids))
    assert {type(row["sample_id"]) for row in made if "sample_id" in row} == {kind}
    for name in "ab":
        assert len(streamed(tmp_path / "parts" / f"{name}.jsonl")) == 2


@pytest.mark.parametrize("ids", [[7, "x8"], [7.0, "x8"], ["x8", 7], ["1", "2", 3], [1, None, "2"]])
def test_lint_finds_a_file_that_a_stream_stops_at(plugin, tmp_path, ids):
    from pyarrow import ArrowException

    rows = [detection("a.png", ["cat"], [[1, 2, 50, 60]]) | ({} if each is None else {"sample_id": each}) for each in ids]
    path = written(tmp_path / "rows.jsonl", rows)
    with suppress(ArrowException, TypeError, ValueError):
        assert [each["sample_id"] for each in streamed(path)] != ids  # where all texts spell numbers, it makes numbers of them
    found = run("lint", path, "--no-check-images", "--json")
    row = json.loads(found.stdout)["rules"]["sample-id-types"]
    assert (row["severity"], row["count"]) == ("warning", 1)
    assert row["examples"][0]["line"] == next(n for n, each in enumerate(ids, 1) if each is not None and type(each) is not type(ids[0]))
    done("mix", path, "--out", tmp_path / "fixed.jsonl")
    assert len(streamed(tmp_path / "fixed.jsonl")) == len(ids)


def test_no_other_column_of_ours_stops_a_stream(plugin, tmp_path):
    """Whole and broken numbers, absent columns, empty lists and several images in one file."""
    several = detection("a.png", ["cat"], [[1, 2, 50, 60]]) | {"images": ["a.png", "b.png"]}
    several["objects"] |= {"image_id": [1]}
    rows = [
        detection("a.png", ["cat", "dog"], [[1, 2, 50, 60], [1.5, 2, 50.25, 60]]),
        detection("b.png", [], []),
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "prompt": "detect.en.1"},
        {"messages": [{"role": "user", "content": "<video>Hi"}, {"role": "assistant", "content": "Hello."}], "videos": ["a.mp4"]},
        detection("a.png", ["cat"], [[0.5, 2]]) | {"size_wh": [640, 480]},
        several,
    ]
    assert len(streamed(written(tmp_path / "rows.jsonl", rows))) == len(rows)
    assert len(streamed(written(tmp_path / "back.jsonl", rows[::-1]))) == len(rows)


NAMED = {"named_det": ("coco", "det.json"), "named_captions": ("coco-captions", "cap.json"), "named_llava": ("llava", "llava.json")}


@pytest.fixture
def named(register_sets, tmp_path):
    """The sources of the case as sets of a list."""
    sets = {name: {"format": kind, "annotations": str(CASE / file), "check_images": False} for name, (kind, file) in NAMED.items()}
    register_sets(tmp_path, sets)


@pytest.mark.parametrize(
    "names",
    [
        ["named_det"],
        ["named_det", "named_captions"],
        ["named_det", "named_llava"],
        ["named_det", "texts.jsonl"],
        ["numbers.jsonl", "named_llava"],
        ["numbers.jsonl", "texts.jsonl"],
        ["texts.jsonl", "numbers.jsonl", "named_det"],
    ],
    ids="+".join,
)
def test_streams_of_both_types_are_joined(named, tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    turns = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    written(tmp_path / "numbers.jsonl", [turns | {"sample_id": 4}, turns | {"sample_id": 10**18}])
    written(tmp_path / "texts.jsonl", [turns | {"sample_id": "a/1"}, turns])
    stored = list(load_dataset(names, num_proc=1)[0])
    ids = [None if row["sample_id"] is None else str(row["sample_id"]) for row in stored]
    assert [row["sample_id"] for row in streamed(*names)] == ids


SPELLINGS = ["2024-01-01", "2024-01-01T00:00:00", "2024-01-01 10:00", "2024-01-01T00:00:00Z", "2024-01-01 00:00:00.500", "10:30:00"]
COLUMNS = {
    "id": lambda text: {"sample_id": text},
    "labels": lambda text: {"objects": {"ref": [text], "bbox": [[1, 2, 50, 60]]}},
    "question and answer": lambda text: {
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": f"{text[:-1]}{9 - int(text[-1]) if text[-1].isdigit() else 'Z'}"},
        ]
    },
    "rejected": lambda text: {"rejected_response": text, "rejected_objects": {"ref": [text], "bbox": [[1, 2, 3, 4]]}},
    "label": lambda text: {"label": text},
    "solution": lambda text: {"solution": text},
    "image": lambda text: {"images": [text]},
}


def loaded(path: Path, streaming: bool) -> list[dict[str, Any]]:
    return list(load_dataset([str(path)], streaming=streaming, remove_unused_columns=False)[0])


@pytest.mark.parametrize("streaming", [False, True], ids=["stored", "streamed"])
@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("column", COLUMNS)
def test_they_stay_texts_in_their_spelling(plugin, tmp_path, column, text, streaming):
    row = detection("a.png", ["cat"], [[1, 2, 50, 60]]) | COLUMNS[column](text)
    expected = row | {"images": [{"bytes": None, "path": row["images"][0]}]}
    for read in loaded(written(tmp_path / "rows.jsonl", [row, row]), streaming):
        assert {name: read[name] for name in expected} == expected


@pytest.mark.parametrize("others", [["cat"], [7], ["2024-02-30"], [None]], ids=["a word", "a number", "a day that is none", "nothing"])
def test_dates_among_other_ids_stay_texts(plugin, tmp_path, others):
    ids = ["2024-01-01", *others, "2024-01-02"]
    path = written(tmp_path / "rows.jsonl", [detection("a.png", ["cat"], [[1, 2, 50, 60]]) | {"sample_id": each} for each in ids])
    assert [row["sample_id"] for row in loaded(path, streaming=False)] == ids


def test_a_file_that_was_read_without_the_plugin_is_read_anew(plugin, tmp_path, monkeypatch):
    import pyarrow.json
    from datasets import load_dataset, packaged_modules

    path = str(written(tmp_path / "rows.jsonl", [{"sample_id": "2024-01-01"}]))
    with monkeypatch.context() as without:
        module, digest = packaged_modules._PACKAGED_DATASETS_MODULES["json"]
        without.setattr(reader, "paj", pyarrow.json)
        without.setitem(packaged_modules._PACKAGED_DATASETS_MODULES, "json", (module, digest.removesuffix(CACHE_TAG)))
        before = load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))[0]["sample_id"]
    assert not isinstance(before, str), "datasets reads dates as texts by now: swift_plugins/grounding/patches/row_columns.py can go"
    assert load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))[0]["sample_id"] == "2024-01-01"


@pytest.mark.parametrize("streaming", ["false", "true"])
def test_inference_and_training_pass_them_on(plugin, image_of_size, tmp_path, streaming):
    rows = [
        detection(image_of_size((112, 84)), [f"2024-01-0{day}"], [[10, 7, 50, 63]]) | {"sample_id": f"2024-01-0{day}", "size_wh": [112, 84]}
        for day in range(1, 5)
    ]
    path = written(tmp_path / "rows.jsonl", rows)
    if streaming == "false":  # swift's inference needs stored rows
        answered = infer(plugin, path, tmp_path / "result.jsonl", max_new_tokens=4)
        assert [(row["sample_id"], row["objects"]["ref"]) for row in answered] == [
            (row["sample_id"], row["objects"]["ref"]) for row in rows
        ]
    assert sft(plugin, path, tmp_path / "out", streaming=streaming, strict=True, save_strategy="no")[0]["loss"] > 0
