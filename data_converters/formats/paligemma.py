"""PaliGemma's JSON Lines of image, prefix and suffix (Roboflow, maestro) <-> rows: boxes as `<locNNNN>`, y first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.answers import Located
from groundswift.atomic_write import write_whole
from groundswift.coordinates import from_original_px
from groundswift.errors import error_at
from groundswift.grammars.registry import format_answer, grammar_of
from groundswift.records import Message, Row, detection_row, whole
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, AskingOptions, Reading, Totals
from ..file_io.box_checks import FoundImage, ImageFolder, fitted_box
from ..file_io.row_files import read_rows
from ..issues import IssueLog, skip
from ..prompts import Asking, filled
from ..rows.collect_boxes import BoxesOptions, ImageBoxes, collect_boxes
from ..rows.dataset_folder import file_names
from ..tasks.conversation import RowMaker, all_usable, check_texts, conversation_row, find_images, numbered_id, with_placeholders
from ..tasks.detection import listed
from ..tasks.referring import clean_phrase

FAMILY = "paligemma"
TASK = re.compile(r"\s*(detect|segment)\s+(\S.*)", re.DOTALL)  # a prefix that asks for boxes; all others are questions
BETWEEN = re.compile(r"\s*;\s*")  # classes
LOCATION = re.compile(r"<loc[0-9]+>")
SEGMENTS = re.compile(r"(?:<seg[0-9]{3}>)+")
END = "<eos>"
SEGMENTED, NOT_ASKED = "paligemma-mask-dropped", "paligemma-label-not-asked"


class Line(msgspec.Struct):
    """A line of the file."""

    image: str
    prefix: str
    suffix: str


class PaligemmaOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn lines of image, prefix and suffix, as Roboflow exports them for PaliGemma, into rows.

    A prefix `detect cat ; dog` becomes the question of --prompts for these classes, its suffix `<loc0102><loc0051><loc0512><loc0307> cat`
    boxes in pixels: <locNNNN> are y1, x1, y2, x2 in parts of the image's sides, --divisor says in how many. An empty suffix says
    that none is there. `segment` is read as `detect`: its boxes are used, its masks dropped (counted). Any other prefix is a
    question in plain text, its suffix the answer. {categories} in your own question is replaced by the classes.

    sample_id is FILE/LINE. Boxes that extend beyond their image are clipped and counted. A suffix that cannot be read whole, and a
    label that the prefix does not ask for, are problems: the row would say that nothing else is there.

    \b
    Example:
      groundswift convert paligemma dataset/train/annotations.jsonl --out train.jsonl
    """

    name, summary = "paligemma", "PaliGemma's prefix and suffix."
    reads, writes = "PaliGemma JSONL of Roboflow: image, prefix, suffix", "detection, captions, question answering"
    issues = {
        SEGMENTED: "mask of a segment suffix, dropped",
        NOT_ASKED: "label that the prefix does not ask for",
    }
    EXAMPLE = {
        "dataset/train/annotations.jsonl": [
            {"image": "a.jpg", "prefix": "detect cat ; dog", "suffix": "<loc0171><loc0128><loc0853><loc0512> cat"},
            {"image": "a.jpg", "prefix": "caption en", "suffix": "A cat."},
        ],
        "dataset/train/a.jpg": EXAMPLE_IMAGE,
    }

    divisor: Annotated[
        Literal["1023", "1024"],
        msgspec.Meta(
            description="Parts of a side: 1023 as PaliGemma's own code (big_vision) has it, or 1024 as supervision and many scripts."
        ),
    ] = "1023"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        if self.prompt is not None and "{categories}" not in self.prompt:
            raise error_at(f"prompt {self.prompt!r}", "does not contain {categories}", "{categories} in the place of the classes")
        rows, total = read_rows(self.annotations, Line)
        questions = self.asking("detect", ["categories"])
        maker = LineMaker(self.image_folder(needed=True), questions, int(self.divisor), self.annotations)
        return Reading(rows, maker, total, "line")


