"""A stand-in for the remote code of MiniCPM-V 4.5: the names that swift's loader and template ask for, over a tiny model."""

from transformers import Qwen3Config


class MiniCPMVConfig(Qwen3Config):
    """The language model's sizes; those of the vision tower are constants of the stand-in."""

    model_type = "minicpmv"
