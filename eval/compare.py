"""`groundswift eval compare`: scored runs in one table and one report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from groundswift.atomic_write import write_whole
from groundswift.errors import GroundswiftError

from .answers.cli_options import FILE, IMAGES
from .artifacts import compare_folder, pretty_json
from .checkpoint_curves import curves, steps_of
from .evaluated_run import NumberTable, Run
from .metric import NO_NUMBERS, Metric
from .metrics import metric_of_run
from .paired.comparison import paired
from .paired.shown import paired_lines, paired_tables
from .report.tables import metric_rows
from .run_check import read_run

LARGEST_EXTRA = 10**300


@click.command("compare")
@click.argument("folders", type=FILE, nargs=-1, required=True, metavar="BEFORE_DIR AFTER_DIR ...")
@click.option("--out", type=FILE, required=True, help="Folder for report.html, report.md and summary.json.")
@click.option("--names", help="Names of the runs, comma-separated.  [default: the names of the folders]")
@IMAGES
@click.option("--title", help="Title of the report.  [default: that of the runs' metric]")
@click.option("--set", "extras", multiple=True, metavar="KEY=NUMBER", help="Additional number for summary.json; may be repeated.")
@click.option(
    "--paired/--no-paired",
    "tests",
    default=True,
    show_default=True,
    help="Paired tests of the first run and each other one, image by image.",
)
@click.option("--steps", metavar="N,N,...", help="Steps of the runs, for curves.  [default: of names such as checkpoint-100]")
@click.option("--json", "as_json", is_flag=True, help="Print the content of summary.json, and nothing else.")
def compare(
    folders: tuple[Path, ...],
    out: Path,
    names: str | None,
    images: Path | None,
    title: str | None,
    extras: tuple[str, ...],
    tests: bool,
    steps: str | None,
    as_json: bool,
) -> None:
    """Compare scored runs side by side, with paired tests and what was fixed and regressed against the first.

    Runs of checkpoints (their names end in checkpoint-N, or --steps) also give curves of the headline numbers over the steps.

    \b
    Example:
      groundswift eval compare scored/before scored/after --names before,after --images images/ --out scored/
      groundswift eval compare scored/checkpoint-100 scored/checkpoint-200 scored/checkpoint-300 --out curves/
    """
    if len(folders) < 2:
        raise click.UsageError("give at least two folders that `groundswift eval METRIC --out` wrote")
    from .report.page import write_report

    runs = [read_run(folder, name) for folder, name in zip(folders, names_of(folders, names), strict=True)]
    summary = summary_of(runs, extras)
    stepped = steps_of(runs, steps)
    differing, kind = differing_terms(runs), metrics_of(runs)[0]
    tested = [paired(runs[0], other, table_of(runs).numbers, progress=True) for other in runs[1:]] if tests else []
    for run, found in zip(runs[1:], tested, strict=False):
        run.tables = [*paired_tables(found), *run.tables]
    if stepped is not None:
        runs[0].plots = [*curves(runs, stepped, table_of(runs).numbers), *runs[0].plots]
    with compare_folder(out) as folder:
        write_report(runs, folder / "report.html", images, title or kind.title or kind.name, table_of(runs), differing, out)
        write_whole(folder / "summary.json", [pretty_json(summary)])
        if tests:
            write_whole(folder / "paired.json", [pretty_json(tested)])
    if as_json:
        click.echo(pretty_json(summary), nl=False)
    else:
        click.echo("\n".join([*table_lines(runs), *(line for found in tested for line in ["", *paired_lines(found)])]))
    for term in differing:
        click.echo(f"the runs differ in {term}: their numbers are not comparable", err=True)
    click.echo(f"wrote report.html, report.md{', paired.json' if tests else ''} and summary.json into {out}", err=as_json)


def summary_of(runs: Sequence[Run], extras: Sequence[str]) -> dict[str, Any]:
    """The content of summary.json: the numbers of each run, and those of --set."""
    summary: dict[str, Any] = {run.name: numbers_of(run) for run in runs}
    for key, number in map(_extra, extras):
        if key in summary:
            raise GroundswiftError(f"--set {key}: there is a run of this name")
        summary[key] = number
    return summary


def _extra(text: str) -> tuple[str, float]:
    key, _, number = text.partition("=")
    try:
        value = float(number) if "." in number else int(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > LARGEST_EXTRA:
        shown = text if len(text) <= 60 else f"{text[:60]}..."
        raise click.BadParameter(f"{shown!r}; expected KEY=NUMBER", param_hint="--set")
    return key, value


def names_of(folders: Sequence[Path], names: str | None) -> list[str]:
    """One name for each run: those given, comma-separated, or the folders' own. Raises GroundswiftError for too few or equal names."""
    found = [folder.resolve().name for folder in folders] if names is None else [name.strip() for name in names.split(",")]
    if len(found) != len(folders):
        raise GroundswiftError(f"--names has {len(found)} names for {len(folders)} runs; expected one name for each run, comma-separated")
    if len(set(found)) < len(found) or not all(found):
        raise GroundswiftError(f"the runs are named {', '.join(map(repr, found))}; expected different names: use --names")
    return found


def metrics_of(runs: Sequence[Run]) -> list[Metric]:
    """The metrics of some runs, each once, in the order of the runs."""
    found = [metric_of_run(run.metrics) for run in runs]
    return list({type(metric): metric for metric in found}.values())


def table_of(runs: Sequence[Run]) -> NumberTable:
    """How the numbers of the runs are shown: as the metric of the first run does."""
    return metrics_of(runs)[0].table([run.metrics for run in runs])


def numbers_of(run: Run) -> dict[str, float | None]:
    """The numbers of a run by key; None where undefined."""
    shown = [number.key for number in table_of([run]).numbers]
    return {key: run.metrics.get(key) for key in dict.fromkeys([*shown, *(key for key in run.metrics if key not in NO_NUMBERS)])}


def differing_terms(runs: Sequence[Run]) -> list[str]:
    """The terms of the protocol in which runs differ although their numbers compare only where these agree."""
    needed = {term: default for metric in metrics_of(runs) for term, default in metric.comparable_terms.items()}
    protocols = [run.metrics.get("protocol", {}) for run in runs]
    terms = [needed | {term: protocol[term] for term in needed if term in protocol} for protocol in protocols]
    values_of = {term: [values[term] for values in terms if values[term] is not None] for term in needed}  # some are lists: judges
    return [term for term, values in values_of.items() if any(value != values[0] for value in values)]


def table_lines(runs: Sequence[Run]) -> list[str]:
    """The numbers, one column for each run, and the difference of last and first; a dash where undefined."""
    rows = metric_rows(runs, table_of(runs))
    width, first = max(8, *(len(run.name) for run in runs)) + 2, max(6, *(len(row.name) + 1 for row in rows))
    lines = [f"{'':{first}}" + "".join(f"{run.name:>{width}}" for run in runs) + f"{'change':>10}"]
    for row in rows:
        values = "".join(f"{'-' if value is None else format(value, '.3f'):>{width}}" for value in row.values)
        change = "-" if row.difference is None else f"{row.difference:+.3f}"
        lines.append(f"{row.name:{first}}{values}{change:>10}")
    return lines
