"""A picture and its text in each row -> rows: captions, text in pictures, formulas as LaTeX."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from groundswift.errors import GroundswiftError, fault
from groundswift.records import IMAGE, Message, Row
from groundswift.storage import file_name, local_copy, shown

from ..base import AskingOptions, Reading
from ..file_io.box_checks import Seen
from ..file_io.embedded_images import HeldPicture, SavePictures, folder_to_keep
from ..file_io.row_files import NO_ROW, Sourced, read_rows
from ..file_io.row_images import RowPictures
from ..issues import Issue, IssueLog, SkipSample
from ..prompts import Asking
from ..tasks.conversation import ConversationMaker, check_texts, finished, numbered, own_picture

Task = Literal["caption", "ocr", "latex_ocr"]
LONGEST_FIELD = 1 << 26  # characters of a field of CSV; a longer one is a quote that was never closed


class PictureText(msgspec.Struct):
    """One row. `image`: a path, or the picture itself as {bytes, path}."""

    image: Any
    text: Any


class ImageTextOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn rows of a picture and its text into rows: a question of the task, answered by the text.

    SOURCE is JSON Lines, a JSON list, Parquet, or CSV with a line of names. The column of the picture holds a path, which
    starts at DIR unless it is absolute, or the picture itself ({bytes, path}), which is written to --save-pictures. A picture
    may stand in any number of rows. sample_id is the name of SOURCE and the number of the row or line: train/7.

    Faults: a row without picture or text, a blank text, one of swift's placeholders in it; a picture that is missing,
    unreadable or leaves DIR.

    \b
    Example:
      groundswift convert image-text captions.csv --image-column file --text-column caption --images photos/ --out train.jsonl
    """

    save_pictures: SavePictures = None
    image_column: Annotated[str, msgspec.Meta(description="Column of the picture.")] = "image"
    text_column: Annotated[str, msgspec.Meta(description="Column of the text.")] = "text"
    task: Annotated[Task, msgspec.Meta(description="What is asked for.")] = "caption"

    def read(self, log: IssueLog) -> Reading:
        saved = folder_to_keep(self.save_pictures)
        make = PictureTextMaker(RowPictures(self.pictures()), saved, self.annotations, self.asking(self.task))
        if self.image_column == self.text_column:
            raise fault(self.annotations, f"picture and text both in column {self.text_column!r}", "two columns")
        if file_name(self.annotations).lower().endswith(".csv"):
            return Reading(csv_rows(self.annotations, self.image_column, self.text_column), make)
        rows, total = typed_rows(self.annotations, self.image_column, self.text_column)
        return Reading(rows, make, total)


class LatexOcrOptions(ImageTextOptions, frozen=True, kw_only=True):
    """Turn rows of LaTeX-OCR into rows: a picture of a formula, answered by its LaTeX.

    SOURCE is a Parquet file of AI-ModelScope/LaTeX_OCR (linxy/LaTeX_OCR), whose columns are image and text, or any other
    file that `convert image-text` reads; all else is as there.

    \b
    Example:
      groundswift convert latex-ocr train-00000-of-00001.parquet --save-pictures formulas/ --out train.jsonl
    """

    task: Annotated[Task, msgspec.Meta(description="What is asked for.")] = "latex_ocr"


class PictureTextMaker(ConversationMaker, frozen=True):
    """Makes the row of one picture and text. Pictures that rows hold are written to `saved`."""

    pictures: RowPictures
    saved: str | None
    source: str
    questions: Asking

    def row(self, where: str, source: PictureText, log: IssueLog) -> Row:
        text, sample_id = source.text, numbered(self.source, where)
        if not isinstance(text, str) or not text.strip():
            raise SkipSample(Issue("text empty", where, f"text {repr(text)[:200]}", "a text"))
        prompt = self.questions.pick(sample_id)
        messages = [Message("user", f"{IMAGE}{prompt.text}"), Message("assistant", text)]
        check_texts(where, messages[1:], [], True, log)
        return finished(messages, self.seen(where, source.image, sample_id, log), sample_id, prompt.name)

    def seen(self, where: str, image: Any, sample_id: str, log: IssueLog) -> list[Seen]:
        """Its picture. Raises SkipSample where it cannot be used."""
        if isinstance(image, bytes):
            image = HeldPicture(image)
        elif not isinstance(image, str) or not image:
            try:
                image = msgspec.convert(image, HeldPicture)
            except msgspec.ValidationError:
                expected = "a path, or the picture: {bytes, path}"
                raise SkipSample(Issue("image missing", where, f"image {str(image)[:100]!r}", expected)) from None
        return [own_picture(self.pictures, self.saved, image, sample_id, where, log)]


def typed_rows(path: str, image: str, text: str) -> tuple[Iterator[Sourced | Issue], int | None]:
    """(the rows of a file with these two columns, how many)."""
    columns = msgspec.defstruct("Columns", [("image", Any), ("text", Any)], rename={"image": image, "text": text})
    rows, total = read_rows(path, columns)
    plain = (row if isinstance(row, Issue) else Sourced(row.where, PictureText(row.row.image, row.row.text)) for row in rows)
    return plain, total


def csv_rows(path: str, image: str, text: str) -> Iterator[Sourced | Issue]:
    """The rows of a CSV file in UTF-8 whose first line names the columns. Raises GroundswiftError where it has no such columns."""
    here, path = local_copy(path), shown(path)
    try:
        with open(here, encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise csv_fault(path, 1, error) from None
    for column in (image, text):
        if names.count(column) != 1:
            expected = f"a first line that names the columns {image} and {text} (--image-column, --text-column)"
            raise fault(f"{path}:1", f"{names.count(column)} columns named {column!r} among {', '.join(names) or 'none'}", expected)
    return _csv_rows(path, here, len(names), names.index(image), names.index(text))


def _csv_rows(path: str, here: Any, columns: int, image: int, text: int) -> Iterator[Sourced | Issue]:
    csv.field_size_limit(LONGEST_FIELD)
    line = 1
    try:
        with open(here, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            next(reader, None)
            line = reader.line_num + 1
            for values in reader:
                where = f"{path}:{line}"
                line = reader.line_num + 1
                if not values:
                    continue
                if len(values) != columns:
                    yield Issue(NO_ROW, where, f"{len(values)} fields", f"{columns}, as the first line has names")
                else:
                    yield Sourced(where, PictureText(values[image], values[text]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise csv_fault(path, line, error) from None


def csv_fault(path: str, line: int, error: Exception) -> GroundswiftError:
    """What an error of reading means; reading cannot go on behind it."""
    if isinstance(error, UnicodeDecodeError):
        return fault(f"{path}:{line} or below", f"not UTF-8 text (byte {error.object[error.start]:#04x})", "CSV in UTF-8")
    what = error.strerror if isinstance(error, OSError) else error
    return fault(f"{path}:{line}", f"cannot be read ({what})", "CSV: fields parted by commas, quotes that are closed")
