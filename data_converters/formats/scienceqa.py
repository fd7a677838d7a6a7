"""ScienceQA -> rows: a question, its choices by letter, and its image if any. Reads the original files and the rows of the hubs
(derek-thomas/ScienceQA)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec

from groundswift.errors import error_at
from groundswift.records import IMAGE, Message, Row
from groundswift.storage import exists
from groundswift.urls import file_name, folder_of, join
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, AskingOptions, Reading
from ..file_io.box_checks import FoundImage, ImageFolder
from ..file_io.embedded_images import EmbeddedImage, SaveImages, folder_to_save
from ..file_io.mmap_json import Key, part, read_mapped
from ..file_io.row_files import NO_ROW, Sourced, read_rows
from ..issues import Issue, IssueLog, SkipSample, skip
from ..prompts import Asking, filled
from ..tasks.conversation import RowMaker, check_texts, conversation_row, find_images, numbered_id, save_image

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIELDS = ("context", "question", "choices")
SPLITS_NAME = "pid_splits.json"


class Problem(msgspec.Struct):
    """A question. `answer`: the index of the right choice. `image`: a file's name in the original, the image itself on the hubs."""

    question: str
    choices: list[str]
    answer: int
    hint: str | None = None
    solution: str | None = None
    image: str | EmbeddedImage | None = None
    split: str | None = None
    pid: str | None = None


class ScienceQaOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn ScienceQA into rows: question and lettered choices, answered by a letter.

    SOURCE is problems.json of the original, or a Parquet, JSON or JSON Lines file of the hubs' rows. Images of the original
    are DIR/SPLIT/ID/image.png; those that the hubs' rows hold are written to --save-images. A question without an image
    gets a row without one. In your own question {question} is replaced by the question, {choices} by the choices, one per
    line, {context} by the hint with its line break, or nothing. sample_id is scienceqa/SPLIT/ID, or the name of SOURCE and
    the number of the row.

    \b
    Example:
      groundswift convert scienceqa data/scienceqa/problems.json --images data/scienceqa/images --split train --out train.jsonl
    """

    name, summary = "scienceqa", "ScienceQA."
    reads, writes = "ScienceQA: original files, or rows of the hubs", "question answering"
    EXAMPLE = {
        "data/scienceqa/problems.json": {
            "1": {"question": "Which?", "choices": ["a", "b"], "answer": 1, "hint": "", "image": "a.png", "solution": "", "split": "train"}
        },
        "data/scienceqa/pid_splits.json": {"train": ["1"]},
        "data/scienceqa/images/train/1/a.png": EXAMPLE_IMAGE,
    }

    save_images: SaveImages = None
    split: Annotated[
        str | None, msgspec.Meta(description="Only the questions of this split of pid_splits.json, next to problems.json.  [default: all]")
    ] = None
    answer: Annotated[
        Literal["letter", "letter_and_solution"],
        msgspec.Meta(description="The letter, or the letter and below it the solution."),
    ] = "letter"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        saved = folder_to_save(self.save_images)
        problems = read_problems(self.annotations)
        if problems is None and self.split is not None:
            raise error_at(self.annotations, "rows of the hubs have no split: each file is one", "no --split")
        folder = None if problems is None else self.image_folder()
        questions = self.asking("choose", FIELDS)
        explained = self.asking("choose_and_explain", FIELDS) if self.answer == "letter_and_solution" else None
        make = ProblemMaker(folder, saved, self.annotations, questions, explained)
        if problems is None:
            rows, total = read_rows(self.annotations, Problem)
            return Reading(rows, make, total, "question")
        chosen = ids_of_split(self.annotations, self.split, problems)
        return Reading(chosen_problems(self.annotations, problems, chosen), make, len(chosen), "question")


class ProblemMaker(RowMaker, frozen=True):
    """Makes the row of one question. `folder`: of the original's images; None: rows hold theirs, which are written to `saved`.

    `explained`: the questions of those that are answered with their solution, None where none is.
    """

    folder: ImageFolder | None
    saved: str | None
    source: str
    questions: Asking
    explained: Asking | None

    def row(self, where: str, source: Problem, log: IssueLog) -> Row:
        check(where, source)
        sample_id = f"scienceqa/{source.split}/{source.pid}" if source.pid is not None else numbered_id(self.source, where)
        asking, answer = self.questions, LETTERS[source.answer]
        if self.explained is not None:
            if (source.solution or "").strip():
                asking, answer = self.explained, f"{answer}\n{source.solution.strip()}"
            else:
                log.count("question-without-solution", where)
        prompt = asking.pick(sample_id)
        choices = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, source.choices, strict=False))
        context = f"{source.hint.strip()}\n" if (source.hint or "").strip() else ""
        asked = filled(prompt.text, {"question": source.question, "choices": choices, "context": context})
        messages = [Message("user", asked), Message("assistant", answer)]
        check_texts(where, messages, [], source.image is not None, log)
        messages[0] = Message("user", IMAGE * (source.image is not None) + asked)
        return conversation_row(messages, self.images(where, source, sample_id, log), sample_id, prompt.name)

    def images(self, where: str, source: Problem, sample_id: str, log: IssueLog) -> Sequence[FoundImage]:
        """Its image, if any. Raises SkipSample where it cannot be used."""
        if source.image is None:
            return []
        if self.folder is not None:
            if not isinstance(source.image, str):
                raise skip("image-malformed", where, "image is not a name", "the name of a file, or null")
            return find_images(self.folder, [f"{source.split}/{source.pid}/{source.image}"], where, log)
        if isinstance(source.image, str):
            raise skip("image-malformed", where, f"image {source.image[:100]!r}", "the image itself: {bytes, path}")
        return [save_image(source.image.bytes, self.saved, sample_id, where, log)]


def check(where: str, source: Problem) -> None:
    """Raise SkipSample where a question cannot be asked, or not answered by a letter."""
    count = len(source.choices)
    if not source.question.strip():
        raise skip("question-empty", where, f"question {source.question[:100]!r}", "a text")
    if not 2 <= count <= len(LETTERS):
        raise skip("choices-count", where, f"{count} choices", f"2 to {len(LETTERS)}")
    if not 0 <= source.answer < count:
        raise skip("answer-not-choice", where, f"answer {source.answer} of {count} choices", "the index of a choice, from 0")


def read_problems(path: str) -> dict[str, msgspec.Raw] | None:
    """The questions of `problems.json` by id, each kept encoded; None for a file of rows. Raises GroundswiftError for neither."""
    if not file_name(path).lower().endswith(".json"):
        return None
    content = read_mapped(path, dict[Key, msgspec.Raw] | list[msgspec.Raw], "{id: question}, or a list of rows")
    return content if isinstance(content, dict) else None


def ids_of_split(source: str, split: str | None, problems: dict[str, msgspec.Raw]) -> list[str]:
    """The ids of a split in its order; without one all, in the order of the file.

    Raises GroundswiftError if the file of splits is missing or does not have this one.
    """
    if split is None:
        return list(problems)
    path = join(folder_of(source), SPLITS_NAME)
    if not exists(path):
        raise error_at(path, "no such file", "the ids of each split, next to problems.json; without --split all questions are taken")
    splits = read_mapped(path, dict[Key, list[str]], "{split: [ids]}")
    if split not in splits:
        raise error_at(path, f"no split {split!r}", ", ".join(splits) or "the ids of each split")
    return splits[split]


def chosen_problems(source: str, problems: dict[str, msgspec.Raw], chosen: list[str]) -> Iterator[Sourced | Issue]:
    """The questions with these ids; an Issue in place of one that is absent or cannot be read."""
    seen = set()
    for pid in chosen:
        where = f"{source}: question {pid}"
        try:
            if pid in seen:
                raise skip("question-repeated", where, "duplicate id in the split", "each id once")
            seen.add(pid)
            if pid not in problems:
                raise skip("question-unknown", where, "an id of the split without a question", "a question of this id")
            problem = part(where, problems[pid], Problem, "question", "question, choices, answer, hint, image, split, solution")
            if problem.split is None:
                raise skip(NO_ROW, where, "no split", "the split, as its folder has the image")
        except SkipSample as stopped:
            yield stopped.issue
        else:
            problem.pid = str(pid)
            yield Sourced(where, problem)
