"""Phrases and boxes -> rows that find what a phrase means, or describe what a box shows: for every source of referring expressions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec

from groundswift.file_guard import path_inside
from groundswift.records import CONTROL, Message, Objects, Row, has_lone_surrogate, swift_tag_in, whole
from groundswift.storage import is_file
from groundswift.urls import is_url

from ..base import AskingOptions
from ..file_io.box_checks import FoundImage, ImageFolder
from ..issues import Issue, IssueLog
from ..prompts import Asking, asking

Task = Literal["find", "describe"]
Sentences = Literal["all", "first", "sampled"]
T = TypeVar("T")
TAGS = {"find": "<ref-object>", "describe": "<bbox>"}  # what a question has to hold


class Sentence(NamedTuple):
    """One of the phrases that mean the same object: its id in the source, and its text."""

    id: int | str
    text: str


class ReferringOptions(AskingOptions, frozen=True, kw_only=True):
    """Options of sources of phrases with boxes."""

    task: Annotated[
        Task, msgspec.Meta(description="Give the phrase and ask for the box (find), or give the box and ask for the phrase (describe).")
    ] = "find"

    def questions(self) -> Asking:
        """The questions of the task."""
        return self.asking(self.task, tags=[TAGS[self.task]])


class SentenceOptions(ReferringOptions, frozen=True, kw_only=True):
    """Options of sources with several phrases for an object."""

    sentences: Annotated[
        Sentences, msgspec.Meta(description="With several phrases for one object: a row for each, for the first, or for one sampled.")
    ] = "all"


class Referring(msgspec.Struct, frozen=True):
    """Makes the rows of one object, or of several that share a phrase."""

    task: Task
    questions: Asking
    sentences: Sentences = "all"
    seed: int = 0

    def row(self, sample_id: str, phrase: str, boxes_xyxy_px: Sequence[Sequence[float]], image: FoundImage) -> Row:
        """One question and its answer. `phrase` is a clean one; to describe, there is one box. An image without a path is added later."""
        prompt = self.questions.pick(sample_id)
        boxes = [[whole(value) for value in box] for box in boxes_xyxy_px]
        finding = self.task == "find"
        return Row(
            messages=[Message("user", f"<image>{prompt.text}"), Message("assistant", "<bbox>" * len(boxes) if finding else phrase)],
            images=[] if image.path is None else [image.path],
            objects=Objects([phrase] if finding else [], boxes),
            sample_id=sample_id,
            size_wh=image.size_wh,
            prompt=prompt.name,
        )

    def rows(
        self, key: str, sentences: Sequence[Sentence], box_xyxy_px: Sequence[float], image: FoundImage, thing: str, log: IssueLog
    ) -> list[Row]:
        """The rows of one object; phrases that cannot be used are logged. sample_id is `key`/SENTENCE."""
        usable, seen = [], set()
        for each in sentences:
            if each.id in seen:
                log.add(Issue("sentence-id-repeated", thing, f"duplicate sentence id {each.id}", "each id once"))
            elif phrase := clean_phrase(each.text, f"sentence {each.id} of {thing}", log):
                usable.append(Sentence(each.id, phrase))
            seen.add(each.id)
        if not usable:
            log.count("object-without-phrase", thing)
            return []
        return [self.row(f"{key}/{each.id}", each.text, [box_xyxy_px], image) for each in chosen(usable, self.sentences, self.seed, key)]


def chosen(texts: Sequence[T], which: Sentences, seed: int, key: object) -> Sequence[T]:
    """The texts of one thing that get a row; `key` names the thing."""
    if which != "sampled" or not texts:
        return texts[:1] if which == "first" else texts
    return [random.Random(f"{seed} {key}").choice(texts)]


def plain_referring(task: Task, sentences: Sentences = "all") -> Referring:
    """With the first English question of a task."""
    return Referring(task, asking(task, "en", None, 0, False, tags=[TAGS[task]]), sentences)


def clean_phrase(text: str, thing: str, log: IssueLog) -> str | None:
    """A phrase with single spaces between its words. None where it is blank (counted) or has an issue of `text_issue` (logged)."""
    phrase = " ".join(text.split())
    if not phrase:
        log.count("phrase-blank", thing)
    elif issue := text_issue(phrase, thing):
        log.add(issue)
    else:
        if phrase != text:
            log.count("phrase-spaces", thing)
        return phrase
    return None


def text_issue(text: str, thing: str) -> Issue | None:
    """Why a text of one line cannot be part of a row: swift would misread it, or it is not valid text; None where it can."""
    if tag := swift_tag_in(text):
        return Issue("text-tag", thing, f"holds {tag}, which swift would replace", "text without it")
    if has_lone_surrogate(text):
        return Issue("text-lone-surrogate", thing, f"{text[:80]!r} has a lone surrogate", "Unicode text")
    if found := CONTROL.search(text):
        return Issue("text-control-character", thing, f"holds {found[0]!r}", "printable text")
    return None


def path_tails(path: str) -> list[str]:
    """`coco/train2014/a.jpg` -> a.jpg, train2014/a.jpg, and itself: the image's name below each of its folders."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]


def first_existing(images: ImageFolder, names: Sequence[str]) -> str:
    """The first of an image's possible names under which there is a file, else the first of all.

    A URL is queried only where images are checked. A name that leaves the folder is returned, for `ImageFolder.find` to refuse.
    """
    paths = [path_inside(images.folder, name) for name in names]
    if None in paths:
        return names[paths.index(None)]
    there = (name for name, path in zip(names, paths, strict=True) if is_file(path))
    return next(there, names[0]) if len(names) > 1 and (images.check or not is_url(images.folder)) else names[0]
