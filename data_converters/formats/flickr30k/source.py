"""Flickr30k Entities -> grounded captions, grounded phrases, and the ways back: boxes to the phrase, boxes to the sentence.

What becomes of a phrase: with boxes it is an object; of id 0 (notvisual), of a scene or marked as without a box it is plain text, and
counted. A phrase whose entity has a box at fault is plain text too: to give the rest of its boxes would teach that they were all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import msgspec

from groundswift.errors import fault
from groundswift.records import Message, Objects, Row, whole
from groundswift.storage import is_url, join

from ...base import AskingOptions, Positive, Reading
from ...file_io.box_checks import ImageFolder, Seen, fitted_box
from ...file_io.remote_folders import listed_below
from ...issues import Issue, IssueLog, SkipSample
from ...prompts import Asking, filled
from ...tasks.referring import text_fault
from .parse import NO_ENTITY, Annotation, Sentence, annotation_of, content_of, ids_of, no_id, plain, sentences_of, text_of, unrelated_of

Task = Literal["grounded_caption", "phrase_grounding", "reverse", "reverse_sentence"]
QUESTIONS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {  # task -> block of the file of prompts, fields, tags
    "grounded_caption": ("grounded_caption", (), ()),
    "phrase_grounding": ("phrase_grounding", ("sentence",), ()),
    "reverse": ("name_boxes", (), ("<bbox>",)),
    "reverse_sentence": ("caption_boxes", (), ("<bbox>",)),
}
PLAIN = "phrase without boxes, plain text"


class Listed(NamedTuple):
    """A picture of the data set: its id, and where that stands."""

    where: str
    id: str


class Grounded(NamedTuple):
    """A phrase with boxes: its number in the sentence from 1, where its words are, its text, its boxes (xyxy in px)."""

    number: int
    start: int
    end: int
    text: str
    boxes: list[list[float]]


class Flickr30kOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn Flickr30k Entities into rows: sentences whose phrases have boxes.

    SOURCE is the folder with Sentences/ and Annotations/; the picture of an id is DIR/<id>.jpg. Boxes are x1, y1, x2, y2 in
    pixels of the upright picture. The files count pixels from 1; as the reference code of the data set does, 1 is taken from
    all four numbers, so x2 and y2 are the index of the last column and row.
    sample_id is flickr30k/IMAGE/SENTENCE, for reverse flickr30k/IMAGE/SENTENCE/PHRASE, both counted from 1.

    \b
    Tasks:
      grounded_caption  the answer is the sentence, with the boxes of each phrase behind it
      phrase_grounding  the question holds the sentence, the answer its phrases, each with its boxes; {sentence} in a
                        question of your own stands for it
      reverse           the question gives the boxes of one entity, the answer is the phrase; <bbox> in a question of your
                        own stands for all of them
      reverse_sentence  the question gives all boxes of a sentence, the answer is the sentence

    Left out or changed, and counted: phrases without boxes (notvisual, scene, nobndbox) stay plain text; sentences without
    any; boxes that stand twice for one entity; phrases that stand twice in a sentence (phrase_grounding); boxes that stick
    out of their picture are cut at its border; captions in --unrelated.

    Faults: a file that is missing or cannot be read, XML that is broken or has a document type (DTD), a mark of another form or
    not closed, a box that cannot be used, text that holds one of swift's tags or a control character; a picture that is
    missing, unreadable or of another size.

    \b
    Example:
      groundswift convert flickr30k flickr30k_entities --images flickr30k-images --split flickr30k_entities/train.txt --out train.jsonl
    """

    task: Annotated[Task, msgspec.Meta(description="What is asked and what is answered, see above.")] = "grounded_caption"
    split: Annotated[
        str | None,
        msgspec.Meta(description="List of picture ids, one a line.  [default: all in SOURCE]", extra={"path": True, "metavar": "FILE"}),
    ] = None
    sentences: Annotated[
        Literal["all", "first"] | Positive, msgspec.Meta(description="Which sentences of a picture: all, the first, or the first N.")
    ] = "all"
    unrelated: Annotated[
        str | None,
        msgspec.Meta(
            description="List of captions that do not belong to their picture (UNRELATED_CAPTIONS); they are left out.",
            extra={"path": True, "metavar": "FILE"},
        ),
    ] = None

    def read(self, log: IssueLog) -> Reading:
        most = {"all": None, "first": 1}.get(self.sentences, self.sentences)
        if most is not None and most < 1:
            raise fault("--sentences", f"{most}", "all, first, or a number from 1")
        if self.task == "phrase_grounding" and self.prompt is not None and "{sentence}" not in self.prompt:
            raise fault(f"prompt {self.prompt!r}", "does not say of which sentence", "{sentence} where the sentence belongs")
        items = list(listed(self.annotations, self.split))
        block, fields, tags = QUESTIONS[self.task]
        make = Flickr30kMaker(
            folder=self.annotations,
            task=self.task,
            most=most,
            unrelated=unrelated_of(list_text(self.unrelated), self.unrelated) if self.unrelated else frozenset(),
            questions=self.asking(block, fields, tags),
            pictures=self.pictures(),
        )
        return Reading(items, make, len(items), "picture")


