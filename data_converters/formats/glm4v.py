"""GLM-4V's fine-tuning rows <-> ours: messages with the picture beside the content of its question."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from groundswift.records import IMAGE, Message, Row
from groundswift.storage import absolute

from ..base import ImageOptions, Options, Reading
from ..file_io.row_files import read_rows
from ..file_io.row_images import RowPictures
from ..issues import Issue, IssueLog, SkipSample
from ..rows.any_row import AnyRow, relative
from ..rows.render import spoken
from ..rows.result_rows import TruthFlag, of_truth
from ..tasks.conversation import ConversationMaker, check_order, check_texts, finished, looked_at, message, numbered

FAMILY = "chatglm4v"
ROLES = {name: name for name in ("system", "user", "assistant")}


class GlmMessage(msgspec.Struct, omit_defaults=True):
    """One turn. `image`: the path of a picture, shown before the content; `tools`: what the system offers to call."""

    role: str
    content: str
    image: str | None = None
    tools: Any = None


class GlmRow(msgspec.Struct):
    """One conversation."""

    messages: list[GlmMessage]


class Glm4vOptions(ImageOptions, frozen=True, kw_only=True):
    """Turn GLM-4V's fine-tuning rows into rows: messages with role, content and, beside a question, image.

    SOURCE is JSON Lines or a JSON list. The picture comes before the text of its question. A relative path of it starts at
    DIR. sample_id is the name of SOURCE and the number of the line: train/7. Box text of GLM's stays text, and is counted.

    Faults: a picture that is not a question's, more than one picture (the format takes one), tools, an observation, turns out
    of order, an empty answer, one of swift's placeholders in a text; a picture that is missing, unreadable or leaves DIR.

    \b
    Example:
      groundswift convert glm4v train_glm.jsonl --images /data --out train.jsonl
    """

    def read(self, log: IssueLog) -> Reading:
        rows, total = read_rows(self.annotations, GlmRow)
        return Reading(rows, GlmMaker(RowPictures(self.pictures()), self.annotations), total)


class GlmMaker(ConversationMaker, frozen=True):
    """Makes our row of one of GLM's."""

    pictures: RowPictures
    source: str

    def row(self, where: str, source: GlmRow, log: IssueLog) -> Row:
        for index, each in enumerate(source.messages):
            if each.tools:
                raise SkipSample(Issue("row with tools", f"{where}, turn {index}", "tools", "a conversation without tools"))
            if each.image and each.role != "user":
                what = f"an image beside a text of {each.role[:100]}"
                raise SkipSample(Issue("image outside a question", f"{where}, turn {index}", what, "images beside texts of the user"))
        images = [each.image for each in source.messages if each.image]
        if len(images) > 1:
            raise SkipSample(Issue("more than one image", where, f"{len(images)} images", "one: the format takes no more"))
        messages = [message(where, index, each.role, each.content, ROLES) for index, each in enumerate(source.messages)]
        check_order(where, messages)
        check_texts(where, messages, [], bool(images), log)
        pairs = zip(source.messages, messages, strict=True)
        messages = [Message(ours.role, IMAGE + ours.content) if theirs.image else ours for theirs, ours in pairs]
        return finished(messages, looked_at(self.pictures, images, where, log), numbered(self.source, where))


class ToGlm4vOptions(Options, frozen=True, kw_only=True):
    """Turn rows into GLM-4V's fine-tuning rows: messages with role, content and, beside its question, image.

    Boxes become GLM's text, [[x1,y1,x2,y2]] from 0 to 1000 between its marks, and labels plain text; size_wh of the row says
    how large the picture is. Where a row has its picture without <image>, it comes first, as swift has it. sample_id and
    size_wh have no place in the format; with --images the paths of pictures are relative to DIR.

    Counted: a picture behind a system text. GLM-4's own script looks for the picture in the first message only.

    Faults: more than one picture, <image> elsewhere than at the start of a question, a video, a box without size_wh or that
    cannot be used, a label that cannot be written, a row without an answer or that lint finds misshapen.

    \b
    Example:
      groundswift convert to-glm4v train.jsonl --out train_glm.jsonl
    """

    truth: TruthFlag = False
    images: Annotated[
        str | None,
        msgspec.Meta(
            description="Folder that the paths are relative to.  [default: as the rows have them]", extra={"path": True, "metavar": "DIR"}
        ),
    ] = None

    def read(self, log: IssueLog) -> Reading:
        rows, total = read_rows(self.annotations, AnyRow)
        rows = of_truth(rows, self.truth)
        return Reading(rows, ToGlmMaker(self.images and absolute(self.images)), total)


class ToGlmMaker(ConversationMaker, frozen=True):
    """Makes GLM's row of one of ours."""

    folder: str | None

    def row(self, where: str, source: AnyRow, log: IssueLog) -> GlmRow:
        messages, images = spoken(where, source, FAMILY, log)
        if len(images) > 1:
            raise SkipSample(Issue("more than one image", where, f"{len(images)} images", "one: the format takes no more"))
        out = []
        for index, each in enumerate(messages):
            text, image = each.content, None
            if IMAGE in text:
                if each.role != "user" or not text.startswith(IMAGE):
                    what = f"{IMAGE} within a text of {each.role}"
                    expected = "at the start of a question: the format shows it there"
                    raise SkipSample(Issue("image within a text", f"{where}, turn {index}", what, expected))
                text, image = text.removeprefix(IMAGE), relative(f"{where}, image 0", images[0], self.folder)
                if index:
                    log.count("picture behind the first message, where GLM-4's own script does not look", where)
            out.append(GlmMessage(each.role, text, image))
        return GlmRow(out)
