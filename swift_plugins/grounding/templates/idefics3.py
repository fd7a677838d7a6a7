"""Idefics3 and SmolVLM: every token of every picture.

swift 4.6 finds the end of a picture by the token that follows it, which may be one of the picture's own: with a line break behind
`<image>` it keeps the first row of tiles, with a second picture behind it one token, and trains on that without a word. It also
looks for the picture by the number that its token has in one tokenizer.
"""

from __future__ import annotations

from typing import Any

from swift.template import Template
from swift.template.utils import findall


class AllImageTokens:
    """Stands before swift's class and replaces its `_encode`: each picture becomes the tokens that the processor gives it."""

    def _encode(self, inputs: Any) -> dict[str, Any]:
        encoded = Template._encode(self, inputs)
        if not inputs.images:
            return encoded
        processor = self.processor
        end = processor.end_of_utterance_token  # no picture has it among its tokens
        fed = processor(
            text=f"{processor.image_token}{end}" * len(inputs.images), images=inputs.images, return_tensors="pt", add_special_tokens=False
        )
        pieces = self._split_list(fed["input_ids"][0].tolist(), self.tokenizer.convert_tokens_to_ids(end))
        places = findall(encoded["input_ids"], processor.image_token_id)
        encoded["input_ids"], encoded["labels"], encoded["loss_scale"] = self._extend_tokens(
            encoded["input_ids"], encoded["labels"], encoded.get("loss_scale"), places, lambda index: pieces[index]
        )
        encoded["pixel_values"] = fed["pixel_values"]
        return encoded
