"""`groundswift eval METRIC`: the subcommand of a metric, made from its class: common options once, then its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any

import click

from groundswift import __version__
from groundswift.atomic_write import sync_together, write_whole
from groundswift.background import Background, short_turns
from groundswift.errors import error_at
from groundswift.gc_control import rare_collection
from groundswift.quick_end import allow_quick_end

from .answers.cli_options import FILE, IMAGES, ON_ERROR, READING_OPTIONS, check_there
from .artifacts import (
    EVALUATION_FILES,
    check_folder,
    digests_of,
    file_terms,
    image_items,
    new_folder,
    pretty_json,
    reading_terms,
    run_chunks,
)
from .evaluated_run import DrawnBox, ImageResult, Run
from .image_results import ImageResults
from .metric import Evaluation, Metric, Scoring

Finished = tuple[Evaluation, dict[str, Any]]  # and the content of metrics.json
Finish = Callable[[], Finished]
REPORT_OPTIONS = (
    IMAGES,
    click.option("--report/--no-report", default=True, show_default=True, help="Write report.html and report.md."),
)


def command_of(kind: type[Metric]) -> click.Command:
    """The subcommand of a metric; its help is the docstring of the class."""

    def run(result: Path | None, truth_path: Path | None, out: Path | None, as_json: bool, **options: Any) -> None:
        allow_quick_end()
        with rare_collection(), short_turns():
            evaluate(kind(truth_path=truth_path, **options), result, truth_path, out, as_json)

    what = "Output folder: metrics.json, run.json, report.html and files of the metric." if kind.writes_run else "Folder for metrics.json."
    title = click.option("--title", default=kind.title or kind.name, show_default=True, help="Title of the report.")
    decorators = (
        click.argument("result", type=FILE, required=kind.needs_result),
        kind.truth_option,
        click.option("--out", type=FILE, required=kind.writes_run and kind.needs_out, help=what),
        *(READING_OPTIONS.values() if kind.reads_boxes else ()),
        *kind.options,
        click.option("--on-error", type=ON_ERROR, default="stop", show_default=True, help="Stop at bad input, or drop and count it."),
        *((*REPORT_OPTIONS, title) if kind.writes_run else ()),
        click.option("--json", "as_json", is_flag=True, help="Print the content of metrics.json, and nothing else."),
    )
    for decorator in reversed(decorators):
        run = decorator(run)
    return click.command(kind.name.replace("_", "-"), help=kind.__doc__)(run)


def evaluate(metric: Metric, result: Path | None, truth_path: Path | None, out: Path | None, as_json: bool) -> None:
    """Read, score, write and print. Raises GroundswiftError with `out` as it was."""
    source, rules = metric.source(result)
    check_there(truth_path, "the ground truth")
    if out is not None:
        check_folder(out)
    digests = Background(partial(digests_of, [truth_path or source, source]), daemon=True)
    truth = metric.read_truth(truth_path or source)
    answers = metric.read_answers(source, truth, rules)
    for warning in answers.warnings:
        click.echo(f"WARNING: {warning['message']}", err=True)
    scoring = started(metric, answers, truth)

    def finish() -> Finished:
        evaluation, files = scoring.finish(), file_terms(truth_path or source, source, digests.result())
        return evaluation, document_of(metric, evaluation, list(answers.warnings), reading_terms(rules), files)

    ready = scoring.per_sample, finish
    (evaluation, document), written = (finish(), []) if out is None else write(metric, out, answers, truth, *ready)
    if as_json:
        click.echo(pretty_json(document), nl=False)
    else:
        for line in [*metric.lines(evaluation), "", *metric.protocol_lines(document["protocol"]), ""]:
            click.echo(line)
    for line in metric.count_lines(answers, truth, evaluation):
        click.echo(line, err=as_json)
    if written:
        click.echo(f"wrote {', '.join(written)} into {out}", err=as_json)


def started(metric: Metric, answers: Any, truth: Any) -> Scoring:
    """The scoring by a metric. What `finish` returns has numbers as JSON has them; a metric that does all at once has done it."""
    scoring = metric.start(answers, truth)
    if scoring is None:
        evaluation = with_plain_numbers(metric, metric.score(answers, truth))
        scoring = Scoring(evaluation.per_sample, lambda: evaluation)
    if isinstance(scoring.per_sample, list):
        draw_unknown_labels(scoring.per_sample, getattr(answers, "unknown", None) or {})
    return Scoring(scoring.per_sample, lambda: with_plain_numbers(metric, scoring.finish()))


def with_plain_numbers(metric: Metric, evaluation: Evaluation) -> Evaluation:
    """The evaluation with numbers that JSON has: None where one is not finite.

    Raises GroundswiftError where one is not a number, a declared one is absent, or a result is of another type.
    """
    if not isinstance(evaluation, Evaluation):
        raise error_at(f"metric {metric.name}", f"score returned a {type(evaluation).__name__}", "an Evaluation")
    summary = evaluation.summary
    if others := _no_results(evaluation.per_sample):
        raise error_at(f"metric {metric.name}", f"per_sample: got a {type(others[0]).__name__}", "a list of ImageResult")
    if absent := [number.key for number in metric.numbers if number.key not in summary]:
        given = ", ".join(map(repr, summary)) or "nothing"
        raise error_at(f"metric {metric.name}", f"score returned {given}", f"{', '.join(map(repr, absent))} too, None where undefined")
    for key, value in summary.items():
        if not (value is None or isinstance(value, Real)):
            raise error_at(f"metric {metric.name}", f"{key} is a {type(value).__name__}", "a number, or None where undefined")
    return replace(
        evaluation, summary={key: float(value) if value is not None and isfinite(value) else None for key, value in summary.items()}
    )


def _no_results(images: Any) -> list[Any]:
    """What a metric returned in place of results."""
    if isinstance(images, ImageResults):
        return []
    return [each for each in images if not isinstance(each, ImageResult)] if isinstance(images, list) else [images]


def draw_unknown_labels(images: list[ImageResult], unknown: dict[int, list[DrawnBox]]) -> None:
    """Add the boxes whose label is not a class to their images, for the report; no number has them."""
    for image in images if unknown else ():
        image.predicted.extend(unknown.get(image.image_id, ()))


def document_of(
    metric: Metric, evaluation: Evaluation, warnings: list[dict[str, Any]], reading: dict[str, Any], files: dict[str, str]
) -> dict[str, Any]:
    """The content of `metrics.json`; its protocol has all that the numbers depend on, flat."""
    reading = {name: term for name, term in reading.items() if name not in metric.ignored_terms}
    protocol = {"metric": metric.name, "groundswift": __version__, **reading, **evaluation.protocol, **files}
    protocol["gt"] = metric.truth_name.format(protocol["gt"])
    groups = {"per_class": evaluation.per_group} if metric.writes_run else {}
    groups |= {"intervals": evaluation.intervals} if evaluation.intervals else {}
    return {**evaluation.summary, **groups, "counts": evaluation.counts, "protocol": protocol, "warnings": warnings}


def write(metric: Metric, out: Path, answers: Any, truth: Any, images: Sequence[ImageResult], finish: Finish) -> tuple[Finished, list[str]]:
    """Write all files into a new `out` -> what `finish` returned, with the id of the run, which all its files have, and their names.

    `finish` waits for the numbers: what does not depend on them is written before.
    """
    with new_folder(out) as folder:
        ids = {"id": os.urandom(8).hex(), **metric.write(folder, answers, truth)} if metric.writes_run else {}
        items = image_items(images) if metric.writes_run else ()
        evaluation, document = finish()
        if metric.writes_run:
            document["run"] = ids
            run = Run(out.resolve().name, document, evaluation.curves, [], evaluation.tables, evaluation.plots)
            write_whole(folder / "run.json", run_chunks(run, items), durable=False)
            if metric.options["report"]:
                from .report.page import write_report

                run.images = list(images)
                table = metric.table([document])
                write_report([run], folder / "report.html", metric.options["images"], metric.options["title"], table, place=out)
        write_whole(folder / "metrics.json", [pretty_json(document)], durable=False)
        names = [name for name in EVALUATION_FILES if (folder / name).exists()]
        sync_together(folder / name for name in names)
        return (evaluation, document), names
