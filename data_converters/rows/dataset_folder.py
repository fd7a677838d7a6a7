"""What the formats share that write boxes of images: names of images and label files, and a folder with the images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.atomic_write import new_folder
from groundswift.errors import GroundswiftError, error_at
from groundswift.images import read_size_wh
from groundswift.storage import local_copy
from groundswift.urls import absolute, file_name, is_url

from ..base import Totals
from ..issues import IssueLog
from .collect_boxes import BoxesOptions, ImageBoxes, collect_boxes

DIGITS = 9  # of a fraction: exact to 0.0001 px on an image 100,000 px wide
ImageFiles = Annotated[
    Literal["link", "copy", "none"],
    msgspec.Meta(description="Images of the dataset: links to the files, copies, or none (the original paths are written)."),
]


class FolderOptions(BoxesOptions, frozen=True, kw_only=True):
    """Options of formats that are a folder with the images in it."""

    image_files: ImageFiles = "link"


def stems_of(paths: Iterable[str], image_files: str, label_file: str) -> dict[str, str]:
    """Path of an image -> the stem of its label file; `label_file` is the name of one, as `labels/{}.txt`.

    Raises GroundswiftError where two images want one name, or a link would point to a URL.
    """
    owner: dict[str, str] = {}
    stems: dict[str, str] = {}
    for path in paths:
        if image_files == "link" and is_url(path):
            raise GroundswiftError(f"{path}: a link cannot point to a URL; expected --image-files copy or none")
        stem = stems[path] = os.path.splitext(file_name(path))[0]
        if owner.setdefault(stem, path) != path:
            raise GroundswiftError(f"{path}: {label_file.format(stem)} belongs to {owner[stem]}; expected a different name for each image")
    return stems


@contextmanager
def dataset_folder(out: Path) -> Iterator[Path]:
    """A new folder to fill, complete or absent. Raises GroundswiftError where an image cannot be copied into it."""
    try:
        with new_folder(out) as folder:
            yield folder
    except OSError as error:
        raise error_at(error.filename, f"cannot be copied ({error.strerror})", "an image that can be read") from None


def label_folder(
    options: FolderOptions,
    out: Path | None,
    folders: tuple[str, str],
    text_of: Callable[[ImageBoxes], str],
    log: IssueLog,
    progress: bool,
    reserved: str | None = None,
) -> Totals:
    """Write a dataset with a text file of labels for each image, whose lines are split at spaces. `folders`: of labels and of images.

    Raises GroundswiftError for a class that is not one word, or `reserved`.
    """
    collected = collect_boxes(options, log, progress)
    found, (labels, images) = collected.images, folders
    if odd := next((name for name in collected.categories if len(name.split()) != 1 or name == reserved), None):
        other = f", other than {reserved}" if reserved else ""
        raise error_at(options.annotations, f"class {odd!r}", f"one word{other} (convert with --rename-class)")
    stems = stems_of(found, options.image_files, f"{labels}/{{}}.txt")
    if out is not None:
        with dataset_folder(out) as folder:
            for name in [labels, images][: 1 if options.image_files == "none" else 2]:
                (folder / name).mkdir()
            for path, image in found.items():
                put_image(path, folder / images, options.image_files)
                (folder / labels / f"{stems[path]}.txt").write_text(text_of(image), encoding="utf-8")
    return Totals.of([image.boxes.total() for image in found.values()])


def fraction(value: float) -> str:
    """A fraction of a side as text."""
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")


def put_image(path: str, folder: Path, image_files: str) -> str:
    """Link or copy an image into a folder of the dataset -> its name there; with none, its own path."""
    name = file_name(path)
    if image_files == "link":
        os.symlink(path, folder / name)
    elif image_files == "copy":
        read_size_wh(path)  # rows may name any file of this machine, and only images leave it
        shutil.copyfile(local_copy(path), folder / name)
    return path if image_files == "none" else name


def file_names(paths: list[str], folder: str | None) -> list[str]:
    """Each path relative to `folder`, or to the deepest folder that holds them all. Raises GroundswiftError for one outside it."""
    folder = common_folder(paths) if folder is None else absolute(folder)
    start = folder.rstrip("/") + "/" if folder else ""
    for path in paths:
        if not path.startswith(start):
            raise GroundswiftError(f"{path}: not inside {folder}; expected all images below --images, or no --images")
    return [path[len(start) :] for path in paths]


def common_folder(paths: Iterable[str]) -> str:
    """The deepest folder that holds all of some paths or URLs; empty if there is none."""
    parts = [path.split("/")[:-1] for path in paths]
    shared = os.path.commonprefix(parts)
    return "/".join(shared) if shared not in ([], [""]) else ""
