"""Check of an evaluated run in a folder: types of all values, and that all files belong to the same run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from groundswift.errors import GroundswiftError, error_at

from .artifacts import sha256_of
from .evaluated_run import Run
from .metric import NO_NUMBERS

WRITTEN_BY_US = "a folder that `groundswift eval METRIC --out` wrote"
LONGEST = 200  # characters of a message
HEAD_OF_A_REPORT = 4096  # bytes, which hold its id
OLD_OUTCOMES = {b"hit": b"true_positive", b"miss": b"false_negative", b"false_alarm": b"false_positive"}
OLD_OUTCOME = re.compile(rb'"verdict":\s*"(\w+)"')  # in a run.json of version 0.1
REPORT_ID = re.compile(rb'<meta name="groundswift-run" content="([^"]*)">|<!-- groundswift-run ([^ ]*) -->')
Value = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
Term = str | bool | Value | None


class Metrics(msgspec.Struct):
    """What the report and the comparison read of `metrics.json`, checked; all other keys are numbers."""

    per_class: dict[str, dict[str, Value | None]] = {}
    intervals: dict[str, tuple[Value, Value]] = {}
    counts: dict[str, Any] = {}
    protocol: dict[str, Term | list[Term]] = {}
    warnings: list[dict[str, Any]] = []
    run: dict[str, str] = {}


def read_run(folder: Path, name: str | None = None) -> Run:
    """The run in a folder, under a new name. Raises GroundswiftError where a file is missing or broken, or files are of different runs."""
    path = folder / "run.json"
    run = _decoded(path, Run)
    run.name = run.name if name is None else name
    check_metrics(run.metrics, path)
    for image in run.images:
        if not all(box.box_xyxy_px[0] <= box.box_xyxy_px[2] and box.box_xyxy_px[1] <= box.box_xyxy_px[3] for box in image.truth):
            raise error_at(path, f"image {image.image_id}: a ground-truth box is inverted", WRITTEN_BY_US)
    if _decoded(folder / "metrics.json", dict[str, Any]) != run.metrics:
        raise _mixed(folder, "metrics.json")
    ids = run.metrics.get("run", {})
    if "test_pred_sha256" in ids and sha256_of(folder / "test_pred.json") != ids["test_pred_sha256"]:
        raise _mixed(folder, "test_pred.json")
    for name in ("report.html", "report.md"):
        if "id" in ids and _report_id(folder / name) not in (None, ids["id"]):
            raise _mixed(folder, name)
    return run


def check_metrics(metrics: dict[str, Any], path: Path) -> None:
    """Raises GroundswiftError where a value of the metrics has another type than the report needs."""
    try:
        checked = msgspec.convert(metrics, Metrics)
        numbers = {key: value for key, value in metrics.items() if key not in NO_NUMBERS}
        msgspec.convert(numbers, dict[str, Value | None])
        for name in ("gt_sha256", "score", "label_match", "date", "metric"):
            msgspec.convert(checked.protocol.get(name), str | None)
        msgspec.convert(metrics.get("protocol", {}).get("max_detections_of_ap"), int | None)
        for name in ("truths", "predictions", "rows"):
            msgspec.convert(checked.counts.get(name), int | None)
        for warning in checked.warnings:
            msgspec.convert(warning.get("message"), str)
        _check_counts(checked.counts)
    except (msgspec.ValidationError, RecursionError) as error:
        raise error_at(path, f"not an evaluated run (metrics: {_short(error)})", WRITTEN_BY_US) from None


def _check_counts(counts: Any) -> None:
    """Counts are whole numbers, in groups of any depth."""
    if isinstance(counts, dict):
        for inner in counts.values():
            _check_counts(inner)
    else:
        msgspec.convert(counts, Annotated[int, msgspec.Meta(ge=0, le=2**53)])


def _decoded(path: Path, kind: Any) -> Any:
    try:
        text = OLD_OUTCOME.sub(lambda found: b'"outcome":"%b"' % OLD_OUTCOMES.get(found[1], found[1]), path.read_bytes())
        return msgspec.json.decode(text, type=kind)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})", WRITTEN_BY_US) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise error_at(path, f"not an evaluated run ({_short(error)})", WRITTEN_BY_US) from None


def _short(error: Exception) -> str:
    """A decoder's message, truncated: it may quote the whole file."""
    text = str(error)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def _report_id(path: Path) -> str | None:
    try:
        with open(path, "rb") as file:
            found = REPORT_ID.search(file.read(HEAD_OF_A_REPORT))
    except OSError:
        return None
    return (found[1] or found[2] or b"").decode() if found else None


def _mixed(folder: Path, name: str) -> GroundswiftError:
    return error_at(folder, f"mixes files of two runs: {name} and run.json differ", "the files of one run: score the result again")
