"""`--eval_metric coco_map`: generated answers are scored over the whole validation set during training.

swift gives a metric two arrays of text only; image sizes and ground-truth boxes come from the trainer's own validation rows.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import DistributedType
from swift.callbacks.base import TrainerCallback
from swift.metrics.base import EvalMetrics
from swift.utils import Serializer, append_to_jsonl, get_dist_setting, get_logger, is_master
from transformers.trainer_utils import EvalPrediction

from groundswift.answers import Located
from groundswift.errors import GroundswiftError
from groundswift.eval.metric import Metric
from groundswift.eval.metrics import METRICS
from groundswift.family import family_row
from groundswift.grammars.registry import format_answer
from groundswift.records import BOX, REF
from groundswift.spaces import space_row

from ..templates.grounding import family_of
from . import prediction_images
from .batched_answers import answer_in_batches
from .scoring import RowScoring, Scoring, is_resized, rules_of
from .validation_rows import Sample, samples_of

CALLBACK = "groundswift_evaluation"
PER_CLASS = "eval_per_class.jsonl"  # in the output folder, a line for each evaluation
ROOM = 1.5  # an answer may grow to this many times the longest true one before it is truncated
WIDEST_PX = 9999.0  # a coordinate with as many digits as any has
TOKENISED = 16  # rows, the longest in characters
SWIFT_DEFAULT_METRICS = (None, "rouge-l")
OF_THE_TRAINER = {"runtime", "samples_per_second", "steps_per_second", "model_preparation_time"}  # what transformers logs itself


class CocoMapMetric(EvalMetrics):
    """Logs what the validation rows have a number for: `eval_AP`, ... of labelled boxes, `eval_acc_iou50` and `eval_mean_iou` of bare ones,
    and how many answers and boxes were not used, by reason. Undefined numbers are not logged.

    Needs `--predict_with_generate true`.
    """

    name = "coco_map"

    def __init__(self, args: Any, trainer: Any) -> None:
        super().__init__(args, trainer)
        if not args.predict_with_generate:
            raise GroundswiftError(f"--eval_metric {self.name} scores generated answers: add --predict_with_generate true")
        if get_dist_setting()[2] > 1 and PartialState().distributed_type == DistributedType.NO:
            raise GroundswiftError(f"--eval_metric {self.name}: the processes form no group. On CPUs add --use_cpu true")
        self.rules = rules_of(trainer.template)
        self.scoring: Scoring | RowScoring | None = None
        self.last_texts: list[str] = []  # of the last evaluation, one for each validation row
        trainer.coco_map = self
        images = [prediction_images.CALLBACK] if prediction_images.image_count() else []
        args.callbacks = list(dict.fromkeys([*args.callbacks, CALLBACK, *images]))  # swift makes the callbacks next

    def read_rows_once(self) -> Scoring | RowScoring:
        """Read the validation rows, once, and choose the number that selects the best checkpoint.

        Raises GroundswiftError where nothing in the rows can be scored, or the number that was asked for will not be logged.
        """
        if self.scoring is None:
            rows = self.trainer.eval_dataset
            if not rows:
                raise GroundswiftError(
                    f"--eval_metric {self.name} has no validation rows to score: add --val_dataset, or remove --eval_metric"
                )
            self.scoring = self.scoring_of(samples_of(rows, is_resized(self.rules)))
            self._choose_best()
        return self.scoring

    def scoring_of(self, samples: list[Sample]) -> Scoring | RowScoring:
        """What scores the rows: COCO's numbers or, by what the rows hold, those of referring expressions."""
        return Scoring(samples, self.rules)

    def _choose_best(self) -> None:
        asked, logged = self.args.metric_for_best_model, self.scoring.numbers
        if asked in SWIFT_DEFAULT_METRICS:  # swift's default is not logged here, and would stop the run
            self.args.metric_for_best_model, self.args.greater_is_better = logged[0], self.is_better_greater(logged[0])
        elif asked.removeprefix("eval_") not in {*logged, *self.scoring.of_classes, *self.scoring.counts, *OF_THE_TRAINER}:
            raise GroundswiftError(
                f"--metric_for_best_model {asked} is not logged for these validation rows; "
                f"expected one of {', '.join(logged)} ({self.scoring.description})"
            )
        else:
            self._check_direction(asked.removeprefix("eval_"))

    def _check_direction(self, name: str) -> None:
        """swift takes any number without `loss` in its name to be better when greater. Raises GroundswiftError where it is not so."""
        better, greater = self.is_better_greater(name), self.args.greater_is_better
        if name not in OF_THE_TRAINER and greater is not None and greater != better:
            what = "better when it is greater" if better else "an error count, better when it is smaller"
            raise GroundswiftError(f"--metric_for_best_model {name} is {what}; expected --greater_is_better {str(better).lower()}")

    def is_better_greater(self, name: str) -> bool:
        """Whether more of a logged number is better; of a count it is worse."""
        return name.partition("/")[0] in self.scoring.numbers

    def compute_metrics(self, eval_prediction: EvalPrediction) -> dict[str, float]:
        """The numbers of one evaluation. Rows beyond the validation set are DDP's padding and skipped."""
        scoring = self.read_rows_once()
        rows = len(scoring.samples)
        texts = [Serializer.from_tensor(np.ascontiguousarray(row)) for row in eval_prediction.predictions[:rows]]
        if len(texts) != rows:
            raise GroundswiftError(f"{len(texts)} answers for {rows} validation rows; expected one per row")
        numbers, remarks = scoring.score(texts)
        for remark in remarks:
            get_logger().warning(f"{self.name}: {remark}")
        self.last_texts = texts
        if scoring.per_class and is_master():
            entry = {"step": self.trainer.state.global_step, "metric": self.name, "per_class": scoring.per_class}
            append_to_jsonl(os.path.join(self.args.output_dir, PER_CLASS), entry)
        return numbers


