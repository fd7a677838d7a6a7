"""What a source format is: options, and a `read` that turns a source into items and says how one item becomes rows.

Reading and making are apart so that one engine can drive every format: on this thread, on several processes or on a cluster, from the
first item or from where a killed run stopped. `make` is a pure function of one item (it may look at the item's picture) and can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from groundswift.worker_pool import WorkerPool

from .file_io.box_checks import ImageFolder, pictures_of
from .issues import Issue, IssueLog, OnError
from .prompts import Asking, Language, asking

Make = Callable[[Any, IssueLog], Iterable[msgspec.Struct]]
Positive = Annotated[int, msgspec.Meta(ge=1)]


def path_option(description: str, metavar: str = "FILE") -> msgspec.Meta:
    """What describes an option that names a file or a folder (`metavar` DIR)."""
    return msgspec.Meta(description=description, extra={"path": True, "metavar": metavar})


@dataclass(frozen=True)
class Reading:
    """An opened source. `items` come in the source's order and are cheap to pass over; one that cannot be read is an Issue in its place.

    `make` turns one item into rows (or whatever a line of the output is) and notes what it leaves out. `total`: how many items there
    are, where that is known. `unit`: what an item is called.
    """

    items: Iterable[Any | Issue]
    make: Make
    total: int | None = None
    unit: str = "row"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every format has. A format is a subclass with its own options, a docstring (the help of its verb) and `read`.

    Each field is an option of the command and a key in a list of sets; `extra={"path": True}` marks a path.
    """

    annotations: Annotated[str, msgspec.Meta(extra={"path": True, "metavar": "SOURCE"})]
    on_error: Annotated[OnError, msgspec.Meta(description="What to do about faults: tell all and write nothing, or count and go on.")] = (
        "stop"
    )
    limit: Annotated[Positive | None, msgspec.Meta(description="Only the first N items of the source.")] = None
    seed: Annotated[int, msgspec.Meta(description="Decides everything that is sampled.")] = 0

    def read(self, log: IssueLog) -> Reading:
        """Open the source. Raises GroundswiftError where it cannot be read at all, and notes what is wrong with parts of it."""
        raise NotImplementedError

    def read_by(self, pool: WorkerPool, log: IssueLog) -> Reading:
        """`read`, the work shared among processes where the format can."""
        return self.read(log)


class ImageOptions(Options, frozen=True, kw_only=True):
    """What formats with pictures in files have beside that."""

    images: Annotated[
        str | None,
        msgspec.Meta(description="Folder of the pictures.  [default: the folder of SOURCE]", extra={"path": True, "metavar": "DIR"}),
    ] = None
    check_images: Annotated[bool, msgspec.Meta(description="Whether to look at the pictures, or trust the source.")] = True

    def pictures(self) -> ImageFolder:
        """Where the pictures lie. Raises GroundswiftError where they are looked at and there is no such folder."""
        return pictures_of(self.images, self.annotations, self.check_images)


class AskingOptions(ImageOptions, frozen=True, kw_only=True):
    """What formats have beside that whose source holds answers and no questions."""

    prompt: Annotated[str | None, msgspec.Meta(description="A question of your own, in place of those of the file of prompts.")] = None
    language: Annotated[Language, msgspec.Meta(description="Language of the questions; both: one or the other, sampled for each.")] = "en"
    prompts: Annotated[
        Literal["fixed", "sampled"], msgspec.Meta(description="The first question of the task for all rows, or one sampled for each.")
    ] = "fixed"

    def asking(self, task: str, fields: Sequence[str] = (), tags: Sequence[str] = ()) -> Asking:
        """The questions of a task as chosen; see `prompts.asking`."""
        return asking(task, self.language, self.prompt, self.seed, self.prompts == "sampled", fields, tags)
