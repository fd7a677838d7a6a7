"""Stock templates that hold ids of media tokens as numbers, those of the official tokenizer; another tokenizer has others.

The names are the same in both, so the id is looked up by name. Observed with ms-swift 4.6.0.
"""

from __future__ import annotations

from typing import Any

from swift.template.templates.gemma import Gemma3VisionTemplate
from swift.template.templates.glm import GLM4VTemplate
from swift.template.templates.qwen import Qwen2VLTemplate, Qwen3_5Template

QWEN_TOKENS = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
MEDIA_TOKENS = {  # template -> {attribute that holds an id: the token with that id in the official tokenizer}
    Qwen2VLTemplate: QWEN_TOKENS,
    Qwen3_5Template: QWEN_TOKENS,
    GLM4VTemplate: {f"{edge}_of_{medium}_token": f"<|{edge}_of_{medium}|>" for edge in ("begin", "end") for medium in ("image", "video")},
    Gemma3VisionTemplate: {"boi_token_id": "<start_of_image>"},
}


def look_up_media_tokens() -> None:
    """Take the ids of media tokens from each template's own tokenizer."""
    for template_cls, names in MEDIA_TOKENS.items():
        for attribute, token in names.items():
            official = vars(template_cls).get(attribute)
            if isinstance(official, int):
                setattr(template_cls, attribute, by_name(token, official))


def by_name(token: str, official: int) -> property:
    """The id of a token in a template's own tokenizer; the official one where the tokenizer does not know the name."""

    def own_id(self: Any) -> int:
        found = self.tokenizer.convert_tokens_to_ids(token)
        return official if found is None or found == self.tokenizer.unk_token_id else found

    return property(own_id)
