"""MIMIC-IT, the instructions that Otter was trained on -> rows.

A task has `DC_instructions.json` with the instructions by id, `DC.json` with the pictures by id in base64, and `DC_train.json` with the
instructions to train on, each with the ids of those that are related to it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import msgspec

from groundswift.errors import fault
from groundswift.file_guard import path_inside
from groundswift.records import IMAGE, Message, Row
from groundswift.storage import exists, file_name, folder_of, is_file, join

from ..base import ImageOptions, Reading
from ..file_io.box_checks import ImageFolder, Seen
from ..file_io.embedded_images import folder_to_keep
from ..file_io.mmap_json import Key, part, read_mapped
from ..file_io.row_files import Sourced
from ..issues import Issue, IssueLog, SkipSample
from ..tasks.conversation import ConversationMaker, check_order, check_texts, finished, kept, looked_at

INSTRUCTIONS = "_instructions.json"
SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")  # of the file of a picture, behind its id
FORM = '{"meta": {...}, "data": {id: {instruction, answer, image_ids, rel_ins_ids}}}'


class Instruction(msgspec.Struct):
    """One question and its answer; `image_ids`: its pictures in order; `rel_ins_ids`: instructions that may stand before it."""

    instruction: str
    answer: str
    image_ids: str | list[str] | None = None
    rel_ins_ids: list[str] | None = None

    @property
    def pictures(self) -> list[str]:
        """The ids of its pictures."""
        return [self.image_ids] if isinstance(self.image_ids, str) else list(self.image_ids or ())


class InstructionFile(msgspec.Struct):
    """A file of instructions by id, each left encoded until it is its turn."""

    data: dict[Key, msgspec.Raw]


class Example(NamedTuple):
    """What one row is made of: its id, and the instructions that become its turns, the last its own."""

    id: str
    turns: list[Instruction]


class OtterOptions(ImageOptions, frozen=True, kw_only=True):
    """Turn MIMIC-IT (Otter) instructions into rows: one each, with all its pictures in front of its question.

    SOURCE is NAME_instructions.json. The pictures lie in a folder, as files named by their ids (.jpg, .jpeg, .png, .webp,
    .bmp, .gif), or in a file NAME.json of base64 by id; from there they are written to --save-pictures. sample_id is the id
    of the instruction.

    With --related history the related instructions stand before each one as earlier turns, in their order; pictures that
    are those of the turn before are not repeated. --train takes the ids and what is related to them from NAME_train.json.

    Faults: a related instruction that is not in SOURCE or is the instruction itself, an empty answer, one of swift's
    placeholders in a text; a picture that is missing or unreadable.

    \b
    Example:
      groundswift convert otter DC_instructions.json --images DC.json --save-pictures frames/ --out dc.jsonl
    """

    images: Annotated[
        str | None,
        msgspec.Meta(
            description="Folder of the pictures, or the JSON file of their base64.  [default: NAME.json beside SOURCE, else its folder]",
            extra={"path": True, "metavar": "PATH"},
        ),
    ] = None
    save_pictures: Annotated[
        str | None,
        msgspec.Meta(
            description="Folder to write the pictures to that a JSON file holds, each as it is read.",
            extra={"path": True, "metavar": "DIR"},
        ),
    ] = None
    related: Annotated[Literal["none", "history"], msgspec.Meta(description="What becomes of the related instructions.")] = "none"
    train: Annotated[
        str | None,
        msgspec.Meta(
            description="NAME_train.json: the instructions to take, in its order, and what is related to each.",
            extra={"path": True, "metavar": "FILE"},
        ),
    ] = None

    def read(self, log: IssueLog) -> Reading:
        data = read_mapped(self.annotations, InstructionFile, FORM).data
        chosen = read_mapped(self.train, dict[Key, list[str]], "{id: [ids of related instructions]}") if self.train else None
        images = self.images or beside(self.annotations)
        held = images if images is not None and file_name(images).lower().endswith(".json") else None
        if held is None:
            folder, saved = self.pictures(), None
        elif self.save_pictures is None:
            raise fault(held, "holds the pictures themselves, and swift reads files", "--save-pictures DIR")
        else:
            folder, saved = None, folder_to_keep(self.save_pictures)
            pictures_by_id(held)
        items = examples(self.annotations, data, chosen, self.related == "history")
        return Reading(items, OtterMaker(folder, held, saved), len(data if chosen is None else chosen), "instruction")


class OtterMaker(ConversationMaker, frozen=True):
    """Makes the row of one instruction. Pictures lie in `folder`, or are held in the file `held` and written to `saved`."""

    folder: ImageFolder | None
    held: str | None
    saved: str | None

    def row(self, where: str, source: Example, log: IssueLog) -> Row:
        messages, ids = [], []
        before: list[str] = []
        for each in source.turns:
            new = each.pictures if each.pictures != before else []
            before = each.pictures
            ids += new
            messages += [Message("user", each.instruction), Message("assistant", each.answer)]
            check_texts(where, messages[-2:], [], True, log)
            messages[-2] = Message("user", IMAGE * len(new) + each.instruction)
        check_order(where, messages)
        if not ids:
            check_texts(where, messages, [], False, log)
        return finished(messages, self.seen(where, ids, log), source.id)

    def seen(self, where: str, ids: Sequence[str], log: IssueLog) -> Sequence[Seen]:
        """The pictures with these ids. Raises SkipSample where one cannot be used; why is noted, for each."""
        if self.folder is not None:
            return looked_at(self.folder, [self.named(each) for each in ids], where, log)
        found = [self.written(each, f"{where}, image {index} ({each[:200]})", log) for index, each in enumerate(ids)]
        if None in found:
            raise SkipSample(None)
        return found

    def named(self, picture_id: str) -> str:
        """The name of a picture's file: its id, with the suffix of the file that is there."""
        for suffix in SUFFIXES if self.folder.check else ():
            path = path_inside(self.folder.folder, picture_id + suffix)
            if path is not None and is_file(path):
                return picture_id + suffix
        return picture_id if os.path.splitext(picture_id)[1] else f"{picture_id}.jpg"

    def written(self, picture_id: str, thing: str, log: IssueLog) -> Seen | None:
        """A picture of the file, written; None, and a fault is noted, where it cannot be."""
        try:
            data = picture_of(self.held, picture_id, thing)
            return kept(data, self.saved, picture_id, thing, log)
        except SkipSample as stopped:
            if stopped.fault is not None:
                log.add(stopped.fault)
            return None


