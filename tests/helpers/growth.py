"""How the time of a call grows with its input: a test of what takes linear time, whatever machine it runs on."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time
from typing import Any


def growth(call: Callable[[Any], object], small: Any, large: Any) -> float:
    """CPU time of `call(large)` over that of `call(small)`: the least of three each, without the garbage collector.

    The time of a small call is taken as 0.01 s at least, so that a slow moment of the machine does not count.
    """
    return _least_seconds(call, large) / max(_least_seconds(call, small), 0.01)


def _least_seconds(call: Callable[[Any], object], given: Any) -> float:
    collects = gc.isenabled()
    gc.disable()
    try:
        return min(_seconds(call, given) for _ in range(3))
    finally:
        if collects:
            gc.enable()


def _seconds(call: Callable[[Any], object], given: Any) -> float:
    start = process_time()
    call(given)
    return process_time() - start
