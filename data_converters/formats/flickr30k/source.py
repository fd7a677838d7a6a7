"""Flickr30k Entities -> grounded captions, grounded phrases, and the reverse: boxes to the phrase, boxes to the sentence.

A phrase with boxes is an object. A phrase of id 0 (notvisual), of a scene or marked as without a box stays plain text, and is counted.
So does a phrase whose entity has an unusable box: an answer with the rest of its boxes would teach that there are no others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import msgspec

from groundswift.errors import error_at
from groundswift.records import Message, Objects, Row, whole
from groundswift.storage import read_text
from groundswift.urls import is_url, join
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, AskingOptions, Positive, Reading, path_option
from ...file_io.box_checks import FoundImage, ImageFolder, fitted_box
from ...file_io.remote_folders import listed_below
from ...file_io.row_files import Sourced
from ...issues import Issue, IssueLog, skip
from ...prompts import Asking, filled
from ...tasks.conversation import RowMaker
from ...tasks.referring import text_issue
from . import parse
from .parse import Annotation, Sentence

Task = Literal["grounded_caption", "phrase_grounding", "reverse", "reverse_sentence"]
QUESTIONS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {  # task -> block of the file of prompts, fields, tags
    "grounded_caption": ("grounded_caption", (), ()),
    "phrase_grounding": ("phrase_grounding", ("sentence",), ()),
    "reverse": ("name_boxes", (), ("<bbox>",)),
    "reverse_sentence": ("caption_boxes", (), ("<bbox>",)),
}


class BoxedPhrase(NamedTuple):
    """A phrase with boxes: its number in the sentence from 1, the words `start` to `end`, its text, its boxes (xyxy in px), its types."""

    number: int
    start: int
    end: int
    text: str
    boxes: list[list[float]]
    types: str = ""

    @property
    def tags(self) -> str:
        """The placeholders of the phrase."""
        return "<ref-object>" + "<bbox>" * len(self.boxes)


class Flickr30kOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn Flickr30k Entities into rows: sentences whose phrases have boxes.

    SOURCE is the folder with Sentences/ and Annotations/; the image of an id is DIR/<id>.jpg. Boxes are x1, y1, x2, y2 in
    pixels of the upright image. The files count pixels from 1; like the reference code of the dataset, 1 is subtracted from
    all four numbers, so x2 and y2 are the index of the last column and row.
    phrase_types has the types of each phrase (people, scene/other), by which `groundswift eval phrase-grounding` divides its numbers.
    sample_id is flickr30k/IMAGE/SENTENCE, for reverse flickr30k/IMAGE/SENTENCE/PHRASE, both counted from 1.

    \b
    Tasks:
      grounded_caption  the answer is the sentence, with the boxes of each phrase after it
      phrase_grounding  the question holds the sentence, the answer its phrases, each with its boxes; {sentence} in your own
                        question is replaced by it
      reverse           the question gives the boxes of one entity, the answer is the phrase; <bbox> in your own question is
                        replaced by all of them
      reverse_sentence  the question gives all boxes of a sentence, the answer is the sentence

    Dropped or changed, and counted: phrases without boxes (notvisual, scene, nobndbox) stay plain text; sentences without
    any; duplicate boxes of one entity; duplicate phrases of a sentence (phrase_grounding); boxes that extend beyond their
    image are clipped; captions in --unrelated.

    \b
    Example:
      groundswift convert flickr30k flickr30k_entities --images flickr30k-images --split flickr30k_entities/train.txt --out train.jsonl
    """

    name, summary = "flickr30k", "Flickr30k Entities."
    reads, writes = "Flickr30k Entities: sentences and XML", "grounded caption, phrase grounding, and the reverse"
    EXAMPLE = {
        "flickr30k_entities/train.txt": "36979\n",
        "flickr30k_entities/Sentences/36979.txt": "[/EN#1/people A man] and [/EN#2/animals a cat] .\n",
        "flickr30k_entities/Annotations/36979.xml": (
            "<annotation><filename>36979.jpg</filename><size><width>8</width><height>6</height><depth>3</depth></size><object>"
            "<name>1</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax></bndbox></object><object><name>2</name>"
            "<bndbox><xmin>5</xmin><ymin>2</ymin><xmax>8</xmax><ymax>5</ymax></bndbox></object></annotation>"
        ),
        "flickr30k-images/36979.jpg": EXAMPLE_IMAGE,
    }

    task: Annotated[Task, msgspec.Meta(description="What is asked and what is answered, see above.")] = "grounded_caption"
    split: Annotated[str | None, path_option("List of image ids, one per line.  [default: all in SOURCE]")] = None
    sentences: Annotated[
        Literal["all", "first"] | Positive, msgspec.Meta(description="Which sentences of an image: all, the first, or the first N.")
    ] = "all"
    unrelated: Annotated[
        str | None, path_option("List of captions to drop because they do not describe their image (UNRELATED_CAPTIONS).")
    ] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        most = {"all": None, "first": 1}.get(self.sentences, self.sentences)
        if most is not None and most < 1:
            raise error_at("--sentences", f"{most}", "all, first, or a number from 1")
        if self.task == "phrase_grounding" and self.prompt is not None and "{sentence}" not in self.prompt:
            raise error_at(f"prompt {self.prompt!r}", "does not contain {sentence}", "{sentence} in the place of the sentence")
        items = list(image_ids(self.annotations, self.split))
        block, fields, tags = QUESTIONS[self.task]
        unrelated = self.unrelated and parse.unrelated(read_text(self.unrelated, "captions, one per line"), self.unrelated)
        make = Flickr30kMaker(
            folder=self.annotations,
            task=self.task,
            most=most,
            unrelated=unrelated or frozenset(),
            questions=self.asking(block, fields, tags),
            images=self.image_folder(),
        )
        return Reading(items, make, len(items), "image")


