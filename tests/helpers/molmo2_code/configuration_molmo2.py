"""A stand-in for the remote code of Molmo 2: the names that swift's loader and template ask for, over a tiny model."""

from transformers import Qwen3Config


class Molmo2Config(Qwen3Config):
    """The language model's sizes; those of the vision backbone are constants of the stand-in."""

    model_type = "molmo2"