class TableMetric(CocoMapMetric):
    """`--eval_metric NAME` for a metric of the table that has `score_rows`."""

    def scoring_of(self, samples: list[Sample]) -> RowScoring:
        return RowScoring(METRICS[self.name](), samples, self.rules)

    def is_better_greater(self, name: str) -> bool:
        return any(number.higher_is_better for number in METRICS[self.name].numbers if number.key == name.partition("/")[0])


def eval_metrics() -> dict[str, type[CocoMapMetric]]:
    """What `--eval_metric` can name: coco_map, and every metric of the table that has `score_rows`."""
    others = {
        name: type(name, (TableMetric,), {"name": name})
        for name, kind in METRICS.loaded[0].items()
        if kind.score_rows is not Metric.score_rows
    }
    return {CocoMapMetric.name: CocoMapMetric, **others}


class PrepareEvaluation(TrainerCallback):
    """Reads the validation rows before the first step, so that rows that cannot be scored end the run early; sets how they are answered."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        metric = self.trainer.coco_map
        scoring = metric.read_rows_once()
        get_logger().info(f"{metric.name}: {scoring.description}")
        allow_enough_tokens(self.trainer)
        answer_in_batches(self.trainer, [sample.size_wh for sample in scoring.samples])


def allow_enough_tokens(trainer: Any) -> None:
    """Raise `max_new_tokens`, and log it, where a true answer of the validation set would not fit."""
    family, config = family_of(trainer.template), trainer.model.generation_config
    texts = sorted((widest_answer(row, family) for row in trainer.eval_dataset), key=len)[-TOKENISED:]
    longest = max((len(trainer.template.tokenizer.encode(text)) for text in texts), default=0)
    needed = int(longest * ROOM) + 8
    if (config.max_new_tokens or 0) < needed:
        get_logger().info(f"coco_map: max_new_tokens {config.max_new_tokens} -> {needed}; true answers have up to {longest} tokens")
        config.max_new_tokens = needed


def widest_answer(row: dict[str, Any], family: str) -> str:
    """The answer of a validation row as its family writes it, every coordinate at its longest."""
    objects = row.get("objects") or {}
    labels, boxes = objects.get("ref") or [], objects.get("bbox") or []
    labels = [*labels, *[""] * (len(boxes) - len(labels))]
    space = space_row(family_row(family).space)
    widest = WIDEST_PX if space.largest is None else space.largest
    located = [Located(label, (widest,) * 4) for label, _ in zip(labels, boxes, strict=False)]
    prose = row["messages"][-1]["content"] if row["messages"][-1]["role"] == "assistant" else ""
    return prose.replace(REF, "").replace(BOX, "") + format_answer(located, family)
