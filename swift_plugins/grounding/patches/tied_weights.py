"""Adapters on a tied embedding and head: each changes one of two layers that share a weight, and a merged folder keeps one of them.

Measured with ms-swift 4.6.0, peft 0.20.0 and transformers 5.19.0: logits of the merged model differ from those with the adapter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from swift.trainers.mixin import SwiftMixin
from swift.utils import get_logger
from torch import nn

from .wrap_once import patch


@patch("train", SwiftMixin)
def warn_tied_weights(train: Callable[..., Any], self: SwiftMixin, *args: Any, **kwargs: Any) -> Any:
    """Warn of adapters on tied weights before the first step."""
    if text := tied_adapter(self.model):
        get_logger().warning(text)
    return train(self, *args, **kwargs)


@patch("check_tie_word_embeddings", "swift.pipelines.export.merge_lora")
def merge_tied_weights_apart(check: Callable[[Any], None], model: Any) -> None:
    """Let swift's merge keep embedding and head as two weights where an adapter is on one of them."""
    check(model)
    if tied_adapter(model):
        untie(model)
        get_logger().warning("tied embedding and head: the adapter is on one of them, so two weights are saved (tie_word_embeddings false)")


def untie(model: Any) -> None:
    """Untie the head's weight. peft sets `tie_word_embeddings` to false where the two differ after merging."""
    head = base_of(model).get_output_embeddings()
    layer = head.get_base_layer() if isinstance(head, BaseTunerLayer) else head
    layer.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)


def tied_adapter(model: Any) -> str | None:
    """A warning where an adapter is on the embedding or the head of a model that ties them; None for any other.

    A full copy of the head (`--modules_to_save lm_head`) is not affected: merging saves it as a separate weight.
    """
    base = base_of(model)
    config = getattr(base, "config", None)
    if config is None or not tied(config):
        return None
    ends = {"embedding": base.get_input_embeddings(), "head": base.get_output_embeddings()}
    named = [name for name, module in ends.items() if isinstance(module, BaseTunerLayer)]
    if not named:
        return None
    return (
        f"the adapter is on the {' and the '.join(named)} of a model whose embedding and head share one weight: merged by peft alone "
        "it gives other answers; this plugin merges it into two weights. To keep one weight, remove both from --target_modules and train "
        "the head with --modules_to_save lm_head"
    )


def base_of(model: Any) -> Any:
    """The model under an adapter of peft or swift."""
    return model.get_base_model() if hasattr(model, "get_base_model") else getattr(model, "base_model", model)


def tied(config: Any) -> bool:
    """Whether a model's configuration, or that of its language model, ties embedding and head."""
    return any(getattr(each, "tie_word_embeddings", False) for each in (config, config.get_text_config()))
