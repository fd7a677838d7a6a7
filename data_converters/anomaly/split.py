"""`groundswift anomaly split`: rows of the stages into parts that share no frame, video or near-duplicate, with mixes of the stages."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path

import click
import msgspec

from groundswift.atomic_write import write_together
from groundswift.errors import GroundswiftError
from groundswift.terminal import echo, echo_json
from groundswift.worker_pool import WorkerPool, processors

from ..issues import IssueLog, OnError
from ..rows.split_cli import PartsCommand
from ..rows.split_plan import Part, parts_of
from ..rows.two_passes import both_passes, check_out, shared_options, summary_text
from .near_duplicates import BITS
from .split_plan import Asked, SplitReport, plan_split

FRAMES = "frames.jsonl"


@click.command(cls=PartsCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", metavar="FILE.jsonl...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for all files: all are written or none.")
@click.option("--parts", multiple=True, metavar="NAME=SHARE...", help="Shares of the frames.  [default: train=0.8 val=0.1 test=0.1]")
@click.option("--mix", "mixes", multiple=True, metavar="1+2", help="Stages of one more file of each part.  [default: 1+2, 1+2+3]")
@click.option("--replay", default=1.0, type=click.FloatRange(0, 1), show_default=True, help="Share of earlier stages' rows in a mix.")
@click.option("--group", type=click.Choice(["video", "image"]), default="video", show_default=True, help="What stays together.")
@click.option("--video", metavar="REGEX", help="What of a frame's path names its video.  [default: its folder]")
@click.option("--near-bits", type=click.IntRange(0, 64), default=8, show_default=True, help=f"Near-duplicates: N bits of {BITS} differ.")
@click.option("--compare/--no-compare", default=True, help="Compare the frames, to keep near-duplicates together.  [default: compare]")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Worker processes.  [default: one per CPU, at most 8]")
@shared_options
def split(
    files: tuple[str, ...],
    out: Path | None,
    parts: tuple[str, ...],
    workers: int | None,
    on_error: OnError,
    dry_run: bool,
    as_json: bool,
    **options: object,
) -> None:
    """Split the rows of the stages into train, validation and test, and mix the stages.

    A frame, what was cropped from it and drawn on it go to one part; so do the frames of one video (--group) and frames that look
    the same, also through others: their difference hashes (17 x 16 px in grey, 256 bits) differ in at most --near-bits bits. Shares are
    of the frames, as near as whole groups come; frames with and without an anomaly are shared out apart.

    DIR gets PART.STAGES.jsonl, shuffled: train.1.jsonl, train.2.jsonl, train.1+2.jsonl, ... and frames.jsonl, the part of each frame.
    In a mix the last stage is whole, and --replay is the share of each earlier one. A frame that other rows have as their reference
    image is in no part, which is counted.

    \b
    Example:
      groundswift anomaly split local.jsonl marked.jsonl located.jsonl --out parts/ --seed 7
      groundswift anomaly split local.jsonl marked.jsonl --out parts/ --parts train=0.9 test=0.1 --video '(run[0-9]+)' --replay 0.3
    """
    check_out(out, dry_run)
    asked = asked_of(parts, **options)
    log = IssueLog(on_error)
    with WorkerPool(workers or processors()) as pool:
        plan = partial(plan_split, files, asked, log, pool)
        done = both_passes(files, [], plan, lambda lines: None, dry_run=True)
        if not dry_run:
            names = [*(file.name for file in done.files), FRAMES]
            write_together([out / name for name in names], done.lines())
            done.report.out = str(out)
    echo_json(msgspec.json.encode(done.report)) if as_json else echo(summary(done.report, log))


def asked_of(
    parts: tuple[str, ...], mixes: tuple[str, ...], replay: float, group: str, video: str | None, near_bits: int, compare: bool, seed: int
) -> Asked:
    """What the options ask for. Raises GroundswiftError for parts that are not fractions."""
    given: list[Part] = parts_of(parts or ("train=0.8", "val=0.1", "test=0.1"))
    if counted := [part.name for part in given if not isinstance(part.size, Fraction)]:
        raise GroundswiftError(f"--parts {counted[0]}: a count; expected a fraction of the frames, such as {counted[0]}=0.1")
    bits = near_bits if compare else None
    return Asked(given, mixes, Fraction(repr(replay)), group == "video" or video is not None, video, bits, seed)


def summary(report: SplitReport, log: IssueLog) -> str:
    """What the command prints: totals, then a line for each file."""
    head = (
        f"{report.rows} rows about {report.frames} frames in {report.groups} groups (the largest of {report.largest_group_frames} frames)"
    )
    where = f"-> {report.out}" if report.out else "; nothing written (--dry-run)"
    lines = [f"{head}, seed {report.seed} {where}", f"{report.near_duplicates} frames look like another one and stay with it"]
    known = any(part.frames_with_anomaly for part in report.parts)
    if not known:
        lines.append("no row says that its frame has an anomaly, as the boxes of `locate` do: not shared out by it")
    for part in report.parts:
        anomalous = f", {part.frames_with_anomaly} of them with an anomaly" if known else ""
        lines.append(f"{part.name}: {part.groups} groups, {part.frames} frames{anomalous}")
        lines += [f"{rows:>10} rows  {name}" for name, rows in part.files.items()]
    return summary_text(lines, False, log)
