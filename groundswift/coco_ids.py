"""Ids of a COCO file that mean one thing twice: root classes, annotations of one id, images under two ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from .coco_file import ONE_IMAGE, SAME_ID, CocoAnnotation, CocoFile, empty_roots, ids_of_one_image, joined_images
from .errors import GroundswiftError, Tally, error_at

OnError = Literal["stop", "skip"]
SHOWN = 5  # problems that an error lists before it gives their count


def without_roots(coco: CocoFile) -> CocoFile:
    """The file without a root class that has the name of another one, as Roboflow's exports may have it."""
    names = Counter(each.name for each in coco.categories)
    if not any(count > 1 for count in names.values()):
        return coco
    roots = {each.id for each in empty_roots(coco.categories, {row.category_id for row in coco.annotations}) if names[each.name] > 1}
    return CocoFile(coco.images, coco.annotations, [each for each in coco.categories if each.id not in roots])


def first_of_each_id(annotations: Iterable[CocoAnnotation], tally: Tally) -> Iterator[CocoAnnotation]:
    """The annotations but those with the id of an earlier one, as the converter skips them."""
    seen: set[int] = set()
    for row in annotations:
        if row.id is not None and row.id in seen:
            tally.add(SAME_ID, f"annotation {row.id} on image {row.image_id}")
            continue
        seen.add(row.id)
        yield row


def one_id_an_image(coco: CocoFile, path: str | Path, on_error: OnError, tally: Tally) -> CocoFile:
    """The file with one id for each image, as the converter makes rows of it. Raises GroundswiftError unless `on_error` is skip."""
    first_ids = ids_of_one_image(coco.images)
    what = "are one image by their file_name"
    if on_error == "stop":
        expected = "one id for each image, or --on-error skip, which joins their objects"
        stop_at([error_at(path, f"image ids {first} and {number} {what}", expected) for number, first in first_ids.items()])
    for number, first in first_ids.items():
        tally.add(ONE_IMAGE, f"image ids {first} and {number}")
    return joined_images(coco, first_ids) if first_ids else coco


def stop_at(problems: list[GroundswiftError]) -> None:
    """Raises GroundswiftError where there are problems; of many, the first ones."""
    if not problems:
        return
    shown = "\n  ".join(str(one) for one in problems[:SHOWN])
    if len(problems) == 1:
        raise problems[0]
    raise GroundswiftError(f"{len(problems)} problems in the ground truth:\n  {shown}" + ("\n  ..." if len(problems) > SHOWN else ""))
