"""Rows of the form that the converters write, decoded with types: several times faster than a row of any form. Others are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from groundswift.row_view import RowView

MOST_MESSAGES = 2_000  # that are remembered
GROUNDING = "phrase_grounding."  # how the names of prompts start whose labels are in the sentence of the question
NOT_A_ROW = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
Corners = tuple[float, float, float, float]
Side = Annotated[int, msgspec.Meta(gt=0, lt=1 << 31)]  # px
Counts = tuple[int, int, int, bool]  # of images, labels and boxes; whether the prompt is one of phrase grounding
Value = TypeVar("Value")


class TypedObjects(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The `objects` of a row whose boxes are in px, all in its first image."""

    bbox: list[Corners]
    ref: list[str] = []
    bbox_type: Literal["real"] = "real"


class TypedRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The columns of `records.Row` but videos; no image is blank. Its `messages` are skipped: they may be of any form, and not UTF-8."""

    messages: msgspec.Raw
    images: list[str] = []
    objects: TypedObjects | None = None
    sample_id: Any = None
    size_wh: tuple[Side, Side] | None = None
    prompt: str | None = None
    phrase_types: Any = None
    asked: Any = None


_decode = msgspec.json.Decoder(TypedRow).decode
NO_OBJECTS = TypedObjects([])


def typed_rows(lines: Sequence[bytes]) -> list[TypedRow | None]:
    """Each line as such a row; None if it is of another form, or no row."""
    try:
        rows = list(map(_decode, lines))
        images = chain.from_iterable([row.images for row in rows])
    except NOT_A_ROW:
        return list(map(_typed_row, lines))
    return rows if all(map(str.strip, images)) else list(map(_typed_row, lines))


def _typed_row(line: bytes) -> TypedRow | None:
    try:
        row = _decode(line)
    except NOT_A_ROW:
        return None
    return row if all(map(str.strip, row.images)) else None


class Messages(Generic[Value]):
    """What the messages of typed rows say, remembered: most rows of a set share few conversations."""

    def __init__(self, read: Callable[[RowView], Value | None]) -> None:
        """`read`: what the messages of a row say, None where it has to be read as a whole. That depends on the messages, on how many
        images, labels and boxes the row has, and on whether its prompt is one of phrase grounding."""
        self._read = read
        self._known: dict[tuple[bytes, Counts], Value] = {}
        self._latest: dict[Counts, tuple[msgspec.Raw, Value]] = {}  # to compare with takes less time than to hash

    def of(self, rows: Sequence[TypedRow | None], lines: Sequence[bytes]) -> list[Value | None]:
        """What each row says; None for one that has to be read as a whole."""
        values = []
        for row, line in zip(rows, lines, strict=True):
            if row is None:
                values.append(None)
                continue
            objects, prompt = row.objects or NO_OBJECTS, row.prompt
            grounding = prompt is not None and prompt.startswith(GROUNDING)
            counts = len(row.images), len(objects.ref), len(objects.bbox), grounding
            latest = self._latest.get(counts)
            values.append(latest[1] if latest is not None and latest[0] == row.messages else self._found(bytes(row.messages), counts, line))
        return values

    def _found(self, messages: bytes, counts: Counts, line: bytes) -> Value | None:
        value = self._known.get((messages, counts))
        if value is None and (value := self._new(counts, line)) is not None:
            if len(self._known) > MOST_MESSAGES:
                self._known.clear()
                self._latest.clear()
            self._known[messages, counts] = value
        if value is not None:
            self._latest[counts] = msgspec.Raw(messages), value
        return value

    def _new(self, counts: Counts, line: bytes) -> Value | None:
        try:
            view = RowView.of(msgspec.json.decode(line))
        except NOT_A_ROW:  # the messages were skipped so far
            return None
        in_messages = view.videos or len(view.images) != counts[0]
        return None if view.findings or in_messages else self._read(view)


class TypedRun(NamedTuple):
    """Typed rows that follow each other in a file. `number`: line of the first; `starts`: offset of each line; `said`: what their messages
    say."""

    number: int
    starts: Sequence[int]
    lines: Sequence[bytes]
    rows: Sequence[TypedRow]
    said: Sequence[Any]

    @property
    def sample_ids(self) -> list[Any]:
        """Of any type; None where a row has none."""
        return [row.sample_id for row in self.rows]

    def one_by_one(self) -> Iterator[TypedRun]:
        """Each row as a run."""
        for place in range(len(self.rows)):
            yield TypedRun(self.number + place, *(column[place : place + 1] for column in self[1:]))


def runs_of(values: Sequence[object]) -> Iterator[slice]:
    """The runs, perhaps empty, between the places of None."""
    start = 0
    for place in [place for place, value in enumerate(values) if value is None]:
        yield slice(start, place)
        start = place + 1
    yield slice(start, len(values))
