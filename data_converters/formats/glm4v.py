"""GLM-4V's fine-tuning rows <-> swift rows: messages of role and content, and the image of a question in a field of its own.

On the way back boxes become GLM's text: [[x1,y1,x2,y2]], integers from 0 to 1000 of the image, between <|begin_of_box|> and <|end_of_box|>.
"""

from __future__ import annotations

from typing import Any

import msgspec

from groundswift.records import IMAGE, Message, Row

from ..base import EXAMPLE_IMAGE
from ..file_io.row_images import RowImages
from ..issues import IssueLog, skip
from ..rows.any_row import AnyRow, SwiftRowOptions, relative
from ..rows.render import spoken
from ..tasks import conversation as chat

FAMILY = "chatglm4v"
ROLES = {name: name for name in ("system", "user", "assistant")}


class GlmMessage(msgspec.Struct, omit_defaults=True):
    """One turn. `image`: the path of an image, shown before the content; `tools`: what the system offers to call."""

    role: str
    content: str
    image: str | None = None
    tools: Any = None


class GlmRow(msgspec.Struct):
    """One conversation."""

    messages: list[GlmMessage]


class Glm4vOptions(chat.ConversationOptions, frozen=True, kw_only=True):
    """Turn GLM-4V's fine-tuning rows into rows: messages with role and content, and image in a question.

    SOURCE is JSON Lines or a JSON list. The image comes before the text of its question. A relative path starts at DIR.
    sample_id is the name of SOURCE and the number of the line: train/7. GLM's box text stays text, and is counted.

    \b
    Example:
      groundswift convert glm4v train_glm.jsonl --images /data --out train.jsonl
    """

    name, summary = "glm4v", "GLM-4V fine-tuning rows."
    reads, writes = "GLM-4V messages: JSON, JSONL", "conversation"
    EXAMPLE = {
        "train_glm.jsonl": [
            {"messages": [{"role": "user", "content": "What is it?", "image": "a.jpg"}, {"role": "assistant", "content": "A cat."}]}
        ],
        "data/a.jpg": EXAMPLE_IMAGE,
    }
    row_type = GlmRow

    def maker(self) -> GlmMaker:
        return GlmMaker.of(self)


class GlmMaker(chat.ImageRowMaker, frozen=True):
    """Makes the swift row of a GLM row."""

    def row(self, where: str, source: GlmRow, log: IssueLog) -> Row:
        for index, each in enumerate(source.messages):
            turn = f"{where}, turn {index}"
            if each.tools:
                raise skip("row-with-tools", turn, "tools", "a conversation without tools")
            if each.image and each.role != "user":
                raise skip("image-outside-question", turn, f"image in a turn of {each.role[:100]}", "images in turns of user")
        images = [each.image for each in source.messages if each.image]
        check_one_image(where, images)
        messages = [chat.message(where, index, each.role, each.content, ROLES) for index, each in enumerate(source.messages)]
        chat.check_order(where, messages)
        chat.check_texts(where, messages, [], bool(images), log)
        pairs = zip(source.messages, messages, strict=True)
        messages = [Message(ours.role, IMAGE + ours.content) if theirs.image else ours for theirs, ours in pairs]
        found = chat.find_images(self.images, images, where, log)
        return chat.conversation_row(messages, found, chat.numbered_id(self.source, where))


class ToGlm4vOptions(SwiftRowOptions, frozen=True, kw_only=True):
    """Turn rows into GLM-4V's fine-tuning rows: messages with role and content, and image in a question.

    Boxes become GLM's text, [[x1,y1,x2,y2]] from 0 to 1000 between its marks, and labels plain text; size_wh of the row is the
    size of the image, which is read from its file where a row states none (counted). In a row without <image> the image comes
    first, as in swift. The format has no field for sample_id and size_wh. With --images the paths of images are relative to DIR.

    Counted: an image after a system message. GLM-4's own script looks for the image in the first message only.

    Problems: more than one image, <image> elsewhere than at the start of a question, a video, a box that cannot be used or
    whose image is not found, a label that cannot be written, a row without an answer or that lint reports as malformed.

    \b
    Example:
      groundswift convert to-glm4v train.jsonl --out train_glm.jsonl
    """

    name, summary = "to-glm4v", "swift rows to GLM-4V rows."
    writes = "GLM-4V messages"

    def maker(self, folder: str | None, images: RowImages) -> ToGlmMaker:
        return ToGlmMaker(folder, images)


class ToGlmMaker(chat.RowMaker, frozen=True):
    """Makes the GLM row of a swift row."""

    folder: str | None
    images: RowImages

    def row(self, where: str, source: AnyRow, log: IssueLog) -> GlmRow:
        messages, images = spoken(where, source, FAMILY, self.images, log)
        check_one_image(where, images)
        out = []
        for index, each in enumerate(messages):
            text, image = each.content, None
            if IMAGE in text:
                if each.role != "user" or not text.startswith(IMAGE):
                    what = f"{IMAGE} within a text of {each.role}"
                    raise skip("image-within-text", f"{where}, turn {index}", what, f"{IMAGE} at the start of a question")
                text, image = text.removeprefix(IMAGE), relative(f"{where}, image 0", images[0], self.folder)
                if index:
                    log.count("image-after-first", where)
            out.append(GlmMessage(each.role, text, image))
        return GlmRow(out)


def check_one_image(where: str, images: list[str]) -> None:
    """Raise SkipSample for more than one image."""
    if len(images) > 1:
        raise skip("image-several", where, f"{len(images)} images", "at most one, as the format has it")
