"""COCO's and LVIS's numbers as means of what an engine accumulated, and the same of no order of equal scores (`AP_ties` of `AP`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..answers.to_boxes import Predictions
from ..evaluated_run import Curve, Number
from ..ground_truth import Truth
from ..listed_ap import AREA_RANGES
from ..metric import Evaluation
from ..precision_recall import exact_mean
from ..tied_ap import Tied
from .coco_engines import AR_LIMITS, Accumulated

Place = tuple[str, int | None, str, int | None]  # array, IoU (None: all), area, limit (None: AP's)
SUMMARY: dict[str, Place] = {
    "AP": ("precision", None, "all", None),
    "AP50": ("precision", 0, "all", None),
    "AP75": ("precision", 5, "all", None),
    "APs": ("precision", None, "small", None),
    "APm": ("precision", None, "medium", None),
    "APl": ("precision", None, "large", None),
    "AR1": ("recall", None, "all", 1),
    "AR10": ("recall", None, "all", 10),
    "AR100": ("recall", None, "all", 100),
    "ARs": ("recall", None, "small", None),
    "ARm": ("recall", None, "medium", None),
    "ARl": ("recall", None, "large", None),
}
ENDING = "_ties"  # of the same number in any order
TIES = tuple(name + ENDING for name in SUMMARY)
OF_CLASSES = ("AP", "AP50", "AP75", "AR100")
FREQUENCIES = {"APr": ("r", "rare"), "APc": ("c", "common"), "APf": ("f", "frequent")}
IOU_NAMES = {None: "0.50:0.95", 0: "0.50", 5: "0.75"}
AREAS = {"small": "small, under 32\u00b2 px", "large": "large, over 96\u00b2 px"}
FIXED_TERMS = {
    "plain_numbers": "AP to ARl are pycocotools' numbers: with equal scores they depend on image ids and on the order of boxes",
    "tie_order": "equal scores: by image id, then by order in the answer or file",
    "ties": "numbers in _ties, of no order: equal scores of a class are one point of its precision-recall curve; at the limit those that "
    "fit worst count",
    "annotation_ids": "not used: an annotation with id 0 is matched like any other",
    "missing_image": "no detection",
}


def number_of(key: str) -> Number:
    """A number of SUMMARY as the report shows it."""
    _, threshold, area_range, limit = SUMMARY[key]
    notes = (IOU_NAMES[threshold], AREAS.get(area_range, area_range), limit)
    return Number(key, key, headline=key in OF_CLASSES, notes=notes, rule=key == "AR1")


def with_notes(number: Number, most: int) -> Number:
    """A number of a run with its IoU, area and limit, which is `most` unless it has its own."""
    plain = number.key.removesuffix(ENDING)
    areas = {key: f"all, {name} classes" for key, (_, name) in FREQUENCIES.items()}
    if plain in SUMMARY:
        iou, area, limit = number_of(plain).notes
    else:
        iou, area, limit = IOU_NAMES[0 if plain == "ECE" else None], areas.get(plain, "all"), None
    area = f"{area}, any order" if number.key.endswith(ENDING) else area
    return number._replace(notes=(iou, area, limit or most), higher_is_better=plain != "ECE", rule=number.rule or number.key == "AP_ties")


def places(max_detections: int) -> dict[str, Place]:
    """SUMMARY, and with a limit of its own ARN after AR100."""
    rows = list(SUMMARY.items())
    if max_detections not in AR_LIMITS:
        rows.insert(list(SUMMARY).index("AR100") + 1, (f"AR{max_detections}", ("recall", None, "all", max_detections)))
    return dict(rows)


def plain_numbers(arrays: Accumulated, truth: Truth) -> dict[str, float | None]:
    """pycocotools' numbers; of LVIS also APr, APc and APf. Source: lvis-api `_summarize`."""
    numbers = {name: _value(arrays, *place) for name, place in places(arrays.max_detections).items()}
    return numbers | {key: _value(arrays, *SUMMARY["AP"], classes) for key, classes in _by_frequency(truth).items()}


def numbers_in_any_order(ties: Tied, arrays: Accumulated, truth: Truth) -> dict[str, float | None]:
    """`plain_numbers` whatever the order of equal scores, each with ENDING."""
    numbers = {}
    for name, (array, threshold, area, limit) in places(arrays.max_detections).items():
        at = (area, limit or arrays.max_detections)
        found = ties.ap[area] if array == "precision" else ties.recall.get(at)
        numbers[name + ENDING] = None if found is None else exact_mean(found if threshold is None else found[threshold])
    for name, classes in _by_frequency(truth).items():
        numbers[name + ENDING] = exact_mean(ties.ap["all"][:, classes])
    return numbers


