"""A truth that is too large for the engine's memory is refused in words, before the engine takes the process with it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np
import pytest

from groundswift.errors import GroundswiftError
from groundswift.eval.answers.to_boxes import Predictions
from groundswift.eval.ground_truth import truth_from_rows
from groundswift.eval.listed_ap import near_pairs
from groundswift.eval.metrics import engine_memory as memory
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.metrics.engine_memory import available_bytes, needed_bytes, own_bytes, pairs_of_classes

pytestmark = pytest.mark.process


GB = 10**9
CLASSES = 60_000


def crowd(images, boxes, classes):
    """Truth of many classes, and as many predictions as objects, equal to them."""
    names = [f"class {number}" for number in range(classes)]
    rows = [
        (number + 1, (100, 100), [names[n % classes] for n in range(boxes)], [[0, 0, 9, 9 + n / 1e4] for n in range(boxes)])
        for number in range(images)
    ]
    truth = truth_from_rows(rows, names)
    return truth, Predictions(truth.image_index, truth.category_index, truth.boxes_xywh_px, np.ones(len(truth.image_index)))


@pytest.mark.parametrize(("engine", "gigabytes"), [("groundswift", 2.9), ("hotcoco", 23.3)])
def test_many_classes_in_a_small_memory(tmp_path, engine, gigabytes):
    """A real process with 3 GB of address space, which the engine's arrays of 60,000 classes would end."""
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}
    image = {"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}
    (tmp_path / "gt.json").write_text(json.dumps({"images": [image], "annotations": [box], "categories": categories}))
    (tmp_path / "p.json").write_text("[]")
    words = ["eval", "coco-map", "--predictions", "p.json", "--gt", "gt.json", "--out", "out", "--engine", engine]
    done = subprocess.run(
        [sys.executable, "-m", "groundswift.cli", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (3 * GB, 3 * GB)),
    )
    assert done.returncode == 1
    needed = f"needs about {gigabytes} GB of memory, and "
    assert f"error: scoring 0 predictions of 60000 classes in 1 images against 1 boxes {needed}" in done.stderr
    assert " GB are free; expected fewer classes" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("images", "boxes", "classes", "engine"),
    [
        (1, 1, 5000, "groundswift"),
        (1, 1500, 1, "groundswift"),
        (1, 1, 5000, "hotcoco"),
        (1, 3000, 1, "hotcoco"),
        (300, 5, 3000, "pycocotools"),
        (1, 1, 5000, "pycocotools"),
    ],
)
def test_it_depends_on_what_the_engine_allocates(monkeypatch, images, boxes, classes, engine):
    truth, predictions = crowd(images, boxes, classes)
    numbers = 10 * 101 * classes * 4
    own = engine == "groundswift"
    needed = own_bytes(numbers, near_pairs(truth, predictions)) if own else needed_bytes(truth, predictions, engine, 3 * numbers)
    assert needed > 0.1 * GB
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(GroundswiftError, match=r"needs about \d+\.\d GB of memory, and \d+\.\d GB are free"):
        evaluate(truth, predictions, engine)


@pytest.mark.parametrize(("images", "boxes", "classes"), [(1, 1, 300), (2, 60, 3), (5, 0, 2)])
@pytest.mark.parametrize("free", [GB, None])
def test_what_fits_is_scored(monkeypatch, images, boxes, classes, free):
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    truth, predictions = crowd(images, boxes, classes)
    assert evaluate(truth, predictions).summary["AP"] == (pytest.approx(1) if boxes else None)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("classes", "boxes"), [(1500, 1), (1, 2500)])
@pytest.mark.parametrize("engine", ["groundswift", "hotcoco"])
def test_the_estimate_is_what_is_allocated(engine, classes, boxes):
    """Peak memory of a real process with the engine, against the estimate: within a factor of two."""
    code = (
        "import re, sys; sys.path.insert(0, sys.argv[3])\n"
        "from test_engine_memory import crowd\n"
        "from groundswift.eval.metrics import engine_memory as memory, coco_engines as engines\n"
        "from groundswift.eval.listed_ap import near_pairs\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "truth, predictions = crowd(1, int(sys.argv[2]), int(sys.argv[1]))\n"
        "engine, numbers = sys.argv[4], 10 * 101 * int(sys.argv[1]) * 4\n"
        "engines.accumulate(*crowd(1, 1, 1), engine)\n"
        "before = peak()\n"
        "engines.accumulate(truth, predictions, engine)\n"
        "print((peak() - before) * 1024)\n"
        "own = memory.own_bytes(numbers, near_pairs(truth, predictions))\n"
        "print(own if engine == 'groundswift' else memory.needed_bytes(truth, predictions, engine, numbers * 3))"
    )
    folder = __file__.rpartition("/")[0]
    done = subprocess.run(
        [sys.executable, "-c", code, str(classes), str(boxes), folder, engine], capture_output=True, text=True, check=True
    )
    allocated, estimated = map(int, done.stdout.split())
    assert allocated / 2 < estimated < allocated * 3


def test_pairs_are_those_of_one_group():
    """Groups of 3 classes: group 1 is class 1, group 2 class 2, groups 5 and 8 class 2 of other images."""
    assert pairs_of_classes(np.array([1, 1, 2, 5, 8]), np.array([1, 2, 2, 2, 7, 8]), 3).tolist() == [0, 2 * 1, 1 * 3 + 1 * 1]
    assert pairs_of_classes(np.array([], dtype=int), np.array([1]), 2).tolist() == [0, 0]


def test_only_classes_that_are_scored_together_need_memory_at_once():
    """hotcoco gets some classes after the other: the pairs of the largest part count."""
    truth, predictions = crowd(1, 90, 3)
    numbers = 10 * 101 * 3 * 4 * 3
    together, apart = (needed_bytes(truth, predictions, "hotcoco", numbers, parts) for parts in ([slice(0, 3)], [slice(0, 1), slice(1, 3)]))
    assert together - apart == memory.PER_PAIR * 30 * 30


@pytest.mark.parametrize(
    ("files", "free"),
    [
        pytest.param({"memory.max": "max", "memory.current": "5"}, None, id="no limit"),
        pytest.param({"memory.max": "3000000", "memory.current": "1000000"}, 2_000_000, id="version 2"),
        pytest.param({"memory/memory.limit_in_bytes": "700", "memory/memory.usage_in_bytes": "200"}, 500, id="version 1"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_limit_of_a_control_group(tmp_path, monkeypatch, files, free):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory, "_of_machine", lambda: None)
    monkeypatch.setattr(memory, "_of_limit", lambda: None)
    assert available_bytes() == free


def test_this_machine_has_memory():
    assert available_bytes() > 0
