"""ODVG (JSON Lines of Grounding DINO: detection and grounding) -> rows, and swift rows -> ODVG."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from groundswift.coco_lenient import NOT_JSON
from groundswift.errors import error_at
from groundswift.records import Message, Objects, Row, whole
from groundswift.storage import read_text
from groundswift.urls import shown
from groundswift.worker_pool import WorkerPool

from ..base import EXAMPLE_IMAGE, EXAMPLE_ROW, AskingOptions, Reading, Totals, path_option
from ..file_io.box_checks import FoundImage, ImageFolder, fitted_box
from ..file_io.row_files import read_rows
from ..issues import IssueLog, skip
from ..prompts import Asking, filled
from ..rows.collect_boxes import BoxesOptions, collect_boxes
from ..rows.dataset_folder import dataset_folder, file_names
from ..tasks.conversation import RowMaker, all_usable, numbered_id
from ..tasks.label_files import LabelOptions, labels_reading
from ..tasks.labelled_image import Label, LabelledImage, as_xywh, not_a_label, size_of
from ..tasks.referring import Referring, clean_phrase
from ..tasks.row_labels import add_labels, labelled_rows

OTHER = "odvg-other-field"
EXPECTED = "a JSON file of class numbers and names"
Corners = tuple[float, float, float, float]


class Instance(msgspec.Struct):
    """An object of a detection line: x1, y1, x2, y2 in px; the number of its class and, in most files, its name."""

    bbox: Corners
    label: int | str | None = None
    category: str | None = None


class Detection(msgspec.Struct):
    """The objects of an image."""

    instances: list[Instance]


class Region(msgspec.Struct):
    """A phrase of a caption with its boxes; a file may have one box in place of a list."""

    bbox: list[Corners]
    phrase: str | list[str]

    @classmethod
    def of(cls, raw: dict[str, Any], where: str) -> Region:
        """A region as decoded. Raises SkipSample where it is none."""
        box = raw.get("bbox")
        several = isinstance(box, list) and box and isinstance(box[0], list)
        try:
            return msgspec.convert(raw if several else raw | {"bbox": [box]}, Region)
        except msgspec.ValidationError as error:
            raise skip("entry-unreadable", where, str(error), "bbox x1, y1, x2, y2 (or a list of them) and phrase") from None


class Grounding(msgspec.Struct):
    """A caption and its regions."""

    caption: str
    regions: list[dict[str, Any]]


class Line(msgspec.Struct):
    """A line of the file; it has one of the two fields."""

    filename: str
    width: int | None = None
    height: int | None = None
    detection: Detection | None = None
    grounding: Grounding | None = None

    def stated_wh(self) -> tuple[int, int] | None:
        """The size in px; None where it is not stated whole."""
        return size_of(str(self.width), str(self.height))


class OdvgOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn detection lines of ODVG (Grounding DINO, MM-Grounding-DINO) into rows: a question for all classes, for one class each, or for
    those present.

    SOURCE has a line for each image: filename, height, width, detection.instances with bbox (x1, y1, x2, y2 in pixels), label and
    category. With --label-map the label counts, as for these trainers, else category. Classes are those of --categories, else of
    --label-map, else those that the file names, sorted. Lines of grounding are skipped and counted: convert odvg-grounding reads them.

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1. --coco-out
    writes a COCO file with the same ids. Rows, order and what is skipped are as with coco.

    \b
    Example:
      groundswift convert odvg train.jsonl --images images/ --label-map label_map.json --out out.jsonl
    """

    name, summary = "odvg", "ODVG, detection."
    reads, writes = "ODVG of Grounding DINO: lines of detection", "detection"
    issues = {OTHER: "line of grounding among lines of detection, or the other way round, skipped"}
    EXAMPLE = {
        "train.jsonl": [
            {
                "filename": "a.jpg",
                "height": 6,
                "width": 8,
                "detection": {"instances": [{"bbox": [1, 1, 4, 5], "label": 0, "category": "cat"}]},
            }
        ],
        "label_map.json": {"0": "cat", "1": "dog"},
        "images/a.jpg": EXAMPLE_IMAGE,
    }

    label_map: Annotated[str | None, path_option("JSON file: number of a class -> its name.")] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        images, names = self.image_folder(), label_names(self.label_map) if self.label_map else None
        met = {name: rank for rank, name in enumerate(dict.fromkeys((names or {}).values()))}
        rows, _ = read_rows(self.annotations, Line)
        found = list(labelled_rows(rows, partial(labelled, names=names, met=met, log=log), log))
        order = list(met) if names else sorted(met)
        return labels_reading(found, list(met), self, images, pool, log, order)


