"""A stand-in for the remote code of MiMo-V2.5: the names that swift's loader and template ask for, over a tiny model."""

from transformers import Qwen2Config

from .stand_in_parts import PartsOnly


class MiMoV2Config(Qwen2Config):
    """The language model's sizes; those of the towers are constants of the stand-in."""

    model_type = "mimo_v2"


class MiMoV2Processor(PartsOnly):
    """Nothing but its parts: Qwen's image processor with patches of 16 px."""

    image_token = "<|image_pad|>"
