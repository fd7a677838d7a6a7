"""What metrics of boxes by class have in common: a COCO ground truth, answers in text or a COCO result file, and their options."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import click

from groundswift.atomic_write import write_whole
from groundswift.errors import error_at

from ..answers.cli_options import COCO_TRUTH, FILE, READING_OPTIONS, check_there
from ..answers.coco_results import answers_of_results, result_chunks
from ..answers.label_matching import check_synonyms
from ..answers.protocol import Rules
from ..answers.referring_rows import holds_bare_boxes
from ..answers.row_blocks import RowsAhead, rows_ahead
from ..answers.swift_results import read_answers
from ..answers.to_boxes import Answers
from ..artifacts import digested
from ..ground_truth import Truth, read_truth
from ..metric import Metric

MOST_DETECTIONS = 1_000_000
ANSWER_OPTIONS = (
    click.option("--predictions", type=FILE, help="A COCO result file to score in place of RESULT."),
    click.option(
        "--score",
        type=click.Choice(["constant", "order", "logprob"]),
        default="constant",
        show_default=True,
        help="Confidence: 1.0; 1 / (1 + number of boxes before it in its answer); or from token log-probabilities.",
    ),
    click.option(
        "--label-match",
        type=click.Choice(["exact", "casefold", "normalised"]),
        default="exact",
        show_default=True,
        help="Labels match classes exactly; ignoring case; or also ignoring `_`, `-`, `/`, a leading article and punctuation at the ends.",
    ),
    click.option("--synonyms", type=FILE, help='JSON file of further labels of classes: {"traffic light": ["stoplight"]}.'),
    click.option(
        "--workers",
        type=click.IntRange(1, 64),
        metavar="N",
        help="Processes that read a RESULT of 32 MB or more.  [default: one per CPU, at most 8]",
    ),
)
IGNORED = click.option(
    "--ignored",
    type=click.Choice(["keep", "crowd", "skip"]),
    default="keep",
    show_default=True,
    help="Objects marked `ignore: 1`: keep as ordinary objects (as pycocotools does), treat as crowd boxes, or skip.",
)


def intervals(text: str) -> Any:
    """The option --intervals with its help: the default depends on the number of images."""
    return click.option("--intervals/--no-intervals", default=None, help=text)


def max_detections(text: str) -> Any:
    """The option --max-detections with its help."""
    return click.option("--max-detections", type=click.IntRange(1, MOST_DETECTIONS), help=text)


class DetectionMetric(Metric):
    """Base of the metrics of boxes by class. `fewest_images`, `most_images`: between which there are intervals by default."""

    fewest_images: ClassVar[int] = 2
    most_images: ClassVar[int] = 5_000

    truth_option = COCO_TRUTH
    needs_result = False
    rules: Rules | None = None  # by which the answers were read
    ahead: RowsAhead | None = None  # the rows of a large result, read by other processes while this one reads the ground truth

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        predictions = self.options["predictions"]
        if (result is None) == (predictions is None):
            raise click.UsageError("give either RESULT, the rows that swift infer wrote, or --predictions, a COCO result file")
        reading = [*READING_OPTIONS, "synonyms"]
        given = [f"--{name.replace('_', '-')}" for name in reading if self.options[name] is not None]
        if predictions is not None and given:
            raise click.UsageError(f"{', '.join(given)} says how answers are read; --predictions holds boxes already")
        check_there(predictions, "a COCO result file")
        source, rules = super().source(result) if predictions is None else (predictions, None)
        if rules is not None and holds_bare_boxes(source):
            raise error_at(
                source,
                "its rows ask for boxes without labels, which belong to no class, so mAP is undefined",
                f"rows whose answers name each object; score these with: groundswift eval referring {source}",
            )
        self.ahead = rows_ahead(source, rules, self.options.get("workers"))
        return source, rules

    def read_truth(self, path: Path) -> Truth:
        answers = self.options["predictions"] is None
        needs_images = answers or self.options["report"]
        try:
            return read_truth(path, self.options["on_error"], self.options["ignored"], needs_images, answers)
        except BaseException:
            if self.ahead is not None:
                self.ahead.stop()
            raise

    def read_answers(self, source: Path, truth: Truth, rules: Rules | None) -> Answers:
        self.rules = rules
        if rules is None:
            return answers_of_results(source, truth, self.options["on_error"])
        check_synonyms(rules.synonyms or {}, truth.category_names, self.options["synonyms"])
        return read_answers(
            source, truth, rules, self.options["on_error"], progress=True, ahead=None if self.ahead is None else self.ahead.rows()
        )

    def wants_intervals(self, truth: Truth) -> bool:
        """--intervals or, without it, whether there are neither too few images for them to mean something nor too many to be quick."""
        wanted = self.options["intervals"]
        return self.fewest_images <= len(truth.image_ids) <= self.most_images if wanted is None else wanted

    def source_terms(self) -> dict[str, str]:
        """What the protocol says of a COCO result file."""
        return {} if self.options["predictions"] is None else {"predictions": "a COCO result file, scored unchanged"}

    def write(self, folder: Path, answers: Answers, truth: Truth) -> dict[str, str]:
        """test_pred.json: the predictions as a COCO result file."""
        digest = hashlib.sha256()
        write_whole(folder / "test_pred.json", digested(result_chunks(truth, answers.predictions), digest), durable=False)
        return {"test_pred_sha256": digest.hexdigest()}
