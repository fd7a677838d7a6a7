"""How a patch replaces a method of another library: once, however often the plugin is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

APPLIED = "groundswift_patches"  # attribute of a replaced method: the names of the patches in it


def wrap_once(owner: Any, name: str, patch: Callable[..., Any]) -> None:
    """Let `patch(method, ...)` take the place of the method or function `name` of a class or module, unless that patch already has."""
    method = getattr(owner, name)
    applied, key = getattr(method, APPLIED, ()), f"{patch.__module__}.{patch.__qualname__}"
    if key in applied:
        return

    @wraps(method)
    def patched(*args: Any, **kwargs: Any) -> Any:
        return patch(method, *args, **kwargs)

    setattr(patched, APPLIED, (*applied, key))
    setattr(owner, name, patched)
