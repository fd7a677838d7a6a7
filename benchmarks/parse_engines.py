"""Libraries that could find the boxes of many well-formed answers, next to `parse_many`, which does it with NumPy: all in this run.

Two families: Qwen2-VL's tokens and Qwen2.5-VL's JSON. Each library finds labels and numbers of all boxes and makes a column of labels
and an array (N, 4); spans, statuses and malformed answers, which `parse_many` has too, are not asked of it.
Figures are boxes per CPU second (medians), and milliseconds of the library's import. Of polars all threads count.

    pip install polars pyarrow google-re2 regex pyahocorasick pysimdjson orjson
    python benchmarks/parse_engines.py --boxes 120000
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

import msgspec
import numpy as np
from measure import JSON, medians, options_of, rounds, show
from parse_answers import AN_ANSWER, write_answers

from groundswift import parse_many

TOKENS = r"<\|object_ref_start\|>([^<]*)<\|object_ref_end\|><\|box_start\|>\(([0-9]+),([0-9]+)\),\(([0-9]+),([0-9]+)\)<\|box_end\|>"
MARKS = ("<|object_ref_start|>", "<|object_ref_end|><|box_start|>(", "),(", ")<|box_end|>")
FENCE, FENCE_END = len("```json\n"), -len("\n```")
Way = Callable[[Sequence[str]], np.ndarray]


class JsonBox(msgspec.Struct, gc=False):
    """An object of the list."""

    bbox_2d: tuple[int, int, int, int]
    label: str


def with_engine(name: str) -> Way:
    """Python's `re`, `regex` or `re2`, one call a text."""
    find = import_module(name).compile(TOKENS).findall

    def way(texts: Sequence[str]) -> np.ndarray:
        found = [box for text in texts for box in find(text)]
        _ = [box[0] for box in found]
        return np.array([box[1:] for box in found], dtype=object).astype(np.int64)

    return way


def with_polars(texts: Sequence[str]) -> np.ndarray:
    """`extract_all`, then `extract_groups` and casts."""
    import polars

    boxes = polars.Series("text", texts).str.extract_all(TOKENS).explode().str.extract_groups(TOKENS).struct.unnest()
    return boxes[:, 1:].cast(polars.Int64).to_numpy()


def with_pyarrow(texts: Sequence[str]) -> np.ndarray:
    """Split at the mark of a box, then `extract_regex` and casts."""
    import pyarrow
    import pyarrow.compute as compute

    pattern = TOKENS.removeprefix(r"<\|object_ref_start\|>")
    for name in ("label", "x1", "y1", "x2", "y2"):
        pattern = re.sub(r"\((?=\[)", f"(?P<{name}>", pattern, count=1)
    pieces = compute.split_pattern(pyarrow.array(texts), "<|object_ref_start|>").flatten()
    found = compute.extract_regex(pieces, pattern).drop_null()
    return np.stack([compute.struct_field(found, name).cast(pyarrow.int64()).to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)


def with_ahocorasick(texts: Sequence[str]) -> np.ndarray:
    """All marks by one automaton, then what is between them."""
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for mark in MARKS:
        automaton.add_word(mark, len(mark))
    automaton.make_automaton()
    labels, numbers = [], []
    for text in texts:
        ends = [(end + 1, size) for end, size in automaton.iter(text)]
        for (a, _), (b, second), (c, third), (d, fourth) in zip(ends[::4], ends[1::4], ends[2::4], ends[3::4], strict=True):
            labels.append(text[a : b - second])
            numbers.append((text[b : c - third] + "," + text[c : d - fourth]).split(","))
    return np.array(numbers, dtype=object).astype(np.int64)


def with_msgspec(texts: Sequence[str]) -> np.ndarray:
    """A typed decode of all lists as one."""
    rows = msgspec.json.decode("[" + ",".join([text[FENCE:FENCE_END] for text in texts]) + "]", type=list[list[JsonBox]])
    _ = [box.label for row in rows for box in row]
    return np.array([box.bbox_2d for row in rows for box in row])


def with_loads(loads: Callable[[str], list]) -> Way:
    """An untyped decode of all lists as one."""

    def way(texts: Sequence[str]) -> np.ndarray:
        rows = loads("[" + ",".join([text[FENCE:FENCE_END] for text in texts]) + "]")
        _ = [box["label"] for row in rows for box in row]
        return np.array([box["bbox_2d"] for row in rows for box in row])

    return way


ENGINES: dict[str, dict[str, tuple[str, Callable[[], Way]]]] = {
    "qwen2_vl": {
        "re": ("re", lambda: with_engine("re")),
        "regex": ("regex", lambda: with_engine("regex")),
        "google-re2": ("re2", lambda: with_engine("re2")),
        "polars": ("polars", lambda: with_polars),
        "pyarrow": ("pyarrow.compute", lambda: with_pyarrow),
        "pyahocorasick": ("ahocorasick", lambda: with_ahocorasick),
    },
    "qwen2_5_vl": {
        "json": ("json", lambda: with_loads(json.loads)),
        "msgspec, typed": ("msgspec.json", lambda: with_msgspec),
        "orjson": ("orjson", lambda: with_loads(import_module("orjson").loads)),
        "pysimdjson": ("simdjson", lambda: with_loads(import_module("simdjson").loads)),
    },
}


def is_installed(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None


def import_ms(module: str) -> float:
    """Milliseconds that a process which has NumPy takes to import a module, the best of five."""
    code = f"import time, numpy; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    runs = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(5)]
    return 1000 * min(runs)


def measure(family: str, boxes: int, repeats: int) -> dict[str, dict[str, float | None]]:
    """Boxes per CPU second and import of each library; None where it is not installed."""
    texts = write_answers(family, boxes)
    expected = parse_many(texts, family).boxes
    known = {name: make() for name, (module, make) in ENGINES[family].items() if is_installed(module)}
    for name, way in known.items():
        if not np.array_equal(way(texts), expected):
            raise SystemExit(f"{family}: {name} finds other boxes")
    ways = {"parse_many": lambda: parse_many(texts, family)} | {name: (lambda way=way: way(texts)) for name, way in known.items()}
    seconds = medians(ways, repeats, time.process_time)
    rows: dict[str, dict[str, float | None]] = {name: {"boxes_per_s": boxes / value} for name, value in seconds.items()}
    rows |= {name: {"boxes_per_s": None} for name in ENGINES[family] if name not in known}
    for name in known:
        rows[name]["import_ms"] = import_ms(ENGINES[family][name][0])
    return rows


def lines_of(result: dict[str, dict[str, dict[str, float | None]]]) -> list[str]:
    """The tables as text."""
    lines = []
    for family, rows in result.items():
        lines.append(f"{family:<20}{'boxes/s':>12}{'import, ms':>12}")
        for name, row in rows.items():
            rate, loaded = row["boxes_per_s"], row.get("import_ms")
            shown = f"{rate:>12,.0f}" if rate else f"{'not installed':>14}"
            lines.append(f"  {name:<18}{shown}" + (f"{loaded:>12.0f}" if loaded is not None else ""))
    return lines


def main() -> int:
    options = options_of(
        __doc__, boxes={"type": int, "default": 120_000, "help": "boxes (default: %(default)s)"}, repeats=rounds(5), json=JSON
    )
    boxes = max(AN_ANSWER, options.boxes // AN_ANSWER * AN_ANSWER)
    result = {family: measure(family, boxes, options.repeats) for family in ENGINES}
    show(result, options.json, lines_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
