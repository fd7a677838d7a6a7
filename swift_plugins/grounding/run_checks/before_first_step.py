"""Checks that need the loaded model, template and rows: made once, before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from swift.trainers.mixin import SwiftMixin
from swift.utils import get_dist_setting
from transformers.integrations import is_deepspeed_zero3_enabled

from groundswift.coordinates import resized_wh
from groundswift.family import FAMILIES, Family
from groundswift.image_resize import Limits

from ..metrics.validation_rows import first_image_wh
from ..patches.run_record import limits_now
from ..templates.grounding import FAMILY_OF_TEMPLATE
from .findings import Finding, check_before

ADVISED_TOKENS = (1024, 2048)  # of an image, for grounding: what Qwen's maintainers advise (ggml-org/llama.cpp#16842)
MEASURED_ROWS = 64  # rows whose images are measured
# families whose vision tower is shown a blank image where a batch has none, by template, loader or the model's own code
ALWAYS_RUN_VISION_TOWER = {
    "qwen_vl",
    "qwen2_vl",
    "qwen2_5_vl",
    "mimo_vl",
    "qwen3_vl",
    "qwen3_5",
    "qwen3_8",
    "qwen2_5_omni",
    "qwen3_omni",
    "glm4v",
    "internvl",
    "gemma4",
}
MEDIA = ("images", "videos")


def nothing_trained(trainer: Any) -> Iterator[Finding]:
    """torch stops at the first backward pass without naming the option that froze everything.

    nothing-trained: every part of the model is frozen, so nothing is trained.
    """
    if not any(weight.requires_grad for weight in trainer.model.parameters()):
        yield Finding(
            "nothing-trained",
            "every weight of the model is frozen, so nothing is trained. Check --freeze_llm, --freeze_vit, --freeze_aligner, "
            "--freeze_parameters and --trainable_parameters",
            fatal=True,
        )


def text_among_images(trainer: Any) -> Iterator[Finding]:
    """ZeRO stage 3 gathers the vision tower in all processes at once; a process without an image never joins.

    zero3-text-rows: rows with and without images under ZeRO-3, where a process without an image makes the others wait forever.
    """
    family = FAMILY_OF_TEMPLATE.get(trainer.template.template_meta.template_type)
    processes = get_dist_setting()[2]
    if processes < 2 or family is None or family in ALWAYS_RUN_VISION_TOWER or not is_deepspeed_zero3_enabled():
        return
    rows = stored_rows(trainer.train_dataset)
    media = rows.select_columns([name for name in MEDIA if name in rows.column_names]) if rows else []
    with_media = sum(any(row.values()) for row in media)
    if 0 < with_media < len(media):
        yield Finding(
            "zero3-text-rows",
            f"{len(media) - with_media} of {len(media)} rows have no image, and under zero3 {processes} processes of family {family} hang "
            "at the first batch without one. Use --deepspeed zero2, or train rows without an image separately",
            fatal=True,
        )


def few_image_tokens(trainer: Any) -> Iterator[Finding]:
    """swift's default minimum is 4 tokens: small images get few tokens, and boxes get coarse.

    image-tokens-few: images with fewer tokens than Qwen advises for grounding; boxes get coarse.
    """
    name = FAMILY_OF_TEMPLATE.get(trainer.template.template_meta.template_type)
    row, rows = FAMILIES.get(name), stored_rows(trainer.train_dataset)
    if row is None or row.resize_factor is None or not rows:
        return
    limits = limits_now(row, trainer.template.max_pixels)
    tokens = [tokens_of(size_wh, row, limits) for size_wh in sizes_wh(rows)]
    (least, most), area = ADVISED_TOKENS, row.resize_factor**2
    few = [count for count in tokens if count < least]
    if few:
        first = limits.first_max_pixels
        remedy = f"remove --max_pixels {first}, and " if first is not None and first < least * area else ""
        remedy += f"export IMAGE_MIN_TOKEN_NUM={least}" + (f" and IMAGE_MAX_TOKEN_NUM={most}" if limits.max_pixels < most * area else "")
        yield Finding(
            "image-tokens-few",
            f"{len(few)} of {len(tokens)} sampled images have fewer than {least} tokens (median {median(tokens):.0f}; limits "
            f"{limits.min_pixels // area} to {limits.max_pixels // area}). For grounding, Qwen advises {least} to {most}: {remedy}, "
            "in training and inference",
        )


def stored_rows(dataset: Any) -> Any:
    """The rows of a training as swift stores them, under what encodes and packs them; None where they are streamed."""
    while dataset is not None and not hasattr(dataset, "column_names"):
        dataset = getattr(dataset, "dataset", None)
    return dataset if hasattr(dataset, "__len__") and len(dataset) and "messages" in dataset.column_names else None


def sizes_wh(rows: Any) -> Iterator[tuple[int, int]]:
    """(width, height) in px of the first image of up to MEASURED_ROWS rows, spread over all of them; unreadable images are skipped."""
    chosen = (rows[index] for index in range(0, len(rows), max(1, len(rows) // MEASURED_ROWS)))
    return filter(None, (first_image_wh(row) for row in chosen if row.get("images")))


def tokens_of(size_wh: tuple[int, int], row: Family, limits: Limits) -> int:
    """How many tokens an image has under the limits of a run."""
    wide, high = resized_wh(size_wh, row.name, limits.min_pixels, limits.max_pixels, limits.first_max_pixels)
    return wide * high // row.resize_factor**2


check_loaded_training = check_before(SwiftMixin, "train", nothing_trained, text_among_images, few_image_tokens)
