"""The vision tower of the stand-in: `transformer.resblocks`, `attn_pool` and `proj` are named as in Qwen-VL."""

import numpy as np
import torch
from PIL import Image
from torch import nn


class VisualAttentionBlock(nn.Module):
    """Attention and a perceptron."""

    def __init__(self, width, heads=2):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        """(batch, patches, width) -> the same."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TransformerBlock(nn.Module):
    """Two blocks."""

    def __init__(self, width):
        super().__init__()
        self.resblocks = nn.ModuleList([VisualAttentionBlock(width), VisualAttentionBlock(width)])

    def get_cast_dtype(self):
        """swift replaces this for quantised models."""
        return self.resblocks[0].mlp[0].weight.dtype

    def forward(self, x):
        """As one block."""
        for block in self.resblocks:
            x = block(x)
        return x


class Resampler(nn.Module):
    """As many features as there are queries, whatever the number of patches."""

    def __init__(self, queries, width, out):
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, out) * 0.2)
        self.kv_proj = nn.Linear(width, out)
        self.attn = nn.MultiheadAttention(out, 2, batch_first=True)

    def forward(self, x):
        """(batch, patches, width) -> (batch, queries, out)."""
        keys = self.kv_proj(x)
        queries = self.query[None].expand(len(x), -1, -1).to(x.dtype)
        return self.attn(queries, keys, keys, need_weights=False)[0]


class VisionTransformer(nn.Module):
    """Images -> (batch, n_queries, output_dim)."""

    def __init__(self, image_size, patch_size, width, n_queries, output_dim, **_):
        super().__init__()
        self.image_size = image_size
        self.conv1 = nn.Conv2d(3, width, patch_size, patch_size, bias=False)
        self.positional_embedding = nn.Parameter(torch.randn((image_size // patch_size) ** 2, width) * 0.2)
        self.transformer = TransformerBlock(width)
        self.attn_pool = Resampler(n_queries, width, output_dim)
        self.ln_post = nn.LayerNorm(output_dim)
        self.proj = nn.Parameter(torch.eye(output_dim))

    def forward(self, images):
        """(batch, 3, image_size, image_size) -> (batch, n_queries, output_dim)."""
        x = self.conv1(images.to(self.conv1.weight.dtype)).flatten(2).transpose(1, 2)
        x = self.transformer(x + self.positional_embedding.to(x.dtype))
        return self.ln_post(self.attn_pool(x)) @ self.proj

    def encode(self, image_paths):
        """Paths of images -> their features."""
        images = []
        for path in image_paths:
            image = Image.open(path).convert("RGB").resize((self.image_size, self.image_size))
            images.append(torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1))
        return self(torch.stack(images).to(self.conv1.weight.device))
