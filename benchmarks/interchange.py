"""One set of boxes through the formats of other tools: each peer writes it and groundswift reads it, and the other way round.

    python benchmarks/interchange.py --peer globox --peer datumaro

The set is drawn here: images of odd sizes, names with blanks, dots and non-ASCII letters, boxes with whole and fractional numbers, at the
borders and of one pixel, one image without any. Each peer is installed once, in the version that its file in interchange_peers/ names,
into an environment of its own in --environments. Formats are those of groundswift's registry that a peer has, too. Needs `uv` or `pip`.

A box is equal where its sides differ by at most 0.01 px, moved where it is the nearest of its class and overlaps, else lost; added ones
have no partner in the set. What groundswift refuses is read again with --on-error skip.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from measure import JSON, options_of
from PIL import Image
from tqdm import tqdm

from groundswift.data_converters.registry import FORMATS

EQUAL_PX, FAILED = 0.01, "fails: "
CLASSES = ["traffic light", "cat", "naïve 猫"]
ONE_WORD = {name: name.replace(" ", "-") for name in CLASSES}
WRITTEN = {"voc": ["--corners", "edges"]}  # options of a writer, unless a peer has its own
SPLIT_AT_BLANKS = {"dota", "kitti"}  # formats whose classes are one word
IMAGES = {  # name -> size in px
    "a.jpg": (640, 480),
    "two words.jpg": (37, 53),
    "v1.2 final.jpg": (1999, 1333),
    "été.jpg": (333, 1000),
    "猫.jpg": (255, 256),
    "empty.jpg": (641, 479),
}
HERE = Path(__file__).parent
PEERS = HERE / "interchange_peers"
Boxes = list[list[Any]]  # class, x1, y1, x2, y2 in px
HEADS = ("peer", "format", "written by it, read here", "written here, read by it")
PROBLEM = re.compile(r"^ +([\d,]+)  ([a-z0-9-]+): ", re.MULTILINE)


class Refused(Exception):
    """A process that ended with an error; `problems`: those that groundswift counts, by id."""

    def __init__(self, who: str, stderr: str) -> None:
        lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["no output"]
        super().__init__(f"{who}: {next((line for line in lines if line.startswith('error: ')), lines[-1])}"[:200])
        self.problems = ", ".join(" ".join(found) for found in PROBLEM.findall(stderr))


class Outcome(NamedTuple):
    """One way: how many boxes came out equal, moved (at most so far, in px), lost or added; `note`: options, or why it failed."""

    peer: str
    version: str
    format: str
    direction: str
    equal: int = 0
    moved: int = 0
    moved_px: float = 0.0
    lost: int = 0
    added: int = 0
    note: str = ""


def drawn_set(root: Path) -> dict[str, Boxes]:
    """Draw the set into a folder, and next to it one with classes of one word -> its boxes by image."""
    rng, images = random.Random(0), root / "images"
    images.mkdir(parents=True)
    truth: dict[str, Boxes] = {}
    for name, (width, height) in IMAGES.items():
        Image.effect_noise((width, height), 40).convert("RGB").save(images / name)
        truth[name] = [] if name == "empty.jpg" else list(drawn_boxes(rng, width, height))
    write_set(root, truth, CLASSES)
    other = one_word(root)
    shutil.copytree(images, other / "images")
    write_set(other, with_classes(truth, ONE_WORD), list(ONE_WORD.values()))
    return truth


def one_word(root: Path) -> Path:
    """The folder of the set with classes of one word."""
    return root.with_name(f"{root.name}-one-word")


def with_classes(boxes: dict[str, Boxes], names: dict[str, str]) -> dict[str, Boxes]:
    """The same boxes with other names of the classes."""
    return {image: [[names.get(label, label), *box] for label, *box in each] for image, each in boxes.items()}


def write_set(root: Path, truth: dict[str, Boxes], classes: list[str]) -> None:
    """Write the files of a set, whose images are there."""
    each = [{"file": name, "width": size[0], "height": size[1], "boxes": truth[name]} for name, size in IMAGES.items()]
    write(root / "set.json", {"classes": classes, "images": each})
    write(root / "coco.json", coco_of(truth, classes))
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_of(truth, root / "images")), encoding="utf-8")


def drawn_boxes(rng: random.Random, width: int, height: int) -> Iterator[list[Any]]:
    """The whole image, one pixel, boxes with whole numbers and with fractions."""
    yield ["cat", 0, 0, width, height]
    yield ["traffic light", width - 1, height - 1, width, height]
    for number in range(6):
        digits = None if number < 3 else 2
        x1, y1 = (round(rng.uniform(1, side * 0.6), digits) for side in (width, height))
        x2, y2 = (round(rng.uniform(start + 2, side), digits) for start, side in ((x1, width), (y1, height)))
        yield [CLASSES[number % 3], x1, y1, x2, y2]


def coco_of(truth: dict[str, Boxes], classes: list[str]) -> dict[str, Any]:
    """The set as COCO instances."""
    images = [
        {"id": number, "file_name": name, "width": IMAGES[name][0], "height": IMAGES[name][1]} for number, name in enumerate(truth, 1)
    ]
    annotations = []
    for number, boxes in enumerate(truth.values(), 1):
        for label, x1, y1, x2, y2 in boxes:
            box, place = [x1, y1, x2 - x1, y2 - y1], {"id": len(annotations) + 1, "image_id": number}
            annotations.append(
                {**place, "category_id": classes.index(label) + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, "segmentation": []}
            )
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def rows_of(truth: dict[str, Boxes], images: Path) -> Iterator[dict[str, Any]]:
    """The set as rows for swift."""
    for number, (name, boxes) in enumerate(truth.items(), 1):
        answer = "<ref-object><bbox>" * len(boxes) or "None"
        yield {
            "messages": [{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": answer}],
            "images": [str(images / name)],
            "objects": {"ref": [box[0] for box in boxes], "bbox": [box[1:] for box in boxes], "bbox_type": "real"},
            "sample_id": number,
            "size_wh": IMAGES[name],
        }


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def environment(requirement: str, folder: Path) -> str:
    """The Python of a peer's environment, which is made where it is missing."""
    home, uv = folder / requirement.replace("==", "-").replace(" ", "-"), shutil.which("uv")
    python = home / "bin/python"
    if not (home / "ready").exists():
        make = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, home] if uv else [sys.executable, "-m", "venv", home]
        install = [uv, "pip", "install", "--quiet", "--python", python] if uv else [python, "-m", "pip", "install", "--quiet"]
        subprocess.run(list(map(str, make)), check=True)
        subprocess.run([*map(str, install), *requirement.split()], check=True)
        (home / "ready").touch()
    return str(python)


