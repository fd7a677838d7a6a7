"""Encoder-decoder models under `use_logits_to_keep`: swift shifts labels by one, as a decoder alone needs it, and a batch of one row fails.

Observed with ms-swift 4.6.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swift.trainers.mixin import SwiftMixin
from swift.utils import get_logger

from .wrap_once import patch


@patch("get_use_logits_to_keep", SwiftMixin)
def keep_all_logits_of_encoder_decoders(earlier: Callable[..., bool], self: Any, default_value: bool = True) -> bool:
    """Compute all logits of a model with an encoder."""
    if self.template.is_encoder_decoder:
        get_logger().info_once("use_logits_to_keep: False, as the model has an encoder")
        return False
    return earlier(self, default_value)
