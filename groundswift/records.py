"""One sample <-> one row of ms-swift JSONL: `messages`, `images`, `objects`, and the id and size that join it to its truth."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from .errors import GroundswiftError, error_at
from .storage import local_copy
from .urls import shown

EMPTY_ANSWER = "None"  # what an image without objects answers; a template writes its family's own word for it
REF, BOX, IMAGE, VIDEO = "<ref-object>", "<bbox>", "<image>", "<video>"
SWIFT_TAGS = (IMAGE, VIDEO, "<audio>", BOX, REF, "<cot-process>", "<start-image>")
TAGS = re.compile("|".join(SWIFT_TAGS))
CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")  # what belongs into no label: control characters, and all that breaks a line


class Message(msgspec.Struct):
    """One turn of a conversation; `role` is user, assistant or system."""

    role: str
    content: str


class Objects(msgspec.Struct, omit_defaults=True):
    """The values of `<ref-object>` and `<bbox>`, in order; boxes are xyxy, points xy, in original pixels (`bbox_type` real).

    `image_id`: for each box the index of its image, where a row has several.
    """

    ref: list[str]
    bbox: list[list[float]]
    bbox_type: str = msgspec.field(default_factory=lambda: "real")  # a factory, so that it is always written
    image_id: list[int] | None = None


class Row(msgspec.Struct, omit_defaults=True):
    """One line of a data file. `size_wh` is the size in px of its first image, EXIF orientation applied.

    `prompt` names the question in the file of prompts that its first message was made of. `phrase_types`: for each label of `objects.ref`
    its types, separated by `/`, where the source has them. `asked`: the classes that the question is about, where these are not all.
    """

    messages: list[Message]
    images: list[str] = []
    videos: list[str] = []
    objects: Objects | None = None
    sample_id: int | str | None = None
    size_wh: tuple[int, int] | None = None
    prompt: str | None = None
    phrase_types: list[str] | None = None
    asked: list[str] | None = None


def whole(value: float) -> float:
    """7.0 -> 7, so that files stay small and readable; other numbers as they are."""
    return int(value) if float(value).is_integer() else float(value)


def detection_row(
    sample_id: int | str,
    image: str,
    size_wh: tuple[int, int],
    prompt: str,
    labels: list[str],
    boxes_xyxy_px: list[list[float]],
    prompt_name: str | None = None,
    asked: list[str] | None = None,
) -> Row:
    """One image, one question, one answer that names each object and its box, in the order given. Numbers are written as they are."""
    answer = "<ref-object><bbox>" * len(labels) or EMPTY_ANSWER
    messages = [Message("user", f"<image>{prompt}"), Message("assistant", answer)]
    return Row(messages, [image], [], Objects(labels, boxes_xyxy_px), sample_id, size_wh, prompt_name, asked=asked)


class TagCounts(NamedTuple):
    """How many placeholders of each kind some texts hold."""

    refs: int
    boxes: int
    images: int
    videos: int


def count_tags(texts: Iterable[str]) -> TagCounts:
    """The placeholders of some texts, such as those of a conversation."""
    text = "\n".join(texts)
    return TagCounts(text.count(REF), text.count(BOX), text.count(IMAGE), text.count(VIDEO))


def tags_in(text: str) -> list[str]:
    """All of swift's placeholders in a text, which swift would replace or count, in order."""
    return TAGS.findall(text) if "<" in text else []


def swift_tag_in(text: str) -> str | None:
    """The first of swift's placeholders in a text; None where there is none."""
    return next(iter(tags_in(text)), None)


def has_lone_surrogate(text: str) -> bool:
    """Whether a text holds a lone surrogate, which JSON can spell and no file can hold."""
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


_ENCODER = msgspec.json.Encoder()
CUT = ("Input data was truncated", "JSON is malformed: invalid number")  # what msgspec says of a text that stops; also within a number

NO_NUMBERS = re.compile(b"NaN|Infinity")


def encode_row(row: Row) -> bytes:
    """One line of JSONL with its newline."""
    return _ENCODER.encode(row) + b"\n"


def no_number(line: bytes, error: Exception) -> str:
    """What Python's json writes for NaN and Infinity, where it is what msgspec refuses; else empty."""
    place = re.search(r"invalid character \(byte (\d+)\)", str(error))
    found = NO_NUMBERS.match(line, int(place[1])) if place else None
    return f"{found[0].decode()} (byte {place[1]}) is not JSON" if found else ""


def _decoder_of(row_type: type, checked: type | None) -> Callable[[bytes], object]:
    """Decodes one line as the narrower type, or else as the other one."""
    decode = msgspec.json.Decoder(row_type).decode
    if checked is None:
        return decode
    decode_checked = msgspec.json.Decoder(checked).decode

    def either(line: bytes) -> object:
        try:
            return decode_checked(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return decode(line)

    return either


def read_jsonl(path: str | Path, row_type: type, checked: type | None = None) -> Iterator[tuple[int, object | GroundswiftError]]:
    """Lines of a JSONL file as typed rows: (line number from 1, row), or (line number, the error) for another line.

    The file is local or a URL. Blank lines and a byte order mark are skipped. `checked`: a narrower type, for the lines that fit it.
    Raises GroundswiftError where the file cannot be read.
    """
    copy, path = local_copy(path), shown(path)
    try:
        with open(copy, "rb") as lines:
            yield from rows_of_lines(lines, path, row_type, checked)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})") from None


def rows_of_lines(
    lines: Iterable[bytes], path: str | Path, row_type: type, checked: type | None = None, first: int = 1
) -> Iterator[tuple[int, object | GroundswiftError]]:
    """`read_jsonl` of some lines of a file; `first`: the number of the first one."""
    decode = _decoder_of(row_type, checked)
    for number, line in enumerate(lines, first):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.isspace() or not line:
            continue
        try:
            yield number, decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            where = f"{path}:{number}"
            if not line.endswith(b"\n") and str(error).startswith(CUT):
                yield number, error_at(where, "the file stops in the middle of this line", "a whole JSON object")
            else:
                yield number, error_at(where, f"not a row: {no_number(line, error) or error}", "one JSON object per line")