def tie_lines(evaluation: Evaluation) -> list[str]:
    """What the terminal shows of equal scores: why the numbers above depend on ids, and those that do not."""
    counts, most = evaluation.counts, evaluation.protocol["max_detections_of_ap"]
    lines = [
        f"{counts['equal_scores']} of {counts['predictions']} predictions have the score of another one of their class, which "
        "pycocotools takes by image id and order. In any order (numbers in _ties):"
    ]
    for name, (array, threshold, area, limit) in places(most).items():
        value = evaluation.summary[name + ENDING]
        if area == "all" and (array == "precision" or value is not None):
            where = f"IoU={IOU_NAMES[threshold]:<9} | area={area:>6s} | maxDets={limit or most:>3d}"
            lines.append(f" {f'in any order  ({name}{ENDING})':<26} @[ {where} ] = {-1.0 if value is None else value:0.3f}")
    return lines


def _by_frequency(truth: Truth) -> dict[str, NDArray[np.bool_]]:
    """(K,) the rare, common and frequent classes of LVIS; {} otherwise."""
    if truth.federated is None:
        return {}
    return {key: np.array(truth.federated.frequencies) == frequency for key, (frequency, _) in FREQUENCIES.items()}


def _value(
    arrays: Accumulated,
    array: str,
    threshold: int | None,
    area_range: str,
    limit: int | None,
    classes: int | NDArray[np.bool_] | None = None,
) -> float | None:
    """The mean over what is defined. Source: pycocotools `_summarizeDets`."""
    if limit is not None and limit not in arrays.limits:
        return None
    area, at = AREA_RANGES.index(area_range), arrays.limits.index(limit or arrays.max_detections)
    values = arrays.precision[..., area] if array == "precision" else arrays.recall[..., area, at]
    if threshold is not None:
        values = values[threshold : threshold + 1]
    if classes is not None:
        values = values[..., classes]
    if isinstance(classes, int):
        return float(values.mean()) if values.size and values.flat[0] > -1 else None
    sums, at_each = values.sum(axis=tuple(range(values.ndim - 1))), values.size // max(values.shape[-1], 1)
    defined = sums[sums >= 0].tolist()  # a class is defined at all thresholds or at none
    return math.fsum(defined) / (len(defined) * at_each) if defined else None  # rounded once: the order of the classes does not matter


def per_class(arrays: Accumulated, truth: Truth, predictions: Predictions, ties: Tied) -> dict[str, dict[str, float | int | None]]:
    """Numbers by class name, and how many objects (without crowds) and predictions it has."""
    count = len(truth.category_ids)
    truths = np.bincount(truth.category_index[~truth.is_crowd], minlength=count).tolist()
    found = np.bincount(predictions.category_index, minlength=count).tolist()
    out: dict[str, dict[str, float | int | None]] = {}
    for index, name in enumerate(truth.category_names):
        numbers = {key: _value(arrays, *SUMMARY[key], index) for key in OF_CLASSES} | {"AP_ties": exact_mean(ties.ap["all"][:, index])}
        out[name] = {**numbers, "truths": truths[index], "predictions": found[index]}
    return out


def curves(arrays: Accumulated, truth: Truth) -> list[Curve]:
    """Precision at the 101 recalls, of all classes and each; the mean of classes does not depend on their order."""
    precision = arrays.precision[..., AREA_RANGES.index("all")]  # (T, 101, K)
    found = []
    for threshold, iou in IOU_NAMES.items():
        by_class = precision.mean(axis=0) if threshold is None else precision[threshold]  # a class is defined at all thresholds or at none
        defined = np.sort(by_class[:, (by_class > -1).all(axis=0)], axis=1)
        of_all = defined.mean(axis=1) if defined.size else np.full(len(by_class), -1.0)
        columns = [(None, of_all), *zip(truth.category_names, by_class.T, strict=True)]
        found += [Curve(label, iou, np.round(column, 6).tolist()) for label, column in columns]
    return found


def without_ties(document: dict[str, Any]) -> dict[str, Any]:
    """A metrics.json as the report shows it: without equal scores the numbers of no order are the plain ones."""
    if document.get("counts", {}).get("equal_scores", 1):
        return document
    return {key: value for key, value in document.items() if not key.endswith(ENDING)}
