"""MMAD's rules: its table by dataset and question type, and its own reading of a letter. `benchmarks/mmad.py` runs its own code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from text_rows import refused, scored, text_row

from groundswift.eval.protocols.mmad import read_own

OPTIONS = {"A": "Scratch on the surface", "B": "Broken rim", "C": "No defect"}
QUESTION = "What is it? " + " ".join(f"{letter}. {text}" for letter, text in OPTIONS.items())
BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "mmad.py"


def question(number: int, dataset: str, subtask: str, verdict: str, said: str, truth: str = "A"):
    path = f"mmad/{dataset}/part/{number}.png/0"
    return text_row(path, said, truth, QUESTION, dataset=dataset, subtask=subtask, verdict=verdict, class_name="part")


ROWS = [
    *(question(number, "VisA", "Anomaly Detection", "normal", said) for number, said in enumerate(["A", "A", "A", "B"])),
    *(question(number + 10, "VisA", "Anomaly Detection", "anomaly", said) for number, said in enumerate(["A", "C"])),
    question(20, "VisA", "Object Structure", "normal", "A"),
    question(21, "VisA", "Object Details", "anomaly", "It is a Scratch on the surface"),
    question(22, "GoodsAD", "Object Details", "normal", "A broken rim, so B"),
    question(23, "GoodsAD", "Object Details", "normal", "nonsense"),
]


def test_the_table_is_by_dataset_and_type(tmp_path):
    found = scored("anomaly", tmp_path, ROWS, "--mmad")
    table = next(table for table in found["tables"] if table["id"] == "mmad")
    assert table["columns"] == ["dataset", "Anomaly Detection", "Object Analysis", "Average"]
    goods, visa, means = table["rows"]
    assert visa == ["VisA", (3 / 4 + 1 / 2) / 2, 1.0, pytest.approx((0.625 + 1) / 2)]
    assert goods == ["GoodsAD", None, 0.0, 0.0], "undefined is not 0, and not in the mean"
    assert means == ["Average", 0.625, 0.5, pytest.approx((0.8125 + 0) / 2)]
    assert found["mmad"] == means[-1]
    assert found["counts"]["not_of_mmad"] == 0
    own = next(table for table in found["tables"] if table["id"] == "mmad-own")
    assert own["rows"][0][2] == 0.0
    assert found["mmad_own"] == own["rows"][-1][-1]


def test_detection_without_normal_images_is_undefined_here_and_half_by_its_own_rule(tmp_path):
    found = scored("anomaly", tmp_path, ROWS[4:6], "--mmad")
    assert (found["mmad"], found["mmad_own"]) == (None, (0 + 1 / 2) / 2)


@pytest.mark.parametrize(
    ("text", "letter"),
    [("B", "B"), ("The answer is A.", "A"), ("A broken rim, so B", "B"), ("A scratch", "A"), ("broken", "B"), ("", "A")],
)
def test_its_own_reading_takes_the_last_letter_else_the_closest_option(text, letter):
    assert read_own(text, OPTIONS) in OPTIONS
    if text:
        assert read_own(text, OPTIONS) == letter


def test_what_follows_the_last_choice_is_no_part_of_it(tmp_path):
    """`No.` is closer to `Yes.` than to `No.` with an instruction behind it."""
    asked = "Any defect?\nA. Yes.\nB. No.\nAnswer with the letter of the right choice."
    row = question(1, "VisA", "Object Details", "normal", "No.", truth="B")
    row["messages"][0]["content"] = f"<image>{asked}"
    found = scored("anomaly", tmp_path, [row], "--mmad")
    assert (found["mmad"], found["mmad_own"]) == (1.0, 1.0)


def test_other_rows_are_refused_and_some_are_counted(tmp_path):
    others = [text_row(number, "A", "A", QUESTION) for number in range(2)]
    assert "no row states its subtask, dataset and verdict" in refused("anomaly", tmp_path, others, "--mmad")
    assert scored("anomaly", tmp_path, [*ROWS, *others], "--mmad")["counts"]["not_of_mmad"] == 2


@pytest.mark.process
def test_a_clone_is_needed():
    done = subprocess.run([sys.executable, BENCHMARK], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: no clone given; expected --mmad\n")
