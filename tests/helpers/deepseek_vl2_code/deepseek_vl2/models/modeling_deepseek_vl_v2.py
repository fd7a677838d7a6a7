"""The model of the stand-in: `language` (transformers' own Llama), `vision` and `projector` are named as in DeepSeek-VL2.

swift puts `forward` and `generate` of `language` in the place of the model's own, and calls `prepare_inputs_embeds`.
"""

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, LlamaConfig, LlamaForCausalLM, PretrainedConfig, PreTrainedModel

from .processing_deepseek_vl_v2 import CELLS, SIDE


class DeepseekVLV2Config(PretrainedConfig):
    """`language_config`: a Llama's."""

    model_type = "deepseek_vl_v2"
    sub_configs = {"language_config": LlamaConfig}

    def __init__(self, language_config=None, **kwargs):
        self.language_config = language_config if isinstance(language_config, LlamaConfig) else LlamaConfig(**(language_config or {}))
        super().__init__(**{"tie_word_embeddings": False, **kwargs})


class DeepseekVLV2ForCausalLM(PreTrainedModel, GenerationMixin):
    """Tiles of images are read into the places that `images_seq_mask` names."""

    config_class = DeepseekVLV2Config
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config):
        super().__init__(config)
        width = config.language_config.hidden_size
        self.vision = nn.Conv2d(3, width, SIDE // CELLS, SIDE // CELLS)
        self.projector = nn.Linear(width, width)
        self.image_newline = nn.Parameter(torch.zeros(width))
        self.view_seperator = nn.Parameter(torch.zeros(width))
        self.language = LlamaForCausalLM(config.language_config)
        self.post_init()

    def lines(self, cells):
        """(rows, columns, width) -> (rows * (columns + 1), width), with a mark after each line."""
        marks = self.image_newline.expand(len(cells), 1, -1)
        return torch.cat([cells, marks], dim=1).flatten(0, 1)

    def image_features(self, tiles, columns, rows):
        """(1 + columns * rows, 3, SIDE, SIDE) -> (tokens, width)."""
        cells = self.projector(self.vision(tiles).permute(0, 2, 3, 1))
        large = cells[1:].unflatten(0, (rows, columns)).transpose(1, 2).flatten(2, 3).flatten(0, 1)
        return torch.cat([self.lines(cells[0]), self.view_seperator[None], self.lines(large)])

    def prepare_inputs_embeds(self, input_ids, images=None, images_seq_mask=None, images_spatial_crop=None, **kwargs):
        """`images` (batch, tiles, 3, SIDE, SIDE), `images_seq_mask` (batch, length), `images_spatial_crop` (batch, images, 2) columns and
        rows, zero where a row has fewer images -> (batch, length, width)."""
        embeddings = self.language.get_input_embeddings()(input_ids)
        for number, grids in enumerate(images_spatial_crop.tolist()):
            features, first = [], 0
            for columns, rows in grids:
                if columns and rows:
                    last = first + 1 + columns * rows
                    features.append(self.image_features(images[number, first:last].to(embeddings.dtype), columns, rows))
                    first = last
            if features:
                embeddings[number].masked_scatter_(images_seq_mask[number, :, None], torch.cat(features))
        return embeddings

    def forward(self, *args, **kwargs):
        """As the language model."""
        return self.language(*args, **kwargs)


AutoConfig.register("deepseek_vl_v2", DeepseekVLV2Config, exist_ok=True)
AutoModelForCausalLM.register(DeepseekVLV2Config, DeepseekVLV2ForCausalLM, exist_ok=True)
