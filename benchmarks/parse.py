"""Box text of every grammar to boxes in pixels: speed, next to supervision's parser for the same text if it has one.

Four tables, made in this run:
- speed: the same well-formed answers to (N, 4) pixels of the original image and labels, and the same with supervision's own filter by class
  names and class numbers; both ways take turns, the figures are medians of
  boxes per CPU second. `text` is ours up to `Located` objects alone.
- many: `parse_many` on all answers at once, of which one in a hundred is cut in its last box, to columns; and on to pixels, labels and
  class numbers as above, next to supervision one by one.
- recovered: malformed answers (`malformed.py`); a box counts where one that a person would read comes back, corners in any order.
- hostile: CPU seconds for 1 MB of the worst of some hundred kinds of text made to be slow (tests/fuzzing/hostile_text.py).

    pip install '.[bench]'
    python benchmarks/parse.py                       # 1.2 million boxes a grammar
    python benchmarks/parse.py --boxes 60000 --json
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from malformed import CAT, DOG, malformed
from measure import JSON, medians, options_of, rounds, show
from parse_answers import AN_ANSWER, CLASS_NUMBER, SIZE_WH, model_input_wh, some_cut, write_answers
from parse_ways import Way, or_nothing, ours, peers, theirs
from tqdm import tqdm

from groundswift import families, parse, parse_many, to_original_px
from groundswift.grammars.registry import GRAMMARS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fuzzing"))
from hostile_text import hostile_kinds, hostile_text

SCREEN_SIZE, HOSTILE_SIZE, WORST = 50_000, 1_000_000, 3
TABLES = ["speed", "many", "malformed", "hostile"]


def all_of(way: Callable[[str], object], texts: list[str]) -> Callable[[], None]:
    """One way over all texts; no result is kept, which would make the garbage collector part of the figure."""
    return lambda: deque(map(way, texts), maxlen=0)


def speed(family: str, boxes: int, repeats: int, peer: tuple[str, Callable[..., tuple]] | None) -> dict[str, object]:
    """Boxes per second of one family's text, and what supervision needs for the same."""
    texts = write_answers(family, boxes)
    mine = ours(family)
    ways: dict[str, Callable[[str], object]] = {
        "text": lambda text: parse(text, family),
        "px": lambda text: mine(text, False),
        "classes": lambda text: mine(text, True),
    }
    row: dict[str, object] = {"grammar": families()[family].grammar, "family": family}
    if peer:
        other = theirs(family, peer[1])
        ways |= {"their px": lambda text: other(text, False), "their classes": lambda text: other(text, True)}
        apart = [np.abs(mine(text, False) - other(text, False)).max() for text in texts[:100]]
        row |= {"peer": peer[0], "px_apart": float(max(apart))}
    found = sum(len(parse(text, family).objects) for text in texts)
    if found != boxes:
        raise SystemExit(f"{family}: {found} boxes read of {boxes} written")
    seconds = medians({name: all_of(way, texts) for name, way in ways.items()}, repeats, time.process_time)
    rate = {name: boxes / value for name, value in seconds.items()}
    row |= {"boxes_per_s": rate}
    if peer:
        row |= {"ratio_px": rate["px"] / rate["their px"], "ratio_classes": rate["classes"] / rate["their classes"]}
    return row


