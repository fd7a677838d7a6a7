"""Python's cycle collector and large files: it walks over all that was read, again and again, and there is nothing to collect."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """No collection while a large structure grows in memory."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def frozen() -> Iterator[None]:
    """What is in memory now stays to the end, so the collector need not walk over it."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
