"""The null: what volume and place alone earn, and how often a channel without effect stands out from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.attribution.edges import Edges
from lcm_research.attribution.null import Excess, credit_beyond_null, null_credit, without_difference
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.attribution.removal import credit_by_removal
from lcm_research.errors import ModelError


def from_paths(*rows: tuple) -> pd.DataFrame:
    columns = ["path", "conversions", "value", "nulls", "replicate"][: len(rows[0])]
    return edges_from_paths(pd.DataFrame(list(rows), columns=columns), separator=">")


def test_null_credit_worked_by_hand() -> None:
    # a converts 5 of 10 and b 1 of 10; at the overall 6 of 20 both would earn half of the 6 conversions
    edges = from_paths(("a", 5, 900, 5), ("b", 1, 100, 9))
    assert null_credit(edges, of="conversions").credit == pytest.approx([3, 3], abs=1e-14)
    assert null_credit(edges, of="value").credit == pytest.approx([500, 500], abs=1e-12)
    excess = credit_beyond_null(edges, of="conversions")
    # observed shares 5/6 and 1/6
    assert excess.difference == pytest.approx([1 / 3, -1 / 3], abs=1e-15)
    assert excess.table()["credit"].tolist() == pytest.approx([5, 1])


def test_credit_is_null_credit_where_the_last_channel_makes_no_difference() -> None:
    # every end converts 1 time in 3, whatever the path, and each conversion is worth 10
    edges = from_paths(("a > b > a", 2, 20, 4), ("b", 5, 50, 10), ("c > c", 1, 10, 2))
    for of in ("conversions", "value"):
        assert credit_beyond_null(edges, of=of).difference == pytest.approx([0, 0, 0], abs=1e-15)


def test_null_credit_sums_to_the_conversions_and_the_difference_to_zero() -> None:
    edges = from_paths(("a > b > a", 2, 20, 1), ("b", 5, 70, 10), ("c > b > c", 0, 0, 2))
    for of, total in (("conversions", 7), ("value", 90)):
        excess = credit_beyond_null(edges, of=of)
        assert excess.null.credit.sum() == pytest.approx(total)
        assert excess.difference.sum() == pytest.approx(0, abs=1e-15)


def test_each_group_is_left_out_before_the_overall_rate_is_formed() -> None:
    rows = [("a > b", 2 + g % 3, 20, 1 + g % 2, g) for g in range(100)] + [("b", 1, 5 + g, 3, g) for g in range(100)]
    edges = from_paths(*rows)
    for of in ("conversions", "value"):
        whole = null_credit(edges, of=of)
        alone = null_credit(edges[edges["replicate"] != 42], of=of)
        assert whole.share_without[42] == pytest.approx(alone.share, rel=1e-12)


def test_intervals_hold_for_all_channels_together() -> None:
    rng = np.random.default_rng(1)
    excess = _excess(rng, lift=1.0)
    differences = excess.credit.share_without - excess.null.share_without
    # two-sided 5% over four channels: t with 99 df at 1 - .05 / 8 is 2.545; the spread is scaled by 99 / 100
    spread = np.sqrt(0.99 * ((differences - excess.difference) ** 2).sum(axis=0))
    lower, upper = excess.interval(level=0.95)
    assert (upper - lower) / 2 == pytest.approx(2.5455 * spread, rel=1e-3)
    of_one = excess.estimate("c1", n=300)
    assert (of_one.lower, of_one.upper) == pytest.approx((lower[1], upper[1]))


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no journey has the channel 'sarch'; did you mean 'search'\?"):
        credit_beyond_null(from_paths(("search", 1, 1, 1)), of="value").estimate("sarch", n=1)


def test_channels_without_effect_rarely_stand_out_however_much_they_are_used() -> None:
    rng = np.random.default_rng(20240101)
    flagged, shares = [], []
    for _ in range(200):
        excess = _excess(rng, lift=1.0)
        flagged.append(excess.sign().any())
        shares.append(excess.credit.share[0])
    # the most used channel earns a share that no effect stands behind
    assert np.mean(shares) > 0.3
    assert 0 < sum(flagged) <= 20  # 5% of 200 is 10; 20 or more by chance once in 300


def test_a_channel_that_doubles_conversion_stands_out() -> None:
    rng = np.random.default_rng(5)
    signs = np.array([_excess(rng, lift=2.0).sign() for _ in range(40)])
    assert (signs[:, 3] == 1).mean() > 0.8
    assert (signs[:, 3] == -1).sum() == 0


def test_credit_of_the_most_used_channel_has_an_interval_far_from_zero_and_no_excess() -> None:
    # what the null protects from: the interval alone does not
    excess = _excess(np.random.default_rng(8), lift=1.0)
    lower, _ = excess.credit.interval()
    assert lower[0] > 0.3
    assert excess.sign()[0] == 0


def _excess(rng: np.random.Generator, *, lift: float) -> Excess:
    """
    300 customers whose activity drives both how long their journeys are and which channel they use.

    A journey converts with .25 whatever its last channel, times ``lift`` after channel 3.
    """
    k = 4
    counts = {name: np.zeros((100, k)) for name in ("starts", "conversions", "nulls", "value")}
    steps = np.zeros((100, k, k))
    for customer in range(300):
        activity = rng.gamma(1.2)
        weights = np.array([activity**1.5, 0.5, 0.3, 0.4]) + 0.05
        for _ in range(1 + rng.poisson(2)):
            path = rng.choice(k, size=1 + rng.poisson(activity), p=weights / weights.sum())
            group = customer % 100
            counts["starts"][group, path[0]] += 1
            np.add.at(steps[group], (path[:-1], path[1:]), 1)
            converts = rng.random() < 0.25 * (lift if path[-1] == 3 else 1)
            counts["conversions" if converts else "nulls"][group, path[-1]] += 1
            counts["value"][group, path[-1]] += 10 * converts
    edges = Edges(channels=tuple(f"c{i}" for i in range(k)), steps=steps, **counts)
    return Excess(
        credit=credit_by_removal(edges, of="conversions", model="markov"),
        null=credit_by_removal(edges, of="conversions", model="null", as_if=without_difference),
    )
