"""Label Studio (JSON of tasks) -> detection rows."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from groundswift.coco_lenient import NOT_JSON
from groundswift.urls import is_url
from groundswift.worker_pool import WorkerPool

from ...base import EXAMPLE_IMAGE, Reading, images_option
from ...file_io.remote_folders import SUFFIXES
from ...file_io.row_files import read_rows
from ...file_io.row_images import RowImages
from ...issues import IssueLog, skip
from ...tasks.label_files import LabelOptions, labels_reading
from ...tasks.labelled_image import LabelledImage, not_a_label
from ...tasks.referring import first_existing, path_tails
from ...tasks.row_labels import labelled_rows
from .regions import DRAWN, EXPECTED, SEVERAL, Region, labels_of

UNLABELLED, UNUSED, CANCELLED = "label-studio-unlabelled", "label-studio-unused", "label-studio-cancelled"
HASHED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


class Annotation(msgspec.Struct):
    """What one person, or one model, says about a task."""

    result: list[msgspec.Raw] | None = None
    id: Any = None
    completed_by: Any = None
    model_version: str | None = None
    was_cancelled: bool | None = False
    ground_truth: bool | None = False
    created_at: Any = None


class Task(msgspec.Struct):
    """An element of the export."""

    data: dict[str, Any] | None = None
    id: Any = None
    annotations: list[Annotation] | None = None
    predictions: list[msgspec.Raw] | None = None


class LabelStudioOptions(LabelOptions, frozen=True, kw_only=True):
    """Turn an export of Label Studio ("JSON") into rows: a question for all classes, for one class each, or for those present.

    SOURCE is the JSON list of tasks (JSON-MIN is refused: it does not say what was cancelled). The image of a task is found in
    --images by as much of the path of /data/local-files/?d=PATH, /data/upload/PATH or any URL as is there, an uploaded one also
    without the 8 digits before its name. Without --images a URL (s3://, https://) is used as it is.

    Of several annotations the one marked ground truth is taken, else the newest; --annotator takes only those of one person,
    --use predictions those of a model, the newest. Counted: annotations that are not taken or cancelled, tasks that have none
    (skipped). An annotation without regions is an image without objects.

    A rectangle is used as it is; a rotated one, a polygon, an ellipse and the set pixels of a mask are replaced by their
    axis-aligned bounds (counted). A region with several labels becomes an object for each (counted). Key points do not bound
    an object: they are counted, and their class is treated as if a crowd box covered the whole image, so that no answer says
    that it is absent. Other regions, and those of an image that was rotated in the editor, are problems. Choices and texts are
    dropped and counted.

    A row keeps its image's id as sample_id: its place among the images of the source, sorted by name, from 1 (not the task's
    id). --coco-out writes a COCO file with the same ids. Classes are those of --categories, else all labels, sorted: two
    splits may then differ. Rows, order and what is skipped are as with coco.

    \b
    Example:
      groundswift convert label-studio project-1.json --images media/ --out train.jsonl --coco-out train.json
    """

    name, summary = "label-studio", "Label Studio."
    reads, writes = "Label Studio: JSON of tasks with annotations or predictions", "detection"
    issues = {
        UNLABELLED: "task without an annotation, skipped",
        UNUSED: "annotation of a task of which another one is used",
        CANCELLED: "cancelled annotation, not used",
        SEVERAL: "region with several labels, an object for each",
    }
    EXAMPLE = {
        "project-1.json": [
            {
                "id": 1,
                "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"},
                "annotations": [
                    {
                        "id": 5,
                        "completed_by": 1,
                        "was_cancelled": False,
                        "ground_truth": False,
                        "created_at": "2026-01-02T03:04:05.678Z",
                        "result": [
                            {
                                "id": "r1",
                                "type": "rectanglelabels",
                                "from_name": "label",
                                "to_name": "image",
                                "image_rotation": 0,
                                "original_width": 8,
                                "original_height": 6,
                                "value": {
                                    "x": 12.5,
                                    "y": 16.666666666666664,
                                    "width": 37.5,
                                    "height": 66.66666666666666,
                                    "rotation": 0,
                                    "rectanglelabels": ["cat"],
                                },
                            }
                        ],
                    }
                ],
                "predictions": [],
            }
        ],
        "media/a.jpg": EXAMPLE_IMAGE,
    }

    images: Annotated[str | None, images_option("the folder of SOURCE, for tasks without a URL")] = None
    image_key: Annotated[
        str | None,
        msgspec.Meta(
            description="Key of the image in data.  [default: image, else the only one that names an image]", extra={"metavar": "KEY"}
        ),
    ] = None
    use: Annotated[Literal["annotations", "predictions"], msgspec.Meta(description="What rows are made of.")] = "annotations"
    annotator: Annotated[
        str | None, msgspec.Meta(description="Only annotations of this person: id or e-mail.", extra={"metavar": "ID"})
    ] = None

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        images = self.image_folder(RowImages)
        rows, _ = read_rows(self.annotations, Task)
        met: dict[str, int] = {}
        found = list(labelled_rows(rows, partial(labelled, options=self, images=images, met=met, log=log), log))
        return labels_reading(found, list(met), self, images, pool, log, sorted(met), fractions=True)


def labelled(
    place: str, task: Task, options: LabelStudioOptions, images: RowImages, met: dict[str, int], log: IssueLog
) -> LabelledImage | None:
    """The image of a task with its labels; classes go to `met`. None, logged or counted, where there is none."""
    where = f"{place}: task {task.id}"
    out = LabelledImage("")
    taken = out.attempt(log, chosen, task, options, where, log)
    name = taken and out.attempt(log, image_of, task, options, images, where)
    if not name:
        return None
    out.name = name
    regions = [out.attempt(log, region_of, raw, f"{where}: result {number}") for number, raw in enumerate(taken.result or (), 1)]
    named = {region.id for region in regions if region and region.type == "labels"}
    for number, region in enumerate(regions, 1):
        if region is None or (region.type in DRAWN and region.id in named):
            continue
        if region.has_size():
            out.stated_wh = region.original_width, region.original_height
        out.labels += out.attempt(log, labels_of, region, f"{where}: result {number}", met, log) or ()
    return out


def chosen(task: Task, options: LabelStudioOptions, where: str, log: IssueLog) -> Annotation | None:
    """The annotation or prediction of a task that is used; None, counted, where it has none. Raises SkipSample for JSON-MIN."""
    if task.data is None:
        raise skip("row-malformed", where, "no data, as in JSON-MIN", "the export called JSON")
    if options.use == "predictions":
        usable = [region_of(raw, f"{where}: prediction {number}", Annotation) for number, raw in enumerate(task.predictions or (), 1)]
    elif task.annotations is None:
        raise skip("row-malformed", where, "no annotations", "the export called JSON")
    else:
        usable = [each for each in task.annotations if not each.was_cancelled]
        if cancelled := len(task.annotations) - len(usable):
            log.count(CANCELLED, where, cancelled)
        if options.annotator is not None:
            usable = [each for each in usable if options.annotator in names_of_person(each.completed_by)]
    if not usable:
        log.count(UNLABELLED, where)
        return None
    if len(usable) > 1:
        log.count(UNUSED, where, len(usable) - 1)
    return max(enumerate(usable), key=lambda each: (bool(each[1].ground_truth), str(each[1].created_at or ""), each[0]))[1]


def names_of_person(completed_by: Any) -> list[str]:
    """The id and the e-mail of an annotator, whichever the export has."""
    return [str(completed_by.get(key)) for key in ("id", "email")] if isinstance(completed_by, dict) else [str(completed_by)]


def region_of(raw: msgspec.Raw, where: str, kind: type = Region) -> Any:
    """A result of an annotation. Raises SkipSample where it is none."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except NOT_JSON as error:
        raise not_a_label(where, str(error), EXPECTED if kind is Region else "a prediction with its results") from None


