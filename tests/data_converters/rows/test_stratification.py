"""The fast stratification gives each group the part that the rule gives it, one group after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswift.data_converters.rows import stratification
from groundswift.data_converters.rows.mix import permuted
from groundswift.data_converters.rows.stratification import stratified


def by_the_rule(classes_of: list[set[int]], targets: list[int], seed: int) -> list[int]:
    """The part of each group, chosen group by group: slow, and without any state but counts."""
    total = len(classes_of)
    order, parts, free = permuted(total, seed).tolist(), [-1] * total, list(targets)
    sizes = {label: sum(label in each for each in classes_of) for label in set().union(*classes_of)}
    while rest := [group for group in order if parts[group] < 0]:
        _, label = min((sum(label in classes_of[group] for group in rest), label) for label in set().union(*(classes_of[g] for g in rest)))
        mine = [group for group in rest if label in classes_of[group]]
        for number, group in enumerate(mine):
            has = [sum(parts[each] == part and label in classes_of[each] for each in range(total)) for part in range(len(free))]
            parts_left, left = [part for part, room in enumerate(free) if room], len(mine) - number
            lacking = [part for part in parts_left if not has[part]]
            if left <= len(parts_left) and left <= len(lacking):
                parts_left = lacking
            chosen = max(parts_left, key=lambda part: (sizes[label] * targets[part] - total * has[part], free[part], -part))
            parts[group], free[chosen] = chosen, free[chosen] - 1
    return parts


CLASSES = st.lists(st.sets(st.integers(0, 5), min_size=1, max_size=3), min_size=4, max_size=30)


@settings(max_examples=150, deadline=None)
@given(CLASSES, st.data(), st.integers(0, 3), st.sampled_from([0, 2, 200]))
def test_as_by_the_rule(classes_of, data, seed, many):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(classes_of) - 1), min_size=1, max_size=3)))
    targets = np.diff([0, *cuts, len(classes_of)]).tolist()
    pairs = [(group, label) for group, each in enumerate(classes_of) for label in sorted(each)]
    before, stratification.MANY = stratification.MANY, many
    try:
        found = stratified(*np.array(pairs).T, targets, seed)
    finally:
        stratification.MANY = before
    assert found.tolist() == by_the_rule(classes_of, targets, seed)