def many(family: str, boxes: int, repeats: int, peer: tuple[str, Callable[..., tuple]] | None) -> dict[str, object]:
    """Boxes per second of `parse_many`, one answer in a hundred malformed."""
    texts = some_cut(write_answers(family, boxes))
    input_wh = model_input_wh(family)

    def to_classes() -> None:
        columns = parse_many(texts, family)
        numbers = np.array([CLASS_NUMBER.get(name, -1) for name in columns.label_names])[columns.label_ids]
        kept = columns.boxes[numbers >= 0]
        to_original_px(kept, family, SIZE_WH, input_wh)
        _ = np.array(columns.label_names)[columns.label_ids[numbers >= 0]]

    ways: dict[str, Callable[[], object]] = {
        "columns": lambda: parse_many(texts, family),
        "one by one": all_of(partial(parse, family=family), texts),
    }
    if families()[family].boxes:
        ways["classes"] = to_classes
    if peer:
        ways["their classes"] = all_of(or_nothing(theirs(family, peer[1])), texts)
    seconds = medians(ways, repeats, time.process_time)
    rate = {name: boxes / value for name, value in seconds.items()}
    row: dict[str, object] = {"grammar": families()[family].grammar, "family": family, "boxes_per_s": rate}
    return row | ({"peer": peer[0], "ratio": rate["classes"] / rate["their classes"]} if peer else {})


def recovered(way: Way, wanted: int, text: str, family: str) -> tuple[int, int, int]:
    """(boxes that are there and should be, boxes that should not be there, whether it raised)."""
    try:
        boxes = way(text, False)
    except Exception:
        return 0, 0, 1
    truth = to_original_px([DOG, CAT], family, SIZE_WH, model_input_wh(family))
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    ordered = np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])])
    right = (np.abs(ordered[:, None] - truth[None]).max(axis=2, initial=0) < 2).any(axis=1)
    return min(wanted, int(right.sum())), int((~right).sum()), 0


def recovery(family: str, peer: tuple[str, Callable[..., tuple]]) -> dict[str, object]:
    """Boxes recovered from the malformed list of one family's grammar, by us and by supervision."""
    grammar = families()[family].grammar
    row: dict[str, object] = {"grammar": grammar, "family": family, "peer": peer[0], "missed_by_us": [], "missed_by_peer": []}
    cases = malformed(grammar)
    totals = {"ours": [0, 0, 0], "peer_counts": [0, 0, 0]}
    for name, text, wanted in cases:
        for who, way in (("ours", ours(family)), ("peer_counts", theirs(family, peer[1]))):
            counts = recovered(way, wanted, text, family)
            totals[who] = [total + count for total, count in zip(totals[who], counts, strict=True)]
            if counts[0] < wanted:
                row["missed_by_us" if who == "ours" else "missed_by_peer"].append(name)
    keys = ("boxes", "wrong", "raised")
    return (
        row
        | {"texts": len(cases), "boxes": sum(case[2] for case in cases)}
        | {who: dict(zip(keys, counts, strict=True)) for who, counts in totals.items()}
    )


def cpu_s_per_mb(family: str, kind: tuple[str, str, str], size: int) -> float:
    text = hostile_text(kind, size)
    start = time.process_time()
    parse(text, family)
    return (time.process_time() - start) * 1e6 / len(text)


def hostile(family: str) -> dict[str, object]:
    """All kinds at a small size, then the worst of them at 1 MB, best of two runs."""
    answer = write_answers(family, 1)[0]
    kinds = list(hostile_kinds(answer))
    screened = sorted(kinds, key=lambda kind: cpu_s_per_mb(family, kind, SCREEN_SIZE), reverse=True)[:WORST]
    measured = [(min(cpu_s_per_mb(family, kind, HOSTILE_SIZE) for _ in range(2)), kind) for kind in screened]
    seconds, kind = max(measured)
    return {"grammar": families()[family].grammar, "family": family, "kinds": len(kinds), "worst_kind": kind, "cpu_s_per_mb": seconds}


