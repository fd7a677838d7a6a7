"""The model of the stand-in: the text layers are transformers' own Phi-3, and the modules are named as in Phi-3-vision.

As there, ids below zero are the places of an image's features, which are assigned into the embedding's output.
"""

import torch
from torch import nn
from transformers import Phi3ForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.phi3.modeling_phi3 import Phi3Model

from .configuration_phi3_v import Phi3VConfig
from .image_processing_phi3_v import SIDE

PATCH = 14  # px: 2 x 2 patches a tile


class ImageEmbedding(nn.Module):
    """Tokens and tiles to embeddings."""

    def __init__(self, config, wte):
        super().__init__()
        self.wte = wte
        self.img_processor = nn.Conv2d(3, config.hidden_size, PATCH, PATCH)
        self.img_projection = nn.Sequential(
            nn.Linear(config.hidden_size, config.hidden_size), nn.GELU(), nn.Linear(config.hidden_size, config.hidden_size)
        )

    def forward(self, input_ids, pixel_values=None, image_sizes=None):
        """`input_ids` (batch, length), images in the order of the rows -> (batch, length, width)."""
        hidden = self.wte(input_ids.clamp(min=0))
        places = input_ids < 0
        if pixel_values is not None and places.any():
            tiles = self.img_processor(pixel_values.flatten(0, 1).to(hidden.dtype)).flatten(2).transpose(1, 2)
            features = self.img_projection(tiles).unflatten(0, pixel_values.shape[:2])
            counts = (image_sizes // SIDE).prod(-1) + 1
            used = [image[:count].flatten(0, 1) for image, count in zip(features, counts, strict=True)]
            hidden[places] = torch.cat(used)
        return hidden


class Phi3VModel(Phi3Model):
    """The text model with an embedding of its own for images."""

    config_class = Phi3VConfig

    def __init__(self, config):
        super().__init__(config)
        self.vision_embed_tokens = ImageEmbedding(config, self.embed_tokens)

    def forward(self, input_ids=None, inputs_embeds=None, pixel_values=None, image_sizes=None, **kwargs):
        """As Phi-3; images count where ids below zero ask for them."""
        if inputs_embeds is None:
            inputs_embeds = self.vision_embed_tokens(input_ids, pixel_values, image_sizes)
        return super().forward(inputs_embeds=inputs_embeds, **kwargs)


class Phi3VForCausalLM(Phi3ForCausalLM):
    """Logits of the next token."""

    config_class = Phi3VConfig
    _tied_weights_keys = {"model.vision_embed_tokens.wte.weight": "model.embed_tokens.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.model = Phi3VModel(config)
        self.post_init()

    def forward(self, input_ids=None, pixel_values=None, image_sizes=None, labels=None, logits_to_keep=0, **kwargs):
        """`logits_to_keep`: how many of the last positions, or which."""
        outputs = self.model(input_ids, pixel_values=pixel_values, image_sizes=image_sizes, **kwargs)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None if labels is None else self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size)
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=outputs.past_key_values)
