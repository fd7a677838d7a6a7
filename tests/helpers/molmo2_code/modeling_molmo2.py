"""The model of the stand-in: `model.transformer` (transformers' own Qwen3) and `model.vision_backbone` are named as in Molmo 2.

As there, features of patches are pooled by the numbers that the processor gives, and added to the embeddings of their tokens.
"""

import torch
from torch import nn
from transformers import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.qwen3.modeling_qwen3 import Qwen3Model, Qwen3PreTrainedModel

from .configuration_molmo2 import Molmo2Config
from .processing_molmo2 import PATCH, SIDE

PATCHES = (SIDE // PATCH) ** 2  # of a crop


class Text(Qwen3Model):
    """The text model under the name that Molmo gives its embeddings."""

    @property
    def wte(self):
        """The table of token embeddings."""
        return self.embed_tokens


class VisionBackbone(nn.Module):
    """Crops to one feature for each token."""

    def __init__(self, width):
        super().__init__()
        self.image_vit = nn.Linear(3 * PATCH * PATCH, width)
        self.image_projector = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, pixel_values, image_token_pooling, image_num_crops, tokens):
        """(crops, patches, values), `tokens` the count of each image -> (tokens, width)."""
        patches = self.image_vit(pixel_values.to(self.image_vit.weight.dtype)).flatten(0, 1)
        firsts = torch.cumsum(image_num_crops, 0) - image_num_crops
        numbers = image_token_pooling + torch.repeat_interleave(firsts * PATCHES, tokens).unsqueeze(-1)
        return self.image_projector(patches[numbers].mean(1))


class Molmo2Model(Qwen3PreTrainedModel):
    """Text and vision."""

    config_class = Molmo2Config

    def __init__(self, config):
        super().__init__(config)
        self.transformer = Text(config)
        self.vision_backbone = VisionBackbone(config.hidden_size)
        self.post_init()

    def get_input_embeddings(self):
        """The table of token embeddings."""
        return self.transformer.wte


class Molmo2ForConditionalGeneration(Qwen3PreTrainedModel, GenerationMixin):
    """Logits of the next token."""

    config_class = Molmo2Config

    def __init__(self, config):
        super().__init__(config)
        self.model = Molmo2Model(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        """The table of token embeddings."""
        return self.model.transformer.wte

    def embedded(self, input_ids, pixel_values, image_token_pooling, image_grids, image_num_crops):
        """(batch, length, width)."""
        embeddings = self.model.transformer.wte(input_ids)
        places = input_ids == self.config.image_patch_id
        if pixel_values is None or not places.any():
            return embeddings
        tokens = image_grids[:, 0] * image_grids[:, 1] + image_grids[:, 2] * image_grids[:, 3]
        features = self.model.vision_backbone(pixel_values, image_token_pooling, image_num_crops, tokens)
        if int(places.sum()) != len(features):
            raise ValueError(f"{int(places.sum())} image tokens, {len(features)} features")
        embeddings = embeddings.clone()
        embeddings[places] += features.to(embeddings.dtype)
        return embeddings

    def forward(
        self,
        input_ids=None,
        pixel_values=None,
        image_token_pooling=None,
        image_grids=None,
        image_num_crops=None,
        token_type_ids=None,
        inputs_embeds=None,
        labels=None,
        logits_to_keep=0,
        **kwargs,
    ):
        """`logits_to_keep`: how many of the last positions, or which."""
        if inputs_embeds is None:
            inputs_embeds = self.embedded(input_ids, pixel_values, image_token_pooling, image_grids, image_num_crops)
        outputs = self.model.transformer(inputs_embeds=inputs_embeds, **kwargs)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None if labels is None else self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size)
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=outputs.past_key_values)
