"""The page: one HTML file that loads nothing from a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from groundswift.atomic_write import write_whole
from groundswift.box_drawing import OUTCOME_COLOURS
from groundswift.errors import GroundswiftError

from ..evaluated_run import ImageResult, NumberTable, Run
from .images import by_f1, image_rows
from .plot import plot_of
from .tables import (
    DASH,
    class_table,
    count_rows,
    defined,
    joined,
    metric_rows,
    number_text,
    plain_text,
    signed_text,
    summary,
    warnings_of,
)


@cache
def environment() -> Environment:
    """Templates in this folder. All that they print is escaped; an unknown name is an error."""
    loader = FileSystemLoader(Path(__file__).parent, encoding="utf-8")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(number=number_text, signed=signed_text, defined=defined, plain=plain_text)
    made.globals.update(DASH=DASH, OUTCOME_COLOURS=OUTCOME_COLOURS)
    return made


def class_names(runs: Sequence[Run], shown: Sequence[ImageResult]) -> list[str]:
    """Every class once: those that were evaluated, in their order, then others of curves and shown boxes."""
    names = [name for run in runs for name in run.metrics.get("per_class", {})]
    names += [curve.label for run in runs for curve in run.curves if curve.label is not None]
    names += [box.label for image in shown for box in image.truth + image.predicted]
    return list(dict.fromkeys(names))


def write_report(
    runs: Sequence[Run],
    out: Path,
    images_dir: Path | None,
    title: str,
    table: NumberTable,
    differing: Sequence[str] = (),
    max_images: int = 60,
) -> None:
    """Write the report of one run, or of several side by side (first to last, as before and after), to the file `out`.

    `table`: how the metric shows its numbers; `differing`: terms of the protocol that keep the runs from comparing.
    Images come from `images_dir` / their `file_name`, lowest F1 of the last run first, `max_images` at most; one that cannot be opened is
    drawn grey with the reason. Raises GroundswiftError without a run, and where `out` cannot be written.
    """
    if not runs:
        raise GroundswiftError("no run to report")
    chosen = by_f1(runs[-1].images)[:max_images]
    ids = {image.image_id for image in chosen}
    classes, numbers = class_names(runs, [image for run in runs for image in run.images if image.image_id in ids]), metric_rows(runs, table)
    headline, template = [row for row in numbers if row.number.headline], environment().get_template("report.html")
    text = template.render(
        title=title,
        run_id=None if len(runs) > 1 else runs[0].metrics.get("run", {}).get("id"),
        runs=runs,
        summary=summary(runs, headline),
        date=runs[-1].metrics.get("protocol", {}).get("date"),
        differing=differing,
        table=table,
        headline=headline,
        metrics=numbers,
        warnings=warnings_of(runs),
        plot=plot_of(runs, classes),
        classes=classes,
        class_table=class_table(runs, table.of_groups),
        images=image_rows(runs, chosen, images_dir, classes),
        total_images=len(runs[-1].images),
        protocol=joined([run.metrics.get("protocol", {}) for run in runs]),
        counts=count_rows(runs),
    )
    write_whole(out, [text.encode("utf-8", "backslashreplace")])  # a model can emit a lone surrogate, which UTF-8 cannot encode
