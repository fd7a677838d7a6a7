"""MIMIC-IT, the instructions that Otter was trained on -> rows.

A task has `DC_instructions.json` with the instructions by id, `DC.json` with the images by id in base64, and `DC_train.json` with the
instructions to train on, each with the ids of those that are related to it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from groundswift.errors import error_at
from groundswift.file_guard import path_inside
from groundswift.records import IMAGE, Message, Row
from groundswift.storage import exists, is_file
from groundswift.urls import file_name, folder_of, join
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, ImageOptions, Reading, path_option
from ..file_io.box_checks import FoundImage, ImageFolder
from ..file_io.embedded_images import folder_to_save
from ..file_io.mmap_json import Key, part, read_mapped
from ..file_io.row_files import Sourced
from ..issues import Issue, IssueLog, SkipSample, skip
from ..tasks.conversation import RowMaker, all_usable, check_order, check_texts, conversation_row, find_images, save_image

INSTRUCTIONS = "_instructions.json"
SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")  # of an image's file, appended to its id
FORM = '{"meta": {...}, "data": {id: {instruction, answer, image_ids, rel_ins_ids}}}'


class Instruction(msgspec.Struct):
    """One question and its answer; `image_ids`: its images in order; `rel_ins_ids`: instructions that may come before it."""

    instruction: str
    answer: str
    image_ids: str | list[str] | None = None
    rel_ins_ids: list[str] | None = None

    @property
    def images(self) -> list[str]:
        """The ids of its images."""
        return [self.image_ids] if isinstance(self.image_ids, str) else list(self.image_ids or ())


class InstructionFile(msgspec.Struct):
    """A file of instructions by id, each kept encoded until it is needed."""

    data: dict[Key, msgspec.Raw]


Example = tuple[str, list[Instruction]]  # its id, and the instructions that become its turns, its own the last


class OtterOptions(ImageOptions, frozen=True, kw_only=True):
    """Turn MIMIC-IT (Otter) instructions into rows: one each, with all its images in front of its question.

    SOURCE is NAME_instructions.json. The images are in a folder, as files named by their ids (.jpg, .jpeg, .png, .webp,
    .bmp, .gif), or in a file NAME.json of base64 by id; those are written to --save-images. sample_id is the id of the
    instruction.

    With --related history the related instructions come before each one as earlier turns, in their order; images that are
    those of the turn before are not repeated. --train takes the ids and the related instructions from NAME_train.json.

    \b
    Example:
      groundswift convert otter DC_instructions.json --images DC.json --save-images frames/ --out dc.jsonl
    """

    name, summary = "otter", "MIMIC-IT (Otter)."
    reads, writes = "MIMIC-IT (Otter): instructions and images in JSON", "conversation"
    EXAMPLE = {
        "DC_instructions.json": {
            "meta": {},
            "data": {"DC_INS_1": {"instruction": "What is it?", "answer": "A cat.", "image_ids": ["DC_IMG_1"], "rel_ins_ids": []}},
        },
        "DC.json": {"DC_IMG_1": base64.b64encode(EXAMPLE_IMAGE).decode()},
    }

    images: Annotated[
        str | None,
        path_option(
            "Folder of the images, or the JSON file of their base64.  [default: NAME.json next to SOURCE, else its folder]", "PATH"
        ),
    ] = None
    save_images: Annotated[str | None, path_option("Folder for the images of a JSON file.", "DIR")] = None
    related: Annotated[
        Literal["none", "history"], msgspec.Meta(description="Related instructions: drop them, or make them earlier turns.")
    ] = "none"
    train: Annotated[str | None, path_option("NAME_train.json: the instructions to use, in its order, and those related to each.")] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        data = read_mapped(self.annotations, InstructionFile, FORM).data
        chosen = read_mapped(self.train, dict[Key, list[str]], "{id: [ids of related instructions]}") if self.train else None
        images = self.images or default_images(self.annotations)
        image_file = images if images is not None and file_name(images).lower().endswith(".json") else None
        if image_file is None:
            folder, saved = self.image_folder(), None
        elif self.save_images is None:
            raise error_at(image_file, "holds the images themselves, and swift reads files", "--save-images DIR")
        else:
            folder, saved = None, folder_to_save(self.save_images)
            images_by_id.cache_clear()  # of another run in this process
            images_by_id(image_file)
        items = examples(self.annotations, data, chosen, self.related == "history")
        return Reading(items, OtterMaker(folder, image_file, saved), len(data if chosen is None else chosen), "instruction")


class OtterMaker(RowMaker, frozen=True):
    """Makes the row of one instruction. Images are files in `folder`, or in `image_file` and are then written to `saved`."""

    folder: ImageFolder | None
    image_file: str | None
    saved: str | None

    def row(self, where: str, source: Example, log: IssueLog) -> Row:
        sample_id, turns = source
        messages, ids = [], []
        before: list[str] = []
        for each in turns:
            new = each.images if each.images != before else []
            before = each.images
            ids += new
            messages += [Message("user", each.instruction), Message("assistant", each.answer)]
            check_texts(where, messages[-2:], [], True, log)
            messages[-2] = Message("user", IMAGE * len(new) + each.instruction)
        check_order(where, messages)
        if not ids:
            check_texts(where, messages, [], False, log)
        return conversation_row(messages, self.images_of(where, ids, log), sample_id)

    def images_of(self, where: str, ids: Sequence[str], log: IssueLog) -> Sequence[FoundImage]:
        """The images with these ids. Raises SkipSample where one cannot be used; each issue is logged."""
        if self.folder is not None:
            return find_images(self.folder, [self.file_name(each) for each in ids], where, log)
        return all_usable([self.saved_image(each, f"{where}, image {index} ({each[:200]})", log) for index, each in enumerate(ids)])

    def file_name(self, image_id: str) -> str:
        """The name of an image's file: its id, with the suffix of the file that exists."""
        for suffix in SUFFIXES if self.folder.check else ():
            path = path_inside(self.folder.folder, image_id + suffix)
            if path is not None and is_file(path):
                return image_id + suffix
        return image_id if os.path.splitext(image_id)[1] else f"{image_id}.jpg"

    def saved_image(self, image_id: str, thing: str, log: IssueLog) -> FoundImage | None:
        """An image of the file, written to `saved`; None, and an issue is logged, where it cannot be."""
        try:
            return save_image(decoded_image(self.image_file, image_id, thing), self.saved, image_id, thing, log)
        except SkipSample as stopped:
            if stopped.issue is not None:
                log.add(stopped.issue)
            return None


