"""Swift rows in any of their forms, for the formats that are written from them: read as lint reads them."""

from __future__ import annotations

import os
from typing import Annotated, Any

import msgspec

from groundswift.file_guard import path_inside
from groundswift.row_view import RowView
from groundswift.urls import absolute, folder_of, is_url
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, Make, Options, Reading, path_option
from ..file_io.row_images import RowImages
from ..issues import Issue, IssueLog, skip
from .result_rows import TruthFlag, read_truth

HARMLESS = {"old-columns", "objects-keys"}  # of lint's rules on the shape of a row: swift reads such rows all the same
SOUND = "a row that groundswift lint finds nothing in"


class AnyRow(msgspec.Struct):
    """A row of a data file or of inference results, decoded loosely: `RowView` checks its parts."""

    messages: Any = None
    query: Any = None
    response: Any = None
    images: Any = None
    image: Any = None
    videos: Any = None
    objects: Any = None
    sample_id: int | str | None = None
    size_wh: tuple[int, int] | None = None
    labels: Any = None
    chat_template_kwargs: Any = None


class SwiftRowOptions(Options, frozen=True, kw_only=True):
    """Formats that swift rows are written to. A subclass has `maker`."""

    reads = "swift rows"
    makes_rows = False
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW], "a.jpg": EXAMPLE_IMAGE}

    truth: TruthFlag = False
    images: Annotated[str | None, path_option("Folder that the paths are relative to.  [default: as the rows have them]", "DIR")] = None

    def maker(self, folder: str | None, images: RowImages) -> Make:
        """What converts a row; its paths are written relative to `folder`. `images`: the rows' own, for sizes not stated."""
        raise NotImplementedError

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        rows, total = read_truth(self.annotations, AnyRow, self.truth)
        images = RowImages(absolute(self.images or folder_of(self.annotations)), check=False)
        return Reading(rows, self.maker(self.images and absolute(self.images), images), total)


def viewed(where: str, row: AnyRow) -> tuple[RowView, list[Issue]]:
    """A row's view, and an issue for each finding about its shape."""
    given = {name: getattr(row, name) for name in AnyRow.__struct_fields__}
    view = RowView.of({name: value for name, value in given.items() if value is not None})
    found = [(rule, text) for rule, text in view.findings if rule not in HARMLESS]
    return view, [Issue.of(rule, where, text, SOUND) for rule, text in found]


def relative(thing: str, path: str, folder: str | None) -> str:
    """A path as it is, or relative to a folder, where relative ones start. Raises SkipSample for one outside it."""
    if folder is None:
        return path
    start = folder.rstrip("/") + "/"
    path = path if is_url(path) or os.path.isabs(path) else path_inside(folder, path) or path
    if not path.startswith(start):
        raise skip("image-outside-folder", thing, f"{path} is not inside {folder}", "images below --images, or no --images")
    return path[len(start) :]
