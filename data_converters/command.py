"""`groundswift convert`: a verb per source format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec

from groundswift.errors import GroundswiftError, Tally
from groundswift.records import Row, encode_row
from groundswift.writing import write_whole

from .coco import ORDERS, CocoOptions, rows_of_coco_file
from .prompts import DETECT_ALL


class Totals(msgspec.Struct):
    """What came out of a conversion; `negatives` are rows without objects, `counts` what was left out or changed, by reason."""

    rows: int = 0
    objects: int = 0
    negatives: int = 0
    counts: dict[str, int] = {}
    out: str | None = None


class Negatives(click.ParamType):
    """keep, drop, or a whole number from 0."""

    name = "keep|drop|N"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> str | int:
        text = str(value)
        if text in ("keep", "drop"):
            return text
        if text.isascii() and text.isdigit():
            return int(text)
        self.fail(f"{text!r}: expected keep, drop or a whole number from 0", param, context)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def convert() -> None:
    """Turn an annotation file into rows for swift: one verb per format."""


@convert.command()
@click.argument("annotations", metavar="ANN.json", type=click.Path(path_type=Path))
@click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the pictures.  [default: the folder of ANN.json]")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The JSONL file to write; it appears whole or not at all.")
@click.option("--prompt", default=DETECT_ALL, show_default=True, help="The question; {categories} stands for all names, comma-separated.")
@click.option("--order", type=click.Choice(list(ORDERS)), default="category", show_default=True, help="Order of the boxes, see above.")
@click.option("--negatives", type=Negatives(), default="keep", show_default=True, help="Images without annotations; N keeps at most N.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which ones --negatives N keeps.")
@click.option("--on-error", type=click.Choice(["stop", "skip"]), default="stop", show_default=True, help="What to do about faults.")
@click.option("--check-images/--no-check-images", default=True, help="Whether to look at the pictures, or take sizes from ANN.json.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images of the file.")
@click.option("--dry-run", is_flag=True, help="Check and count; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
def coco(annotations: Path, images: Path | None, out: Path | None, dry_run: bool, as_json: bool, **options: object) -> None:
    """Turn a COCO instance file into rows: one question and answer per image.

    Boxes are x1, y1, x2, y2 in pixels of the upright picture (EXIF orientation applied). A row keeps its image's id as
    sample_id, and size_wh. Picture paths are absolute. A category name that holds a comma, a double quote or a line break
    stands in the prompt as a JSON string, and as it is in the answer.

    \b
    Order of the boxes in an answer (equal ones: as in the file):
      category    order of the categories in the file, then top edge, then left edge
      reading     top edge, then left edge, then order of the categories
      annotation  as in the file

    Left out and counted: crowd boxes (no targets); images with crowd boxes only (they are not empty, so no negatives
    either). Boxes that stick out of their image are cut at its border and counted.

    Faults: an unknown image or category, a box that is inverted, empty, not finite or outside its image, a repeated
    annotation id; a picture that is missing, unreadable, of another size or outside DIR. All are collected and told, and
    nothing is written; --on-error skip leaves them out and counts them (of annotations that share an id, the first stays).
    An image that loses all its annotations so is left out too. Repeated image ids, category ids or names always stop.

    \b
    Example:
      groundswift convert coco annotations.json --images images/ --out train.jsonl --negatives 500
    """
    if not dry_run and out is None:
        raise click.UsageError("Missing option '--out' (or --dry-run).")
    if out is not None and os.path.realpath(out) == os.path.realpath(annotations):
        raise GroundswiftError(f"{out}: this is the annotation file; expected another file to write")
    tally, totals = Tally(), Totals()
    rows = counted(rows_of_coco_file(annotations, images, CocoOptions(**options), tally), totals)
    if dry_run:
        for _ in rows:
            pass
    else:
        write_whole(out, map(encode_row, rows))
        totals.out = str(out)
    totals.counts = dict(tally.counts.most_common())
    click.echo(msgspec.json.encode(totals).decode() if as_json else summary(totals, tally))


def counted(rows: Iterable[Row], totals: Totals) -> Iterator[Row]:
    """The rows, added up as they pass."""
    for row in rows:
        found = len(row.objects.ref)
        totals.rows += 1
        totals.objects += found
        totals.negatives += not found
        yield row


def summary(totals: Totals, tally: Tally) -> str:
    """What a conversion prints: totals, then what was left out or changed, a line a reason."""
    head = f"{totals.rows} rows, {totals.objects} objects, {totals.negatives} rows without objects"
    lines = [f"{head} -> {totals.out}" if totals.out else f"{head}; nothing written (--dry-run)"]
    if tally.counts:
        lines += ["left out or changed:", *tally.lines()]
    return "\n".join(lines)
