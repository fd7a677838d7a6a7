"""MMAD (jam-cc/MMAD): multiple-choice questions about industrial images, with images of normal products to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from groundswift.records import IMAGE, Message, Row
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, AskingOptions, Reading
from ..file_io.box_checks import ImageFolder
from ..file_io.mmap_json import Key, part, read_mapped
from ..file_io.row_files import Sourced
from ..issues import Issue, IssueLog, SkipSample, skip
from ..prompts import Asking, filled
from ..tasks.conversation import RowMaker, check_texts, conversation_row, find_images

FIELDS = ("context", "question", "choices")
CONVERSATION = "conversation"  # what the key of an image's questions begins with
NORMAL = "good"  # in the path of an image without an anomaly: the benchmark's own rule
CONTEXT = {
    "en": "The first {count} images show normal products to compare with. The last one is the query image.\n",
    "zh": "前 {count} 张是用来比较的正常产品，最后一张是待检查的图片。\n",
}


class MmadQuestion(msgspec.Struct, rename={"question": "Question", "answer": "Answer", "options": "Options"}):
    """One question of an image. `answer`: a letter of `options`; `type`: its subtask, such as Anomaly Detection."""

    question: str
    answer: str
    options: dict[str, str]
    type: str | None = None


class MmadImage(msgspec.Struct):
    """One image by its path, with its encoded facts: questions, paths of normal images."""

    path: str
    facts: dict[str, msgspec.Raw]


class MmadRow(Row, omit_defaults=True):
    """A row of the benchmark. `subtask`, and what the path of the image says: dataset, product, whether it has an anomaly."""

    subtask: str | None = None
    dataset: str | None = None
    class_name: str | None = None
    verdict: str | None = None


class MmadOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn MMAD into rows: a question with lettered choices about one image each, answered by its letter.

    SOURCE is mmad.json: {path of an image: {conversation: [{Question, Options, Answer, type}], similar_templates, random_templates,
    mask_path}}. Images are below its folder, or --images. With --shots each row has normal images first and says so, as the
    benchmark's own scripts do (1 random one by default there).

    A row has subtask, dataset, class_name and verdict (normal where the path has `good`, else anomaly), by which the benchmark
    reports accuracy. sample_id is mmad/PATH/NUMBER. Masks are not read. In your own question {question} is replaced by the question,
    {choices} by the choices, one per line, {context} by what says which image is which, or nothing.

    \b
    Example:
      groundswift convert mmad MMAD/mmad.json --shots 1 --out mmad.jsonl
    """

    name, summary = "mmad", "MMAD, industrial anomaly detection."
    reads, writes = "MMAD: mmad.json", "question answering"
    EXAMPLE = {
        "MMAD/mmad.json": {
            "DS-MVTec/bottle/image/good/a.png": {
                "mask_path": "",
                "similar_templates": ["MVTec-AD/bottle/train/good/b.png"],
                "random_templates": ["MVTec-AD/bottle/train/good/b.png"],
                "conversation": [
                    {"Question": "Is there any defect?", "Answer": "B", "Options": {"A": "Yes.", "B": "No."}, "type": "Anomaly Detection"}
                ],
            }
        },
        "MMAD/DS-MVTec/bottle/image/good/a.png": EXAMPLE_IMAGE,
        "MMAD/MVTec-AD/bottle/train/good/b.png": EXAMPLE_IMAGE,
    }

    shots: Annotated[int, msgspec.Meta(ge=0, description="Normal images before the image.")] = 0
    templates: Annotated[
        Literal["random", "similar"], msgspec.Meta(description="Which normal images: random ones of the product, or similar ones.")
    ] = "random"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        images = read_mapped(self.annotations, dict[Key, msgspec.Raw], "{path of an image: its questions}")
        make = MmadMaker(self.image_folder(), self.asking("choose", FIELDS), self.shots, f"{self.templates}_templates")
        return Reading(images_of(self.annotations, images), make, len(images), "image")


def images_of(source: str, images: dict[Any, msgspec.Raw]) -> Iterator[Sourced | Issue]:
    """The images in the order of the file; an Issue in place of one that cannot be read."""
    for path, raw in images.items():
        where = f"{source}: {path}"
        try:
            facts = part(where, raw, dict[str, msgspec.Raw], "image", "an object with conversation")
        except SkipSample as stopped:
            yield stopped.issue
        else:
            yield Sourced(where, MmadImage(str(path), facts))


class MmadMaker(RowMaker, frozen=True):
    """Makes the rows of one image. `templates`: the key of its normal images, of which each row gets `shots`."""

    folder: ImageFolder
    questions: Asking
    shots: int
    templates: str

    def rows(self, where: str, source: MmadImage, log: IssueLog) -> list[MmadRow]:
        """A row for each question; a question that cannot be asked is logged, the others stay."""
        key = next((key for key in source.facts if key.startswith(CONVERSATION)), None)
        if key is None:
            raise skip("question-empty", where, "no conversation", "questions about the image")
        asked = part(where, source.facts[key], list[msgspec.Raw], "image", "a list of questions")
        paths = [*self.shot_paths(where, source), source.path]
        images = find_images(self.folder, paths, where, log)
        rows = []
        for number, raw in enumerate(asked):
            place = f"{where}, question {number}"
            try:
                question = part(place, raw, MmadQuestion, "question", "Question, Options, Answer, type")
                rows.append(self.made(place, source.path, number, question, images, log))
            except SkipSample as stopped:
                if stopped.issue is not None:
                    log.add(stopped.issue)
        return rows

    def shot_paths(self, where: str, source: MmadImage) -> list[str]:
        """The paths of the normal images. Raises SkipSample where there are too few."""
        if not self.shots:
            return []
        found = part(where, source.facts.get(self.templates, msgspec.Raw(b"[]")), list[str], "image", f"{self.templates}: a list of paths")
        if len(found) < self.shots:
            raise skip("images-too-few", where, f"{len(found)} {self.templates}", f"{self.shots}, as --shots asks for")
        return found[: self.shots]

    def made(self, where: str, path: str, number: int, question: MmadQuestion, images: list, log: IssueLog) -> MmadRow:
        """The row of one question. Raises SkipSample where it cannot be asked, or not answered by a letter."""
        if not question.question.strip():
            raise skip("question-empty", where, f"question {question.question[:100]!r}", "a text")
        if question.answer not in question.options:
            given = ", ".join(question.options)
            raise skip("answer-not-choice", where, f"answer {question.answer[:50]!r} of the choices {given[:100]}", "one of them")
        sample_id = f"mmad/{path}/{number}"
        prompt = self.questions.pick(sample_id)
        language = prompt.name.split(".")[1] if "." in prompt.name else "en"
        context = filled(CONTEXT[language], {"count": str(self.shots)}) if self.shots else ""
        choices = "\n".join(f"{letter}. {choice}" for letter, choice in question.options.items())
        text = filled(prompt.text, {"question": question.question, "choices": choices, "context": context})
        messages = [Message("user", text), Message("assistant", question.answer)]
        check_texts(where, messages, [], True, log)
        messages[0] = Message("user", IMAGE * len(images) + text)
        row = conversation_row(messages, images, sample_id, prompt.name)
        more = {name: getattr(row, name) for name in Row.__struct_fields__}
        dataset, product = (path.split("/") + [None, None])[:2]
        verdict = "normal" if NORMAL in path else "anomaly"
        return MmadRow(**more, subtask=question.type, dataset=dataset, class_name=product, verdict=verdict)
