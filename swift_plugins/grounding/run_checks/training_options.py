"""Training options that contradict each other or train something else than they seem to: checked at parsing.

Each check is a function from swift's arguments to what it found. Observed with ms-swift 4.6.0.

Precision without an accelerator: `--torch_dtype float32` sets `fp16`, which on a CPU means 16-bit arithmetic without a loss scale;
`--torch_dtype bfloat16` ends, with transformers 5.19.0, in `Your setup doesn't support bf16/gpu. You need to assign use_cpu`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

import torch
from swift.arguments import SftArguments
from swift.arguments.base_args.model_args import ModelArguments
from swift.metrics import eval_metrics_map
from swift.utils import get_logger

from groundswift.eval.metrics import METRICS

from ..patches.wrap_once import patch
from ..templates.box_loss import box_weight_of
from ..templates.grounding import FAMILY_OF_TEMPLATE, STOCK_OF_TEMPLATE
from .findings import Finding, check_before, report

OURS = "coco_map"
SWIFTS = {"nlg", "acc"}  # metrics whose numbers swift's own default of --metric_for_best_model fits, or that have no default to fit
FREEZES = ("freeze_llm", "freeze_vit", "freeze_aligner")  # options, one for each part of a model


def missing_metric(args: Any) -> Iterator[Finding]:
    """swift defaults to its text metric, and reports an unknown name only after the model is loaded.

    metric-unknown: `--eval_metric` names a metric that does not exist.
    metric-missing: `--eval_metric` is not set, and the package jieba of swift's text metric is not installed.
    """
    if args.eval_metric is not None and args.eval_metric not in eval_metrics_map:
        close = get_close_matches(args.eval_metric, eval_metrics_map, 1)
        known = f"did you mean {close[0]}? Known: " if close else "expected one of "
        yield Finding("metric-unknown", f"--eval_metric {args.eval_metric}: {known}{', '.join(sorted(eval_metrics_map))}", fatal=True)
    if args.eval_metric is None and args.predict_with_generate and args.task_type == "causal_lm" and find_spec("jieba") is None:
        yield Finding(
            "metric-missing",
            f"--predict_with_generate true without --eval_metric uses swift's text metric nlg, whose package jieba is not installed. "
            f"Add --eval_metric {OURS} to score boxes, or pip install jieba",
            fatal=True,
        )


def wrong_best_metric(args: Any) -> Iterator[Finding]:
    """With generated answers swift selects the best checkpoint by rouge-l, and fails at the first evaluation of any other metric.

    best-metric-unfit: `--metric_for_best_model` is swift's default rouge-l, which `--eval_metric` does not log.
    metric-needs-answers: `--eval_metric` scores generated answers, and `--predict_with_generate true` is missing.
    """
    evaluates = args.eval_strategy != "no" and args.eval_metric is not None
    if evaluates and args.predict_with_generate and args.eval_metric not in {*METRICS, *SWIFTS} and args.metric_for_best_model == "rouge-l":
        yield Finding(
            "best-metric-unfit",
            f"--metric_for_best_model rouge-l (swift's default) is not logged by --eval_metric {args.eval_metric}: the first "
            f"evaluation would end the run. Add --metric_for_best_model NAME, a number that {args.eval_metric} logs",
            fatal=True,
        )
    if args.eval_metric in METRICS and not args.predict_with_generate:
        what = f"--eval_metric {args.eval_metric} scores generated answers: add --predict_with_generate true"
        yield Finding("metric-needs-answers", what, fatal=True)


def nothing_trained(args: Any) -> Iterator[Finding]:
    """With every part frozen swift stops with an empty AssertionError (LoRA), or at the first backward pass (full)."""
    if not (is_in_parts(args) and all(getattr(args, option) for option in FREEZES)) or args.adapters or args.resume_from_checkpoint:
        return
    full = args.tuner_type == "full"
    if (not args.trainable_parameters and not args.trainable_parameters_regex) if full else targets_all_linear(args):
        yield Finding(
            "nothing-trained",
            "--freeze_llm, --freeze_vit and --freeze_aligner are all true: nothing is trained. Set at least one of them to false"
            + ("" if full else ", or name the layers in --target_modules"),
            fatal=True,
        )


def frozen_merger(args: Any) -> Iterator[Finding]:
    """`--freeze_vit false` does not train the aligner between vision tower and language model."""
    if not is_in_parts(args) or args.freeze_vit or not args.freeze_aligner:
        return
    aligner = args.model_meta.model_arch.aligner
    if aligner and (args.tuner_type == "full" or targets_all_linear(args)):
        yield Finding(
            "merger-frozen",
            f"--freeze_vit false trains the vision tower, but --freeze_aligner true keeps {', '.join(aligner)} frozen. "
            "Add --freeze_aligner false to train both",
        )


def truncated_boxes(args: Any) -> Iterator[Finding]:
    """swift truncates a row that is too long at its end or beginning, in the middle of boxes.

    boxes-truncated: `--truncation_strategy` would truncate long rows in the middle of boxes; they are dropped and counted instead.
    """
    if args.truncation_strategy in ("left", "right") and args.template in FAMILY_OF_TEMPLATE and not hasattr(args, "rlhf_type"):
        yield Finding(
            "boxes-truncated",
            f"--truncation_strategy {args.truncation_strategy} would truncate boxes: rows with boxes above --max_length {args.max_length} "
            "are dropped and counted instead, as by --truncation_strategy delete",
        )


def unused_box_weight(args: Any) -> Iterator[Finding]:
    """Only grounding templates weigh boxes, and the losses of `swift rlhf` do not weigh tokens.

    box-loss-unused: `--loss_scale box` would do nothing: no grounding template, `swift rlhf`, or `--is_binary_loss_scale true`.
    """
    if box_weight_of(args.loss_scale or "") is None:
        return
    if args.template not in STOCK_OF_TEMPLATE:
        what = f"template {args.template} does not weigh boxes. Add --template NAME_grounding"
    elif hasattr(args, "rlhf_type"):
        what = f"the loss of swift rlhf --rlhf_type {args.rlhf_type} does not weigh tokens. Remove box"
    elif args.is_binary_loss_scale:
        what = "--is_binary_loss_scale true drops all weights. Remove it"
    else:
        return
    yield Finding("box-loss-unused", f"--loss_scale {args.loss_scale}: {what}", fatal=True)


def accuracy_of_boxes(args: Any) -> Iterator[Finding]:
    """swift's reward `accuracy` asks math-verify, which takes one number for the value of a list: [1, 2, 3, 240] is [64, 48, 320, 240].

    reward-accuracy-boxes: `--reward_funcs accuracy` with a grounding template compares a box by one number of it.
    """
    if "accuracy" in (getattr(args, "reward_funcs", None) or ()) and args.template in STOCK_OF_TEMPLATE:
        yield Finding(
            "reward-accuracy-boxes",
            "--reward_funcs accuracy compares a box by one number of it (math-verify): wrong boxes are paid for, right ones may not be. "
            "Use detection_f1, det_map, rec_iou or box_format",
        )


def is_in_parts(args: Any) -> bool:
    """Whether swift knows the parts of a model that can be frozen apart."""
    return bool(args.model_meta and args.model_meta.is_multimodal and args.model_meta.model_arch)


def targets_all_linear(args: Any) -> bool:
    """Whether a new adapter's layers are those of the parts that are not frozen."""
    return not args.target_regex and isinstance(args.target_modules, list) and "all-linear" in args.target_modules


