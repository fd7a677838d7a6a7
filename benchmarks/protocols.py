"""The protocol card's rules against the code of their authors, from clones, on the same answers: equal or different, number by number.

    git clone https://github.com/IDEA-Research/Rex-Omni ...
    python benchmarks/protocols.py --rex-omni Rex-Omni --eagle Eagle --findit FindIt --lmms-eval lmms-eval --vlmevalkit VLMEvalKit
    python benchmarks/protocols.py --vlmevalkit VLMEvalKit --result result.jsonl --gt annotations.json --family qwen2_vl

Without RESULT answers of every family are drawn up: noisy, cut, with prose, repeated, of another family. Their code needs torch, scipy,
pandas and pycocotools; models, images and files are stubs. Exit status 1 where a number differs by more than 1e-9.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measure import JSON, options_of, show
from protocol_peers import PEERS, Theirs

from groundswift import Located, families, format_answer, from_original_px
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.answers.swift_results import read_answers
from groundswift.eval.answers.to_boxes import predictions_from_answers
from groundswift.eval.ground_truth import read_truth, truth_from_rows
from groundswift.eval.metrics.coco_map import evaluate
from groundswift.eval.protocols.base import Case, Numbers
from groundswift.eval.protocols.card import card, case_of
from groundswift.image_resize import Limits

TOLERANCE = 1e-9
CLASSES = ("cat", "traffic light", "Dog")
SIZES_WH = ((640, 480), (1920, 1080), (375, 500))
OTHERS = ("qwen2_5_vl", "qwen3_vl", "rex_omni", "internvl", "shikra", "glm4v")
ODD = ("", "None", "[]", "I see no cat.", '{"bbox_2d": null}', '[{"bbox_2d": [1, 2, 3], "label": "cat"}]', "cat: [0, 0, 1000, 1000]")


def drawn_case(family: str, images: int, classes: tuple[str, ...], seed: int) -> Case:
    """Answers of a family to images with 0 to 3 objects; a third of them is damaged."""
    rng, rules = np.random.default_rng(seed), Rules(family, limits=Limits())
    rows, answers = [], []
    for image_id in range(images):
        size_wh, count = SIZES_WH[image_id % 3], int(rng.choice([0, 1, 1, 1, 2, 3]))
        sides = rng.uniform(0.1, 0.5, (count, 2))
        corners = rng.uniform(0, 1 - sides)
        boxes = np.concatenate([corners, corners + sides], axis=1)
        labels = [classes[number] for number in rng.integers(len(classes), size=count)]
        rows.append((image_id, size_wh, labels, (boxes * np.tile(size_wh, 2)).tolist()))
        moved = np.clip(boxes + rng.normal(0, rng.choice([0.002, 0.05]), boxes.shape), 0, 1) * np.tile(size_wh, 2)
        answers.append((image_id, size_wh, damaged(rng, labels, moved, family, size_wh, rules)))
    truth = truth_from_rows(rows, sorted(classes))
    return case_of(predictions_from_answers(answers, truth, rules), truth, rules, lambda *columns: evaluate(*columns).summary)


def damaged(rng: np.random.Generator, labels: list[str], boxes: np.ndarray, family: str, size_wh: tuple[int, int], rules: Rules) -> str:
    """The text of an answer as it should be or with one fault."""
    fault = rng.choice(["none"] * 8 + ["cut", "prose", "repeated", "odd", "other", "class"])
    if fault == "odd":
        return str(rng.choice(ODD))
    writer = str(rng.choice(OTHERS)) if fault == "other" else family
    fed = Rules(writer, limits=Limits()).model_input_wh(size_wh) if families()[writer].space == "resized_px" else None
    ordered = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    written = from_original_px(ordered, writer, size_wh, fed).tolist()
    names = ["zebra"] * len(labels) if fault == "class" else labels
    objects = [Located(name, tuple(box)) for name, box in zip(names, written, strict=True)]
    text = format_answer(objects * (2 if fault == "repeated" else 1), writer)
    if fault == "cut":
        return text[: int(rng.integers(len(text) + 1))]
    return f"Here are the objects:\n{text}" if fault == "prose" else text


def cases(options: object) -> Iterator[tuple[str, Case]]:
    """The given result file, or drawn-up answers of every family, for one class and for several."""
    if options.result:
        rules, truth = Rules(options.family, options.space, limits=Limits()), read_truth(options.gt)
        answers = read_answers(options.result, truth, rules)
        yield options.result.name, case_of(answers, truth, rules, lambda *columns: evaluate(*columns).summary)
        return
    for number, (name, row) in enumerate(families().items()):
        if row.boxes:
            yield name, drawn_case(name, options.images, CLASSES, number)
            yield f"{name}, one class", drawn_case(name, options.images, CLASSES[:1], number)


def difference(ours: Numbers, stops: str, theirs: Theirs) -> str:
    """What differs; nothing where the numbers agree, or both stop."""
    if stops or isinstance(theirs, str):
        return "" if stops and isinstance(theirs, str) else f"ours {stops or ours}, theirs {theirs}"
    wrong = {key: (ours[key], value) for key, value in theirs.items() if ours[key] is None or abs(ours[key] - value) > TOLERANCE}
    return ", ".join(f"{key}: ours {mine}, theirs {value}" for key, (mine, value) in wrong.items())


def main() -> None:
    """Compare and print."""
    clones = {name: {"type": Path, "help": f"clone of {name}"} for name in PEERS}
    files = {
        name: {"type": Path, "help": text}
        for name, text in (("result", "rows that swift infer wrote"), ("gt", "annotations in COCO format"))
    }
    texts = {"family": {"default": "qwen2_vl"}, "space": {"default": None}, "images": {"type": int, "default": 60}, "json": JSON}
    options = options_of(__doc__, **clones, **files, **texts)
    given = {name: getattr(options, name) for name in PEERS if getattr(options, name)}
    if not given:
        sys.exit(f"error: no clone given; expected at least one of {', '.join(f'--{name}' for name in PEERS)}".replace("_", "-"))
    rows = []
    for name, case in cases(options):
        ours = {each.rule.id: each for each in card(case)}
        for peer, folder in given.items():
            for rule, theirs in PEERS[peer](folder, case).items():
                found = difference(ours[rule].own, ours[rule].stops, theirs)
                rows.append({"answers": name, "rule": rule, "equal": not found, "difference": found, "stops": ours[rule].stops})
    different = [row for row in rows if not row["equal"]]
    lines = [f"{row['rule']:<24} {row['answers']:<28} {'equal' if row['equal'] else row['difference']}" for row in rows]
    last = f"{len(rows) - len(different)} equal, {len(different)} different"
    show({"rows": rows, "different": len(different)}, options.json, [*lines, last])
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
