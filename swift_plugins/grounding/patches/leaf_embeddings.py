"""Remote-code models that write image features in place into the token embeddings, such as Qwen-VL and Qwen-VL-Chat.

With gradient checkpointing or LoRA, transformers makes the embeddings a leaf that requires a gradient, and torch then refuses to write into
a view of them: `a view of a leaf Variable that requires grad is being used in an in-place operation`. ms-swift 4.6.0 copies the output of
`transformer.drop` for its model type qwen_vl where its probability is 0; any other model and any other loader has the error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from .wrap_once import wrap_once

HOOKS = "groundswift_writable_embeddings"  # attribute of a model: the handles of its hooks


def copy_leaf_embeddings() -> None:
    """Give remote code a copy of the embeddings that it may write into. Gradients pass through the copy."""

    def with_copy(enable: Callable[..., None], self: PreTrainedModel) -> None:
        enable(self)
        for earlier in getattr(self, HOOKS, ()):
            earlier.remove()  # hooks run in the order of their registration, and these have to be the last
        embeddings = embeddings_of(self) if has_own_code(self) else []
        setattr(self, HOOKS, [module.register_forward_hook(copy_of_leaf) for module in embeddings])

    wrap_once(PreTrainedModel, "enable_input_require_grads", with_copy)


def has_own_code(model: PreTrainedModel) -> bool:
    """Whether the class of a model is not one of transformers."""
    return type(model).__module__.partition(".")[0] != "transformers"


def embeddings_of(model: PreTrainedModel) -> list[nn.Module]:
    """The input embeddings of a model and of the models in it, each once: those whose output transformers makes a leaf."""
    found: dict[int, nn.Module] = {}
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            try:
                embeddings = module.get_input_embeddings()
            except NotImplementedError:
                continue
            if isinstance(embeddings, nn.Module):
                found[id(embeddings)] = embeddings
    return list(found.values())


def copy_of_leaf(module: nn.Module, given: Any, output: Any) -> Any:
    """A forward hook: a copy of an output that torch refuses to be written into; any other output unchanged."""
    return output.clone() if isinstance(output, torch.Tensor) and output.is_leaf and output.requires_grad else output
