"""The parts of an XML file of CVAT, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import iterparse

from groundswift.errors import GroundswiftError, error_at
from groundswift.storage import local_copy
from groundswift.urls import shown

from ...file_io.label_files import NOT_XML, not_xml

EXPECTED = "CVAT for images 1.1 or for video 1.1"


def parts_of(source: str) -> Iterator[Element]:
    """The elements below the root, each until the next is asked for: the file is read in pieces.

    Raises GroundswiftError where it is broken, or of another kind.
    """
    where = shown(source)
    try:
        path: list[Element] = []
        for event, element in iterparse(local_copy(source), events=("start", "end"), forbid_dtd=True):
            if event == "start":
                path.append(element)
                if len(path) == 1 and element.tag != "annotations":
                    raise error_at(where, f"XML of <{element.tag}>"[:200], EXPECTED)
                continue
            path.pop()
            if len(path) == 1:
                yield element
                path[0].clear()
    except GroundswiftError:
        raise
    except NOT_XML as error:
        raise error_at(*not_xml(where, error, EXPECTED)) from None
    except OSError as error:
        raise error_at(where, f"cannot be read ({error.strerror})", EXPECTED) from None


def label_names(meta: Element) -> Iterator[str]:
    """The labels of a task, project or job, in their order; the joints of a skeleton are not classes."""
    for label in meta.iterfind("*/labels/label"):
        name = (label.findtext("name") or "").strip()
        if name and label.find("parent") is None:
            yield name
