"""Compare two result files of `swift infer` row by row: `python same_answers.py BEFORE.jsonl AFTER.jsonl --least 0.9`.

Rows are joined by sample_id, or by position without one. Exit status 1 if a smaller share than --least is equal.
"""

from __future__ import annotations

import argparse
import json
import sys

SHOWN = 3  # answers that differ
WIDTH = 160


def answers(path: str) -> dict[object, str]:
    """sample_id, or the number of the row -> the answer."""
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return {row.get("sample_id", number): row["response"] for number, row in enumerate(rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--least", type=float, default=1.0)
    asked = parser.parse_args()
    before, after = answers(asked.before), answers(asked.after)
    if before.keys() != after.keys() or not before:
        sys.exit(f"error: {asked.before} has {len(before)} rows, {asked.after} {len(after)}; expected the same rows, at least one")
    differing = [key for key in before if before[key] != after[key]]
    print(f"{len(before) - len(differing)} of {len(before)} answers are equal")
    for key in differing[:SHOWN]:
        print(f"  {key}: {before[key][:WIDTH]!r} -> {after[key][:WIDTH]!r}")
    if len(before) - len(differing) < asked.least * len(before):
        sys.exit(f"error: fewer answers are equal than {asked.least:.0%}")


if __name__ == "__main__":
    main()