def decoded_image(image_file: str, image_id: str, thing: str) -> bytes:
    """The content of an image. Raises SkipSample where there is none of this id, or it is not base64."""
    raw = images_by_id(image_file).get(image_id)
    if raw is None:
        raise skip("image-missing", thing, f"no such id in {image_file}", "the base64 of the image")
    text = part(thing, raw, str, "image", "its base64")
    try:
        content = text.partition("base64,")[2] if text.startswith("data:") else text
        return base64.b64decode("".join(content.split()), validate=True)  # MIME's has line breaks
    except ValueError as error:
        raise skip("image-unreadable", thing, f"not base64 ({error})", "the base64 of the image") from None


@lru_cache(maxsize=2)
def images_by_id(path: str) -> dict[str, msgspec.Raw]:
    """The images of a file by id, each kept encoded; a process reads the file once."""
    return read_mapped(path, dict[Key, msgspec.Raw], "{id of an image: its base64}")


def default_images(annotations: str) -> str | None:
    """`NAME.json` next to `NAME_instructions.json`; None where there is none."""
    name = file_name(annotations)
    path = join(folder_of(annotations), name.removesuffix(INSTRUCTIONS) + ".json")
    return path if name.endswith(INSTRUCTIONS) and exists(path) else None


def examples(source: str, data: dict[str, msgspec.Raw], chosen: dict[str, list[str]] | None, history: bool) -> Iterator[Sourced | Issue]:
    """Each instruction with its turns, in the order of `chosen` or of the file; an Issue in place of one that cannot be read."""
    for each in data if chosen is None else chosen:
        where = f"{source}: {each}"
        try:
            own = instruction_of(where, data, each, "an instruction of the file")
            related = (chosen[each] if chosen is not None else own.rel_ins_ids or []) if history else []
            if each in related:
                what, expected = "rel_ins_ids names it", "other instructions: it would hold its answer"
                raise skip("instruction-self-related", where, what, expected)
            turns = [instruction_of(where, data, other, "a related instruction that is in the file") for other in related]
        except SkipSample as stopped:
            yield stopped.issue
        else:
            yield Sourced(where, (str(each), [*turns, own]))


def instruction_of(where: str, data: dict[str, msgspec.Raw], wanted: str, expected: str) -> Instruction:
    """One instruction. Raises SkipSample where there is none of this id, or it is malformed."""
    if wanted not in data:
        raise skip("instruction-unknown", where, f"no instruction {wanted[:200]!r}", expected)
    return part(where, data[wanted], Instruction, f"instruction {wanted[:200]!r}", "instruction, answer, image_ids, rel_ins_ids")
