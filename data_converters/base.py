"""What a format is: a struct of options with `open`, which gives the items of a source and the function that makes rows of one item.

One engine drives every format: in this process, on several or on a cluster, from the first item or from where a killed run stopped.
So `make` is a pure function of one item (it may read the item's image) that can be pickled.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from groundswift.errors import GroundswiftError
from groundswift.worker_pool import WorkerPool

from .file_io.box_checks import ImageFolder, image_folder_of
from .issues import Issue, IssueLog, OnError, declare
from .prompts import Asking, Language, asking

Make = Callable[[Any, IssueLog], Iterable[msgspec.Struct]]
Positive = Annotated[int, msgspec.Meta(ge=1)]
EXAMPLE_IMAGE = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGCAIAAABxZ0isAAAAFUlEQVR42mNsaGhgwAaYGHAAekgAAOIaAYxPq/WCAAAAAElFTkSuQmCC"
)  # 8x6 px
EXAMPLE_ROW = {  # a row for swift with one box
    "messages": [{"role": "user", "content": "<image>Find the cat."}, {"role": "assistant", "content": "<ref-object><bbox>"}],
    "images": ["a.jpg"],
    "objects": {"ref": ["cat"], "bbox": [[1, 1, 4, 5]], "bbox_type": "real"},
    "sample_id": 1,
    "size_wh": [8, 6],
}


def path_option(description: str, metavar: str = "FILE") -> msgspec.Meta:
    """What describes an option that names a file or a folder (`metavar` DIR)."""
    return msgspec.Meta(description=description, extra={"path": True, "metavar": metavar})


def images_option(default: str) -> msgspec.Meta:
    """What describes the option --images of a format; `default`: where its images are without it."""
    return path_option(f"Folder of the images.  [default: {default}]", "DIR")


@dataclass(frozen=True)
class Reading:
    """An opened source. `items` come in the source's order and are cheap to skip; one that cannot be read is an Issue in its place.

    `make` turns one item into rows (or another line of the output) and logs what it skips. `total`: the number of items, if known.
    `unit`: what an item is called.
    """

    items: Iterable[Any | Issue]
    make: Make
    total: int | None = None
    unit: str = "row"


class Totals(msgspec.Struct):
    """What came out: rows, their objects, and `negatives`, the rows with an empty list of objects."""

    rows: int = 0
    objects: int = 0
    negatives: int = 0

    @classmethod
    def of(cls, counts: Sequence[int]) -> Totals:
        """Of rows or images with these numbers of objects."""
        return cls(len(counts), sum(counts), sum(count == 0 for count in counts))

    def add(self, other: Totals) -> None:
        self.rows += other.rows
        self.objects += other.objects
        self.negatives += other.negatives


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every format has. A format is a subclass with its own options, a docstring (its help, with an `Example:`) and `open`.

    Each field is an option of the command and a key in a list of datasets; `extra={"path": True}` marks a path. On the class: `name`, the
    subcommand; `summary`, one line of help; `reads` and `writes`, for the table of formats; `makes_rows`, False for one that writes rows
    back to another format; EXAMPLE, the files of a small source in the layout of the help's example: path -> bytes, a text, or rows;
    `issues`, id -> title of what only this format counts, for formats of other packages; `items_per_block`, of which a worker gets one at a
    time: fewer than by default where an item takes long, so that no worker is idle while the last block is made.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    reads: ClassVar[str] = ""
    writes: ClassVar[str] = ""
    makes_rows: ClassVar[bool] = True
    EXAMPLE: ClassVar[Mapping[str, Any]] = {}
    issues: ClassVar[Mapping[str, str]] = {}
    items_per_block: ClassVar[int | None] = None

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        declare(cls.issues)

    annotations: Annotated[str, msgspec.Meta(extra={"path": True, "metavar": "SOURCE"})]
    on_error: Annotated[OnError, msgspec.Meta(description="On problems: list them and write nothing, or drop and count them.")] = "stop"
    limit: Annotated[Positive | None, msgspec.Meta(description="Use the first N items of the source only.")] = None
    seed: Annotated[int, msgspec.Meta(description="Seed of everything that is sampled.")] = 0

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        """Open the source; a format may share the work among the workers of `pool`.

        Raises GroundswiftError where the source cannot be read at all, and logs the problems of its parts.
        """
        raise NotImplementedError


class WholeOptions(Options, frozen=True, kw_only=True):
    """A format whose output is one document or folder, made of all rows at once: it has `write` in place of `open`, and no --resume."""

    makes_rows: ClassVar[bool] = False

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        """Make the whole output at `out`, or nothing; None: check and count only.

        Raises GroundswiftError with every problem if `on_error` is stop, where nothing is left, and where `out` cannot be written.
        """
        raise NotImplementedError

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        raise GroundswiftError(f"{self.annotations}: format {self.name} does not make rows; expected one that does")


class ImageOptions(Options, frozen=True, kw_only=True):
    """Formats with image files."""

    images: Annotated[str | None, images_option("the folder of SOURCE")] = None
    check_images: Annotated[bool, msgspec.Meta(description="Open every image to check it, or trust the sizes of the source.")] = True

    def image_folder(self, kind: type[ImageFolder] = ImageFolder, default: str | None = None, needed: bool = False) -> ImageFolder:
        """The folder of the images: --images, else `default`, else that of the source. Raises GroundswiftError where it does not exist and
        they are checked, or `needed` in any case."""
        return image_folder_of(self.images or default, self.annotations, self.check_images or needed, kind)


class AskingOptions(ImageOptions, frozen=True, kw_only=True):
    """Formats whose source has answers without questions."""

    prompt: Annotated[str | None, msgspec.Meta(description="Your own question, instead of the built-in ones.")] = None
    language: Annotated[Language, msgspec.Meta(description="Language of the questions; both: sampled per row.")] = "en"
    prompts: Annotated[
        Literal["fixed", "sampled"], msgspec.Meta(description="Question of a row: the first one of the task, or one sampled per row.")
    ] = "fixed"

    def asking(self, task: str, fields: Sequence[str] = (), tags: Sequence[str] = ()) -> Asking:
        """The chosen questions of a task; see `prompts.asking`."""
        return asking(task, self.language, self.prompt, self.seed, self.prompts == "sampled", fields, tags)
