"""Our benchmarks in `swift eval --eval_dataset groundswift_coco` and in a training with `--eval_use_evalscope true`.

evalscope is imported only where one of the two asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swift.arguments import EvalArguments
from swift.trainers.mixin import SwiftMixin

from groundswift.eval.answers.protocol import Rules
from groundswift.family import FAMILIES

from ..metrics.scoring import rules_of
from ..patches.run_record import limits_now
from ..patches.wrap_once import patch, wrap_once
from ..templates.grounding import FAMILY_OF_TEMPLATE


@patch("list_eval_dataset", EvalArguments)
def list_ours(listed: Callable[..., Any], eval_backend: str | None = None) -> dict[str, list[str]]:
    """The benchmarks that `swift eval` knows, with ours."""
    from swift.pipelines.eval.eval import SwiftEval

    from .adapter import register_benchmarks

    register_benchmarks()
    wrap_once(SwiftEval, "run", run_with_rules)
    return listed(eval_backend)


def run_with_rules(run: Callable[..., Any], self: Any) -> Any:
    """`swift eval` that knows how its answers are read."""
    from .adapter import note_rules

    family = FAMILY_OF_TEMPLATE.get(self.args.template)
    limits = limits_now(FAMILIES[family], self.args.max_pixels) if family else None
    note_rules(Rules(family, limits=limits) if family else None)
    return run(self)


@patch("_evalscope_eval", SwiftMixin)
def evaluate_with_rules(evaluate: Callable[..., Any], self: SwiftMixin) -> Any:
    """A training's evaluation by evalscope that knows our benchmarks, and how its answers are read."""
    from .adapter import note_rules, register_benchmarks

    register_benchmarks()
    is_ours = self.template.template_meta.template_type in FAMILY_OF_TEMPLATE
    note_rules(rules_of(self.template) if is_ours else None)
    return evaluate(self)
