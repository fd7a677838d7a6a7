"""What swift needs so that detection comes out right: each a small, repeatable change, with the reason.

Observed with ms-swift 4.6.0; tests lean on each, so that an upgrade which changes them fails loudly.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

import torch
from accelerate import PartialState
from swift.arguments import BaseArguments
from swift.dataset.preprocessor import RowPreprocessor
from swift.template.templates.qwen import Qwen2VLTemplate, Qwen3_5Template

from groundswift.errors import GroundswiftError

from .shim import standing_path

KEPT_COLUMNS = ("sample_id", "size_wh")
MEDIA_TOKENS = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
MEDIA_TEMPLATES = (Qwen2VLTemplate, Qwen3_5Template)  # both write the ids out as numbers


def keep_columns() -> None:
    """swift drops every column that it does not know, and with it the id that joins an answer to its truth."""
    RowPreprocessor.standard_keys += [name for name in KEPT_COLUMNS if name not in RowPreprocessor.standard_keys]


def resolve_media_tokens_by_name() -> None:
    """The stock templates hold the official tokenizers' numbers; a tokenizer of its own has others. The names are the same in both."""
    for template_cls in MEDIA_TEMPLATES:
        for attribute, token in MEDIA_TOKENS.items():
            setattr(template_cls, attribute, property(lambda self, token=token: self.tokenizer.convert_tokens_to_ids(token)))


def join_cpu_processes() -> None:
    """Without an accelerator swift's processes do not form a group: training diverges in silence, inference writes rank 0's rows only."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.accelerator.is_available():
        os.environ["ACCELERATE_USE_CPU"] = "true"  # read by transformers' TrainingArguments
        PartialState(cpu=True)


def save_standing_paths() -> None:
    """swift saves the paths of plugins and model as they were typed, and looks for them from wherever it is started next."""
    save = BaseArguments.save_args
    if getattr(save, "__module__", None) == __name__:
        return

    def save_args(self: BaseArguments, output_dir: str | None = None) -> None:
        self.external_plugins = [standing_path(path) for path in self.external_plugins]
        if self.model and os.path.isdir(self.model):
            self.model = os.path.abspath(self.model)
        save(self, output_dir)

    BaseArguments.save_args = save_args


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
