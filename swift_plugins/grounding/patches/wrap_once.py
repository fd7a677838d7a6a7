"""How a patch replaces a method of another library: once, however often the plugin is loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

APPLIED = "groundswift_patches"  # attribute of a replaced method: the names of the patches in it


def patch(name: str, *owners: Any) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """Make `function(method, ...)` a patch, applied when it is called without arguments: it takes the place of the method or function
    `name` of each owner, a class, a module, or the name of a module that is imported then."""

    def decorate(function: Callable[..., Any]) -> Callable[[], None]:
        @wraps(function)
        def apply() -> None:
            for owner in owners:
                wrap_once(import_module(owner) if isinstance(owner, str) else owner, name, function)

        return apply

    return decorate


def wrap_once(owner: Any, name: str, function: Callable[..., Any]) -> None:
    """Let `function(method, ...)` take the place of the method or function `name` of a class or module, unless it already has.

    A function of a module is also replaced in the modules of swift that have imported it by its name.
    """
    method = getattr(owner, name)
    applied, key = getattr(method, APPLIED, ()), f"{function.__module__}.{function.__qualname__}"
    if key in applied:
        return

    @wraps(method)
    def patched(*args: Any, **kwargs: Any) -> Any:
        return function(method, *args, **kwargs)

    setattr(patched, APPLIED, (*applied, key))
    setattr(owner, name, staticmethod(patched) if isinstance(vars(owner).get(name), staticmethod) else patched)
    importers = [module for path, module in sys.modules.items() if path.startswith("swift.")] if isinstance(owner, ModuleType) else []
    for module in importers:
        if vars(module).get(name) is method:
            setattr(module, name, patched)