class LineMaker(RowMaker, frozen=True):
    """Makes the row of a line."""

    images: ImageFolder
    questions: Asking
    divisor: int
    source: str

    def row(self, where: str, source: Line, log: IssueLog) -> Row:
        (image,) = find_images(self.images, [source.image.replace("\\", "/")], where, log)
        prefix = source.prefix.strip().removeprefix("<image>")
        task, key = TASK.fullmatch(prefix), numbered_id(self.source, where)
        suffix = source.suffix.strip().removesuffix(END)
        if task is None and (found := LOCATION.search(prefix) or LOCATION.search(suffix)):
            expected = "a prefix of detect or segment, and classes"
            raise skip("answer-unreadable", where, f"{found[0]} with the prefix {prefix[:80]!r}, which asks for no boxes", expected)
        if task is None:
            return self.plain_row(key, image, [Message("user", prefix), Message("assistant", suffix)], where, log)
        names = [clean_phrase(name, f"{where}: prefix", log) for name in BETWEEN.split(task[2].strip()) if name]
        asked = list(dict.fromkeys(all_usable(names)))
        objects: list[tuple[str, list[float]]] = []
        for each in self.objects(suffix, set(asked), image, where, log):
            if each in objects:
                log.count("box-repeated", where)
            else:
                objects.append(each)
        prompt = self.questions.pick(key)
        text = filled(prompt.text, {"categories": listed(asked)})
        labels, boxes = [label for label, _ in objects], [box for _, box in objects]
        return detection_row(key, image.path, image.size_wh, text, labels, boxes, prompt.name, asked)

    def plain_row(self, key: str, image: FoundImage, messages: list[Message], where: str, log: IssueLog) -> Row:
        """A question in plain text and its answer. Raises SkipSample where one is blank or holds what swift would replace."""
        for message in messages:
            if not message.content.strip():
                raise skip("answer-empty" if message.role == "assistant" else "question-empty", where, "blank", "a text")
        check_texts(where, messages, (), True, log)
        return conversation_row(with_placeholders(where, messages, "<image>", 1), [image], key)

    def objects(self, suffix: str, asked: set[str], image: FoundImage, where: str, log: IssueLog) -> Iterator[tuple[str, list[float]]]:
        """(label, xyxy in px) of each object of a suffix. Raises SkipSample where it cannot be read whole."""
        masks = SEGMENTS.findall(suffix)
        if masks:
            log.count(SEGMENTED, where, len(masks))
        answer = grammar_of(FAMILY).parse(SEGMENTS.sub(" ", suffix), self.divisor)
        if answer.status not in ("ok", "empty") or answer.reasons:
            what = f"suffix {suffix[:100]!r} ({', '.join(answer.reasons) or answer.status})"
            remedy = ", or --divisor 1024" if self.divisor == 1023 and "<loc1024>" in suffix else ""
            raise skip("answer-unreadable", where, what, f"<locNNNN> 4 times and a class, joined by ;{remedy}")
        for number, found in enumerate(answer.objects, 1):
            if found.label not in asked:
                raise skip(NOT_ASKED, where, f"label {found.label!r}", f"one of the prefix ({', '.join(sorted(asked))[:100]})")
            thing = f"{where}: box {number}"
            placed = [part * side / self.divisor for part, side in zip(found.box, image.size_wh * 2, strict=True)]
            (box,) = all_usable([fitted_box(placed, image.size_wh, thing, log)])
            yield found.label, [whole(value) for value in box]


class ToPaligemmaOptions(BoxesOptions, frozen=True, kw_only=True):
    """Turn swift rows into lines of image, prefix and suffix, as Roboflow exports them for PaliGemma.

    The prefix of every line asks for all classes, in the order of --categories or by first appearance. Numbers are those of
    PaliGemma, 0 to 1023. image is relative to DIR, or to the deepest folder that holds all images. Rows about one image are
    merged: a box that several of them name is written once.

    \b
    Example:
      groundswift convert to-paligemma train.jsonl --out annotations.jsonl
    """

    name, summary = "to-paligemma", "swift rows to PaliGemma's prefix and suffix."
    reads, writes = "swift rows", "PaliGemma JSONL: image, prefix, suffix"
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW], "a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        found = collect_boxes(self, log, progress)
        images = list(found.images.values())
        if odd := next((name for name in found.categories if ";" in name), None):
            raise error_at(self.annotations, f"class {odd!r}", "a class without ;, which separates classes")
        prefix = f"detect {' ; '.join(found.categories)}"
        names = file_names([image.path for image in images], self.images)
        lines = [msgspec.json.encode(Line(name, prefix, suffix_of(image))) + b"\n" for name, image in zip(names, images, strict=True)]
        if out is not None:
            write_whole(out, lines)
        return Totals.of([image.boxes.total() for image in images])


def suffix_of(image: ImageBoxes) -> str:
    """The objects of an image as PaliGemma writes them. Raises GroundswiftError where it cannot write a class."""
    named = list(image.boxes.elements())
    boxes = from_original_px([box for _, *box in named], FAMILY, image.size_wh).tolist() if named else []
    return format_answer([Located(label, tuple(box)) for (label, *_), box in zip(named, boxes, strict=True)], FAMILY) if named else ""
