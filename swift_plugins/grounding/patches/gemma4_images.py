"""Gemma 4 with images under transformers 5.19: ms-swift 4.6.0 replaces the model's forward by one written for transformers 5.6.

That one takes the features of all images as one tensor; transformers now returns a tensor for each image, and training ends with
`'tuple' object has no attribute 'to'`. Videos have another difference (`num_frames_per_video`) and are not covered.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from swift.model.models.gemma import Gemma4Loader, Gemma4UnifiedLoader

from .wrap_once import patch


@patch("get_model", Gemma4Loader, Gemma4UnifiedLoader)
def join_gemma4_images(get_model: Callable[..., Any], self: Any, *given: Any, **more: Any) -> Any:
    """Let the model that swift loads return the features of all images as the one tensor that swift's forward takes."""
    model = get_model(self, *given, **more)
    features = model.model.get_image_features

    def get_image_features(_: Any, *given: Any, **more: Any) -> Any:
        output = features(*given, **more)
        if isinstance(output.pooler_output, tuple):
            output.pooler_output = torch.cat(output.pooler_output)
        return output

    model.model.get_image_features = MethodType(get_image_features, model.model)
    return model
