"""Swift rows -> tasks that Label Studio imports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import msgspec

from groundswift.urls import is_url

from ...base import EXAMPLE_IMAGE, EXAMPLE_ROW, Totals
from ...issues import IssueLog
from ...rows.collect_boxes import BoxesOptions, ImageBoxes, collect_boxes
from ...rows.dataset_folder import dataset_folder, file_names


class ToLabelStudioOptions(BoxesOptions, frozen=True, kw_only=True):
    """Turn swift rows into tasks that Label Studio imports, with the boxes as pre-annotations: a new folder.

    It has tasks.json, and label_config.xml, the labelling interface of the project. An image is named by --image-url and its path
    from the folder of --images, or from the deepest folder that holds all images. The default is that of local storage: start
    Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to that
    folder, and add it to the project as a local storage. An image that is a URL keeps it. Rows about one image are merged: a box
    that several of them name is written once.

    \b
    Example:
      groundswift convert to-label-studio train.jsonl --images images/ --out label-studio/
    """

    name, summary = "to-label-studio", "swift rows to tasks of Label Studio."
    reads, writes = "swift rows", "Label Studio: tasks with pre-annotations, and their label_config.xml"
    EXAMPLE = {"train.jsonl": [EXAMPLE_ROW], "images/a.jpg": EXAMPLE_IMAGE}

    form: Annotated[
        Literal["predictions", "annotations"], msgspec.Meta(description="Boxes as pre-annotations to review, or as finished annotations.")
    ] = "predictions"
    image_url: Annotated[str, msgspec.Meta(description="What is put before the path of each image.", extra={"metavar": "URL"})] = (
        "/data/local-files/?d="
    )

    def write(self, out: Path | None, log: IssueLog, progress: bool) -> Totals:
        found = collect_boxes(self, log, progress)
        images = list(found.images.values())
        local = [image.path for image in images if not is_url(image.path)]
        url_of = {path: self.image_url + quote(name) for path, name in zip(local, file_names(local, self.images), strict=True)}
        if out is not None:
            tasks = [task_of(number, image, url_of.get(image.path, image.path), self.form) for number, image in enumerate(images, 1)]
            with dataset_folder(out) as folder:
                (folder / "tasks.json").write_bytes(msgspec.json.encode(tasks) + b"\n")
                (folder / "label_config.xml").write_text(config_of(found.categories), encoding="utf-8")
        return Totals.of([image.boxes.total() for image in images])


def task_of(number: int, image: ImageBoxes, url: str, form: str) -> dict[str, Any]:
    """The task of an image. Ids of regions are unique among all tasks."""
    width, height = image.size_wh
    regions = []
    for place, (label, x1, y1, x2, y2) in enumerate(image.boxes.elements(), 1):
        numbers = {"x": x1 / width, "y": y1 / height, "width": (x2 - x1) / width, "height": (y2 - y1) / height}
        value = {key: 100 * fraction for key, fraction in numbers.items()} | {"rotation": 0, "rectanglelabels": [label]}
        regions.append(
            {
                "id": f"{number}-{place}",
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "image_rotation": 0,
                "original_width": width,
                "original_height": height,
                "value": value,
            }
        )
    said = {"result": regions} | ({"model_version": "groundswift"} if form == "predictions" else {})
    return {"data": {"image": url}, form: [said]}


def config_of(names: Iterable[str]) -> str:
    """The labelling interface that has the classes."""
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in names)
    image = '  <Image name="image" value="$image"/>\n'
    return f'<View>\n{image}  <RectangleLabels name="label" toName="image">\n{labels}  </RectangleLabels>\n</View>\n'
