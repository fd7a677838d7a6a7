"""Images of the page: their order, the columns that its filters and sorts read, and the boxes and texts of a chunk of images."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from groundswift.file_guard import path_inside

from ..evaluated_run import FN, FP, OUTCOMES, TP, UNKNOWN_LABEL, DrawnBox, ImageResult, Number, Run

CHUNK = 32  # images, whose boxes and texts are read together
PREDICTED = 8  # added to the code of an outcome
OUTCOME_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
OUTCOME_BITS = {TP: 1, FN: 2, FP: 4, UNKNOWN_LABEL: 16}  # of a class in an image; others: OTHER
OTHER = 8
FIXED, REGRESSED = 1, 2
LONGEST_TEXT = 20_000  # characters of a response in the page, which one answer of 100 MB would fill
LARGEST_PX = 1e7  # of a coordinate on the page
Flat = list[float | int | None]


class Listed(NamedTuple):
    """The images of the last run in the order of the page, in each run (None where it does not have the image)."""

    images: list[ImageResult]
    by_run: list[list[ImageResult | None]]
    files: list[str]  # each file name once, in the order of the page
    changes: list[int]  # from the first run to the last: FIXED, REGRESSED, both or 0


def key_of(image: ImageResult) -> Hashable:
    """What the results of several runs are joined by: the sample, else the image."""
    return image.image_id if image.sample_id is None else str(image.sample_id)


def tally_of(image: ImageResult) -> dict[str, int]:
    """How many TP, FN and FP an image has."""
    truth, predicted = ([box.outcome for box in boxes] for boxes in (image.truth, image.predicted))
    return {TP: truth.count(TP), FN: truth.count(FN), FP: predicted.count(FP)}


def value_titles(images: Sequence[ImageResult]) -> list[str]:
    """Titles of the values that are numbers in some image."""
    found: dict[str, bool] = {}
    for title, value in chain.from_iterable(image.values.items() for image in images):
        found[title] = found.get(title, False) or is_number(value)
    return [title for title, numeric in found.items() if numeric]


def is_number(value: Any) -> bool:
    """Whether a value of an image is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def measure_of(images: Sequence[ImageResult]) -> str | None:
    """The title of the first value of those without an F1, which tells the worst of them; None where all have an F1, or no value."""
    return next(iter(value_titles([image for image in images if image.f1 is None])), None)


def measured(image: ImageResult, title: str | None, lower_is_better: bool) -> float | None:
    """The F1 of an image or, where it has none, its value under the title; higher is better. None where undefined."""
    if image.f1 is not None:
        return image.f1
    value = image.values.get(title) if title is not None else None
    return (-value if lower_is_better else value) if is_number(value) else None


def is_lower_better(title: str | None, numbers: Sequence[Number]) -> bool:
    """Whether a value is one of the metric's numbers of which lower is better."""
    return any(number.title == title and not number.higher_is_better for number in numbers)


def worst_first(images: Sequence[ImageResult], numbers: Sequence[Number] = ()) -> list[ImageResult]:
    """Lowest F1, or worst first value, first; then most FN and FP, then by id. Images without either come last."""
    title = measure_of(images)
    lower = is_lower_better(title, numbers)

    def order(image: ImageResult) -> tuple[bool, float, int, int, str]:
        value, tally = measured(image, title, lower), tally_of(image)
        return value is None, value or 0, -tally[FN] - tally[FP], image.image_id, str(image.sample_id)

    return sorted(images, key=order)


def listed(runs: Sequence[Run], numbers: Sequence[Number] = ()) -> Listed:
    """The images of the last run, worst first, and the same in every run."""
    images = worst_first(runs[-1].images, numbers)
    tables = [{key_of(image): image for image in run.images} for run in runs]
    by_run = [[table.get(key_of(image)) for image in images] for table in tables]
    title = measure_of(images)
    lower, ends = is_lower_better(title, numbers), zip(by_run[0], by_run[-1], strict=True)
    return Listed(images, by_run, list(dict.fromkeys(each.file_name for each in images)), [changes(*pair, title, lower) for pair in ends])


def changes(first: ImageResult | None, last: ImageResult | None, title: str | None = None, lower_is_better: bool = False) -> int:
    """Whether an image has boxes, or an F1 or first value, that got better from run to run (FIXED), worse (REGRESSED), or both."""
    if first is None or last is None:
        return 0
    found = 0
    if [(box.label, box.box_xyxy_px) for box in first.truth] == [(box.label, box.box_xyxy_px) for box in last.truth]:
        pairs = {(before.outcome, after.outcome) for before, after in zip(first.truth, last.truth, strict=True)}
        found = FIXED * ((FN, TP) in pairs) | REGRESSED * ((TP, FN) in pairs)
    before, after = (measured(image, title, lower_is_better) for image in (first, last))
    if before is not None and after is not None:
        found |= FIXED * (after > before) | REGRESSED * (after < before)
    return found


def path_of(file_name: str, images_dir: Path) -> str | None:
    """The path of an image; None where its name points outside the folder. An absolute name may point inside."""
    folder = os.path.abspath(images_dir)
    return path_inside(folder, os.path.relpath(file_name, folder) if os.path.isabs(file_name) and "\0" not in file_name else file_name)


def hrefs_of(files: Sequence[str], images_dir: Path | None) -> dict[str, str]:
    """File name -> path from the image folder, with slashes, where it is another text than the name; of files inside the folder."""
    found = {}
    for name in files if images_dir is not None else ():
        path = path_of(name, images_dir)
        relative = None if path is None else os.path.relpath(path, os.path.abspath(images_dir)).replace(os.sep, "/")
        if relative is not None and relative != name:
            found[name] = relative
    return found


