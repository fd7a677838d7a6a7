"""Labels counted in blocks that are merged are counted as one by one."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from groundswift.data_converters.rows.lint import label_counts
from groundswift.data_converters.rows.lint.findings import Place
from groundswift.data_converters.rows.lint.label_counts import ClassCount, LabelCounts

ROWS = st.lists(st.tuples(st.lists(st.sampled_from("abcdef"), max_size=4), st.booleans()), max_size=20)


def one_by_one(rows: list[tuple[list[str], bool]]) -> dict[str, ClassCount]:
    """Each label by itself."""
    counts: dict[str, ClassCount] = {}
    for line, (labels, detection) in enumerate(rows, 1):
        for label in labels:
            count = counts.setdefault(label, ClassCount(label, Place("f", line, line * 7)))
            count.boxes += 1
            count.listed += detection
        for label in set(labels):
            counts[label].rows += 1
    return counts


@given(ROWS, st.integers(1, 5), st.integers(1, 7))
def test_blocks_are_counted_as_rows_one_by_one(rows, block, most):
    merged, before = LabelCounts(), label_counts.MOST_LABELS
    label_counts.MOST_LABELS = most
    try:
        for start in range(0, len(rows), block):
            some, found = rows[start : start + block], LabelCounts()
            lines = range(start + 1, start + len(some) + 1)
            found.add([labels for labels, _ in some], [detection for _, detection in some], "f", lines, [line * 7 for line in lines])
            merged.merge(pickle.loads(pickle.dumps(found)))
    finally:
        label_counts.MOST_LABELS = before
    expected = list(one_by_one(rows).values())
    assert list(merged.classes()) == expected[:most]
    assert merged.others == sum(each.boxes for each in expected[most:])