def listed(folder: str, split: str | None) -> Iterator[Listed | Issue]:
    """The pictures of a list in its order, or all that have sentences, by name. Raises GroundswiftError where there is no such list."""
    if split is not None:
        for each in ids_of(list_text(split), split):
            yield each if isinstance(each, Issue) else Listed(*each)
        return
    sentences = join(folder, "Sentences")
    try:
        names = [each.name for each in listed_below(sentences, {".txt"})] if is_url(folder) else sorted(os.listdir(sentences))
    except OSError as error:
        raise fault(sentences, f"cannot be listed ({error.strerror})", "the folders Sentences and Annotations") from None
    for name in names:
        if name.endswith(".txt"):
            where, image_id = join(sentences, name), name.removesuffix(".txt")
            yield Listed(where, image_id) if plain(image_id) else no_id(where, image_id)


def list_text(path: str) -> str:
    """The text of a list. Raises GroundswiftError where it cannot be read."""
    try:
        return text_of(content_of(path, path, "list"), path)
    except SkipSample as stopped:
        raise fault(path, stopped.fault.what, stopped.fault.expected) from None


class Flickr30kMaker(msgspec.Struct, frozen=True):
    """Makes the rows of one picture: of its first `most` sentences."""

    folder: str
    task: Task
    most: int | None
    unrelated: frozenset[tuple[str, int]]
    questions: Asking
    pictures: ImageFolder

    def __call__(self, item: Listed, log: IssueLog) -> Iterator[Row]:
        try:
            sentences, annotation = self.files_of(item)
        except SkipSample as stopped:
            log.add(stopped.fault)
            return
        found = self.pictures.find(f"{item.id}.jpg", f"picture {item.id}", log, annotation.size_wh)
        boxes = usable_boxes(annotation, f"picture {item.id}", log)
        if found is None and log.skipping:
            log.count("sentence of a picture that was left out", item.id, len(sentences))
            return
        for sentence in sentences[: self.most]:
            if isinstance(sentence, Issue):
                log.add(sentence)
            elif (item.id, sentence.number) in self.unrelated:
                log.count("caption that does not belong to its picture", f"{item.id}/{sentence.number}")
            elif wrong := text_fault(sentence.text, f"sentence {sentence.number} of picture {item.id}"):
                log.add(wrong)
            else:
                phrases = grounded(sentence, boxes, annotation, f"{item.id}/{sentence.number}", log)
                if found is not None:
                    yield from self.rows(item.id, found, sentence, phrases, log)

    def files_of(self, item: Listed) -> tuple[list[Sentence | Issue], Annotation]:
        """What the two files of a picture say. Raises SkipSample where one of them cannot be read as a whole."""
        text_path, xml_path = join(self.folder, f"Sentences/{item.id}.txt"), join(self.folder, f"Annotations/{item.id}.xml")
        sentences = sentences_of(text_of(content_of(text_path, item.where, "file of sentences"), text_path), text_path)
        if not sentences:
            raise SkipSample(Issue("file of sentences empty", text_path, "no sentence", "one a line"))
        return sentences, annotation_of(content_of(xml_path, item.where, "file of annotations"), xml_path)

    def rows(self, image_id: str, found: Seen, sentence: Sentence, phrases: list[Grounded], log: IssueLog) -> Iterator[Row]:
        """The rows of one sentence."""
        key = f"flickr30k/{image_id}/{sentence.number}"
        if not phrases:
            log.count("sentence without boxes", f"{image_id}/{sentence.number}")
        elif self.task == "reverse":
            for phrase in phrases:
                yield self.row(f"{key}/{phrase.number}", found, phrase.text, [], phrase.boxes, given=len(phrase.boxes))
        elif self.task == "reverse_sentence":
            distinct = list({tuple(box): box for phrase in phrases for box in phrase.boxes}.values())
            yield self.row(key, found, sentence.text, [], distinct, given=len(distinct))
        else:
            if self.task == "phrase_grounding":
                phrases = each_once(phrases, f"{image_id}/{sentence.number}", log)
            answer = grounded_text(sentence, phrases) if self.task == "grounded_caption" else "".join(map(tags_of, phrases))
            boxes = [box for phrase in phrases for box in phrase.boxes]
            yield self.row(key, found, answer, [phrase.text for phrase in phrases], boxes, sentence=sentence.text)

    def row(self, key: str, found: Seen, answer: str, refs: list[str], boxes: list[list[float]], given: int = 1, sentence: str = "") -> Row:
        """One question and its answer; `given`: how many boxes the question shows, where it shows any."""
        prompt = self.questions.pick(key)
        question = filled(prompt.text.replace("<bbox>", "<bbox>" * given), {"sentence": sentence})
        messages = [Message("user", f"<image>{question}"), Message("assistant", answer)]
        return Row(messages, [found.path], [], Objects(refs, boxes), key, found.size_wh, prompt.name)


