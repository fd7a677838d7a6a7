"""Label files and their images: listed, matched by name, and read as text or XML."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
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
    """The images of a folder by stem, for labels that name no suffix. On the web, where nothing is listed: stem plus `suffix`."""

    def __init__(self, folder: str, suffix: str) -> None:
        self.suffix = suffix if is_web(folder) else None
        self.names: dict[str, list[str]] = {}
        for name in () if self.suffix else files_below(folder, SUFFIXES):
            self.names.setdefault(os.path.splitext(os.path.basename(name))[0], []).append(name)

    def name(self, stem: str, where: str, log: IssueLog) -> str | None:
        """The image of a stem; None, and a problem is logged, if there are two. If there is none, the name that it should have."""
        found = self.names.get(stem, [])
        if len(found) > 1:
            log.add(Issue("image-name-repeated", where, f"{found[0]} and {found[1]}", "one image per label file"))
            return None
        return found[0] if found else stem + (self.suffix or "")


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
