"""A joint test on the spread between 100 groups of customers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.transitions.replicate_wald import bootstrap_wald, hotelling_wald, replicate_wald


def means(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mean over 100 groups of equal size, with and without each."""
    return rows.mean(axis=0), (rows.sum(axis=0) - rows) / 99


def test_for_means_of_groups_it_is_hotellings_test_of_the_groups() -> None:
    # leaving one of 100 equal groups out of a mean moves it by (mean - group) / 99, so the jackknife covariance is
    # 99/100 * sum((mean - group)(...)') / 99**2 = S / 100 with S the sample covariance: T^2 is the textbook's
    rows = np.random.default_rng(1).normal(0.1, 1.0, (100, 3))
    found = hotelling_wald(*means(rows))
    mean = rows.mean(axis=0)
    t_square = 100 * mean @ np.linalg.solve(np.cov(rows.T), mean)
    expected = t_square * 97 / (99 * 3)
    assert found.statistic == pytest.approx(expected)
    assert found.degrees_of_freedom == (3, 97)
    assert found.p_value == pytest.approx(stats.f.sf(expected, 3, 97))


def test_a_linear_change_of_the_differences_changes_nothing() -> None:
    rows = np.random.default_rng(2).normal(0.1, 1.0, (100, 3))
    turn = np.array([[1.0, 2, 0], [0, 1, -1], [3, 0, 1]])
    assert hotelling_wald(*means(rows @ turn)).p_value == pytest.approx(hotelling_wald(*means(rows)).p_value)


def test_the_bootstrap_of_groups_keeps_its_size_with_more_differences_than_hotelling_takes() -> None:
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(100):
        found = replicate_wald(*means(rng.normal(0, 1, (100, 40))), rng=rng)
        rejected += found.p_value < 0.05
        assert found.method == "bootstrap"
    assert rejected <= 13  # 5 expected; binomial(100, .05) is above in 1 of 2,000 runs


def test_without_randomness_too_many_differences_are_not_tested_and_it_says_why() -> None:
    found = replicate_wald(*means(np.random.default_rng(1).normal(0, 1, (100, 31))))
    assert not found.applies
    assert np.isnan(found.p_value)
    assert "31 differences at once, more than 30" in found.reason


def test_differences_that_do_not_vary_are_not_tested() -> None:
    value, without = means(np.random.default_rng(1).normal(0, 1, (100, 2)))
    twice = np.array([0, 0, 1])
    assert "do not vary independently" in hotelling_wald(value[twice], without[:, twice]).reason
    flat = bootstrap_wald(np.zeros(2), np.zeros((100, 2)), rng=np.random.default_rng(1))
    assert "do not vary" in flat.reason
    assert replicate_wald(np.zeros(0), np.zeros((100, 0))).reason == "there is nothing to compare"


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ModelError, match="at least 999 draws; came n_draws=100"):
        bootstrap_wald(np.zeros(1), np.zeros((100, 1)), rng=np.random.default_rng(1), n_draws=100)
