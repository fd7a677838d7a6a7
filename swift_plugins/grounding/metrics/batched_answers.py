"""Evaluation while training answers in batches, rows of about the same length together: several times as fast as swift's one at a time.

Only where `--eval_metric coco_map` runs. The metric is given the answers in the order of the rows, as ever. Answers to a batch are those to
single rows as far as arithmetic is exact: greedy, in 32 bits, they are the same; in 16 bits a padded row may round to another token.

Rows in a batch: as `--per_device_eval_batch_size` says. Where that is 1, swift's default, as many as GROUNDSWIFT_EVAL_TOKENS (16384) tokens
of prompt and answer allow, at most 64; GROUNDSWIFT_EVAL_TOKENS=0 keeps one at a time. A batch that does not fit into memory is halved, and
where a model's own code cannot answer several rows they are answered one at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import islice
from math import ceil
from typing import Any

import torch
from swift.utils import get_dist_setting, get_logger
from transformers.integrations import is_deepspeed_zero3_enabled

from groundswift.errors import error_at

TOKENS = "GROUNDSWIFT_EVAL_TOKENS"
DEFAULT_TOKENS = 16_384  # some 1 to 2.5 GB of KV cache for models of 7 and 8 billion parameters
MOST_ROWS = 64  # in a batch, and in what is sorted at once
BOX_LENGTH = 30  # characters that an answer grows by with each box, about
UNREADABLE_TOKENS = 4096  # of a prompt, where none of the largest rows can be read
ATTEMPTS = 8  # rows that are tried


def token_budget() -> int:
    """Tokens of prompt and answer in a batch. Raises GroundswiftError where GROUNDSWIFT_EVAL_TOKENS is not a number of them."""
    text = os.environ.get(TOKENS) or str(DEFAULT_TOKENS)
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise error_at(TOKENS, repr(text[:100]), "a whole number of tokens, or 0 for one row at a time")
    return int(text)


def answer_in_batches(trainer: Any, sizes_wh: Sequence[tuple[int, int]]) -> None:
    """Let a trainer whose `max_new_tokens` is set evaluate in batches. `sizes_wh`: (width, height) in px of each validation row's image."""
    args, engine = trainer.args, trainer.infer_engine
    rows, budget = args.per_device_eval_batch_size, token_budget()
    if rows == 1 and budget:
        rows = rows_in_a_batch(tokens_of_largest(trainer, sizes_wh), budget)
    if rows > 1:
        window = max(args.per_device_eval_batch_size, min(MOST_ROWS, ceil(len(sizes_wh) / get_dist_setting()[2])))
        args.per_device_eval_batch_size = window  # rows that swift passes at once; nothing else depends on it
        engine.infer = in_batches(engine, rows)
        get_logger().info(f"coco_map: each process answers up to {min(rows, window)} validation rows at a time")


def rows_in_a_batch(tokens_a_row: int, budget: int) -> int:
    """How many rows of so many tokens a budget holds, 1 to 64."""
    return max(1, min(MOST_ROWS, budget // max(tokens_a_row, 1)))


def tokens_of_largest(trainer: Any, sizes_wh: Sequence[tuple[int, int]]) -> int:
    """Tokens of the validation row with the largest image that can be read, with the longest answer that may be generated."""
    rows, prompt = trainer.eval_dataset, UNREADABLE_TOKENS
    for place in sorted(range(len(sizes_wh)), key=lambda place: -sizes_wh[place][0] * sizes_wh[place][1])[:ATTEMPTS]:
        row = rows[place] if hasattr(rows, "__getitem__") else next(islice(rows, place, None))
        try:
            prompt = len(trainer.template.encode(row)["input_ids"])
            break
        except Exception:  # evaluation will report the row as unanswered, with the reason
            continue
    return prompt + (trainer.model.generation_config.max_new_tokens or 0)


def expected_length(request: dict[str, Any]) -> int:
    """About how many characters the true answer to a request has, by its labels and boxes: swift has removed the answer itself."""
    objects = request.get("objects") or {}
    return sum(len(label or "") for label in objects.get("ref") or []) + BOX_LENGTH * len(objects.get("bbox") or [])


def in_batches(engine: Any, rows: int) -> Callable[..., list[Any]]:
    """An engine's `infer` that answers the longest rows first, `rows` at a time, and returns the answers in the order of the requests."""
    infer, most = engine.infer, rows

    def attempt(requests: list[dict[str, Any]], *given: Any, **more: Any) -> list[Any] | Exception:
        engine.max_batch_size = len(requests)
        try:
            return infer(requests, *given, **more)
        except Exception as error:
            if len(requests) == 1 or is_deepspeed_zero3_enabled():  # whose processes have to answer in step
                raise
            return error.with_traceback(None)  # which would keep the tensors of the batch

    def answer(requests: Sequence[dict[str, Any]], *given: Any, **more: Any) -> list[Any]:
        nonlocal most
        order = sorted(range(len(requests)), key=lambda place: expected_length(requests[place]), reverse=True)
        answers: list[Any] = [None] * len(requests)
        while order:
            chosen = order[:most]
            found = attempt([requests[place] for place in chosen], *given, **more)
            if isinstance(found, Exception):
                most = smaller_batch(len(chosen), found)
                continue
            for place, one in zip(chosen, found, strict=True):
                answers[place] = one
            order = order[len(chosen) :]
        return answers

    return answer


def smaller_batch(rows: int, error: Exception) -> int:
    """How many rows to try after a batch has failed: half of them when out of memory, else one. Logs it."""
    short = isinstance(error, torch.OutOfMemoryError)
    if short:
        torch.cuda.empty_cache()
    fewer = rows // 2 if short else 1
    why = "do not fit into memory" if short else f"cannot be answered ({type(error).__name__}: {error})"
    get_logger().warning(f"coco_map: {rows} validation rows at a time {why}; continuing with {fewer}")
    return fewer
