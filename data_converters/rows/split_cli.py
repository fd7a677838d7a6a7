"""`groundswift split`: one set into parts that share no image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from groundswift.atomic_write import write_together
from groundswift.errors import fault
from groundswift.terminal import echo, echo_json, one_line

from ..issues import IssueLog
from .mix_cli import IDS_AS_TEXT
from .split import SplitOptions
from .split_gt import GroundTruthParts
from .split_plan import Part, SplitPlan, SplitReport, parts_of, plan_split, routed_lines

SHOWN = 5  # classes in the text


class PartsCommand(click.Command):
    """A command whose `--parts` takes all the words with an `=` that follow it."""

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
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for NAME.jsonl of each part; all of them or none appear."
)
@click.option("--parts", multiple=True, required=True, metavar="NAME=SIZE...", help="Two parts or more: fractions, or counts of groups.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="What decides where chance does.")
@click.option("--gt", metavar="ANN.json", help="COCO file that the rows were converted from: each part gets its own, NAME.json.")
@click.option("--same-content", is_flag=True, help="Read all pictures: files with the same bytes are one picture.")
@click.option(
    "--stratify", type=click.Choice(["label", "none"]), default="label", show_default=True, help="Spread classes, or chance alone."
)
@click.option("--on-error", type=click.Choice(["stop", "skip"]), default="stop", show_default=True, help="What to do about faulty lines.")
@click.option("--dry-run", is_flag=True, help="Read, decide and count; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object, all classes among them.")
def split(
    data: str, out: Path | None, parts: tuple[str, ...], gt: str | None, stratify: str, dry_run: bool, as_json: bool, **options: object
) -> None:
    """Split a JSONL file of swift rows into parts that share no image.

    Rows that have an image, video or sound in common form a group, over several rows too, and a group goes to one part as a
    whole. Two images are one if their paths are, seen from the working directory, without detours and links, or with --same-content
    if their files hold the same bytes. Rows without any go by their sample_id, else each alone.

    A size with a point is a fraction, a whole number a count of groups: val=500. Fractions add up to 1 and share what the
    counts leave. Each part gets exactly its groups.

    Classes are the labels of objects.ref. They are spread by iterative stratification, the rarest first, and each stands in
    every part where it has groups enough; images without labels are spread like a class. Lines are copied byte by byte, in
    their order; only where some rows have a number as sample_id and others a text, all get texts, since a stream takes one type.

    With --gt each part also gets the COCO file to score it with: the images that its rows name by sample_id, with their
    annotations. Images that no row names are in no part, and are counted.

    Blank lines are left out and counted. A line that is no JSON object, or that has an image that is none, is a fault: nothing
    is written; --on-error skip leaves such lines out and counts them.

    \b
    Example:
      groundswift split data.jsonl --out parts/ --parts train=0.9 val=0.05 test=0.05 --seed 7
      groundswift split data.jsonl --out parts/ --parts train=1.0 val=500 --same-content
      groundswift split data.jsonl --out parts/ --parts train=0.9 val=0.1 --gt annotations.json
    """
    if not dry_run and out is None:
        raise click.UsageError("Missing option '--out' (or --dry-run).")
    asked = parts_of(parts)
    how = SplitOptions(stratify=stratify == "label", **options)
    log = IssueLog(how.on_error)
    truth = GroundTruthParts(gt, [part.name for part in asked]) if gt is not None else None
    if dry_run:
        plan = planned(data, asked, how, log)
        report = plan.report
        for _ in with_ground_truth(plan, truth, routed_lines(plan)) if truth else ():
            pass
    else:
        report = written(data, asked, how, log, out, truth)
    echo_json(msgspec.json.encode(report)) if as_json else echo(summary(report, log, out if not dry_run else None))


def planned(data: str, parts: Sequence[Part], options: SplitOptions, log: IssueLog) -> SplitPlan:
    """The first pass, with a progress bar over the bytes."""
    from tqdm import tqdm

    total = os.path.getsize(data) if os.path.isfile(data) else None
    with tqdm(total=total, desc="read", unit="B", unit_scale=True, disable=None) as bar:
        return plan_split(data, parts, options, log, bar.update)


def written(
    data: str, parts: Sequence[Part], options: SplitOptions, log: IssueLog, out: Path, truth: GroundTruthParts | None
) -> SplitReport:
    """Both passes, with a progress bar each. The places to write are tried before the first."""
    from tqdm import tqdm

    paths = [out / f"{part.name}.jsonl" for part in parts]
    truth_paths = [out / f"{part.name}.json" for part in parts] if truth else []
    for path in [*paths, *truth_paths]:
        for source in (data, truth.path) if truth else (data,):
            if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
                raise fault(path, "is the file to split", "another folder, or another name for the part")
    plans: list[SplitPlan] = []

    def lines() -> Iterator[tuple[int, bytes]]:
        plans.append(planned(data, parts, options, log))
        with tqdm(total=len(plans[0].part_of_row), desc="write", unit="row", unit_scale=True, disable=None) as bar:
            routed = routed_lines(plans[0], bar.update)
            yield from with_ground_truth(plans[0], truth, routed) if truth else routed

    write_together([*paths, *truth_paths], lines())
    report = plans[0].report
    for part, path in zip(report.parts, paths, strict=True):
        part.out = str(path)
    for part, path in zip(report.parts, truth_paths, strict=False):
        part.gt = str(path)
    return report


def with_ground_truth(plan: SplitPlan, truth: GroundTruthParts, routed: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The lines of all parts, then the ground truth of each as a further part; what it holds goes into the plan's report."""
    for number, (part, line) in enumerate(routed, 1):
        truth.assign(line, part, f"{plan.facts.index.path}: row {number}")
        yield part, line
    report, (held, without_row) = plan.report, truth.counts()
    report.gt_images_without_row = without_row
    for part, holds in enumerate(held):
        report.parts[part].gt_images, report.parts[part].gt_annotations = holds
        yield from ((len(held) + part, chunk) for chunk in truth.chunks(part))


def summary(report: SplitReport, log: IssueLog, out: Path | None) -> str:
    """What the command prints: totals, a line a part, the classes that lie worst, what was left out."""
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
    lines += class_lines(report)
    if report.ids_as_text:
        lines.append(f"the rows have {IDS_AS_TEXT}")
    if log.left_out.counts:
        lines += ["left out or taken otherwise:", *log.left_out.lines()]
    return "\n".join(map(one_line, lines))


def class_lines(report: SplitReport) -> list[str]:
    """How the classes lie over the parts."""
    if not report.classes:
        return ["no labels in objects.ref: parts by chance alone"]
    rare = sum(each.rare for each in report.classes)
    lines = [f"{len(report.classes)} classes, {rare} of them too rare for their share in each part"]
    if report.missing_in_a_part:
        lines.append(f"{report.missing_in_a_part} classes are missing in a part, {report.missing_though_enough} of them with groups enough")
    if report.largest_deviation is not None:
        lines.append(f"largest deviation of a class from its share (rare ones aside): {report.largest_deviation:.2%}; groups by part:")
        width = max(len(each.label) for each in report.classes[:SHOWN])
        lines += [
            f"{each.deviation:>10.2%}  {each.label[:60]:<{min(width, 60)}}  {' + '.join(map(str, each.parts))} = {each.groups}"
            for each in report.classes[:SHOWN]
            if not each.rare
        ]
    return lines
