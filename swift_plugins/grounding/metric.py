"""`--eval_metric coco_map`: COCO mAP of what the model writes while it trains, over the whole validation set.

swift hands a metric two arrays of text and nothing else; images, sizes and true boxes come from the trainer's own validation rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import DistributedType
from swift.metrics.base import EvalMetrics
from swift.utils import Serializer, get_dist_setting
from transformers.trainer_utils import EvalPrediction

from groundswift.errors import GroundswiftError
from groundswift.eval.coco_map import evaluate
from groundswift.eval.predictions import Rules, predictions_from_answers
from groundswift.eval.truth import truth_from_rows
from groundswift.family import FAMILIES
from groundswift.resizing import limits_of_its_own
from groundswift.spaces import space_row

from .enough_tokens import ENOUGH_TOKENS
from .run_record import limits_now
from .templates import family_of

SWIFT_DEFAULT_METRICS = (None, "loss", "rouge-l")


class CocoMapMetric(EvalMetrics):
    """Logs `eval_AP`, `eval_AP50`, ... as the COCO evaluation names them; undefined ones are left out.

    Needs `--predict_with_generate true`.
    """

    def __init__(self, args: Any, trainer: Any) -> None:
        super().__init__(args, trainer)
        if not args.predict_with_generate:
            raise GroundswiftError("--eval_metric coco_map scores what the model writes: add --predict_with_generate true")
        if get_dist_setting()[2] > 1 and PartialState().distributed_type == DistributedType.NO:
            raise GroundswiftError("several processes that do not talk to each other; expected one group (on CPUs: --use_cpu true)")
        template = trainer.template
        row = FAMILIES[family_of(template)]
        self.resized = space_row(row.space).side == "resized"
        self.rules = Rules(row.name, limits=limits_now(row, template.max_pixels))
        if args.metric_for_best_model in SWIFT_DEFAULT_METRICS:
            args.metric_for_best_model, args.greater_is_better = "AP", True  # swift's default is not logged here, and would stop the run
        args.callbacks = [*args.callbacks, ENOUGH_TOKENS]  # swift makes the callbacks next

    def compute_metrics(self, eval_prediction: EvalPrediction) -> dict[str, float]:
        """12 COCO numbers, and how many answers could not be read. Rows beyond the validation set are DDP's padding: left out."""
        rows = self.trainer.eval_dataset
        texts = [Serializer.from_tensor(np.ascontiguousarray(row)) for row in eval_prediction.predictions[: len(rows)]]
        if len(texts) != len(rows):
            raise GroundswiftError(f"{len(texts)} answers for {len(rows)} validation rows; expected one each")
        samples = [sample_of(index, row, self.resized) for index, row in enumerate(rows)]
        truth = truth_from_rows(samples)
        answers = predictions_from_answers(
            [(index, size_wh, text) for (index, size_wh, _, _), text in zip(samples, texts, strict=True)], truth, self.rules
        )
        numbers = evaluate(truth, answers.predictions).summary
        statuses = answers.counts.statuses
        logged = {name: value for name, value in numbers.items() if value is not None}
        return {**logged, "unreadable": float(statuses["unreadable"]), "truncated": float(statuses["truncated"])}


def sample_of(index: int, row: dict[str, Any], resized: bool = False) -> tuple[int, tuple[int, int], list[str], list[list[float]]]:
    """A validation row -> (its place, size_wh, labels, boxes xyxy in original px). The place is the id: sample ids may be text.

    `resized`: answers are in pixels of the resized image. Raises GroundswiftError for a row whose answer could not be scored.
    """
    if resized and (own := limits_of_its_own(row.get("chat_template_kwargs"))):
        raise GroundswiftError(
            f"validation row {index}: it limits its own image (chat_template_kwargs: {', '.join(own)}); "
            "expected rows that leave the limits to the run"
        )
    objects, size_wh = row.get("objects") or {}, row.get("size_wh")
    if size_wh is None:
        raise GroundswiftError(f"validation row {index}: no size_wh; expected rows of `groundswift convert` or of a named set")
    labels, boxes = objects.get("ref") or [], objects.get("bbox") or []
    if len(labels) != len(boxes):
        raise GroundswiftError(f"validation row {index}: {len(labels)} labels and {len(boxes)} boxes; expected one label a box")
    return index, tuple(size_wh), labels, boxes
