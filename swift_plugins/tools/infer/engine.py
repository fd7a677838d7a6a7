"""A local model through swift's own engines: its arguments, its loading, its template with this plugin; batches that may fail in part."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

from msgspec.structs import replace

from groundswift.errors import GroundswiftError, Interrupted, error_at
from groundswift.family import FAMILIES
from groundswift.run_record import RunRecord, decoder_name, read_record, record_of_folder

from ..encoding import holds_no_code, load_plugin, one_line, open_template
from ..quiet import quiet
from .batches import Batch
from .job import Pixels, base_of
from .journal import Answer
from .settings import Settings

PACKAGES = {"vllm": "vllm", "sglang": "sglang", "lmdeploy": "lmdeploy"}


class SwiftEngine:
    """A loaded model. Raises GroundswiftError where the model, its template or the engine's package cannot be loaded."""

    served_model = None

    def __init__(self, settings: Settings, pixels: Pixels) -> None:
        package = PACKAGES.get(settings.engine)
        if package and find_spec(package) is None:
            raise GroundswiftError(f"--engine {settings.engine} needs the package {package}, which is not installed")
        set_limits(pixels)
        self.settings = settings
        self.batches = settings.engine == "transformers"
        source = settings.adapters[0] if settings.adapters else settings.model
        with quiet():
            from swift.infer_engine import RequestConfig
            from swift.pipelines.infer.infer import SwiftInfer

            load_plugin()
        with quiet(trusted=holds_no_code(settings.model or base_of(settings.adapters[0]))):  # its loggers exist by now
            opened = open_template(source, settings.model_type, settings.template or template_of_record(source))
            try:
                self.pipeline = SwiftInfer(arguments(settings, opened, pixels))
            except GroundswiftError:
                raise
            except (Exception, SystemExit) as error:  # swift's arguments, downloads, weights, memory: many kinds
                raise error_at(source, f"cannot be loaded ({one_line(error)})") from None
        self.engine = self.pipeline.infer_engine
        self.template = self.pipeline.template
        self.seed = settings.seed if settings.temperature else None
        self.config = RequestConfig(
            max_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            num_beams=settings.num_beams,
            repetition_penalty=settings.repetition_penalty,
            logprobs=settings.logprobs,
            top_logprobs=settings.top_logprobs,
            seed=self.seed,
        )

    @property
    def record(self) -> RunRecord | None:
        """The record of the run, as `swift infer` with the plugin writes it."""
        from ...grounding.patches.run_record import record_of_template

        found = record_of_template(self.template)
        if found is None:
            return None
        return replace(found, decoder=decoder_name(self.settings.engine, self.settings.num_beams))

    def answers(self, batches: Iterator[Batch]) -> Iterator[tuple[Batch, list[Answer]]]:
        """Answer batches in their order."""
        for batch in batches:
            yield batch, self.answer([question.request for question in batch.questions], batch.name)

    def answer(self, requests: Sequence[dict[str, Any]], name: str = "") -> list[Answer]:
        """The answer or failure to each request. `name` seeds sampling, so that a batch is answered alike whenever it is its turn."""
        started = time.perf_counter()
        with quiet():
            self._seed(name)
            answers = self._attempt(list(requests))
        share = (time.perf_counter() - started) / max(len(requests), 1)
        return [replace(answer, seconds=round(share, 6)) for answer in answers]

    def _seed(self, name: str) -> None:
        if self.seed is None:
            return
        from swift.utils import seed_everything

        seed_everything((self.seed + int(name[:8] or "0", 16)) % 2**32)

    def _attempt(self, requests: list[dict[str, Any]]) -> list[Answer]:
        """All at once; where that fails, in halves: a batch that does not fit into memory, a model whose code takes single rows only."""
        try:
            found = self._infer(requests)
        except Exception as error:  # of the model, its code, or memory
            release_memory(error)
            if is_lost(error):
                raise Interrupted(f"the GPU failed ({one_line(error)}); run the same command again to go on") from None
            if len(requests) == 1:
                return [failure(error)]
            middle = len(requests) // 2
            return self._attempt(requests[:middle]) + self._attempt(requests[middle:])
        answers = [failure(each) if isinstance(each, Exception) else answer_of(each) for each in found]
        for place in self._cut_by_others(answers):
            answers[place] = self._attempt([requests[place]])[0]
        return answers

    def _infer(self, requests: list[dict[str, Any]]) -> list[Any]:
        self.engine.strict = False
        if self.batches:
            self.engine.max_batch_size = len(requests)
        return self.engine.infer(deepcopy(requests), self.config, use_tqdm=False, **self.pipeline.infer_kwargs)

    def _cut_by_others(self, answers: list[Answer]) -> list[int]:
        """Answers of a batch that stopped early because its longest prompt left less room in the model's length than their own does."""
        longest, limit = max((each.prompt_tokens or 0 for each in answers), default=0), self.config.max_tokens
        return [
            place
            for place, each in enumerate(answers)
            if each.finish_reason == "length" and each.completion_tokens < limit and each.prompt_tokens < longest
        ]


def template_of_record(folder: str) -> str | None:
    """The template that a model was trained with, as its record says; None without one, as of a hub id."""
    path = record_of_folder(os.path.expanduser(folder))
    return read_record(path).template if path else None


def set_limits(pixels: Pixels) -> None:
    """Put the limits into the environment, which qwen-vl-utils reads once a process."""
    if pixels.source == "environment":
        return
    for name, value in (("MIN_PIXELS", pixels.min_pixels), ("MAX_PIXELS", pixels.max_pixels)):
        if value is not None:
            os.environ[name] = str(value)


def arguments(settings: Settings, template: Any, pixels: Pixels) -> list[str]:
    """The options of `swift infer` for a run. `template`: the grounding template of the model."""
    meta, family = template.processor.model_meta, FAMILIES[template.family]
    words = ["--template", template.template_meta.template_type, "--model_type", meta.model_type, "--infer_backend", settings.engine]
    words += ["--model", settings.model] if settings.model else []
    words += ["--adapters", *settings.adapters] if settings.adapters else []
    first = pixels.first
    if pixels.source == "options" and family.resize_factor is None:
        if pixels.min_pixels is not None:
            raise GroundswiftError(f"--min-pixels: family {family.name} does not resize by pixel limits; expected --max-pixels or none")
        first = pixels.max_pixels
    words += ["--max_pixels", str(first)] if first is not None else []
    return [*words, "--stream", "false", "--seed", str(settings.seed), *settings.swift_options]


def answer_of(response: Any) -> Answer:
    """What swift's response says."""
    choice = response.choices[0]
    return Answer(
        response=choice.message.content,
        finish_reason=choice.finish_reason,
        prompt_tokens=response.usage.prompt_tokens,
        completion_tokens=response.usage.completion_tokens,
        logprobs=choice.logprobs,
    )


def failure(error: Exception) -> Answer:
    """A failure: the reason and its id."""
    from ...grounding.run_checks.lost_rows import kind_of, reason_of

    return Answer(error=f"{reason_of(error)} [{kind_of(error)}]")


def is_lost(error: Exception) -> bool:
    """Whether the GPU of this process can be used no more: after such an error every later call fails."""
    import torch

    return "CUDA error" in str(error) and not isinstance(error, torch.OutOfMemoryError)


def release_memory(error: Exception) -> None:
    """Drop the tensors of a batch that failed."""
    import torch

    error.with_traceback(None)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
