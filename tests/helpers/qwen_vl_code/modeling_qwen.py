"""The model of the stand-in: `transformer.wte`, `drop`, `h`, `ln_f`, `visual` and `lm_head` are named as in Qwen-VL.

As there, the path of an image is in the tokens between <img> and </img>, and its features are written in place over their embeddings.
"""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_qwen import QWenConfig
from .visual import VisionTransformer


class QWenAttention(nn.Module):
    """Attention to the tokens before."""

    def __init__(self, config):
        super().__init__()
        self.heads = config.num_attention_heads
        self.c_attn = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.c_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x, seen):
        """`x` (batch, length, width), `seen` (batch, 1, length, length) bool -> as `x`."""
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.c_attn(x).chunk(3, -1))
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.c_proj(attended.transpose(1, 2).flatten(2))


class QWenMLP(nn.Module):
    """A gated perceptron."""

    def __init__(self, config):
        super().__init__()
        self.w1 = nn.Linear(config.hidden_size, 2 * config.hidden_size, bias=False)
        self.w2 = nn.Linear(config.hidden_size, 2 * config.hidden_size, bias=False)
        self.c_proj = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x):
        """(batch, length, width) -> the same."""
        return self.c_proj(self.w1(x) * nn.functional.silu(self.w2(x)))


class QWenBlock(nn.Module):
    """One layer."""

    def __init__(self, config):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(config.hidden_size), nn.LayerNorm(config.hidden_size)
        self.attn, self.mlp = QWenAttention(config), QWenMLP(config)

    def forward(self, hidden_states, seen):
        """As the attention."""
        hidden_states = hidden_states + self.attn(self.ln_1(hidden_states), seen)
        return hidden_states + self.mlp(self.ln_2(hidden_states))


class QWenPreTrainedModel(PreTrainedModel):
    """What both models share."""

    config_class = QWenConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _no_split_modules = ["QWenBlock"]

    def _init_weights(self, module):
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv2d):
            nn.init.normal_(module.weight, std=0.2)

    def _set_gradient_checkpointing(self, module, value=False):
        if isinstance(module, QWenModel):
            module.gradient_checkpointing = value


class QWenModel(QWenPreTrainedModel):
    """Embedding, positions, layers and vision tower."""

    def __init__(self, config):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.hidden_size)
        self.wpe = nn.Embedding(2048, config.hidden_size)
        self.drop = nn.Dropout(config.emb_dropout_prob)
        self.h = nn.ModuleList([QWenBlock(config) for _ in range(config.num_hidden_layers)])
        self.ln_f = nn.LayerNorm(config.hidden_size)
        self.visual = VisionTransformer(**config.visual, output_dim=config.hidden_size)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self):
        """The table of token embeddings."""
        return self.wte

    def set_input_embeddings(self, new_embeddings):
        """Replace it."""
        self.wte = new_embeddings

    def features(self, input_ids):
        """Places (row, <img>, </img>) and the features of the image at each; in training without one, those of a blank image."""
        start, span = self.config.visual["image_start_id"], self.config.visual["n_queries"] + 1
        whole = (input_ids[:, :-span] == start) & (input_ids[:, span:] == start + 1)  # marks that were generated are no image
        if whole.any():
            paths, places = [], [(row, first, first + span) for row, first in whole.nonzero().tolist()]
            for row, first, last in places:
                path = input_ids[row][first + 1 : last].tolist()
                paths.append(bytes(path[: path.index(start + 2)]).decode())
            return places, self.visual.encode(paths)
        if self.training:
            side = self.visual.image_size
            return None, self.visual(torch.zeros(1, 3, side, side, device=input_ids.device))
        return None, None

    def forward(self, input_ids, attention_mask=None, inputs_embeds=None):
        """(batch, length) -> (batch, length, width)."""
        img_pos, images = self.features(input_ids)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        hidden_states = self.wte(input_ids) if inputs_embeds is None else inputs_embeds
        hidden_states = self.drop(hidden_states)
        if img_pos is not None:
            for idx, (i, a, b) in enumerate(img_pos):
                hidden_states[i][a + 1 : b] = images[idx].to(hidden_states.dtype)
        elif images is not None:
            hidden_states = hidden_states + images.mean() * 0
        hidden_states = hidden_states + self.wpe((mask.cumsum(-1) - 1).clamp(min=0))
        length = input_ids.shape[1]
        before = torch.ones(length, length, dtype=torch.bool, device=input_ids.device).tril()
        seen = before & mask[:, None, None].bool() | torch.eye(length, dtype=torch.bool, device=input_ids.device)
        for block in self.h:
            if self.gradient_checkpointing and self.training:
                hidden_states = checkpoint(block, hidden_states, seen, use_reentrant=True)
            else:
                hidden_states = block(hidden_states, seen)
        return self.ln_f(hidden_states)


class QWenLMHeadModel(QWenPreTrainedModel, GenerationMixin):
    """No cache: each step reads all anew."""

    def __init__(self, config):
        super().__init__(config)
        self.transformer = QWenModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        """The table of token embeddings."""
        return self.transformer.wte

    def get_output_embeddings(self):
        """The head."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings):
        """Replace it."""
        self.lm_head = new_embeddings

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **kwargs):
        """All tokens, at each step."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, labels=None, **kwargs):
        """Logits, and the loss where labels are given."""
        logits = self.lm_head(self.transformer(input_ids, attention_mask, inputs_embeds))
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits)