check_metric = check_before(SftArguments, "_init_metric", missing_metric)
check_training = check_before(  # before the first method of swift when all options of tuners are set
    SftArguments,
    "_check_padding_free",
    wrong_best_metric,
    nothing_trained,
    frozen_merger,
    truncated_boxes,
    unused_box_weight,
    accuracy_of_boxes,
)


@patch("_init_mixed_precision", ModelArguments)
def fit_precision_to_device(init: Callable[..., None], self: ModelArguments) -> None:
    """On a CPU, train 32-bit weights in 32 bits and let bf16 run; warn of fp16."""
    chosen = self.fp16
    init(self)
    accelerator = torch.accelerator.is_available()
    if not accelerator:
        set_for_cpu(self, chosen)
    report(half_precision(self, chosen, accelerator))


def set_for_cpu(args: Any, chosen_fp16: bool | None) -> None:
    """Change what swift derived from the type of the weights alone; what was typed stays."""
    if chosen_fp16 is None and args.fp16 and args.torch_dtype == torch.float32:
        args.fp16 = False
        get_logger().info("--torch_dtype float32 on a CPU: fp16 false, so that 32-bit weights are trained in 32 bits")
    if args.bf16 and not args.use_cpu:
        args.use_cpu = True
        get_logger().info("--torch_dtype bfloat16 on a CPU: use_cpu true")


def half_precision(args: Any, chosen_fp16: bool | None, accelerator: bool) -> Iterator[Finding]:
    """Precision that swift derives from the weights' type without logging it.

    fp16-on-cpu: fp16 on a CPU has no loss scale, so gradients may vanish.
    fp16-of-float32: with `--torch_dtype float32` swift trains in fp16 arithmetic.
    """
    if args.fp16 and not accelerator:
        asked = "--fp16 true" if chosen_fp16 else f"--torch_dtype {str(args.torch_dtype).removeprefix('torch.')}"
        yield Finding(
            "fp16-on-cpu",
            f"{asked} on a CPU: 16-bit arithmetic without a loss scale, whose gradients may vanish. Use --torch_dtype bfloat16, or float32 "
            "with --fp16 false",
        )
    elif args.fp16 and chosen_fp16 is None and args.torch_dtype == torch.float32:
        yield Finding(
            "fp16-of-float32",
            "--torch_dtype float32: swift sets fp16 arithmetic for 32-bit weights. Add --fp16 false for 32 bits throughout, or "
            "--fp16 false --bf16 true for bf16 arithmetic",
        )