def image_ids(folder: str, split: str | None) -> Iterator[Sourced | Issue]:
    """The image ids of a list in its order, or all that have sentences, by name. Raises GroundswiftError if the list does not exist."""
    if split is not None:
        yield from parse.ids(read_text(split, "image ids, one per line"), split)
        return
    sentences = join(folder, "Sentences")
    try:
        names = [each.name for each in listed_below(sentences, {".txt"})] if is_url(folder) else sorted(os.listdir(sentences))
    except OSError as error:
        raise error_at(sentences, f"cannot be listed ({error.strerror})", "the folders Sentences and Annotations") from None
    for name in names:
        if name.endswith(".txt"):
            where, image_id = join(sentences, name), name.removesuffix(".txt")
            yield parse.id_issue(where, image_id) or Sourced(where, image_id)


class Flickr30kMaker(RowMaker, frozen=True):
    """Makes the rows of one image: of its first `most` sentences."""

    folder: str
    task: Task
    most: int | None
    unrelated: frozenset[tuple[str, int]]
    questions: Asking
    images: ImageFolder

    def rows(self, where: str, source: str, log: IssueLog) -> Iterator[Row]:
        sentences, annotation = self.files_of(where, source)
        thing = f"image {source}"
        image = self.images.find(f"{source}.jpg", thing, log, annotation.size_wh)
        boxes = usable_boxes(annotation, thing, log)
        if image is None and log.skipping:
            log.count("sentence-image-skipped", source, len(sentences))
            return
        for sentence in sentences[: self.most]:
            if isinstance(sentence, Issue):
                log.add(sentence)
            elif (source, sentence.number) in self.unrelated:
                log.count("caption-mismatched", f"{source}/{sentence.number}")
            elif issue := text_issue(sentence.text(), f"sentence {sentence.number} of {thing}"):
                log.add(issue)
            else:
                phrases = boxed_phrases(sentence, boxes, annotation, f"{source}/{sentence.number}", log)
                if image is not None:
                    yield from self.sentence_rows(source, image, sentence, phrases, log)

    def files_of(self, where: str, image_id: str) -> tuple[list[Sentence | Issue], Annotation]:
        """The content of the two files of an image. Raises SkipSample where one of them cannot be read as a whole."""
        text_path, xml_path = join(self.folder, f"Sentences/{image_id}.txt"), join(self.folder, f"Annotations/{image_id}.xml")
        sentences = parse.sentences(parse.read_text(text_path, where, "sentences"), text_path)
        if not sentences:
            raise skip("sentences-empty", text_path, "no sentence", "one per line")
        return sentences, parse.annotation(parse.read_file(xml_path, where, "annotations"), xml_path)

    def sentence_rows(
        self, image_id: str, image: FoundImage, sentence: Sentence, phrases: list[BoxedPhrase], log: IssueLog
    ) -> Iterator[Row]:
        """The rows of one sentence."""
        key = f"flickr30k/{image_id}/{sentence.number}"
        if not phrases:
            log.count("sentence-without-boxes", f"{image_id}/{sentence.number}")
        elif self.task == "reverse":
            for phrase in phrases:
                yield self.row(f"{key}/{phrase.number}", image, phrase.text, [], phrase.boxes, given=len(phrase.boxes))
        elif self.task == "reverse_sentence":
            distinct = list({tuple(box): box for phrase in phrases for box in phrase.boxes}.values())
            yield self.row(key, image, sentence.text(), [], distinct, given=len(distinct))
        else:
            if self.task == "phrase_grounding":
                phrases = without_duplicates(phrases, f"{image_id}/{sentence.number}", log)
            answer = grounded_text(sentence, phrases) if self.task == "grounded_caption" else "".join(each.tags for each in phrases)
            boxes = [box for phrase in phrases for box in phrase.boxes]
            row = self.row(key, image, answer, [phrase.text for phrase in phrases], boxes, sentence=sentence.text())
            row.phrase_types = [phrase.types for phrase in phrases]
            yield row

    def row(
        self, key: str, image: FoundImage, answer: str, refs: list[str], boxes: list[list[float]], given: int = 1, sentence: str = ""
    ) -> Row:
        """One question and its answer; `given`: how many boxes the question shows, where it shows any."""
        prompt = self.questions.pick(key)
        question = filled(prompt.text.replace("<bbox>", "<bbox>" * given), {"sentence": sentence})
        messages = [Message("user", f"<image>{question}"), Message("assistant", answer)]
        return Row(messages, [image.path], [], Objects(refs, boxes), key, image.size_wh, prompt.name)


