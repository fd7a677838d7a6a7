"""`groundswift eval`: score result files, and put scored runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from groundswift.errors import GroundswiftError, Tally

if TYPE_CHECKING:
    from .predictions import Answers, Predictions, Rules
    from .result import Curve
    from .truth import Truth

LIMIT_OPTIONS = ("min_pixels", "max_pixels", "first_max_pixels")
READING_OPTIONS = ("family", "space", *LIMIT_OPTIONS)
SHOWN_LABELS = 10
FILE = click.Path(path_type=Path)
SCORE, MATCH, ENGINE, ON_ERROR = (
    click.Choice(words) for words in (["constant", "logprob"], ["exact", "casefold"], ["hotcoco", "pycocotools"], ["stop", "skip"])
)


class PixelLimit(click.ParamType):
    """A whole number of px, or the word `default`, which stands for None and is told from a limit that was not given."""

    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int | None]:
        if value == "default":
            return (None,)
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a whole number of px nor the word default", param, context)
        return (int(value),)


class Found(NamedTuple):
    """What was read: predictions, a status and a text for each image, counts for metrics.json, and lines that tell them."""

    predictions: Predictions
    statuses: list[str]
    texts: list[str]
    counts: dict[str, Any]
    told: list[str]


@click.group()
def evaluate() -> None:
    """Score results: mAP, and a report one looks at."""


@evaluate.command("coco-map")
@click.argument("result", type=FILE, required=False)
@click.option("--gt", "truth_path", type=FILE, required=True, help="Annotations in COCO format: the truth.")
@click.option("--out", type=FILE, required=True, help="Folder for metrics.json, test_pred.json, run.json and report.html.")
@click.option("--predictions", type=FILE, help="A COCO result file to score as it stands, in place of RESULT.")
@click.option(
    "--family",
    help="The model's family: says how it writes boxes, and in which space. Needless where RESULT has a record.",
)
@click.option("--space", help="The space of the boxes, where the model was tuned in another than its family's.")
@click.option(
    "--min-pixels", type=PixelLimit(), metavar="N|default", help="Least area in px of the model's input; for boxes in resized pixels."
)
@click.option(
    "--max-pixels", type=PixelLimit(), metavar="N|default", help="Largest area in px of the model's input; for boxes in resized pixels."
)
@click.option(
    "--first-max-pixels",
    type=PixelLimit(),
    metavar="N|default",
    help="What swift had as --max_pixels: a first resize, before the other.",
)
@click.option("--score", type=SCORE, default="constant", show_default=True, help="1.0 a box, or its tokens' probability.")
@click.option("--label-match", type=MATCH, default="exact", show_default=True, help="How labels find their class.")
@click.option("--engine", type=ENGINE, default="hotcoco", show_default=True, help="What computes; the 12 numbers are the same.")
@click.option("--on-error", type=ON_ERROR, default="stop", show_default=True, help="Stop at bad rows and boxes, or count them and go on.")
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
    rules = _rules(result, options) if result is not None else None
    from .coco_map import evaluate as evaluated
    from .coco_map import familiar_lines
    from .engines import check_engine
    from .output import metrics_document, pretty_json, protocol_of, truth_counts
    from .truth import read_truth

    check_engine(options["engine"])
    left_out = Tally()
    truth = read_truth(options["truth_path"], options["on_error"], left_out)
    found = _read(result or predictions, truth, rules, options["on_error"])
    evaluation = evaluated(truth, found.predictions, options["engine"])
    document = metrics_document(
        evaluation,
        {**truth_counts(truth, dict(left_out.counts)), **found.counts, "predictions": len(found.predictions.scores)},
        protocol_of(options["truth_path"], result or predictions, options["engine"], rules),
    )
    written = _write(options, truth, found, document, evaluation.curves)
    if as_json := options["as_json"]:
        click.echo(pretty_json(document), nl=False)
    lines = [] if as_json else [*familiar_lines(evaluation.summary), "", *_protocol_lines(document["protocol"]), ""]
    for line in lines:
        click.echo(line)
    for line in [*_truth_lines(document["counts"], left_out), *found.told, f"wrote {', '.join(written)} into {options['out']}"]:
        click.echo(line, err=as_json)


def _rules(result: Path, options: dict[str, Any]) -> Rules:
    """What the run's record declares, or where there is none what the options do. Raises GroundswiftError where the two differ."""
    from groundswift.run_record import record_of_result

    from .predictions import Rules
    from .rules import rules_of_options, rules_of_record

    reading = {"label_match": options["label_match"], "score": options["score"]}
    limits = {name: options[name][0] for name in LIMIT_OPTIONS if options[name] is not None}
    found = record_of_result(result)
    if found is not None:
        return Rules(**rules_of_record(found, options["family"], options["space"], limits), **reading)
    if options["family"] is None:
        from groundswift.family import families
        from groundswift.spaces import SPACES

        rows = "\n".join(f"  {row.name:<15} {row.space:<12} {SPACES[row.space].meaning}" for row in families().values())
        raise click.UsageError(
            f"--family is missing, no record of the run lies beside {result.name}, and the space of the boxes is never guessed. The "
            f"families and their spaces:\n{rows}\n"
            "The model's config.json tells: model_type. A model that was tuned to write another space: its --space."
        )
    return Rules(**rules_of_options(options["family"], options["space"], limits), **reading)


