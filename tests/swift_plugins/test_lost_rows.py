"""Rows that are dropped while a dataset is read, and rows that training replaces by others: counted by reason, named, with a remedy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_run import infer, rows_of, sft, sft_process, written

PROBLEMS = {  # what is wrong with a row -> (its change, the id by which it is counted)
    "objects without boxes": ({"objects": {"ref": ["cat"]}}, "objects-without-bbox"),
    "a quad": ({"objects": {"ref": ["cat"], "bbox": [[1, 2, 3, 4, 5, 6, 7, 8]]}}, "box-size"),
    "a box without numbers": ({"objects": {"ref": ["cat"], "bbox": [None]}}, "box-size"),
    "an answer of null": ({"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": None}]}, "message-empty"),
    "no message": ({"messages": []}, "row-discarded"),
    "an unknown role": ({"messages": [{"role": "robot", "content": "?"}, {"role": "assistant", "content": "!"}]}, "message-role"),
}
TEXT = {"messages": [{"role": "user", "content": "Say a."}, {"role": "assistant", "content": "a" * 500}]}


@pytest.fixture
def temporary(monkeypatch) -> Iterator[Path]:
    """The folder of temporary files, of this test alone; not below tmp_path, as the sockets of multiprocessing need a short path."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_dropped_rows_are_counted_by_reason_and_named(plugin, tmp_path, warned, workers, temporary):
    rows = rows_of(tmp_path, 12)
    for row, (change, _) in zip(rows, PROBLEMS.values(), strict=False):
        row.update(change)
    rows[6].update(rows[7], objects={"ref": [], "bbox": [[1, 2, 3]]}, sample_id="last")
    sft(plugin, written(tmp_path / "rows.jsonl", rows), tmp_path / "out", "--dataset_num_proc", workers)
    (line,) = [line for line in warned if "rows dropped" in line]
    assert line.startswith(f"{tmp_path / 'rows.jsonl'}: 7 of 12 rows dropped: 3 box-size (row ")
    parts = [part for number, (_, kind) in enumerate(PROBLEMS.values()) for part in (f"row {number}", kind)]
    parts += ["1 message-empty (row 3: ", "1 row-discarded (row 4: ", "1 message-role (row 5: ", "row 'last'"]
    assert [part for part in (*parts, "--strict true stops at the first") if part not in line] == []
    assert not list(temporary.glob("groundswift-lost-rows-*"))


def test_objects_of_swift_2_are_named_as_such(plugin, tmp_path, warned):
    rows = rows_of(tmp_path, 4)
    for row in rows[:3]:
        row["objects"] = [{"caption": "cat", "bbox": [1, 2, 3, 4], "bbox_type": "real", "image": 0}]
    rows[3]["objects"] = None
    sft(plugin, written(tmp_path / "rows.jsonl", rows), tmp_path / "out")
    (line,) = [line for line in warned if "rows dropped" in line]
    assert "3 of 4 rows dropped: 3 objects-not-a-dict (row 0, row 1, row 2" in line
    assert "`groundswift convert swift2`" in line


@pytest.mark.parametrize("named", [True, False], ids=["by its id", "by its image"])
def test_inference_counts_them_too(plugin, tmp_path, warned, named):
    rows = rows_of(tmp_path, 3)
    rows[1]["objects"] = {"ref": ["cat"]}
    if not named:
        del rows[1]["sample_id"]
    name = "row 1" if named else f"the row of {tmp_path / '1.png'}"
    assert len(infer(plugin, written(tmp_path / "rows.jsonl", rows), tmp_path / "result.jsonl")) == 2
    assert [line for line in warned if f"1 of 3 rows dropped: 1 objects-without-bbox ({name}: KeyError: 'bbox'; give `objects`" in line]


def test_strict_stops_at_the_first(plugin, tmp_path):
    rows = rows_of(tmp_path, 3)
    rows[1]["objects"]["bbox"] = [[1, 2, 3]]
    with pytest.raises(Exception, match=r"len\(box\): 3"):
        sft(plugin, written(tmp_path / "rows.jsonl", rows), tmp_path / "out", "--strict", "true")


@pytest.mark.parametrize("workers", ["0", "1"])
def test_rows_that_training_replaced_are_counted_at_its_end(plugin, tmp_path, tmp_path_factory, warned, workers, temporary):
    large = tmp_path_factory.mktemp("large")
    rows = rows_of(tmp_path, 4) + [row | {"sample_id": f"long-{number}"} for number, row in enumerate(rows_of(large, 2, (1120, 840)))]
    rows.append(rows[0] | {"sample_id": "gone", "images": [str(tmp_path / "gone.png")]})
    data = written(tmp_path / "rows.jsonl", rows)
    words = ("--max_length", "400", "--max_steps", "7", "--per_device_train_batch_size", "1", "--dataloader_num_workers", workers)
    sft(plugin, data, tmp_path / "out", *words)
    (line,) = [line for line in warned if "could not be used" in line]
    assert line.startswith("train_dataset: 3 of 7 rows could not be used and were replaced by other rows ")
    assert "2 row-too-long (row 'long-" in line
    assert "raise --max_length, or lower --max_pixels" in line
    assert "1 image-missing (row 'gone': " in line
    assert not list(temporary.glob("groundswift-lost-rows-*"))


@pytest.mark.long
def test_rows_that_are_encoded_before_training_are_dropped_and_counted(plugin, tmp_path, tmp_path_factory):
    large = tmp_path_factory.mktemp("large")
    rows = rows_of(tmp_path, 3) + [row | {"sample_id": "long"} for row in rows_of(large, 1, (1120, 840))]
    data = written(tmp_path / "rows.jsonl", rows)
    output = sft_process(plugin, data, tmp_path / "out", "--max_length", "400", "--lazy_tokenize", "false")
    (line,) = {line.partition("] ")[2] for line in output.splitlines() if "rows dropped" in line}
    assert "the dataset: 1 of 4 rows dropped: 1 row-too-long (row 'long': Current length" in line


@pytest.mark.parametrize("strategy", ["left", "right"])
def test_truncation_never_cuts_a_box(plugin, tmp_path, warned, strategy):
    long = rows_of(tmp_path, 1)[0] | {"sample_id": "long"}
    long["messages"][0]["content"] += "an " * 150
    data = written(tmp_path / "rows.jsonl", [*rows_of(tmp_path, 3), long, TEXT | {"sample_id": "text", "images": [], "objects": None}])
    options = ("--truncation_strategy", strategy, "--max_length", "200", "--max_steps", "5", "--per_device_train_batch_size", "1")
    sft(plugin, data, tmp_path / "out", *options)
    (line,) = [line for line in warned if "could not be used" in line]
    assert "1 of 5 rows could not be used" in line
    assert f"--truncation_strategy {strategy} would truncate its boxes; raise --max_length" in line


def test_a_cut_text_is_still_encoded(zoo):
    template = zoo.make_template("qwen2_vl", max_length=60, truncation_strategy="right")
    assert len(template.encode(TEXT)["input_ids"]) == 60
