"""COCO result files: a list of `{image_id, category_id, bbox, score}`, boxes xywh in original pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from groundswift.box_checks import box_problem
from groundswift.boxes import as_boxes, xywh_to_xyxy
from groundswift.coco_types import CocoResult
from groundswift.errors import GroundswiftError, Tally, error_at

from ..count_ids import tally_lines
from ..ground_truth import OnError, Truth
from ..json_items import list_items
from .counts import Counts
from .space_check import BoxSample, Explanation, explained_by_space
from .to_boxes import Answers, Predictions


class Results(Answers):
    """A result file in place of answers in text: for each image a status and an empty text."""

    def counts_document(self) -> dict[str, Any]:
        return {"predictions_left_out": dict(self.counts.dropped.counts)}

    def lines(self) -> list[str]:
        return [f"predictions: {len(self.predictions.scores)}", *tally_lines("predictions skipped", self.counts.dropped)]


def answers_of_results(path: str | Path, truth: Truth, on_error: OnError = "stop") -> Results:
    """The predictions of a result file. Raises as `read_results`."""
    counts = Counts()
    found = read_results(path, truth, on_error, counts.dropped)
    answered = set(found.image_index.tolist())
    statuses = ["ok" if index in answered else "empty" for index in range(len(truth.image_ids))]
    return Results(found, statuses, [""] * len(statuses), counts, mismatch=mismatch_of(found, truth))


def read_results(path: str | Path, truth: Truth, on_error: OnError = "stop", tally: Tally | None = None) -> Predictions:
    """All predictions of a result file, not clipped, ordered by image id and then as in the file.

    Where the ground truth repeats an object n times, up to n equal predictions are skipped, too, and counted.
    Raises GroundswiftError for another kind of file and, unless `on_error` is `skip`, at a prediction that cannot be scored; with `skip`
    it is counted in `tally`.
    """
    image_index = {image_id: index for index, image_id in enumerate(truth.image_ids)}
    category_index = {category_id: index for index, category_id in enumerate(truth.category_ids)}
    dropped = tally if tally is not None else Tally()
    kept = []
    for number, row in enumerate(_decoded(path)) if on_error == "stop" else _readable(path, dropped):
        problem = _result_problem(row, image_index, category_index)
        if problem is None:
            kept.append(row)
        elif on_error == "stop":
            expected = "image_id and category_id of the ground truth, bbox of 4 numbers, score"
            raise error_at(f"{path}: prediction {number}", problem[1], expected)
        else:
            dropped.add(problem[0], f"prediction {number}")
    kept = _without_copies(kept, truth, image_index, category_index, dropped)
    kept.sort(key=lambda row: image_index[row.image_id])
    return Predictions(
        np.array([image_index[row.image_id] for row in kept], dtype=np.int64),
        np.array([category_index[row.category_id] for row in kept], dtype=np.int64),
        as_boxes([row.bbox for row in kept]),
        np.array([row.score for row in kept], dtype=np.float64),
    )


def _without_copies(
    rows: list[CocoResult], truth: Truth, image_index: dict[int, int], category_index: dict[int, int], dropped: Tally
) -> list[CocoResult]:
    """The predictions, less one for each copy of an object that was skipped in the truth; of equal ones the best scored stay."""
    if not truth.copies:
        return rows
    spare, seen, skipped = truth.copies.copy(), set(), set()
    for number in sorted(range(len(rows)), key=lambda each: -rows[each].score):
        row = rows[number]
        key = image_index[row.image_id], category_index[row.category_id], tuple(row.bbox)
        if key in seen and spare[key] > 0:
            spare[key] -= 1
            skipped.add(number)
            dropped.add("prediction-duplicate", f"prediction {number}")
        seen.add(key)
    return [row for number, row in enumerate(rows) if number not in skipped]


def _decoded(path: str | Path) -> list[CocoResult]:
    expected = "a list of COCO results"
    try:
        text = Path(path).read_bytes()
        return msgspec.json.decode(text, type=list[CocoResult])
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})", expected) from None
    except msgspec.ValidationError as error:
        raise error_at(path, str(error), expected) from None
    except msgspec.DecodeError as error:
        problem = str(error)
    import json

    try:  # Python's own writer leaves NaN and Infinity in JSON: read those, so that the check can name the prediction
        return msgspec.convert(json.loads(text), list[CocoResult])
    except msgspec.ValidationError as error:
        raise error_at(path, str(error), expected) from None
    except (ValueError, RecursionError):
        raise error_at(path, f"not JSON ({problem})", expected) from None


def _readable(path: str | Path, dropped: Tally) -> Iterator[tuple[int, CocoResult]]:
    """The predictions with their index from 0; those of other types are counted. Raises GroundswiftError where the file is not a list."""
    try:
        yield from enumerate(_decoded(path))
    except GroundswiftError:
        try:
            parts = msgspec.json.decode(Path(path).read_bytes(), type=list[msgspec.Raw])
        except (OSError, msgspec.MsgspecError):
            parts = None
        if parts is None:
            raise
        for number, part in enumerate(parts):
            try:
                row = msgspec.json.decode(part, type=CocoResult)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                dropped.add("prediction-invalid", f"prediction {number}")
                continue
            yield number, row


def _result_problem(row: CocoResult, image_index: dict[int, int], category_index: dict[int, int]) -> tuple[str, str] | None:
    """Why a prediction cannot be scored, as an id and a sentence; None where it can."""
    for key in ("image_id", "category_id", "bbox", "score"):
        if getattr(row, key) is None:
            return f"{key.replace('_', '-')}-missing", f"no {key}"
    if row.image_id not in image_index:
        return "image-id-unknown", f"unknown image_id: {row.image_id}"
    if row.category_id not in category_index:
        return "category-id-unknown", f"unknown category_id: {row.category_id}"
    if len(row.bbox) != 4:
        return "box-length", f"box-length: {row.bbox}"
    x, y, width, height = row.bbox
    if problem := box_problem((x, y, x + width, y + height), allowed=("box-empty", "box-outside")):  # those are scored, as FP
        return problem.id, f"{problem.id}: {row.bbox}"
    return None if math.isfinite(row.score) else ("score-not-finite", f"score not finite: {row.score}")


def mismatch_of(predictions: Predictions, truth: Truth) -> Explanation | None:
    """Another space than original pixels, where that would explain why boxes of the right class fit nothing."""
    sizes = truth.sizes_wh[predictions.image_index]
    known = (sizes > 0).all(axis=1)
    boxes = xywh_to_xyxy(predictions.boxes_xywh_px)[known]
    sample = BoxSample(boxes, boxes, sizes[known], predictions.image_index[known])
    return explained_by_space(sample, predictions.category_index[known], truth)


def result_chunks(truth: Truth, predictions: Predictions, rows_at_once: int = 1_000) -> Iterator[bytes]:
    """Predictions as the text of a result file, in pieces; numbers keep all their digits, so that it scores the same again."""
    yield b"["
    yield from list_items(_result_parts(truth, predictions, rows_at_once))
    yield b"\n]\n"


def _result_parts(truth: Truth, predictions: Predictions, rows_at_once: int) -> Iterator[list[CocoResult]]:
    for start in range(0, len(predictions.scores), rows_at_once):
        part = slice(start, start + rows_at_once)
        columns = (
            map(truth.image_ids.__getitem__, predictions.image_index[part].tolist()),
            map(truth.category_ids.__getitem__, predictions.category_index[part].tolist()),
            predictions.boxes_xywh_px[part].tolist(),
            predictions.scores[part].tolist(),
        )
        yield list(map(CocoResult, *columns))
