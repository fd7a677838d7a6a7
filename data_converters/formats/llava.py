"""LLaVA's conversations (LLaVA-Instruct-150K and all that copies its form) -> rows."""

from __future__ import annotations

from typing import Any

import msgspec

from groundswift.records import IMAGE, Row

from ..base import ImageOptions, Reading
from ..file_io.embedded_images import HeldPicture, SavePictures, folder_to_keep
from ..file_io.row_files import read_rows
from ..file_io.row_images import RowPictures
from ..issues import Issue, IssueLog, SkipSample
from ..tasks.conversation import (
    ConversationMaker,
    check_order,
    check_texts,
    finished,
    looked_at,
    message,
    numbered,
    own_picture,
    with_ids,
    with_tags,
)

ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


class LlavaTurn(msgspec.Struct):
    """One turn: who speaks, and the text."""

    role: str = msgspec.field(name="from")
    value: str


class LlavaRow(msgspec.Struct):
    """One conversation. `image`: its picture by path or itself, or the paths of several; absent or null where it is about none."""

    conversations: list[LlavaTurn]
    id: int | str | None = None
    image: str | HeldPicture | list[str] | None = None
    video: Any = None


class LlavaOptions(ImageOptions, frozen=True, kw_only=True):
    """Turn conversations in LLaVA's form into rows: id, image, conversations of human and gpt.

    SOURCE is a JSON list, JSON Lines or Parquet. image is one path, several, absent, or the picture itself ({bytes, path}, as
    in LLaVA-OneVision's Parquet), which is written to --save-pictures. A relative path starts at DIR.
    <image> stands in texts of human, once for each picture; where none stands, they are put before the first question.
    Boxes that the texts spell out, as [0.1, 0.2, 0.3, 0.4], stay text. sample_id is the id of the row as text, with /2, /3 behind
    it where it came before (LLaVA's own sets repeat ids), or the name of SOURCE and the number of the row where it has none.

    Faults: more or fewer <image> than pictures, turns out of order, an empty answer, another of swift's placeholders in a
    text, a row with a video; a picture that is missing, unreadable or leaves DIR.

    \b
    Example:
      groundswift convert llava llava_instruct_150k.json --images train2017/ --out train.jsonl
    """

    save_pictures: SavePictures = None

    def read(self, log: IssueLog) -> Reading:
        saved = folder_to_keep(self.save_pictures)
        rows, total = read_rows(self.annotations, LlavaRow)
        return Reading(with_ids(rows, self.annotations), LlavaMaker(RowPictures(self.pictures()), saved, self.annotations), total)


class LlavaMaker(ConversationMaker, frozen=True):
    """Makes the row of one conversation. Pictures that rows hold are written to `saved`, by the name of `source` and their number."""

    pictures: RowPictures
    saved: str | None
    source: str

    def row(self, where: str, source: LlavaRow, log: IssueLog) -> Row:
        if source.video:
            raise SkipSample(Issue("row with a video", where, f"video {str(source.video)[:200]!r}", "pictures"))
        messages = [message(where, index, turn.role, turn.value, ROLES) for index, turn in enumerate(source.conversations)]
        check_order(where, messages)
        images = source.image if isinstance(source.image, list) else [source.image] if source.image is not None else []
        messages = with_tags(where, messages, IMAGE, len(images))
        check_texts(where, messages, [IMAGE] if images else [], bool(images), log)
        if isinstance(source.image, HeldPicture):
            seen = [own_picture(self.pictures, self.saved, source.image, numbered(self.source, where), where, log)]
        else:
            seen = looked_at(self.pictures, images, where, log)
        return finished(messages, seen, source.id)
