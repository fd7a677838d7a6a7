"""The rows that Phi-3-vision is fine-tuned on -> ours. There are three forms:

* LLaVA's: id, image (a path or several), conversations of `from` and `value`, with `<image>` or `<|image_1|>`, `<|image_2|>`, ... in the
  questions; the roles are human and gpt, or user and assistant.
* ms-swift 2.x's: conversations of user and assistant, with `<img>path</img>` in the questions.
* The cookbook's of Microsoft: conversations of `images`, `user` and `assistant`; its trainer puts the pictures and a line break before
  each question.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from groundswift.records import IMAGE, Message, Row

from ...base import ImageOptions, Reading
from ...file_io.row_files import read_rows
from ...file_io.row_images import RowPictures
from ...issues import Issue, IssueLog, SkipSample
from ...tasks.conversation import INLINE, ConversationMaker, check_order, check_texts, finished, looked_at, message, with_ids, with_tags
from ..swift2.turns import ROLES

NUMBERED = re.compile(r"<\|image_([0-9]{1,6})\|>")
PATHS = INLINE["image"]


class PhiTurn(msgspec.Struct, omit_defaults=True):
    """One turn of `from` and `value`, or a question with its pictures and its answer in one."""

    role: str | None = msgspec.field(name="from", default=None)
    value: str | None = None
    images: list[str] | None = None
    user: str | None = None
    assistant: str | None = None


class PhiRow(msgspec.Struct, omit_defaults=True):
    """One conversation, in any of the forms."""

    id: int | str | None = None
    image: str | list[str] | None = None
    conversations: list[PhiTurn] = msgspec.field(default_factory=list)
    source: Any = None
    video: Any = None


class Phi3vOptions(ImageOptions, frozen=True, kw_only=True):
    """Turn Phi-3-vision's fine-tuning rows into rows, in any of the forms that trainers read.

    \b
    LLaVA's      {id, image: path or paths, conversations: [{from: human, value: "<|image_1|>..."}, {from: gpt, value}, ...]},
                 with <image> or numbered placeholders, roles human and gpt or user and assistant
    ms-swift's   {conversations: [{from: user, value: "<img>path</img>..."}, {from: assistant, value}, ...]}
    cookbook's   {id, conversations: [{images: [paths], user, assistant}, ...]}: pictures come first, then a line break

    SOURCE is JSON Lines or a JSON list. Relative paths of pictures start at DIR. sample_id is the id of the row as text, with /2, /3
    behind it where it came before, or the name of SOURCE and the number of the row where it has none.

    Left out and counted: the column source of the cookbook's rows.

    Faults: numbered placeholders that are not 1 to the number of pictures, once each; placeholders of two kinds; more or
    fewer <image> than pictures, turns out of order, an empty answer, another of swift's placeholders in a text, a row with a
    video; a picture that is missing, unreadable or leaves DIR.

    \b
    Example:
      groundswift convert phi3v train_phi3.json --images /data --out train.jsonl
    """

    def read(self, log: IssueLog) -> Reading:
        rows, total = read_rows(self.annotations, PhiRow)
        return Reading(with_ids(rows, self.annotations), PhiMaker(RowPictures(self.pictures())), total)


class PhiMaker(ConversationMaker, frozen=True):
    """Makes our row of one of Phi-3-vision's."""

    pictures: RowPictures

    def row(self, where: str, source: PhiRow, log: IssueLog) -> Row:
        if source.video:
            raise SkipSample(Issue("row with a video", where, f"video {str(source.video)[:200]!r}", "pictures"))
        in_one = [each.user is not None or each.assistant is not None or each.images is not None for each in source.conversations]
        images = [source.image] if isinstance(source.image, str) else list(source.image or ())
        messages, images = (cookbook if any(in_one) else said)(where, source.conversations, images)
        check_order(where, messages)
        check_texts(where, messages, [IMAGE] if images else [], bool(images), log)
        if source.source is not None:
            log.count("column source, left out", where)
        return finished(messages, looked_at(self.pictures, images, where, log), source.id)


def cookbook(where: str, turns: list[PhiTurn], images: list[str]) -> tuple[list[Message], list[str]]:
    """(messages, pictures) of the cookbook's form. Raises SkipSample for what it does not have."""
    if images:
        raise SkipSample(Issue("images in two places", where, "a column image, and images in turns", "images in turns"))
    messages = []
    for index, each in enumerate(turns):
        thing = f"{where}, turn {index}"
        if each.user is None or each.assistant is None or each.role is not None or each.value is not None:
            raise SkipSample(
                Issue("turn of another form", thing, "a turn without user and assistant, or with from", "images, user and assistant")
            )
        if IMAGE in each.user + each.assistant or NUMBERED.search(each.user + each.assistant):
            raise SkipSample(Issue("placeholder in a turn with images", thing, "a placeholder in the text", "images only: they come first"))
        own = each.images or []
        images = [*images, *own]
        messages += [Message("user", IMAGE * len(own) + "\n" * bool(own) + each.user), Message("assistant", each.assistant)]
    return messages, images


def said(where: str, turns: list[PhiTurn], images: list[str]) -> tuple[list[Message], list[str]]:
    """(messages, pictures) of the forms with from and value. Raises SkipSample where placeholders and pictures do not belong together."""
    messages = []
    for index, each in enumerate(turns):
        if each.role is None or each.value is None:
            raise SkipSample(Issue("turn of another form", f"{where}, turn {index}", "a turn without from or value", "from and value"))
        messages.append(message(where, index, each.role, each.value, ROLES))
    check_order(where, messages)
    text = "\n".join(each.content for each in messages if each.role == "user")
    kinds = [
        shown for shown, there in ((IMAGE, IMAGE in text), ("<|image_1|>", NUMBERED.search(text)), ("<img>", PATHS.search(text))) if there
    ]
    if len(kinds) > 1:
        raise SkipSample(Issue("placeholders of two kinds", where, " and ".join(kinds), "one kind"))
    for shown, pattern in (("<|image_1|>", NUMBERED), (IMAGE, re.compile(IMAGE))):
        if odd := next((each for each in messages if each.role != "user" and pattern.search(each.content)), None):
            raise SkipSample(Issue(f"{shown} outside a question", where, f"in a text of {odd.role}", "placeholders in texts of the user"))
    if kinds == ["<img>"]:
        if images:
            raise SkipSample(Issue("images in two places", where, "a column image, and paths in the text", "one of the two"))
        return replaced(messages, PATHS), [name.strip() for name in PATHS.findall(text)]
    if kinds == ["<|image_1|>"]:
        numbers = [int(number) for number in NUMBERED.findall(text)]
        if sorted(numbers) != list(range(1, len(images) + 1)):
            what = f"placeholders numbered {', '.join(map(str, numbers[:12]))}, and {len(images)} images"
            raise SkipSample(Issue("<|image_1|> and images differ", where, what, "1 to the number of images, once each"))
        return replaced(messages, NUMBERED), [images[number - 1] for number in numbers]
    return with_tags(where, messages, IMAGE, len(images)), images


def replaced(messages: list[Message], placeholder: re.Pattern[str]) -> list[Message]:
    """The conversation with `<image>` for each placeholder of its questions."""
    return [Message(each.role, placeholder.sub(IMAGE, each.content)) if each.role == "user" else each for each in messages]
