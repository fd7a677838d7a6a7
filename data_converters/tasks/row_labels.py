"""What ODVG, ODGT, CreateML and Label Studio share: a file with a row for each image, and its labels in a list of the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..file_io.row_files import Sourced
from ..issues import Issue, IssueLog
from .labelled_image import Label, LabelledImage


def labelled_rows(
    rows: Iterable[Sourced | Issue], image_of: Callable[[str, Any], LabelledImage | None], log: IssueLog
) -> Iterator[LabelledImage]:
    """The images that `image_of` makes of rows and their places, those that are not None; a row that cannot be read is logged."""
    for item in rows:
        if isinstance(item, Issue):
            log.add(item)
        elif image := image_of(*item):
            yield image


def add_labels(image: LabelledImage, entries: Iterable[Any], where: str, read: Callable[[Any, str], Label], log: IssueLog) -> LabelledImage:
    """The image with the labels that `read` makes of some entries and their places: `where` and a number from 1."""
    for number, entry in enumerate(entries, 1):
        if label := image.attempt(log, read, entry, f"{where} {number}"):
            image.labels.append(label)
    return image