def usable_boxes(annotation: Annotation, thing: str, log: IssueLog) -> dict[str, list[list[float]]]:
    """The boxes of each entity within the picture, each once; an entity that has one at fault is in none."""
    for each in annotation.faults:
        log.add(each)
    usable: dict[str, list[list[float]]] = {}
    for entity, boxes in annotation.boxes.items():
        if entity in annotation.broken:
            continue
        where = f"{thing}, entity {entity}"
        distinct = list(dict.fromkeys(boxes))
        if len(distinct) < len(boxes):
            log.count("box that stands twice for one entity", where, len(boxes) - len(distinct))
        fitted = [fitted_box(box, annotation.size_wh, where, log) for box in distinct]
        if None in fitted:
            annotation.broken.add(entity)
        else:
            usable[entity] = [[whole(value) for value in box] for box in fitted]
    return usable


def grounded(sentence: Sentence, boxes: dict[str, list[list[float]]], annotation: Annotation, thing: str, log: IssueLog) -> list[Grounded]:
    """The phrases of a sentence that have boxes, in order; why others have none is counted."""
    found = []
    for number, phrase in enumerate(sentence.phrases, 1):
        where = f"{thing}/{number}"
        if phrase.start == phrase.end:
            log.count("phrase without words", where)
        elif phrase.entity in annotation.broken:
            log.count("phrase with a box at fault, plain text", where)
        elif phrase.entity != NO_ENTITY and phrase.entity not in annotation.known:
            log.count("phrase whose entity is not annotated, plain text", where)
        elif phrase.entity == NO_ENTITY or phrase.entity not in boxes:
            log.count(PLAIN, where)
        else:
            found.append(Grounded(number, phrase.start, phrase.end, sentence.words_of(phrase), boxes[phrase.entity]))
    return found


def each_once(phrases: list[Grounded], thing: str, log: IssueLog) -> list[Grounded]:
    """Phrases, less those of the same words and boxes as an earlier one."""
    distinct: dict[tuple[str, str], Grounded] = {}
    for phrase in phrases:
        if distinct.setdefault((phrase.text, str(phrase.boxes)), phrase) is not phrase:
            log.count("phrase that stands twice in its sentence", thing)
    return list(distinct.values())


def tags_of(phrase: Grounded) -> str:
    """What stands for a phrase with boxes."""
    return "<ref-object>" + "<bbox>" * len(phrase.boxes)


def grounded_text(sentence: Sentence, phrases: list[Grounded]) -> str:
    """The sentence with placeholders for its phrases."""
    parts, end = [], 0
    for phrase in phrases:
        parts += [*sentence.words[end : phrase.start], tags_of(phrase)]
        end = phrase.end
    return " ".join([*parts, *sentence.words[end:]])
