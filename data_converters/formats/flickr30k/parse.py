"""The files of Flickr30k Entities: a sentence with marked phrases per line, and an XML file of boxes by entity. Pure, except `read_file`.

`[/EN#283585/people Two people] in [/EN#283587/scene the photo] .` marks two phrases: the id of an entity (a coreference chain), its
types, its words. Id 0 marks phrases without an entity (notvisual). The XML has an `<object>` for each box, or for an entity without
one (`<scene>`, `<nobndbox>`); several objects may name one entity, and one object several entities.

Boxes are whole numbers from 1, the last pixel within the box. The reference code of the dataset subtracts 1 from all four, and so does
everybody who reports results on it. We do the same: x2 and y2 are then the index of the last column and row, 1 px short of the border.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree.ElementTree import Element

from groundswift.errors import error_at
from groundswift.file_guard import regular_bytes
from groundswift.storage import NotThere, local_copy

from ...file_io.label_files import xml_root
from ...file_io.row_files import Sourced
from ...issues import Issue, SkipSample, skip

FILES = {"sentences": "file of sentences", "annotations": "file of annotations"}  # by the start of their ids
NO_ENTITY = "0"  # the id of all phrases that were not annotated
CORNERS = ("xmin", "ymin", "xmax", "ymax")
WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")
IMAGE_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")  # a name that leads out of no folder
Box = tuple[int, int, int, int]


class Phrase(NamedTuple):
    """Words of a sentence that mean an entity: its id, the words `start` to `end` (excluded), its types (`people/other`)."""

    entity: str
    start: int
    end: int
    types: str = ""


class Sentence(NamedTuple):
    """One line: its number from 1, its words, and the phrases in them, in order."""

    number: int
    words: list[str]
    phrases: list[Phrase]

    def text(self, phrase: Phrase | None = None) -> str:
        """The words (and punctuation marks) of the sentence, or of a phrase, separated by spaces."""
        return " ".join(self.words[phrase.start : phrase.end] if phrase else self.words)


@dataclass
class Annotation:
    """The content of an XML file: the image's size (width, height) in px, and the boxes of each entity (xyxy in px from 0) in its order.

    `known`: all entities that it names. `broken`: those with a box that cannot be read; `issues` says why.
    """

    size_wh: tuple[int, int]
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    issues: list[Issue] = field(default_factory=list)


def read_file(path: str, thing: str, kind: str) -> bytes:
    """The content of a file of the dataset, local or at a URL; `kind` is a key of FILES.

    Raises SkipSample where it is missing or cannot be read, GroundswiftError where a store fails.
    """
    try:
        return regular_bytes(local_copy(path))
    except (NotThere, FileNotFoundError):
        raise skip(f"{kind}-missing", thing, f"file not found: {path}", f"the {FILES[kind]} of the image") from None
    except OSError as error:
        raise skip(f"{kind}-unreadable", thing, f"cannot read {path} ({error.strerror})", "a file") from None


def read_text(path: str, thing: str, kind: str) -> str:
    """A file's text without byte order mark. Raises as `read_file`, and SkipSample where it is not UTF-8."""
    try:
        return read_file(path, thing, kind).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise skip("text-not-utf8", path, f"not UTF-8 text (byte {error.start})", "UTF-8 text") from None


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of each line that is not blank."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip())


def sentences(text: str, where: str) -> list[Sentence | Issue]:
    """The sentences of a file, one per line, without blank lines; an Issue in place of one whose marks cannot be read."""
    found: list[Sentence | Issue] = []
    for number, line in lines_of(text):
        try:
            found.append(sentence(line, number, f"{where}:{number}"))
        except SkipSample as stopped:
            found.append(stopped.issue)
    return found


def sentence(line: str, number: int, where: str) -> Sentence:
    """One line with its marks read. Raises SkipSample where a mark is malformed, not closed, or nested."""
    words: list[str] = []
    phrases: list[Phrase] = []
    entity, start, types = None, 0, ""
    for token in line.split():
        if token.startswith("["):
            if entity is not None:
                raise skip("phrase-unclosed", where, f"{token} within a phrase", "] before the next [")
            (entity, types), start = entity_of(token, where), len(words)
            if token.endswith("]"):  # a mark without words
                phrases.append(Phrase(entity, start, start, types))
                entity = None
        elif entity is not None and token.endswith("]"):
            words += [token[:-1]] if token != "]" else []
            phrases.append(Phrase(entity, start, len(words), types))
            entity = None
        else:
            words.append(token)
    if entity is not None:
        raise skip("phrase-unclosed", where, f"the phrase of entity {entity} is not closed", "] after its last word")
    return Sentence(number, words, phrases)


