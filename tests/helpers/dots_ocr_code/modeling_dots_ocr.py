"""The model of the stand-in: transformers' own Qwen2 with a `vision_tower`, named as in dots.ocr."""

from transformers import Qwen2ForCausalLM

from .configuration_dots import DotsOCRConfig
from .modeling_dots_vision import DotsVisionTransformer
from .stand_in_parts import with_features


class DotsOCRForCausalLM(Qwen2ForCausalLM):
    """Logits of the next token."""

    config_class = DotsOCRConfig

    def __init__(self, config):
        super().__init__(config)
        self.vision_tower = DotsVisionTransformer(config.hidden_size)
        self.post_init()

    def forward(self, input_ids=None, pixel_values=None, image_grid_thw=None, inputs_embeds=None, **kwargs):
        """As Qwen2; `pixel_values` count where there are image tokens, which a generated token is not."""
        if inputs_embeds is None:
            inputs_embeds = self.model.embed_tokens(input_ids)
            places = input_ids == self.config.image_token_id
            if pixel_values is not None and places.any():
                inputs_embeds = with_features(inputs_embeds, places, self.vision_tower(pixel_values))
        return super().forward(inputs_embeds=inputs_embeds, **kwargs)