def picture_of(held: str, picture_id: str, thing: str) -> bytes:
    """The content of a picture's file. Raises SkipSample where there is none of this id, or it is no base64."""
    raw = pictures_by_id(held).get(picture_id)
    if raw is None:
        raise SkipSample(Issue("image missing", thing, f"no such id in {held}", "the base64 of the picture"))
    text = part(thing, raw, str, "picture", "its base64")
    try:
        content = text.partition("base64,")[2] if text.startswith("data:") else text
        return base64.b64decode("".join(content.split()), validate=True)  # MIME's has line breaks
    except ValueError as error:
        raise SkipSample(Issue("image unreadable", thing, f"not base64 ({error})", "the base64 of the picture")) from None


def beside(annotations: str) -> str | None:
    """`NAME.json` beside `NAME_instructions.json`; None where there is none."""
    name = file_name(annotations)
    path = join(folder_of(annotations), name.removesuffix(INSTRUCTIONS) + ".json")
    return path if name.endswith(INSTRUCTIONS) and exists(path) else None


def examples(source: str, data: dict[str, msgspec.Raw], chosen: dict[str, list[str]] | None, history: bool) -> Iterator[Sourced | Issue]:
    """Each instruction with its turns, in the order of `chosen` or of the file; an Issue in the place of one that cannot be read."""
    for each in data if chosen is None else chosen:
        where = f"{source}: {each}"
        try:
            own = instruction_of(where, data, each, "an instruction of the file")
            related = (chosen[each] if chosen is not None else own.rel_ins_ids or []) if history else []
            if each in related:
                raise SkipSample(
                    Issue("instruction related to itself", where, "rel_ins_ids names it", "other instructions: it would hold its answer")
                )
            turns = [instruction_of(where, data, other, "a related instruction that is in the file") for other in related]
        except SkipSample as stopped:
            yield stopped.fault
        else:
            yield Sourced(where, Example(str(each), [*turns, own]))


def instruction_of(where: str, data: dict[str, msgspec.Raw], wanted: str, expected: str) -> Instruction:
    """One instruction. Raises SkipSample where there is none of this id, or it is of another form."""
    if wanted not in data:
        raise SkipSample(Issue("instruction unknown", where, f"no instruction {wanted[:200]!r}", expected))
    return part(where, data[wanted], Instruction, f"instruction {wanted[:200]!r}", "instruction, answer, image_ids, rel_ins_ids")


@lru_cache(maxsize=2)
def pictures_by_id(path: str) -> dict[str, msgspec.Raw]:
    """The pictures of a file by id, each left encoded; a process reads the file once."""
    return read_mapped(path, dict[Key, msgspec.Raw], "{id of a picture: its base64}")
