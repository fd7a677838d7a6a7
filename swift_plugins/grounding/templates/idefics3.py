"""Idefics3 and SmolVLM: all tokens of every image.

ms-swift 4.6.0 finds the end of an image by the token that follows it, which may also occur inside the image: before a line break it keeps
the first row of tiles only, before a second image one token. It also searches for the image token by the id of one tokenizer.
"""

from __future__ import annotations

from typing import Any

from swift.template import Template
from swift.template.utils import findall


class AllImageTokens:
    """Replaces `_encode` of swift's class: each image becomes the tokens that the processor gives it."""

    def _encode(self, inputs: Any) -> dict[str, Any]:
        encoded = Template._encode(self, inputs)
        if not inputs.images:
            return encoded
        processor = self.processor
        end = processor.end_of_utterance_token  # not among the tokens of an image
        processed = processor(
            text=f"{processor.image_token}{end}" * len(inputs.images), images=inputs.images, return_tensors="pt", add_special_tokens=False
        )
        pieces = self._split_list(processed["input_ids"][0].tolist(), self.tokenizer.convert_tokens_to_ids(end))
        places = findall(encoded["input_ids"], processor.image_token_id)
        encoded["input_ids"], encoded["labels"], encoded["loss_scale"] = self._extend_tokens(
            encoded["input_ids"], encoded["labels"], encoded.get("loss_scale"), places, lambda index: pieces[index]
        )
        encoded["pixel_values"] = processed["pixel_values"]
        return encoded
