"""The model of the stand-in: `model` and `lm_head` (transformers' own Qwen2), `visual` and `mlp_AR` are named as in PaddleOCR-VL.

swift's template calls `visual` and `mlp_AR` itself and gives the model embeddings.
"""

import torch
from torch import nn
from transformers import Qwen2ForCausalLM
from transformers.modeling_outputs import BaseModelOutput

from .configuration_paddleocr_vl import PaddleOCRVLConfig
from .stand_in_parts import MERGED

PATCH = 14  # px


class Tower(nn.Module):
    """Patches to features, for each image of its own."""

    def __init__(self, width):
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, pixel_values, image_grid_thw, position_ids, cu_seqlens, **kwargs):
        """(1, patches, 3, PATCH, PATCH) -> `last_hidden_state`, (patches of the image, width) for each."""
        counts = cu_seqlens.diff().tolist()
        if sum(counts) != len(position_ids) or counts != [frames * high * wide for frames, high, wide in image_grid_thw]:
            raise ValueError(f"{counts} patches, {len(position_ids)} positions, grids {image_grid_thw}")
        hidden = self.patch_embedding(pixel_values[0].to(self.patch_embedding.weight.dtype)).flatten(1)
        return BaseModelOutput(last_hidden_state=hidden.split(counts))


class Projector(nn.Module):
    """2 x 2 patches to a token."""

    def __init__(self, width):
        super().__init__()
        self.linear_1 = nn.Linear(MERGED * width, width)

    def forward(self, features, image_grid_thw):
        """(patches, width) of each image, row by row -> (tokens, width) of each."""
        return [self.merged(image, *grid.tolist()[1:]) for image, grid in zip(features, image_grid_thw, strict=True)]

    def merged(self, image, high, wide):
        """One image."""
        cells = image.reshape(high // 2, 2, wide // 2, 2, -1).transpose(1, 2)
        return nn.functional.gelu(self.linear_1(cells.flatten(2).flatten(0, 1)))


class PaddleOCRVLForConditionalGeneration(Qwen2ForCausalLM):
    """Logits of the next token."""

    config_class = PaddleOCRVLConfig

    def __init__(self, config):
        super().__init__(config)
        self.visual = Tower(config.hidden_size)
        self.mlp_AR = Projector(config.hidden_size)
        self.post_init()

    def forward(self, input_ids=None, pixel_values=None, image_grid_thw=None, inputs_embeds=None, **kwargs):
        """As Qwen2, from embeddings. Raises ValueError where an image would be ignored."""
        if inputs_embeds is None and pixel_values is not None and torch.any(input_ids == self.config.image_token_id):
            raise ValueError("pixel_values without inputs_embeds: the template embeds images")
        return super().forward(input_ids=input_ids if inputs_embeds is None else None, inputs_embeds=inputs_embeds, **kwargs)
