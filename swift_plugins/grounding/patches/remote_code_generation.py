"""Remote code from before transformers 4.50: its models no longer inherit generation.

MiniCPM-V generates with the language model inside it. Without these patches peft refuses it, and a merged folder of it cannot infer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from swift.model.register import ModelLoader

from .wrap_once import wrap_once


def add_generation_attributes() -> None:
    """Give each loaded model the two attributes that peft and swift's engine read of any model."""

    def with_generation(postprocess: Callable[..., None], self: Any, model_dir: str, model: Any) -> None:
        postprocess(self, model_dir, model)
        if not hasattr(model, "prepare_inputs_for_generation"):
            model.prepare_inputs_for_generation = None  # peft keeps it and never calls it: generation is that of the model inside
        if getattr(model, "generation_config", None) is None:
            model.generation_config = inner_generation_config(model)

    wrap_once(ModelLoader, "_postprocess_model", with_generation)


def inner_generation_config(model: Any) -> Any:
    """The generation config of the first module inside that has one; None without any (a model that does not generate)."""
    configs = (getattr(module, "generation_config", None) for module in getattr(model, "modules", list)())
    return next((config for config in configs if config is not None), None)


def save_generation_config(model: Any, folder: Path) -> None:
    """Write generation_config.json of a saved model where transformers did not, as the model itself does not generate."""
    config = getattr(model, "generation_config", None)
    if config is not None and not (folder / "generation_config.json").exists():
        config.save_pretrained(folder)
