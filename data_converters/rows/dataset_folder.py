"""What the formats share that write boxes of images: names of images and label files, and a folder with the images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundswift.atomic_write import new_folder
from groundswift.errors import GroundswiftError, error_at
from groundswift.images import read_size_wh
from groundswift.storage import local_copy
from groundswift.urls import absolute, file_name, is_url

ImageFiles = Annotated[
    Literal["link", "copy", "none"],
    msgspec.Meta(description="Images of the dataset: links to the files, copies, or none (the original paths are written)."),
]


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
