"""Bootstrap intervals: against one written out, their coverage, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswift.errors import GroundswiftError
from groundswift.eval.bootstrap import draws, interval, intervals, percentiles, ratio_interval, term

SAMPLES = st.lists(st.tuples(st.floats(0, 1), st.floats(0.125, 4), st.integers(0, 5)), min_size=2, max_size=12)


def written_out(values, weights, groups, resamples=1000):
    """The same interval with a loop for each resample."""
    sums = {}
    for value, weight, group in zip(values, weights, groups, strict=True):
        above, below = sums.get(group, (0, 0))
        sums[group] = (above + value * weight, below + weight)
    units = sorted(sums.values(), key=lambda unit: unit[::-1])
    random = np.random.default_rng(0)
    found = []
    for _ in range(resamples):
        drawn = [units[index] for index in random.integers(len(units), size=len(units))]
        found.append(sum(above for above, _ in drawn) / sum(below for _, below in drawn))
    return tuple(np.percentile(found, [2.5, 97.5]))


@pytest.mark.parametrize("grouped", [False, True])
def test_equals_one_that_is_written_out(grouped):
    random = np.random.default_rng(1)
    values, weights = random.uniform(size=60), random.uniform(0.5, 3, 60)
    groups = random.integers(0, 20, 60).tolist() if grouped else range(60)
    assert interval(values, weights, groups if grouped else None) == pytest.approx(written_out(values, weights, groups), abs=1e-12)


@given(SAMPLES, st.randoms(use_true_random=False))
def test_any_permutation_and_any_names_give_the_same_bits(samples, random):
    values, weights, groups = zip(*samples, strict=True)
    found = interval(values, weights, groups, resamples=50)
    random.shuffle(samples)
    values, weights, groups = zip(*samples, strict=True)
    assert interval(values, weights, [f"image {9 - group}" for group in groups], resamples=50) == found


@given(SAMPLES)
def test_an_interval_is_within_the_values(samples):
    values, weights, _ = zip(*samples, strict=True)
    low, high = interval(values, weights, resamples=50)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_it_covers_the_mean_as_often_as_it_says():
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        low, high = interval(random.uniform(size=80) < 0.3, resamples=300)
        covered += low <= 0.3 <= high
    assert 0.90 < covered / 300 < 0.98


def test_rows_of_one_image_are_drawn_together():
    values = np.repeat(np.random.default_rng(3).uniform(size=30), 10)
    alone, together = interval(values), interval(values, groups=np.repeat(np.arange(30), 10).tolist())
    assert together == pytest.approx(interval(values[::10]))
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_a_ratio_of_sums_is_not_a_mean_of_ratios():
    low, high = ratio_interval([1, 0] * 50, [1, 9] * 50)
    assert low < 0.1 < high < 0.2


def test_resamples_without_weight_are_skipped():
    low, high = ratio_interval([1.0, 0.0], [1.0, 0.0])
    assert (low, high) == (1, 1)
    assert ratio_interval([0.0, 0.0], [0.0, 0.0]) is None


@pytest.mark.parametrize(("values", "groups"), [([], None), ([0.5], None), ([0.5, 1], ["a", "a"])], ids=["none", "one", "one group"])
def test_too_few_are_undefined(values, groups):
    assert interval(values, groups=groups) is None
    assert intervals({"x": values}, groups) == {}


@pytest.mark.parametrize(
    ("values", "weights", "groups", "said"),
    [
        ([0.5, float("nan")], None, None, "values hold a number that is not finite"),
        ([0.5, None], None, None, "not finite"),
        ([[0.5], [1]], None, None, "values of shape (2, 1); expected (N,)"),
        ([0.5, 1], [1], None, "weights of shape (1,); expected (2,)"),
        ([0.5, 1], [1, -1], None, "a weight or denominator of -1.0"),
        ([0.5, 1], None, ["a"], "1 groups for 2 values"),
    ],
)
def test_what_cannot_be_resampled(values, weights, groups, said):
    with pytest.raises(GroundswiftError) as error:
        interval(values, weights, groups)
    assert said in str(error.value)


def test_draws_come_in_pieces_and_are_the_same_each_time(monkeypatch):
    whole = np.concatenate(list(draws(7, 100)))
    monkeypatch.setattr("groundswift.eval.bootstrap.DRAWN_AT_ONCE", 70)
    pieces = list(draws(7, 100))
    assert len(pieces) == 10
    assert np.array_equal(np.concatenate(pieces), whole)


def test_what_the_protocol_says():
    assert term("images") == "percentile bootstrap over images, 1000 resamples, 95%, seed 0"
    assert percentiles([]) is None
