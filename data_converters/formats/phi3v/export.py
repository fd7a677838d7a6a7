"""Today's rows -> the rows that Phi-3-vision is fine-tuned on, in the form of the trainer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.atomic_write import write_whole
from groundswift.records import IMAGE, Message
from groundswift.storage import absolute

from ...base import Reading
from ...engine.batches import Totals, blocks_of, make_block
from ...engine.convert import bar, settle
from ...engine.whole_output import WholeOptions
from ...file_io.row_files import read_rows
from ...issues import Issue, IssueLog, SkipSample
from ...rows.any_row import AnyRow, relative
from ...rows.render import spoken
from ...rows.result_rows import TruthFlag, of_truth
from ...tasks.conversation import ConversationMaker
from .source import NUMBERED, PhiRow, PhiTurn

FAMILY = "phi3_vision"
Form = Literal["numbered", "llava", "swift", "cookbook"]
NAMES = {"user": "human", "assistant": "gpt"}


class ToPhi3vOptions(WholeOptions, frozen=True, kw_only=True):
    """Turn rows into Phi-3-vision's fine-tuning rows; a JSON list where FILE ends in .json, else JSON Lines.

    \b
    numbered   {id, image: path or paths, conversations: [{from: human, value: "<|image_1|>..."}, {from: gpt, value}, ...]}
    llava      the same with <image>
    swift      {conversations: [{from: user, value: "<img>path</img>..."}, {from: assistant, value}, ...]}, of ms-swift 2.x
    cookbook   {id, conversations: [{images: [paths], user, assistant}, ...]}, of Microsoft's recipe

    Boxes become text, [(x1,y1),(x2,y2)] from 0 to 1000 as swift writes them for this family, and labels plain text; size_wh
    of the row says how large the picture is. id is the sample_id. With --images the paths of pictures are relative to DIR.

    Faults: a system text (swift's form has it), in the cookbook's form a picture behind the start of a question; a video, a
    box without size_wh or that cannot be used, a label that cannot be written, a row without an answer or that lint finds
    misshapen.

    \b
    Example:
      groundswift convert to-phi3v train.jsonl --out train_phi3.json
    """

    form: Annotated[Form, msgspec.Meta(description="The form of the trainer, see above.")] = "numbered"
    truth: TruthFlag = False
    images: Annotated[
        str | None,
        msgspec.Meta(
            description="Folder that the paths are relative to.  [default: as the rows have them]", extra={"path": True, "metavar": "DIR"}
        ),
    ] = None

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        totals, as_list = Totals(), out is not None and out.suffix.lower() == ".json"
        lines = self.lines(totals, log, progress, as_list)
        if out is None:
            for _ in lines:
                pass
        else:
            write_whole(out, lines)
        return totals

    def lines(self, totals: Totals, log: IssueLog, progress: bool, as_list: bool) -> Iterator[bytes]:
        """The content of the output, block by block; faults are raised at its end."""
        rows, total = read_rows(self.annotations, AnyRow)
        rows = of_truth(rows, self.truth)
        reading = Reading(rows, ToPhiMaker(self.form, self.images and absolute(self.images)), total)
        with bar(reading, self.limit, 0, progress) as line:
            for items in blocks_of(reading.items, self.limit):
                block = make_block(reading.make, self.on_error, items)
                if block.lines:
                    yield list_part(block.lines, not totals.rows) if as_list else block.lines
                totals.add(block.totals)
                log.merge(block.log)
                line.update(block.items)
        settle(self, reading, totals, log)
        if as_list:
            yield b"\n]\n"


class ToPhiMaker(ConversationMaker, frozen=True):
    """Makes Phi-3-vision's row of one of ours."""

    form: Form
    folder: str | None

    def row(self, where: str, source: AnyRow, log: IssueLog) -> PhiRow:
        messages, images = spoken(where, source, FAMILY, log)
        if self.form != "swift" and messages[0].role == "system":
            raise SkipSample(
                Issue("system text", where, "a text of system", "user and assistant only: trainers that read this form know no other")
            )
        if odd := next((each.role for each in messages if each.role != "user" and IMAGE in each.content), None):
            raise SkipSample(Issue(f"{IMAGE} outside a question", where, f"{IMAGE} in a text of {odd}", f"{IMAGE} in texts of the user"))
        for index, each in enumerate(messages):
            if found := NUMBERED.search(each.content) or re.search("</?img>", each.content):
                raise SkipSample(
                    Issue("text with a placeholder of Phi-3's", f"{where}, turn {index}", f"holds {found[0]}", "text without it")
                )
        paths = [relative(f"{where}, image {index}", path, self.folder) for index, path in enumerate(images)]
        if self.form == "cookbook":
            return PhiRow(source.sample_id, conversations=in_turns(where, messages, paths))
        if self.form == "swift":
            if odd := next((path for path in paths if "<" in path), None):
                raise SkipSample(Issue("path with <", where, f"image {odd[:200]!r}", "a path that can stand within <img> and </img>"))
            marks = (f"<img>{path}</img>" for path in paths)
            return PhiRow(conversations=[PhiTurn(each.role, marked(each, marks)) for each in messages])
        marks = (f"<|image_{number}|>" if self.form == "numbered" else IMAGE for number in range(1, len(paths) + 1))
        turns = [PhiTurn(NAMES[each.role], marked(each, marks)) for each in messages]
        return PhiRow(source.sample_id, paths[0] if len(paths) == 1 else paths or None, turns)


def marked(each: Message, marks: Iterator[str]) -> str:
    """A text with the next marks in the place of its `<image>`."""
    return re.sub(IMAGE, lambda _: next(marks), each.content)


def in_turns(where: str, messages: list[Message], paths: list[str]) -> list[PhiTurn]:
    """Questions with their answers and pictures. Raises SkipSample for a picture that is not at the start of its question."""
    turns, rest = [], iter(paths)
    for asked, answer in zip(messages[::2], messages[1::2], strict=True):
        text = asked.content
        while text.startswith(IMAGE):
            text = text.removeprefix(IMAGE)
        count = (len(asked.content) - len(text)) // len(IMAGE)
        if IMAGE in text:
            what = f"{IMAGE} behind the start of a question"
            raise SkipSample(
                Issue("image within a text", where, what, "pictures at the start: the recipe shows them there; or another --form")
            )
        text = text.removeprefix("\n") if count else text  # the trainer puts one there
        turns.append(PhiTurn(images=[next(rest) for _ in range(count)], user=text, assistant=answer.content))
    return turns


def list_part(lines: bytes, first: bool) -> bytes:
    """Lines of JSON as a part of a list that is not closed yet."""
    return (b"[\n" if first else b",\n") + lines.rstrip(b"\n").replace(b"\n", b",\n")