def lines_of(result: dict[str, list[dict]]) -> list[str]:
    """The tables as text."""

    def heading(name: str, *columns: str) -> str:
        return f"\n{name:<20}{'family':<16}" + "".join(f"{column:>13}" for column in columns)

    lines = []
    if result["speed"]:
        columns = ("text", "to pixels", "theirs", "ratio", "by class", "theirs", "ratio")
        lines.append(heading("well-formed text", *columns) + " boxes per CPU second")
    for row in result["speed"]:
        rate = row["boxes_per_s"]
        line = f"{row['grammar']:<20}{row['family']:<16}{rate['text']:>13,.0f}{rate['px']:>13,.0f}"
        if "peer" in row:
            line += f"{rate['their px']:>13,.0f}{row['ratio_px']:>13.2f}{rate['classes']:>13,.0f}{rate['their classes']:>13,.0f}"
            line += f"{row['ratio_classes']:>13.2f}  {row['peer']}, boxes at most {row['px_apart']:.2f} px apart"
        lines.append(line)
    if result["many"]:
        columns = ("columns", "one by one", "by class", "theirs", "ratio")
        lines.append(heading("many answers", *columns) + " boxes per CPU second")
    for row in result["many"]:
        rate = row["boxes_per_s"]
        numbers = [rate.get(name) for name in ("columns", "one by one", "classes", "their classes")]
        line = f"{row['grammar']:<20}{row['family']:<16}" + "".join(f"{number:>13,.0f}" for number in numbers if number)
        lines.append(line + (f"{row['ratio']:>13.2f}  {row['peer']}" if "peer" in row else ""))
    if result["malformed"]:
        lines.append(heading("malformed text", "texts", "boxes", "ours", "theirs", "wrong: ours", "theirs", "raised: ours", "theirs"))
    for row in result["malformed"]:
        pairs = [row[who][key] for key in ("boxes", "wrong", "raised") for who in ("ours", "peer_counts")]
        numbers = "".join(f"{number:>13}" for number in (row["texts"], row["boxes"], *pairs))
        lines.append(f"{row['grammar']:<20}{row['family']:<16}{numbers}  {row['peer']}")
        if row["missed_by_us"]:
            lines.append(f"    missed by us: {', '.join(row['missed_by_us'])}")
    if result["hostile"]:
        lines.append(heading("hostile text", "kinds", "CPU s/MB") + " worst kind: opening, repeated, repeated at the end")
    for row in result["hostile"]:
        lines.append(f"{row['grammar']:<20}{row['family']:<16}{row['kinds']:>13}{row['cpu_s_per_mb']:>13.3f}  {row['worst_kind']}")
    return lines


def main() -> int:
    options = options_of(
        __doc__,
        boxes={"type": int, "default": 1_200_000, "help": "boxes a grammar (default: %(default)s)"},
        repeats=rounds(3),
        grammar={"action": "append", "choices": sorted(GRAMMARS), "help": "only these grammars"},
        only={"action": "append", "choices": TABLES, "help": "only these tables"},
        json=JSON,
    )
    boxes = max(AN_ANSWER, options.boxes // AN_ANSWER * AN_ANSWER)
    known = peers()
    if not known:
        print("supervision is not installed (pip install '.[bench]'): ours alone", file=sys.stderr)
    first = {row.grammar: name for name, row in reversed(families().items())}
    if missing := set(GRAMMARS) - set(first):
        raise SystemExit(f"no family writes {', '.join(sorted(missing))}, so it would not be measured")
    chosen = [name for name, row in families().items() if row.grammar in (options.grammar or GRAMMARS)]
    alone = [name for name in chosen if name in first.values()]
    tables = options.only or TABLES
    result: dict[str, list[dict]] = {table: [] for table in TABLES}
    shown = [name for name in chosen if name in first.values() or name in known]
    if "speed" in tables:
        result["speed"] = [speed(name, boxes, options.repeats, known.get(name)) for name in tqdm(shown, desc="speed", unit="family")]
    if "many" in tables:
        result["many"] = [many(name, boxes, options.repeats, known.get(name)) for name in tqdm(shown, desc="many", unit="family")]
    if "malformed" in tables:
        result["malformed"] = [recovery(name, known[name]) for name in chosen if name in known]
    if "hostile" in tables:
        result["hostile"] = [hostile(name) for name in tqdm(alone, desc="hostile", unit="family")]
    show(result, options.json, lines_of(result))
    slower = [row["family"] for row in result["speed"] if row.get("ratio_px", 1) < 1]
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
