"""RefCOCO, RefCOCO+ and RefCOCOg as rows of the hubs -> a row for each sentence. Two schemas are in use, and their boxes differ:

* lmms-lab: `bbox` is x, y, WIDTH, HEIGHT as 32-bit numbers. A train split does not exist, and val joins the val of unc (umd) and of google,
  so a question_id need not be unique.
* jxu124, and swift on ModelScope (partition unc, umd): `bbox` is x1, y1, X2, Y2. The hub's split `validation` is val in the column `split`,
  and `test` is testA (refcoco, refcoco+) or test (refcocog).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from groundswift.errors import error_at
from groundswift.records import Row
from groundswift.urls import file_name
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading
from ...file_io.box_checks import FoundImage, ImageFolder, fitted_box
from ...file_io.embedded_images import EmbeddedImage, SaveImages, embedded_size_wh, folder_to_save
from ...file_io.row_files import Sourced, read_rows
from ...issues import Issue, IssueLog, skip
from ...tasks.conversation import RowMaker, row_number, save_image
from ...tasks.referring import Referring, Sentence, SentenceOptions, first_existing, path_tails
from .source import FOLDER, RefSentence

Schema = Literal["lmms", "jxu124"]
OF_A_REF = re.compile(r"^(COCO_[a-z]+\d{4}_\d{12})_\d+(\.\w+)$")  # a file_name that ends in the id of an annotation


class LmmsRow(msgspec.Struct):
    """A row of lmms-lab; `bbox` is x, y, width, height in px."""

    question_id: str
    answer: list[str]
    bbox: list[float]
    file_name: str | None = None
    image: EmbeddedImage | None = None


class Jxu124Row(msgspec.Struct):
    """A row of jxu124 or swift/refcoco; `bbox` is x1, y1, x2, y2 in px. `raw_image_info` is COCO's entry of the image as JSON."""

    ref_id: int
    sentences: list[RefSentence]
    bbox: list[float]
    image_path: str
    split: str | None = None
    raw_image_info: str | None = None
    image: EmbeddedImage | None = None


ROWS: dict[str, type[msgspec.Struct]] = {"lmms": LmmsRow, "jxu124": Jxu124Row}


class ImageInfo(msgspec.Struct):
    """Size in px."""

    width: Annotated[int, msgspec.Meta(ge=1)]
    height: Annotated[int, msgspec.Meta(ge=1)]


class RefcocoHubOptions(SentenceOptions, frozen=True, kw_only=True):
    """Turn rows of RefCOCO, RefCOCO+ or RefCOCOg from a hub into swift rows that ask for the box of a phrase, or for the phrase of a box.

    SOURCE is .parquet, .jsonl or .json (a list). The schema says where the phrases are, and what a box is:

    \b
      lmms     lmms-lab/RefCOCO, RefCOCOplus, RefCOCOg: bbox is x, y, width, height; the row holds its image
      jxu124   jxu124/refcoco..., swift/refcoco...: bbox is x1, y1, x2, y2; the row names its image

    Images that rows hold are written to --save-images. Others are in DIR: the folder of the images, or the one that contains
    train2014/ or coco/train2014/. Boxes come out as x1, y1, x2, y2 in pixels of the upright image.

    \b
    sample_id, by schema (NAME is the name of SOURCE without its suffix, unless --name gives another):
      lmms     NAME/ROW/question_id/N, N the number of the phrase from 0
      jxu124   NAME/split/ref_id/sent_id; with --name refcoco/unc as the subcommand refcoco writes it

    Dropped or changed, and counted: rows of other splits; blank phrases; whitespace within a phrase is normalized; boxes that
    extend beyond their image are clipped.

    \b
    Example:
      groundswift convert refcoco-hub val.parquet --schema lmms --save-images images/ --out val.jsonl
    """

    name, summary = "refcoco-hub", "RefCOCO, RefCOCO+, RefCOCOg of the hubs."
    reads = "RefCOCO, RefCOCO+, RefCOCOg: rows of lmms-lab or jxu124 (swift/refcoco), Parquet, JSONL, JSON"
    writes = "referring (find), describing"
    EXAMPLE = {
        "val.parquet": [
            {"question_id": "1001", "image": {"bytes": EXAMPLE_IMAGE, "path": "a.png"}, "answer": ["the cat"], "bbox": [1.0, 1.0, 3.0, 4.0]}
        ]
    }

    schema: Annotated[Schema, msgspec.Meta(description="The columns of the rows, see above.")]
    split: Annotated[str | None, msgspec.Meta(description="Only rows with this split: train, val, test, testA, testB (jxu124).")] = None
    id_prefix: Annotated[str | None, msgspec.Meta(description="First part of sample_id.  [default: the name of SOURCE]")] = msgspec.field(
        default=None, name="name"
    )
    save_images: SaveImages = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        if self.schema == "lmms" and self.save_images is None and self.images is None:
            expected = "--save-images, a folder to write them to (or --images, where the rows give a path instead)"
            raise error_at(self.annotations, "rows of lmms-lab hold their images", expected)
        if self.schema == "lmms" and self.split is not None:
            raise error_at(f"split {self.split}", "rows of lmms-lab have no column split, each file is a split", "--split with jxu124 only")
        referring = Referring(self.task, self.questions(), self.sentences, self.seed)
        name = Path(file_name(self.annotations)).stem if self.id_prefix is None else self.id_prefix
        make = HubMaker(referring, name, self.split, self.image_folder(), folder_to_save(self.save_images))
        rows, total = read_rows(self.annotations, ROWS[self.schema])
        return Reading(refs_once(rows), make, total)


