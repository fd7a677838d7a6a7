"""RefCOCO, RefCOCO+ and RefCOCOg as rows of the hubs -> a row for each sentence. Two schemas are in use, and their boxes differ:

* lmms: lmms-lab/RefCOCO, RefCOCOplus, RefCOCOg. The row holds its picture; `answer` has the phrases; `bbox` is x, y, WIDTH, HEIGHT as
  32-bit numbers. There is no train split, and val joins the val of unc (umd) and of google, so a question_id need not be unique.
* jxu124: jxu124/refcoco, refcocoplus, refcocog on Hugging Face, swift/refcoco, swift/refcocog on ModelScope (partition unc, umd). The row
  names its picture (coco/train2014/...); `sentences` has the phrases with their ids; `bbox` is x1, y1, X2, Y2. The hub's split
  `validation` is val in the column `split`, and `test` is testA (refcoco, refcoco+) or test (refcocog).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from groundswift.errors import fault
from groundswift.records import Row
from groundswift.storage import file_name

from ...base import Reading
from ...file_io.box_checks import ImageFolder, Seen, fitted_box
from ...file_io.embedded_images import HELD, HeldPicture, SavePictures, folder_to_keep, held_size_wh, kept_picture
from ...file_io.row_files import Sourced, read_rows
from ...issues import Issue, IssueLog
from ...prompts import Asking, asking
from ...tasks.conversation import number_of
from ...tasks.referring import TAGS, Picture, Referring, Sentence, SentenceOptions, Sentences, Task, first_there, tails
from .source import FOLDER

Schema = Literal["lmms", "jxu124"]
OF_A_REF = re.compile(r"^(COCO_[a-z]+\d{4}_\d{12})_\d+(\.\w+)$")  # a file_name that ends in the id of an annotation


class LmmsRow(msgspec.Struct):
    """A row of lmms-lab; `bbox` is x, y, width, height in px."""

    question_id: str
    answer: list[str]
    bbox: list[float]
    file_name: str | None = None
    image: HeldPicture | None = None


class HubSentence(msgspec.Struct):
    """`sent` is the phrase in small letters without marks."""

    sent_id: int
    sent: str


class Jxu124Row(msgspec.Struct):
    """A row of jxu124 or swift/refcoco; `bbox` is x1, y1, x2, y2 in px. `raw_image_info` is COCO's entry of the image as JSON."""

    ref_id: int
    sentences: list[HubSentence]
    bbox: list[float]
    image_path: str
    split: str | None = None
    raw_image_info: str | None = None
    image: HeldPicture | None = None


ROWS: dict[str, type[msgspec.Struct]] = {"lmms": LmmsRow, "jxu124": Jxu124Row}


class ImageInfo(msgspec.Struct):
    """Size in px."""

    width: Annotated[int, msgspec.Meta(ge=1)]
    height: Annotated[int, msgspec.Meta(ge=1)]


