"""`groundswift mix`: one training file out of several, by weight."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from groundswift.atomic_write import write_whole
from groundswift.errors import fault
from groundswift.terminal import echo, echo_json, one_line

from ..issues import IssueLog
from .mix import MixOptions, MixReport, Plan, Source, copied_lines, plan_mix, source_of

IDS_AS_TEXT = "numbers and texts as sample_id: all are written as text, since a stream takes one type"
MOST_ROWS = 100_000_000  # of a mix: some 20 bytes of memory each


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", metavar="FILE[:WEIGHT]...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The JSONL file to write; it appears whole or not at all.")
@click.option("--total", type=click.IntRange(1, MOST_ROWS), metavar="N", help="Rows of the mix.  [default: all without repeating any]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which rows are taken, and their order.")
@click.option("--on-error", type=click.Choice(["stop", "skip"]), default="stop", show_default=True, help="What to do about faulty lines.")
@click.option("--dry-run", is_flag=True, help="Read and count; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
def mix(files: tuple[str, ...], out: Path | None, dry_run: bool, as_json: bool, **options: object) -> None:
    """Mix JSONL files of swift rows by weight into one shuffled file.

    A weight is the number after the last colon (1 where there is none): it says how many rows of the mix come from a file,
    in proportion, whatever the file's size. The counts are exact (largest remainder). Lines are copied byte by byte.

    Without --total the mix is the largest that repeats no row: the file that runs out first decides, and is named. With it,
    a file that is smaller than its share is taken whole as often as it fits, and the rest is drawn from it without
    replacement; how many rows are repeats is printed.

    The same files, weights and seed give the same mix on every machine. Rows that stand in two files, by sample_id and
    question (without a sample_id: by the whole line), are counted and stay.

    Blank lines are left out and counted. A line that is no JSON object is a fault: nothing is written; --on-error skip leaves
    such lines out and counts them.

    \b
    Example:
      groundswift mix detection.jsonl:2 captions.jsonl:0.5 --total 100000 --seed 7 --out train.jsonl
    """
    if not dry_run and out is None:
        raise click.UsageError("Missing option '--out' (or --dry-run).")
    sources = [source_of(text) for text in files]
    check_out(out, sources)
    asked = MixOptions(**options)
    log = IssueLog(asked.on_error)
    report = planned(sources, asked, log).report if dry_run else written(out, sources, asked, log)
    echo_json(msgspec.json.encode(report)) if as_json else echo(summary(report, log))


def check_out(out: Path | None, sources: Sequence[Source]) -> None:
    """Raises GroundswiftError where the file to write is one of those to read."""
    if out is None or not os.path.exists(out):
        return
    for source in sources:
        if os.path.exists(source.path) and os.path.samefile(out, source.path):
            raise fault(out, "is a file of the mix", "another file to write")


def planned(sources: Sequence[Source], options: MixOptions, log: IssueLog) -> Plan:
    """The first pass, with a progress bar over the bytes."""
    from tqdm import tqdm

    total = sum(os.path.getsize(source.path) for source in sources if os.path.isfile(source.path))
    with tqdm(total=total or None, desc="read", unit="B", unit_scale=True, disable=None) as bar:
        return plan_mix(sources, options, log, bar.update)


def written(out: Path, sources: Sequence[Source], options: MixOptions, log: IssueLog) -> MixReport:
    """Both passes, with a progress bar each. The place to write is tried before the first."""
    from tqdm import tqdm

    plans = []

    def lines() -> Iterator[bytes]:
        plans.append(planned(sources, options, log))
        with tqdm(total=len(plans[0].rows), desc="write", unit="row", unit_scale=True, disable=None) as bar:
            yield from copied_lines(plans[0], bar.update)

    write_whole(out, lines())
    plans[0].report.out = str(out)
    return plans[0].report


def summary(report: MixReport, log: IssueLog) -> str:
    """What the command prints: totals, a line a file, then what was repeated, stands twice or was left out."""
    head = f"{report.rows} rows of {len(report.files)} {'file' if len(report.files) == 1 else 'files'}, seed {report.seed}"
    lines = [f"{head} -> {report.out}" if report.out else f"{head}; nothing written (--dry-run)"]
    if report.runs_out_first is not None:
        lines.append(f"no --total: {report.runs_out_first} runs out first, and no row is repeated")
    lines.append(f"{'rows':>10}  {'share':>6}  {'weight':>8}  {'of':>10}  {'repeated':>10}  file")
    lines += [
        f"{each.rows:>10}  {each.rows / report.rows:>6.1%}  {each.weight:>8g}  {each.of:>10}  {each.repeated:>10}  {each.path}"
        for each in report.files
    ]
    for each in report.files:
        if each.repeated:
            times, rest = divmod(each.rows, each.of)
            more = f", {rest} of them once more" if rest else ""
            lines.append(f"{each.path} has fewer rows than its share: each is taken {times} {'time' if times == 1 else 'times'}{more}")
        elif not each.rows:
            lines.append(f"{each.path} gives no row: its weight is too small for {report.rows} rows")
    if report.ids_as_text:
        lines.append(f"the files have {IDS_AS_TEXT}")
    if report.duplicates:
        shown = ", ".join(report.duplicate_examples)
        more = ", ..." if report.duplicates > len(report.duplicate_examples) else ""
        lines += ["in two files or more, by sample_id and question; all kept:", f"{report.duplicates:>8}  samples  ({shown}{more})"]
    if log.left_out.counts:
        lines += ["left out:", *log.left_out.lines()]
    return "\n".join(map(one_line, lines))
