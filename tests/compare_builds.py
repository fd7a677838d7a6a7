"""Runs every command of two builds on the same input and prints what differs: `python tests/compare_builds.py REVISION [--quickstart]`.

Both run from the same folder on the same files: the example of each format, drawn sets with many good and bad labels, rows, answers.
Compared are exit codes, the bytes of every file that is written (ids of runs, times and versions aside), and the numbers of what is
printed. Sentences and the names under which things are counted may differ; how often each is counted may not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TREE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TREE / "tests" / "helpers"), str(TREE)]

from PIL import Image, ImageDraw  # noqa: E402
from source_examples import example, lay_out  # noqa: E402

from groundswift import Located, format_answer, from_original_px, resized_wh  # noqa: E402
from groundswift.data_converters.cli_options import RENAMED, as_given  # noqa: E402
from groundswift.data_converters.registry import FORMATS  # noqa: E402

LABELS = ["cat", "dog", "traffic light", "bird"]
FAMILIES = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v", "internvl", "paligemma", "shikra", "florence2", "gemini", "deepseek_vl2"]
OLD_OPTIONS = {as_given(new): as_given(old) for old, new in RENAMED.items()}  # which both builds know
SKIP = ["--on-error", "skip"]
VOLATILE = {
    "run_id",
    "run",
    "created",
    "time",
    "seconds",
    "date",
    "groundswift",
    "version",
    "versions",
    "sha256",
    "digest",
    "environment",
    "host",
}


class Case(NamedTuple):
    """One command: its name, and the arguments of `groundswift`, in which `{out}` is a folder of its own."""

    name: str
    arguments: list[str]


class Outcome(NamedTuple):
    """What a command left: exit code, numbers printed, files by name."""

    code: int
    numbers: Counter[str]
    files: dict[str, bytes]
    printed: str


def boxes_of(rng: random.Random, size_wh: tuple[int, int], count: int) -> list[tuple[str, list[float]]]:
    """Labelled boxes, xyxy in px; some cross the border, some are empty, inverted or outside."""
    width, height = size_wh
    found = []
    for _ in range(count):
        x, y = rng.uniform(-4, width), rng.uniform(-4, height)
        w, h = rng.choice([rng.uniform(1, width / 2), rng.uniform(1, width / 2), rng.uniform(1, 9), 0]), rng.uniform(1, height / 2)
        found.append((rng.choice(LABELS), [round(x, 2), round(y, 2), round(x + w, 2), round(y + h, 2)]))
    return found


def draw_images(folder: Path, rng: random.Random, count: int) -> dict[str, tuple[int, int]]:
    """Small JPEGs, every seventh EXIF-rotated -> name -> upright size."""
    folder.mkdir(parents=True)
    sizes = {}
    for number in range(count):
        size = (rng.randrange(40, 200), rng.randrange(40, 200))
        image, exif = Image.new("RGB", size, (number * 5 % 256, 90, 200)), Image.Exif()
        ImageDraw.Draw(image).rectangle([5, 5, 20, 20], fill="white")
        if number % 7 == 6:
            exif[0x0112] = 6
        image.save(folder / f"{number:03}.jpg", exif=exif)
        sizes[f"{number:03}.jpg"] = size[::-1] if number % 7 == 6 else size
    return sizes


def write_sets(folder: Path) -> None:
    """The same drawn set as COCO, YOLO, VOC, CVAT, DOTA and Open Images, bad labels among the good."""
    rng = random.Random(7)
    sizes = draw_images(folder / "images", rng, 60)
    truth = {name: boxes_of(rng, size, rng.randrange(0, 12)) for name, size in sizes.items()}
    write_coco(folder / "coco.json", sizes, truth, rng)
    good = {name: [(label, box) for label, box in found if is_good(box, sizes[name])] for name, found in truth.items()}
    write_coco(folder / "good.json", sizes, good, random.Random(1), crowds=False)
    write_yolo(folder, sizes, truth, rng)
    write_xml(folder, sizes, truth, rng)
    write_texts(folder, sizes, truth, rng)
    write_answers(folder, sizes, good)


def is_good(box: list[float], size_wh: tuple[int, int]) -> bool:
    return 0 <= box[0] < box[2] <= size_wh[0] and 0 <= box[1] < box[3] <= size_wh[1]


def write_coco(path: Path, sizes: dict, truth: dict, rng: random.Random, crowds: bool = True) -> None:
    images = [
        {"id": number, "file_name": name, "width": size[0], "height": size[1]} for number, (name, size) in enumerate(sizes.items(), 1)
    ]
    annotations: list[dict[str, Any]] = []
    for image in images:
        for label, (x1, y1, x2, y2) in truth[image["file_name"]]:
            box = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
            found = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": LABELS.index(label) + 3, "bbox": box}
            annotations.append(found | {"area": max(box[2] * box[3], 0), "iscrowd": int(crowds and rng.random() < 0.1)})
    if crowds:
        annotations += [
            annotations[3] | {"id": 9001},
            annotations[5] | {"id": 9002, "category_id": 77},
            annotations[6] | {"id": 9003, "image_id": 999},
        ]
    categories = [{"id": number, "name": name} for number, name in enumerate(LABELS, 3)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def write_yolo(folder: Path, sizes: dict, truth: dict, rng: random.Random) -> None:
    for kind in ("boxes", "polygons", "rotated"):
        root = folder / f"yolo_{kind}"
        shutil.copytree(folder / "images", root / "images" / "val")
        (root / "labels" / "val").mkdir(parents=True)
        (root / "data.yaml").write_text(f"path: .\ntrain: images/val\nval: images/val\nnames: {json.dumps(LABELS)}\n")
        for name, (width, height) in sizes.items():
            lines = []
            for label, (x1, y1, x2, y2) in truth[name]:
                number = LABELS.index(label)
                corners = [(x1, y1), (x2, y1 + 1), (x2 - 1, y2), (x1, y2 - 1)]
                if kind == "boxes":
                    numbers = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
                else:
                    numbers = [
                        n for x, y in corners + ([(x1, (y1 + y2) / 2)] if kind == "polygons" else []) for n in (x / width, y / height)
                    ]
                lines.append(" ".join([str(number if rng.random() > 0.03 else 17), *(f"{n:.6f}" for n in numbers)]))
            lines += ["0 0.5 0.5"] * (rng.random() < 0.05) + ["0 0.5 x 0.1 0.1"] * (rng.random() < 0.05) + lines[:1] * (rng.random() < 0.2)
            (root / "labels" / "val" / name).with_suffix(".txt").write_text("".join(f"{line}\n" for line in lines))


def write_xml(folder: Path, sizes: dict, truth: dict, rng: random.Random) -> None:
    (folder / "voc").mkdir()
    cvat = ["<annotations><version>1.1</version>"]
    for number, (name, (width, height)) in enumerate(sizes.items()):
        voc = [f"<annotation><filename>{name}</filename><size><width>{width}</width><height>{height}</height></size>"]
        cvat.append(f'<image id="{number}" name="{name}" width="{width}" height="{height}">')
        for label, (x1, y1, x2, y2) in truth[name]:
            corners = "".join(
                f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), (x1, y1, x2, y2), strict=True)
            )
            flags = f"<difficult>{int(rng.random() < 0.2)}</difficult><truncated>{int(rng.random() < 0.2)}</truncated>"
            voc.append(f"<object><name>{label}</name>{flags}<bndbox>{corners}</bndbox></object>")
            kind, occluded = rng.random(), int(rng.random() < 0.2)
            if kind < 0.6:
                turn = f' rotation="{rng.randrange(1, 359)}"' if kind < 0.15 else ""
                cvat.append(f'<box label="{label}" occluded="{occluded}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"{turn}/>')
            elif kind < 0.9:
                cvat.append(f'<polygon label="{label}" occluded="{occluded}" points="{x1},{y1};{x2},{y1};{x2},{y2}"/>')
            else:
                cvat.append(f'<points label="{label}" occluded="0" points="{x1},{y1}"/>')
        cvat.append("</image>")
        (folder / "voc" / name).with_suffix(".xml").write_text("".join([*voc, "</annotation>"]))
    (folder / "cvat.xml").write_text("\n".join([*cvat, "</annotations>"]))


def write_texts(folder: Path, sizes: dict, truth: dict, rng: random.Random) -> None:
    (folder / "dota" / "labelTxt").mkdir(parents=True)
    shutil.copytree(folder / "images", folder / "dota" / "images")
    table = ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"]
    for name, (width, height) in sizes.items():
        lines = ["imagesource:x", "gsd:0.2"]
        for label, (x1, y1, x2, y2) in truth[name]:
            lines.append(f"{x1} {y1} {x2} {y1 + 1} {x2 - 1} {y2} {x1} {y2 - 1} {label.replace(' ', '-')} {int(rng.random() < 0.2)}")
            group, depiction = int(rng.random() < 0.1), int(rng.random() < 0.1)
            sides = ",".join(f"{value:.6f}" for value in (x1 / width, x2 / width, y1 / height, y2 / height))
            table.append(f"{name[:-4]},xclick,{label},1,{sides},0,0,{group},{depiction},0")
        lines += ["1 2 3 cat 0"] * (rng.random() < 0.1)
        (folder / "dota" / "labelTxt" / name).with_suffix(".txt").write_text("\n".join(lines) + "\n")
    (folder / "openimages.csv").write_text("\n".join(table) + "\n")


def write_answers(folder: Path, sizes: dict, truth: dict) -> None:
    """What a noisy model of each family would answer: moved boxes, unknown labels, repeats, prose, answers that break off."""
    for family in FAMILIES:
        rng, rows = random.Random(3), []
        for number, (name, size_wh) in enumerate(sizes.items(), 1):
            model_input_wh, located = resized_wh(size_wh, family) if family in ("qwen2_vl", "qwen2_5_vl") else None, []
            for label, box in truth[name]:
                moved = [side + rng.gauss(0, 2) for side in box]
                x1, x2, y1, y2 = *sorted((moved[0], moved[2])), *sorted((moved[1], moved[3]))
                if rng.random() < 0.9:
                    box_out = from_original_px(
                        [[max(x1, 0), max(y1, 0), min(x2, size_wh[0]), min(y2, size_wh[1])]], family, size_wh, model_input_wh
                    )[0]
                    located.append(Located("Cat" if rng.random() < 0.05 else label, tuple(box_out)))
            text = format_answer(located, family) if located else "There are none."
            text = text[: rng.randrange(len(text) // 2, len(text))] if rng.random() < 0.1 else text
            row = {"sample_id": number, "size_wh": list(size_wh), "images": [str(folder / "images" / name)], "response": text}
            rows.append(row | {"messages": [{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": text}]})
        rows.append(rows[0] | {"sample_id": 5555})
        (folder / f"answers_{family}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def cases(folder: Path) -> Iterator[Case]:
    """Every command that is compared. `{out}` stands for a folder that each build has to itself."""
    for name in FORMATS:
        spelled = [OLD_OPTIONS.get(word, word) for word in example(name)]
        arguments = [word.replace("data/", f"{folder}/{name}/data/") if word.startswith("data/") else word for word in spelled]
        yield Case(f"example {name}", arguments)
    images = ["--images", "set/images"]
    drawn = {
        "coco": ["coco", "set/coco.json", *images],
        "coco one by one": ["coco", "set/coco.json", *images, "--classes", "one"],
        "yolo": ["yolo", "set/yolo_boxes/data.yaml"],
        "yolo polygons": ["yolo", "set/yolo_polygons/data.yaml"],
        "yolo rotated": ["yolo", "set/yolo_rotated/data.yaml", "--labels", "obb"],
        "voc": ["voc", "set/voc", *images, "--corners", "edges"],
        "cvat": ["cvat", "set/cvat.xml", *images],
        "dota": ["dota", "set/dota/labelTxt", "--images", "set/dota/images"],
        "openimages": ["openimages", "set/openimages.csv", *images],
    }
    for name, arguments in drawn.items():
        for mode in (SKIP, [], [*SKIP, "--workers", "2"]):
            yield Case(f"drawn {name} {' '.join(mode)}", ["convert", *arguments, "--out", "{out}/rows.jsonl", *mode])
    yield Case("good coco", ["convert", "coco", "set/good.json", *images, "--out", "{out}/rows.jsonl"])
    yield Case("lint", ["lint", "set/rows.jsonl", "--json"])
    yield Case("lint answers", ["lint", "set/answers_qwen2_vl.jsonl", "--json"])
    for name in ("to-coco", "to-shikra", "to-glm4v", "to-phi3v"):
        yield Case(
            name, ["convert", name, "set/rows.jsonl", "--out", "{out}/out.json" if name in ("to-coco", "to-phi3v") else "{out}/out.jsonl"]
        )
    yield Case("to-yolo", ["convert", "to-yolo", "set/rows.jsonl", "--out", "{out}/yolo"])
    yield Case("mix", ["mix", "set/rows.jsonl:2", "set/other.jsonl:1", "--total", "100", "--seed", "3", "--out", "{out}/mix.jsonl"])
    yield Case(
        "split",
        ["split", "set/rows.jsonl", "--out", "{out}/parts", "--parts", "train=0.8", "val=0.2", "--seed", "3", "--gt", "set/good.json"],
    )
    for family in FAMILIES:
        scored = [
            "eval",
            "coco-map",
            f"set/answers_{family}.jsonl",
            "--gt",
            "set/good.json",
            "--family",
            family,
            "--no-report",
            "--out",
            "{out}/scored",
        ]
        yield Case(f"eval {family}", [*scored, "--on-error", "skip"])
    yield Case("eval casefold", [*scored[:-2], "--label-match", "casefold", "--on-error", "skip", "--json", "--out", "{out}/scored"])
    for arguments in (["families"], ["families", "--json"], ["plugin"], ["lint", "--rules"]):
        yield Case(" ".join(arguments), arguments)


def run_case(case: Case, tree: Path, folder: Path) -> Outcome:
    """Run a command of a build. Its output folder has the same name for both."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    before, places = set(files_below(folder)), set(folder.iterdir())
    command = [sys.executable, "-c", "from groundswift.cli import main; main()", *(word.replace("{out}", "out") for word in case.arguments)]
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "120", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    written = [path for path in files_below(folder) if path not in before]
    files = {str(path.relative_to(folder)): tidied(path) for path in written}
    for path in written:
        path.unlink()
    for place in set(folder.iterdir()) - places:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    return Outcome(done.returncode, numbers_in(done.stdout, done.stderr), files, done.stdout + done.stderr)


