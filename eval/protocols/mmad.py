"""MMAD's rules: accuracy by dataset and question type, and how its scripts read a letter (github.com/jam-cc/MMAD at bad03b4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from ..answers.choices import chosen, options_in
from ..answers.text_rows import TextSample
from ..evaluated_run import Table
from .base import mean

COMMIT = "https://github.com/jam-cc/MMAD/tree/bad03b44c30fdb4d0e1774e07e0f245fbaae3b6c/evaluation/examples"
DETECTION = "Anomaly Detection"
AS_ONE = {"Object Structure": "Object Analysis", "Object Details": "Object Analysis"}  # question type -> the type it counts as
ORDER = (  # of the columns of their tables
    DETECTION,
    *(f"Defect {name}" for name in ("Classification", "Localization", "Description", "Analysis")),
    *(f"Object {name}" for name in ("Classification", "Analysis")),
)
LETTER = re.compile(r"\b([A-E])\b")
NORMAL = "normal"
COLUMNS = ("subtask", "dataset", "verdict")  # of the rows of `convert mmad`
RULE = {
    "mmad": "accuracy by dataset and question type, then means over types and over datasets; Object Structure and Object Details "
    "are Object Analysis; Anomaly Detection is the mean of the accuracies on normal and on anomalous images",
    "mmad_own": "the same with its scripts' reading: the last of the letters A to E alone, else the closest option (difflib)",
}


class Judged(NamedTuple):
    """One question: its dataset and type, whether its image is normal, whether the answer is right by our reading and by theirs."""

    dataset: str
    type: str
    is_normal: bool
    right: bool
    right_own: bool


def read_own(text: str, options: dict[str, str]) -> str | None:
    """The letter that the benchmark's scripts read; an article `A` is one. None without options to be close to."""
    if found := LETTER.findall(text):
        return found[-1]
    closest = get_close_matches(text, list(options.values()), n=1, cutoff=0.0)
    return next((letter for letter, option in options.items() if closest and option == closest[0]), None)


def judged(samples: Iterable[TextSample]) -> tuple[list[Judged], int]:
    """(the questions that state type, dataset and verdict and whose true answer is a letter, how many do not)."""
    found, without = [], 0
    for sample in samples:
        kind, dataset, verdict = (sample.question.more.get(name) for name in COLUMNS)
        options = options_in(sample.question.asked)
        truth = {chosen(text, options) for text in sample.question.references} - {None}
        if not (kind and dataset and verdict and len(truth) == 1):
            without += 1
            continue
        said = (chosen(sample.text, options), read_own(sample.text, options))
        kind = AS_ONE.get(str(kind), str(kind))
        found.append(Judged(str(dataset), kind, verdict == NORMAL, *(letter in truth for letter in said)))
    return found, without


def accuracy(rows: Sequence[Judged], kind: str, own: bool) -> float | None:
    """The accuracy of a type in a dataset; None without questions. Detection without one kind of images: None, by their rule half is 0."""
    right = [(row.is_normal, row.right_own if own else row.right) for row in rows if row.type == kind]
    if not right or kind != DETECTION:
        return mean([float(each) for _, each in right])
    sides = [mean([float(each) for is_normal, each in right if is_normal is side]) for side in (True, False)]
    return None if None in sides and not own else sum(side or 0.0 for side in sides) / 2


def table(found: Sequence[Judged], own: bool = False) -> Table:
    """Rows by dataset and their mean, columns by type and their mean, which skip what is undefined."""
    kinds = sorted({row.type for row in found}, key=lambda kind: (ORDER.index(kind) if kind in ORDER else len(ORDER), kind))
    rows: list[list[Any]] = []
    for dataset in sorted({row.dataset for row in found}):
        cells = [accuracy([row for row in found if row.dataset == dataset], kind, own) for kind in kinds]
        rows.append([dataset, *cells, mean([cell for cell in cells if cell is not None])])
    columns = list(zip(*(row[1:] for row in rows), strict=True))
    if rows:
        rows.append(["Average", *(mean([cell for cell in column if cell is not None]) for column in columns)])
    id, title = ("mmad-own", "MMAD, its own reading") if own else ("mmad", "MMAD")
    return Table(id, title, ["dataset", *kinds, "Average"], rows)


def average(shown: Table) -> float | None:
    """The mean over datasets of the means over types; None without a question."""
    return shown.rows[-1][-1] if shown.rows else None
