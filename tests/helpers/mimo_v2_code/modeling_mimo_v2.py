"""The model of the stand-in: transformers' own Qwen2 with `visual` and `audio_encoder`, named as in MiMo-V2.5. It hears nothing."""

from torch import nn
from transformers import Qwen2ForCausalLM

from .configuration_mimo_v2 import MiMoV2Config
from .stand_in_parts import PatchTower, with_features


class MiMoV2ForCausalLM(Qwen2ForCausalLM):
    """Logits of the next token."""

    config_class = MiMoV2Config

    def __init__(self, config):
        super().__init__(config)
        self.visual = PatchTower(2 * 3 * 16 * 16, config.hidden_size)
        self.audio_encoder = nn.Linear(config.hidden_size, config.hidden_size)
        self.post_init()

    def forward(
        self,
        input_ids=None,
        pixel_values=None,
        image_grid_thw=None,
        video_pixel_values=None,
        audio_codes=None,
        inputs_embeds=None,
        **kwargs,
    ):
        """As Qwen2; `pixel_values` count where there are image tokens, which a generated token is not."""
        if inputs_embeds is None:
            inputs_embeds = self.model.embed_tokens(input_ids)
            places = input_ids == self.config.image_token_id
            if pixel_values is not None and places.any():
                inputs_embeds = with_features(inputs_embeds, places, self.visual(pixel_values))
        return super().forward(inputs_embeds=inputs_embeds, **kwargs)
