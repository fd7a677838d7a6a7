"""Conversations in LLaVA's form (LLaVA-Instruct-150K and all that copy it) -> rows. Boxes that the texts spell out stay text."""

from __future__ import annotations

from typing import Any

import msgspec

from groundswift.records import IMAGE, Row

from ..base import EXAMPLE_IMAGE
from ..file_io.embedded_images import EmbeddedImage, SaveImages
from ..issues import IssueLog, skip
from ..tasks import conversation as chat

ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
EXAMPLE_CONVERSATION = {
    "id": "1",
    "image": "a.jpg",
    "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}],
}


class LlavaTurn(msgspec.Struct):
    """One turn: who speaks, and the text."""

    role: str = msgspec.field(name="from")
    value: str


class LlavaRow(msgspec.Struct):
    """One conversation. `image`: a path, the image itself, or several paths; absent or null where the conversation has none."""

    conversations: list[LlavaTurn]
    id: int | str | None = None
    image: str | EmbeddedImage | list[str] | None = None
    video: Any = None


class LlavaOptions(chat.ConversationOptions, frozen=True, kw_only=True):
    """Turn conversations in LLaVA's form into rows: id, image, conversations of human and gpt.

    SOURCE is a JSON list, JSON Lines or Parquet. image is one path, several, absent, or the image itself ({bytes, path}, as
    in LLaVA-OneVision's Parquet), which is written to --save-images. A relative path starts at DIR.
    <image> is in texts of human, once per image; where there is none, all are put before the first question.
    Boxes that the texts spell out, as [0.1, 0.2, 0.3, 0.4], stay text. sample_id is the id of the row as text, with /2, /3
    appended to duplicates (LLaVA's own sets repeat ids), or the name of SOURCE and the number of the row if it has no id:
    train/7.

    \b
    Example:
      groundswift convert llava llava_instruct_150k.json --images train2017/ --out train.jsonl
    """

    name, summary = "llava", "LLaVA conversations."
    reads, writes = "LLaVA conversations: JSON, JSONL, Parquet", "conversation"
    EXAMPLE = {"llava_instruct_150k.json": [EXAMPLE_CONVERSATION], "train2017/a.jpg": EXAMPLE_IMAGE}
    row_type, own_ids = LlavaRow, True

    save_images: SaveImages = None

    def maker(self) -> LlavaMaker:
        return LlavaMaker.of(self)


class LlavaMaker(chat.ImageRowMaker, frozen=True):
    """Makes the row of one conversation. Images that rows hold are named by `source` and the number of the row."""

    def row(self, where: str, source: LlavaRow, log: IssueLog) -> Row:
        if source.video:
            raise skip("row-with-video", where, f"video {str(source.video)[:200]!r}", "images")
        messages = [chat.message(where, index, turn.role, turn.value, ROLES) for index, turn in enumerate(source.conversations)]
        chat.check_order(where, messages)
        named = source.image if isinstance(source.image, list) else [source.image] if source.image is not None else []
        messages = chat.with_placeholders(where, messages, IMAGE, len(named))
        chat.check_texts(where, messages, [IMAGE] if named else [], bool(named), log)
        if isinstance(source.image, EmbeddedImage):
            images = [chat.find_or_save(self.images, self.saved, source.image, chat.numbered_id(self.source, where), where, log)]
        else:
            images = chat.find_images(self.images, named, where, log)
        return chat.conversation_row(messages, images, source.id)