def entity_of(token: str, where: str) -> tuple[str, str]:
    """The id and the types in the token that opens a mark, such as `[/EN#283585/people`. Raises SkipSample for another form."""
    parts = token.rstrip("]").split("/")
    if len(parts) < 2 or parts[0] != "[" or not parts[1].startswith("EN#") or parts[1] == "EN#":
        raise skip("mark-malformed", where, f"{token[:80]!r}", "[/EN#id/type words]")
    return parts[1].removeprefix("EN#"), "/".join(filter(None, parts[2:]))


def annotation(content: bytes, where: str) -> Annotation:
    """The content of an XML file. Raises SkipSample for another file; an object that cannot be read breaks the entities that it names."""
    root = xml_root(content, where, "annotation", "annotations-unreadable", "a whole XML file")
    found = Annotation(size_of(root, where))
    for number, element in enumerate(root.iterfind("object"), 1):
        thing = f"{where}, object {number}"
        names = [(name.text or "").strip() for name in element.iterfind("name")]
        if not names or not all(names):
            raise skip("object-without-name", thing, "no <name>, or a blank one", "the id of an entity, or several")
        found.known.update(names)
        try:
            boxes = boxes_of(element, thing)
        except SkipSample as stopped:
            found.issues.append(stopped.issue)
            found.broken.update(names)
            continue
        for name in dict.fromkeys(names) if boxes else ():
            found.boxes.setdefault(name, []).extend(boxes)
    return found


def boxes_of(element: Element, thing: str) -> list[Box]:
    """The boxes of an object, xyxy in px from 0 (see the module). Raises SkipSample where a corner is missing or not a whole number."""
    found = [tuple(whole_number(each, corner, thing) - 1 for corner in CORNERS) for each in element.iterfind("bndbox")]
    if not found and element.find("nobndbox") is None and element.find("scene") is None:
        raise skip("object-without-box", thing, "neither <bndbox> nor <nobndbox> or <scene>", "one of them")
    return found


def size_of(root: Element, where: str) -> tuple[int, int]:
    """The image's (width, height) in px. Raises SkipSample where it is missing or not above 0."""
    size_wh = tuple(whole_number(root, f"size/{side}", where, "size-unreadable") for side in ("width", "height"))
    if min(size_wh) < 1:
        raise skip("size-unreadable", where, f"size {size_wh[0]}x{size_wh[1]}", "at least 1x1 px")
    return size_wh


def whole_number(element: Element, path: str, thing: str, reason: str = "box-unreadable") -> int:
    """The number in the one element at `path`. Raises SkipSample where there is none, or more than one."""
    found = element.findall(path)
    text = found[0].text or "" if len(found) == 1 else ""
    if not WHOLE_NUMBER.fullmatch(text):
        what = f"<{path}> is {text[:40]!r}" if len(found) == 1 else f"{len(found)} <{path}>"
        raise skip(reason, thing, what, "one whole number of at most 9 digits")
    return int(text)


def id_issue(thing: str, name: str) -> Issue | None:
    """Why a name cannot be the id of an image; None where it can."""
    if IMAGE_ID.fullmatch(name):
        return None
    return Issue("id-malformed", thing, f"{name[:80]!r}", "the id of an image: the name of its files without .jpg")


def ids(text: str, where: str) -> list[Sourced | Issue]:
    """The id of each image in a list, one per line; an Issue in place of one that is malformed or a duplicate."""
    found: list[Sourced | Issue] = []
    seen: set[str] = set()
    for number, name in lines_of(text):
        thing = f"{where}:{number}"
        repeated = Issue("id-repeated", thing, f"duplicate image id {name}", "each image once") if name in seen else None
        found.append(id_issue(thing, name) or repeated or Sourced(thing, name))
        seen.add(name)
    return found


def unrelated(text: str, where: str) -> frozenset[tuple[str, int]]:
    """(image id, number of the sentence) of each caption in UNRELATED_CAPTIONS. Raises GroundswiftError for another form."""
    found = set()
    for number, line in lines_of(text):
        parts = line.split()
        if line.startswith("#"):
            continue
        if len(parts) != 2 or not re.fullmatch("[0-9]{1,9}", parts[1]):
            raise error_at(f"{where}:{number}", f"{line[:80]!r}", "the id of an image and the number of a sentence")
        found.add((parts[0], int(parts[1])))
    return frozenset(found)
