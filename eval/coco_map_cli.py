"""`groundswift eval coco-map`: result files against ground truth, COCO's numbers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from groundswift.errors import Tally, fault
from groundswift.grammars.parse_warnings import warning_lines
from groundswift.issue_titles import COCO_TITLES

from .answers.cli_options import FILE, ON_ERROR, READING_OPTIONS, check_there, reading_options, rules_of_command

if TYPE_CHECKING:
    from .answers.space_check import Explanation
    from .answers.to_boxes import Answers, Predictions, Rules
    from .evaluated_run import Curve
    from .ground_truth import Truth
    from .metrics.coco_map import Evaluation

SHOWN_LABELS = 10
MOST_DETECTIONS = 1_000_000
SCORE, MATCH, ENGINE = (click.Choice(words) for words in (["constant", "logprob"], ["exact", "casefold"], ["hotcoco", "pycocotools"]))


class Found(NamedTuple):
    """What was read: predictions, a status and a text for each image, counts for metrics.json, and lines that tell them."""

    predictions: Predictions
    statuses: list[str]
    texts: list[str]
    counts: dict[str, Any]
    told: list[str]
    mismatch: Explanation | None


@click.command("coco-map")
@click.argument("result", type=FILE, required=False)
@click.option("--gt", "truth_path", type=FILE, required=True, help="Annotations in COCO format: the truth.")
@click.option("--out", type=FILE, required=True, help="Folder for metrics.json, test_pred.json, run.json and report.html.")
@click.option("--predictions", type=FILE, help="A COCO result file to score as it stands, in place of RESULT.")
@reading_options
@click.option("--score", type=SCORE, default="constant", show_default=True, help="1.0 a box, or its tokens' probability.")
@click.option("--label-match", type=MATCH, default="exact", show_default=True, help="How labels find their class.")
@click.option("--engine", type=ENGINE, default="hotcoco", show_default=True, help="What computes; the 12 numbers are the same.")
@click.option(
    "--max-detections",
    type=click.IntRange(1, MOST_DETECTIONS),
    help="Predictions that count, highest scores first: of an image and class (COCO; default 100), or of an image (LVIS; default 300). "
    "AR1, AR10 and AR100 keep their own limits.",
)
@click.option("--on-error", type=ON_ERROR, default="stop", show_default=True, help="Stop at bad rows and boxes, or count them and go on.")
@click.option(
    "--ignored",
    type=click.Choice(["keep", "crowd", "skip"]),
    default="keep",
    show_default=True,
    help="Objects marked `ignore: 1` in the truth: ordinary objects (as pycocotools reads them), crowd boxes, or skipped.",
)
@click.option("--images", type=FILE, help="Folder of the pictures, for the report.")
@click.option("--title", default="COCO mAP", show_default=True, help="Title of the report.")
@click.option("--report/--no-report", default=True, show_default=True, help="Write report.html.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of metrics.json, and nothing else.")
def coco_map(result: Path | None, predictions: Path | None, **options: Any) -> None:
    """COCO mAP of RESULT, the rows that `swift infer` wrote, joined to the truth by image id.

    `swift infer` with groundswift's plugin leaves RESULT.run.json beside RESULT, the record of the run: it declares family, space and
    limits of pixels. Where there is none, give --family, and the limits where the family writes pixels of the resized image.

    \b
    Example:
      groundswift eval coco-map result.jsonl --gt annotations.json --images images/ --out scored/
      groundswift eval coco-map result.jsonl --gt annotations.json --family qwen2_vl --out scored/
      groundswift eval coco-map --predictions test_pred.json --gt annotations.json --out scored/ --no-report
    """
    if (result is None) == (predictions is None):
        raise click.UsageError("give either RESULT, the rows that swift infer wrote, or --predictions, a COCO result file")
    needless = [f"--{name.replace('_', '-')}" for name in READING_OPTIONS if predictions is not None and options[name] is not None]
    if needless:
        raise click.UsageError(f"{', '.join(needless)} says how answers are read; --predictions are boxes already")
    check_there(result, "the rows that swift infer wrote")
    check_there(predictions, "a COCO result file")
    check_there(options["truth_path"], "a COCO annotation file")
    rules = rules_of_command(result, options) if result is not None else None
    from .artifacts import metrics_document, pretty_json, protocol_of, truth_counts
    from .ground_truth import read_truth
    from .metrics.coco_engines import check_engine
    from .metrics.coco_map import evaluate as evaluated
    from .metrics.coco_map import familiar_lines
    from .output_folder import check_folder

    check_engine(options["engine"])
    check_folder(options["out"])
    if result is not None:
        _check_labels(result)
    left_out = Tally()
    needs_images = result is not None or options["report"]
    truth = read_truth(options["truth_path"], options["on_error"], left_out, options["ignored"], needs_images, result is not None)
    found = _read(result or predictions, truth, rules, options["on_error"])
    partial = _without_row(found.statuses.count("missing"), len(truth.image_ids), options["truth_path"])
    for warning in partial:
        click.echo(f"WARNING: {warning['message']}", err=True)
    evaluation = evaluated(truth, found.predictions, options["engine"], options["max_detections"])
    counts = {"predictions": len(found.predictions.scores), "beyond_max_detections": evaluation.beyond_limit}
    if evaluation.federated:
        counts["not_looked_for"] = evaluation.not_looked_for
    document = metrics_document(
        evaluation,
        {**truth_counts(truth, dict(left_out.counts)), **found.counts, **counts},
        protocol_of(options["truth_path"], result or predictions, options["engine"], rules, evaluation),
        found.mismatch,
    )
    later, document["warnings"] = document["warnings"], [*partial, *document["warnings"]]
    written = _write(options, truth, found, document, evaluation.curves)
    if as_json := options["as_json"]:
        click.echo(pretty_json(document), nl=False)
    lines = [] if as_json else [*familiar_lines(evaluation), "", *_protocol_lines(document["protocol"]), ""]
    for line in lines:
        click.echo(line)
    notes = [*_truth_lines(document["counts"], left_out), *found.told, *_limit_lines(evaluation)]
    for line in [*notes, f"wrote {', '.join(written)} into {options['out']}"]:
        click.echo(line, err=as_json)
    for warning in later:
        click.echo(f"WARNING: {warning['message']}", err=True)


def _without_row(count: int, images: int, truth: Path) -> list[dict[str, Any]]:
    """The warning to give before any number, where images of the ground truth have no row in the result."""
    message = (
        f"{count} of {images} images of {truth} have no row in the result and count as missed. "
        "Score a part of a dataset by its own ground truth, as `groundswift split --gt` writes it."
    )
    return [{"id": "images-without-row", "message": message}] if count else []


def _check_labels(result: Path) -> None:
    """Raises GroundswiftError where the rows of a result hold boxes without labels, which have no class to score."""
    from .answers.referring_rows import holds_bare_boxes

    if holds_bare_boxes(result):
        raise fault(
            result,
            "its rows ask for boxes without labels, which belong to no class, so they have no mAP",
            f"rows whose answers name each object; score these with: groundswift eval referring {result}",
        )


def _read(path: Path, truth: Truth, rules: Rules | None, on_error: str) -> Found:
    from .artifacts import answer_counts

    if rules is not None:
        from .answers.swift_results import read_answers

        answers = read_answers(path, truth, rules, on_error, progress=True)
        return Found(
            answers.predictions, answers.statuses, answers.texts, answer_counts(answers.counts), _answer_lines(answers), answers.mismatch
        )
    from .answers.coco_results import mismatch_of, read_results

    left_out = Tally()
    found = read_results(path, truth, on_error, left_out)
    having = set(found.image_index.tolist())
    statuses = ["ok" if index in having else "empty" for index in range(len(truth.image_ids))]
    told = [f"predictions: {len(found.scores)} scored, {left_out.counts.total()} left out", *left_out.lines()]
    counts = {"predictions_left_out": dict(left_out.counts)}
    return Found(found, statuses, [""] * len(statuses), counts, told, mismatch_of(found, truth))


def _write(options: dict[str, Any], truth: Truth, found: Found, document: dict[str, Any], curves: list[Curve]) -> list[str]:
    """Write all files into a new --out and return their names. `document` gets what ties them together."""
    from groundswift.atomic_write import write_whole

    from .answers.coco_results import result_chunks
    from .artifacts import digested, new_run_id, pretty_json, run_chunks
    from .box_matching import image_results
    from .evaluated_run import Run
    from .output_folder import new_folder

    out: Path = options["out"]
    images = image_results(truth, found.predictions, found.statuses, found.texts, options["max_detections"])
    written = ["metrics.json", "test_pred.json", "run.json"]
    with new_folder(out) as folder:
        digest = hashlib.sha256()
        write_whole(folder / "test_pred.json", digested(result_chunks(truth, found.predictions), digest))
        document["run"] = {"id": new_run_id(), "test_pred_sha256": digest.hexdigest()}
        run = Run(out.resolve().name, document, curves, images)
        write_whole(folder / "run.json", run_chunks(run))
        write_whole(folder / "metrics.json", [pretty_json(document)])
        if options["report"]:
            from .report import write_report

            write_report([run], folder / "report.html", options["images"], options["title"])
            written.append("report.html")
    return written


def _protocol_lines(protocol: dict[str, Any]) -> list[str]:
    if "family" not in protocol:
        return [f"protocol: {protocol['metric']}; {protocol['predictions']}; {protocol['engine']}"]
    limits = []
    if protocol.get("max_pixels") is not None:
        limits.append(f"input of {protocol['min_pixels']} to {protocol['max_pixels']} px")
    if protocol.get("first_max_pixels") is not None:
        limits.append(f"a first resize to at most {protocol['first_max_pixels']} px")
    declared = [f"          {', '.join(limits)} (declared by {protocol['limits_declared_by']})"] if limits else []
    return [
        f"protocol: {protocol['metric']}",
        f"          family {protocol['family']}, boxes in {protocol['space']} (declared by {protocol['space_declared_by']})",
        *declared,
        f"          score {protocol['score']}, labels {protocol['label_match']}, {protocol['engine']}",
    ]


def _truth_lines(counts: dict[str, Any], left_out: Tally) -> list[str]:
    skipped = [f"annotations: {left_out.counts.total()} skipped or changed", *left_out.lines(COCO_TITLES)] if left_out.counts else []
    return [f"truth: {counts['images']} images, {counts['truths']} boxes, {counts['crowd']} crowd boxes", *skipped]


def _limit_lines(evaluation: Evaluation) -> list[str]:
    lines = []
    if beyond := evaluation.beyond_limit:
        where = "in an image" if evaluation.federated else "of a class in an image"
        lines.append(f"{beyond} predictions beyond {evaluation.max_detections} {where} do not count (--max-detections)")
    if evaluation.federated:
        lines.append(f"federated truth: {evaluation.not_looked_for} predictions of classes that were not looked for do not count")
    return lines


def _answer_lines(answers: Answers) -> list[str]:
    counts = answers.counts
    statuses = ", ".join(f"{number} {status}" for status, number in counts.statuses.most_common())
    lines = [f"rows: {counts.read}; images: {statuses}", f"predictions: {len(answers.predictions.scores)}"]
    for title, tally in (("rows left out", counts.rows), ("boxes left out", counts.dropped), ("changed", counts.changed)):
        lines += [f"{title}:", *tally.lines()] if tally.counts else []
    if counts.reasons:
        lines += ["parse warnings:", *warning_lines(dict(counts.reasons.most_common()))]
    if counts.unknown_labels:
        named = [f"{label!r} {number}" for label, number in counts.unknown_labels.most_common(SHOWN_LABELS)]
        more = len(counts.unknown_labels) - len(named)
        lines.append(f"unknown labels: {', '.join(named)}" + (f" and {more} more" if more else ""))
    hints = [(label, answers.labels.would_match(label)) for label, _ in counts.unknown_labels.most_common()]
    close = [f"{label!r} for {name!r}" for label, name in hints if name is not None]
    if close:
        lines.append(
            f"{len(close)} unknown labels differ from a class in case only ({', '.join(close[:3])}): --label-match casefold takes them"
        )
    return lines
