"""A progress bar that costs nothing where the work is done before anybody would look at it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
DELAY_S = 0.5
EVERY = 256  # items between two looks at the clock


def late_bar(items: Iterable[Item], total: int, what: str, unit: str) -> Iterator[Item]:
    """The same items; with a bar on stderr, from the first that comes after DELAY_S on."""
    start, items = time.monotonic(), iter(items)
    for number, item in enumerate(items, 1):
        yield item
        if number % EVERY == 0 and time.monotonic() - start > DELAY_S:
            break
    else:
        return
    from tqdm import tqdm  # 10 ms

    yield from tqdm(items, total=total, initial=number, desc=what, unit=unit)