def class_bits(views: Sequence[ImageResult | None], place_of: dict[str, int]) -> list[int]:
    """Classes of an image, each as 32 times its place plus the bits of its outcomes in the last run."""
    bits: dict[int, int] = {}
    for view in views:
        for box in chain(view.truth, view.predicted) if view is not None else ():
            place = place_of[box.label]
            bits[place] = bits.get(place, 0) | (OUTCOME_BITS.get(box.outcome, OTHER) if view is views[-1] else OTHER)
    return [32 * place + bit for place, bit in bits.items()]


def columns_of(images: Sequence[ImageResult | None], statuses: dict[str, int], titles: Sequence[str]) -> dict[str, list[Any]]:
    """Status, F1, counts and values of a run, image by image; null where the run does not have it."""
    tallies = [None if image is None else tally_of(image) for image in images]
    columns: dict[str, list[Any]] = {
        "status": [None if image is None else statuses.setdefault(image.status, len(statuses)) for image in images],
        "f1": [None if image is None or image.f1 is None else round(image.f1, 4) for image in images],
        "truths": [0 if image is None else len(image.truth) for image in images],
    }
    for name, outcome in (("tp", TP), ("fn", FN), ("fp", FP)):
        columns[name] = [None if tally is None else tally[outcome] for tally in tallies]
    values = [[None if image is None else image.values.get(title) for image in images] for title in titles]
    columns["values"] = [[value if is_number(value) else None for value in column] for column in values]
    return columns


def index_of(shown: Listed, classes: Sequence[str], images_dir: Path | None) -> dict[str, Any]:
    """Columns of all images, as the script of the page reads them."""
    place_of, file_place = {name: i for i, name in enumerate(classes)}, {name: i for i, name in enumerate(shown.files)}
    statuses: dict[str, int] = {}
    titles = value_titles([image for run in shown.by_run for image in run if image is not None])
    return {
        "id": [image.image_id for image in shown.images],
        "sample": [image.sample_id for image in shown.images] if any(image.sample_id is not None for image in shown.images) else None,
        "files": shown.files,
        "hrefs": hrefs_of(shown.files, images_dir),
        "file": [file_place[image.file_name] for image in shown.images],
        "size": [side for image in shown.images for side in image.size_wh],
        "classes": [class_bits(views, place_of) for views in zip(*shown.by_run, strict=True)],
        "change": shown.changes,
        "runs": [columns_of(images, statuses, titles) for images in shown.by_run],
        "values": titles,
        "statuses": list(statuses),
    }


def flat_boxes(boxes: Sequence[DrawnBox], place_of: dict[str, int], added: int) -> Iterator[float | int | None]:
    """Code of the outcome, place of the class, x1, y1, x2, y2 in px, score: for each box, one after the other."""
    for box in boxes:
        yield OUTCOME_CODES[box.outcome] + added
        yield place_of[box.label]
        for value in box.box_xyxy_px:
            yield round(value, 1) if -LARGEST_PX < value < LARGEST_PX else LARGEST_PX * (1 if value > 0 else -1)
        yield None if box.score is None else round(box.score, 4)


def cut(text: str) -> str:
    """A text as the page has it: of a longer one its beginning, and how long it is."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} … ({LONGEST_TEXT:,} / {len(text):,})"


def data_of(image: ImageResult | None, place_of: dict[str, int]) -> dict[str, Any] | None:
    """Boxes and texts of an image in one run."""
    if image is None:
        return None
    found: dict[str, Any] = {"b": [*flat_boxes(image.truth, place_of, 0), *flat_boxes(image.predicted, place_of, PREDICTED)]}
    values = {title: cut(value) if isinstance(value, str) else value for title, value in image.values.items()}
    texts = {"r": cut(image.response), "q": cut(image.question), "a": [cut(text) for text in image.references], "v": values}
    return found | {key: text for key, text in texts.items() if text}


def data_chunk(shown: Listed, number: int, place_of: dict[str, int]) -> list[list[dict[str, Any] | None]]:
    """A chunk of images, each with its data in every run."""
    rows = zip(*(images[number * CHUNK : (number + 1) * CHUNK] for images in shown.by_run), strict=True)
    return [[data_of(image, place_of) for image in row] for row in rows]


def chunk_count(items: Sequence[object]) -> int:
    """Chunks of a list."""
    return -(-len(items) // CHUNK)


def class_names(runs: Sequence[Run], of_boxes: bool = True) -> list[str]:
    """Every class once: those that were evaluated, in their order, then others of curves and boxes.

    `of_boxes`: whether `per_class` is of classes of boxes, and not of groups of questions.
    """
    names = [name for run in runs for name in (run.metrics.get("per_class", {}) if of_boxes else ())]
    names += [curve.label for run in runs for curve in run.curves if curve.label is not None]
    found = dict.fromkeys(names)
    for box in (box for run in runs for image in run.images for box in chain(image.truth, image.predicted)):
        found.setdefault(box.label)
    return list(found)


def operating_points(run: Run) -> dict[str | None, tuple[float | None, float | None]]:
    """(precision, recall) at IoU 0.5 of all predictions, by class and, under None, together; None where undefined."""
    counts: dict[str | None, list[int]] = {None: [0, 0, 0]}
    places = {outcome: place for place, outcome in enumerate((TP, FN, FP))}
    for image in run.images:
        for box in chain(image.truth, (box for box in image.predicted if box.outcome == FP)):
            if box.outcome in places:
                for label in (None, box.label):
                    counts.setdefault(label, [0, 0, 0])[places[box.outcome]] += 1
    return {
        label: (true / (true + false) if true + false else None, true / (true + missed) if true + missed else None)
        for label, (true, missed, false) in counts.items()
    }