def label_names(path: str) -> dict[str, str]:
    """Number of a class, as text -> its name. Raises GroundswiftError where the file is another one."""
    try:
        return msgspec.json.decode(read_text(path, EXPECTED), type=dict[str, str])
    except NOT_JSON as error:
        raise error_at(shown(path), str(error), EXPECTED) from None


def labelled(where: str, line: Line, names: dict[str, str] | None, met: dict[str, int], log: IssueLog) -> LabelledImage | None:
    """The image of a line with its labels; classes go to `met`. None, counted, where it has none."""
    if line.detection is None:
        log.count(OTHER, where)
        return None
    image = LabelledImage(line.filename, [], line.stated_wh())
    return add_labels(image, line.detection.instances, f"{where}: instance", partial(label_of, names=names, met=met), log)


def label_of(instance: Instance, where: str, names: dict[str, str] | None, met: dict[str, int]) -> Label:
    """The label of an instance. Raises SkipSample where its class is unknown."""
    name = instance.category if names is None else names.get(str(instance.label))
    if name is None or not name.strip():
        what = f"label {instance.label!r}" + (", no category" if names is None else "")
        raise not_a_label(where, what, "a category, or --label-map" if names is None else "a label of --label-map")
    return Label(where, met.setdefault(name, len(met)), as_xywh(*instance.bbox))


class OdvgGroundingOptions(AskingOptions, frozen=True, kw_only=True):
    """Turn grounding lines of ODVG (Grounding DINO, MM-Grounding-DINO) into rows: phrases of a caption, each with its boxes.

    SOURCE has a line for each caption: filename, height, width, grounding.caption and grounding.regions with phrase and bbox
    (x1, y1, x2, y2 in pixels, or a list of them). Regions of one phrase are joined. tokens_positive is not needed. Lines of
    detection are skipped and counted: convert odvg reads them. sample_id is FILE/LINE, of find FILE/LINE/PHRASE, from 1.

    \b
    Tasks:
      phrase_grounding  the question holds the caption, the answer its phrases, each with its boxes; {sentence} in your own
                        question is replaced by it
      find              a row for each phrase: the question names it, the answer is its boxes

    Boxes that extend beyond their image are clipped and counted. A line with a box that cannot be used is a problem as a whole.

    \b
    Example:
      groundswift convert odvg-grounding flickr_vg.jsonl --images flickr30k-images/ --out train.jsonl
    """

    name, summary = "odvg-grounding", "ODVG, grounding."
    reads, writes = "ODVG of Grounding DINO: lines of grounding", "phrase grounding, referring (find)"
    EXAMPLE = {
        "flickr_vg.jsonl": [
            {
                "filename": "a.jpg",
                "height": 6,
                "width": 8,
                "grounding": {
                    "caption": "A cat and a bird.",
                    "regions": [{"bbox": [1, 1, 4, 5], "phrase": "A cat", "tokens_positive": [[0, 5]]}],
                },
            }
        ],
        "flickr30k-images/a.jpg": EXAMPLE_IMAGE,
    }

    task: Annotated[Literal["phrase_grounding", "find"], msgspec.Meta(description="What is asked and what is answered, see above.")] = (
        "phrase_grounding"
    )

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        if self.task == "phrase_grounding" and self.prompt is not None and "{sentence}" not in self.prompt:
            raise error_at(f"prompt {self.prompt!r}", "does not contain {sentence}", "{sentence} in the place of the caption")
        grounding = self.task == "phrase_grounding"
        questions = self.asking(self.task, ["sentence"] if grounding else [], [] if grounding else ["<ref-object>"])
        rows, total = read_rows(self.annotations, Line)
        return Reading(rows, GroundingMaker(self.task, questions, self.image_folder(), self.annotations), total, "line")