def _read(path: Path, truth: Truth, rules: Rules | None, on_error: str) -> Found:
    from .output import answer_counts

    if rules is not None:
        from .result_file import read_answers

        answers = read_answers(path, truth, rules, on_error, progress=True)
        return Found(answers.predictions, answers.statuses, answers.texts, answer_counts(answers.counts), _answer_lines(answers))
    from .coco_results import read_results

    left_out = Tally()
    found = read_results(path, truth, on_error, left_out)
    having = set(found.image_index.tolist())
    statuses = ["ok" if index in having else "empty" for index in range(len(truth.image_ids))]
    told = [f"predictions: {len(found.scores)} scored, {left_out.counts.total()} left out", *left_out.lines()]
    return Found(found, statuses, [""] * len(statuses), {"predictions_left_out": dict(left_out.counts)}, told)


def _write(options: dict[str, Any], truth: Truth, found: Found, document: dict[str, Any], curves: list[Curve]) -> list[str]:
    """Write all files into --out and return their names."""
    from groundswift.writing import write_whole

    from .coco_results import result_chunks
    from .output import make_folder, pretty_json, run_chunks
    from .result import Run
    from .verdicts import image_results

    out: Path = options["out"]
    run = Run(out.resolve().name, document, curves, image_results(truth, found.predictions, found.statuses, found.texts))
    make_folder(out)
    write_whole(out / "test_pred.json", result_chunks(truth, found.predictions))
    write_whole(out / "run.json", run_chunks(run))
    write_whole(out / "metrics.json", [pretty_json(document)])
    written = ["metrics.json", "test_pred.json", "run.json"]
    if options["report"]:
        from .report import write_report

        write_report([run], out / "report.html", options["images"], options["title"])
        written.append("report.html")
    return written


def _protocol_lines(protocol: dict[str, Any]) -> list[str]:
    if "family" not in protocol:
        return [f"protocol: {protocol['predictions']}; {protocol['engine']}"]
    limits = []
    if protocol.get("max_pixels") is not None:
        limits.append(f"input of {protocol['min_pixels']} to {protocol['max_pixels']} px")
    if protocol.get("first_max_pixels") is not None:
        limits.append(f"a first resize to at most {protocol['first_max_pixels']} px")
    declared = [f"          {', '.join(limits)} (declared by {protocol['limits_declared_by']})"] if limits else []
    return [
        f"protocol: family {protocol['family']}, boxes in {protocol['space']} (declared by {protocol['space_declared_by']})",
        *declared,
        f"          score {protocol['score']}, labels {protocol['label_match']}, {protocol['engine']}",
    ]


def _truth_lines(counts: dict[str, Any], left_out: Tally) -> list[str]:
    skipped = [f"annotations: {left_out.counts.total()} left out", *left_out.lines()] if left_out.counts else []
    return [f"truth: {counts['images']} images, {counts['truths']} boxes, {counts['crowd']} crowd boxes", *skipped]


def _answer_lines(answers: Answers) -> list[str]:
    counts = answers.counts
    statuses = ", ".join(f"{number} {status}" for status, number in counts.statuses.most_common())
    lines = [f"rows: {counts.read}; images: {statuses}", f"predictions: {len(answers.predictions.scores)}"]
    for title, tally in (("rows left out", counts.rows), ("boxes left out", counts.dropped), ("changed", counts.changed)):
        lines += [f"{title}:", *tally.lines()] if tally.counts else []
    if counts.reasons:
        lines += ["oddities in the texts:", *(f"{number:>8}  {reason}" for reason, number in counts.reasons.most_common())]
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
    if counts.statuses["missing"]:
        lines.append(f"{counts.statuses['missing']} images have no row in the result; their boxes count as missed")
    return lines


@evaluate.command("compare")
@click.argument("folders", type=FILE, nargs=-1, required=True, metavar="BEFORE_DIR AFTER_DIR ...")
@click.option("--out", type=FILE, required=True, help="Folder for report.html and summary.json.")
@click.option("--names", help="The runs' names, with commas between; the folders' names if not given.")
@click.option("--images", type=FILE, help="Folder of the pictures, for the report.")
@click.option("--title", default="COCO mAP", show_default=True, help="Title of the report.")
@click.option("--set", "extras", multiple=True, metavar="KEY=NUMBER", help="A further number for summary.json.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of summary.json, and nothing else.")
def compare(
    folders: tuple[Path, ...], out: Path, names: str | None, images: Path | None, title: str, extras: tuple[str, ...], as_json: bool
) -> None:
    """Put runs that `eval coco-map` scored side by side.

    \b
    Example:
      groundswift eval compare scored/before scored/after --names before,after --images images/ --out scored/
    """
    if len(folders) < 2:
        raise click.UsageError("give at least two folders that `groundswift eval coco-map --out` wrote")
    from groundswift.writing import write_whole

    from .compare import differing_terms, load_run, names_of, numbers_of, table_lines
    from .output import pretty_json
    from .report import write_report

    runs = [load_run(folder, name) for folder, name in zip(folders, names_of(folders, names), strict=True)]
    summary: dict[str, Any] = {run.name: numbers_of(run) for run in runs}
    for key, number in map(_extra, extras):
        if key in summary:
            raise GroundswiftError(f"--set {key}: there is a run of this name")
        summary[key] = number
    write_report(runs, out / "report.html", images, title)
    write_whole(out / "summary.json", [pretty_json(summary)])
    if as_json:
        click.echo(pretty_json(summary), nl=False)
    lines = [] if as_json else table_lines(runs)
    for line in lines:
        click.echo(line)
    for term in differing_terms(runs):
        click.echo(f"the runs differ in {term}: their numbers do not compare", err=True)
    click.echo(f"wrote report.html and summary.json into {out}", err=as_json)


def _extra(text: str) -> tuple[str, float]:
    key, _, number = text.partition("=")
    try:
        return key, float(number) if "." in number else int(number)
    except ValueError:
        raise click.BadParameter(f"{text!r}; expected KEY=NUMBER", param_hint="--set") from None
