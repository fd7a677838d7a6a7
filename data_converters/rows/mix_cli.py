"""`groundswift mix`: one training file from several, by weight."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from groundswift.atomic_write import write_whole
from groundswift.terminal import counted, echo, echo_json

from ..issues import IssueLog, OnError
from .mix import MixReport, plan_mix, source_of
from .two_passes import both_passes, check_out, shared_options, summary_text

MOST_ROWS = 100_000_000  # of a mix: about 20 bytes of memory each


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", metavar="FILE[:WEIGHT]...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="JSONL file to write; unchanged if the command fails.")
@click.option("--total", type=click.IntRange(1, MOST_ROWS), metavar="N", help="Rows of the mix.  [default: the most without repeats]")
@shared_options
def mix(files: tuple[str, ...], out: Path | None, dry_run: bool, as_json: bool, on_error: OnError, **options: object) -> None:
    """Mix JSONL files of swift rows by weight into one shuffled file.

    The weight is the number after the last colon (default 1): the share of the mix that comes from this file, whatever its size.
    Counts are exact (largest remainder). Lines are copied byte by byte.

    Without --total the mix is the largest that repeats no row: the file that runs out first decides, and is named. With --total,
    a file smaller than its share is taken whole as often as it fits, and the rest is drawn from it without replacement; repeated
    rows are counted.

    The same files, weights and seed give the same mix on every machine. Rows in two files, by sample_id and question (without a
    sample_id: by the whole line), are counted and kept. If the files have both numbers and strings as sample_id, all become strings.

    Blank lines are skipped and counted. A line that is not a JSON object stops the command, and nothing is written; with
    --on-error skip such lines are skipped and counted.

    \b
    Example:
      groundswift mix detection.jsonl:2 captions.jsonl:0.5 --total 100000 --seed 7 --out train.jsonl
    """
    check_out(out, dry_run)
    sources = [source_of(text) for text in files]
    log = IssueLog(on_error)
    plan, write = partial(plan_mix, sources, log, **options), partial(write_whole, out)
    report = both_passes([source.path for source in sources], [out] if out else [], plan, write, dry_run).report
    report.out = None if dry_run else str(out)
    echo_json(msgspec.json.encode(report)) if as_json else echo(summary(report, log))


def summary(report: MixReport, log: IssueLog) -> str:
    """What the command prints: totals, a line per file, then what was repeated, duplicate or skipped."""
    head = f"{counted(report.rows, 'row')} of {counted(len(report.files), 'file')}, seed {report.seed}"
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
            lines.append(f"{each.path} has fewer rows than its share: each is taken {counted(times, 'time')}{more}")
        elif not each.rows:
            lines.append(f"{each.path} gives no row: its weight is too small for {report.rows} rows")
    if report.duplicates:
        shown = ", ".join(report.duplicate_examples)
        more = ", ..." if report.duplicates > len(report.duplicate_examples) else ""
        lines += ["in two files or more, by sample_id and question, all kept:", f"{report.duplicates:>8}  samples  ({shown}{more})"]
    return summary_text(lines, report.ids_as_text, log)
