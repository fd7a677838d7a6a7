"""The report as Markdown, for a terminal, a pull request or a model: numbers, tables, counts, the worst images by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..evaluated_run import FN, FP, TP, ImageResult, NumberTable, Run
from .image_index import tally_of
from .tables import (
    cell_text,
    cell_texts,
    class_table,
    count_rows,
    joined,
    metric_rows,
    number_text,
    plain_text,
    signed_text,
    summary,
    warnings_of,
)

WORST = 20
LONGEST = 200  # characters of a cell
SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]#|~$!"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def plain(value: Any) -> str:
    """A text as one line in which Markdown and HTML mean nothing."""
    line = " ".join(str(value).split())
    return (line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…").translate(SPECIAL)


def table_lines(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """A Markdown table and an empty line."""
    yield "| " + " | ".join(map(plain, head)) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(map(plain, row)) + " |"
    yield ""


def number_lines(runs: Sequence[Run], table: NumberTable) -> Iterator[str]:
    """Every number of every run, with its interval and, for several runs, the difference of last and first."""
    many = len(runs) > 1
    rows = []
    for row in metric_rows(runs, table):
        between = [f" [{number_text(found[0])}, {number_text(found[1])}]" if found else "" for found in row.intervals]
        values = [number_text(value) + interval for value, interval in zip(row.values, between, strict=True)]
        rows.append([row.name, *values, *([signed_text(row.difference)] if many else [])])
    yield from table_lines(["Number", *(run.name for run in runs), *(["Difference"] if many else [])], rows)


def image_lines(images: Sequence[ImageResult]) -> Iterator[str]:
    """The first images of the report."""
    yield f"## {min(WORST, len(images))} of {len(images)} images, worst first"
    yield ""
    rows = []
    for image in images[:WORST]:
        tally = tally_of(image)
        values = ", ".join(f"{title} {cell_text(value)}" for title, value in image.values.items())
        rows.append([image.file_name, image.status, number_text(image.f1), tally[TP], tally[FN], tally[FP], values, image.response])
    yield from table_lines(["Image", "Answer", "F1", "TP", "FN", "FP", "Values", "Response"], rows)


def markdown_lines(
    runs: Sequence[Run], title: str, table: NumberTable, differing: Sequence[str], images: Sequence[ImageResult]
) -> Iterator[str]:
    """The report, line by line."""
    numbers = metric_rows(runs, table)
    if run_id := runs[0].metrics.get("run", {}).get("id") if len(runs) == 1 else None:
        yield f"<!-- groundswift-run {plain(run_id)} -->"
    yield f"# {plain(title)}"
    yield ""
    yield plain(summary(runs, [row for row in numbers if row.number.headline])[0])
    yield ""
    if differing:
        yield from (f"**The runs differ in {plain(', '.join(differing))}: their numbers are not comparable.**", "")
    yield from number_lines(runs, table)
    for warned in warnings_of(runs):
        lines = [plain(message) for message in warned.messages] + [f"{number_text(count)} × {plain(text)}" for text, count in warned.lines]
        if lines:
            yield from (f"## Skipped, dropped and changed: {plain(warned.run)}", "", *(f"- {line}" for line in lines), "")
    if groups := class_table(runs, table.of_groups):
        yield from ("## Classes", "")
        head = [f"{run.name}: {cell.name}" if len(runs) > 1 else cell.name for cell in groups[0][1] for run in runs]
        rows = [[name, *(number_text(value) for cell in cells for value in cell.values)] for name, cells in groups]
        yield from table_lines(["Class", *head], rows)
    for run in runs:
        for each in run.tables:
            of_run = f": {plain(run.name)}" if len(runs) > 1 else ""
            yield from (f"## {plain(each.title)}{of_run}", "", *([plain(each.note), ""] if each.note else []))
            yield from table_lines(each.columns, cell_texts(each.rows))
    if images:
        yield from image_lines(images)
    yield from ("## Protocol", "")
    protocol = joined([run.metrics.get("protocol", {}) for run in runs])
    yield from table_lines(["Term", *(run.name for run in runs)], [[name, *map(plain_text, values)] for name, values in protocol])
    yield from ("## Counts", "")
    yield from table_lines(["Count", *(run.name for run in runs)], [[name, *map(number_text, values)] for name, values in count_rows(runs)])
