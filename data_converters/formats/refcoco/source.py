"""RefCOCO, RefCOCO+ and RefCOCOg as REFER distributes them: refs(PARTITION).p and instances.json -> a row for each sentence.

The file_name of a ref ends in the id of its annotation (COCO_train2014_000000581857_16.jpg). The image's own name is in instances.json,
and so are the boxes (x, y, width, height in px).
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Annotated, Any, Literal

import msgspec

from groundswift.coco_file import CocoAnnotation, CocoImage, read_coco, structural_problems
from groundswift.errors import GroundswiftError, error_at
from groundswift.records import Row
from groundswift.storage import exists, read_bytes
from groundswift.urls import file_name, is_url, join
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading
from ...file_io.box_checks import ImageFolder, fitted_box
from ...file_io.plain_pickle import plain_objects
from ...file_io.row_files import Sourced
from ...issues import Issue, IssueLog, skip
from ...tasks.conversation import RowMaker, all_usable
from ...tasks.referring import Referring, SentenceOptions, first_existing, path_tails

PARTITIONS = ("unc", "google", "umd")
Split = Literal["train", "val", "test", "testA", "testB"]
Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]  # Python cannot write out a number of more than 4300 digits
SHARED = 10  # characters that phrases may have for each byte of their file; Python 3 writes the same text once
FOLDER = "coco/train2014"  # the folder of the images of all three sets, in COCO's own tree


class RefSentence(msgspec.Struct, rename={"id": "sent_id", "text": "sent"}):
    """A phrase in lower case without punctuation, and its id."""

    id: Id
    text: str


class Ref(msgspec.Struct):
    """One object and the phrases that refer to it."""

    ref_id: Id
    ann_id: Id
    image_id: Id
    split: str
    sentences: list[RefSentence]
    file_name: str = ""


RefItem = tuple[Ref, CocoAnnotation | None, CocoImage | None]  # with its annotation and image of instances.json


class RefcocoOptions(SentenceOptions, frozen=True, kw_only=True):
    """Turn RefCOCO, RefCOCO+ or RefCOCOg into rows that ask for the box of a phrase, or for the phrase of a box.

    SOURCE is the folder of one dataset as REFER distributes it, with instances.json and refs(unc).p, refs(google).p or
    refs(umd).p. The images are those of COCO train2014; DIR is their folder, or the one that contains train2014/ or
    coco/train2014/. Nothing in a pickle is ever run: one that holds more than plain data is refused.

    Boxes are x1, y1, x2, y2 in pixels of the upright image. sample_id is DATASET/PARTITION/SPLIT/REF/SENTENCE with the
    source's own ids: refcoco/unc/val/44/141; DATASET is the name of the folder.

    \b
    Partitions:
      unc      refcoco, refcoco+: train, val, testA (people), testB (other things)
      umd      refcocog: train, val, test
      google   refcoco: train, val, test; refcocog: train, val. Objects are divided, not images: the images of val are in
               train too, so its scores flatter a model that was trained on train.

    Dropped or changed, and counted: blank phrases; whitespace within a phrase is normalized; boxes that extend beyond their
    image are clipped.

    \b
    Example:
      groundswift convert refcoco refer/refcoco --split-by unc --split val --images coco/train2014 --out val.jsonl
    """

    name, summary = "refcoco", "RefCOCO, RefCOCO+, RefCOCOg by REFER."
    reads, writes = "RefCOCO, RefCOCO+, RefCOCOg: REFER's pickles and instances.json", "referring (find), describing"
    EXAMPLE = {
        "refer/refcoco/refs(unc).p": [
            {"ref_id": 0, "ann_id": 1001, "image_id": 9, "split": "val", "sentences": [{"sent_id": 0, "sent": "the cat"}]}
        ],
        "refer/refcoco/instances.json": {
            "images": [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "width": 8, "height": 6}],
            "annotations": [{"id": 1001, "image_id": 9, "category_id": 1, "bbox": [1, 1, 3, 4], "area": 12, "iscrowd": 0}],
            "categories": [{"id": 1, "name": "cat"}],
        },
        "coco/train2014/COCO_train2014_000000000009.jpg": EXAMPLE_IMAGE,
    }

    split: Annotated[Split, msgspec.Meta(description="The split to convert.")]
    split_by: Annotated[
        Literal["unc", "google", "umd"] | None,
        msgspec.Meta(description="The partition into splits; needed where SOURCE has several refs(...).p."),
    ] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        images, questions = self.image_folder(), self.questions()
        partition = partition_of(self.annotations, self.split_by)
        items = items_of(self.annotations, pickle_path(self.annotations, partition), self.split)
        name = f"{name_of(self.annotations)}/{partition}/{self.split}"
        make = RefMaker(Referring(self.task, questions, self.sentences, self.seed), images, name)
        return Reading(iter(items), make, len(items), "ref")


class RefMaker(RowMaker, frozen=True):
    """Makes the rows of one ref. `name` begins its sample_id."""

    referring: Referring
    images: ImageFolder
    name: str

    def rows(self, where: str, source: RefItem, log: IssueLog) -> list[Row]:
        ref, annotation, image = source
        if annotation is None:
            raise skip("annotation-unknown", where, f"ann_id {ref.ann_id}", "the id of an annotation of instances.json")
        if image is None:
            raise skip("image-unknown", where, f"image_id {ref.image_id}", "the id of an image of instances.json")
        if annotation.image_id != ref.image_id:
            what = f"image_id {ref.image_id}, but annotation {ref.ann_id} is on image {annotation.image_id}"
            raise skip("annotation-other-image", where, what, "one image")
        if len(annotation.bbox) != 4:
            raise skip("box-length", where, f"bbox {annotation.bbox[:9]}", "x, y, width, height")
        size_wh = (image.width, image.height)
        x, y, width, height = annotation.bbox
        (box,) = all_usable([fitted_box((x, y, x + width, y + height), size_wh, where, log)])
        name = first_existing(self.images, path_tails(f"{FOLDER}/{image.file_name}"))
        (found,) = all_usable([self.images.find(name, where, log, size_wh)])
        return self.referring.rows(f"{self.name}/{ref.ref_id}", ref.sentences, box, found, where, log)


def name_of(source: str) -> str:
    """The name of a dataset: that of its folder."""
    return file_name(source.rstrip("/") if is_url(source) else os.path.realpath(source))


def pickle_path(source: str, partition: str) -> str:
    """The pickle of a partition."""
    return join(source, f"refs({partition}).p")


def partition_of(source: str, wanted: str | None) -> str:
    """The partition `wanted`, or the only one of a folder. Raises GroundswiftError where it is absent, or is one of several."""
    there = [name for name in PARTITIONS if exists(pickle_path(source, name))]
    if wanted in there:
        return wanted
    if wanted is None and len(there) == 1:
        return there[0]
    if there:
        lacking = "" if wanted is None else f", not {wanted}"
        raise error_at(source, f"has the partitions {', '.join(there)}{lacking}", "--split-by with one of them")
    raise error_at(source, "has no refs(unc).p, refs(google).p or refs(umd).p", "the folder of a dataset as REFER distributes it")


def items_of(source: str, path: str, split: str) -> list[Sourced | Issue]:
    """The refs of a split with their annotations and images, and an Issue for each entry that is not a ref, in the file's order.

    Raises GroundswiftError where a file cannot be read, ids of instances.json are ambiguous, or no ref is of that split.
    """
    refs = read_refs(path)
    check_split(refs, path, split)
    instances = join(source, "instances.json")
    coco = read_coco(instances)
    if found := structural_problems(msgspec.structs.replace(coco, categories=[]), instances, sizes=False):
        raise GroundswiftError("\n".join(map(str, found[:10])))
    annotations, images = {row.id: row for row in coco.annotations}, {image.id: image for image in coco.images}
    items: list[Sourced | Issue] = []
    seen: set[int] = set()
    for ref in refs:
        if isinstance(ref, Issue):
            items.append(ref)
        elif ref.split == split:
            where = f"ref {ref.ref_id} ({ref.file_name})"
            if ref.ref_id in seen:
                items.append(Issue("ref-id-repeated", f"{path}: {where}", f"duplicate ref id {ref.ref_id}", "each id once"))
            else:
                items.append(Sourced(where, (ref, annotations.get(ref.ann_id), images.get(ref.image_id))))
            seen.add(ref.ref_id)
    return items


def check_split(refs: list[Ref | Issue], path: str, split: str) -> None:
    """Raise GroundswiftError where no ref is of a split."""
    counts = Counter(ref.split for ref in refs if isinstance(ref, Ref))
    if split in counts:
        return
    there = ", ".join(f"{name} ({count} refs)" for name, count in counts.most_common(20))
    what, unreadable = f"no ref is of split {split}", [str(ref) for ref in refs if isinstance(ref, Issue)]
    if not unreadable:
        raise error_at(path, what, there or "refs that have a split")
    head = error_at(path, what, f"{there or 'refs'}, but {len(unreadable)} cannot be read:")
    raise GroundswiftError("\n".join([str(head), *unreadable[:3]]))


def read_refs(path: str) -> list[Ref | Issue]:
    """The refs of a pickle in its order. Raises GroundswiftError where it cannot be read, or holds anything but plain data."""
    data = read_bytes(path, "a file of REFER, such as refs(unc).p")
    entries = plain_objects(data, path)
    if not isinstance(entries, list):
        raise error_at(path, f"holds a {type(entries).__name__}", "a list of refs")
    check_unfolded(entries, len(data), path)
    return [typed_ref(f"{path}: entry {number}", entry) for number, entry in enumerate(entries, 1)]


def check_unfolded(entries: list[Any], length: int, path: str) -> None:
    """Raise GroundswiftError where refs share sentences or texts, so that they unfold to more than a file of `length` bytes can hold."""
    shared = [entry.get("sentences") for entry in entries if isinstance(entry, dict)]
    shared = [sentences for sentences in shared if isinstance(sentences, list | tuple)]
    count = sum(map(len, shared))
    if count > length:
        raise error_at(path, f"unfolds from {length} bytes to {count} sentences", "sentences that no two refs share")
    texts = (each.get("sent") for sentences in shared for each in sentences if isinstance(each, dict))
    letters = sum(len(text) for text in texts if isinstance(text, str))
    if letters > SHARED * length:
        raise error_at(path, f"unfolds from {length} bytes to phrases of {letters} letters", "phrases that no two sentences share")


def typed_ref(where: str, entry: Any) -> Ref | Issue:
    """An entry of a pickle as a ref, or the Issue that it is malformed."""
    try:
        return msgspec.convert(entry, Ref)
    except msgspec.ValidationError as error:
        return Issue("ref-unreadable", where, f"not a ref: {error}", "a dictionary with ref_id, ann_id, image_id, split and sentences")
