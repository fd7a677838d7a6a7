"""What a metric is: the hooks that `groundswift eval NAME`, the report, `eval compare` and training call.

docs/extending.md shows two metrics of about 20 lines, made known by entry points of the group `groundswift.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from groundswift.errors import GroundswiftError

from .answers.cli_options import TRUTH, check_there, rules_of_command
from .answers.sample_answers import read_samples
from .evaluated_run import Curve, ImageResult, Number, NumberTable, Plot, Table

if TYPE_CHECKING:
    from .answers.protocol import Rules

FIRST_RESIZE = "a first resize to at most {first_max_pixels} px"
NO_NUMBERS = frozenset({"per_class", "intervals", "counts", "protocol", "warnings", "run"})  # the other keys of metrics.json


@dataclass(frozen=True)
class Evaluation:
    """What `score` returns. Undefined numbers are None, never 0.

    `summary`: numbers by key. `per_group`: numbers by class. `per_sample`: results by image, for the report. `counts`: whatever was
    counted, by id. `protocol`: further terms that the numbers depend on. `intervals`: (low, high) of numbers of the summary, which say in
    `protocol` what they are. `tables` and `plots`: for the report.
    """

    summary: dict[str, float | None]
    per_group: dict[str, dict[str, float | int | None]] = field(default_factory=dict)
    curves: list[Curve] = field(default_factory=list)
    per_sample: Sequence[ImageResult] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)


class Scoring(NamedTuple):
    """What is known before the numbers: `per_sample` of the evaluation, and `finish`, which waits for the evaluation."""

    per_sample: Sequence[ImageResult]
    finish: Callable[[], Evaluation]


class Metric:
    """Base of all metrics. A subclass has `name`, `numbers`, `read_truth` and `score`; its docstring is the help of its command.

    `read_truth` may return anything; `score` gets it back with the answers. An instance has the values of its command's options in
    `self.options`.
    """

    name: ClassVar[str] = ""
    numbers: ClassVar[tuple[Number, ...]] = ()
    title: ClassVar[str] = ""  # of the report
    options: ClassVar[tuple[Callable[..., Any], ...]] = ()  # click options of its own
    truth_option: ClassVar[Callable[..., Any]] = TRUTH
    truth_name: ClassVar[str] = "{}"  # what `protocol.gt` calls the ground truth of a file name
    needs_result: ClassVar[bool] = True
    writes_run: ClassVar[bool] = True  # whether --out gets run.json and a report
    needs_out: ClassVar[bool] = True  # whether --out is required, where it gets them
    protocol_names: ClassVar[tuple[str, ...]] = ()  # its names in `protocol.metric`, where they differ from `name`
    reads_boxes: ClassVar[bool] = True  # whether its command has --family and the other options that say how boxes are read
    ignored_terms: ClassVar[tuple[str, ...]] = ()  # of `artifacts.reading_terms`, those that mean nothing for it
    # terms of the protocol that must agree for numbers to compare -> what a run has that does not state them (None: unknown)
    comparable_terms: ClassVar[dict[str, Any]] = {"metric": None, "gt_sha256": None, "score": None, "label_match": None}
    rewards: ClassVar[dict[str, Callable[..., float]]] = {}  # name -> (text, truth of the image, rules, truncated) to a number from 0 to 1

    def __init__(self, **options: Any) -> None:
        self.options = {"on_error": "stop", **options}

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        """The file to score and how its answers are read.

        Raises GroundswiftError or click.UsageError where that is not clear, and for what cannot be scored, before anything large is read.
        """
        check_there(result, "the rows that swift infer wrote")
        return result, rules_of_command(result, self.options)

    def read_truth(self, path: Path) -> Any:
        """The ground truth in a file."""
        raise NotImplementedError

    def read_answers(self, source: Path, truth: Any, rules: Rules) -> Any:
        """The answers, with `warnings` and `lines()` for the terminal. By default `SampleAnswers`: one a row, boxes in original px."""
        return read_samples(source, rules, self.options["on_error"])

    def score(self, answers: Any, truth: Any) -> Evaluation:
        """The numbers."""
        raise NotImplementedError

    def start(self, answers: Any, truth: Any) -> Scoring | None:
        """Start to score where a library computes outside of Python, so that files are written meanwhile; None: `score` does all at once.

        With it `write` is called before the numbers are known.
        """
        return None

    def write(self, folder: Path, answers: Any, truth: Any) -> dict[str, str]:
        """Write files of its own into the output folder. Returns what `metrics.json` says of them in `run`."""
        return {}

    def lines(self, evaluation: Evaluation) -> list[str]:
        """The numbers for the terminal."""
        titles = {number.key: number.title for number in self.numbers}
        shown = {titles.get(key, key): value for key, value in evaluation.summary.items()}
        between = {titles.get(key, key): f"  [{low:.3f}, {high:.3f}]" for key, (low, high) in evaluation.intervals.items()}
        texts = {title: "-" if value is None else format(value, ".3f") for title, value in shown.items()}
        width = max([20, *map(len, texts)])
        return [f"{title:<{width}} {text}{between.get(title, '')}" for title, text in texts.items()]

    def protocol_lines(self, protocol: dict[str, Any]) -> list[str]:
        """The protocol for the terminal."""
        terms = [protocol["metric"]]
        if "family" in protocol:
            terms.append("family {family}, boxes in {space} (declared by {space_declared_by})".format(**protocol))
            limits = {"max_pixels": "input of {min_pixels} to {max_pixels} px", "first_max_pixels": FIRST_RESIZE}
            shown = [text.format(**protocol) for name, text in limits.items() if protocol.get(name) is not None]
            terms += [f"{', '.join(shown)} (declared by {protocol['limits_declared_by']})"] if shown else []
        texts = {"predictions": "{}", "score": "score {}", "label_match": "labels {}", "engine": "{}"}
        terms.append(", ".join(text.format(protocol[name]) for name, text in texts.items() if name in protocol))
        return [f"{'protocol:' if number == 0 else '':10}{term}" for number, term in enumerate(filter(None, terms))]

    def count_lines(self, answers: Any, truth: Any, evaluation: Evaluation) -> list[str]:
        """What was read and dropped, for the terminal."""
        return answers.lines()

    def score_rows(self, texts: Sequence[str | None], rows: Sequence[Any], rules: Rules) -> Evaluation:
        """For `--eval_metric`: a text for each validation row, None for no answer. A row has `size_wh`, `labels` and `boxes_xyxy_px` of the
        true answer, and `row`, the row itself as a dict. Before training it is called without answers, to see which numbers there are."""
        raise GroundswiftError(f"metric {self.name} does not score validation rows: it has no score_rows")

    def table(self, documents: Sequence[dict[str, Any]]) -> NumberTable:
        """How the numbers of these `metrics.json` are shown; keys that are not in `numbers` come last."""
        known = {number.key for number in self.numbers}
        more = dict.fromkeys(key for each in documents for key in each if key not in NO_NUMBERS and key not in known)
        return NumberTable([*self.numbers, *(Number(key, key) for key in more)])