def numbers_in(stdout: str, stderr: str) -> Counter[str]:
    """What is counted: every number of a JSON document, else the number at the start of each line."""
    if stdout.startswith(("{", "[")):
        return Counter(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", stdout))
    return Counter(re.findall(r"^ *(\d+(?:\.\d+)?)\b", stdout + stderr, re.MULTILINE))


def files_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def tidied(path: Path) -> bytes:
    """The bytes of a file; of a JSON document the values that differ from run to run are left aside."""
    data = path.read_bytes()
    if path.name not in ("metrics.json", "run.json"):
        return data
    return json.dumps(without_volatile(json.loads(data)), sort_keys=True).encode()


def without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_volatile(each) for key, each in value.items() if key not in VOLATILE}
    return [without_volatile(each) for each in value] if isinstance(value, list) else value


def differences(old: Outcome, new: Outcome) -> list[str]:
    """What differs between two outcomes, a line each."""
    found = [f"exit code {old.code} -> {new.code}"] * (old.code != new.code)
    for name in sorted(old.files.keys() | new.files.keys()):
        one, two = old.files.get(name), new.files.get(name)
        if one != two:
            sizes = " -> ".join("missing" if data is None else f"{len(data)} bytes" for data in (one, two))
            found.append(f"{name}: {sizes}" + (", other content" if one is not None and two is not None else ""))
    if old.numbers != new.numbers:
        gone, came = old.numbers - new.numbers, new.numbers - old.numbers
        found.append(f"numbers printed: -{dict(gone)} +{dict(came)}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="the build to compare with, as git names it")
    parser.add_argument("--quickstart", action="store_true", help="run the quickstart of both, too (some minutes), and compare its numbers")
    parser.add_argument("--only", default="", help="only cases whose name holds this text")
    parser.add_argument("--verbose", action="store_true", help="print both outputs of a case that differs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        old = base / "old"
        old.mkdir()
        archive = subprocess.run(["git", "archive", options.revision], cwd=TREE, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive, check=True)
        folder = base / "work"
        (folder / "set").mkdir(parents=True)
        write_sets(folder / "set")
        for each in FORMATS:
            lay_out(each, folder / each)
        prepare = ["convert", "coco", "set/good.json", "--images", "set/images", "--out", "set/rows.jsonl"]
        for target in ("set/rows.jsonl", "set/other.jsonl"):
            command = [sys.executable, "-c", "from groundswift.cli import main; main()", *prepare[:-1], target]
            subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(TREE)}, check=True, capture_output=True)
        count = different = 0
        for case in cases(folder):
            if options.only not in case.name:
                continue
            place = folder / case.name.removeprefix("example ") if case.name.startswith("example ") else folder
            one, two = (run_case(case, tree, place) for tree in (old, TREE))
            found = differences(one, two)
            count, different = count + 1, different + bool(found)
            print(f"{'differs' if found else 'same   '}  {case.name}  (exit code {two.code}, {len(two.files)} files)")
            print("".join(f"           {line}\n" for line in found), end="")
            if found and options.verbose:
                print(f"--- before\n{one.printed}--- now\n{two.printed}")
        if options.quickstart:
            numbers = [quickstart(tree, base) for tree in (old, TREE)]
            different += numbers[0] != numbers[1]
            print(f"{'same   ' if numbers[0] == numbers[1] else 'differs'}  quickstart: {numbers[0]} | {numbers[1]}")
        print(f"{count} commands, {different} differ")
    return int(different > 0)


def quickstart(tree: Path, base: Path) -> dict[str, Any]:
    """The numbers of a quickstart run by a build's own script."""
    out = base / "quickstart"
    shutil.rmtree(out, ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(tree), "OUT": str(out), "OVERWRITE": "1"}
    subprocess.run(["bash", str(tree / "recipes" / "quickstart" / "run.sh")], env=environment, check=True, stdout=subprocess.DEVNULL)
    found = {str(path.relative_to(out)): json.loads(path.read_text()) for path in sorted(out.rglob("metrics.json"))}
    return {name: {key: value for key, value in document.items() if isinstance(value, float)} for name, document in found.items()}


if __name__ == "__main__":
    sys.exit(main())
