"""Rows of Shikra -> swift rows: boxes and points are apart from the conversation, and each turn refers to them by index.

* `<boxes>` number k of a turn means the boxes `boxes_seq[k]`: one, or several that are meant together. Each becomes a `<bbox>`, in a row
  without anything between. `<points>` and `points_seq` likewise; a point is a box of two numbers.
* Boxes are x1, y1, x2, y2 and points x, y, in pixels or in fractions of the image.
* Shikra reads images as they are stored. Where an image is EXIF-rotated, its boxes may belong to the stored or to the upright image: the
  user has to say which (`exif_boxes`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from groundswift.box_checks import box_problem
from groundswift.images import SIDES_SWAPPED
from groundswift.records import BOX, IMAGE, Message, Objects, Row, whole

from ...base import EXAMPLE_IMAGE
from ...file_io.box_checks import FoundImage, fitted_box, fitted_point
from ...file_io.exif_boxes import ExifBoxes, box_orientation, to_px
from ...issues import Issue, IssueLog, skip
from ...tasks import conversation as chat
from ...tasks.referring import TAGS, Referring, ReferringOptions, clean_phrase
from .loader_rows import GptAnswer, LoaderRow, Loaders, PointQa, TwiceQuestion, loaders_of, with_labels
from .row import BOXES, POINTS, ShikraImage, ShikraRow, Target, Turn

NAMES = {BOXES: "box", POINTS: "point"}
PLACEHOLDER = re.compile(f"({BOXES}|{POINTS})")
ROLES = {"human": "user", "gpt": "assistant"}
Space = Literal["px", "norm1"]
TargetIndex = tuple[str, int]  # BOXES or POINTS, and the index of a box or point of the target


class ShikraOptions(ReferringOptions, chat.ConversationOptions, frozen=True, kw_only=True):
    """Turn rows of Shikra into swift rows: image, target (boxes, points), conversations with <boxes>, <points> and <image>.

    A box that several turns refer to is repeated in the row. A relative path of an image starts at DIR. Boxes and points come
    out in pixels of the upright image. sample_id is the row's own as text, else the name of SOURCE and the number of the line:
    train/7. A row without target is a conversation without boxes, one without image a conversation without image.

    \b
    Rows of Shikra's own datasets, each in the form of its loader, become conversations as well:
      REC, REG, GC       an expression and its box; --task
      Flickr30k          a sentence whose phrases have boxes; the phrases become labels
      captions           a sentence
      GPT4GEN            a question and its reasoning; --gpt-answer
      PointQA, Visual7W  a question about a point or a box; --point-qa, --twice-question. Candidates are shuffled by --seed

    The first three have no question and get one of the file of prompts: --prompt (with <ref-object> or <bbox> for
    expressions, without for captions and sentences), --prompts and --language are for these rows alone. Answers are what the
    rows hold, without "The answer is", which Shikra adds.

    Dropped or changed, and counted: boxes and points that no turn refers to; boxes that extend beyond their image are
    clipped; a space is put between two adjacent placeholders, as they would read as one.

    \b
    Example:
      groundswift convert shikra train_shikra.jsonl --images /data/flickr30k_images --out train.jsonl
    """

    name, summary = "shikra", "Shikra rows."
    reads = "Shikra rows: boxes, points, conversations; those of its own datasets"
    writes = "any conversation, with boxes and points; referring (find), describing; captions, plain or grounded"
    EXAMPLE = {
        "train_shikra.jsonl": [
            {
                "image": "a.jpg",
                "target": {"boxes": [[1, 1, 4, 5]]},
                "conversations": [{"from": "human", "value": "<image>Where?"}, {"from": "gpt", "value": "<boxes>.", "boxes_seq": [[0]]}],
            },
            {"image_id": "a", "sentence": "<ph_st>A cat<ph_ed> sits.", "boxes": [[1, 1, 4, 5]], "boxes_seq": [[0]]},
        ],
        "data/flickr30k_images/a.jpg": EXAMPLE_IMAGE,
    }
    row_type = LoaderRow

    space: Annotated[Space, msgspec.Meta(description="Unit of the numbers: pixels, or fractions (0 to 1) of the image.")] = "px"
    exif_boxes: ExifBoxes = None
    gpt_answer: GptAnswer = "boxes"
    point_qa: PointQa = "point"
    twice_question: TwiceQuestion = "general"

    def maker(self) -> ShikraMaker:
        loaders = loaders_of(self, self.gpt_answer, self.point_qa, self.twice_question)
        for_captions = self.prompt is not None and TAGS[self.task] not in self.prompt
        referring = None if for_captions else Referring(self.task, self.questions())
        return ShikraMaker.of(self, referring=referring, loaders=loaders, space=self.space, exif_boxes=self.exif_boxes)


class ShikraMaker(chat.ImageRowMaker, frozen=True, kw_only=True):
    """Makes the swift row of a Shikra row. The name of `source` begins the sample_id of a row that has none.

    `referring`: what makes rows of expressions; None where --prompt is for captions.
    """

    referring: Referring | None
    loaders: Loaders
    space: Space
    exif_boxes: str | None

    def row(self, where: str, source: LoaderRow, log: IssueLog) -> Row:
        sample_id = str(source.sample_id) if source.sample_id is not None else chat.numbered_id(self.source, where)
        if source.conversations is not None:
            return self.conversation(where, source, sample_id, None, log)
        if source.expression is not None:
            return self.expression(where, source, sample_id, log)
        whole_row, prompt = self.loaders.conversation(where, source, sample_id)
        return self.conversation(where, whole_row, sample_id, prompt, log, marked=True)

    def conversation(self, where: str, source: ShikraRow, sample_id: str, prompt: str | None, log: IssueLog, marked: bool = False) -> Row:
        """The row of a conversation; `marked`: its phrases with boxes are marked, and become labels."""
        messages = [chat.message(where, index, turn.speaker, turn.value, ROLES) for index, turn in enumerate(source.conversations)]
        chat.check_order(where, messages)
        name, stated_wh = image_of(where, source)
        messages = chat.with_placeholders(where, messages, IMAGE, int(name is not None))
        chat.check_texts(where, messages, [IMAGE], name is not None, log)
        target = source.target or Target()
        texts, meant, labels = [], [], []
        for index, (each, turn) in enumerate(zip(messages, source.conversations, strict=True)):
            text, own = with_boxes(f"{where}, turn {index}", each.content, turn, target, log)
            text, phrases = with_labels(f"{where}, turn {index}", text, log) if marked else (text, [])
            texts.append(Message(each.role, text))
            meant += own
            labels += phrases
        if name is None and (target.boxes or target.points):
            raise skip("boxes-without-image", where, "a target, and no image", "the image that it belongs to")
        images = [] if name is None else [self.image(where, name, stated_wh, log)]
        for kind in NAMES:
            if lost := len(target.of(kind)) - sum(each == kind for each, _ in set(meant)):
                log.count(f"{NAMES[kind]}-unused", where, lost)
        objects = Objects(labels, self.placed(where, target, meant, images[0], log)) if meant else None
        return chat.conversation_row(texts, images, sample_id, prompt, objects)

    def expression(self, where: str, source: ShikraRow, sample_id: int | str, log: IssueLog) -> Row:
        """The row of an expression and its box."""
        if source.img_path is None or source.bbox is None:
            raise skip("row-malformed", where, "an expression without img_path or bbox", "img_path, expression and bbox")
        if self.referring is None:
            what = "an expression, and --prompt names no object"
            raise skip("prompt-other-rows", where, what, f"--prompt with {TAGS['find']} (--task find) or {TAGS['describe']} (describe)")
        phrase = clean_phrase(source.expression, where, log)
        image = self.image(where, source.img_path, image_of(where, source)[1], log)
        boxes = self.placed(where, Target([source.bbox]), [(BOXES, 0)], image, log)
        return self.referring.row(sample_id, *chat.all_usable([phrase]), boxes, image)

    def image(self, where: str, name: str, stated_wh: tuple[int, int] | None, log: IssueLog) -> FoundImage:
        """The image of a row. Raises SkipSample where it cannot be used; the issue is logged."""
        thing, stored = f"{where}, image ({name[:200]})", self.exif_boxes == "stored"
        needed = stored or self.space == "norm1"
        (seen,) = chat.all_usable([self.images.find(name, thing, log, None if stored else stated_wh, needed)])
        stored_wh = seen.size_wh[::-1] if stored and seen.orientation in SIDES_SWAPPED else seen.size_wh
        if stored and stated_wh not in (None, stored_wh):
            what = f"stated as {stated_wh[0]}x{stated_wh[1]} px, but stored as {stored_wh[0]}x{stored_wh[1]} px"
            raise skip("image-size-differs", thing, what, "one size")
        return seen

    def placed(self, where: str, target: Target, meant: list[TargetIndex], image: FoundImage, log: IssueLog) -> list[list[float]]:
        """Each box and point in px of the upright image. Raises SkipSample where one cannot be used; each issue is logged."""
        turn = box_orientation(where, image, self.exif_boxes)
        usable = {each: self.usable(where, target, each, image, turn, log) for each in dict.fromkeys(meant)}
        return chat.all_usable([usable[each] for each in meant])

    def usable(self, where: str, target: Target, each: TargetIndex, image: FoundImage, turn: int, log: IssueLog) -> list[float] | None:
        """One box or point in px; None, and an issue is logged, where it cannot be used."""
        kind, index = each
        is_box, name, numbers = kind == BOXES, NAMES[kind], target.of(kind)[index]
        thing = f"{where}, {name} {index}"
        if len(numbers) != (4 if is_box else 2):
            log.add(Issue(f"{name}-length", thing, f"{numbers}", "x1, y1, x2, y2" if is_box else "x, y"))
            return None
        if is_box and (problem := box_problem(numbers)):  # before it is rotated: that would hide corners that are inverted
            log.add(Issue(problem.id, thing, f"box {numbers}", problem.expected))
            return None
        px = to_px(numbers * (1 if is_box else 2), 1 if self.space == "norm1" else None, image.size_wh, turn)
        fitted = fitted_box(px, image.size_wh, thing, log) if is_box else fitted_point(px[:2], image.size_wh, thing, log)
        return fitted and [whole(value) for value in fitted]


def image_of(where: str, source: ShikraRow) -> tuple[str | None, tuple[int, int] | None]:
    """(path, stated size in px) of a row's image; None where there is none, or nothing is stated.

    Raises SkipSample where it states two sizes, or one side alone.
    """
    image = source.image if isinstance(source.image, ShikraImage) else None
    sizes = {(each.width, each.height) for each in (image, source) if each is not None} - {(None, None)}
    if len(sizes) > 1 or any(None in size for size in sizes):
        what = " and ".join(f"width {width}, height {height}" for width, height in sorted(sizes, key=str))
        raise skip("size-unclear", where, what, "one width and height in px, or none")
    return source.image if image is None else image.path, next(iter(sizes), None)


def with_boxes(thing: str, text: str, turn: Turn, target: Target, log: IssueLog) -> tuple[str, list[TargetIndex]]:
    """The text of a turn with a `<bbox>` for each box and point that it refers to, and these in order. Raises SkipSample as `groups_of`."""
    sequences = {BOXES: turn.boxes_seq, POINTS: turn.points_seq}
    groups = {kind: iter(groups_of(thing, kind, text.count(kind), seq, len(target.of(kind)))) for kind, seq in sequences.items()}
    out, meant, last = "", [], ""
    for part in PLACEHOLDER.split(text):
        if part not in groups:
            out, last = out + part, part or last
            continue
        if part == last:
            out += " "
            log.count("space-added", thing)
        group = next(groups[part])
        meant += [(part, index) for index in group]
        out, last = out + BOX * len(group), part
    return out, meant


def groups_of(thing: str, kind: str, placeholders: int, seq: Any, having: int) -> list[list[int]]:
    """`boxes_seq` or `points_seq` of a turn, checked: a group of indices below `having` for each placeholder. Raises SkipSample."""
    name, seq = f"{kind.strip('<>')}_seq", [] if seq is None else seq
    if not isinstance(seq, list) or not all(isinstance(group, list) and all(type(index) is int for index in group) for group in seq):
        form = f"a list of lists of whole numbers, such as [[0, 1], [2]]: one list for each {kind}"
        raise skip("seq-malformed", thing, f"{name} {str(seq)[:100]}", form)
    if len(seq) != placeholders:
        raise skip("seq-count", thing, f"{placeholders} {kind} and {len(seq)} groups in {name}", f"a group for each {kind}")
    for group in seq:
        if not group:
            raise skip("seq-group-empty", thing, f"{name} {str(seq)[:100]}", "at least one index in each group")
        wrong = next((index for index in group if not 0 <= index < having), None)
        if wrong is not None:
            expected = f"an index from 0 to {having - 1}" if having else "none: the target has no such list"
            raise skip("seq-index-range", thing, f"index {str(wrong)[:30]} in {name}", expected)
    return seq