class RefcocoHubOptions(SentenceOptions, frozen=True, kw_only=True):
    """Turn rows of RefCOCO, RefCOCO+ or RefCOCOg from a hub into rows for swift: a phrase and its box, either asked for.

    SOURCE is .parquet, .jsonl or .json (a list). The schema says where the phrases are, and what a box is:

    \b
      lmms     lmms-lab/RefCOCO, RefCOCOplus, RefCOCOg: bbox is x, y, width, height; the row holds its picture
      jxu124   jxu124/refcoco..., swift/refcoco...: bbox is x1, y1, x2, y2; the row names its picture

    Pictures that rows hold are written to --save-pictures. Others lie in DIR: the folder of the pictures, or the one that holds
    train2014/ or coco/train2014/. Boxes come out as x1, y1, x2, y2 in pixels of the upright picture.

    \b
    sample_id, by schema (NAME is the name of SOURCE without its suffix, unless --name gives another):
      lmms     NAME/ROW/question_id/N, N the number of the phrase from 0
      jxu124   NAME/split/ref_id/sent_id; with --name refcoco/unc as the verb refcoco writes it

    Left out or changed, and counted: rows of other splits; blank phrases; blanks within a phrase are tidied; boxes that stick
    out of their image are cut at its border.

    Faults: a box that cannot be used; a phrase that holds one of swift's tags or a control character; a picture that is
    missing, unreadable or of another size; a repeated ref_id.

    \b
    Example:
      groundswift convert refcoco-hub val.parquet --schema lmms --save-pictures pictures/ --out val.jsonl
    """

    schema: Annotated[Schema, msgspec.Meta(description="Whose columns the rows have, see above.")]
    split: Annotated[
        str | None, msgspec.Meta(description="Only rows whose column split says so: train, val, test, testA, testB (jxu124).")
    ] = None
    name: Annotated[str | None, msgspec.Meta(description="What sample_id begins with.  [default: the name of SOURCE]")] = None
    save_pictures: SavePictures = None

    def read(self, log: IssueLog) -> Reading:
        if self.schema == "lmms" and self.save_pictures is None and self.images is None:
            expected = "--save-pictures, a folder to write them to (or --images, where the rows give a path instead)"
            raise fault(self.annotations, "rows of lmms-lab hold their pictures", expected)
        make = hub_maker(
            self.schema,
            self.task,
            Path(file_name(self.annotations)).stem if self.name is None else self.name,
            questions=self.questions(),
            sentences=self.sentences,
            seed=self.seed,
            split=self.split,
            pictures=self.pictures(),
            folder=folder_to_keep(self.save_pictures),
        )
        rows, total = read_rows(self.annotations, ROWS[self.schema])
        return Reading(refs_once(rows), make, total)


def refs_once(rows: Iterable[Sourced | Issue]) -> Iterator[Sourced | Issue]:
    """The rows, with a fault in the place of each whose ref_id has come before: its ids would not be unique."""
    seen: set[int] = set()
    for item in rows:
        if isinstance(item, Sourced) and isinstance(item.row, Jxu124Row):
            if item.row.ref_id in seen:
                yield Issue("ref id repeated", item.where, f"ref_id {item.row.ref_id} has come before", "each id once")
                continue
            seen.add(item.row.ref_id)
        yield item


class Named(msgspec.Struct):
    """What both schemas come to: `key` begins the ids, `name` is that of the picture, and `names` are those that it may have on a disk."""

    key: str
    sentences: list[Sentence]
    box_xyxy_px: tuple[float, float, float, float]
    name: str | None
    names: list[str]
    stated_wh: tuple[int, int] | None


class HubMaker(msgspec.Struct, frozen=True):
    """Makes the rows of one hub row. `name` begins their sample_id.

    `folder`: where pictures that rows hold are written; `pictures`: where others lie. Without either, rows come without images, for who
    has the picture to add it; its size is then that of the bytes in the row, or what the row states.
    """

    referring: Referring
    name: str
    split: str | None = None
    pictures: ImageFolder | None = None
    folder: str | None = None

    def __call__(self, item: Sourced, log: IssueLog) -> Iterator[Row]:
        where, row = item
        if self.split is not None and row.split != self.split:
            log.count(f"row of split {row.split}", where)
        elif len(row.bbox) != 4:
            log.add(Issue("box-length", where, f"bbox {row.bbox[:9]}", "4 numbers"))
        elif named := of_lmms(where, row, self.name) if isinstance(row, LmmsRow) else of_jxu124(where, row, self.name, log):
            picture = self.picture(where, row.image, named, log)
            box = picture and fitted_box(named.box_xyxy_px, picture.size_wh, where, log)
            if box:
                yield from self.referring.rows(named.key, named.sentences, box, picture, where, log)

    def picture(self, where: str, held: HeldPicture | None, named: Named, log: IssueLog) -> Picture | None:
        """The picture of a row; None, and a fault is noted, where it cannot be used."""
        if held is None or held.bytes is None:
            names = named.names or (tails(held.path) if held and held.path else [])
            return self.found(where, names, named, log)
        size_wh = held_size_wh(held.bytes, where, log)
        if size_wh is None:
            return None
        if named.stated_wh not in (None, size_wh):
            stated, seen = (f"{width}x{height} px" for width, height in (named.stated_wh, size_wh))
            log.add(Issue("image of another size", where, f"annotated as {stated}, but the picture is {seen}", "one size"))
            return None
        if self.folder is None and self.pictures is None:
            return Picture(None, size_wh)
        if self.folder is None:
            log.add(Issue(HELD, where, "the row holds its picture, and swift reads files", "--save-pictures DIR"))
            return None
        name = named.name or os.path.basename(held.path or "") or f"{self.name}/{number_of(where)}"
        path = kept_picture(self.folder, name, held.bytes, where, log)
        return None if path is None else Picture(path, size_wh)

    def found(self, where: str, names: list[str], named: Named, log: IssueLog) -> Picture | None:
        """The picture of a row that names it."""
        if self.pictures is None:
            return Picture(None, named.stated_wh)
        if not names:
            log.add(Issue("image missing", where, "neither bytes nor a name in the row's image", "a picture"))
            return None
        found: Seen | None = self.pictures.find(first_there(self.pictures, names), where, log, named.stated_wh)
        return None if found is None else Picture(found.path, found.size_wh)