def refs_once(rows: Iterable[Sourced | Issue]) -> Iterator[Sourced | Issue]:
    """The rows, with an Issue in place of each whose ref_id came before: its ids would not be unique."""
    seen: set[int] = set()
    for item in rows:
        if isinstance(item, Sourced) and isinstance(item.row, Jxu124Row):
            if item.row.ref_id in seen:
                yield Issue("ref-id-repeated", item.where, f"duplicate ref_id {item.row.ref_id}", "each id once")
                continue
            seen.add(item.row.ref_id)
        yield item


class HubRef(msgspec.Struct):
    """A row of either schema: `key` begins the ids, `name` is that of the image, and `names` are those that its file may have."""

    key: str
    sentences: Sequence[Sentence | RefSentence]
    box_xyxy_px: tuple[float, float, float, float]
    name: str | None
    names: list[str]
    stated_wh: tuple[int, int] | None


class HubMaker(RowMaker, frozen=True):
    """Makes the rows of one hub row. `name` begins their sample_id.

    `saved`: the folder that images of rows are written to; `images`: the folder of others. Without either, rows come without images, to be
    added by the caller; the size is then that of the bytes in the row, or what the row states.
    """

    referring: Referring
    name: str
    split: str | None = None
    images: ImageFolder | None = None
    saved: str | None = None

    def rows(self, where: str, source: LmmsRow | Jxu124Row, log: IssueLog) -> Iterable[Row]:
        if self.split is not None and source.split != self.split:
            log.count("row-other-split", f"{where}: {source.split}")
            return []
        if len(source.bbox) != 4:
            raise skip("box-length", where, f"bbox {source.bbox[:9]}", "4 numbers")
        ref = (of_lmms if isinstance(source, LmmsRow) else of_jxu124)(where, source, self.name)
        image = self.image(where, source.image, ref, log)
        box = image and fitted_box(ref.box_xyxy_px, image.size_wh, where, log)
        return self.referring.rows(ref.key, ref.sentences, box, image, where, log) if box else []

    def image(self, where: str, held: EmbeddedImage | None, ref: HubRef, log: IssueLog) -> FoundImage | None:
        """The image of a row; None, and an issue is logged, where it cannot be used."""
        if held is None or held.bytes is None:
            return self.find(where, ref.names or (path_tails(held.path) if held and held.path else []), ref, log)
        if self.saved is None and self.images is None:
            size_wh = embedded_size_wh(held.bytes, where, log)
            return size_wh and FoundImage(None, size_wh)
        name = ref.name or os.path.basename(held.path or "") or f"{self.name}/{row_number(where)}"
        return save_image(held.bytes, self.saved, name, where, log, ref.stated_wh)

    def find(self, where: str, names: list[str], ref: HubRef, log: IssueLog) -> FoundImage | None:
        """The image of a row that names it."""
        if self.images is None:
            return FoundImage(None, ref.stated_wh)
        if not names:
            raise skip("image-missing", where, "neither bytes nor a name in the row's image", "an image")
        return self.images.find(first_existing(self.images, names), where, log, ref.stated_wh)


def of_lmms(where: str, row: LmmsRow, name: str) -> HubRef:
    """A row of lmms-lab. Its key has the number of the row, because question_id need not be unique."""
    x, y, width, height = map(shortest, row.bbox)
    plain = row.file_name and OF_A_REF.sub(r"\1\2", row.file_name)  # the image's own name, which many refs may share
    return HubRef(
        key="/".join(filter(None, [name, row_number(where), row.question_id])),
        sentences=[Sentence(index, text) for index, text in enumerate(row.answer)],
        box_xyxy_px=(x, y, x + width, y + height),
        name=plain,
        names=[*path_tails(f"{FOLDER}/{plain}"), *({row.file_name} - {plain})] if plain else [],
        stated_wh=None,
    )


def of_jxu124(where: str, row: Jxu124Row, name: str) -> HubRef:
    """A row of jxu124. Raises SkipSample where the size that it states is malformed."""
    stated_wh = None
    if row.raw_image_info is not None:
        try:
            info = msgspec.json.decode(row.raw_image_info, type=ImageInfo)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise skip("size-unreadable", where, f"raw_image_info: {error}", "JSON with the width and height of the image") from None
        stated_wh = (info.width, info.height)
    return HubRef(
        key="/".join(filter(None, [name, row.split, str(row.ref_id)])),
        sentences=row.sentences,
        box_xyxy_px=tuple(row.bbox),
        name=row.image_path,
        names=path_tails(row.image_path),
        stated_wh=stated_wh,
    )


def shortest(value: float) -> float:
    """166.6699981689453 -> 166.67: the shortest number that is the same in 32 bits, for one that was stored in them."""
    with np.errstate(over="ignore"):
        narrow = np.float32(value)
    return float(str(narrow)) if float(narrow) == value else value
