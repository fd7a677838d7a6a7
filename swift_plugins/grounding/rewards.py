"""`--reward_funcs detection_f1`, `swift sample --orm_model detection_f1`: the evaluator's own F1 of a single answer as a reward.

swift gives a reward the answers and the columns of their rows, without the template that wrote the question nor the true answer, which
the generated one has replaced: both are noted when the training or the sampling is made. An undefined reward would count as 0 in the sum
and be missing from the logged mean, so rows that cannot be scored are refused before the first step.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from swift.pipelines.sampling.vanilla_sampler import VanillaSampler
from swift.pipelines.train.rlhf import SwiftRLHF
from swift.rewards import ORM

from groundswift.errors import GroundswiftError
from groundswift.eval.answers.protocol import Rules
from groundswift.eval.metrics import rewards
from groundswift.eval.metrics.detection_f1 import OneTruth
from groundswift.records import count_tags

from .metrics.scoring import is_resized, rules_of
from .metrics.validation_rows import LABELLED, UNSCORED, Sample, sample_of, samples_of, unscored
from .patches.wrap_once import patch

TRUE_ANSWER = "true_answer"  # column of GRPO's rows: the answer that generated ones replace, with its placeholders
_rules: list[Rules] = []  # how the answers of this process are read, by the template that was made last


class SampleReward(ORM):
    """A reward of the table of metrics: `scorer` takes an answer, the ground-truth boxes, the rules of reading, and `truncated`."""

    name: str
    scorer: Callable[..., float]

    def __call__(self, completions: Sequence[Any], ground_truths: Sequence[str] | None = None, **columns: Any) -> list[float]:
        """One number from 0 to 1 for each completion: a text of GRPO, with its columns, or a request of `swift sample`, with its truth."""
        if not _rules:
            raise GroundswiftError(f"--reward_funcs {self.name} needs a grounding template: add --template NAME_grounding")
        if ground_truths is not None:
            return self.of_requests(completions, ground_truths)
        truncated = columns.get("is_truncated") or [False] * len(completions)
        columns = {name: values for name, values in columns.items() if isinstance(values, list) and len(values) == len(completions)}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [self.score(text, truth_of(row), bool(stopped)) for text, row, stopped in zip(completions, rows, truncated, strict=True)]

    def of_requests(self, requests: Sequence[Any], true_answers: Sequence[str]) -> list[float]:
        """The rewards of the answers that were sampled to one question, and of the true one, which swift adds as the last: it would always
        win, so it has the lowest of the others, and is neither kept nor rejected."""
        rows = [{**vars(request), TRUE_ANSWER: true_answer} for request, true_answer in zip(requests, true_answers, strict=True)]
        texts = [row["messages"][-1]["content"] for row in rows]
        sampled = len(rows) - (texts[-1] == true_answers[-1])
        rewards = [self.score(text, truth_of(row), truncated=False) for text, row in zip(texts[:sampled], rows[:sampled], strict=True)]
        return rewards + [min(rewards, default=0.0)] * (len(rows) - sampled)

    def score(self, text: str, truth: OneTruth, truncated: bool) -> float:
        """The reward of one answer."""
        return self.scorer(text, truth, _rules[-1], truncated=truncated)


def reward_class(name: str, scorer: Callable[..., float]) -> type[SampleReward]:
    """A class for swift, whose name (`DetectionF1` of `detection_f1`) is that of its mean in the log."""
    return type("".join(map(str.capitalize, name.split("_"))), (SampleReward,), {"name": name, "scorer": staticmethod(scorer)})


REWARDS: dict[str, type[SampleReward]] = {name: reward_class(name, scorer) for name, scorer in rewards().items()}


@patch("_prepare_dataset", SwiftRLHF)
def note_true_answers(prepare: Callable[..., Any], self: SwiftRLHF) -> Any:
    """Note template and true answers of a training that has one of our rewards."""
    datasets = prepare(self)
    chosen = [name for name in getattr(self.args, "reward_funcs", None) or [] if name in REWARDS]
    if not chosen:
        return datasets
    note_rules(self.template)
    return [with_answers(dataset, chosen[0]) for dataset in datasets]


@patch("__init__", VanillaSampler)
def note_sampled_template(init: Callable[..., None], self: VanillaSampler, *given: Any, **more: Any) -> None:
    """Note the template of a sampling that has one of our rewards."""
    init(self, *given, **more)
    if self.args.orm_model in REWARDS:
        note_rules(self.template)


@patch("do_sample", VanillaSampler)
def keep_own_answers(do_sample: Callable[..., list[str]], self: VanillaSampler, data: dict[str, Any]) -> list[str]:
    """`swift sample` that keeps answers of the model's own: the true one, which swift puts among them, can be as good as the best."""
    if self.args.orm_model not in REWARDS:
        return do_sample(self, data)
    wanted, kept, counts = self.args.n_best_to_keep, [], Counter()
    true_answers = {true_answer_of({"messages": messages}) for messages in data["messages"]}
    self.args.n_best_to_keep = wanted + 1
    try:
        lines = do_sample(self, data)
    finally:
        self.args.n_best_to_keep = wanted
    for line in lines:
        row = json.loads(line)
        answer = row["messages"][-1]["content"]
        if not (answer in true_answers and count_tags([answer]).boxes) and counts[row["id"]] < wanted:
            counts[row["id"]] += 1
            kept.append(line)
    return kept


def note_rules(template: Any) -> None:
    """Read the answers of this process as `rules_of` says."""
    _rules[:] = [rules_of(template)]


def with_answers(dataset: Any, reward: str) -> Any:
    """A dataset of GRPO with the true answer of each row in a column `true_answer`.

    Raises GroundswiftError where rows hold nothing that the reward is defined for. Streamed rows are checked as they come.
    """
    if dataset is None:
        return None
    if not hasattr(dataset, "__len__"):
        return dataset.map(lambda row: {**row, TRUE_ANSWER: true_answer_of(row)})
    undefined = unscored(samples_of(dataset, is_resized(_rules[-1])))
    if undefined:
        held = ", ".join(f"{count} with {kind}" for kind, count in undefined.items())
        raise GroundswiftError(
            f"--reward_funcs {reward} is not defined for {sum(undefined.values())} of {len(dataset)} rows ({held}); expected answers "
            "with boxes, or that say there are none"
        )
    return dataset.add_column(TRUE_ANSWER, [true_answer_of({"messages": messages}) for messages in dataset["messages"]])


def true_answer_of(row: dict[str, Any]) -> str:
    """The last answer of a row."""
    last = row["messages"][-1]
    return last["content"] if last["role"] == "assistant" else ""


def truth_of(row: dict[str, Any]) -> OneTruth:
    """The ground-truth boxes of a row whose last answer is generated. Raises GroundswiftError where the reward is not defined for it."""
    if TRUE_ANSWER not in row:
        raise GroundswiftError(f"row without the column {TRUE_ANSWER}, which the plugin adds before training")
    turns = list(row["messages"])
    turns = turns[:-1] if turns and turns[-1]["role"] == "assistant" else turns
    true_answer = row[TRUE_ANSWER]
    sample: Sample = sample_of(0, row | {"messages": [*turns, {"role": "assistant", "content": true_answer}]}, is_resized(_rules[-1]))
    if sample.kind in UNSCORED:
        raise GroundswiftError(f"row {row.get('sample_id')!r}: no reward is defined for an answer with {sample.kind}")
    return OneTruth(sample.size_wh, sample.labels, sample.boxes_xyxy_px, sample.kind == LABELLED)
