"""Images of the report: their order, their pixels as a data URI, their boxes and tags in the units of a canvas."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from groundswift.box_drawing import Tag, place_tags
from groundswift.errors import GroundswiftError
from groundswift.file_guard import path_inside
from groundswift.images import open_image

from ..evaluated_run import CROWD, FN, FP, NOT_COUNTED, TP, ImageResult, Run

EMBEDDED_PX = 480  # the longer side of an embedded image, at most
CANVAS = 440  # the longer side of every image on its canvas, so that all tags have one size
LEAST_WH = (200, 120)  # of a canvas, so that tags fit next to a narrow image
LOST = {"unreadable", "truncated", "missing"}
KINDS = {"truth": "ground truth", "predicted": "prediction"}
ORDER = {CROWD: 0, NOT_COUNTED: 0, TP: 1, FN: 2, FP: 2}  # errors are drawn last, on top


class Shape(NamedTuple):
    """A box on the canvas. `kind` is `truth` or `predicted`, `label` the index of its class, `title` its tooltip."""

    kind: str
    outcome: str
    label: int
    title: str
    xywh: tuple[float, float, float, float]
    tag: Tag


class Figure(NamedTuple):
    """An image in one run: its result, how many TP, FN and FP it has by outcome, and its boxes in the order to draw them."""

    image: ImageResult
    tally: dict[str, int]
    shapes: list[Shape]


class ImageRow(NamedTuple):
    """An image of the last run, with a figure for each run or None. `href` is None where the file could not be opened, as `note` says."""

    image: ImageResult
    canvas_wh: tuple[float, float]
    image_xywh: tuple[float, float, float, float]
    href: str | None
    note: str
    enlarged: bool
    figures: list[Figure | None]
    classes: list[int]
    kinds: list[str]


def tally_of(image: ImageResult) -> dict[str, int]:
    """How many TP, FN and FP an image has."""
    truth, predicted = ([box.outcome for box in boxes] for boxes in (image.truth, image.predicted))
    return {TP: truth.count(TP), FN: truth.count(FN), FP: predicted.count(FP)}


def by_f1(images: Sequence[ImageResult]) -> list[ImageResult]:
    """Lowest F1 first, then most FN and FP, then by id."""

    def order(image: ImageResult) -> tuple[float, int, int]:
        tally = tally_of(image)
        return image.f1, -tally[FN] - tally[FP], image.image_id

    return sorted(images, key=order)


def data_uri(image: Image.Image) -> str:
    """A JPEG of at most EMBEDDED_PX a side; a smaller image keeps its pixels."""
    small = image.copy()
    small.thumbnail((EMBEDDED_PX, EMBEDDED_PX), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def path_of(file_name: str, images_dir: Path) -> str | None:
    """The path of an image; None where its name points outside the folder. An absolute name may point inside."""
    folder = os.path.abspath(images_dir)
    return path_inside(folder, os.path.relpath(file_name, folder) if os.path.isabs(file_name) and "\0" not in file_name else file_name)


def embedded(image: ImageResult, images_dir: Path | None) -> tuple[str | None, str]:
    """(data URI or None, a note: why the image is missing, or that its size differs from the ground truth)."""
    if images_dir is None:
        return None, "No image: --images was not given."
    path = path_of(image.file_name, images_dir)
    if path is None:
        return None, "No image: its path is outside the folder of --images."
    try:
        pixels = open_image(path)
    except GroundswiftError as error:
        return None, f"No image: {error}."
    if pixels.size == tuple(image.size_wh) or not all(image.size_wh):
        return data_uri(pixels), ""
    sizes = ["×".join(map(str, size)) for size in (pixels.size, image.size_wh)]
    return data_uri(pixels), f"The file has {sizes[0]} px upright, the annotations say {sizes[1]}: boxes are drawn on the stretched image."


def shapes_of(image: ImageResult, image_xywh: Sequence[float], canvas_wh: tuple[float, float], place_of: dict[str, int]) -> list[Shape]:
    """Boxes of one run on the canvas, in the order to draw them."""
    left, top, width, height = image_xywh
    image_wh = drawn_wh(image)
    scale_x, scale_y = width / image_wh[0], height / image_wh[1]
    boxes = [("truth", box) for box in image.truth] + [("predicted", box) for box in image.predicted]
    boxes.sort(key=lambda pair: ORDER[pair[1].outcome])
    places, texts, titles = [], [], []
    for kind, box in boxes:
        x1, y1, x2, y2 = box.box_xyxy_px
        places.append((left + x1 * scale_x, top + y1 * scale_y, (x2 - x1) * scale_x, (y2 - y1) * scale_y))
        name, score = box.label or "(no label)", "" if box.score is None else f" {box.score:.2f}"
        texts.append((name, " FN" if box.outcome == FN else score))
        corners = ", ".join(f"{value:.1f}" for value in box.box_xyxy_px)
        titles.append(f"{name}{score} ({KINDS[kind]}, {box.outcome.replace('_', ' ')}) [{corners}] px")
    tags = place_tags(places, texts, [kind == "truth" for kind, _ in boxes], canvas_wh)
    return [
        Shape(kind, box.outcome, place_of[box.label], title, place, tag)
        for (kind, box), title, place, tag in zip(boxes, titles, places, tags, strict=True)
    ]


def drawn_wh(image: ImageResult) -> tuple[float, float]:
    """The size that boxes are drawn in: the image's or, where it is unknown, the bounds of all boxes."""
    if min(image.size_wh) > 0:
        return image.size_wh
    corners = [box.box_xyxy_px[2:] for box in image.truth + image.predicted]
    width, height = (max([1, *values]) for values in zip(*corners, strict=True)) if corners else (1, 1)
    return width, height


def canvas_of(size_wh: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float, float, float]]:
    """Canvas (width, height) and the image's x, y, width, height on it, in canvas units."""
    scale = CANVAS / max(size_wh)
    width, height = size_wh[0] * scale, size_wh[1] * scale
    canvas_wh = max(width, LEAST_WH[0]), max(height, LEAST_WH[1])
    return canvas_wh, ((canvas_wh[0] - width) / 2, (canvas_wh[1] - height) / 2, width, height)


def image_rows(runs: Sequence[Run], chosen: Sequence[ImageResult], images_dir: Path | None, classes: Sequence[str]) -> list[ImageRow]:
    """A row for each chosen image of the last run, in their order. Its kinds of error are those of the last run."""
    by_run = [{image.image_id: image for image in run.images} for run in runs]
    place_of = {name: i for i, name in enumerate(classes)}
    rows = []
    for image in chosen:
        canvas_wh, image_xywh = canvas_of(drawn_wh(image))
        figures = [
            view and Figure(view, tally_of(view), shapes_of(view, image_xywh, canvas_wh, place_of))
            for view in (by_id.get(image.image_id) for by_id in by_run)
        ]
        kinds = [kind for kind in (FN, FP) if figures[-1].tally[kind]] + ["lost"] * (image.status in LOST)
        labels = sorted({shape.label for figure in figures if figure for shape in figure.shapes})
        enlarged = max(drawn_wh(image)) * 2 < CANVAS
        rows.append(ImageRow(image, canvas_wh, image_xywh, *embedded(image, images_dir), enlarged, figures, labels, kinds))
    return rows
