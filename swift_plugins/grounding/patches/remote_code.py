"""Models whose code comes with their weights.

* Some write image features in place into the token embeddings, such as Qwen-VL and Qwen-VL-Chat. With gradient checkpointing or LoRA,
  transformers makes the embeddings a leaf that requires a gradient, and torch then refuses to write into a view of them: `a view of a leaf
  Variable that requires grad is being used in an in-place operation`. ms-swift 4.6.0 copies the output of `transformer.drop` for its model
  type qwen_vl where its probability is 0; any other model and any other loader has the error.
* Code from before transformers 4.50 has models that no longer inherit generation. MiniCPM-V generates with the language model inside it:
  without these patches peft refuses it, and a merged folder of it cannot infer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from swift.model.register import ModelLoader
from torch import nn
from transformers import PreTrainedModel

from .wrap_once import patch

HOOKS = "groundswift_writable_embeddings"  # attribute of a model: the handles of its hooks


@patch("enable_input_require_grads", PreTrainedModel)
def copy_leaf_embeddings(enable: Callable[..., None], self: PreTrainedModel) -> None:
    """Give remote code a copy of the embeddings that it may write into. Gradients pass through the copy."""
    enable(self)
    for earlier in getattr(self, HOOKS, ()):
        earlier.remove()  # hooks run in the order of their registration, and these have to be the last
    has_own_code = type(self).__module__.partition(".")[0] != "transformers"
    embeddings = embeddings_of(self) if has_own_code else []
    setattr(self, HOOKS, [module.register_forward_hook(copy_of_leaf) for module in embeddings])


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


@patch("_postprocess_model", ModelLoader)
def add_generation_attributes(postprocess: Callable[..., None], self: Any, model_dir: str, model: Any) -> None:
    """Give each loaded model the two attributes that peft and swift's engine read of any model."""
    postprocess(self, model_dir, model)
    copy_leaf_embeddings()  # swift's loaders of InternVL and Intern-S1 put a method of their own in its place, for every later model
    if not hasattr(model, "prepare_inputs_for_generation"):
        model.prepare_inputs_for_generation = None  # peft keeps it and never calls it: generation is that of the model inside
    if getattr(model, "generation_config", None) is None:
        model.generation_config = inner_generation_config(model)


def inner_generation_config(model: Any) -> Any:
    """The generation config of the first module inside that has one; None without any (a model that does not generate)."""
    configs = (getattr(module, "generation_config", None) for module in getattr(model, "modules", list)())
    return next((config for config in configs if config is not None), None)


def save_generation_config(model: Any, folder: Path) -> None:
    """Write generation_config.json of a saved model where transformers did not, as the model itself does not generate."""
    config = getattr(model, "generation_config", None)
    if config is not None and not (folder / "generation_config.json").exists():
        config.save_pretrained(folder)
