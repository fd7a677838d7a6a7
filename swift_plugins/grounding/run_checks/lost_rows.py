"""Rows that a training loses: dropped while a dataset is read, or replaced by other rows while it trains.

Observed with ms-swift 4.6.0: an invalid row is dropped with at most ten tracebacks and no count by reason; with lazy encoding, the default
for images, a row that is too long or unreadable is silently replaced by a random one. Every process, DataLoader workers too, appends what
it lost to one file, which the main process reads.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, NamedTuple
from weakref import finalize

import torch.distributed as dist
from accelerate.utils import gather_object
from datasets import Dataset
from PIL import UnidentifiedImageError
from swift.dataset import DatasetLoader
from swift.dataset.preprocessor import RowPreprocessor
from swift.dataset.utils import LazyLLMDataset
from swift.template import MaxLengthError
from swift.trainers.mixin import SwiftMixin
from swift.utils import get_logger, is_dist, is_master

from groundswift.errors import GroundswiftError, ImageMissing, ImageUnreadable

from ..patches.wrap_once import patch

NOTES = "GROUNDSWIFT_NOTES_OF_LOST_ROWS"  # environment variable: the file for the lost rows of the dataset being preprocessed
STEPS = ("preprocess", "_check_objects", "_check_rejected_response", "_check_messages", "_cast_mm_data", "_normalize_tools")
SHOWN = 10  # rows that the log names as they occur
EXAMPLES = 3  # rows that a summary names for each reason
CLASSES = (  # id by class of error
    ("row-too-long", MaxLengthError),
    ("image-missing", (ImageMissing, FileNotFoundError)),
    ("image-unreadable", (ImageUnreadable, UnidentifiedImageError)),
)
KINDS = (  # errors of swift's preprocessors and of Pillow that have no class of their own: id, pattern
    ("objects-without-bbox", r"KeyError: 'bbox'"),
    ("objects-not-a-dict", r"AttributeError: '(str|list)' object has no attribute 'keys'"),
    ("box-size", r"len\(box\)|object of type '(int|float|NoneType|bool)' has no len"),
    ("message-empty", r"AssertionError: message: .*'content': None|AssertionError: messages: \[\]"),
    ("message-role", r"AssertionError: message: "),
    ("rejected-response", r"ValueError: rejected_response"),
    ("image-unreadable", r"OSError: (image file is truncated|broken data stream)"),
)
REMEDIES = {
    "objects-without-bbox": 'give `objects` a list `bbox`; an image without objects has {"ref": [], "bbox": []}',
    "objects-not-a-dict": "rows of swift 2.x: convert them with `groundswift convert swift2`",
    "box-size": "a box has 4 numbers, a point 2, in one flat list for each <bbox>",
    "message-empty": "every message needs a text",
    "message-role": "a role is system, user, assistant or tool",
    "row-too-long": "raise --max_length, or lower --max_pixels",
    "image-missing": "check the paths: `groundswift lint`",
    "image-unreadable": "repair or remove the files: `groundswift lint`",
}


def reason_of(error: Exception) -> str:
    """Why a row could not be encoded, as one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, (GroundswiftError, MaxLengthError)) else f"{type(error).__name__}: {text}"


def kind_of(error: Exception) -> str:
    """The id by which an error is counted."""
    by_class = (kind for kind, classes in CLASSES if isinstance(error, classes))
    by_text = (kind for kind, pattern in KINDS if re.search(pattern, reason_of(error)))
    return next(itertools.chain(by_class, by_text), "row-refused")


def name_of(row: dict[str, Any]) -> str:
    """A row as the log names it: by its id, else by its first image."""
    if row.get("sample_id") is not None:
        return f"row {row['sample_id']!r}"
    images = row.get("images") or row.get("image") or []
    first = images[0] if isinstance(images, list) and images else images
    path = first.get("path") if isinstance(first, dict) else first
    return f"the row of {path[:200]}" if isinstance(path, str) else "a row without sample_id"


class LostRow(NamedTuple):
    """A row that was not used: id of the reason, the reason, and the row's name in the log."""

    kind: str
    reason: str
    row: str


class LostRowFile:
    """The lost rows of one dataset, in a temporary file that any process may append to."""

    def __init__(self) -> None:
        descriptor, self.path = tempfile.mkstemp(prefix="groundswift-lost-rows-")
        os.close(descriptor)
        finalize(self, remove, self.path, os.getpid())

    def take(self) -> list[LostRow]:
        """All lost rows; the file is removed, so later ones are ignored."""
        try:
            with open(self.path, encoding="utf-8") as file:
                notes = [LostRow(*json.loads(line)) for line in file]
        except FileNotFoundError:
            return []
        remove(self.path, os.getpid())
        return notes


def remove(path: str, owner: int) -> None:
    """Remove a file, but only in the process that made it: workers hold copies of its objects."""
    if os.getpid() == owner:
        with suppress(FileNotFoundError):
            os.unlink(path)


def note(path: str, lost: LostRow) -> None:
    """Append one row in a single write, as several processes share the file; nothing after `take`."""
    with suppress(FileNotFoundError), open(os.open(path, os.O_WRONLY | os.O_APPEND), "wb", buffering=0) as file:
        file.write((json.dumps(lost) + "\n").encode())


reading: list[str] = []  # the file being read, for messages


@patch("_load_dataset_path", DatasetLoader)
def note_its_file(load: Callable[..., Any], self: DatasetLoader, dataset_path: str, *given: Any, **more: Any) -> Any:
    """A loader that notes the file name for the preprocessing."""
    reading.append(dataset_path)
    try:
        return load(self, dataset_path, *given, **more)
    finally:
        reading.pop()


