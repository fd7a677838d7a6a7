"""The model of the stand-in: `llm` (transformers' own Qwen3), `vpm` and `resampler` are named as in MiniCPM-V 4.5.

swift puts `forward` and `generate` of `llm` in the place of the model's own, and calls `get_vllm_embedding` for the embeddings.
"""

import torch
from torch import nn
from transformers import Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3PreTrainedModel

from .configuration_minicpm import MiniCPMVConfig
from .processing_minicpmv import PATCH, QUERIES, SIDE

PATCHES = (SIDE // PATCH) ** 2


class Tower(nn.Module):
    """Patches to features."""

    def __init__(self, width):
        super().__init__()
        self.embeddings = nn.Conv2d(3, width, PATCH, PATCH)
        self.positions = nn.Embedding(PATCHES, width)

    def forward(self, pixels):
        """(slices, 3, SIDE, SIDE) -> (slices, PATCHES, width)."""
        return self.embeddings(pixels).flatten(2).transpose(1, 2) + self.positions.weight


class Resampler(nn.Module):
    """QUERIES features of each slice, whatever its patches."""

    def __init__(self, width):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(QUERIES, width))
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.kv_proj = nn.Linear(width, width)

    def forward(self, features, tgt_sizes=None):
        """(slices, patches, width) -> (slices, QUERIES, width)."""
        known = self.kv_proj(features)
        return self.attn(self.query.expand(len(features), -1, -1), known, known)[0]


class MiniCPMV(Qwen3PreTrainedModel):
    """`forward` is that of `llm` in swift's hands."""

    config_class = MiniCPMVConfig

    def __init__(self, config):
        super().__init__(config)
        self.llm = Qwen3ForCausalLM(config)
        self.vpm = Tower(config.hidden_size)
        self.resampler = Resampler(config.hidden_size)
        self.post_init()

    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, Resampler):
            nn.init.normal_(module.query, std=0.2)

    def get_input_embeddings(self):
        """The table of token embeddings."""
        return self.llm.get_input_embeddings()

    def get_vllm_embedding(self, data):
        """(embeddings (batch, length, width), features of the slices of each row) of `input_ids`, `pixel_values`, `tgt_sizes`,
        `image_bound`: the rows of first and last place of each run of <unk>."""
        embeddings = self.llm.get_input_embeddings()(data["input_ids"])
        seen = []
        for number, (pixels, sizes, bounds) in enumerate(zip(data["pixel_values"], data["tgt_sizes"], data["image_bound"], strict=True)):
            if not len(pixels):
                seen.append([])
                continue
            features = self.resampler(self.vpm(torch.stack(list(pixels)).to(embeddings.dtype)), sizes)
            places = torch.cat([torch.arange(first, last) for first, last in bounds.tolist()]).to(embeddings.device)
            embeddings[number, places] = features.flatten(0, 1)
            seen.append(features)
        return embeddings, seen

    def forward(self, data, **kwargs):
        """As the remote code has it; swift does not come here."""
        return self.llm(inputs_embeds=self.get_vllm_embedding(data)[0], **kwargs)
