"""The images of a COCO file: their names as paths below the folder of the images, and one id per image."""

from __future__ import annotations

import os

from groundswift.coco_file import ONE_IMAGE, CocoFile, ids_of_one_image, joined_images
from groundswift.coco_lenient import LOST
from groundswift.urls import is_url

from ..file_io.box_checks import ImageFolder
from ..issues import Issue, IssueLog
from .annotation_table import CocoColumns


def with_plain_names(coco: CocoFile | CocoColumns, folder: ImageFolder, log: IssueLog) -> CocoFile | CocoColumns:
    """The file with file names relative to `folder`, and one id per image: the objects of a later id move to the first.

    An image under two ids is a problem; with skip its ids are joined, as two rows would contradict each other.
    """
    for image in coco.images:
        if "\\" in image.file_name:
            log.count("file-name-backslashes", image.file_name)
            image.file_name = image.file_name.replace("\\", "/")
        if image.file_name[:1] in ("/", "."):
            image.file_name = below(folder.folder, image.file_name)
        elif image.neg_category_ids is not None and "/" in image.file_name:
            image.file_name = without_split(folder, image.file_name)
    first_ids = ids_of_one_image(coco.images)
    return joined(coco, first_ids, log) if first_ids else coco


def below(folder: str, name: str) -> str:
    """An absolute path inside a local folder as a name in it; other names without needless dots."""
    if not name.startswith("/"):
        return os.path.normpath(name)
    if is_url(folder):
        return name
    path = os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
    root = os.path.realpath(folder).rstrip("/") + "/"
    return path[len(root) :] if path.startswith(root) else name


def without_split(folder: ImageFolder, name: str) -> str:
    """The name of an image of LVIS, as val2017/7.jpg, without its first folder if the image is found only so."""
    if not folder.check or is_url(folder.folder) or os.path.exists(os.path.join(folder.folder, name)):
        return name
    rest = name.partition("/")[2]
    return rest if os.path.isfile(os.path.join(folder.folder, rest)) and ".." not in rest else name


def joined(coco: CocoFile | CocoColumns, first_ids: dict[int, int], log: IssueLog) -> CocoFile:
    """The file with the objects of later ids moved to the first id; each later id is logged. Images whose size differs are skipped."""
    by_id = {image.id: image for image in coco.images}
    for number, first in first_ids.items():
        what, expected = f"image {first} has the same file_name", "one id per image (skip joins their objects)"
        log.add(Issue(ONE_IMAGE, f"image {number} ({by_id[number].file_name})", what, expected))
    rows = coco.annotations
    found = joined_images(CocoFile(coco.images, rows, coco.categories), first_ids)
    if lost := len(rows) - len(found.annotations):
        log.count(LOST, "image with the same name and another size", lost)
    return found