@patch("__call__", RowPreprocessor)
def report_dropped_rows(call: Callable[..., Any], self: RowPreprocessor, dataset: Any, *given: Any, **more: Any) -> Any:
    """A preprocessor's call that logs how many rows it dropped, and why. Streams, which have no length, are passed on."""
    if not isinstance(dataset, Dataset):
        return call(self, dataset, *given, **more)
    notes = LostRowFile()
    earlier = os.environ.get(NOTES)
    os.environ[NOTES] = notes.path
    try:
        mapped = call(self, dataset, *given, **more)
    finally:
        os.environ.pop(NOTES) if earlier is None else os.environ.update({NOTES: earlier})
        lost = notes.take()
    if is_master() and (lost or len(mapped) < len(dataset)):
        get_logger().warning(dropped(reading[-1] if reading else "the dataset", len(dataset), len(mapped), lost))
    return mapped


@patch("batched_preprocess", RowPreprocessor)
def note_dropped_rows(
    batched_preprocess: Callable[..., Any], self: RowPreprocessor, batched_row: dict[str, Any], *, strict: bool, **more: Any
) -> dict[str, Any]:
    """A preprocessor's step that notes each row at which one of its parts raises, or of which it makes nothing."""
    path = os.environ.get(NOTES)
    with nullcontext() if path is None or strict else noting(self, path):
        return batched_preprocess(self, batched_row, strict=strict, **more)


@contextmanager
def noting(preprocessor: RowPreprocessor, path: str) -> Iterator[None]:
    """Let the parts of a preprocessor note what they refuse."""
    named = ["a row"]

    def watched(name: str, step: Callable[..., Any], row: dict[str, Any], *given: Any, **more: Any) -> Any:
        if name == STEPS[0]:
            named[0] = name_of(row)
        try:
            made = step(row, *given, **more)
        except Exception as error:
            note(path, LostRow(kind_of(error), reason_of(error)[:200], named[0]))
            raise
        if name == STEPS[0] and not made:
            note(path, LostRow("row-discarded", "its preprocessor makes no row of it", named[0]))
        return made

    before = dict(vars(preprocessor))
    vars(preprocessor).update({name: partial(watched, name, getattr(preprocessor, name)) for name in STEPS})
    try:
        yield
    finally:
        for name in STEPS:
            vars(preprocessor).pop(name)
        vars(preprocessor).update({name: before[name] for name in STEPS if name in before})


def dropped(name: str, rows: int, kept: int, lost: list[LostRow]) -> str:
    """The warning about dropped rows of a dataset."""
    if not lost:
        return f"{name}: {rows - kept} of {rows} rows were dropped at the first read. Use --load_from_cache_file false to see why"
    return f"{name}: {len(lost)} of {rows} rows dropped: {summary(lost)}. `groundswift lint` finds them; --strict true stops at the first"


def summary(lost: list[LostRow]) -> str:
    """Counts by reason, most frequent first, with a first reason, some rows, and the remedy."""
    counts = Counter(each.kind for each in lost)
    parts = []
    for kind, count in counts.most_common():
        these = [each for each in lost if each.kind == kind]
        names = list(dict.fromkeys(each.row for each in these))
        named = ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
        remedy = f"; {REMEDIES[kind]}" if kind in REMEDIES else ""
        parts.append(f"{count} {kind} ({named}: {these[0].reason}{remedy})")
    return "; ".join(parts)


@patch("__init__", LazyLLMDataset)
def name_replaced_rows(init: Callable[..., None], self: LazyLLMDataset, dataset: Any, encode_func: Callable[..., Any], **more: Any) -> None:
    """A dataset that notes the rows which it replaces by others, and names the first of them."""
    notes, named, strict = LostRowFile(), [], more.get("strict", False)

    def encode(row: dict[str, Any], **how: Any) -> Any:
        try:
            return encode_func(row, **how)
        except Exception as error:
            lost = LostRow(kind_of(error), reason_of(error), name_of(row))
            note(notes.path, lost)
            if not strict and lost.row not in named and len(named) < SHOWN:
                named.append(lost.row)
                get_logger().warning(f"{lost.row} ({lost.kind}) is replaced by another row: {lost.reason}")
            raise

    init(self, dataset, encode, **more)
    self.lost_rows = notes


@patch("train", SwiftMixin)
def report_replaced_rows(train: Callable[..., Any], self: SwiftMixin, *given: Any, **more: Any) -> Any:
    """A training that ends with the count of the rows which it could not use, in all its processes together."""
    together = False
    try:
        done = train(self, *given, **more)
        together = is_dist() and dist.is_initialized()  # after an error the other processes may be elsewhere
        return done
    finally:
        for name in ("train_dataset", "eval_dataset"):
            if (dataset := underlying(getattr(self, name, None))) is not None:
                lost = dataset.lost_rows.take()
                lost = [LostRow(*each) for each in gather_object(lost)] if together else lost
                if lost and is_master():
                    get_logger().warning(replaced(name, len(dataset), lost))


def underlying(dataset: Any) -> LazyLLMDataset | None:
    """The dataset that encodes rows when they are needed, under whatever packs it."""
    while dataset is not None and not isinstance(dataset, LazyLLMDataset):
        dataset = getattr(dataset, "dataset", None)
    return dataset


def replaced(name: str, rows: int, lost: list[LostRow]) -> str:
    """The warning about replaced rows of a training."""
    distinct = list(dict.fromkeys(lost))
    what = f"{len(distinct)} of {rows} rows could not be used and were replaced by other rows {len(lost)} times"
    remedy = "Use --lazy_tokenize false to drop them instead, or --strict true to stop at the first"
    return f"{name}: {what}: {summary(distinct)}. {remedy}"
