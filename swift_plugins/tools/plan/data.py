"""How many rows a training reads, and the sizes of their images: from the files that `--dataset` names, where they are local."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from groundswift.data_converters.file_io.row_files import read_rows
from groundswift.data_converters.issues import Issue
from groundswift.errors import GroundswiftError, error_at
from groundswift.images import read_size_wh

from ...grounding.training_steps import split_rows

ROW_FILES = (".jsonl", ".json", ".parquet")
Row = TypeVar("Row", bound=msgspec.Struct)


class PlannedRow(msgspec.Struct):
    """What is read of a row."""

    images: Any = None
    image: Any = None
    size_wh: Any = None


@dataclass
class Images:
    """Sizes (width, height) in px of the data's images, upright, and how many a row has at most. `unread`: images without a known size."""

    sizes_wh: list[tuple[int, int]] = field(default_factory=list)
    most_a_row: int = 0
    unread: int = 0


@dataclass(frozen=True)
class Part:
    """One value of `--dataset`: `rows` before sampling (None: not known), then what swift trains and validates on."""

    name: str
    rows: int | None
    training_rows: int | None
    validation_rows: int | None


def parts_of(names: Sequence[str], cached: Sequence[str], ratio: float, given: Sequence[int]) -> list[Part]:
    """The rows of each dataset, and of each of `--cached_dataset`, which is not split.

    `given`: counts in place of the files' own, one for each dataset, or one for all of them together. Raises GroundswiftError where a file
    cannot be read, or nothing is left to train on.
    """
    every = [*names, *cached]
    if given and len(given) not in (1, len(every)):
        raise GroundswiftError(f"--rows given {len(given)} times for {len(every)} datasets; expected once, or once for each")
    if len(given) == 1 and len(every) != 1:
        return [Part(" ".join(every), given[0], *split_rows(given[0], None, ratio))]
    parts = []
    for number, name in enumerate(every):
        dataset, sample = dataset_of(name)
        rows = given[number] if given else rows_in(dataset)
        known = sample if rows is None else rows
        split = (None, None) if known is None else split_rows(known, sample, ratio if number < len(names) else 0.0)
        parts.append(Part(name, rows, *split))
    return parts


def dataset_of(name: str) -> tuple[str, int | None]:
    """(path or id, `#sample`) of one value of `--dataset`, as swift reads it; a recipe without its data has an empty one.

    Raises GroundswiftError where the sample is not a number.
    """
    from swift.dataset import DatasetSyntax

    if not name:
        return "", None
    try:
        syntax = DatasetSyntax.parse(name)
    except ValueError:
        raise GroundswiftError(f"--dataset {name}: expected a whole number after #") from None
    return syntax.dataset, syntax.dataset_sample


def rows_in(name: str) -> int | None:
    """Rows of a local file, or of a folder that swift exported; None for any other name, which only the hub knows.

    Raises GroundswiftError where it cannot be read.
    """
    path = Path(os.path.expanduser(name))
    if name and (path / "dataset_info.json").is_file() and (path / "state.json").is_file():
        from datasets import load_from_disk

        return len(load_from_disk(str(path)))
    if not path.is_file():
        if name.startswith(("/", "./", "../", "~")) and not path.exists():
            raise error_at(name, "no such file", "the data of the training, or --rows")
        return None
    if path.suffix.lower() in (".csv", ".tsv"):
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            return max(0, sum(1 for _ in csv.reader(file)) - 1)
    if path.suffix.lower() in ROW_FILES:
        return sum(1 for _ in read_rows(str(path), PlannedRow)[0])
    return None


def images_of(names: Sequence[str]) -> Images:
    """The images of all local rows; sizes from `size_wh` where a row has one image and states it, else from image headers."""
    found, seen = Images(), {}
    for name in names:
        for row in local_rows(dataset_of(name)[0], PlannedRow):
            add_images(row, found, seen)
    return found


def local_rows(name: str, row_type: type[Row]) -> Iterator[Row]:
    """The rows of a local file that can be read; lint finds the others. None of any other dataset."""
    path = Path(os.path.expanduser(name))
    if path.is_file() and path.suffix.lower() in ROW_FILES:
        yield from (row.row for row in read_rows(str(path), row_type)[0] if not isinstance(row, Issue))


def add_images(row: PlannedRow, found: Images, seen: dict[str, tuple[int, int] | None]) -> None:
    """Note the images of one row."""
    images = row.images if row.images is not None else row.image
    images = images if isinstance(images, list) else [] if images is None else [images]
    found.most_a_row = max(found.most_a_row, len(images))
    if len(images) == 1 and (stated := stated_wh(row.size_wh)):
        found.sizes_wh.append(stated)
        return
    for image in images:
        source = image.get("path") if isinstance(image, dict) else image
        if isinstance(source, str) and source not in seen:
            seen[source] = header_wh(source)
        if size_wh := seen.get(source) if isinstance(source, str) else None:
            found.sizes_wh.append(size_wh)
        else:
            found.unread += 1


def stated_wh(size_wh: Any) -> tuple[int, int] | None:
    """A row's `size_wh`, where it is two whole numbers above 0."""
    if isinstance(size_wh, list | tuple) and len(size_wh) == 2 and all(type(side) is int and side > 0 for side in size_wh):
        return size_wh[0], size_wh[1]
    return None


def header_wh(source: str) -> tuple[int, int] | None:
    """The size of a local image; None where it is not local or cannot be read."""
    if not os.path.exists(source):
        source = os.path.join(os.environ.get("ROOT_IMAGE_DIR") or "", source)
    if not os.path.isfile(source):
        return None
    try:
        return read_size_wh(source)[0]
    except GroundswiftError:
        return None
