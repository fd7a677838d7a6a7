"""Paths in a checkpoint's args.json: swift saves those of plugins and model as typed, and resolves them where it is started next.

Observed with ms-swift 4.6.0.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from swift.arguments import BaseArguments

from ..plugin_shim import stable_path
from .wrap_once import patch


@patch("save_args", BaseArguments)
def save_stable_paths(save: Callable[..., None], self: BaseArguments, output_dir: str | None = None) -> None:
    """Save absolute paths, and for this plugin that of the shim, which outlives environments and checkouts."""
    self.external_plugins = [stable_path(path) for path in self.external_plugins]
    if self.model and os.path.isdir(self.model):
        self.model = os.path.abspath(self.model)
    save(self, output_dir)
