"""Rows of hub datasets with embedded images -> swift rows without the image, which the caller adds.

* COCO as detection-datasets/coco (AI-ModelScope/coco) has it: `objects` with `category`, an index from 0, and `bbox` as x1, y1, x2, y2 in
  pixels, unlike COCO's own files. `image_id` is COCO's, so answers can be evaluated with COCO's own annotation file.
* An image and its text: LaTeX-OCR (linxy/LaTeX_OCR), captions (modelscope/coco_2014_caption, several joined by `&&`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from groundswift.data_converters.file_io.box_checks import FoundImage, fitted_box
from groundswift.data_converters.file_io.row_files import Sourced
from groundswift.data_converters.file_io.row_images import RowImages
from groundswift.data_converters.formats.image_text import ImageText, ImageTextMaker
from groundswift.data_converters.issues import Issue, IssueLog
from groundswift.data_converters.prompts import Asking, asking, check_names, filled
from groundswift.data_converters.tasks.detection import listed
from groundswift.data_converters.tasks.image_objects import ORDERS
from groundswift.records import Row, detection_row, whole

CAPTIONS_PART = "&&"


class HubObjects(msgspec.Struct):
    """The objects of an image as columns."""

    category: list[int]
    bbox: list[list[float]]


class HubCocoRow(msgspec.Struct):
    """An image of COCO; `width` and `height` in px."""

    image_id: int
    width: int
    height: int
    objects: HubObjects


class HubDetectionMaker(msgspec.Struct, frozen=True):
    """Makes the row of one image: all classes in one question, boxes in the order of the classes. sample_id is COCO's image id."""

    names: list[str]
    questions: Asking

    def __call__(self, item: Sourced, log: IssueLog) -> Iterator[Row]:
        where, row = item
        size_wh, objects = (row.width, row.height), row.objects
        if len(objects.category) != len(objects.bbox):
            what = f"{len(objects.category)} categories and {len(objects.bbox)} boxes"
            log.add(Issue("columns-differ", where, what, "one of each for an object"))
            return
        placed = []
        for index, (category, box) in enumerate(zip(objects.category, objects.bbox, strict=True)):
            thing = f"{where}, object {index}"
            if not 0 <= category < len(self.names):
                log.add(Issue("category-unknown", thing, f"category {category}", f"0 to {len(self.names) - 1}"))
            elif len(box) != 4:
                log.add(Issue("box-length", thing, f"bbox {box}", "x1, y1, x2, y2"))
            elif (fitted := fitted_box(box, size_wh, thing, log)) is not None:
                placed.append((category, *fitted))
        if objects.bbox and not placed:
            log.count("image-all-skipped", where)
            return
        placed.sort(key=ORDERS["category"])
        prompt = self.questions.pick(row.image_id)
        question = filled(prompt.text, {"categories": listed(self.names)})
        labels, boxes = [self.names[category] for category, *_ in placed], [box for _, *box in placed]
        made = detection_row(row.image_id, "", size_wh, question, labels, [list(map(whole, box)) for box in boxes], prompt.name)
        yield msgspec.structs.replace(made, images=[])


def detection_maker(names: list[str]) -> HubDetectionMaker:
    """For images whose classes have these names. Raises GroundswiftError where one holds one of swift's tags."""
    check_names(names)
    return HubDetectionMaker(names, asking("detect", "en", None, 0, False, ["categories"]))


class HubTextRow(msgspec.Struct):
    """What belongs to an image: a formula, or captions."""

    text: str | None = None
    caption: str | None = None


class HubTextMaker(ImageTextMaker, frozen=True, kw_only=True):
    """The maker of `groundswift convert image-text`, for rows whose image the caller adds.

    sample_id is the name of the set and the number of the row: latex-ocr-print/test/7.
    """

    def images_of(self, where: str, image: Any, sample_id: str, log: IssueLog) -> list[FoundImage]:
        return []

    def row(self, where: str, source: HubTextRow, log: IssueLog) -> Row:
        text = source.text if source.text is not None else (source.caption or "").split(CAPTIONS_PART)[0]
        return msgspec.structs.replace(super().row(where, ImageText(None, text), log), sample_id=where)


def text_maker(task: str) -> HubTextMaker:
    """For images with a text; `task`: latex_ocr or caption."""
    return HubTextMaker(images=RowImages(""), source="", questions=asking(task, "en", None, 0, False))


def typed(where: str, values: dict[str, Any], row_type: type[msgspec.Struct]) -> Sourced | Issue:
    """A row of a hub as a struct, or an issue where it does not fit."""
    try:
        return Sourced(where, msgspec.convert(values, row_type))
    except msgspec.ValidationError as error:
        return Issue("row-unreadable", where, f"not a row: {error}", "the columns of this dataset")
