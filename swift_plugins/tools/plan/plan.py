"""The plan of a training: steps, image tokens, memory and minutes, with what is not known and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundswift.errors import GroundswiftError
from groundswift.family import Family

from ...grounding.training_steps import Steps, count_steps
from .data import Images, Part, images_of, parts_of
from .image_tokens import ImageTokens, count_image_tokens, family_of_template, limits_of
from .settings import Settings

if TYPE_CHECKING:
    from .memory_plan import MemoryPlan

RATE = re.compile(r"([0-9]*\.?[0-9]+) *s/step")


@dataclass
class Plan:
    """A training before it is started. None: unknown, with the reason in `notes`."""

    parts: list[Part]
    steps: Steps | None = None
    max_steps: int | None = None
    image_tokens: ImageTokens | None = None
    images: Images = field(default_factory=Images)
    seconds_a_step: float | None = None
    rate_source: str = ""
    memory: MemoryPlan | None = None
    memory_limit: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def minutes(self) -> float | None:
        """Minutes of all optimizer steps at the measured rate, without loading, evaluation and saving."""
        known = self.total_steps is not None and self.seconds_a_step is not None
        return self.total_steps * self.seconds_a_step / 60 if known else None

    @property
    def total_steps(self) -> int | None:
        """Optimizer steps in all; with `--max_steps` they are known even where an epoch has no length."""
        return self.max_steps if self.steps is None else self.steps.total

    @property
    def over(self) -> bool:
        """Whether the memory on a GPU is more than `--memory`, in GiB."""
        return self.memory is not None and self.memory_limit is not None and self.memory.total > self.memory_limit * 2**30


def make_plan(
    settings: Settings,
    head: dict[str, str],
    rows: Sequence[int] = (),
    seconds_per_step: float | None = None,
    config: Path | None = None,
    tokens: int | None = None,
    memory: float | None = None,
) -> Plan:
    """Steps, image tokens, memory and minutes. Raises GroundswiftError for what swift would stop at.

    `rows` in place of counted ones, a measured rate, `config` of the model, `tokens` of the longest row, `memory` of a GPU in GiB.
    """
    options = settings.options
    names = [*options.dataset, *options.cached_dataset]
    if not names:
        raise GroundswiftError("no --dataset: add one")
    plan = Plan(parts_of(options.dataset, options.cached_dataset, settings.split_ratio(), rows), memory_limit=memory)
    plan.seconds_a_step, plan.rate_source = measured_rate(head, seconds_per_step)
    plan_steps(plan, settings)
    plan_images(plan, settings, names)
    plan_of_memory(plan, settings, names, config, tokens)
    return plan


def plan_of_memory(plan: Plan, settings: Settings, names: list[str], config: Path | None, tokens: int | None) -> None:
    """Memory by part, or a note why it is not known; an error where the memory or a configuration was asked for by name."""
    from .memory_plan import notes_on_memory, plan_memory
    from .row_length import length_of

    try:
        length = length_of(settings, names, plan.image_tokens, plan.images.most_a_row, tokens)
        plan.memory = plan_memory(settings, length, config)
    except GroundswiftError as error:
        if config is not None or plan.memory_limit is not None:
            raise
        plan.notes.append(f"memory: not known, {error}")
        return
    plan.notes += [length.note, *notes_on_memory(plan.memory, settings)]


def measured_rate(head: dict[str, str], given: float | None) -> tuple[float | None, str]:
    """(seconds a step, where it was found): what is given, else what the recipe's head says was measured."""
    if given is not None:
        return given, "--seconds-per-step"
    found = RATE.search(head.get("Rate", ""))
    return (float(found[1]), f"recipe: {head['Rate']}") if found else (None, "")


def plan_steps(plan: Plan, settings: Settings) -> None:
    """Steps from the rows of all datasets, or a note why they are not known."""
    options = settings.options
    plan.max_steps = options.max_steps if options.max_steps > 0 else None
    if options.streaming and plan.max_steps is None:
        raise GroundswiftError("--streaming true needs --max_steps: streamed rows have no length")
    if reason := without_length(plan, options):
        plan.notes.append(f"steps per epoch: not known, {reason}")
        return
    rows = sum(part.training_rows for part in plan.parts)
    plan.steps = count_steps(rows, settings.batching(), options.num_train_epochs, options.max_steps, options.max_epochs)
    plan.notes += notes_on_rows(plan, settings)


def without_length(plan: Plan, options: Any) -> str | None:
    """Why the number of rows in an epoch is not known; None where it is."""
    if options.streaming:
        return "rows are streamed"
    if options.packing:
        return "--packing joins as many rows as fit --packing_length, which depends on their tokens"
    if options.truncation_strategy == "split":
        return "--truncation_strategy split makes several rows of a long one"
    if options.interleave_prob:
        return "--interleave_prob draws rows at random until a dataset is exhausted"
    unknown = ", ".join(repr(part.name) for part in plan.parts if part.training_rows is None)
    return f"{unknown} is not a local file of rows; add --rows N" if unknown else None


def notes_on_rows(plan: Plan, settings: Settings) -> list[str]:
    """What a user may not expect of the rows and steps."""
    notes, steps, accumulation = [], plan.steps, plan.steps.batching.accumulation
    if steps.unseen:
        notes.append(f"{steps.unseen} of {steps.rows} rows are in no batch of an epoch; which ones varies by epoch")
    if steps.batches < accumulation:
        fewer = f"an epoch has {steps.batches} batches per process, fewer than --gradient_accumulation_steps {accumulation}"
        notes.append(f"{fewer}: each step has fewer rows than asked for")
    for part in plan.parts:
        if part.rows is not None and part.training_rows + part.validation_rows > part.rows:
            notes.append(f"{part.name!r} asks for {part.training_rows + part.validation_rows:,} of {part.rows:,} rows, so rows repeat")
    given = settings.environment.get("NPROC_PER_NODE") or ""
    per_node = settings.processes // settings.nodes
    if per_node > 1 and not given:
        notes.append(f"NPROC_PER_NODE is not set: swift would start one process and spread the layers. Set NPROC_PER_NODE={per_node}")
    elif given and given != str(per_node):
        notes.append(f"the command starts {given} processes per node (NPROC_PER_NODE); planned for {per_node}")
    if settings.options.resume_from_checkpoint:
        notes.append("--resume_from_checkpoint: steps that the checkpoint has done are part of the total")
    return notes


def plan_images(plan: Plan, settings: Settings, names: list[str]) -> None:
    """Tokens of the data's images, or a note why they are not known."""
    options = settings.options
    row = family_of_template(options.template, options.model_type) or family_of_name(settings)
    if row is None or row.resize_factor is None:
        whose = f"family {row.name}" if row else "a template or model type that is not in the table of families"
        plan.notes.append(f"image tokens: not counted for {whose}, which has no resize to multiples of a factor")
        return
    limits = limits_of(settings.environment, row, options.max_pixels)
    plan.images = images_of(names)
    plan.image_tokens = count_image_tokens(plan.images.sizes_wh, row, limits)
    if plan.images.unread:
        plan.notes.append(f"image tokens: {plan.images.unread} images are not counted, as their size is not known")
    if plan.image_tokens.refused:
        plan.notes.append(f"image tokens: {plan.image_tokens.refused} images are refused by the resize, and training will skip them")


def family_of_name(settings: Settings) -> Family | None:
    """The family of a model that swift knows by its name; None where it does not, or has no family here."""
    from .model import model_meta_of

    meta = model_meta_of(settings)
    return family_of_template(meta.template, meta.model_type) if meta is not None else None
