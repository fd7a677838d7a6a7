"""Model types that swift does not have, and a mend of its trainer that they need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swift.model import ModelMeta, MultiModelKeys
from swift.model.register import ModelLoader
from swift.trainers.mixin import SwiftMixin
from swift.utils import get_logger
from transformers import Florence2ForConditionalGeneration, PreTrainedModel

from ..patches.swift import wrap_once

FLORENCE2 = "florence2"


class Florence2Loader(ModelLoader):
    """Florence-2 by the class that transformers has. swift's own type `florence` is for the code of the first checkpoints, which
    transformers 5 no longer loads for a checkpoint in the class's own format."""

    def get_model(self, model_dir: str, config: Any, processor: Any, model_kwargs: dict[str, Any]) -> PreTrainedModel:
        self.auto_model_cls = Florence2ForConditionalGeneration
        return super().get_model(model_dir, config, processor, model_kwargs)


def model_arches() -> list[MultiModelKeys]:
    """Which modules are language model, picture tower and the way between them, so that they can be frozen and trained apart."""
    return [
        MultiModelKeys(
            FLORENCE2,
            language_model=["model.language_model", "lm_head"],
            aligner="model.multi_modal_projector",
            vision_tower="model.vision_tower",
        )
    ]


def model_metas() -> list[ModelMeta]:
    """New descriptions at each call: swift writes into those that it registers."""
    return [
        ModelMeta(
            FLORENCE2,
            [],
            Florence2Loader,
            template="florence2_grounding",
            model_arch=FLORENCE2,
            architectures=["Florence2ForConditionalGeneration"],
            is_multimodal=True,
            requires=["transformers>=5"],
            tags=["vision"],
        )
    ]


def keep_all_logits_of_encoder_decoders() -> None:
    """swift moves labels by one to save logits, as a lone decoder needs it; behind an encoder a batch of one row then fails."""

    def without_encoder(earlier: Callable[..., bool]) -> Callable[..., bool]:
        def get_use_logits_to_keep(self: Any, default_value: bool = True) -> bool:
            if self.template.is_encoder_decoder:
                get_logger().info_once("use_logits_to_keep: False, as the model has an encoder")
                return False
            return earlier(self, default_value)

        return get_use_logits_to_keep

    wrap_once(SwiftMixin, "get_use_logits_to_keep", without_encoder)
