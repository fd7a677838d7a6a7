"""Recall of phrases by `groundswift eval phrase-grounding` and by MDETR's evaluator, on one random folder of Flickr30k Entities.

`python benchmarks/phrase_recall.py --mdetr DIR`: DIR is a clone of https://github.com/ashkamath/mdetr, whose `datasets/flickr_eval.py` runs
as it is (prettytable and its distributed helpers are stubs: they only print and gather). Fails where a number differs by more than 1e-12.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from groundswift import Located, format_answer

FAMILY, SIZE_WH, SENTENCES = "qwen2_vl", (1000, 1000), 3  # 1000 px a side: the family's whole numbers are pixels
TYPES = ("people", "clothing", "animals/other", "scene")
TOP = {"R1": 1, "R5": 5, "R10": 10, "R_all": -1}
NEAR = ((0, 0, 0, 0), (20, 10, 30, -10), (-60, -40, 10, 20), (100, 100, 200, 250))  # moves of a true box, from right to wrong


def flickr_folder(folder: Path, images: int, random: np.random.Generator) -> dict[str, dict[int, list[list[int]]]]:
    """Write sentences, annotations and images; the boxes of each entity by image."""
    for name in ("Sentences", "Annotations", "images"):
        (folder / name).mkdir()
    truth: dict[str, dict[int, list[list[int]]]] = {}
    for number in range(images):
        entities = {n: [random_box(random) for _ in range(random.integers(1, 4))] for n in range(1, random.integers(3, 7))}
        marks = [f"[/EN#{n}/{TYPES[n % len(TYPES)]} thing {n}]" for n in entities]
        lines = [" and ".join(random.permutation(marks)[: random.integers(1, len(marks) + 1)]) + " ." for _ in range(SENTENCES)]
        (folder / "Sentences" / f"{number}.txt").write_text("\n".join(lines) + "\n")
        (folder / "Annotations" / f"{number}.xml").write_text(annotation(entities))
        Image.new("RGB", SIZE_WH).save(folder / "images" / f"{number}.jpg")
        truth[str(number)] = entities
    (folder / "test.txt").write_text("\n".join(truth) + "\n")
    return truth


def random_box(random: np.random.Generator) -> list[int]:
    """x1, y1, x2, y2 in px from 1, within the image."""
    x, y = random.integers(1, 700, 2).tolist()
    width, height = random.integers(60, 290, 2).tolist()
    return [x, y, x + width, y + height]


def annotation(entities: dict[int, list[list[int]]]) -> str:
    """The XML file of an image."""
    tags = ("xmin", "ymin", "xmax", "ymax")
    objects = [
        f"<object><name>{n}</name><bndbox>{''.join(f'<{tag}>{v}</{tag}>' for tag, v in zip(tags, box, strict=True))}</bndbox></object>"
        for n, boxes in entities.items()
        for box in boxes
    ]
    size = f"<size><width>{SIZE_WH[0]}</width><height>{SIZE_WH[1]}</height><depth>3</depth></size>"
    return f"<annotation>{size}{''.join(objects)}</annotation>"


def answers_of(rows: list[dict[str, Any]], truth: dict[str, dict[int, list[list[int]]]], random: np.random.Generator) -> list[list[Any]]:
    """For each row the boxes of each of its phrases, in px from 0: true boxes, moved ones and others, 1 to 14 a phrase, in any order."""
    found = []
    for row in rows:
        of_image = truth[row["sample_id"].split("/")[1]]
        found.append([boxes_of(of_image[int(ref.split()[1])], random) for ref in row["objects"]["ref"]])
    return found


def boxes_of(true: list[list[int]], random: np.random.Generator) -> list[list[int]]:
    """Boxes that an answer might give one phrase."""
    moved = [np.array(box) - 1 + NEAR[random.integers(len(NEAR))] for box in true for _ in range(2)]
    others = [np.array(random_box(random)) for _ in range(random.integers(0, 9))]
    chosen = random.permutation(len(moved) + len(others))[: random.integers(1, 15)]
    boxes = [np.clip([*moved, *others][place], 0, 999).tolist() for place in chosen]
    return [box for box in boxes if box[0] < box[2] and box[1] < box[3]] or [[0, 0, 9, 9]]


def mdetr_recall(
    mdetr: Path, folder: Path, rows: list[dict[str, Any]], answers: list[list[Any]], merge: bool
) -> dict[int, dict[str, float]]:
    """Recall by k and type of phrase, by MDETR's own code."""
    for name in ("prettytable", "util", "util.dist"):
        sys.modules.setdefault(name, ModuleType(name))
    sys.modules["prettytable"].PrettyTable = object
    sys.modules["util"].dist = sys.modules["util.dist"]
    spec = importlib.util.spec_from_file_location("flickr_eval", mdetr / "datasets" / "flickr_eval.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    judge = module.Flickr30kEntitiesRecallEvaluator(str(folder), "test", tuple(TOP.values()), 0.5, merge, verbose=False)
    ids = [row["sample_id"].split("/")[1:] for row in rows]  # their annotations count pixels from 1, answers from 0
    boxes = [[(np.array(of_phrase) + 1).tolist() for of_phrase in of_row] for of_row in answers]
    return judge.evaluate([{"image_id": i, "sentence_id": int(s) - 1, "boxes": b} for (i, s), b in zip(ids, boxes, strict=True)])


def groundswift(*words: object) -> str:
    """Output of a command."""
    command = [sys.executable, "-m", "groundswift.cli", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def ours(folder: Path, rows: list[dict[str, Any]], answers: list[list[Any]]) -> dict[str, Any]:
    """The numbers of `groundswift eval phrase-grounding`."""
    lines = []
    for row, of_row in zip(rows, answers, strict=True):
        named = [Located(ref, tuple(box)) for ref, boxes in zip(row["objects"]["ref"], of_row, strict=True) for box in boxes]
        lines.append({"sample_id": row["sample_id"], "size_wh": row["size_wh"], "response": format_answer(named, FAMILY)})
    result = folder / "result.jsonl"
    result.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return json.loads(groundswift("eval", "phrase-grounding", result, "--rows", folder / "rows.jsonl", "--family", FAMILY, "--json"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mdetr", type=Path, required=True)
    parser.add_argument("--images", type=int, default=300)
    options = parser.parse_args()
    random, compared, worst = np.random.default_rng(0), 0, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = flickr_folder(folder, options.images, random)
        words = ("--images", folder / "images", "--split", folder / "test.txt", "--task", "phrase_grounding")
        groundswift("convert", "flickr30k", folder, *words, "--out", folder / "rows.jsonl")
        rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
        answers = answers_of(rows, truth, random)
        found = ours(folder, rows, answers)
        for merge in (False, True):
            for k, numbers in zip(TOP, mdetr_recall(options.mdetr, folder, rows, answers, merge).values(), strict=True):
                key = f"merged_{k}" if merge else k
                for kind, value in numbers.items() if key in found else ():
                    own = found[key] if kind == "all" else found["per_class"][kind][key]
                    compared, worst = compared + 1, max(worst, abs(own - value))
                print(f"{key:12} MDETR {numbers['all']:.6f}   groundswift {found.get(key, float('nan')):.6f}")
    print(f"{found['counts']['phrases']} phrases; {compared} numbers compared, largest difference {worst:.1e}")
    if worst > 1e-12 or compared < 7:
        sys.exit("the numbers differ")


if __name__ == "__main__":
    main()
