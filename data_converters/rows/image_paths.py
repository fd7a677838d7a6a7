"""Where swift opens an image that a row names. Nothing is imported that opens images: most commands over rows do not."""

from __future__ import annotations

import os

LONGEST_PATH = 2000  # characters; swift takes longer text for base64


def path_of(source: str) -> str | None:
    """Where swift opens a path: as it is, or below ROOT_IMAGE_DIR; None if neither exists."""
    path = os.path.expanduser(source.strip())
    if len(path) > LONGEST_PATH or "\0" in path:
        return None
    below = os.path.join(os.environ.get("ROOT_IMAGE_DIR") or "", path)
    return next((each for each in (path, below) if os.path.exists(each)), None)
