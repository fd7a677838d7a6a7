"""Phi-3-vision's fine-tuning rows <-> swift rows, in three forms: LLaVA's, that of ms-swift 2.x, that of Microsoft's cookbook.

On the way back boxes become text as swift writes it for this family: [(x1,y1),(x2,y2)], integers from 0 to 1000 of the image.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from groundswift.atomic_write import write_whole
from groundswift.records import IMAGE, Message, Row

from ..base import EXAMPLE_IMAGE, Totals, WholeOptions
from ..engine.convert import rows_of
from ..file_io.row_images import RowImages
from ..issues import IssueLog, skip
from ..rows.any_row import AnyRow, SwiftRowOptions, relative
from ..rows.render import spoken
from ..tasks import conversation as chat
from .llava import EXAMPLE_CONVERSATION
from .swift2.turns import ROLES

FAMILY = "phi3_vision"
Form = Literal["numbered", "llava", "swift", "cookbook"]
NAMES = {"user": "human", "assistant": "gpt"}
NUMBERED = re.compile(r"<\|image_([0-9]{1,6})\|>")
PATHS = chat.INLINE_MEDIA["image"]


class PhiTurn(msgspec.Struct, omit_defaults=True):
    """One turn of `from` and `value`, or a question with its images and its answer in one."""

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


class Phi3vOptions(chat.ConversationOptions, frozen=True, kw_only=True):
    """Turn Phi-3-vision's fine-tuning rows into rows, in any of the forms that trainers read.

    \b
    LLaVA's      {id, image: path or paths, conversations: [{from: human, value: "<|image_1|>..."}, {from: gpt, value}, ...]},
                 with <image> or numbered placeholders, roles human and gpt or user and assistant
    ms-swift's   {conversations: [{from: user, value: "<img>path</img>..."}, {from: assistant, value}, ...]}
    cookbook's   {id, conversations: [{images: [paths], user, assistant}, ...]}: images come first, then a line break

    SOURCE is JSON Lines or a JSON list. Relative paths of images start at DIR. sample_id is the id of the row as text, with
    /2, /3 appended to duplicates, or the name of SOURCE and the number of the row if it has no id: train/7.

    Dropped and counted: the column source of the cookbook's rows.

    \b
    Example:
      groundswift convert phi3v train_phi3.json --images /data --out train.jsonl
    """

    name, summary = "phi3v", "Phi-3-vision fine-tuning rows."
    reads, writes = "Phi-3-vision in the forms of LLaVA, ms-swift and the cookbook", "conversation"
    EXAMPLE = {"train_phi3.json": [EXAMPLE_CONVERSATION], "data/a.jpg": EXAMPLE_IMAGE}
    row_type, own_ids = PhiRow, True

    def maker(self) -> PhiMaker:
        return PhiMaker.of(self)


class PhiMaker(chat.ImageRowMaker, frozen=True):
    """Makes the swift row of a Phi-3 row."""

    def row(self, where: str, source: PhiRow, log: IssueLog) -> Row:
        if source.video:
            raise skip("row-with-video", where, f"video {str(source.video)[:200]!r}", "images")
        in_one = [each.user is not None or each.assistant is not None or each.images is not None for each in source.conversations]
        paths = [source.image] if isinstance(source.image, str) else list(source.image or ())
        messages, paths = (from_cookbook if any(in_one) else from_turns)(where, source.conversations, paths)
        chat.check_order(where, messages)
        chat.check_texts(where, messages, [IMAGE] if paths else [], bool(paths), log)
        if source.source is not None:
            log.count("column-dropped", f"{where}: source")
        return chat.conversation_row(messages, chat.find_images(self.images, paths, where, log), source.id)


def from_cookbook(where: str, turns: list[PhiTurn], images: list[str]) -> tuple[list[Message], list[str]]:
    """(messages, images) of the cookbook's form. Raises SkipSample for anything else."""
    if images:
        raise skip("image-two-places", where, "a column image, and images in turns", "images in turns")
    messages = []
    for index, each in enumerate(turns):
        turn = f"{where}, turn {index}"
        if each.user is None or each.assistant is None or each.role is not None or each.value is not None:
            raise skip("turn-malformed", turn, "a turn without user and assistant, or with from", "images, user and assistant")
        if IMAGE in each.user + each.assistant or NUMBERED.search(each.user + each.assistant):
            raise skip("placeholder-with-images", turn, "a placeholder in the text", "images only: they come first")
        own = each.images or []
        images = [*images, *own]
        messages += [Message("user", IMAGE * len(own) + "\n" * bool(own) + each.user), Message("assistant", each.assistant)]
    return messages, images


