"""The report as Markdown, for a terminal, a pull request or a model: numbers, tables, counts, the worst images by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..evaluated_run import FN, FP, TP, ImageResult, NumberTable, Run, notes_of
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
    of_boxes, shown = any(image.f1 is not None for image in images), images[:WORST]
    yield f"## {len(shown)} of {len(images)} {'images' if of_boxes else 'samples'}, worst first"
    yield ""
    columns = {"Image": [image.file_name for image in shown], "Answer": [image.status for image in shown]}
    if of_boxes:
        tallies = [tally_of(image) for image in shown]
        columns["F1"] = [number_text(image.f1) for image in shown]
        columns |= {name: [tally[key] for tally in tallies] for name, key in (("TP", TP), ("FN", FN), ("FP", FP))}
    columns["Question"] = [image.question for image in shown]
    columns["Values"] = [", ".join(f"{title} {cell_text(value)}" for title, value in image.values.items()) for image in shown]
    columns["References"] = [" / ".join(image.references) for image in shown]
    columns["Response"] = [image.response for image in shown]
    columns = {name: cells for name, cells in columns.items() if name in ("Image", "Answer") or any(cell != "" for cell in cells)}
    yield from table_lines(list(columns), list(zip(*columns.values(), strict=True)))


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
            yield from (f"## {plain(each.title)}{of_run}", "", *(line for note in notes_of(each) for line in (plain(note), "")))
            yield from table_lines(each.columns, cell_texts(each.rows))
    if images:
        yield from image_lines(images)
    yield from ("## Protocol", "")
    protocol = joined([run.metrics.get("protocol", {}) for run in runs])
    yield from table_lines(["Term", *(run.name for run in runs)], [[name, *map(plain_text, values)] for name, values in protocol])
    yield from ("## Counts", "")
    yield from table_lines(["Count", *(run.name for run in runs)], [[name, *map(number_text, values)] for name, values in count_rows(runs)])
