"""What the commands that copy rows share: their options, their two passes with progress bars, and lines of their summaries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click

from groundswift.errors import error_at
from groundswift.gc_control import without_collection
from groundswift.terminal import one_line

from ..issues import IssueLog
from .line_index import Progress

IDS_AS_TEXT = "numbers and strings as sample_id: all are written as strings, because a stream takes one type"


Plan = Any  # has `report`, with the number of `rows` to write, and `lines(progress)`, the second pass
OPTIONS = (
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all random choices."),
    click.option(
        "--on-error", type=click.Choice(["stop", "skip"]), default="stop", show_default=True, help="Stop at unusable lines, or skip them."
    ),
    click.option("--dry-run", is_flag=True, help="Read, plan and count; write nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object."),
)


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--seed, --on-error, --dry-run and --json."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def check_out(out: Path | None, dry_run: bool) -> None:
    """Raises click.UsageError if there is nowhere to write."""
    if not dry_run and out is None:
        raise click.UsageError("Missing option '--out' (or --dry-run).")


def bytes_bar(paths: Sequence[str], what: str) -> Any:
    """A progress bar over the bytes of some files, a context."""
    from tqdm import tqdm

    total = sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
    return tqdm(total=total or None, desc=what, unit="B", unit_scale=True, disable=None)


def first_pass(paths: Sequence[str], plan: Callable[[Progress], Plan]) -> Plan:
    """Plan with a progress bar over the bytes of the files."""
    with bytes_bar(paths, "read") as bar, without_collection():  # which leaves no cycles, and many small objects
        return plan(bar.update)


def both_passes(
    inputs: Sequence[str],
    outputs: Sequence[Path],
    plan: Callable[[Progress], Plan],
    write: Callable[[Iterator[Any]], object],
    dry_run: bool,
    other_inputs: Sequence[str] = (),
) -> Plan:
    """Plan, then write the lines of the plan, unless `dry_run`. `write` gets them as an iterator, and so can check its output before
    anything is read. Raises GroundswiftError if an output is one of the inputs, or of the `other_inputs`, which no pass reads."""
    from tqdm import tqdm

    for out, source in product(outputs, [*inputs, *other_inputs]):
        if os.path.exists(out) and os.path.exists(source) and os.path.samefile(out, source):
            raise error_at(out, "is an input file", "another file to write")
    if dry_run:
        return first_pass(inputs, plan)
    plans: list[Plan] = []

    def lines() -> Iterator[Any]:
        plans.append(first_pass(inputs, plan))
        with tqdm(total=plans[0].report.rows, desc="write", unit="row", unit_scale=True, disable=None) as bar:
            yield from plans[0].lines(bar.update)

    write(lines())
    return plans[0]


def summary_text(lines: Sequence[str], ids_as_text: bool, log: IssueLog) -> str:
    """The lines of a summary, then what every such command adds."""
    more = [f"the rows have {IDS_AS_TEXT}"] if ids_as_text else []
    if log.counted.counts:
        more += ["skipped or changed:", *log.lines()]
    return "\n".join(map(one_line, [*lines, *more]))
