"""Intervals: worked by hand, exact where groups are few, and covering as often as they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcm_research.errors import ModelError
from lcm_research.estimate import (
    Estimate,
    by_replicate,
    clopper_pearson,
    exact_proportion,
    jackknife,
    jackknife_se,
    leave_one_out,
    proportion,
)


def test_sign_needs_the_interval_on_one_side_of_the_null() -> None:
    above = Estimate(value=1.2, lower=1.1, upper=1.3, unit="ratio", n=50)
    assert (above.sign(1.0), above.sign(1.15), above.sign(2.0)) == (1, 0, -1)


def test_jackknife_of_a_mean_is_the_textbook_standard_error() -> None:
    # for a mean of 100 equal groups the delete-a-group jackknife is s / sqrt(100)
    means = np.random.default_rng(0).normal(size=100)
    value, without = leave_one_out(np.stack([means, np.ones(100)], axis=1), lambda c: c[0] / c[1])
    assert jackknife_se(value, without) == pytest.approx(means.std(ddof=1) / 10, rel=1e-12)


def test_interval_of_a_ratio_is_symmetric_on_the_log_scale() -> None:
    without = 2.0 + 0.01 * np.sin(np.arange(100))
    ratio = jackknife(2.0, without, unit="ratio", n=400, scale="log")
    assert ratio.lower * ratio.upper == pytest.approx(4.0)
    assert ratio.lower < 2.0 < ratio.upper


@pytest.mark.parametrize("scale", ["logit", "loglog"])
def test_interval_of_a_probability_stays_inside_0_and_1(scale: str) -> None:
    near_one = jackknife(0.99, 0.99 + 0.0003 * np.sin(np.arange(100)), unit="probability", n=9, scale=scale)
    assert 0 < near_one.lower < 0.99 < near_one.upper < 1


def test_a_value_on_the_edge_of_its_scale_is_refused() -> None:
    with pytest.raises(ModelError, match=r"jackknife interval on the log scale.*came 0"):
        jackknife(0.0, np.zeros(100), unit="ratio", n=10, scale="log")


def test_few_groups_with_an_event_get_the_exact_interval() -> None:
    events = np.zeros(100)
    events[:5] = 1
    few = proportion(events, np.full(100, 20.0))
    assert (few.lower, few.upper) == pytest.approx(clopper_pearson(5, 2000))
    events[:40] = 1
    assert proportion(events, np.full(100, 20.0)).leave_one_out is not None


def test_a_proportion_of_nobody_is_refused() -> None:
    with pytest.raises(ModelError, match="at least one customer"):
        exact_proportion(0, 0)


def test_counts_are_arranged_with_groups_first() -> None:
    counts = pd.DataFrame({"replicate": [0, 0, 99], "stage": ["a", "b", "b"], "n": [3, 4, 5]})
    grouped = by_replicate(counts, ["n"], ["stage"], [pd.Index(["a", "b"])])
    assert grouped.shape == (100, 2, 1)
    assert grouped[0, :, 0].tolist() == [3, 4]
    assert grouped[99, 1, 0] == 5
    assert grouped.sum() == 12
    with pytest.raises(ModelError, match="column 'stage' holds \\['b'\\]"):
        by_replicate(counts, ["n"], ["stage"], [pd.Index(["a"])])


@given(st.permutations(range(12)))
def test_order_of_rows_does_not_matter(order: list[int]) -> None:
    counts = pd.DataFrame({"replicate": np.arange(12) % 5, "s": ["a", "b", "c"] * 4, "n": np.arange(12)})
    arranged = by_replicate(counts.iloc[order], ["n"], ["s"], [pd.Index(["a", "b", "c"])])
    assert (arranged == by_replicate(counts, ["n"], ["s"], [pd.Index(["a", "b", "c"])])).all()


def test_intervals_of_a_clustered_proportion_cover_as_often_as_they_promise() -> None:
    # customers with several trials each and their own rate: 300 data sets of 1,000 customers
    rng = np.random.default_rng(1)
    truth, covered = 0.3, 0
    for _ in range(300):
        rate = rng.beta(3, 7, size=1000)
        trials = rng.integers(1, 8, size=1000)
        successes = rng.binomial(trials, rate)
        group = rng.integers(0, 100, size=1000)
        estimate = proportion(np.bincount(group, successes, 100), np.bincount(group, trials, 100))
        covered += estimate.lower <= truth <= estimate.upper
    assert 0.92 <= covered / 300 <= 0.975
