"""Which group goes to which part: at random, or with the classes spread over the parts by iterative stratification.

The class with the fewest groups left comes first, and each of its groups goes to the part that lacks most of that class (Sechidis et al.
2011, On the Stratification of Multi-label Data). Unlike in that article, a part takes exactly its number of groups, groups without a label
count as a class, and a class with only as many groups left as there are parts without it goes to those parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from .mix import permuted

MANY = 200  # groups of a class that are counted as columns


def at_random(targets: Sequence[int], seed: int) -> NDArray[np.int64]:
    """(groups,) part of each, at random."""
    parts = np.empty(sum(targets), np.int64)
    parts[permuted(len(parts), seed)] = np.repeat(np.arange(len(targets)), targets)
    return parts


def stratified(groups: NDArray[np.int64], labels: NDArray[np.int64], targets: Sequence[int], seed: int) -> NDArray[np.int64]:
    """(groups,) part of each. `groups`, `labels`: (P,) pairs ordered by group, each group in at least one; `targets`: groups per part."""
    total = sum(targets)
    turn = np.empty(total, np.int64)
    turn[permuted(total, seed)] = np.arange(total)
    members = groups[np.argsort(labels * total + turn[groups])]  # label by label, in the order of their turn
    state = _Spread(groups, labels, targets)
    ends, parts = np.cumsum(state.left).tolist(), np.full(total, -1)
    queue = [(count, label) for label, count in enumerate(state.left) if count]
    heapify(queue)
    while queue:
        count, label = heappop(queue)
        if count != state.left[label]:  # it has fewer groups by now, and is in the queue again
            continue
        rest = members[ends[label - 1] if label else 0 : ends[label]]
        if len(rest) > count:  # others have their part already
            rest = rest[parts[rest] < 0]
        parts[rest] = chosen = state.parts_for(label, count)
        others = state.count(rest, chosen) if state.has_shared[label] else ()
        state.left[label] = 0
        for other in others:
            if state.left[other]:
                heappush(queue, (state.left[other], other))
    return parts


class _Spread:
    """How far the classes are spread. `left`: groups of each class without a part; `free`: groups that each part still takes.

    `has_shared`: whether a group of the class has another class too. `wanted`: groups of a class that a part lacks, times the number of all
    groups, so that all are integers; `held`: whether it has one. Both are lists with a place for each class and part.
    """

    def __init__(self, groups: NDArray[np.int64], labels: NDArray[np.int64], targets: Sequence[int]) -> None:
        self.total, self.width, kinds = sum(targets), len(targets), int(labels.max()) + 1
        self.left: list[int] = np.bincount(labels, minlength=kinds).tolist()
        self.wanted: list[int] = np.outer(self.left, targets).ravel().tolist()
        self.held = bytearray(kinds * self.width)
        self.free = list(targets)
        self.labels, self.starts = labels, np.searchsorted(groups, np.arange(self.total + 1))
        self._labels, self._starts = labels.tolist(), self.starts.tolist()
        shared = np.diff(self.starts)[groups] > 1
        self.has_shared: list[bool] = (np.bincount(labels[shared], minlength=kinds) > 0).tolist()

    def parts_for(self, label: int, count: int) -> list[int]:
        """The parts of the `count` groups of a class that are left: each the one that lacks most of it, among equals the one with most
        room. The last ones go to parts that have none of the class, where there are no more of them than such parts."""
        base, total = label * self.width, self.total
        held = self.held[base : base + self.width]
        queue = [(-self.wanted[base + part], -room, part) for part, room in enumerate(self.free) if room]
        parts = self._first_parts(queue, count - len(queue)) if count > MANY else []
        for part, taken in enumerate(np.bincount(parts, minlength=self.width).tolist()) if parts else ():
            held[part] |= taken > 0
            queue = [(lack + taken * total, room + taken, each) if each == part else (lack, room, each) for lack, room, each in queue]
        queue = [each for each in queue if each[1]]
        heapify(queue)
        for left in range(count - len(parts), 0, -1):
            chosen = queue[0]
            if left <= len(queue):
                lacking = [each for each in queue if not held[each[2]]]
                chosen = min(lacking) if left <= len(lacking) else chosen
            lack, room, part = chosen
            parts.append(part)
            held[part] = 1
            new = lack + total, room + 1, part
            if chosen is not queue[0]:
                queue.remove(chosen)
                if room < -1:
                    heappush(queue, new)
                else:
                    heapify(queue)
            elif room == -1:
                heappop(queue)
            else:
                heapreplace(queue, new)
        for part in parts:
            self.free[part] -= 1
        return parts

    def _first_parts(self, queue: Sequence[tuple[int, int, int]], count: int) -> list[int]:
        """The parts of the first groups of a class, the smallest of `queue` each time, whose lack then grows by `total`.

        So every part comes once in each round of `total`, from its first to its last, and their order within a round never changes.
        """
        rounds = [(lack // self.total, lack % self.total, room - lack // self.total, room, part) for lack, room, part in queue]
        rounds.sort(key=itemgetter(1, 2, 4))
        keys = [(start + np.arange(min(-room, count))) * len(rounds) + place for place, (start, _, _, room, _) in enumerate(rounds)]
        return np.array([part for *_, part in rounds])[np.sort(np.concatenate(keys))[:count] % len(rounds)].tolist()

    def count(self, groups: NDArray[np.int64], parts: Sequence[int]) -> set[int]:
        """Count groups that have got their parts. Returns the classes that they have."""
        return self._count_many(groups, parts) if len(groups) > MANY else self._count_few(groups.tolist(), parts)

    def _count_few(self, groups: Sequence[int], parts: Sequence[int]) -> set[int]:
        labels, starts, left, wanted, held = self._labels, self._starts, self.left, self.wanted, self.held
        touched = set()
        for group, part in zip(groups, parts, strict=True):
            for label in labels[starts[group] : starts[group + 1]]:
                place = label * self.width + part
                wanted[place] -= self.total
                held[place] = 1
                left[label] -= 1
                touched.add(label)
        return touched

    def _count_many(self, groups: NDArray[np.int64], parts: Sequence[int]) -> set[int]:
        starts = self.starts[groups]
        counts = self.starts[groups + 1] - starts
        firsts = np.cumsum(counts) - counts
        labels = self.labels[np.repeat(starts - firsts, counts) + np.arange(counts.sum())]
        places, times = np.unique(labels * self.width + np.repeat(parts, counts), return_counts=True)
        touched = set()
        for place, number in zip(places.tolist(), times.tolist(), strict=True):
            label = place // self.width
            self.wanted[place] -= number * self.total
            self.held[place] = 1
            self.left[label] -= number
            touched.add(label)
        return touched
