"""This build against an earlier one: parsing of each family, one by one and many at once, and whole commands, in turns, on the same input.

Both builds run in processes of their own with the packages of this environment. A figure is the earlier build's CPU time divided by this
one's (above 1: this build is faster), the median over pairs of neighbouring runs, which load on the machine disturbs least.

    python benchmarks/last_build.py b81a523                       # everything, about 10 minutes
    python benchmarks/last_build.py HEAD~1 --only parse --rounds 15
    python benchmarks/last_build.py acf4ae4 --only many --boxes 120000    # parse_many, one answer in a hundred cut in its last box
"""

from __future__ import annotations

import itertools
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from builds import TREE, earlier_tree, environment
from eval_map import write_data
from measure import JSON, options_of, rounds, show
from parse_answers import some_cut, write_answers
from tqdm import tqdm

from groundswift import families

WORKER = """
import gc, json, sys, time
import groundswift
def parse(texts, family):
    for text in texts:
        groundswift.parse(text, family)
for line in sys.stdin:
    name, family, path = json.loads(line)
    texts = json.load(open(path))
    way = parse if name == "parse" else groundswift.parse_many
    gc.collect()  # and off while timing: one collection takes as long as these texts, in whichever build it falls
    gc.disable()
    start = time.process_time()
    way(texts, family)
    print(time.process_time() - start, flush=True)
    gc.enable()
"""
Ways = tuple[Callable[[], float], Callable[[], float]]  # the earlier build's run -> its CPU seconds; this one's


def parsing(trees: list[Path], folder: Path, boxes: int, name: str) -> Iterator[tuple[str, Ways]]:
    """Answers of each family through `parse` or `parse_many`, in a process of each build that stays; of many, some are cut."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER], cwd=tree, env=environment(tree), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for tree in trees
    ]
    first_of = {row.grammar_name: name for name, row in reversed(families().items())}
    for family in sorted(first_of.values()):
        texts, answers = folder / f"{family}.json", write_answers(family, boxes)
        texts.write_text(json.dumps(answers if name == "parse" else some_cut(answers)))

        def run(worker: subprocess.Popen[str], line: str = json.dumps([name, family, str(texts)]) + "\n") -> float:
            worker.stdin.write(line)
            worker.stdin.flush()
            return float(worker.stdout.readline())

        yield f"{name} {family}", tuple((lambda worker=worker, run=run: run(worker)) for worker in workers)
    for worker in workers:
        worker.communicate()


def commands(trees: list[Path], folder: Path, images: int, boxes: int) -> Iterator[tuple[str, Ways]]:
    """Whole commands on one worker, start of Python included."""
    truth, answers = map(str, write_data(folder, images, boxes))
    rows, convert = str(folder / "rows.jsonl"), ["convert", "coco", truth, "--no-check-images", "--workers", "1", "--out"]
    cpu_s(TREE, folder, [*convert, rows])
    known = {
        "convert coco": [*convert, "out/rows.jsonl"],
        "lint": ["lint", rows, "--no-check-images", "--workers", "1"],
        "eval coco-map": ["eval", "coco-map", answers, "--gt", truth, "--family", "qwen2_vl", "--no-report", "--out", "out/scored"],
        "--help": ["--help"],
    }
    for name, arguments in known.items():
        yield name, tuple((lambda tree=tree, words=arguments: cpu_s(tree, folder, words)) for tree in trees)


def cpu_s(tree: Path, folder: Path, arguments: list[str]) -> float:
    """CPU seconds of one command of a build, all its processes."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    before = spent()
    command = [sys.executable, "-c", "from groundswift.cli import main; main()", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(tree), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"groundswift {' '.join(arguments)}\n{done.stderr}")
    return spent() - before


def faster(ways: Ways, repeats: int) -> dict[str, float]:
    """Median CPU seconds of both and the median ratio of pairs; one pair before is not counted."""
    pairs = [(ways[0](), ways[1]()) for _ in range(repeats + 1)][1:]
    before, now = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"before_s": before, "now_s": now, "ratio": statistics.median(one / two for one, two in pairs)}


def main() -> int:
    revision = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "HEAD"
    options = options_of(
        __doc__,
        only={"choices": ["parse", "many", "commands"], "help": "only these"},
        boxes={"type": int, "default": 12_000, "help": "boxes to parse in a run (default: %(default)s)"},
        images={"type": int, "default": 20_000, "help": "images of the commands, with 7 boxes each (default: %(default)s)"},
        rounds=rounds(9),
        json=JSON,
    )
    result = {}
    with earlier_tree(revision) as earlier, tempfile.TemporaryDirectory() as name:
        trees = [earlier, TREE]
        tables = {
            "parse": parsing(trees, Path(name), options.boxes, "parse"),
            "many": parsing(trees, Path(name), options.boxes, "parse_many"),
            "commands": commands(trees, Path(name), options.images, options.images * 7),
        }
        chosen = [tables[options.only]] if options.only else tables.values()
        for subject, ways in tqdm(itertools.chain.from_iterable(chosen), unit=" subjects"):
            result[subject] = faster(ways, options.rounds)
    lines = [f"{revision} -> this build, CPU seconds, median of {options.rounds} pairs"]
    lines += [f"  {subject:<24}{row['before_s']:>9.3f}{row['now_s']:>9.3f}{row['ratio']:>8.2f} times" for subject, row in result.items()]
    show(result, options.json, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
