"""ODGT (JSON Lines of CrowdHuman) -> detection rows."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import msgspec

from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, Reading, images_option
from ..file_io.label_files import Stems
from ..file_io.row_files import read_rows
from ..issues import IssueLog
from ..tasks.label_files import LabelOptions, labels_reading
from ..tasks.labelled_image import Box, Label, LabelledImage, not_a_label
from ..tasks.row_labels import add_labels, labelled_rows

MASK, IGNORED = "odgt-mask", "odgt-ignored"


class Marks(msgspec.Struct):
    """What a box is marked with."""

    ignore: int = 0


class GtBox(msgspec.Struct):
    """A person; each box is x, y, width, height in px."""

    tag: str
    fbox: Box | None = None
    vbox: Box | None = None
    hbox: Box | None = None
    extra: Marks | None = None
    head_attr: Marks | None = None


class Line(msgspec.Struct):
    """A line of the file. `ID` is the name of the image without its suffix."""

    id: str = msgspec.field(name="ID")
    gtboxes: list[GtBox]


class OdgtOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn ODGT, the format of CrowdHuman, into rows: a question for all classes, for one class each, or for those present.

    SOURCE has a line for each image: its ID, and gtboxes with tag, fbox (full body, also where it is hidden), vbox (its visible
    part) and hbox (head); --box says which is used. The image of an ID is found in DIR and the folders below; if DIR is on the
    web, which cannot be listed, it is DIR/<ID>.jpg. Sizes are read from the images, with --no-check-images too.

    The class is the tag, with --box hbox it is head. Objects with extra.ignore (of hbox: or head_attr.ignore) are treated as crowd
    boxes of their class, masks (drawings, reflections, crowds) as crowd boxes of person or head, in --coco-out too; both are counted.
    A full body reaches beyond its image: it is clipped and counted.

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Classes are those of --categories, else all tags, sorted. Rows, order and what is
    skipped are as with coco.

    \b
    Example:
      groundswift convert odgt annotation_val.odgt --images Images/ --box vbox --out val.jsonl --coco-out val.json
    """

    name, summary = "odgt", "ODGT (CrowdHuman)."
    reads, writes = "ODGT of CrowdHuman: full, visible or head boxes", "detection"
    issues = {MASK: "mask (no person, or many), treated as a crowd box", IGNORED: "ODGT object marked ignore, treated as a crowd box"}
    EXAMPLE = {
        "annotation_val.odgt": (
            '{"ID": "273271,c9db000d5146c15", "gtboxes": [{"tag": "person", "fbox": [1, 1, 3, 4], "vbox": [1, 1, 3, 3], '
            '"hbox": [1, 1, 1, 1], "extra": {"box_id": 0, "occ": 1}, "head_attr": {"ignore": 0, "occ": 0, "unsure": 0}}]}\n'
        ),
        "Images/273271,c9db000d5146c15.jpg": EXAMPLE_IMAGE,
    }

    images: Annotated[str | None, images_option("the folder of SOURCE")] = None
    box: Annotated[Literal["fbox", "vbox", "hbox"], msgspec.Meta(description="Full body, its visible part, or head.")] = "fbox"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        images = self.image_folder(needed=True)
        stems = Stems(images.folder, ".jpg")
        rows, _ = read_rows(self.annotations, Line)
        met: dict[str, int] = {}
        found = list(labelled_rows(rows, partial(labelled, kind=self.box, stems=stems, met=met, log=log), log))
        return labels_reading(found, list(met), self, images, pool, log, sorted(met))


def labelled(where: str, line: Line, kind: str, stems: Stems, met: dict[str, int], log: IssueLog) -> LabelledImage | None:
    """The image of a line with its labels; classes go to `met`. None, logged, where two images have its name."""
    name = stems.name(line.id, where, log)
    if name is None:
        return None
    return add_labels(LabelledImage(name), line.gtboxes, f"{where}: gtbox", partial(label_of, kind=kind, met=met, log=log), log)


def label_of(each: GtBox, where: str, kind: str, met: dict[str, int], log: IssueLog) -> Label:
    """The label of a box of a kind. Raises SkipSample where it has none."""
    mask, marks = each.tag == "mask", each.head_attr if kind == "hbox" else each.extra
    box = each.fbox if mask else getattr(each, kind)
    if box is None or not each.tag.strip():
        raise not_a_label(where, f"no {'fbox' if mask else kind}" if box is None else "empty tag", "a tag, and x, y, width, height in px")
    ignored = not mask and any(one.ignore for one in (marks, each.extra) if one)
    if mask or ignored:
        log.count(MASK if mask else IGNORED, where)
    name = "head" if kind == "hbox" else "person" if mask else each.tag
    return Label(where, met.setdefault(name, len(met)), box, mask or ignored)
