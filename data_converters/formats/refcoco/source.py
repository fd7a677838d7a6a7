"""RefCOCO, RefCOCO+ and RefCOCOg as REFER distributes them: refs(PARTITION).p and instances.json -> a row for each sentence.

* The file_name of a ref ends in the id of its annotation (COCO_train2014_000000581857_16.jpg); the picture's own name stands in
  instances.json, and so do the boxes (x, y, width, height).
* A partition says how refs were divided into splits. Those of unc and umd divide the images; google divides the objects, so that an
  image of its val or test is in its train too: what is trained on google/train has seen the pictures of google/val.
* In refcoco and refcoco+ testA has people, testB everything else.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from groundswift.coco_file import CocoAnnotation, CocoImage, read_coco, structural_faults
from groundswift.errors import GroundswiftError, fault
from groundswift.records import Row
from groundswift.small_files import read_bytes
from groundswift.storage import exists, file_name, is_url, join

from ...base import Reading
from ...file_io.box_checks import ImageFolder, fitted_box
from ...file_io.plain_pickle import plain_objects
from ...issues import Issue, IssueLog
from ...tasks.referring import Picture, Referring, Sentence, SentenceOptions, first_there, tails

PARTITIONS = ("unc", "google", "umd")
Split = Literal["train", "val", "test", "testA", "testB"]
Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]  # Python cannot write out a number of more than 4300 digits
SHARED = 10  # letters that phrases may have for each byte of their file; Python 3 writes the same text once
FOLDER = "coco/train2014"  # where the pictures of all three sets lie, in COCO's own order of folders


class RefSentence(msgspec.Struct):
    """`sent` is the phrase in small letters without marks."""

    sent_id: Id
    sent: str


class Ref(msgspec.Struct):
    """One object and the phrases that refer to it."""

    ref_id: Id
    ann_id: Id
    image_id: Id
    split: str
    sentences: list[RefSentence]
    file_name: str = ""

    def where(self) -> str:
        return f"ref {self.ref_id} ({self.file_name})"


class RefItem(msgspec.Struct):
    """A ref with what instances.json says of its annotation and image; None where it says nothing."""

    ref: Ref
    annotation: CocoAnnotation | None
    image: CocoImage | None


class RefcocoOptions(SentenceOptions, frozen=True, kw_only=True):
    """Turn RefCOCO, RefCOCO+ or RefCOCOg into rows: a phrase and its box, either of them asked for.

    SOURCE is the folder of one data set as REFER distributes it, with instances.json and refs(unc).p, refs(google).p or
    refs(umd).p. The pictures are those of COCO train2014; DIR is their folder, or the one that holds train2014/ or
    coco/train2014/. Nothing in a pickle is ever run: one that holds more than plain data is refused.

    Boxes are x1, y1, x2, y2 in pixels of the upright picture. sample_id is DATASET/PARTITION/SPLIT/REF/SENTENCE with the
    source's own ids: refcoco/unc/val/44/141; DATASET is the name of the folder.

    \b
    Partitions:
      unc      refcoco, refcoco+: train, val, testA (people), testB (other things)
      umd      refcocog: train, val, test
      google   refcoco: train, val, test; refcocog: train, val. Objects are divided, not images: the pictures of val are
               in train too, so its figures flatter a model that was trained on train.

    Left out or changed, and counted: blank phrases; blanks within a phrase are tidied; boxes that stick out of their image are
    cut at its border.

    Faults: a ref whose annotation or image is unknown, or belong to different images; a box that cannot be used; a phrase
    that holds one of swift's tags or a control character; a picture that is missing, unreadable or of another size; a
    repeated id of a ref.

    \b
    Example:
      groundswift convert refcoco refer/refcoco --split-by unc --split val --images coco/train2014 --out val.jsonl
    """

    split: Annotated[Split, msgspec.Meta(description="The part of the data set.")]
    split_by: Annotated[
        Literal["unc", "google", "umd"] | None,
        msgspec.Meta(description="Whose partition into splits; needed where SOURCE holds several refs(...).p."),
    ] = None

    def read(self, log: IssueLog) -> Reading:
        pictures, questions = self.pictures(), self.questions()
        partition = partition_of(self.annotations, self.split_by)
        path = part(self.annotations, partition)
        items = items_of(self.annotations, path, self.split)
        make = RefMaker(
            referring=Referring(self.task, questions, self.sentences, self.seed),
            pictures=pictures,
            name=f"{name_of(self.annotations)}/{partition}/{self.split}",
        )
        return Reading(iter(items), make, len(items), "ref")


class RefMaker(msgspec.Struct, frozen=True):
    """Makes the rows of one ref. `name` begins its sample_id."""

    referring: Referring
    pictures: ImageFolder
    name: str

    def __call__(self, item: RefItem, log: IssueLog) -> Iterator[Row]:
        ref, annotation, image, thing = item.ref, item.annotation, item.image, item.ref.where()
        if annotation is None:
            log.add(Issue("unknown annotation", thing, f"ann_id {ref.ann_id}", "the id of an annotation of instances.json"))
        elif image is None:
            log.add(Issue("image-unknown", thing, f"image_id {ref.image_id}", "the id of an image of instances.json"))
        elif annotation.image_id != ref.image_id:
            what = f"image_id {ref.image_id}, but annotation {ref.ann_id} is on image {annotation.image_id}"
            log.add(Issue("annotation of another image", thing, what, "one image"))
        elif len(annotation.bbox) != 4:
            log.add(Issue("box-length", thing, f"bbox {annotation.bbox[:9]}", "x, y, width, height"))
        else:
            size_wh = (image.width, image.height)
            x, y, width, height = annotation.bbox
            box = fitted_box((x, y, x + width, y + height), size_wh, thing, log)
            found = box and self.pictures.find(first_there(self.pictures, tails(f"{FOLDER}/{image.file_name}")), thing, log, size_wh)
            if found:
                sentences = [Sentence(each.sent_id, each.sent) for each in ref.sentences]
                yield from self.referring.rows(f"{self.name}/{ref.ref_id}", sentences, box, Picture(found.path, size_wh), thing, log)


def name_of(source: str) -> str:
    """The name of a data set: that of its folder."""
    return file_name(source.rstrip("/") if is_url(source) else os.path.realpath(source))


def part(source: str, partition: str) -> str:
    """The pickle of a partition."""
    return join(source, f"refs({partition}).p")


def partition_of(source: str, wanted: str | None) -> str:
    """The partition `wanted`, or the only one that a folder holds. Raises GroundswiftError where it is not there, or is one of several."""
    there = [name for name in PARTITIONS if exists(part(source, name))]
    if wanted in there:
        return wanted
    if wanted is None and len(there) == 1:
        return there[0]
    if there:
        lacking = "" if wanted is None else f", not {wanted}"
        raise fault(source, f"holds the partitions {', '.join(there)}{lacking}", "--split-by with one of them")
    raise fault(source, "holds no refs(unc).p, refs(google).p or refs(umd).p", "the folder of a data set as REFER distributes it")


def items_of(source: str, path: str, split: str) -> list[RefItem | Issue]:
    """The refs of a split with their annotations and images, and a fault for each entry that is no ref, in the file's order.

    Raises GroundswiftError where a file cannot be read, ids of instances.json are ambiguous, or no ref is of that split.
    """
    refs = read_refs(path)
    counts = Counter(ref.split for ref in refs if isinstance(ref, Ref))
    if split not in counts:
        there = ", ".join(f"{name} ({count} refs)" for name, count in counts.most_common(20))
        what, unreadable = f"no ref is of split {split}", [str(ref) for ref in refs if isinstance(ref, Issue)]
        if not unreadable:
            raise fault(path, what, there or "refs that have a split")
        head = fault(path, what, f"{there or 'refs'}, but {len(unreadable)} cannot be read:")
        raise GroundswiftError("\n".join([str(head), *unreadable[:3]]))
    instances = join(source, "instances.json")
    coco = read_coco(instances)
    if found := structural_faults(msgspec.structs.replace(coco, categories=[]), instances):
        raise GroundswiftError("\n".join(map(str, found[:10])))
    annotations, images = {row.id: row for row in coco.annotations}, {image.id: image for image in coco.images}
    items: list[RefItem | Issue] = []
    seen: set[int] = set()
    for ref in refs:
        if isinstance(ref, Issue):
            items.append(ref)
        elif ref.split == split:
            if ref.ref_id in seen:
                items.append(Issue("ref id repeated", f"{path}: {ref.where()}", "an earlier ref has this id", "each id once"))
            else:
                items.append(RefItem(ref, annotations.get(ref.ann_id), images.get(ref.image_id)))
            seen.add(ref.ref_id)
    return items


def read_refs(path: str) -> list[Ref | Issue]:
    """The refs of a pickle in its order. Raises GroundswiftError where it cannot be read, or holds anything but plain data."""
    data = read_bytes(path, "a file of REFER, such as refs(unc).p")
    entries = plain_objects(data, path)
    if not isinstance(entries, list):
        raise fault(path, f"holds a {type(entries).__name__}", "a list of refs")
    check_unfolded(entries, len(data), path)
    return [typed_ref(f"{path}: entry {number}", entry) for number, entry in enumerate(entries, 1)]


def check_unfolded(entries: list[Any], length: int, path: str) -> None:
    """Raise GroundswiftError where refs share sentences, or these a text, so that more come out than a file of `length` bytes can hold."""
    shared = [entry.get("sentences") for entry in entries if isinstance(entry, dict)]
    shared = [sentences for sentences in shared if isinstance(sentences, list | tuple)]
    count = sum(map(len, shared))
    if count > length:
        raise fault(path, f"unfolds from {length} bytes to {count} sentences", "refs with sentences of their own")
    texts = (each.get("sent") for sentences in shared for each in sentences if isinstance(each, dict))
    letters = sum(len(text) for text in texts if isinstance(text, str))
    if letters > SHARED * length:
        raise fault(path, f"unfolds from {length} bytes to phrases of {letters} letters", "sentences with phrases of their own")


def typed_ref(where: str, entry: Any) -> Ref | Issue:
    """An entry of a pickle as a ref, or the fault that it is none."""
    try:
        return msgspec.convert(entry, Ref)
    except msgspec.ValidationError as error:
        return Issue("ref unreadable", where, f"not a ref: {error}", "a dictionary with ref_id, ann_id, image_id, split and sentences")
