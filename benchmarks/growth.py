"""How time and memory grow with the number of boxes: whole commands on one process, from 1,000 boxes to 10 million, with a plot.

    python benchmarks/growth.py                                   # up to 10 million boxes, about 8 minutes and 10 GB
    python benchmarks/growth.py --most 100000 --plot docs/images/growth.svg
    python benchmarks/growth.py --least 1000000 --only "eval coco-map"

Images have ten boxes each; referring rows, which are converted as a stream, have one, and stop at a million: ten would take three minutes.
The exponent is the slope of log(CPU seconds) over log(boxes) between the two largest sizes: 1 is linear. Memory is the peak of the process.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from builds import TREE, printed_json
from convert import write_rows
from eval_map import write_data
from measure import JSON, options_of, show
from tqdm import tqdm

SMALLEST, LARGEST = 1_000, 10_000_000
ALONE = ("--no-check-images", "--workers", "1")
COMMANDS = {  # in this order: the rows of the first are read by others
    "convert coco": ["convert", "coco", "truth.json", *ALONE, "--out", "rows.jsonl"],
    "convert refcoco-hub": ["convert", "refcoco-hub", "hub.jsonl", "--schema", "jxu124", *ALONE, "--out", "referring.jsonl"],
    "lint": ["lint", "rows.jsonl", *ALONE],
    "mix": ["mix", "rows.jsonl", "--out", "mixed.jsonl"],
    "split": ["split", "rows.jsonl", "--out", "parts", "--parts", "train=0.9", "val=0.1"],
    "eval coco-map": [
        "eval",
        "coco-map",
        "result.jsonl",
        "--gt",
        "truth.json",
        "--family",
        "qwen2_vl",
        "--no-report",
        "--workers",
        "1",
        "--out",
        "scored",
    ],
}
MOST = {"convert refcoco-hub": 1_000_000}  # boxes of a command, where it takes too long with more
FIRST = ("convert coco", {"lint", "mix", "split"})  # whose rows the others need
CODE = """
import contextlib, json, os, sys, time
benchmarks, folder = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, benchmarks)
from measure import peak_bytes
from groundswift.cli import main
os.chdir(folder)
with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
    main(standalone_mode=False)
