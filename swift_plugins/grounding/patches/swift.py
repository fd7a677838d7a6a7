"""What swift needs so that detection comes out right: each a small, repeatable change, with the reason.

Observed with ms-swift 4.6.0; tests lean on each, so that an upgrade which changes them fails loudly.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from types import TracebackType
from typing import Any

import torch
from accelerate import PartialState
from swift.arguments import BaseArguments
from swift.dataset.preprocessor import RowPreprocessor
from swift.infer_engine import InferEngine, TransformersEngine
from swift.template import Template
from swift.template.templates.gemma import Gemma3VisionTemplate
from swift.template.templates.glm import GLM4VTemplate
from swift.template.templates.qwen import Qwen2VLTemplate, Qwen3_5Template
from torch.distributed import default_pg_timeout

from groundswift.errors import GroundswiftError
from groundswift.storage import is_url, local_copy

from ..plugin_shim import standing_path

KEPT_COLUMNS = ("sample_id", "size_wh")
QWEN_TOKENS = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
MEDIA_TOKENS = {  # templates that write ids out as numbers, and the token that each number is in the official tokenizer
    Qwen2VLTemplate: QWEN_TOKENS,
    Qwen3_5Template: QWEN_TOKENS,
    GLM4VTemplate: {f"{edge}_of_{medium}_token": f"<|{edge}_of_{medium}|>" for edge in ("begin", "end") for medium in ("image", "video")},
    Gemma3VisionTemplate: {"boi_token_id": "<start_of_image>"},
}


def keep_columns() -> None:
    """swift drops every column that it does not know, and with it the id that joins an answer to its truth."""
    RowPreprocessor.standard_keys += [name for name in KEPT_COLUMNS if name not in RowPreprocessor.standard_keys]


def resolve_media_tokens_by_name() -> None:
    """The stock templates hold the official tokenizers' numbers; a tokenizer of its own has others. The names are the same in both."""
    for template_cls, names in MEDIA_TOKENS.items():
        for attribute, token in names.items():
            official = vars(template_cls).get(attribute)
            if isinstance(official, int):
                setattr(template_cls, attribute, by_name(token, official))


def by_name(token: str, official: int) -> property:
    """The id of a token in a template's own tokenizer; the official one where the tokenizer does not know the name."""

    def own_id(self: Any) -> int:
        found = self.tokenizer.convert_tokens_to_ids(token)
        return official if found is None or found == self.tokenizer.unk_token_id else found

    return property(own_id)


def join_cpu_processes() -> None:
    """Without an accelerator swift's processes do not form a group: training diverges in silence, inference writes rank 0's rows only.

    The group is made once the arguments are known: transformers gives `--ddp_timeout` to groups of accelerators only.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.accelerator.is_available():
        os.environ["ACCELERATE_USE_CPU"] = "true"  # read by transformers' TrainingArguments
        wrap_once(BaseArguments, "_init_model_kwargs", with_a_group_of_cpus)


def with_a_group_of_cpus(init: Callable[..., None]) -> Callable[..., None]:
    """Join the processes by gloo, which waits `--ddp_timeout` seconds for one that hangs; 30 min for swift's default of 208 days."""

    def _init_model_kwargs(self: BaseArguments) -> None:
        bounded = self.ddp_timeout != BaseArguments.ddp_timeout
        PartialState(cpu=True, timeout=timedelta(seconds=self.ddp_timeout) if bounded else default_pg_timeout)
        init(self)

    return _init_model_kwargs


def wrap_once(owner: type, name: str, mend: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put what `mend` makes of a method in its place, once, however often the plugin is loaded. `mend` is known by its name."""
    method = getattr(owner, name)
    done = getattr(method, "mends", ())
    if mend.__qualname__ not in done:
        wrapped = wraps(method)(mend(method))
        wrapped.mends = (*done, mend.__qualname__)
        setattr(owner, name, wrapped)


def save_standing_paths() -> None:
    """swift saves the paths of plugins and model as they were typed, and looks for them from wherever it is started next."""

    def with_standing_paths(save: Callable[..., None]) -> Callable[..., None]:
        def save_args(self: BaseArguments, output_dir: str | None = None) -> None:
            self.external_plugins = [standing_path(path) for path in self.external_plugins]
            if self.model and os.path.isdir(self.model):
                self.model = os.path.abspath(self.model)
            save(self, output_dir)

        return save_args

    wrap_once(BaseArguments, "save_args", with_standing_paths)


def fetch_from_stores() -> None:
    """swift opens local paths, web addresses and base64; a picture or video in another store becomes a local copy first."""

    def with_local_copies(preprocess: Callable[..., None]) -> Callable[..., None]:
        def _preprocess_inputs(self: Template, inputs: Any) -> None:
            for name in ("images", "videos"):
                setattr(inputs, name, [near(source) for source in getattr(inputs, name) or []])
            preprocess(self, inputs)

        return _preprocess_inputs

    wrap_once(Template, "_preprocess_inputs", with_local_copies)


def near(source: Any) -> Any:
    """The path of a local copy where a source is an address that swift cannot open; any other source as it is."""
    place = source.get("path") if isinstance(source, dict) and not source.get("bytes") else source
    return str(local_copy(place)) if is_url(place) and not place.startswith("http") else source


def keep_the_template_that_was_given() -> None:
    """`swift sample` hands its template to an engine that makes another from the model, so `--template` has no effect there."""

    def noting_the_template(init: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: TransformersEngine, model: Any, *, template: Template | None = None, **more: Any) -> None:
            self.template_given = template
            init(self, model, template=template, **more)

        return __init__

    def with_the_one_given(get: Callable[..., Template]) -> Callable[..., Template]:
        def _get_template(self: InferEngine, *given: Any, **more: Any) -> Template:
            template = getattr(self, "template_given", None)
            if template is None:
                return get(self, *given, **more)
            if template.use_model:
                template.model = self.model
            return template

        return _get_template

    wrap_once(TransformersEngine, "__init__", noting_the_template)
    wrap_once(InferEngine, "_get_template", with_the_one_given)


def print_errors_plainly() -> None:
    """A GroundswiftError is complete for the user: print it alone, as the `groundswift` command does. Other errors keep their traceback."""
    earlier = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, GroundswiftError):
            print(f"error: {error}", file=sys.stderr)
        else:
            earlier(kind, error, trace)

    if getattr(earlier, "__module__", None) != __name__:
        sys.excepthook = hook
