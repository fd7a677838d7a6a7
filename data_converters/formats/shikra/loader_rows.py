"""Rows as the datasets of Shikra have them, whose own loaders make a question and an answer of each -> its general form.

Source: shikras/shikra, mllm/dataset/single_image_dataset: flickr.py, caption.py, gpt_gen.py, point_qa.py. Its templates are not used: a
question that the row lacks is one of ours, and an answer is what the row holds, without "The answer is".
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from ...issues import IssueLog, skip
from ...prompts import Asking, Prompt
from ...tasks.conversation import all_usable
from ...tasks.referring import TAGS, ReferringOptions, clean_phrase
from .row import BOXES, POINTS, ShikraRow, Target, Turn

START, END = "<ph_st>", "<ph_ed>"  # of a phrase that has boxes
PHRASE = re.compile(f"{START}(.*?){END}", re.DOTALL)
GptAnswer = Annotated[
    Literal["boxes", "text", "short"],
    msgspec.Meta(description="Answer of GPT-generated rows: the reasoning with its boxes, the same as text, or the short answer."),
]
PointQa = Annotated[Literal["point", "box"], msgspec.Meta(description="What PointQA rows ask about, or find: a point or a box.")]
TwiceQuestion = Annotated[
    Literal["general", "object", "super"], msgspec.Meta(description="Which of the three questions of PointQA-LookTwice rows is asked.")
]
QUESTIONS = {"general": "general_question", "object": "obj_question", "super": "super_question"}
FORMS = (
    "conversations; an expression and its bbox; sentence, boxes and boxes_seq; caption; question and cot_with_ans; "
    "question, answer, bbox and point; or question, candidates, answer and point"
)


class LoaderRow(ShikraRow):
    """A row of Shikra in any form."""

    image_id: int | str | None = None
    file_path: str | None = None
    caption: str | None = None
    sentence: str | None = None
    boxes: list[list[float]] | None = None
    boxes_seq: Any = None
    question: str | None = None
    answer: Any = None
    cot_with_ans: str | None = None
    question_boxes_seq: Any = None
    answer_boxes_seq: Any = None
    point: list[float] | None = None
    candidates: list[list[float]] | None = None
    general_question: str | None = None
    obj_question: str | None = None
    super_question: str | None = None


class Loaders(msgspec.Struct, frozen=True):
    """Makes a conversation of a row.

    `captions`, `grounded`: the questions of rows that have none; None where --prompt is for expressions.
    """

    captions: Asking | None
    grounded: Asking | None
    gpt_answer: GptAnswer
    point_qa: PointQa
    twice_question: TwiceQuestion
    seed: int

    def conversation(self, where: str, source: LoaderRow, sample_id: str) -> tuple[ShikraRow, str | None]:
        """(a row in the general form, the name of its prompt). Phrases of a turn are marked as in the source. Raises SkipSample."""
        turns, target, prompt = self.form_of(where, source)(where, source, sample_id)
        path = source.img_path or source.file_path or (f"{source.image_id}.jpg" if source.sentence is not None else None)
        if path is None or source.image_id is None and source.sentence is not None:
            raise skip("row-malformed", where, "no image", "img_path, file_path, or the image_id of a sentence")
        return ShikraRow(path, target, turns, width=source.width, height=source.height), prompt

    def form_of(self, where: str, source: LoaderRow) -> Callable[..., tuple[list[Turn], Target | None, str | None]]:
        """What makes a conversation of a row of this form. Raises SkipSample where it has none."""
        if source.sentence is not None:
            return self.sentence
        if source.caption is not None:
            return self.caption
        if source.cot_with_ans is not None:
            return self.generated
        if source.candidates is not None:
            return self.candidates
        if source.bbox is not None and source.point is not None:
            return self.point_question
        raise skip("row-malformed", where, "the fields of no known form", FORMS)

    def sentence(self, where: str, source: LoaderRow, sample_id: str) -> tuple[list[Turn], Target, str]:
        """Flickr30k Entities: a sentence whose phrases have boxes."""
        question = picked(where, self.grounded, sample_id)
        return question_and(question.text, marked(where, source.sentence), source.boxes_seq), Target(source.boxes), question.name

    def caption(self, where: str, source: LoaderRow, sample_id: str) -> tuple[list[Turn], None, str]:
        """An image and what it shows."""
        question = picked(where, self.captions, sample_id)
        return question_and(question.text, source.caption.strip()), None, question.name

    def generated(self, where: str, source: LoaderRow, sample_id: str) -> tuple[list[Turn], Target, None]:
        """A question and its reasoning by GPT-4, both with boxes, and a short answer."""
        asked = Turn("human", marked(where, required(where, "question", source.question)), source.question_boxes_seq)
        if self.gpt_answer == "boxes":
            answer = Turn("gpt", marked(where, source.cot_with_ans), source.answer_boxes_seq)
        elif self.gpt_answer == "text":
            answer = Turn("gpt", source.cot_with_ans.replace(START, "").replace(END, ""))
        else:
            answer = Turn("gpt", required(where, "answer", source.answer))
        return [asked, answer], Target(source.boxes), None

    def point_question(self, where: str, source: LoaderRow, sample_id: str) -> tuple[list[Turn], Target, None]:
        """PointQA: a question about a point or a box."""
        twice = any(getattr(source, name) is not None for name in QUESTIONS.values())
        name = QUESTIONS[self.twice_question] if twice else "question"
        question = required(where, name, getattr(source, name))
        answer = required(where, "answer", source.answer if type(source.answer) is not int else str(source.answer))
        by_point = self.point_qa == "point"
        asked = Turn("human", f"{question} {POINTS if by_point else BOXES}", None if by_point else [[0]], [[0]] if by_point else None)
        return [asked, Turn("gpt", answer)], Target(None if by_point else [source.bbox], [source.point] if by_point else None), None

    def candidates(self, where: str, source: LoaderRow, sample_id: str) -> tuple[list[Turn], Target, None]:
        """Visual7W: a question whose answer is one of some boxes, shuffled, or a point in it."""
        question, boxes = required(where, "question", source.question), source.candidates
        order = list(range(len(boxes)))
        random.Random(f"{self.seed} {sample_id}").shuffle(order)  # the place of the answer would give it away
        text = f"{question} Candidates: {', '.join([BOXES] * len(boxes))}. Answer with a {self.point_qa}."
        asked = Turn("human", text, [[index] for index in order])
        if self.point_qa == "point":
            if source.point is None:
                raise skip("row-malformed", where, "no point", "the point of the answer, or --point-qa box")
            return [asked, Turn("gpt", POINTS, None, [[0]])], Target(boxes, [source.point]), None
        if source.answer not in boxes:
            raise skip("row-malformed", where, f"answer {str(source.answer)[:100]}", "one of the candidates, a box")
        return [asked, Turn("gpt", BOXES, [[boxes.index(source.answer)]])], Target(boxes), None


def loaders_of(options: ReferringOptions, gpt_answer: str, point_qa: str, twice_question: str) -> Loaders:
    """What makes conversations of rows; --prompt with a placeholder is for expressions. Raises GroundswiftError for a bad --prompt."""
    for_expressions = options.prompt is not None and TAGS[options.task] in options.prompt
    captions, grounded = (None if for_expressions else options.asking(task) for task in ("caption", "grounded_caption"))
    return Loaders(captions, grounded, gpt_answer, point_qa, twice_question, options.seed)


def picked(where: str, questions: Asking | None, sample_id: str) -> Prompt:
    """The question of a row. Raises SkipSample where --prompt is for expressions."""
    if questions is None:
        raise skip("prompt-other-rows", where, "a caption, and --prompt is for expressions", "--prompt without a placeholder")
    return questions.pick(sample_id)


def question_and(question: str, answer: str, boxes_seq: Any = None) -> list[Turn]:
    """A question and its answer."""
    return [Turn("human", question), Turn("gpt", answer, boxes_seq)]


def required(where: str, name: str, value: Any) -> str:
    """A text that a row needs. Raises SkipSample where it has none."""
    if not isinstance(value, str) or not value.strip():
        raise skip("row-malformed", where, f"{name} is {str(value)[:100]!r}", "a text")
    return value


def marked(where: str, text: str) -> str:
    """A text with `<boxes>` after each marked phrase; marks of blank ones are dropped. Raises SkipSample where marks do not pair."""
    if any(mark in PHRASE.sub(lambda found: found[1], text) for mark in (START, END)):
        raise skip("phrase-marks", where, f"{START} and {END} do not pair in {text[:100]!r}", f"{START}phrase{END}")
    return PHRASE.sub(lambda found: f"{found[0] if found[1].strip() else ''}{BOXES}", text)


def with_labels(thing: str, text: str, log: IssueLog) -> tuple[str, list[str]]:
    """(a text with a `<ref-object>` for each marked phrase, the phrases in order). Raises SkipSample where one cannot be a label."""
    phrases = all_usable([clean_phrase(phrase, thing, log) for phrase in PHRASE.findall(text)])
    return PHRASE.sub("<ref-object>", text), phrases
