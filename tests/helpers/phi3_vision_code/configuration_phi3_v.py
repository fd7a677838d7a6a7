"""A stand-in for the remote code of Phi-3-vision: the names that swift's loader and template ask for, over a tiny model."""

from transformers import Phi3Config


class Phi3VConfig(Phi3Config):
    """The text model's sizes; those of the vision tower are constants of the stand-in."""

    model_type = "phi3_v"
