"""`groundswift eval compare`: scored runs in one table and one report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from groundswift.errors import GroundswiftError

from .answers.cli_options import FILE

LARGEST_EXTRA = 10**300


@click.command("compare")
@click.argument("folders", type=FILE, nargs=-1, required=True, metavar="BEFORE_DIR AFTER_DIR ...")
@click.option("--out", type=FILE, required=True, help="Folder for report.html and summary.json.")
@click.option("--names", help="Names of the runs, comma-separated; default: the names of the folders.")
@click.option("--images", type=FILE, help="Folder of the images, for the report.")
@click.option("--title", default="COCO mAP", show_default=True, help="Title of the report.")
@click.option("--set", "extras", multiple=True, metavar="KEY=NUMBER", help="Another number for summary.json.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of summary.json, and nothing else.")
def compare(
    folders: tuple[Path, ...], out: Path, names: str | None, images: Path | None, title: str, extras: tuple[str, ...], as_json: bool
) -> None:
    """Compare scored runs side by side.

    \b
    Example:
      groundswift eval compare scored/before scored/after --names before,after --images images/ --out scored/
    """
    if len(folders) < 2:
        raise click.UsageError("give at least two folders that `groundswift eval METRIC --out` wrote")
    from groundswift.atomic_write import write_whole

    from .artifacts import pretty_json
    from .compare import differing_terms, load_run, names_of, numbers_of, table_lines, table_of
    from .output_folder import compare_folder
    from .report import write_report

    runs = [load_run(folder, name) for folder, name in zip(folders, names_of(folders, names), strict=True)]
    summary: dict[str, Any] = {run.name: numbers_of(run) for run in runs}
    for key, number in map(_extra, extras):
        if key in summary:
            raise GroundswiftError(f"--set {key}: there is a run of this name")
        summary[key] = number
    differing = differing_terms(runs)
    with compare_folder(out) as folder:
        write_report(runs, folder / "report.html", images, title, table_of(runs), differing)
        write_whole(folder / "summary.json", [pretty_json(summary)])
    if as_json:
        click.echo(pretty_json(summary), nl=False)
    lines = [] if as_json else table_lines(runs)
    for line in lines:
        click.echo(line)
    for term in differing:
        click.echo(f"the runs differ in {term}: their numbers are not comparable", err=True)
    click.echo(f"wrote report.html and summary.json into {out}", err=as_json)


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
