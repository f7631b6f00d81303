"""Tests of all definitions at once, on answers whose pulls by groups of customers are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import jackknife
from lcm_research.specification.curve import Specification, SpecificationCurve
from lcm_research.specification.joint import agreement_test, median_test, null_test


def means(data: np.ndarray, *, null: float = 0.0, names: list[str] | None = None) -> SpecificationCurve:
    """Return the means of the columns of ``data``, one row a group of customers, as answers."""
    value = data.mean(axis=0)
    without = (data.sum(axis=0) - data) / (len(data) - 1)
    tried = [
        Specification(
            choices={"scheme": (names or [f"s{k:02d}" for k in range(data.shape[1])])[k]},
            estimate=jackknife(float(value[k]), without[:, k], unit="points", n=100),
            own=k == 0,
        )
        for k in range(data.shape[1])
    ]
    return SpecificationCurve(tried=tuple(tried), null=null)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def data() -> np.ndarray:
    common = rng().normal(0.3, 1, size=(100, 1))
    return common + rng().normal(0, 0.5, size=(100, 4)) * np.array([1, 2, 1, 2])


def test_the_test_against_the_null_is_hotellings_of_means(data: np.ndarray) -> None:
    found = null_test(means(data), rng=rng())
    # T2 = n m' S^-1 m with S the covariance of rows; F = T2 (n - p) / (p (n - 1))
    mean, covariance = data.mean(axis=0), np.cov(data.T)
    t_square = 100 * mean @ np.linalg.solve(covariance, mean)
    expected = t_square * 96 / (4 * 99)
    assert found.method == "hotelling"
    assert found.degrees_of_freedom == (4, 96)
    assert found.statistic == pytest.approx(expected)
    assert found.p_value == pytest.approx(stats.f.sf(expected, 4, 96))


def test_the_test_of_agreement_is_hotellings_of_differences(data: np.ndarray) -> None:
    found = agreement_test(means(data), rng=rng())
    differences = data[:, 1:] - data[:, :1]
    mean, covariance = differences.mean(axis=0), np.cov(differences.T)
    expected = 100 * mean @ np.linalg.solve(covariance, mean) * 97 / (3 * 99)
    assert found.degrees_of_freedom == (3, 97)
    assert found.statistic == pytest.approx(expected)


def test_a_definition_told_twice_changes_no_test(data: np.ndarray) -> None:
    twice = np.column_stack([data, data[:, 1], data[:, 3]])
    for test in (null_test, agreement_test):
        once, again = test(means(data), rng=rng()), test(means(twice), rng=rng())
        assert again.statistic == pytest.approx(once.statistic)
        assert again.n_definitions == once.n_definitions == 4
    assert median_test(means(twice), rng=rng()) == median_test(means(data), rng=rng())


def test_a_definition_that_is_a_mix_of_others_adds_no_direction(data: np.ndarray) -> None:
    mixed = np.column_stack([data, (data[:, 0] + data[:, 1]) / 2])
    found = null_test(means(mixed), rng=rng())
    assert found.n_definitions == 5
    assert found.degrees_of_freedom == (4, 96)
    assert found.statistic == pytest.approx(null_test(means(data), rng=rng()).statistic)


def test_the_order_of_definitions_changes_no_test(data: np.ndarray) -> None:
    names = ["a", "b", "c", "d"]
    one, other = means(data, names=names), means(data[:, ::-1], names=names[::-1])
    for test in (null_test, agreement_test):
        assert test(other, rng=rng()).statistic == pytest.approx(test(one, rng=rng()).statistic)
    assert median_test(other, rng=rng()) == median_test(one, rng=rng())


def test_more_than_thirty_directions_are_bootstrapped_and_the_seed_repeats_it() -> None:
    many = rng().normal(0, 1, size=(100, 1)) + rng().normal(0, 1, size=(100, 35))
    found = null_test(means(many), rng=rng())
    assert found.method == "bootstrap"
    assert found.n_definitions == 35
    assert found == null_test(means(many), rng=rng())
    far = null_test(means(many + 5), rng=rng())
    assert far.p_value == pytest.approx(1 / 1000)  # none of 999 draws comes so far
    assert agreement_test(means(many + 5), rng=rng()).p_value == pytest.approx(
        agreement_test(means(many), rng=rng()).p_value
    )


def test_the_median_test_draws_other_customers_around_the_null(data: np.ndarray) -> None:
    found = median_test(means(data), rng=rng())
    assert found is not None
    # draws by hand: groups with replacement, means of the draw less the means of the data
    drawn = rng().multinomial(100, np.full(100, 0.01), size=999)
    centred = data - data.mean(axis=0)
    medians = np.median(drawn @ centred / 100 * np.sqrt(100 / 99), axis=1)
    median = np.median(data.mean(axis=0))
    assert found.median == pytest.approx(median)
    assert found.p_median == pytest.approx((1 + (np.abs(medians) >= abs(median)).sum()) / 1000, abs=0.002)
    assert found.n_same_sign == 4
    assert found == median_test(means(data), rng=rng())


def test_what_lies_around_the_null_is_no_curve_beyond_it(data: np.ndarray) -> None:
    centred = median_test(means(data - data.mean(axis=0) + 0.001), rng=rng())
    far = median_test(means(data + 3), rng=rng())
    assert centred is not None
    assert far is not None
    assert centred.p_median > 0.5
    assert far.p_median == pytest.approx(0.001)
    assert far.n_beyond == 4
    assert far.p_beyond < 0.01
    # four answers that hang together often lie on one side by themselves
    assert far.p_same_sign > 0.2


def test_the_test_keeps_its_level_where_the_null_is_true() -> None:
    draws = np.random.default_rng(3)
    rejected = 0
    for _ in range(100):
        common = draws.normal(0, 1, size=(100, 1))
        found = median_test(means(common + draws.normal(0, 0.6, size=(100, 6))), rng=draws)
        assert found is not None
        rejected += found.p_median < 0.05
    assert 1 <= rejected <= 11


def test_answers_that_do_not_vary_are_not_tested() -> None:
    still = means(np.ones((100, 2)) * [1, 2])
    assert not null_test(still, rng=rng()).applies
    assert median_test(still, rng=rng()) is None


def test_too_few_draws_are_refused(data: np.ndarray) -> None:
    with pytest.raises(ModelError, match="at least 999 draws; came n_draws=100"):
        median_test(means(data), rng=rng(), n_draws=100)