def from_turns(where: str, turns: list[PhiTurn], images: list[str]) -> tuple[list[Message], list[str]]:
    """(messages, images) of the forms with from and value. Raises SkipSample where placeholders and images do not match."""
    messages = []
    for index, each in enumerate(turns):
        if each.role is None or each.value is None:
            raise skip("turn-malformed", f"{where}, turn {index}", "a turn without from or value", "from and value")
        messages.append(chat.message(where, index, each.role, each.value, ROLES))
    chat.check_order(where, messages)
    text = "\n".join(each.content for each in messages if each.role == "user")
    found = {IMAGE: IMAGE in text, "<|image_1|>": NUMBERED.search(text), "<img>": PATHS.search(text)}
    kinds = [shown for shown, there in found.items() if there]
    if len(kinds) > 1:
        raise skip("placeholders-mixed", where, " and ".join(kinds), "one kind")
    chat.check_questions_only(where, messages, "<|image_1|>", NUMBERED)
    chat.check_questions_only(where, messages, IMAGE)
    if kinds == ["<img>"]:
        if images:
            raise skip("image-two-places", where, "a column image, and paths in the text", "one of the two")
        return replaced(messages, PATHS), [name.strip() for name in PATHS.findall(text)]
    if kinds == ["<|image_1|>"]:
        numbers = [int(number) for number in NUMBERED.findall(text)]
        if sorted(numbers) != list(range(1, len(images) + 1)):
            what = f"placeholders numbered {', '.join(map(str, numbers[:12]))}, and {len(images)} images"
            raise skip("image-tags-differ", where, what, "1 to the number of images, once each")
        return replaced(messages, NUMBERED), [images[number - 1] for number in numbers]
    return chat.with_placeholders(where, messages, IMAGE, len(images)), images


def replaced(messages: list[Message], placeholder: re.Pattern[str]) -> list[Message]:
    """The conversation with `<image>` for each placeholder of its questions."""
    return [Message(each.role, placeholder.sub(IMAGE, each.content)) if each.role == "user" else each for each in messages]


