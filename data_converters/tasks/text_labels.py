"""What DOTA and KITTI share: a folder with a text file of labels for each image, a line for each label."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from groundswift.errors import error_at
from groundswift.storage import is_folder
from groundswift.urls import absolute, folder_of, is_web, join, shown

from ..file_io.box_checks import ImageFolder
from ..file_io.label_files import Stems, files_below, stem_of
from ..file_io.remote_folders import SUFFIXES, folder_at
from ..issues import IssueLog
from .label_files import LabelOptions
from .labelled_image import Label, LabelledImage, Lines

ReadLine = Callable[[list[str], str, IssueLog], Label | None]


def text_labelled(
    options: LabelOptions, pair: tuple[str, str], suffix: str, read: ReadLine, log: IssueLog, head: Lines = ()
) -> tuple[list[LabelledImage], ImageFolder]:
    """(the images of a source with their labels, the folder of the images). `pair`: the usual folders of labels and images; `suffix`: of
    images on the web; `read` makes the label of the fields of a line, its place and the log, None for a line that has none.

    Images without a file of labels are counted. Raises GroundswiftError where the source has no file of labels.
    """
    name = options.name.upper()
    place = folder_at(options.annotations, f"a folder of {name} labels, or a folder with {pair[0]}")
    folder = os.path.join(place.here, pair[0])
    folder = folder if os.path.isdir(folder) else place.here
    labels = absolute(place.address_of(folder))
    near = [join(each, pair[1]) for each in (place.address, folder_of(labels))]
    images = options.image_folder(default=next(filter(is_folder, near), place.address), needed=True)
    stems = Stems(images.folder, suffix, pair)
    below = list(files_below(folder, {".txt"}))
    files = [name for name in below if pair[0] in name.split("/")] or below
    if not files:
        raise error_at(shown(labels), "no label file", "NAME.txt for each image")
    found = list(filter(None, map(partial(labelled, folder, stems=stems, read=read, log=log, head=head), files)))
    wanted = {each.name for each in found}
    for name in () if is_web(images.folder) else files_below(images.folder, SUFFIXES):
        if name not in wanted:
            log.count("image-unlabelled", name)
    return found, images


def labelled(folder: str, file: str, stems: Stems, read: ReadLine, log: IssueLog, head: Lines = ()) -> LabelledImage | None:
    """The image of a label file with its labels. None, logged, where two images have the file's name."""
    within, name = os.path.split(file)
    image = stems.name(stem_of(name), file, log, within)
    if image is None:
        return None
    out = LabelledImage(image)
    out.add_lines(os.path.join(folder, file), file, read, log, head)
    return out