class GroundingMaker(RowMaker, frozen=True):
    """Makes the rows of one line."""

    task: str
    questions: Asking
    images: ImageFolder
    source: str

    def rows(self, where: str, source: Line, log: IssueLog) -> Iterator[Row]:
        if source.grounding is None:
            log.count(OTHER, where)
            return
        image = self.images.find(source.filename, f"{where} ({source.filename})", log, source.stated_wh())
        (image,) = all_usable([image])
        phrases = boxes_by_phrase(source.grounding, image, where, log)
        key = numbered_id(self.source, where)
        if not phrases:
            log.count("sentence-without-boxes", where)
        elif self.task == "find":
            finding = Referring("find", self.questions)
            for number, (phrase, boxes) in enumerate(phrases.items(), 1):
                yield finding.row(f"{key}/{number}", phrase, boxes, image)
        elif caption := clean_phrase(source.grounding.caption, f"{where}: caption", log):
            prompt = self.questions.pick(key)
            answer = "".join("<ref-object>" + "<bbox>" * len(boxes) for boxes in phrases.values())
            messages = [Message("user", f"<image>{filled(prompt.text, {'sentence': caption})}"), Message("assistant", answer)]
            objects = Objects(list(phrases), [box for boxes in phrases.values() for box in boxes])
            yield Row(messages, [image.path], [], objects, key, image.size_wh, prompt.name)


def boxes_by_phrase(grounding: Grounding, image: FoundImage, where: str, log: IssueLog) -> dict[str, list[list[float]]]:
    """Phrase -> its distinct boxes (xyxy in px), in order. Raises SkipSample where one cannot be used."""
    found: dict[str, list[list[float]]] = {}
    for number, raw in enumerate(grounding.regions, 1):
        thing = f"{where}: region {number}"
        region = Region.of(raw, thing)
        text = region.phrase if isinstance(region.phrase, str) else " ".join(region.phrase)
        (phrase,) = all_usable([clean_phrase(text, thing, log)])
        boxes = found.setdefault(phrase, [])
        for box in all_usable([fitted_box(box, image.size_wh, thing, log) for box in region.bbox]):
            placed = list(map(whole, box))
            if placed in boxes:
                log.count("box-repeated-entity", thing)
            else:
                boxes.append(placed)
    return found


class ToOdvgOptions(BoxesOptions, frozen=True, kw_only=True):
    """Turn swift rows into ODVG, as Open-GroundingDino and MM-Grounding-DINO train on it: a new folder.

    It has odvg.jsonl, a line of detection for each image, and label_map.json. filename is relative to DIR, or to the deepest
    folder that holds all images. Rows about one image are merged: a box that several of them name is written once. Classes are
    in the order of --categories, or by first appearance, numbered from 0.

    \b
    Example:
      groundswift convert to-odvg train.jsonl --out odvg/
    """

    name, summary = "to-odvg", "swift rows to ODVG."
    reads, writes = "swift rows", "ODVG of Grounding DINO: lines of detection, and label_map.json"
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW], "a.jpg": EXAMPLE_IMAGE}

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        found = collect_boxes(self, log, progress)
        images = list(found.images.values())
        number_of = {name: number for number, name in enumerate(found.categories)}
        names = file_names([image.path for image in images], self.images)
        if out is not None:
            with dataset_folder(out) as folder, open(folder / "odvg.jsonl", "wb") as file:
                for name, image in zip(names, images, strict=True):
                    boxes = [
                        Instance((whole(x1), whole(y1), whole(x2), whole(y2)), number_of[label], label)
                        for label, x1, y1, x2, y2 in image.boxes.elements()
                    ]
                    width, height = image.size_wh
                    line = {"filename": name, "height": height, "width": width, "detection": {"instances": boxes}}
                    file.write(msgspec.json.encode(line) + b"\n")
                label_map = {str(number): name for name, number in number_of.items()}
                (folder / "label_map.json").write_bytes(msgspec.json.encode(label_map) + b"\n")
        return Totals.of([image.boxes.total() for image in images])
