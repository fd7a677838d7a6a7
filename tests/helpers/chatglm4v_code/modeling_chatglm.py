"""The model of the stand-in: `transformer.encoder`, `transformer.vision` and `transformer.output_layer` are named as in GLM-4V-9B.

As there, all from begin_of_image to end_of_image is replaced by the image's features, so that the sequence grows inside the model.
"""

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_chatglm import ChatGLMConfig

PATCH = 7  # px


class Layer(nn.Module):
    """Attention to what came before, and a perceptron."""

    def __init__(self, width):
        super().__init__()
        self.query_key_value = nn.Linear(width, 3 * width)
        self.dense = nn.Linear(width, width)
        self.dense_h_to_4h = nn.Linear(width, 2 * width)
        self.dense_4h_to_h = nn.Linear(2 * width, width)
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, hidden, seen):
        """`hidden` (batch, length, width), `seen` (batch, 1, length, length) bool -> as `hidden`."""
        query, key, value = self.query_key_value(self.norm_in(hidden)).chunk(3, -1)
        attended = nn.functional.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], attn_mask=seen)[:, 0]
        hidden = hidden + self.dense(attended)
        return hidden + self.dense_4h_to_h(nn.functional.gelu(self.dense_h_to_4h(self.norm_out(hidden))))


class Encoder(nn.Module):
    """The language model's layers."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.ModuleList([Layer(width), Layer(width)])
        self.gradient_checkpointing = False

    def forward(self, hidden, seen):
        """As one layer."""
        for layer in self.layers:
            if self.gradient_checkpointing and self.training:
                hidden = self._gradient_checkpointing_func(layer.__call__, hidden, seen)
            else:
                hidden = layer(hidden, seen)
        return hidden


class Vision(nn.Module):
    """Patches to features."""

    def __init__(self, width):
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, width, PATCH, PATCH)
        self.linear_proj = nn.Linear(width, width)

    def forward(self, images):
        """(batch, 3, side, side) -> (batch, patches, width)."""
        return self.linear_proj(self.patch_embedding(images).flatten(2).transpose(1, 2))


class Transformer(nn.Module):
    """Embedding, positions, layers, image tower and output."""

    def __init__(self, config):
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.seq_length, config.hidden_size)
        self.encoder = Encoder(config.hidden_size)
        self.vision = Vision(config.hidden_size)
        self.output_layer = nn.Linear(config.hidden_size, config.vocab_size, bias=False)


class ChatGLMForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """No cache: each step reads all anew."""

    config_class = ChatGLMConfig
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config):
        super().__init__(config)
        self.transformer = Transformer(config)
        self.post_init()

    def get_input_embeddings(self):
        """The table of token embeddings."""
        return self.transformer.embedding

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding, nn.Conv2d)):
            nn.init.normal_(module.weight, std=0.2)

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, images=None, **kwargs):
        """All tokens and the images, at each step."""
        return {"input_ids": input_ids, "attention_mask": attention_mask, "images": images, "use_cache": False}

    def forward(self, input_ids=None, images=None, position_ids=None, attention_mask=None, labels=None, **kwargs):
        """Logits of the text after the image's place has grown, and the loss where labels are given."""
        hidden = self.transformer.embedding(input_ids)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        if images is not None:
            features = self.transformer.vision(images.to(hidden.dtype))
            hidden, mask, labels = self.spliced(input_ids, hidden, mask, labels, features)
        hidden = hidden + self.transformer.positions((mask.cumsum(-1) - 1).clamp(min=0))
        length = hidden.shape[1]
        before = torch.ones(length, length, dtype=torch.bool, device=hidden.device).tril()
        seen = before & mask[:, None, None].bool() | torch.eye(length, dtype=torch.bool, device=hidden.device)
        logits = self.transformer.output_layer(self.transformer.encoder(hidden, seen))
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits)

    def spliced(self, input_ids, hidden, mask, labels, features):
        """Embeddings, mask and labels of each row with the features of its image between the marks."""
        rows = []
        for number, tokens in enumerate(input_ids):
            first = (tokens == self.config.boi_token_id).nonzero()[0, 0] + 1
            last = (tokens == self.config.eoi_token_id).nonzero()[0, 0]
            new = features[number]
            row = [torch.cat([hidden[number, :first], new, hidden[number, last:]])]
            for values, filler in ((mask, 1), (labels, -100)):
                if values is not None:
                    row.append(torch.cat([values[number, :first], values.new_full((len(new),), filler), values[number, last:]]))
            rows.append(row)
        hidden, mask, *rest = (torch.stack(part) for part in zip(*rows, strict=True))
        return hidden, mask, rest[0] if rest else None
