"""A local model by swift's own engine, loaded as `swift infer` loads it, with this plugin's template."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from groundswift.errors import GroundswiftError, error_at
from groundswift.run_record import RunRecord

from ..encoding import holds_no_code, load_plugin, one_line, open_template
from ..quiet import quiet
from .answering import Answer, Options
from .questions import Question
from .ways import Way

PACKED_ROWS = 32  # of bitsandbytes' `_convert_weight_packed_for_cpu`


class SwiftWay:
    """A loaded model; `close` frees its memory. Raises GroundswiftError where it cannot be loaded."""

    def __init__(self, way: Way, options: Options) -> None:
        source = way.adapter or way.model
        with quiet():
            opened = open_template(source, options.model_type, options.template)
            from swift.infer_engine import RequestConfig
            from swift.pipelines.infer.infer import SwiftInfer

            load_plugin()
            words = ["--template", opened.template_meta.template_type, "--model_type", opened.processor.model_meta.model_type]
            words += ["--model", way.model] if way.model else []
            words += ["--adapters", way.adapter] if way.adapter else []
            words += ["--stream", "false", *options.swift_options, *way.swift_options]
            logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # a warning for each layer of each token
            try:
                with quiet(trusted=holds_no_code(source)):
                    self.pipeline = SwiftInfer(words)
            except GroundswiftError:
                raise
            except (Exception, SystemExit) as error:  # swift's arguments, packages, weights, memory: many kinds
                raise error_at(f"way {way.name}", f"{source} cannot be loaded ({one_line(error)})") from None
        keep_unpacked(self.pipeline.infer_engine.model)
        self.batch_size = options.batch_size
        self.config = RequestConfig(max_tokens=options.max_new_tokens, temperature=0, logprobs=True, top_logprobs=options.top_logprobs)

    @property
    def record(self) -> RunRecord | None:
        """How its answers are read."""
        from ...grounding.patches.run_record import record_of_template

        return record_of_template(self.pipeline.template)

    def answers(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """One answer a question, in order."""
        from ...grounding.run_checks.lost_rows import kind_of, reason_of

        engine = self.pipeline.infer_engine
        engine.strict, engine.max_batch_size = False, self.batch_size
        for start in range(0, len(questions), self.batch_size):
            requests = [deepcopy(each.request) for each in questions[start : start + self.batch_size]]
            try:
                with quiet():
                    found: list[Any] = engine.infer(requests, self.config, use_tqdm=False)
            except GroundswiftError:
                raise
            except Exception as error:  # of the model, its code, or memory
                found = [error] * len(requests)
            for each in found:
                if isinstance(each, Exception):
                    yield Answer(error=f"{reason_of(each)} [{kind_of(each)}]")
                else:
                    choice = each.choices[0]
                    yield Answer(choice.message.content, choice.logprobs, choice.finish_reason)

    def close(self) -> None:
        """Drop the model."""
        del self.pipeline
        gc.collect()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def keep_unpacked(model: Any) -> None:
    """Let layers of bitsandbytes' 4 bits whose sides do not fit its packing for AVX-512 BF16 compute without it.

    bitsandbytes 0.50.2 packs every layer at the first call on a CPU that has it, and raises for a width that is not whole blocks.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            fits = module.in_features % module.weight.blocksize == 0 and module.out_features % PACKED_ROWS == 0
            module.support_avx512bf16_for_cpu = fits
