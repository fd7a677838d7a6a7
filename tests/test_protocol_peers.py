"""The comparison with the code of the rules' authors: without a clone an error of one line, with a wrong one the exception of its code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "protocols.py"
pytestmark = pytest.mark.process


def test_a_clone_is_needed():
    done = subprocess.run([sys.executable, BENCHMARK], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: no clone given; expected at least one of --rex-omni, --eagle, --findit, --lmms-eval, --vlmevalkit\n"


def test_a_difference_is_found(tmp_path):
    tasks = tmp_path / "lmms_eval/tasks"
    for name, text in (("odinw13/utils.py", ""), ("refcoco_grounding/utils.py", ""), ("refcoco/utils_rec.py", OTHER)):
        (tasks / name).parent.mkdir(parents=True)
        (tasks / name).write_text(text)
    done = subprocess.run([sys.executable, BENCHMARK, "--lmms-eval", tmp_path, "--images", "6"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "theirs AttributeError: module 'lmms_odinw13' has no attribute 'odinw13_process_results'" in done.stdout
    assert "acc_50: ours 0.0, theirs 0.75" in done.stdout


OTHER = """
def refcoco_bbox_rec_process_result(document, texts):
    return {"refcoco_IoU": texts}
def refcoco_bbox_rec_acc05(rows):
    return 0.75
refcoco_bbox_rec_iou = refcoco_bbox_rec_acc05
"""
