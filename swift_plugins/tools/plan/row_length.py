"""Tokens of the longest rows: by swift's template where the model's tokenizer is on this machine, assumed otherwise."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import Any

import msgspec

from groundswift.data_converters.rows.any_row import AnyRow
from groundswift.errors import GroundswiftError

from ..encoding import NO_LOSS, encoded, open_template
from .data import dataset_of, local_rows
from .image_tokens import ImageTokens
from .settings import Settings

ASSUMED_TEXT = 512  # tokens of text in a row where no tokenizer is here
ENCODED = 8  # rows, those with the most text
GENERATED = 512  # --max_completion_length of GRPO


@dataclass(frozen=True)
class RowLength:
    """Tokens of the longest row, those of images among them, and those that have loss. `note`: how they were found."""

    tokens: int
    image_tokens: int
    loss_tokens: int
    note: str


def length_of(settings: Settings, names: Sequence[str], images: ImageTokens | None, most_images: int, given: int | None) -> RowLength:
    """The length to plan for: `given`, else image tokens of the largest image times the most images of a row, and text."""
    options = settings.options
    image = 0 if images is None else (images.highest if images.highest is not None else images.limit_highest) * max(1, most_images)
    measured = None if given else text_tokens(settings, names, images is not None)
    text, loss = measured or (ASSUMED_TEXT, ASSUMED_TEXT)
    if options.use_logits_to_keep is False:
        loss = text + image
    if given:
        return RowLength(given, min(image, given), min(loss, given), f"{given:,} tokens per row, as --tokens says")
    tokens = min(text + image, options.max_length or math.inf)
    source = "the text of the longest rows was tokenised" if measured else f"{ASSUMED_TEXT} tokens of text are assumed"
    if images is not None and images.highest is None:
        source += "; no image of the data is here, so one image at its upper limit is"
    if tokens < text + image:
        source += ", truncated by --max_length"
    note = f"activations are for rows of {tokens:,} tokens, {min(image, tokens):,} of them of images ({source})"
    return RowLength(tokens, min(image, tokens), min(loss, tokens), note)


def text_tokens(settings: Settings, names: Sequence[str], apart: bool) -> tuple[int, int] | None:
    """(most tokens, most tokens with loss) of the rows with the most text; `apart`: without those of images. None without a tokenizer."""
    options, model = settings.options, os.path.expanduser(settings.options.model or "")
    if not any(Path(model, name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        return None
    rows = [row for name in names for row in longest_rows(dataset_of(name)[0])]
    if not rows:
        return None
    try:
        template = open_template(model, options.model_type, options.template, options.max_pixels)
    except GroundswiftError:
        return None
    counts = [counted for row in rows if (counted := tokens_of(template, row, apart))]
    return (max(text for text, _ in counts), max(loss for _, loss in counts)) if counts else None


def longest_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a local file with the most text, as mappings."""
    found = nlargest(ENCODED, local_rows(name, AnyRow), key=lambda row: len(str(row.messages)) + len(str(row.objects)))
    return [{key: value for key, value in msgspec.to_builtins(row).items() if value is not None} for row in found]


def tokens_of(template: Any, row: dict[str, Any], apart: bool) -> tuple[int, int] | None:
    """(tokens, tokens with loss) of one row; None where swift cannot encode it."""
    try:
        made = encoded(template, row)
    except GroundswiftError:
        return None
    marks = getattr(template, "image_token_id", None)
    images = made.input_ids.count(marks) if apart and isinstance(marks, int) else 0
    return len(made.input_ids) - images, sum(label != NO_LOSS for label in made.labels)
