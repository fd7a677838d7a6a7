"""A stand-in for the remote code of dots.ocr: the names that swift's loader and template ask for, over a tiny model."""

from transformers import Qwen2Config

from .stand_in_parts import PartsOnly


class DotsOCRConfig(Qwen2Config):
    """The language model's sizes; those of the vision tower are constants of the stand-in."""

    model_type = "dots_ocr"


class DotsVLProcessor(PartsOnly):
    """Nothing but its parts: transformers' own image processor of Qwen2-VL, as there."""

    image_token = "<|imgpad|>"
