"""What an evaluation leaves behind: `metrics.json`, `test_pred.json` and `run.json`, each whole or not at all."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from groundswift import __version__
from groundswift.coordinates import limits_in_force
from groundswift.errors import fault
from groundswift.family import family_row
from groundswift.spaces import Space, space_row

from .answers.space_check import Explanation
from .answers.to_boxes import Counts, Rules
from .evaluated_run import Run
from .ground_truth import Truth
from .metrics.coco_engines import IOU_THRESHOLDS, detection_limits, engine_version
from .metrics.coco_map import Evaluation
from .metrics.referring import SEVERAL_BOXES, THRESHOLD

SIDES = {"original": "side of the image", "square": "longer side of the image", "resized": "the side of the resized image"}
LVIS = "LVIS detection (bbox)"
FEDERATED_TERMS = {
    "max_detections_are": "of an image, over all classes",
    "classes_not_looked_for": "predictions of classes that an image neither has nor names in neg_category_ids do not count",
    "classes_not_exhaustive": "predictions without a match of classes in not_exhaustive_category_ids do not count",
}
NAMED_LABELS = 50  # unknown labels that metrics.json names, most frequent first
SCORES = {
    "constant": "1.0 for every box",
    "logprob": "exp of the mean log-probability of the tokens of a box and its label",
}


def metrics_document(
    evaluation: Evaluation, counts: dict[str, Any], protocol: dict[str, Any], mismatch: Explanation | None = None
) -> dict[str, Any]:
    """The content of `metrics.json`; `mismatch` becomes one of its `warnings`."""
    warnings = [] if mismatch is None else [mismatch.document()]
    return {**evaluation.summary, "per_class": evaluation.per_class, "counts": counts, "protocol": protocol, "warnings": warnings}


def truth_counts(truth: Truth, left_out: dict[str, int]) -> dict[str, Any]:
    """What there was to find; `left_out` are annotations by reason."""
    crowd = int(truth.is_crowd.sum())
    return {"images": len(truth.image_ids), "truths": len(truth.is_crowd) - crowd, "crowd": crowd, "annotations_left_out": left_out}


def answer_counts(counts: Counts) -> dict[str, Any]:
    """What was met while reading answers: `rows` that could be scored, images by status, oddities, and all that was left out."""
    rows = dict(counts.rows.counts)
    return {
        "rows": counts.read,
        "missing": counts.statuses["missing"],
        "doubled": rows.pop("doubled", 0),
        "unknown": rows.pop("unknown", 0),
        "rows_left_out": rows,
        "statuses": {status: counts.statuses[status] for status in ("ok", "empty", "truncated", "unreadable")},
        "reasons": dict(counts.reasons.most_common()),
        "dropped": dict(counts.dropped.counts),
        "changed": dict(counts.changed.counts),
        "unknown_labels": dict(counts.unknown_labels.most_common(NAMED_LABELS)),
    }


def protocol_of(truth_path: Path, result_path: Path, engine: str, rules: Rules | None, evaluation: Evaluation) -> dict[str, Any]:
    """Everything that the numbers depend on, flat; `rules` is None where a COCO result file was scored as it stands."""
    return {
        "metric": LVIS if evaluation.federated else "COCO detection (bbox)",
        "engine": f"{engine} {engine_version(engine)}",
        "groundswift": __version__,
        **(_reading_terms(rules) if rules is not None else {"predictions": "a COCO result file, scored as it stands"}),
        "iou_thresholds": [round(float(threshold), 2) for threshold in IOU_THRESHOLDS],
        "max_detections": list(detection_limits(evaluation.max_detections, evaluation.federated)),
        "max_detections_of_ap": evaluation.max_detections,
        **(FEDERATED_TERMS if evaluation.federated else {}),
        "tie_order": "equal scores: by image id, then by order in the answer or file",
        "annotation_ids": "not used: an annotation with id 0 is matched like any other",
        "missing_image": "no detection",
        "gt": truth_path.name,
        "gt_sha256": sha256_of(truth_path),
        "result": result_path.name,
        "result_sha256": sha256_of(result_path),
        "date": _now(),
    }


def referring_protocol(result_path: Path, rows_path: Path | None, rules: Rules) -> dict[str, Any]:
    """Everything that the numbers of `eval referring` depend on, flat."""
    reading = _reading_terms(rules)
    truth_path = rows_path or result_path
    return {
        "metric": "referring expressions",
        "groundswift": __version__,
        **{name: reading[name] for name in reading if name not in ("score", "score_is", "label_match", "unknown_label", "duplicates")},
        "iou_threshold": THRESHOLD,
        "iou_rule": "right at this IoU or more",
        "several_boxes": SEVERAL_BOXES,
        "labels": "ignored",
        "parse_failure": "wrong, IoU 0",
        "missing_answer": "wrong, IoU 0",
        "gt": f"boxes of the rows of {truth_path.name}",
        "gt_sha256": sha256_of(truth_path),
        "result": result_path.name,
        "result_sha256": sha256_of(result_path),
        "date": _now(),
    }


def pixels_per_unit(space: Space) -> str:
    """How long one written unit is, in words."""
    if space.units is not None:
        return f"{SIDES[space.side]} over {space.units:g}"
    return "1" if space.side == "original" else f"side of the image over {SIDES[space.side]}"


def _reading_terms(rules: Rules) -> dict[str, Any]:
    row = family_row(rules.family)
    terms = {
        "family": rules.family,
        "grammar": row.grammar,
        "space": rules.space_name,
        "space_declared_by": rules.space_declared_by,
        "pixels_per_unit": pixels_per_unit(space_row(rules.space_name)),
        "rounding": "none: coordinates are placed as written, then cut at the border of the image",
        "score": rules.score,
        "score_is": SCORES[rules.score],
        "label_match": f"{rules.label_match}, after NFC and white space made one blank",
        "parse_failure": "no detection",
        "unknown_label": "no detection, counted",
        "duplicates": "of boxes equal in image, class and place the first is kept",
    }
    if rules.limits is not None:
        limits = limits_in_force(rules.limits, rules.family)
        terms |= {name: getattr(limits, name) for name in limits.__struct_fields__}
        terms["limits_declared_by"] = rules.limits_declared_by
    return terms


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def new_run_id() -> str:
    """A name that no other run has, which all files of one run carry."""
    return secrets.token_hex(8)


def digested(chunks: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    """The same chunks, each added to a digest on its way."""
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def sha256_of(path: Path) -> str:
    """Raises GroundswiftError where the file cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def run_chunks(run: Run) -> Iterator[bytes]:
    """A run as JSON, an image a line, so that a large one is never held twice."""
    encode = msgspec.json.encode
    yield b'{"name":' + encode(run.name) + b',"metrics":' + encode(run.metrics) + b',"curves":' + encode(run.curves) + b',"images":['
    for number, image in enumerate(run.images):
        yield (b",\n" if number else b"\n") + encode(image)
    yield b"\n]}\n"


def pretty_json(value: object) -> bytes:
    """Indented JSON with a newline at its end, for files that people read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def make_folder(path: Path) -> None:
    """Make a folder for output. Raises GroundswiftError where there cannot be one."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fault(path, f"cannot be written ({error.strerror})", "a folder for the output") from None
