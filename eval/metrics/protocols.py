"""One result file under the rules of other evaluators, side by side."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click

from ..answers.cli_options import COCO_TRUTH
from ..answers.protocol import Rules
from ..answers.swift_results import read_answers
from ..answers.to_boxes import Answers
from ..evaluated_run import Number
from ..ground_truth import Truth, read_truth, truth_counts
from ..metric import Evaluation, Metric
from ..protocols.card import RULES, card, case_of, lines_of, summary_of, table_of
from ..protocols.published import against_lines, figure_of
from .coco_map import evaluate


class Protocols(Metric):
    """Score RESULT, the rows that `swift infer` wrote, under the rules of COCO, Rex-Omni, LocateAnything, FindIt, lmms-eval and VLMEvalKit.

    Each rule has two columns: its own reading of the text, and the same rule on the boxes that groundswift places in the declared space.

    \b
    Example:
      groundswift eval protocols result.jsonl --gt annotations.json
      groundswift eval protocols result.jsonl --gt annotations.json --family qwen2_vl --json
    """

    name = "protocols"
    title = "Protocol card"
    numbers = tuple(
        Number(f"{rule.id}.{key}", f"{rule.title}: {title}") for rule in RULES.values() for key, title in islice(rule.numbers.items(), 1)
    )
    truth_option = COCO_TRUTH
    writes_run = False
    options = (
        click.option("--switches/--no-switches", default=True, show_default=True, help="Print what each rule fixes."),
        click.option(
            "--against",
            multiple=True,
            metavar="ID",
            help="Print a published figure next to the nearest number of this run; docs/protocols.md lists the ids. Repeatable.",
        ),
    )
    rules: Rules | None = None

    def source(self, result: Path | None) -> tuple[Path, Rules | None]:
        for name in self.options.get("against", ()):
            figure_of(name)
        return super().source(result)

    def read_truth(self, path: Path) -> Truth:
        return read_truth(path, self.options["on_error"], one_id=True)

    def read_answers(self, source: Path, truth: Truth, rules: Rules) -> Answers:
        self.rules = rules
        return read_answers(source, truth, rules, self.options["on_error"], progress=True)

    def score(self, answers: Answers, truth: Truth) -> Evaluation:
        self.scored = card(case_of(answers, truth, self.rules, lambda *columns: evaluate(*columns).summary))
        counts = {**truth_counts(truth), **answers.counts_document(), "images_by_rule": {each.rule.id: each.images for each in self.scored}}
        rules = ["; ".join([f"{rule.id}: {rule.line}", *map(": ".join, rule.switches.items())]) for rule in RULES.values()]
        return Evaluation(summary_of(self.scored), counts=counts, protocol={"rules": rules}, tables=[table_of(self.scored)])

    def lines(self, evaluation: Evaluation) -> list[str]:
        card_of_run = [f"{'':22}{'own':>7}{'placed':>9}", *lines_of(self.scored, self.options["switches"])]
        return card_of_run + against_lines(self.options["against"], evaluation.summary)

    def protocol_lines(self, protocol: dict[str, Any]) -> list[str]:
        return super().protocol_lines({key: value for key, value in protocol.items() if key != "rules"})
