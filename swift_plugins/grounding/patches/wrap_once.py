"""How a patch replaces a method of another library: once, however often the plugin is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

APPLIED = "groundswift_patches"  # attribute of a replaced method: the names of the patches in it


def wrap_once(owner: Any, name: str, patch: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace the attribute `name` of a class or module by `patch(attribute)`, unless a patch of that qualified name is in it already."""
    method = getattr(owner, name)
    applied = getattr(method, APPLIED, ())
    if patch.__qualname__ not in applied:
        wrapped = wraps(method)(patch(method))
        setattr(wrapped, APPLIED, (*applied, patch.__qualname__))
        setattr(owner, name, wrapped)
