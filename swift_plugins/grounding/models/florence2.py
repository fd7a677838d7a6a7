"""Florence-2 as transformers has it: a model type that swift lacks."""

from __future__ import annotations

from typing import Any

from swift.model import ModelMeta, MultiModelKeys
from swift.model.register import ModelLoader
from transformers import Florence2ForConditionalGeneration, PreTrainedModel

FLORENCE2 = "florence2"


class Florence2Loader(ModelLoader):
    """Florence-2 by the class that transformers has. swift's own type `florence` is for the code of the first checkpoints, which
    transformers 5 no longer loads for a checkpoint in the class's own format."""

    def get_model(self, model_dir: str, config: Any, processor: Any, model_kwargs: dict[str, Any]) -> PreTrainedModel:
        self.auto_model_cls = Florence2ForConditionalGeneration
        return super().get_model(model_dir, config, processor, model_kwargs)


def model_arches() -> list[MultiModelKeys]:
    """Which modules are language model, vision tower and aligner, so that each can be frozen or trained."""
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
