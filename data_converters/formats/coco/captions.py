"""COCO captions -> rows: an image and what it shows, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from groundswift.coco_file import repeated
from groundswift.coco_lenient import Elements, readable
from groundswift.errors import error_at
from groundswift.records import Message, Row, has_lone_surrogate, swift_tag_in
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, AskingOptions, Reading
from ...file_io.box_checks import ImageFolder
from ...file_io.mmap_json import read_mapped
from ...issues import Issue, IssueLog
from ...prompts import Asking
from ...tasks.referring import Sentences, chosen

EXPECTED = "COCO captions: images and annotations with image_id and caption"
BREAKS = re.compile(r"\s*[\n\r\v\f\x85\u2028\u2029]\s*")  # a line break and the blanks around it
SHOWN = 10  # duplicate ids that an error names


class CaptionedImage(msgspec.Struct):
    """An image; width and height in px of the upright image, where the file states them."""

    id: int
    file_name: str
    width: int | None = None
    height: int | None = None


class Caption(msgspec.Struct, gc=False):
    """One person's sentence about an image."""

    id: int
    image_id: int
    caption: str


class Captioned(msgspec.Struct):
    """An image and its captions, in the file's order."""

    image: CaptionedImage
    captions: list[Caption]


class CocoCaptionsOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn a COCO caption file (captions_train2017.json) into rows: what an image shows, in one sentence.

    A row's sample_id is IMAGE/CAPTION, by their ids. Rows come in the order of the images, captions of one image in the order
    of the file. White space at the ends of a caption is removed, a line break within becomes one blank (counted). Images
    without a caption are counted and get no row. Duplicate image ids always stop.

    \b
    Example:
      groundswift convert coco-captions captions_train2017.json --images train2017/ --out captions.jsonl --captions sampled
    """

    name, summary = "coco-captions", "COCO captions."
    reads, writes = "COCO captions, one JSON file", "captions"
    EXAMPLE = {
        "captions_train2017.json": {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
            "annotations": [{"id": 1, "image_id": 1, "caption": "A cat."}],
        },
        "train2017/a.jpg": EXAMPLE_IMAGE,
    }

    captions: Annotated[
        Sentences,
        msgspec.Meta(description="Captions of an image: a row for each, for the first, or for one sampled."),
    ] = "all"

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        content = read_mapped(self.annotations, Elements, EXPECTED)

        def report(*parts: str) -> None:
            log.add(Issue(*parts))

        images, _ = readable(content.images, CaptionedImage, self.annotations, "image", "id and file_name", report)
        captions, _ = readable(content.annotations, Caption, self.annotations, "caption", "id, image_id and caption", report)
        if twice := repeated(image.id for image in images):
            raise error_at(self.annotations, f"duplicate image id {', '.join(map(str, twice[:SHOWN]))}")
        items = captions_by_image(images, captions, log)
        make = CaptionMaker(self.asking("caption"), self.image_folder(), self.captions, self.seed)
        return Reading(items, make, len(items), "image")


def captions_by_image(images: Sequence[CaptionedImage], captions: Sequence[Caption], log: IssueLog) -> list[Captioned]:
    """The images in the file's order, each with its captions; captions of unknown images and duplicate ids are logged."""
    by_id = {image.id: Captioned(image, []) for image in images}
    seen: set[int] = set()
    for row in captions:
        image = by_id.get(row.image_id)
        if image is None:
            log.add(Issue("image-unknown", f"caption {row.id}", f"image_id {row.image_id}", "the id of an image of the file"))
        elif row.id in seen:
            thing = f"caption {row.id} of image {row.image_id}"
            log.add(Issue("caption-id-repeated", thing, "an earlier caption has this id", "each id once"))
        else:
            seen.add(row.id)
            image.captions.append(row)
    return list(by_id.values())


class CaptionMaker(msgspec.Struct, frozen=True):
    """Makes the rows of one image."""

    questions: Asking
    folder: ImageFolder
    captions: Sentences
    seed: int

    def __call__(self, item: Captioned, log: IssueLog) -> Iterator[Row]:
        image = item.image
        if not item.captions:
            log.count("image-without-caption", image.file_name)
            return
        stated_wh = (image.width, image.height) if image.width and image.height else None
        thing = f"image {image.id} ({image.file_name})"
        if has_lone_surrogate(image.file_name):
            log.add(Issue("name-not-utf8", f"image {image.id}", f"file_name {ascii(image.file_name)}", "Unicode text"))
            return
        found = self.folder.find(image.file_name, thing, log, stated_wh)
        if found is None and log.skipping:
            log.count("caption-image-skipped", image.file_name, len(item.captions))
            return
        texts = [(row, text) for row in item.captions if (text := self.text(row, log)) is not None]
        for row, text in chosen(texts, self.captions, self.seed, image.id) if found else ():
            sample_id = f"{image.id}/{row.id}"
            prompt = self.questions.pick(sample_id)
            messages = [Message("user", f"<image>{prompt.text}"), Message("assistant", text)]
            yield Row(messages, [found.path], sample_id=sample_id, size_wh=found.size_wh, prompt=prompt.name)

    def text(self, row: Caption, log: IssueLog) -> str | None:
        """A caption on one line, without blanks at its ends; None, logged, where it cannot be an answer."""
        thing = f"caption {row.id} of image {row.image_id}"
        text = BREAKS.sub(" ", row.caption.strip())
        if not text:
            log.add(Issue("caption-empty", thing, repr(row.caption)[:200], "a sentence"))
        elif tag := swift_tag_in(text):
            log.add(Issue("caption-tag", thing, f"holds {tag}, which swift would replace", "text without swift's tags"))
        elif has_lone_surrogate(text):
            log.add(Issue("caption-lone-surrogate", thing, "a lone surrogate", "Unicode text"))
        else:
            if text != row.caption:
                log.count("caption-whitespace", thing)
            return text
        return None
