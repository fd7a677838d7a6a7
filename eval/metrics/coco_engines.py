"""COCO matching and accumulation: our own, or a library's as a reference, hotcoco or pycocotools. All give the same two arrays."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from groundswift import __version__
from groundswift.background import Background
from groundswift.errors import GroundswiftError

from ..answers.to_boxes import Predictions
from ..box_matching import IOU_THRESHOLDS, coco_evaluation, default_limit
from ..close_pairs import Pairs
from ..ground_truth import Truth
from ..listed_ap import AREA_RANGES, accumulate_listed, match_listed, near_pairs
from .engine_memory import check_memory, needed_bytes, own_bytes

Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]  # precision and recall, (T, 101, K, A, M) and (T, K, A, M)
OWN = "groundswift"
WITH_LVIS_RULES = {OWN, "hotcoco"}
AR_LIMITS = (1, 10, 100)  # of AR1, AR10 and AR100
BOXES_AT_ONCE = 250_000
COLUMNS = ("image_index", "category_index", "boxes_xywh_px", "areas_px2", "is_crowd")  # of the boxes of a truth


@dataclass(frozen=True)
class Accumulated:
    """T thresholds, 101 recalls, K classes in the truth's order, A area ranges, M detection limits; -1 where there is nothing to find.

    `limits` are the M limits, upwards: those of AR1, AR10 and AR100 (LVIS has none of these), and `max_detections`, that of precision, AP
    and AR by area.
    """

    precision: NDArray[np.float64]  # (T, 101, K, A)
    recall: NDArray[np.float64]  # (T, K, A, M)
    limits: tuple[int, ...]
    max_detections: int


def check_engine(engine: str) -> None:
    """Raises GroundswiftError for an unknown engine or one that is not installed."""
    if engine not in (OWN, *LIBRARIES):
        raise GroundswiftError(f"unknown engine {engine!r}; expected one of {', '.join((OWN, *LIBRARIES))}")
    if find_spec(engine) is None:
        raise GroundswiftError(f"engine {engine} is not installed; install it with: pip install 'groundswift[reference]'")


def engine_version(engine: str) -> str:
    """The installed version of an engine."""
    if engine == OWN:
        return __version__
    if engine == "hotcoco":  # its metadata takes as long to read as a small set to score
        import hotcoco

        return hotcoco.__version__
    from importlib.metadata import version

    return version(engine)


def limits_of(truth: Truth, max_detections: int | None) -> tuple[tuple[int, ...], int]:
    """The `limits` and `max_detections` of `Accumulated`."""
    most = max_detections or default_limit(truth)
    return ((most,) if truth.federated is not None else tuple(sorted({*AR_LIMITS, most}))), most


def accumulate(truth: Truth, predictions: Predictions, engine: str = OWN, max_detections: int | None = None) -> Accumulated:
    """Match and accumulate, by the rules of LVIS where the truth is federated. Raises as `accumulating`."""
    return accumulating(truth, predictions, engine, max_detections).result()


def accumulating(
    truth: Truth,
    predictions: Predictions,
    engine: str = OWN,
    max_detections: int | None = None,
    near: Pairs | None = None,
) -> Background[Accumulated]:
    """`accumulate`, in the background. `near`: `near_pairs`, where they are known.

    Raises GroundswiftError for an engine that is unknown, not installed or without these rules, and where memory does not suffice.
    """
    check_engine(engine)
    limits, most = limits_of(truth, max_detections)
    if truth.federated is not None and engine not in WITH_LVIS_RULES:
        raise GroundswiftError(f"engine {engine} does not have the rules of LVIS, and the ground truth is federated; use --engine {OWN}")
    shape = (len(IOU_THRESHOLDS), 101, len(truth.category_ids), len(AREA_RANGES))
    if not truth.category_ids or not truth.image_ids:
        return Background(lambda: Accumulated(np.full(shape, -1.0), np.full((shape[0], *shape[2:], len(limits)), -1.0), limits, most))
    if engine == OWN:
        near = near_pairs(truth, predictions) if near is None else near
        check_memory(own_bytes(math.prod(shape), near), truth, predictions)
        return Background(lambda: Accumulated(*_by_ourselves(truth, predictions, near, limits, most), limits, most))
    parts = list(class_slices(truth, predictions)) if engine == "hotcoco" else [slice(None)]
    check_memory(needed_bytes(truth, predictions, engine, math.prod(shape) * len(limits), parts), truth, predictions)
    return Background(lambda: Accumulated(*_by_library(truth, predictions, engine, limits, most), limits, most))


def _by_ourselves(truth: Truth, predictions: Predictions, near: Pairs, limits: tuple[int, ...], most: int) -> Arrays:
    return accumulate_listed(truth, predictions, match_listed(truth, predictions, limits[-1], near), limits, most)


def _by_library(truth: Truth, predictions: Predictions, engine: str, limits: tuple[int, ...], most: int) -> Arrays:
    precision, recall = LIBRARIES[engine](truth, predictions, limits)
    return precision[..., limits.index(most)], recall


def _with_hotcoco(truth: Truth, predictions: Predictions, limits: tuple[int, ...]) -> Arrays:
    found = []
    for part in parts_by_class(truth, predictions):
        evaluation = coco_evaluation(*part, limits)
        evaluation.evaluate()
        evaluation.accumulate()
        found.append((evaluation.eval["precision"], evaluation.eval["recall"]))
    return found[0] if len(found) == 1 else tuple(np.concatenate(each, axis=-3) for each in zip(*found, strict=True))


def class_slices(truth: Truth, predictions: Predictions) -> Iterator[slice]:
    """Classes that are scored together: no class depends on another, but in LVIS' limit of an image.

    hotcoco holds 300 bytes for each box, so that many boxes at once would be most of the memory of an evaluation.
    """
    ends = np.cumsum(sum(np.bincount(each.category_index, minlength=len(truth.category_ids)) for each in (truth, predictions)))
    if truth.federated is not None or ends[-1] <= BOXES_AT_ONCE:
        yield slice(0, len(ends))
        return
    edges = [*np.flatnonzero(np.diff((ends - 1) // BOXES_AT_ONCE, prepend=-1)).tolist(), len(ends)]
    yield from (slice(first, end) for first, end in pairwise([0, *(edge for edge in edges if edge)]))


def parts_by_class(truth: Truth, predictions: Predictions) -> Iterator[tuple[Truth, Predictions]]:
    """Truth and predictions of some classes after the other, with all images."""
    for part in class_slices(truth, predictions):
        if part == slice(0, len(truth.category_ids)):
            yield truth, predictions
            return
        objects, found = ((part.start <= each.category_index) & (each.category_index < part.stop) for each in (truth, predictions))
        columns = {name: getattr(truth, name)[objects] for name in COLUMNS}
        of_part = Predictions(*(getattr(predictions, each.name)[found] for each in fields(predictions)))
        columns["category_index"] -= part.start
        names = {"category_ids": truth.category_ids[part], "category_names": truth.category_names[part]}
        yield replace(truth, **names, **columns), replace(of_part, category_index=of_part.category_index - part.start)


def _with_pycocotools(truth: Truth, predictions: Predictions, limits: tuple[int, ...]) -> Arrays:
    """The same data as dicts. `loadRes` fails on no results at all, so the results' index is made as it makes it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def indexed(annotations: list[dict]) -> COCO:
        coco = COCO()
        coco.dataset = {
            "images": [{"id": number} for number in range(1, len(truth.image_ids) + 1)],
            "categories": [{"id": number} for number in range(1, len(truth.category_ids) + 1)],
            "annotations": annotations,
        }
        coco.createIndex()
        return coco

    truths = zip(truth.image_index, truth.category_index, truth.boxes_xywh_px, truth.areas_px2, truth.is_crowd, strict=True)
    results = zip(predictions.image_index, predictions.category_index, predictions.boxes_xywh_px, predictions.scores, strict=True)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress where our results go
        evaluation = COCOeval(
            indexed([_annotation(k, i, c, box, area=area, iscrowd=int(crowd)) for k, (i, c, box, area, crowd) in enumerate(truths, 1)]),
            indexed(
                [_annotation(k, i, c, box, area=box[2] * box[3], iscrowd=0, score=score) for k, (i, c, box, score) in enumerate(results, 1)]
            ),
            "bbox",
        )
        evaluation.params.maxDets = list(limits)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


def _annotation(number: int, image_index: int, category_index: int, box_xywh: NDArray[np.float64], **more: object) -> dict:
    return {"id": number, "image_id": int(image_index) + 1, "category_id": int(category_index) + 1, "bbox": box_xywh.tolist(), **more}


LIBRARIES: dict[str, Callable[[Truth, Predictions, tuple[int, ...]], Arrays]] = {"hotcoco": _with_hotcoco, "pycocotools": _with_pycocotools}