def image_of(task: Task, options: LabelStudioOptions, images: RowImages, where: str) -> str:
    """The name or URL of the image of a task. Raises SkipSample where it has none."""
    texts = {key: value for key, value in task.data.items() if isinstance(value, str) and value.strip()}
    named = [key for key, value in texts.items() if any(suffix in value.lower() for suffix in SUFFIXES)]
    key = options.image_key or ("image" if "image" in texts else named[0] if len(named) == 1 else None)
    if key not in texts:
        raise skip("image-without-name", where, f"data has {', '.join(map(repr, task.data)) or 'nothing'}"[:200], "an image (--image-key)")
    value = texts[key].strip()
    if value.startswith("data:") or (is_url(value) and options.images is None):
        return value
    try:
        return first_existing(images, names_of(value))
    except ValueError as error:  # of urllib
        raise skip("image-name-invalid", where, f"{value[:100]!r}: {error}", "the path or URL of an image") from None


def names_of(value: str) -> list[str]:
    """The names that an image may have in the folder of the images, best first."""
    parts = urlsplit(value)
    asked = parse_qs(parts.query)
    path = next((asked[key][0] for key in ("d", "filepath") if key in asked), None)
    plain = (path or unquote(parts.path if is_url(value) or parts.query else value)).replace("\\", "/")
    tails = path_tails(plain.strip("/"))[::-1]
    return [*tails, HASHED.sub("", tails[-1], count=1), *([] if path or is_url(value) or value == plain else [value.lstrip("/")])]