class ToPhi3vOptions(SwiftRowOptions, WholeOptions, frozen=True, kw_only=True):
    """Turn rows into Phi-3-vision's fine-tuning rows; a JSON list where FILE ends in .json, else JSON Lines.

    \b
    numbered   {id, image: path or paths, conversations: [{from: human, value: "<|image_1|>..."}, {from: gpt, value}, ...]}
    llava      the same with <image>
    swift      {conversations: [{from: user, value: "<img>path</img>..."}, {from: assistant, value}, ...]}, of ms-swift 2.x
    cookbook   {id, conversations: [{images: [paths], user, assistant}, ...]}, of Microsoft's recipe

    Boxes become text, [(x1,y1),(x2,y2)] from 0 to 1000 as swift writes them for this family, and labels plain text; size_wh
    of the row is the size of the image, which is read from its file where a row states none (counted). id is the sample_id.
    With --images the paths of images are relative to DIR.

    Problems: a system text (except in swift's form), in the cookbook's form an image after the start of a question; a video,
    a box that cannot be used or whose image is not found, a label that cannot be written, a row without an answer or that lint
    reports as malformed.

    \b
    Example:
      groundswift convert to-phi3v train.jsonl --out train_phi3.json
    """

    name, summary = "to-phi3v", "swift rows to Phi-3-vision rows."
    writes = "Phi-3-vision JSON"

    form: Annotated[Form, msgspec.Meta(description="The form of the trainer, see above.")] = "numbered"

    def maker(self, folder: str | None, images: RowImages) -> ToPhiMaker:
        return ToPhiMaker(self.form, folder, images)

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        totals, as_list = Totals(), out is not None and out.suffix.lower() == ".json"
        lines = self.lines(totals, rows_of(self, log, progress), as_list)
        if out is None:
            deque(lines, maxlen=0)
        else:
            write_whole(out, lines)
        return totals

    def lines(self, totals: Totals, rows: Iterable[PhiRow], as_list: bool) -> Iterator[bytes]:
        """The content of the output: JSON Lines, or a list with a row a line."""
        start, between, end = (b"[\n", b",\n", b"\n]\n") if as_list else (b"", b"\n", b"\n")
        for row in rows:
            yield (between if totals.rows else start) + msgspec.json.encode(row)
            totals.rows += 1
        yield end


class ToPhiMaker(chat.RowMaker, frozen=True):
    """Makes the Phi-3 row of a swift row."""

    form: Form
    folder: str | None
    images: RowImages

    def row(self, where: str, source: AnyRow, log: IssueLog) -> PhiRow:
        messages, images = spoken(where, source, FAMILY, self.images, log)
        if self.form != "swift" and messages[0].role == "system":
            raise skip("system-unsupported", where, "a system text", "user and assistant only, as trainers expect")
        chat.check_questions_only(where, messages, IMAGE)
        for index, each in enumerate(messages):
            if found := NUMBERED.search(each.content) or re.search("</?img>", each.content):
                turn = f"{where}, turn {index}"
                raise skip("text-placeholder-phi3", turn, f"holds {found[0]}", "text without it")
        paths = [relative(f"{where}, image {index}", path, self.folder) for index, path in enumerate(images)]
        if self.form == "cookbook":
            return PhiRow(source.sample_id, conversations=to_cookbook(where, messages, paths))
        if self.form == "swift":
            if odd := next((path for path in paths if "<" in path), None):
                raise skip("image-path-bracket", where, f"image {odd[:200]!r}", "a path that fits between <img> and </img>")
            marks = (f"<img>{path}</img>" for path in paths)
            return PhiRow(conversations=[PhiTurn(each.role, marked(each, marks)) for each in messages])
        marks = (f"<|image_{number}|>" if self.form == "numbered" else IMAGE for number in range(1, len(paths) + 1))
        turns = [PhiTurn(NAMES[each.role], marked(each, marks)) for each in messages]
        return PhiRow(source.sample_id, paths[0] if len(paths) == 1 else paths or None, turns)


def marked(each: Message, marks: Iterator[str]) -> str:
    """A text with the next marks in place of its `<image>`."""
    return re.sub(IMAGE, lambda _: next(marks), each.content)


def to_cookbook(where: str, messages: list[Message], paths: list[str]) -> list[PhiTurn]:
    """Questions with their answers and images. Raises SkipSample for an image that is not at the start of its question."""
    turns, rest = [], iter(paths)
    for asked, answer in zip(messages[::2], messages[1::2], strict=True):
        text = asked.content
        while text.startswith(IMAGE):
            text = text.removeprefix(IMAGE)
        count = (len(asked.content) - len(text)) // len(IMAGE)
        if IMAGE in text:
            expected = "images at the start, where the recipe shows them (or another --form)"
            raise skip("image-within-text", where, f"{IMAGE} after other text of a question", expected)
        text = text.removeprefix("\n") if count else text  # the trainer puts one there
        turns.append(PhiTurn(images=[next(rest) for _ in range(count)], user=text, assistant=answer.content))
    return turns
