"""Sources to rows: this converter, the usual script and Datumaro, all timed in this run, each in its own processes.

    python benchmarks/convert.py                    # everything, on a file of the size of COCO train2017 and 1 million referring rows
    python benchmarks/convert.py --share 0.02       # a small part of both
    python benchmarks/convert.py --only coco --before 4bc2397    # and an earlier build, on one worker
    python benchmarks/convert.py --only coco --datumaro-python other/bin/python    # where Datumaro is installed elsewhere

coco  an annotation file to JSONL: ours, as the command does it on all processors and on one; the typed decode alone; json.load +
      pycocotools + json.dumps; Datumaro's import (no rows)
rows  referring rows (JSON Lines, the schema of jxu124/refcoco) streamed to JSONL by the command: time and peak memory
ray   the same rows made by two workers of a local Ray: sorted, they must be byte-identical

Medians of --repeats runs; Datumaro runs once, and the usual script as often as a third of that.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from big_coco import ANNOTATIONS, IMAGES
from builds import earlier_tree
from convert_peers import measured, missing
from measure import options_of, rounds
from tqdm import tqdm

ROWS = 1_000_000
TARGETS = {"times typed": 4, "memory GB": 1.0, "times faster": 10, "times faster, alone": 12, "rows MB": 300}
HERE = Path(__file__).parent
NAMES = {
    "typed": "typed decode alone",
    "ours": "groundswift",
    "alone": "... --workers 1",
    "before": "... the earlier build",
    "usual": "the usual script",
    "datumaro": "Datumaro's import",
}


def coco(folder: Path, share: float, repeats: int, datumaro_python: str, earlier: Path | None) -> list[str]:
    """The lines to print: seconds and peak memory of each way, and how they compare. `earlier`: the files of an earlier build."""
    file = folder / "instances_train2017.json"
    subprocess.run([sys.executable, HERE / "big_coco.py", file, "--share", str(share)], check=True, stdout=subprocess.DEVNULL)
    runs: dict[str, list[dict[str, float]]] = {peer: [] for peer in NAMES}
    for number in tqdm(range(repeats), desc="coco", unit="round"):
        for peer in ("typed", "alone", "ours", *(["usual"] if number % 3 == 0 else [])):
            runs[peer].append(measured(peer, file, folder / f"{peer}.jsonl"))
        if earlier:
            runs["before"].append(measured("alone", file, folder / "before.jsonl", tree=earlier))
    problem = missing("datumaro", datumaro_python)
    if not problem:
        runs["datumaro"].append(measured("datumaro", file, python=datumaro_python))
    seconds = {peer: statistics.median(run["seconds"] for run in found) for peer, found in runs.items() if found}
    memory = {peer: max(run["peak_bytes"] for run in found) / 1e9 for peer, found in runs.items() if found}
    lines = [
        f"COCO to JSONL, {round(IMAGES * share):,} images, {round(ANNOTATIONS * share):,} annotations, {file.stat().st_size / 1e6:.0f} MB"
    ]
    for peer, name in NAMES.items():
        if peer in seconds:
            lines.append(f"  {name:<20} {seconds[peer]:8.2f} s  {memory[peer]:6.2f} GB   (median of {len(runs[peer])})")
    lines += [
        f"  ours / typed         {seconds['ours'] / seconds['typed']:8.2f}    (target: at most {TARGETS['times typed']})",
        f"  ours, peak memory    {memory['ours']:8.2f} GB (target: at most {TARGETS['memory GB']})",
        f"  usual / ours         {seconds['usual'] / seconds['ours']:8.2f}    (target: at least {TARGETS['times faster']})",
        f"  usual / ... of one   {seconds['usual'] / seconds['alone']:8.2f}    (target: at least {TARGETS['times faster, alone']})",
    ]
    if earlier:
        same = (folder / "before.jsonl").read_bytes() == (folder / "alone.jsonl").read_bytes()
        faster = statistics.median(old["seconds"] / new["seconds"] for old, new in zip(runs["before"], runs["alone"], strict=True))
        lines.append(f"  the earlier build    {faster:8.2f}    times as long on one worker, rows {'the same' if same else 'DIFFER'}")
    if problem:
        return [*lines, f"  Datumaro: {problem}"]
    return [*lines, f"  Datumaro / ours      {seconds['datumaro'] / seconds['ours']:8.2f}    (target: at least {TARGETS['times faster']})"]


def write_rows(path: Path, count: int) -> None:
    """Referring rows as jxu124/refcoco has them, three sentences in each third one."""
    with open(path, "w") as out:
        for number in tqdm(range(count), desc="write rows", unit="row"):
            x, y = number % 400, number % 300
            sentences = [
                {"raw": f"The {n} Thing", "sent": f"the {n} thing", "sent_id": 3 * number + n, "tokens": ["the"]} for n in range(3)
            ]
            row = {
                "sent_ids": [each["sent_id"] for each in sentences],
                "file_name": f"COCO_train2014_{number:012d}_{number}.jpg",
                "ann_id": number,
                "ref_id": number,
                "image_id": number,
                "split": "train",
                "sentences": sentences[: 1 if number % 3 else 3],
                "category_id": 1,
                "raw_image_info": json.dumps({"id": number, "width": 640, "height": 480}),
                "image_path": f"coco/train2014/COCO_train2014_{number:012d}.jpg",
                "bbox": [x, y, x + 100.25, y + 120.5],
            }
            out.write(json.dumps(row) + "\n")


def converted(file: Path, out: Path, *more: str) -> tuple[float, int]:
    """Run the command -> (wall seconds of the whole command, the peak memory in bytes of all its processes)."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1))\nfrom measure import PeakOfAll\nfrom groundswift.cli import main\n"
    code += "if __name__ == '__main__':\n    with PeakOfAll() as peak: main(standalone_mode=False)\n    print(peak.bytes)"
    options = ["refcoco-hub", str(file), "--schema", "jxu124", "--no-check-images", "--out", str(out), *more]
    start = time.perf_counter()
    shown = subprocess.run([sys.executable, "-c", code, str(HERE), "convert", *options], check=True, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - start, int(shown.stdout.splitlines()[-1])


def rows(folder: Path, share: float, only: str | None) -> tuple[list[str], bool]:
    """(the lines to print, whether Ray's rows are the same)."""
    count = round(ROWS * share)
    source = folder / "rows.jsonl"
    write_rows(source, count)
    seconds, peak = converted(source, folder / "here.jsonl")
    lines = [
        f"referring rows, {count:,} of them, {source.stat().st_size / 1e6:.0f} MB, the whole command",
        f"  groundswift          {seconds:8.2f} s  {count / seconds:10,.0f} rows/s",
        f"  peak memory          {peak / 1e6:8.0f} MB (target: at most {TARGETS['rows MB']})",
    ]
    if only == "rows":
        return lines, True
    there_s, _ = converted(source, folder / "ray.jsonl", "--engine", "ray", "--workers", "2")
    here, there = ((folder / name).read_bytes() for name in ("here.jsonl", "ray.jsonl"))
    same = sorted(here.splitlines()) == sorted(there.splitlines())
    alike, order = "byte-identical" if same else "DIFFER", "the same" if here == there else "another"
    return [*lines, f"  Ray, 2 workers       {there_s:8.2f} s  sorted rows {alike}, {order} order"], same


def main() -> int:
    options = options_of(
        __doc__,
        share={"type": float, "default": 1.0, "help": "of the annotation file and of the rows"},
        repeats=rounds(5),
        only={"choices": ["coco", "rows", "ray"]},
        before={"metavar": "REVISION", "help": "also time the build of this revision on one worker"},
        datumaro_python={"default": sys.executable, "help": "an interpreter that has Datumaro"},
    )
    same, lines = True, []
    with tempfile.TemporaryDirectory() as folder, earlier_tree(options.before) if options.before else nullcontext() as earlier:
        if options.only in (None, "coco"):
            lines += coco(Path(folder), options.share, options.repeats, options.datumaro_python, earlier)
        if options.only != "coco":
            more, same = rows(Path(folder), options.share, options.only)
            lines += more
    print("\n".join(lines))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
