"""How a patch replaces a method of another library: once, however often the plugin is loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

APPLIED = "groundswift_patches"  # attribute of a replaced method: the names of the patches in it
ON_LOAD = "groundswift_on_load"  # attribute of what the plugin calls when it is loaded: the name of its module
Patch = Callable[[], None]


def on_load(function: Callable[..., None]) -> Callable[..., None]:
    """Mark a function that the plugin calls, without arguments, when it is loaded."""
    setattr(function, ON_LOAD, function.__module__)
    return function


def patches_of(*modules: ModuleType) -> list[Patch]:
    """What the plugin calls when it is loaded, in the order of the modules and of the functions in each."""
    return [value for module in modules for value in vars(module).values() if getattr(value, ON_LOAD, None) == module.__name__]


def patch(name: str, *owners: Any) -> Callable[[Callable[..., Any]], Patch]:
    """Make `function(method, ...)` a patch, applied when it is called without arguments: it takes the place of the method or function
    `name` of each owner, a class, a module, or the name of a module that is imported then."""

    def decorate(function: Callable[..., Any]) -> Patch:
        @on_load
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
    for path, module in list(sys.modules.items()) if isinstance(owner, ModuleType) else ():
        if path.partition(".")[0] == "swift" and vars(module).get(name) is method:
            setattr(module, name, patched)
