"""The tokenizer of the stand-in: any fast one, with the image in the first message turned into a tensor as GLM-4V-9B's does it."""

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

SIDE = 28  # px


class ChatGLM4Tokenizer(PreTrainedTokenizerFast):
    """swift sets `init_kwargs["image_size"]` to 1120; the stand-in stays at SIDE."""

    def apply_chat_template(self, messages, return_dict=False, **kwargs):
        """{"images": (1, 3, SIDE, SIDE) in -1..1} of `messages[0]["image"]`, a PIL image."""
        pixels = np.asarray(messages[0]["image"].convert("RGB").resize((SIDE, SIDE)), dtype=np.float32) / 127.5 - 1
        return {"images": torch.from_numpy(pixels).permute(2, 0, 1)[None]}
