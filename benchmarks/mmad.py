"""The numbers of `groundswift eval anomaly --mmad` against MMAD's own scripts, from a clone, on the same answers.

    git clone https://github.com/jam-cc/MMAD ...
    python benchmarks/mmad.py --mmad MMAD

Answers are drawn up: letters, letters in sentences, texts of options, nonsense. Their `parse_answer` reads them and their
`caculate_accuracy_mmad` scores; plots and the modules of APIs are stubs. Exit status 1 where a cell of the table differs by more than 1e-9.
Then some answers that their scorer cannot use (not a letter) show how many it does not count: each, and the one behind it.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

from measure import JSON, options_of, show
from protocol_peers import loaded

from groundswift.eval.answers.text_rows import Question, TextSample
from groundswift.eval.protocols.mmad import ORDER, judged, table

DATASETS = ("DS-MVTec", "MVTec-LOCO", "VisA", "GoodsAD")
TYPES = (*ORDER[:-1], "Object Structure", "Object Details")
OPTIONS = {"A": "Scratch on the surface", "B": "Broken rim", "C": "No defect at all", "D": "Colour stain"}
WAYS = ("{}", "{}.", "({})", "The answer is {}", "{}. {text}", "{text}", "A closer look says {}", "perhaps {text}", "nonsense")
QUESTION = " ".join(["What is it?", *(f"{letter}. {text}" for letter, text in OPTIONS.items())])


def drawn(count: int, seed: int) -> list[dict[str, Any]]:
    """Questions with answers: every dataset has every type, and both kinds of images."""
    draw, entries = random.Random(seed), []
    for number in range(count):
        dataset, kind = DATASETS[number % 4], TYPES[number // 4 % len(TYPES)]
        letter = draw.choice(list(OPTIONS))
        state = "good" if number // (4 * len(TYPES)) % 2 else "broken"
        text = draw.choice(WAYS).format(letter, text=OPTIONS[letter])
        path = f"{dataset}/part/test/{state}/{number}.png"
        entries.append({"image": path, "question_type": kind, "correct_answer": draw.choice(list(OPTIONS)), "text": text})
    return entries


def modules(clone: Path) -> tuple[ModuleType, ModuleType]:
    """Their scorer and their reader."""
    for name in ("seaborn", "cv2", "openai", "helper", "helper.summary"):
        sys.modules.setdefault(name, MagicMock())
    examples = clone / "evaluation" / "examples"
    summary = loaded(examples / "helper" / "summary.py", "mmad_summary")
    summary.plt = MagicMock()
    return summary, loaded(examples / "GPT4" / "gpt4v.py", "mmad_reader")


def theirs(summary: ModuleType, entries: list[dict[str, Any]]) -> tuple[dict[str, dict[str, float]], int]:
    """(their table by dataset and type, how many answers they counted)."""
    import pandas

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder, "answers.json")
        path.write_text(json.dumps(entries))
        counted = summary.caculate_accuracy_mmad(str(path))
        found = pandas.read_csv(Path(folder, "answers_accuracy.csv"), index_col=0)
    totals = sum(each["total"] for kinds in counted.values() for each in kinds.values())
    return {name: {kind: value / 100 for kind, value in row.items()} for name, row in found.to_dict("index").items()}, totals


def ours(entries: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Our table under their reading."""
    samples = []
    for number, entry in enumerate(entries):
        path = entry["image"]
        more = {"subtask": entry["question_type"], "dataset": path.split("/")[0], "verdict": "normal" if "good" in path else "anomaly"}
        samples.append(TextSample(Question(number, QUESTION, [entry["correct_answer"]], more=more), entry["text"], "ok"))
    shown = table(judged(samples)[0], own=True)
    return {row[0]: dict(zip(shown.columns[1:], row[1:], strict=True)) for row in shown.rows}


def main() -> None:
    """Compare and print."""
    options = options_of(__doc__, mmad={"type": Path, "help": "clone of MMAD"}, questions={"type": int, "default": 4000}, json=JSON)
    if not options.mmad:
        sys.exit("error: no clone given; expected --mmad")
    summary, reader = modules(options.mmad)
    read = reader.GPT4Query.parse_answer
    entries = drawn(options.questions, 1)
    for entry in entries:
        with contextlib.redirect_stdout(io.StringIO()):
            entry["gpt_answer"] = (read(None, entry["text"], OPTIONS) or [entry["text"]])[-1]
    (their_table, counted), our_table = theirs(summary, entries), ours(entries)
    cells = [(name, kind, value, our_table[name][kind]) for name, row in their_table.items() for kind, value in row.items()]
    different = [cell for cell in cells if abs(cell[2] - cell[3]) > 1e-9]
    broken = [{**entry, "gpt_answer": "?"} if number % 10 == 0 else entry for number, entry in enumerate(entries)]
    skipped = len(entries) - theirs(summary, broken)[1]
    marked = sum(entry["gpt_answer"] == "?" for entry in broken)
    lines = [f"{name} {kind}: theirs {value}, ours {mine}" for name, kind, value, mine in different]
    lines.append(f"{len(cells) - len(different)} cells equal, {len(different)} different; {counted} of {len(entries)} answers counted")
    lines.append(f"with {marked} answers that are no letter their scorer does not count {skipped}")
    document = {"cells": len(cells), "different": len(different), "unreadable": marked, "not_counted": skipped}
    show(document, options.json, lines)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
