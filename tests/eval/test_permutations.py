"""Bit for bit: which numbers change with the order of rows, images, annotations and boxes, or with ids, of each metric and `--score`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluated import call, coco_of, metrics_of, write_json, write_rows
from text_rows import text_row

from groundswift import Located, format_answer

pytestmark = pytest.mark.long

SIZE, NAMES, IMAGES = (1000, 500), ("cat", "dog", "bird"), 8
CHANGES = ("rows", "image ids", "class ids", "order of the truth", "boxes")
PLAIN = {
    "AP",
    "AP50",
    "AP75",
    "APs",
    "APm",
    "APl",
    "AR1",
    "AR10",
    "AR100",
    "ARs",
    "ARm",
    "ARl",
}  # pycocotools': equal scores by id and order
OF_SCORES = {"ECE", "ece", "f1_best", "best_threshold", "equal_scores"}  # which `--score order` takes from the order of the boxes
METRICS = {
    "coco-map": ("--no-report",),
    "detection": ("--no-report", "--protocol", "all"),
    "detection-f1": ("--no-report",),
    "protocols": (),
}


class Case:
    """8 images; answers as pieces with their tokens, many of them near copies of an object, some exact copies of each other."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)
        places = [(draw.randint(1, IMAGES), draw.randint(1, 3)) for _ in range(50)]
        self.objects = [
            (*place, [draw.randrange(400), draw.randrange(400), draw.randrange(20, 130), draw.randrange(20, 100)]) for place in places
        ]
        self.answers = {image: self._pieces(image, draw) for image in range(1, IMAGES + 1)}

    def _pieces(self, image: int, draw: random.Random) -> list[tuple[str, list[float]]]:
        found = [("cat", (at, at, at + 100, at + 100)) for at in (draw.randrange(800),)]
        for of, category, (x, y, width, height) in self.objects:
            for _ in range(draw.randrange(4) if of == image else 0):
                corners = (x, 2 * y, x + width, 2 * (y + height))
                found.append((NAMES[category - 1], tuple(max(corner + draw.randrange(-9, 9), 0) for corner in corners)))
        found.append(found[-1])
        texts = [format_answer([Located(label, box)], "qwen2_vl") for label, box in draw.sample(found, len(found))]
        return [(text, [-draw.random() for _ in text]) for text in texts]

    def files(self, folder: Path, changed: str | None = None, seed: int = 0) -> tuple[Path, Path]:
        """Ground truth and result, of which one thing is shuffled or renumbered."""
        draw = random.Random(seed)
        images = range(1, IMAGES + 1)
        ids = dict(zip(images, draw.sample(range(1, 900), IMAGES) if changed == "image ids" else images, strict=True))
        classes = dict(zip((1, 2, 3), draw.sample(range(1, 900), 3) if changed == "class ids" else (1, 2, 3), strict=True))
        coco = coco_of(SIZE, [(ids[image], classes[category], box) for image, category, box in self.objects], ids.values(), NAMES)
        for number, each in enumerate(coco["categories"], 1):
            each["id"] = classes[number]
        if changed == "order of the truth":
            coco = {key: draw.sample(rows, len(rows)) for key, rows in coco.items()}
        rows = [self._row(ids[image], draw.sample(each, len(each)) if changed == "boxes" else each) for image, each in self.answers.items()]
        rows = draw.sample(rows, len(rows)) if changed == "rows" else rows
        return write_json(folder / "gt.json", coco), write_rows(folder / "rows.jsonl", rows)

    def _row(self, image: int, pieces: list[tuple[str, list[float]]]) -> dict[str, Any]:
        tokens = [{"token": letter, "logprob": value} for text, values in pieces for letter, value in zip(text, values, strict=True)]
        row = {"sample_id": image, "size_wh": SIZE, "response": "".join(text for text, _ in pieces), "logprobs": {"content": tokens}}
        return row | {"messages": [{"role": "user", "content": "Find all."}]}


