"""A stand-in for the remote code of PaddleOCR-VL 0.9B: the names that swift's loader and template ask for, over a tiny model."""

from transformers import Qwen2Config

from .stand_in_parts import PartsOnly


class PaddleOCRVLConfig(Qwen2Config):
    """The language model's sizes; those of the vision tower are constants of the stand-in."""

    model_type = "paddleocr_vl"


class PaddleOCRVLProcessor(PartsOnly):
    """Nothing but its parts: the images of transformers' own class for version 1.5."""

    image_token = "<|IMAGE_PLACEHOLDER|>"
