"""A metric of another distribution, as its author writes it."""

from __future__ import annotations

import json

from groundswift.eval.metric import Evaluation, Metric, Number


class BoxCount(Metric):
    """Mean absolute error of the number of boxes."""

    name = "box_count"
    numbers = (Number("count_error", "mean absolute error", higher_is_better=False, headline=True),)

    def read_truth(self, path):
        return json.loads(path.read_text())

    def score(self, answers, truth):
        errors = [abs(len(each.boxes_xyxy_px) - truth[each.sample_id]) for each in answers.samples]
        return Evaluation({"count_error": sum(errors) / len(errors)}, counts=answers.counts_document())
