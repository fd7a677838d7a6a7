"""An image and its text in each row -> rows: captions, OCR, formulas as LaTeX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from groundswift.csv_files import csv_records
from groundswift.errors import error_at
from groundswift.records import IMAGE, Message, Row
from groundswift.urls import file_name, shown
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, AskingOptions, Reading
from ..file_io.box_checks import FoundImage
from ..file_io.embedded_images import EmbeddedImage, SaveImages
from ..file_io.row_files import NO_ROW, Sourced, read_rows
from ..issues import Issue, IssueLog, skip
from ..prompts import Asking
from ..tasks.conversation import ImageRowMaker, check_texts, conversation_row, find_or_save, numbered_id

Task = Literal["caption", "ocr", "latex_ocr"]


class ImageText(msgspec.Struct):
    """One row. `image`: a path, or the image itself as {bytes, path}."""

    image: Any
    text: Any


class ImageTextOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn rows of an image and its text into rows: a question of the task, answered by the text.

    SOURCE is JSON Lines, a JSON list, Parquet, or CSV with a header line. The image column holds a path, which starts at DIR
    unless it is absolute, or the image itself ({bytes, path}), which is written to --save-images. Several rows may have
    the same image. sample_id is the name of SOURCE and the number of the row or line: train/7.

    \b
    Example:
      groundswift convert image-text captions.csv --image-column file --text-column caption --images photos/ --out train.jsonl
    """

    name, summary = "image-text", "Images with one text each."
    reads, writes = "an image and its text per row: CSV, JSON, JSONL, Parquet", "captions, OCR, LaTeX"
    EXAMPLE = {"captions.csv": "file,caption\na.jpg,A cat.\n", "photos/a.jpg": EXAMPLE_IMAGE}

    save_images: SaveImages = None
    image_column: Annotated[str, msgspec.Meta(description="Column of the image.")] = "image"
    text_column: Annotated[str, msgspec.Meta(description="Column of the text.")] = "text"
    task: Annotated[Task, msgspec.Meta(description="What is asked for.")] = "caption"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        make = ImageTextMaker.of(self, questions=self.asking(self.task))
        if self.image_column == self.text_column:
            raise error_at(self.annotations, f"image and text both in column {self.text_column!r}", "two columns")
        if file_name(self.annotations).lower().endswith(".csv"):
            return Reading(csv_rows(self.annotations, self.image_column, self.text_column), make)
        rows, total = typed_rows(self.annotations, self.image_column, self.text_column)
        return Reading(rows, make, total)


class LatexOcrOptions(ImageTextOptions, frozen=True, kw_only=True):
    """Turn rows of LaTeX-OCR into rows: an image of a formula, answered by its LaTeX.

    SOURCE is a Parquet file of AI-ModelScope/LaTeX_OCR (linxy/LaTeX_OCR), whose columns are image and text, or any other
    file that `convert image-text` reads; everything else is as there.

    \b
    Example:
      groundswift convert latex-ocr train-00000-of-00001.parquet --save-images formulas/ --out train.jsonl
    """

    name, summary = "latex-ocr", "LaTeX-OCR."
    reads, writes = "LaTeX-OCR: rows of the hubs", "formulas as LaTeX"
    EXAMPLE = {"train-00000-of-00001.parquet": [{"image": {"bytes": EXAMPLE_IMAGE, "path": "a.png"}, "text": "x^2"}]}

    task: Annotated[Task, msgspec.Meta(description="What is asked for.")] = "latex_ocr"


class ImageTextMaker(ImageRowMaker, frozen=True, kw_only=True):
    """Makes the row of one image and its text."""

    questions: Asking

    def row(self, where: str, source: ImageText, log: IssueLog) -> Row:
        text, sample_id = source.text, numbered_id(self.source, where)
        if not isinstance(text, str) or not text.strip():
            raise skip("text-empty", where, f"text {repr(text)[:200]}", "a text")
        prompt = self.questions.pick(sample_id)
        messages = [Message("user", f"{IMAGE}{prompt.text}"), Message("assistant", text)]
        check_texts(where, messages[1:], [], True, log)
        return conversation_row(messages, self.images_of(where, source.image, sample_id, log), sample_id, prompt.name)

    def images_of(self, where: str, image: Any, sample_id: str, log: IssueLog) -> list[FoundImage]:
        """Its image. Raises SkipSample where it cannot be used."""
        if isinstance(image, bytes):
            image = EmbeddedImage(image)
        elif not isinstance(image, str) or not image:
            try:
                image = msgspec.convert(image, EmbeddedImage)
            except msgspec.ValidationError:
                raise skip("image-missing", where, f"image {str(image)[:100]!r}", "a path, or the image: {bytes, path}") from None
        return [find_or_save(self.images, self.saved, image, sample_id, where, log)]


def typed_rows(path: str, image: str, text: str) -> tuple[Iterator[Sourced | Issue], int | None]:
    """(the rows of a file with these two columns, how many)."""
    columns = msgspec.defstruct("Columns", [("image", Any), ("text", Any)], rename={"image": image, "text": text})
    rows, total = read_rows(path, columns)
    plain = (row if isinstance(row, Issue) else Sourced(row.where, ImageText(row.row.image, row.row.text)) for row in rows)
    return plain, total


def csv_rows(path: str, image: str, text: str) -> Iterator[Sourced | Issue]:
    """The rows of a CSV file in UTF-8 whose first line names the columns. Raises GroundswiftError where it has no such columns."""
    records, path = csv_records(path, "CSV in UTF-8: comma-separated fields, quotation marks that are closed", multiline=True), shown(path)
    _, names = next(records, (1, []))
    for column in (image, text):
        if names.count(column) != 1:
            expected = f"a first line that names the columns {image} and {text} (--image-column, --text-column)"
            raise error_at(f"{path}:1", f"{names.count(column)} columns named {column!r} among {', '.join(names) or 'none'}", expected)
    at = names.index(image), names.index(text)
    return (
        Sourced(f"{path}:{line}", ImageText(*(values[index] for index in at)))
        if len(values) == len(names)
        else Issue(NO_ROW, f"{path}:{line}", f"{len(values)} fields", f"{len(names)}, as in the first line")
        for line, values in records
    )
