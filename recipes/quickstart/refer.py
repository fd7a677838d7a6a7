"""Turn a drawn set (draw.py) into REFER's files, as RefCOCO comes: `instances.json` and `refs(unc).p`, one phrase for each object.

A shape that is the only one of its class in the image is `the star`; of two or three it is the left, right, upper, lower or middle one,
by the axis on which they are farther apart.

    python recipes/quickstart/refer.py data/toys/annotations.json --split train --out data/refer
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

WORDS = {2: (("left", "right"), ("upper", "lower")), 3: (("left", "middle", "right"), ("upper", "middle", "lower"))}  # x, y


def centre(annotation: dict[str, Any]) -> tuple[float, float]:
    """(x, y) in px."""
    x, y, width, height = annotation["bbox"]
    return x + width / 2, y + height / 2


def phrases(annotations: list[dict[str, Any]], name: str) -> list[tuple[dict[str, Any], str]]:
    """Each of the objects of one class in an image, with the words that mean it alone."""
    if len(annotations) == 1:
        return [(annotations[0], f"the {name}")]
    spans = [max(values) - min(values) for values in zip(*map(centre, annotations), strict=True)]
    axis = int(spans[1] > spans[0])
    ordered = sorted(annotations, key=lambda annotation: centre(annotation)[axis])
    return [(each, f"the {word} {name}") for each, word in zip(ordered, WORDS[len(ordered)][axis], strict=True)]


def refs_of(coco: dict[str, Any], split: str) -> list[dict[str, Any]]:
    """REFER's refs of all objects; a crowd has none."""
    names = {category["id"]: category["name"] for category in coco["categories"]}
    groups: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for annotation in coco["annotations"]:
        if not annotation["iscrowd"]:
            groups[annotation["image_id"], annotation["category_id"]].append(annotation)
    named = [pair for (_, category), members in groups.items() for pair in phrases(members, names[category])]
    return [
        {
            "ref_id": number,
            "ann_id": annotation["id"],
            "image_id": annotation["image_id"],
            "split": split,
            "sentences": [{"sent_id": number, "sent": words}],
        }
        for number, (annotation, words) in enumerate(named)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--split", default="train", choices=("train", "val", "test"))
    parser.add_argument("--out", type=Path, required=True, help="folder for instances.json and refs(unc).p")
    options = parser.parse_args()
    coco = json.loads(options.annotations.read_text(encoding="utf-8"))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "instances.json").write_text(json.dumps(coco), encoding="utf-8")
    refs = refs_of(coco, options.split)
    (options.out / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    print(f"{len(refs)} phrases -> {options.out}")


if __name__ == "__main__":
    main()
