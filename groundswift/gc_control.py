"""Memory and large files. Python's cycle collector walks over all that was read, again and again, and there is nothing to collect."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

KEPT = 1 << 24  # bytes


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
def rare_collection() -> Iterator[None]:
    """A collection after a million new objects, not after 700: for work whose objects stay, and that may run for hours."""
    before = gc.get_threshold()
    gc.set_threshold(1_000_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def frozen() -> Iterator[None]:
    """What is in memory now stays to the end, so the collector need not walk over it."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@cache
def keep_freed() -> None:
    """Let the C library (glibc) keep up to 32 MB of freed memory, so that arrays that come and go again and again cost no page faults.

    It does so once a block of 16 MB was freed; nothing is written into this one, so it takes no memory. Once for a process.
    """
    bytes(KEPT)


def give_back() -> None:
    """Give freed memory back to the system where the C library would keep it (glibc): after a large file, hundreds of MB."""
    import ctypes

    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