def usable_boxes(annotation: Annotation, thing: str, log: IssueLog) -> dict[str, list[list[float]]]:
    """The distinct boxes of each entity, clipped to the image; an entity with an unusable one has none, and is marked as broken."""
    for each in annotation.issues:
        log.add(each)
    usable: dict[str, list[list[float]]] = {}
    for entity, boxes in annotation.boxes.items():
        if entity in annotation.broken:
            continue
        where = f"{thing}, entity {entity}"
        distinct = list(dict.fromkeys(boxes))
        if len(distinct) < len(boxes):
            log.count("box-repeated-entity", where, len(boxes) - len(distinct))
        fitted = [fitted_box(box, annotation.size_wh, where, log) for box in distinct]
        if None in fitted:
            annotation.broken.add(entity)
        else:
            usable[entity] = [[whole(value) for value in box] for box in fitted]
    return usable


def boxed_phrases(
    sentence: Sentence, boxes: dict[str, list[list[float]]], annotation: Annotation, thing: str, log: IssueLog
) -> list[BoxedPhrase]:
    """The phrases of a sentence that have boxes, in order; the others are counted by the reason why they have none."""
    found = []
    for number, phrase in enumerate(sentence.phrases, 1):
        where = f"{thing}/{number}"
        if phrase.start == phrase.end:
            log.count("phrase-without-words", where)
        elif phrase.entity in annotation.broken:
            log.count("phrase-box-invalid", where)
        elif phrase.entity != parse.NO_ENTITY and phrase.entity not in annotation.known:
            log.count("phrase-entity-unknown", where)
        elif phrase.entity == parse.NO_ENTITY or phrase.entity not in boxes:
            log.count("phrase-without-boxes", where)
        else:
            found.append(BoxedPhrase(number, phrase.start, phrase.end, sentence.text(phrase), boxes[phrase.entity], phrase.types))
    return found


def without_duplicates(phrases: list[BoxedPhrase], thing: str, log: IssueLog) -> list[BoxedPhrase]:
    """Phrases, without those of the same words and boxes as an earlier one."""
    distinct: dict[tuple[str, str], BoxedPhrase] = {}
    for phrase in phrases:
        if distinct.setdefault((phrase.text, str(phrase.boxes)), phrase) is not phrase:
            log.count("phrase-repeated", thing)
    return list(distinct.values())


def grounded_text(sentence: Sentence, phrases: list[BoxedPhrase]) -> str:
    """The sentence with placeholders for its phrases."""
    parts, end = [], 0
    for phrase in phrases:
        parts += [*sentence.words[end : phrase.start], phrase.tags]
        end = phrase.end
    return " ".join([*parts, *sentence.words[end:]])