def hub_maker(
    schema: Schema,
    task: Task,
    name: str,
    *,
    questions: Asking | None = None,
    sentences: Sentences = "all",
    seed: int = 0,
    split: str | None = None,
    pictures: ImageFolder | None = None,
    folder: str | None = None,
) -> HubMaker:
    """The maker of rows of a schema (ROWS has their struct); `questions` default to the first English one of the task."""
    if schema not in ROWS:
        raise fault(f"schema {schema!r}", "unknown", " or ".join(ROWS))
    if schema == "lmms" and split is not None:
        raise fault(f"split {split}", "rows of lmms-lab have no column split, a file is of one", "--split with jxu124 only")
    questions = questions or asking(task, "en", None, 0, False, tags=[TAGS[task]])
    return HubMaker(Referring(task, questions, sentences, seed), name, split, pictures, folder)


def of_lmms(where: str, row: LmmsRow, name: str) -> Named:
    """A row of lmms-lab. Its key has the number of the row, because question_id need not be unique."""
    x, y, width, height = map(shortest, row.bbox)
    return Named(
        key="/".join(filter(None, [name, number_of(where), row.question_id])),
        sentences=[Sentence(index, text) for index, text in enumerate(row.answer)],
        box_xyxy_px=(x, y, x + width, y + height),
        name=row.file_name and plain_name(row.file_name),
        names=names_of(row.file_name) if row.file_name else [],
        stated_wh=None,
    )


def plain_name(file_name: str) -> str:
    """A file_name without the id of an annotation: the picture's own, which many refs may share."""
    return OF_A_REF.sub(r"\1\2", file_name)


def names_of(file_name: str) -> list[str]:
    """The possible names of a picture: its own, in COCO's folders, and the one with the id of an annotation."""
    plain = plain_name(file_name)
    return tails(f"{FOLDER}/{plain}") + ([file_name] if file_name != plain else [])


def of_jxu124(where: str, row: Jxu124Row, name: str, log: IssueLog) -> Named | None:
    """A row of jxu124; None, and a fault is noted, where it states no size that could be one."""
    stated_wh = None
    if row.raw_image_info is not None:
        try:
            info = msgspec.json.decode(row.raw_image_info, type=ImageInfo)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            log.add(Issue("size unreadable", where, f"raw_image_info: {error}", "JSON with the width and height of the image"))
            return None
        stated_wh = (info.width, info.height)
    return Named(
        key="/".join(filter(None, [name, row.split, str(row.ref_id)])),
        sentences=[Sentence(each.sent_id, each.sent) for each in row.sentences],
        box_xyxy_px=tuple(row.bbox),
        name=row.image_path,
        names=tails(row.image_path),
        stated_wh=stated_wh,
    )


def shortest(value: float) -> float:
    """166.6699981689453 -> 166.67: the shortest number that is the same in 32 bits, for one that was stored in them."""
    with np.errstate(over="ignore"):
        narrow = np.float32(value)
    return float(str(narrow)) if float(narrow) == value else value
