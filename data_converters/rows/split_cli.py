"""`groundswift split`: one set into parts that share no image."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from groundswift.atomic_write import write_together
from groundswift.terminal import echo, echo_json

from ..issues import IssueLog, OnError
from .split_gt import GroundTruthParts
from .split_plan import SplitReport, parts_of, plan_split
from .two_passes import both_passes, check_out, shared_options, summary_text

SHOWN = 5  # classes in the text


class PartsCommand(click.Command):
    """A command whose `--parts` takes all following words with a `=`."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        words: list[str] = []
        taking = False
        for word in args:
            more = taking and "=" in word and not word.startswith("-")
            if more and words[-1] != "--parts":
                words.append("--parts")
            taking = more or word == "--parts"
            words.append(word)
        return super().parse_args(context, words)


@click.command(cls=PartsCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("data", metavar="DATA.jsonl")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for NAME.jsonl of each part: all are written or none.")
@click.option("--parts", multiple=True, required=True, metavar="NAME=SIZE...", help="Two or more parts: fractions, or counts of groups.")
@click.option("--gt", metavar="ANN.json", help="COCO file that the rows were converted from: each part gets its own, NAME.json.")
@click.option("--same-content", is_flag=True, help="Read all images: files with the same bytes are one image.")
@click.option("--stratify", type=click.Choice(["label", "none"]), default="label", show_default=True, help="Spread classes evenly, or not.")
@shared_options
def split(
    data: str, out: Path | None, parts: tuple[str, ...], gt: str | None, on_error: OnError, dry_run: bool, as_json: bool, **options: object
) -> None:
    """Split a JSONL file of swift rows into parts that share no image.

    Rows that share an image, video or audio file form a group, also through other rows, and a group goes to one part as a whole.
    Two images are one if their resolved paths are equal; with --same-content also if their files have the same bytes. Rows without
    media are grouped by their sample_id; without one, each is a group.

    A size with a point is a fraction, an integer a number of groups: val=500. Fractions add up to 1 and share the groups that the
    numbers leave. Each part gets exactly its groups.

    Classes are the labels of objects.ref. They are spread by iterative stratification, the rarest first, and each is in every part
    if it has enough groups; images without labels are spread like a class. Lines are copied byte by byte, in their order; if some
    rows have a number and others a string as sample_id, all become strings.

    With --gt each part also gets the COCO file to score it with: the images that its rows name by sample_id, with their
    annotations. Images without a row are in no part, and are counted.

    Blank lines are skipped and counted. A line that is not a JSON object, or has an invalid image, stops the command, and nothing is
    written; with --on-error skip such lines are skipped and counted.

    \b
    Example:
      groundswift split data.jsonl --out parts/ --parts train=0.9 val=0.05 test=0.05 --seed 7
      groundswift split data.jsonl --out parts/ --parts train=1.0 val=500 --same-content
      groundswift split data.jsonl --out parts/ --parts train=0.9 val=0.1 --gt annotations.json
    """
    check_out(out, dry_run)
    asked = parts_of(parts)
    log = IssueLog(on_error)
    truth = GroundTruthParts(gt, [part.name for part in asked]) if gt is not None else None
    plan = partial(plan_split, data, asked, log, truth=truth, **options)
    outputs = [] if dry_run else [out / f"{part.name}.{suffix}" for suffix in ("jsonl", "json")[: 1 + bool(truth)] for part in asked]
    done = both_passes([data], outputs, plan, partial(write_together, outputs), dry_run, [gt] if gt else [])
    if dry_run:
        for _ in done.lines() if truth else ():
            pass
    else:
        for part in done.report.parts:
            part.out, part.gt = str(out / f"{part.name}.jsonl"), str(out / f"{part.name}.json") if truth else None
    echo_json(msgspec.json.encode(done.report)) if as_json else echo(summary(done.report, log, None if dry_run else out))


def summary(report: SplitReport, log: IssueLog, out: Path | None) -> str:
    """What the command prints: totals, a line per part, the classes that are spread worst, what was skipped."""
    head = f"{report.rows} rows with {report.images} images in {report.groups} groups (the largest of {report.largest_group_rows} rows)"
    lines = [f"{head}, seed {report.seed} -> {out}" if out else f"{head}, seed {report.seed}; nothing written (--dry-run)"]
    lines.append(f"{'groups':>10}  {'share':>6}  {'rows':>10}  {'images':>10}  {'objects':>10}  part")
    lines += [
        f"{each.groups:>10}  {each.share:>6.1%}  {each.rows:>10}  {each.images:>10}  {each.objects:>10}  {each.name}"
        for each in report.parts
    ]
    if report.gt_images_without_row is not None:
        lines += [f"ground truth of {each.name}: {each.gt_images} images, {each.gt_annotations} annotations" for each in report.parts]
        lines.append(f"{report.gt_images_without_row} images of --gt have no row and are in no part")
    return summary_text(lines + class_lines(report), report.ids_as_text, log)


def class_lines(report: SplitReport) -> list[str]:
    """How the classes are distributed over the parts."""
    if not report.classes:
        return ["no labels in objects.ref: parts are random"]
    rare = sum(each.rare for each in report.classes)
    lines = [f"{len(report.classes)} classes, {rare} of them too rare for their share in each part"]
    if report.missing_in_a_part:
        lines.append(f"{report.missing_in_a_part} classes are missing in a part, {report.missing_though_enough} of them with enough groups")
    if report.largest_deviation is not None:
        lines.append(f"largest deviation of a class from its share (without rare ones): {report.largest_deviation:.2%}; groups by part:")
        width = max(len(each.label) for each in report.classes[:SHOWN])
        lines += [
            f"{each.deviation:>10.2%}  {each.label[:60]:<{min(width, 60)}}  {' + '.join(map(str, each.parts))} = {each.groups}"
            for each in report.classes[:SHOWN]
            if not each.rare
        ]
    return lines
