"""A plan as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...grounding.training_steps import Steps
from .image_tokens import ImageTokens
from .memory import gib
from .memory_plan import MemoryPlan
from .plan import Plan

NAME = 18  # width of the first column
BAR = 24  # width of the longest bar
OF_TOKENS = ("images", "lowest", "median", "highest", "limit_lowest", "limit_highest", "token_side_px")


def as_json(plan: Plan, command: str) -> dict[str, Any]:
    """The plan as plain values; null: not known."""
    return {
        "command": command,
        "datasets": [asdict(part) for part in plan.parts],
        "total_steps": plan.total_steps,
        "steps": steps_json(plan.steps) if plan.steps else None,
        "image_tokens": {name: getattr(plan.image_tokens, name) for name in OF_TOKENS} if plan.image_tokens else None,
        "memory": memory_json(plan, plan.memory) if plan.memory else None,
        "minutes": plan.minutes,
        "seconds_per_step": plan.seconds_a_step,
        "notes": plan.notes,
    }


def steps_json(steps: Steps) -> dict[str, Any]:
    """Optimizer steps, and the batches that they come from."""
    how = steps.batching
    found = {"rows": steps.rows, "unseen_rows_per_epoch": steps.unseen, "batch": how.batch, "accumulation": how.accumulation}
    found |= {"processes": how.processes, "batches_per_epoch": steps.batches}
    return found | {"per_epoch": steps.per_epoch, "total": steps.total, "epochs": steps.epochs}


def as_text(plan: Plan) -> str:
    """The plan as a table, one line a fact."""
    lines = [("rows", rows_text(plan)), *steps_lines(plan), ("tokens per image", tokens_text(plan.image_tokens)), ("time", time_text(plan))]
    lines += [] if plan.memory else [("memory", "not known")]
    table = [f"{name:<{NAME}}{text}" for name, text in lines]
    memory = ["", *memory_lines(plan, plan.memory)] if plan.memory else []
    return "\n".join([*table, *memory, *(["", *(f"note: {note}" for note in plan.notes)] if plan.notes else [])])


def memory_json(plan: Plan, memory: MemoryPlan) -> dict[str, Any]:
    """Memory on each GPU in bytes."""
    census = memory.census
    return {
        "estimate": True,
        "config": memory.config,
        "total_bytes": memory.total,
        "parts": [{"name": each.name, "gpu_bytes": each.gpu, "host_bytes": each.host, "detail": each.detail} for each in memory.items],
        "biggest": biggest(memory),
        "parameters": {part: {"all": numbers, "trainable": trained} for part, (numbers, trained) in census.parameters.items()},
        "limit_bytes": None if plan.memory_limit is None else round(plan.memory_limit * 2**30),
        "over_limit": plan.over,
        "lower_first": [{"option": each.option, "saves_bytes": each.saves} for each in memory.lower],
    }


def biggest(memory: MemoryPlan) -> str:
    """The name of the largest part."""
    return max(memory.items, key=lambda each: each.gpu).name


def memory_lines(plan: Plan, memory: MemoryPlan) -> list[str]:
    """A bar for each part, the largest named, and what to lower first where it is too much."""
    most = max(each.gpu for each in memory.items) or 1
    lines = [f"{'memory per GPU':<{NAME}}{gib(memory.total)} at the peak, estimate; biggest: {biggest(memory)}"]
    lines.append(f"{'':<{NAME}}from {memory.config}")
    for each in memory.items:
        host = f"  {gib(each.host)} on the host" if each.host else ""
        lines.append(f"  {each.name:<{NAME - 2}}{gib(each.gpu):>12}  {'#' * round(BAR * each.gpu / most):<{BAR}}  {each.detail}{host}")
    limit = f"--memory {plan.memory_limit:g} GiB" if plan.memory_limit is not None else ""
    if plan.over:
        lines.append(f"{'':<{NAME}}{gib(memory.total - plan.memory_limit * 2**30)} more than {limit}. Lower first:")
        lines += [f"{'':<{NAME}}{gib(each.saves):>12} less  {each.option}" for each in memory.lower]
    elif limit:
        lines.append(f"{'':<{NAME}}fits {limit}")
    return lines


def rows_text(plan: Plan) -> str:
    """Rows to train on, and those of the validation split."""
    training = [part.training_rows for part in plan.parts]
    if None in training:
        return "not known"
    split = sum(part.validation_rows for part in plan.parts)
    return f"{sum(training):,}" + (f", and {split:,} split off for validation" if split else "")


def steps_lines(plan: Plan) -> list[tuple[str, str]]:
    """Optimizer steps, and what makes one."""
    steps = plan.steps
    if steps is None:
        return [("steps", "not known" if plan.total_steps is None else f"{plan.total_steps:,} in all, by --max_steps")]
    how = steps.batching
    size = how.batch * how.accumulation * how.readers
    return [
        ("steps", f"{steps.per_epoch:,} per epoch, {steps.total:,} in all ({steps.epochs:.3g} epochs)"),
        ("rows per step", f"{size:,} = batch {how.batch} x accumulation {how.accumulation} x processes {how.processes}"),
    ]


def tokens_text(tokens: ImageTokens | None) -> str:
    """Tokens per image."""
    if tokens is None:
        return "not known"
    side = tokens.token_side_px
    allowed = f"limits {tokens.limit_lowest:,} to {tokens.limit_highest:,}, {side} x {side} px per token"
    if tokens.images == 0:
        return f"{allowed} (no image of the data is here)"
    found = f"lowest {tokens.lowest:,}, median {tokens.median:,.0f}, highest {tokens.highest:,}"
    return f"{found} of {tokens.images:,} images ({allowed})"


def time_text(plan: Plan) -> str:
    """Minutes at the measured rate."""
    if plan.minutes is None:
        return "not measured" if plan.seconds_a_step is None else "not known"
    return f"{plan.minutes:,.1f} minutes of training steps ({plan.seconds_a_step:g} s per step, {plan.rate_source})"