print(json.dumps({"cpu_s": time.process_time(), "bytes": peak_bytes()}))
"""
Point = dict[str, float]  # boxes, cpu_s, bytes
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
WIDTH, HEIGHT, LEFT, TOP = 330, 250, 62, 34  # px of one diagram, and of the margins left of and above it


def measured(folder: Path, words: list[str]) -> Point:
    """CPU seconds and peak memory of one command. Raises SystemExit where it fails."""
    return printed_json([sys.executable, "-c", CODE, str(Path(__file__).parent), str(folder), *words], TREE)


def grown(most: int, least: int, only: Sequence[str]) -> dict[str, list[Point]]:
    """By command: a point for each power of ten of boxes."""
    result: dict[str, list[Point]] = {name: [] for name in COMMANDS if name in only}
    needed = {*only, *([FIRST[0]] if FIRST[1] & {*only} else [])}
    for boxes in tqdm([10**power for power in range(round(math.log10(least)), round(math.log10(most)) + 1)], unit="size"):
        with tempfile.TemporaryDirectory() as name:
            write_data(Path(name), boxes // 10, boxes)
            for command in (each for each in COMMANDS if each in needed and boxes <= MOST.get(each, boxes)):
                if "hub.jsonl" in COMMANDS[command]:
                    write_rows(Path(name, "hub.jsonl"), boxes)
                point = {"boxes": boxes, **measured(Path(name), COMMANDS[command])}
                result.get(command, []).append(point)
    return result


def exponent(points: Sequence[Point], what: str = "cpu_s") -> float:
    """The slope between the two largest sizes, on logarithmic scales; NaN for one size."""
    if len(points) < 2:
        return math.nan
    before, last = points[-2:]
    return math.log(last[what] / before[what]) / math.log(last["boxes"] / before["boxes"])


def plot(result: dict[str, list[Point]]) -> str:
    """Two diagrams with logarithmic scales as one SVG: CPU seconds and peak memory over boxes, and a dashed line of linear growth."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * (WIDTH + LEFT) + 24}" height="{HEIGHT + TOP + 74}" font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    parts += diagram(result, "cpu_s", "CPU seconds", 0, 1.0)
    parts += diagram(result, "bytes", "peak memory, MB", WIDTH + LEFT, 1e6)
    for number, name in enumerate(result):
        x, y = LEFT + number * 122, HEIGHT + TOP + 56
        parts.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{COLOURS[number]}"/><text x="{x + 15}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def diagram(result: dict[str, list[Point]], what: str, title: str, shift: int, unit: float) -> Iterator[str]:
    """One diagram, `shift` px to the right; values are divided by `unit`."""
    values = [point[what] / unit for points in result.values() for point in points]
    boxes = [point["boxes"] for points in result.values() for point in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(min(boxes)), max(math.log10(max(boxes)), math.log10(min(boxes)) + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (math.log10(x) - first) / (last - first), (math.log10(y) - low) / (high - low)
        return round(shift + LEFT + across * WIDTH, 1), round(TOP + (1 - up) * HEIGHT, 1)

    yield f'<text x="{shift + LEFT}" y="{TOP - 14}" font-weight="bold">{title}</text>'
    for power in range(low, high + 1):
        _, y = place(10**first, 10.0**power)
        yield f'<path d="M{shift + LEFT} {y}h{WIDTH}" stroke="#ddd"/>'
        yield f'<text x="{shift + LEFT - 6}" y="{y + 4}" text-anchor="end">{10.0**power:g}</text>'
    for power in range(math.ceil(first), math.floor(last) + 1):
        x, y = place(10.0**power, 10.0**low)
        yield f'<text x="{x}" y="{y + 16}" text-anchor="middle">10<tspan dy="-4" font-size="8">{power}</tspan></text>'
    yield f'<text x="{shift + LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 32}" text-anchor="middle">boxes</text>'
    top = 10.0**high
    (x1, y1), (x2, y2) = (
        place(10**last / 10 ** min(high - low, last - first), top / 10 ** min(high - low, last - first)),
        place(10**last, top),
    )
    yield f'<path d="M{x1} {y1}L{x2} {y2}" stroke="#999" stroke-dasharray="4 4"/>'
    yield f'<text x="{x2 - 6}" y="{y2 + 14}" fill="#777" text-anchor="end">linear</text>'
    for colour, points in zip(COLOURS, result.values(), strict=False):
        placed = [place(point["boxes"], point[what] / unit) for point in points]
        yield f'<path d="M{"L".join(f"{x} {y}" for x, y in placed)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in placed)


def main() -> int:
    options = options_of(
        __doc__,
        least={"type": int, "default": SMALLEST, "help": "boxes of the smallest size, a power of ten (default: %(default)s)"},
        most={"type": int, "default": LARGEST, "help": "boxes of the largest size, a power of ten (default: %(default)s)"},
        only={"nargs": "+", "choices": list(COMMANDS), "default": list(COMMANDS), "help": "commands (default: all)"},
        plot={"type": Path, "metavar": "FILE.svg", "help": "write the plot"},
        json=JSON,
    )
    result = grown(options.most, options.least, options.only)
    if options.plot:
        options.plot.write_text(plot(result), encoding="utf-8")
    sizes = [int(point["boxes"]) for point in max(result.values(), key=len)]
    lines = [f"{'':20}" + "".join(f"{boxes:>22,}" for boxes in sizes) + "  exponent of time, memory"]
    for name, points in result.items():
        cells = "".join(f"{point['cpu_s']:>11.2f} s{point['bytes'] / 1e6:>6.0f} MB" for point in points)
        cells = cells.ljust(22 * len(sizes))
        lines.append(f"{name:20}{cells}{exponent(points):>10.2f}{exponent(points, 'bytes'):>8.2f}")
    show(result, options.json, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
