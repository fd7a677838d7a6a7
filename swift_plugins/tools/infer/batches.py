"""Batches of questions of about the same length, the longest first: the same ones whatever was answered before, and by how many processes.

Where answers depend on their batch in the last bits (16-bit weights, padding), they are then still the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from groundswift.image_resize import Limits

from .questions import Question, size_of

TOKENS = 65_536  # of prompts and answers in a batch: some 4 GB of KV cache for models of 7 and 8 billion parameters
MOST_ROWS = 64
PX_A_TOKEN = 28 * 28  # of most families; only the order and the number of rows depend on it
CHARACTERS_A_TOKEN = 3
CHARACTERS_A_BOX = 30


@dataclass(frozen=True)
class Batch:
    """Questions that are answered together. `name`: the same whenever the batch is answered."""

    questions: list[Question]

    @property
    def name(self) -> str:
        """The key of its first question, in hexadecimal digits."""
        return self.questions[0].key


def expected_tokens(question: Question, limits: Limits) -> tuple[int, int]:
    """About how many tokens a prompt has, and what orders answers of about the same length: by the objects of the row, if it has some."""
    tokens = len(question.text) // CHARACTERS_A_TOKEN
    for number, image in enumerate(question.images):
        stated = question.row.get("size_wh") if number == 0 else None
        width, height = stated or size_of(image) or (0, 0)
        area = max(min(width * height, limits.max_pixels or math.inf, limits.first_max_pixels or math.inf), limits.min_pixels or 0)
        tokens += math.ceil(area / PX_A_TOKEN)
    objects = question.row.get("objects")
    answer = objects if isinstance(objects, dict) else {}
    labels = sum(len(str(label)) for label in answer.get("ref") or [])
    return tokens, labels + CHARACTERS_A_BOX * len(answer.get("bbox") or [])


def batches_of(questions: Sequence[Question], limits: Limits, max_new_tokens: int, rows: int | None) -> list[list[int]]:
    """The places of all questions in batches; `rows`: in each, or None for what the budget of tokens holds."""
    lengths = [expected_tokens(question, limits) for question in questions]
    order = sorted(range(len(questions)), key=lambda place: lengths[place], reverse=True)
    batches = []
    while order:
        tokens = lengths[order[0]][0] + max_new_tokens
        count = rows or max(1, min(MOST_ROWS, TOKENS // tokens))
        batches.append(order[:count])
        order = order[count:]
    return batches
