"""Label files and their images: listed, matched by name, and read as text or XML."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from groundswift.coco_lenient import NOT_JSON
from groundswift.file_guard import regular_bytes
from groundswift.urls import is_url, is_web

from ..issues import Issue, IssueLog, skip
from .remote_folders import SUFFIXES, listed_below

UNREADABLE_FILE = "label-file-unreadable"  # the reason to count by
NOT_XML = (DefusedXmlException, ParseError, LookupError, ValueError, RecursionError)  # what readers of XML raise


def bytes_of(path: str, where: str, expected: str) -> bytes:
    """The content of a label file. Raises SkipSample where it cannot be read."""
    try:
        return regular_bytes(path)
    except OSError as error:
        raise skip(UNREADABLE_FILE, where, f"cannot be read ({error.strerror})", expected) from None


def text_of(path: str, where: str) -> str:
    """The text of a label file, without the byte order mark. Raises SkipSample where it cannot be read."""
    try:
        return bytes_of(path, where, "a text file").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise skip(UNREADABLE_FILE, where, f"not UTF-8 text (byte {error.start})", "UTF-8 text") from None


def json_of(path: str, where: str, kind: Any, expected: str) -> Any:
    """The content of a JSON label file as a type. Raises SkipSample where it cannot be read as that."""
    content = bytes_of(path, where, expected).removeprefix(codecs.BOM_UTF8)
    try:
        return msgspec.json.decode(content, type=kind)
    except NOT_JSON as error:
        raise skip(UNREADABLE_FILE, where, f"{error}"[:200], expected) from None


def files_below(folder: str, suffixes: set[str]) -> Iterator[str]:
    """Files of some suffixes in a folder and those below it, relative to it, in order; not hidden ones, nor below links to folders.

    The folder may be a URL. Raises GroundswiftError if that cannot be listed.
    """
    if is_url(folder):
        yield from (each.name for each in listed_below(folder, suffixes))
        return
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(here, folder)
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in suffixes and not name.startswith("."):
                yield name if inside == os.curdir else os.path.join(inside, name)


class Stems:
    """The images of a folder, and of those below it, by name. On the web, where nothing is listed, each is where its label says.

    `suffix`: of an image on the web that a label names by its stem; `pair`: folders of the same place in a layout, of the labels and of
    the images, such as labelTxt and images.
    """

    def __init__(self, folder: str, suffix: str, pair: tuple[str, str] | None = None) -> None:
        self.suffix = suffix if is_web(folder) else None
        self.pair = dict([pair]) if pair else {}
        self.names: dict[str, list[str]] = {}
        for name in () if self.suffix else files_below(folder, SUFFIXES):
            self.names.setdefault(stem_of(os.path.basename(name)), []).append(name)

    def name(self, stem: str, where: str, log: IssueLog, folder: str = "") -> str | None:
        """The image that a label file in `folder` (relative) names by its stem, perhaps with folders before it: in the same folder, else at
        the root, else the only one anywhere. The name that it should have if there is none; None, logged, if it is not clear."""
        return self.one_of(self.images(stem), stem, stem_of, where, log, folder)

    def file(self, name: str, where: str, log: IssueLog, folder: str = "") -> str | None:
        """The same by a name with its suffix."""
        images = [each for each in self.images(stem_of(name)) if os.path.basename(each) == os.path.basename(name)]
        return self.one_of(images, name, str, where, log, folder)

    def images(self, stem: str) -> list[str]:
        """All images of a stem; where that has folders before it, only those whose path ends so."""
        found = self.names.get(os.path.basename(stem), [])
        return [each for each in found if f"/{stem_of(each)}".endswith(f"/{stem}")] if "/" in stem else found

    def one_of(self, images: list[str], name: str, key: Callable[[str], str], where: str, log: IssueLog, folder: str) -> str | None:
        """`name` does that; `key`: an image -> what is compared with names."""
        near = os.path.join(*(self.pair.get(part, part) for part in folder.split("/")), name)
        if self.suffix is not None:
            return near + (self.suffix if key is stem_of else "")
        found = next(filter(None, ([each for each in images if key(each) == wanted] for wanted in (near, name))), images)
        if len(found) > 1:
            expected = "one image of that name, or one in the folder of the label"
            log.add(Issue("image-name-repeated", where, f"{found[0]} and {found[1]}", expected))
            return None
        there, expected = (os.path.dirname(each) for each in (found[0] if found else near, near))
        if there and expected and not f"/{there}".endswith(f"/{expected}"):
            log.count("image-other-folder", where)
        return found[0] if found else near


def stem_of(name: str) -> str:
    """A file name or path without its suffix."""
    return os.path.splitext(name)[0]


def xml_root(content: bytes, where: str, root: str, reason: str, expected: str) -> Element:
    """The element `root` of an XML file. Raises SkipSample, counted by `reason`, if it is not XML or has another root, a DTD or
    custom entities: nothing is expanded or fetched."""
    try:
        found = fromstring(content, forbid_dtd=True)
    except NOT_XML as error:
        place, what, plain = not_xml(where, error, expected)
        raise skip(reason, place, what, plain) from None
    if found.tag != root:
        raise skip(reason, where, f"XML of <{found.tag}>"[:200], f"<{root}>")
    return found


def not_xml(where: str, error: Exception, expected: str) -> tuple[str, str, str]:
    """(place, what is wrong there, what was expected) for one of NOT_XML."""
    if isinstance(error, DefusedXmlException):
        return where, "XML with a DTD or its own entities", "plain XML"
    if isinstance(error, ParseError):
        line, column = error.position
        return f"{where}:{line}:{column + 1}", f"not XML ({str(error).partition(':')[0]})", expected
    return where, f"not XML ({error})", expected
