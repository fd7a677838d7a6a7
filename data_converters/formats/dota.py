"""DOTA (a text file of rotated boxes for each picture) -> detection rows."""

from __future__ import annotations

import os

from groundswift.errors import fault
from groundswift.storage import is_folder
from groundswift.urls import absolute, folder_of, is_web, join, shown
from groundswift.worker_pool import WorkerPool

from ..base import Reading
from ..file_io.box_checks import pictures_of
from ..file_io.label_files import Stems, files_below, text_of
from ..file_io.remote_folders import SUFFIXES, folder_at
from ..issues import Issue, IssueLog
from ..tasks.label_files import (
    UNREADABLE,
    Difficult,
    Label,
    LabelledImage,
    LabelOptions,
    as_xywh,
    bounds,
    classes_of,
    labels_reading,
    number_of,
)

HEAD = ("imagesource:", "gsd:")
SHAPE = "x1 y1 x2 y2 x3 y3 x4 y4 category difficulty"


class DotaOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn DOTA labels into rows: a question for all classes, for one class each, or for those present.

    SOURCE is a folder of label files (NAME.txt) or one that has them in labelTxt/; the pictures are in images/ beside them,
    or in --images, found by NAME (on the web, where nothing is listed, NAME.png). A box is the smallest upright one around
    the four corners of a label. Lines with imagesource and gsd are passed over. Classes are those of --categories, else all
    that the files name, sorted: two splits may then differ. Sizes are read from the pictures, --no-check-images or not.

    A row keeps its image's id as sample_id: its place among the label files, sorted by the names of their pictures, from 1.
    --coco-out writes a COCO file with the same ids. Rows, order and what is left out are as with coco. Objects of difficulty
    1 or more are treated as crowd boxes are, and stand so in --coco-out; --difficult keep makes them objects like all others.
    Counted too: rotated boxes, pictures without a label file (left out), labels that repeat one exactly.

    Faults: a line of another shape, a file that is no text, a box that is empty, not finite or outside its image; a picture
    that is missing, unreadable or there twice with different suffixes.

    \b
    Example:
      groundswift convert dota train/labelTxt --images train/images --out train.jsonl --classes present
    """

    difficult: Difficult = "ignore"

    def read_by(self, pool: WorkerPool, log: IssueLog) -> Reading:
        place = folder_at(self.annotations, "a folder of DOTA labels, or one with labelTxt")
        folder = os.path.join(place.here, "labelTxt")
        folder = folder if os.path.isdir(folder) else place.here
        labels = absolute(place.address_of(folder))
        near = [join(each, "images") for each in (place.address, folder_of(labels))]
        pictures = pictures_of(self.images or next(filter(is_folder, near), place.address), self.annotations, True)
        stems = Stems(pictures.folder, ".png")
        files = sorted(name for name in os.listdir(folder) if name.endswith(".txt"))
        if not files:
            raise fault(shown(labels), "holds no label file", "NAME.txt for each picture")
        met: dict[str, int] = {}
        found = [labelled(folder, name, stems, self.difficult == "ignore", met, log) for name in files]
        names = classes_of(self, sorted(met), met)
        wanted = {each.name for each in found if each is not None}
        for name in () if is_web(pictures.folder) else files_below(pictures.folder, SUFFIXES):
            if name not in wanted:
                log.count("image-unlabelled", name)
        return labels_reading(filter(None, found), names, self, pictures, pool, log, met)


def labelled(folder: str, name: str, stems: Stems, ignore: bool, met: dict[str, int], log: IssueLog) -> LabelledImage | None:
    """The picture of a label file and its labels; new classes go to `met`. None, and a fault is noted, where there are two pictures."""
    picture = stems.name(os.path.splitext(name)[0], name, log)
    if picture is None:
        return None
    text = text_of(os.path.join(folder, name), name)
    if isinstance(text, Issue):
        log.add(text)
        return LabelledImage(picture, [], None, True)
    out = LabelledImage(picture, [])
    for number, line in enumerate(text.split("\n"), 1):
        parts = line.split()
        if not parts or parts[0].lower().startswith(HEAD):
            continue
        place = f"{name}:{number}"
        corners = list(map(number_of, parts[:8]))
        difficulty = parts[9] if len(parts) == 10 else "0"
        if len(parts) not in (9, 10) or None in corners or not (difficulty.isascii() and difficulty.isdigit()):
            log.add(Issue(UNREADABLE, place, repr(line.strip())[:200], SHAPE))
            out.unreadable = True
            continue
        difficult = bool(difficulty.strip("0"))
        ignored = ignore and difficult
        if difficult:
            log.count("difficult-as-crowd" if ignore else "difficult-kept", place)
        xs, ys = corners[::2], corners[1::2]
        if len(set(xs)) != 2 or len(set(ys)) != 2:
            log.count("box-from-rotated", place)
        out.labels.append(Label(place, met.setdefault(parts[8], len(met)), as_xywh(*bounds(xs, ys)), ignored))
    return out