def numbers_of(document: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """All numbers of a metrics.json by their path; not names of images and classes."""
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            if key not in ("protocol", "run", "warnings", "examples"):
                yield from numbers_of(value, (*path, key))
    elif not isinstance(document, str):
        yield path, document


def scored(folder: Path, metric: str, files: tuple[Path, Path], *words: str) -> dict[tuple, Any]:
    truth, result = files
    call(metric, result, "--gt", truth, "--family", "qwen2_vl", "--out", folder / "out", *METRICS[metric], *words)
    return dict(numbers_of(metrics_of(folder / "out")))


def may_change(path: tuple, changed: str, policy: str) -> bool:
    """Whether docs/evaluation.md says that a number depends on this: pycocotools' own, of a metric, class, interval or peer's rule."""
    rule, _, number = str(path[0]).rpartition(".")
    if changed not in ("image ids", "boxes"):
        return False
    if (changed, policy) == ("boxes", "order") and any(str(part).endswith("_ties") or part in OF_SCORES for part in path):
        return True
    constant = policy != "logprob" or rule.startswith(("coco-copies", "lmms-odinw13"))
    return constant and bool(PLAIN & {*map(str, path), number})


@pytest.mark.parametrize("policy", ["constant", "order", "logprob"])
@pytest.mark.parametrize("metric", METRICS)
def test_boxes(tmp_path, metric, policy):
    words = (
        () if metric in ("detection-f1", "protocols") else ("--score", policy, "--intervals" if policy == "logprob" else "--no-intervals")
    )
    if not words and policy != "constant":
        pytest.skip("has no scores")
    case = Case(3)
    before, found = scored(tmp_path, metric, case.files(tmp_path), *words), set()
    for changed in CHANGES:
        after = scored(tmp_path, metric, case.files(tmp_path, changed), *words)
        assert after.keys() == before.keys()
        differing = {path for path in before if before[path] != after[path]}
        allowed = [path for path in differing if may_change(path, changed, policy)]
        assert differing == set(allowed), changed
        found |= {(changed, path[0]) for path in differing}
    if metric == "coco-map":
        assert ("image ids", "AP") in found or policy == "logprob", "the plain number does depend on ids"


def answer_rows(metric: str) -> list[dict[str, Any]]:
    """Rows of a metric of rows, right ones and wrong ones, two to an image."""
    draw, rows = random.Random(1), []
    words = ["a", "red", "dog", "runs", "on", "the", "green", "grass", "near", "two", "cats"]
    for number in range(12):
        box = [10 * number, 5, 10 * number + 300, 205]
        moved = tuple(side + draw.randrange(90) for side in (10 * number, 10, 10 * number + 300, 410))
        text, truth = (" ".join(draw.sample(words, draw.randint(3, 9))) for _ in range(2))
        row = text_row(number, text, truth, question=f"Question {number}?", size_wh=SIZE, images=[f"{number // 2}.jpg"])
        if metric in ("referring", "phrase-grounding", "pointing"):
            label = f"thing {number}"
            answer = format_answer([Located(label, moved)], "qwen2_vl")
            labels = f"<ref-object><bbox>{number}" if metric == "phrase-grounding" else "<bbox>"
            row |= {"response": answer, "labels": labels, "objects": {"ref": [label], "bbox": [box], "bbox_type": "real"}}
        if metric in ("question-answering", "video-answering"):
            row |= {"response": draw.choice("ABC"), "labels": draw.choice("ABC"), "videos": [f"{number // 3}.mp4"]}
        if metric == "anomaly" and number % 3:
            first, second = draw.sample(["yes", "no"], 2)
            question = f"Anomaly {number}? A. {first} B. {second} Answer with A or B."
            tokens = [{"token": letter, "logprob": -draw.random()} for letter in "AB"]
            row = text_row(number, draw.choice("AB"), draw.choice("AB"), question, size_wh=SIZE, images=row["images"], stage=number % 4)
            row |= {"prompt": "locate.verdict.en.1", "class_name": draw.choice(["tip", "bubble"])}
            row |= {"logprobs": {"content": [{**tokens[0], "top_logprobs": tokens}]}}
        elif metric == "anomaly":
            label = draw.choice(["tip", "bubble"])
            objects = {"ref": [label], "bbox": [box], "bbox_type": "real"}
            row |= {"response": format_answer([Located(label, moved)], "qwen2_vl"), "labels": "<ref-object><bbox>", "objects": objects}
            row |= {"stage": number % 4}
        rows.append(row)
    return rows


OF_ROWS = {
    "referring": ("--family", "qwen2_vl"),
    "phrase-grounding": ("--family", "qwen2_vl"),
    "pointing": ("--family", "qwen2_vl", "--boxes", "centre"),
    "captions": (),
    "ocr": (),
    "question-answering": ("--choices", "A,B,C"),
    "video-answering": ("--choices", "A,B,C"),
    "anomaly": ("--family", "qwen2_vl", "--anomalous", "yes", "--normal", "no"),
}


def score_rows(folder: Path, metric: str, rows: list[dict[str, Any]]) -> dict[tuple, Any]:
    done = call(metric, write_rows(folder / "rows.jsonl", rows), "--json", *OF_ROWS[metric])
    return dict(numbers_of(json.loads(done.stdout)))


@pytest.mark.parametrize("metric", OF_ROWS)
def test_rows(tmp_path, metric):
    rows = answer_rows(metric)
    before = score_rows(tmp_path, metric, rows)
    headline = [value for (key, *_), value in before.items() if key not in ("counts", "per_class", "intervals") and value is not None]
    assert any(value > 0 for value in headline)
    assert any(path[0] == "intervals" for path in before)
    for seed in range(3):
        draw = random.Random(seed)
        ids = draw.sample(range(100, 900), len(rows))
        images = draw.sample(range(100, 900), len(rows))
        renamed = [
            row | {"sample_id": number, "images": [f"{images[int(row['images'][0][:-4])]}.jpg"]}
            for row, number in zip(rows, ids, strict=True)
        ]
        for other in (draw.sample(rows, len(rows)), draw.sample(renamed, len(rows))):
            assert score_rows(tmp_path, metric, other) == before


def test_metrics_are_all_here():
    from groundswift.eval.metrics import METRICS as TABLE

    assert {name.replace("_", "-") for name in TABLE} == {*METRICS, *OF_ROWS}