def asked(python: str, way: tuple[str, str, str], request: dict[str, Any], work: Path) -> Any:
    """What a function of a peer answers. Raises Refused where it fails."""
    write(work / "request.json", request | {"answer": str(work / "answer.json")})
    environ = os.environ | {"PYTHONPATH": "", "TQDM_DISABLE": "1"}
    done = subprocess.run([python, PEERS, *way, work / "request.json"], capture_output=True, text=True, cwd=work, env=environ, check=False)
    if done.returncode:
        raise Refused(way[0], done.stderr)
    return json.loads((work / "answer.json").read_text(encoding="utf-8"))


def converted(name: str, source: str | Path, out: Path, *options: str) -> None:
    """`groundswift convert`. Raises Refused where it fails."""
    command = [sys.executable, "-m", "groundswift.cli", "convert", name, str(source), "--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused("groundswift", done.stderr)


def boxes_of_rows(path: Path) -> dict[str, Boxes]:
    """The boxes by image of the rows of a file."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        objects = row["objects"]
        found[Path(row["images"][0]).name] = [[label, *box] for label, box in zip(objects["ref"], objects["bbox"], strict=True)]
    return found


def written_by_peer(python: str, peer: str, name: str, data: Path, work: Path) -> tuple[dict[str, Boxes], str]:
    """(what is read here of a peer's files, the options that it takes)."""
    place = asked(python, (peer, "write", name), {"set": str(data), "out": str(work / "out")}, work)
    images = ["--images", place["images"]] if "images" in FORMATS[name].__struct_fields__ else []
    note = " ".join(each for each in place["options"] if os.sep not in each)
    given = (name, place["source"], work / "rows.jsonl", *images, *place["options"])
    try:
        converted(*given)
    except Refused as error:
        if not error.problems:
            raise
        converted(*given, "--on-error", "skip")
        note = f"{note} --on-error skip ({error.problems})".strip()
    return boxes_of_rows(work / "rows.jsonl"), note


def read_by_peer(python: str, peer: str, name: str, data: Path, work: Path, options: list[str]) -> tuple[dict[str, Boxes], str]:
    """(what a peer reads of the files that are written here with some options, these)."""
    out = work / ("out.json" if name == "coco" else "out")
    classes = (data / "classes.txt").read_text(encoding="utf-8").splitlines()
    known = FORMATS[f"to-{name}"].__struct_fields__
    more = [
        *(["--categories", str(data / "classes.txt")] * ("categories" in known)),
        *(["--image-files", "copy"] * ("image_files" in known)),
    ]
    converted(f"to-{name}", data / "rows.jsonl", out, *more, *options)
    images = next((each for each in (out / "images", out / "JPEGImages") if each.is_dir()), data / "images")
    return asked(python, (peer, "read", name), {"source": str(out), "images": str(images), "classes": classes}, work), " ".join(options)


def compared(truth: dict[str, Boxes], found: dict[str, Boxes]) -> dict[str, float]:
    """How many boxes are equal, moved, lost and added."""
    counts = {"equal": 0, "moved": 0, "moved_px": 0.0, "lost": 0, "added": 0}
    for name, boxes in truth.items():
        left = [tuple(box) for box in found.get(name, [])]
        rest = []
        for box in boxes:
            match = nearest(box, left)
            if match is not None and distance_px(box, match) <= EQUAL_PX:
                counts["equal"] += 1
                left.remove(match)
            else:
                rest.append(box)
        for box in rest:
            match = nearest(box, [each for each in left if overlap(box, each)])
            if match is None:
                counts["lost"] += 1
                continue
            left.remove(match)
            counts["moved"] += 1
            counts["moved_px"] = max(counts["moved_px"], round(distance_px(box, match), 3))
        counts["added"] += len(left)
    counts["added"] += sum(len(boxes) for name, boxes in found.items() if name not in truth)
    return counts


def nearest(box: list[Any], others: Iterable[tuple]) -> tuple | None:
    """The nearest box of the same class."""
    return min((each for each in others if each[0] == box[0]), key=lambda each: distance_px(box, each), default=None)


def distance_px(a: Iterable[Any], b: Iterable[Any]) -> float:
    """The largest difference of a side."""
    return round(max(abs(one - other) for one, other in zip(list(a)[1:], list(b)[1:], strict=True)), 6)


def overlap(a: list[Any], b: tuple) -> bool:
    return min(a[3], b[3]) > max(a[1], b[1]) and min(a[4], b[4]) > max(a[2], b[2]) or distance_px(a, b) <= 2


def outcomes(chosen: list[tuple[str, str, str]], described: dict[str, Any], environments: Path, work: Path) -> Iterator[Outcome]:
    """Each way in its turn, in a folder of its own."""
    truth = drawn_set(work / "set")
    total = sum(map(len, truth.values()))
    for peer, direction, name in tqdm(chosen, unit="way", disable=None):
        folder = work / f"{peer} {direction} {name}"
        folder.mkdir()
        head = (*described[peer]["requirement"].split()[0].split("=="), name, "writes" if direction == "write" else "reads")
        try:
            python = environment(described[peer]["requirement"], environments)
            data = one_word(work / "set") if name in SPLIT_AT_BLANKS else work / "set"
            if direction == "write":
                found, note = written_by_peer(python, peer, name, data, folder)
            else:
                options = described[peer]["written"].get(name, WRITTEN.get(name, []))
                found, note = read_by_peer(python, peer, name, data, folder, options)
            found = with_classes(found, {new: old for old, new in ONE_WORD.items()})
            yield Outcome(*head, **compared(truth, found), note=note)
        except (Refused, subprocess.CalledProcessError) as error:
            yield Outcome(*head, lost=total, note=f"{FAILED}{error}")


def cell(each: Outcome | None) -> str:
    """What came of one way, in words."""
    if each is None:
        return "-"
    if each.note.startswith(FAILED):
        return each.note
    parts = [f"{each.equal} equal" if each.moved + each.lost else "all equal"]
    parts += [f"{each.moved} moved by at most {each.moved_px:g} px"] if each.moved else []
    parts += [f"{count} {name}" for count, name in ((each.lost, "lost"), (each.added, "added")) if count]
    return ", ".join(parts) + (f" ({each.note})" if each.note else "")


def lines_of(found: list[Outcome]) -> Iterator[str]:
    """A line for each peer and format."""
    by_way = {(each.peer, each.version, each.format, each.direction): each for each in found}
    for peer, version, name in dict.fromkeys(way[:3] for way in by_way):
        cells = (cell(by_way.get((peer, version, name, direction))) for direction in ("writes", "reads"))
        yield f"| {peer} {version} | {name} | {' | '.join(each.replace('|', '/') for each in cells)} |"


def available(direction: str, name: str) -> bool:
    """Whether groundswift has the other side of a way."""
    return (name if direction == "write" else f"to-{name}") in FORMATS


def main() -> None:
    described = json.loads(subprocess.run([sys.executable, PEERS], capture_output=True, check=True).stdout)
    args = options_of(
        __doc__,
        peer={"action": "append", "choices": list(described), "help": "only this peer; may be repeated"},
        format={"action": "append", "help": "only this format; may be repeated"},
        environments={
            "type": Path,
            "default": Path(tempfile.gettempdir()) / "groundswift-interchange",
            "help": "folder of the peers' environments (default: %(default)s)",
        },
        keep={"type": Path, "help": "new folder to work in, which stays"},
        json=JSON,
    )
    ways = [(peer, *way) for peer, each in described.items() for way in each["ways"]]
    chosen = [way for way in ways if (not args.peer or way[0] in args.peer) and (not args.format or way[2] in args.format)]
    chosen = [way for way in chosen if available(way[1], way[2])]
    with tempfile.TemporaryDirectory() as temporary:
        found = list(outcomes(chosen, described, args.environments.absolute(), args.keep.absolute() if args.keep else Path(temporary)))
    if args.json:
        print(json.dumps([each._asdict() for each in found]))
        return
    total = sum(len(list(drawn_boxes(random.Random(0), *size))) for name, size in IMAGES.items() if name != "empty.jpg")
    print(f"{total} boxes in {len(IMAGES)} images\n\n| {' | '.join(HEADS)} |\n|{' --- |' * len(HEADS)}")
    print("\n".join(lines_of(found)))


if __name__ == "__main__":
    main()
