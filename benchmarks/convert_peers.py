"""The peers of `convert.py`: other ways with a COCO file, each run in a process of its own so that its memory can be read.

    ours      what `groundswift convert coco --no-check-images` does, its output flushed to the disk
    alone     the same with --workers 1
    typed     this project's typed decode of the file, and nothing else: the least that a conversion can cost
    usual     json.load, pycocotools' index, dicts, and a json.dumps a line: what scripts do
    datumaro  Datumaro's import of the file, and a walk over its items

    python benchmarks/convert_peers.py usual instances_train2017.json --out usual.jsonl

prints one JSON object: wall seconds of the work (packages are imported before), peak memory in bytes of the process and those that it has
started, and counts.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from builds import environment
from measure import PeakOfAll

NEEDS = {
    "ours": ("groundswift", "."),
    "alone": ("groundswift", "."),
    "typed": ("groundswift", "."),
    "usual": ("pycocotools", ".[reference]"),
    "datumaro": ("datumaro", ".[bench]"),
}
WRITERS = ("ours", "alone", "usual")
MISSING = 3  # exit status where that is not installed
QUESTION = "Detect every object of these categories: {}."
Work = Callable[[], dict[str, int]]


def prepare_ours(file: Path, out: Path | None, workers: int | None = None) -> Work:
    """The functions behind `groundswift convert coco --no-check-images`, options to file; without `workers` on all processors."""
    from groundswift.data_converters.engine.convert import RunOptions, convert_to_file
    from groundswift.data_converters.formats.coco.source import CocoOptions
    from groundswift.data_converters.issues import IssueLog

    def work() -> dict[str, int]:
        totals = convert_to_file(
            CocoOptions(annotations=str(file), check_images=False), out, RunOptions(workers, progress=False), IssueLog()
        )
        return {"rows": totals.rows, "objects": totals.objects}

    return work


def prepare_alone(file: Path, out: Path | None) -> Work:
    """The same on one process."""
    return prepare_ours(file, out, workers=1)


def prepare_typed(file: Path, out: Path | None) -> Work:
    """`read_coco`, which skips what detection does not need."""
    from groundswift.coco_file import read_coco

    def work() -> dict[str, int]:
        coco = read_coco(file)
        return {"images": len(coco.images), "annotations": len(coco.annotations)}

    return work


def prepare_usual(file: Path, out: Path | None) -> Work:
    """The rows that `groundswift convert coco --no-check-images` writes, the way that scripts write them: without any check."""
    from pycocotools.coco import COCO

    def work() -> dict[str, int]:
        coco = COCO()
        with open(file) as text:
            coco.dataset = json.load(text)
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
        names = [category["name"] for category in coco.dataset["categories"]]
        rank = {category["id"]: number for number, category in enumerate(coco.dataset["categories"])}
        question = "<image>" + QUESTION.format(", ".join(names))
        rows = objects = 0
        with open(out, "w") as lines:
            for image_id in coco.imgs:
                image, annotations = coco.loadImgs(image_id)[0], coco.loadAnns(coco.getAnnIds(imgIds=image_id))
                row = usual_row(image, annotations, names, rank, question, str(file.parent))
                if row is not None:
                    rows, objects = rows + 1, objects + len(row["objects"]["ref"])
                    lines.write(json.dumps(row) + "\n")
        return {"images": len(coco.imgs), "annotations": len(coco.anns), "rows": rows, "objects": objects}

    return work


def usual_row(image: dict, annotations: list[dict], names: list[str], rank: dict[int, int], question: str, folder: str) -> dict | None:
    """One image as a row of swift; None where it has crowds only."""
    placed = []
    for annotation in annotations:
        if not annotation["iscrowd"]:
            x, y, width, height = annotation["bbox"]
            corners = max(x, 0), max(y, 0), min(x + width, image["width"]), min(y + height, image["height"])
            placed.append((rank[annotation["category_id"]], *corners))
    if annotations and not placed:
        return None
    placed.sort(key=lambda box: (box[0], box[2], box[1]))
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "<ref-object><bbox>" * len(placed) or "None"}],
        "images": [f"{folder}/{image['file_name']}"],
        "objects": {"ref": [names[box[0]] for box in placed], "bbox": [box[1:] for box in placed], "bbox_type": "real"},
        "sample_id": image["id"],
        "size_wh": [image["width"], image["height"]],
    }


def prepare_datumaro(file: Path, out: Path | None) -> Work:
    """`Dataset.import_from(folder, "coco_instances")` on the layout that it wants. It loads no image."""
    import datumaro

    def work() -> dict[str, int]:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder, "annotations", "instances_train2017.json")
            place.parent.mkdir()
            Path(folder, "images").mkdir()  # which may be empty, and must be there
            place.symlink_to(file.resolve())
            dataset = datumaro.Dataset.import_from(folder, "coco_instances")
            images = annotations = 0
            for item in dataset:
                images, annotations = images + 1, annotations + len(item.annotations)
        return {"images": images, "annotations": annotations}

    return work


PEERS = {"ours": prepare_ours, "alone": prepare_alone, "typed": prepare_typed, "usual": prepare_usual, "datumaro": prepare_datumaro}


def missing(peer: str, python: str = sys.executable) -> str | None:
    """What to say where a peer is not installed; None where it is."""
    package, extra = NEEDS[peer]
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    found = find_spec(package) is not None if python == sys.executable else subprocess.run([python, "-c", code]).returncode == 0
    return None if found else f"{package} is not installed: pip install -e '{extra}'"


def measured(peer: str, file: Path, out: Path | None = None, python: str = sys.executable, tree: Path | None = None) -> dict[str, float]:
    """Run one peer in a process of its own: `seconds`, `peak_bytes`, and counts. `python`: an interpreter that has its package.

    `tree`: the files of an earlier build, whose own copy of this script runs. Raises SystemExit where the package is missing,
    CalledProcessError where the peer fails.
    """
    problem = missing(peer, python)
    if problem:
        raise SystemExit(problem)
    script = Path(__file__) if tree is None else tree / "benchmarks" / Path(__file__).name
    command = [python, str(script), peer, str(file), *(["--out", str(out)] if out else [])]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment(tree) if tree else None).stdout
    return json.loads(shown.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=list(PEERS))
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, help=f"where {', '.join(WRITERS)} write their rows")
    options = parser.parse_args()
    if options.peer in WRITERS and options.out is None:
        parser.error(f"{options.peer} needs --out")
    problem = missing(options.peer)
    if problem:
        print(problem, file=sys.stderr)
        return MISSING
    work = PEERS[options.peer](options.file, options.out)
    if options.out:
        options.out.unlink(missing_ok=True)
    with PeakOfAll() as peak:
        start = time.perf_counter()
        counts = work()
        seconds = time.perf_counter() - start
    print(json.dumps({"peer": options.peer, "seconds": seconds, "peak_bytes": peak.bytes, **counts}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
