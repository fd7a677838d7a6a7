"""One sample <-> one row of ms-swift JSONL: `messages`, `images`, `objects`, and the id and size that join it to its truth."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from .errors import GroundswiftError, fault

EMPTY_ANSWER = "None"  # what an image without objects answers; a template writes its family's own word for it
SWIFT_TAGS = ("<image>", "<video>", "<audio>", "<bbox>", "<ref-object>", "<cot-process>", "<start-image>")


class Message(msgspec.Struct):
    """One turn of a conversation; `role` is user, assistant or system."""

    role: str
    content: str


class Objects(msgspec.Struct):
    """What `<ref-object>` and `<bbox>` stand for, in order; boxes are xyxy in original pixels (`bbox_type` real)."""

    ref: list[str]
    bbox: list[list[float]]
    bbox_type: str = "real"


class Row(msgspec.Struct, omit_defaults=True):
    """One line of a data file. `size_wh` is the size in px of its first image, EXIF orientation applied."""

    messages: list[Message]
    images: list[str]
    objects: Objects | None = None
    sample_id: int | str | None = None
    size_wh: tuple[int, int] | None = None


def whole(value: float) -> float:
    """7.0 -> 7, so that files stay small and readable; other numbers as they are."""
    return int(value) if float(value).is_integer() else float(value)


def detection_row(
    sample_id: int | str,
    image: str,
    size_wh: tuple[int, int],
    prompt: str,
    labels: Sequence[str],
    boxes_xyxy_px: Sequence[Sequence[float]],
) -> Row:
    """One image, one question, one answer that names each object and its box, in the order given."""
    answer = "<ref-object><bbox>" * len(labels) or EMPTY_ANSWER
    boxes = [[whole(value) for value in box] for box in boxes_xyxy_px]
    messages = [Message("user", f"<image>{prompt}"), Message("assistant", answer)]
    return Row(messages, [image], Objects(list(labels), boxes), sample_id, size_wh)


def swift_tag_in(text: str) -> str | None:
    """The first of swift's placeholders that a text holds, which swift would replace or count; None where it holds none."""
    return next((tag for tag in SWIFT_TAGS if tag in text), None)


_ENCODER = msgspec.json.Encoder()


def encode_row(row: Row) -> bytes:
    """One line of JSONL with its newline."""
    return _ENCODER.encode(row) + b"\n"


def read_jsonl(path: str | Path, row_type: type) -> Iterator[tuple[int, object | GroundswiftError]]:
    """Lines of a JSONL file as typed rows: (line number from 1, row), or (line number, the error) for one that is no such row.

    Blank lines are passed over, and so is a byte order mark. Raises GroundswiftError where the file cannot be read.
    """
    decoder = msgspec.json.Decoder(row_type)
    try:
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if not line.strip():
                    continue
                try:
                    yield number, decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    where = f"{path}:{number}"
                    if line.endswith(b"\n"):
                        yield number, fault(where, f"not a row: {error}", "one JSON object a line")
                    else:
                        yield number, fault(where, "the file stops in the middle of this line", "a whole JSON object")
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})") from None
