"""The generalised gamma: its special cases, its way through shape 0, and what is made of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from lcm_research.errors import ModelError
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.distribution_choice import (
    agreement,
    choose_distribution,
    cox_snell_residuals,
    likelihood_ratio_test,
)
from lcm_research.survival.duration_likelihood import STANDARD, Distribution, duration_cells, evaluate
from lcm_research.survival.generalised_gamma import _by_gamma, _near_normal, log_density, log_survival
from lcm_research.survival.parametric import (
    AcceleratedFailureTimeFit,
    accelerated_failure_time,
    predicted_median,
    predicted_quantile,
    predicted_survival_at,
)

NESTED: tuple[Distribution, ...] = ("gengamma", "lognormal", "weibull")


def spells(shape: float, n: int = 2000, seed: int = 1, late: bool = False) -> pd.DataFrame:
    """Spells with location 3, scale 0.7 and the given shape, censored from day 10 on."""
    rng = np.random.default_rng(seed)
    z = np.log(rng.gamma(shape**-2, size=n) * shape**2) / shape if shape else rng.normal(size=n)
    life, seen = np.exp(3 + 0.7 * z), rng.uniform(10, 100, n)
    table = pd.DataFrame({"duration_days": np.minimum(life, seen), "event_observed": life <= seen, "n": 1})
    table = table.assign(replicate=rng.integers(0, 100, n), entry_days=rng.uniform(0, 8, n) * late)
    return table[table["duration_days"] > table["entry_days"]].reset_index(drop=True)


def fit_of(
    table: pd.DataFrame, distribution: Distribution, intervals: str = "information"
) -> AcceleratedFailureTimeFit:
    return accelerated_failure_time(table, distribution=distribution, covariates=[], intervals=intervals)  # type: ignore[arg-type]


def value_at(table: pd.DataFrame, distribution: Distribution, at: list[float]) -> float:
    standard = STANDARD[distribution]
    cells = duration_cells(table, np.zeros(len(table), np.int64))
    second = np.ones((1, 1 if standard.second else 0))
    return evaluate(np.array(at), np.ones((1, 1)), second, cells, standard).value


@pytest.mark.parametrize("late", [False, True])
def test_lognormal_weibull_and_exponential_are_special_cases(late: bool) -> None:
    table = spells(0.5, late=late)
    assert value_at(table, "gengamma", [3.1, -0.2, 0.0]) == pytest.approx(
        value_at(table, "lognormal", [3.1, -0.2]), rel=1e-12
    )
    assert value_at(table, "gengamma", [3.1, -0.2, 1.0]) == pytest.approx(
        value_at(table, "weibull", [3.1, -0.2]), rel=1e-12
    )
    assert value_at(table, "gengamma", [3.1, 0.0, 1.0]) == pytest.approx(
        value_at(table, "exponential", [3.1]), rel=1e-12
    )
    # the gamma: shape equal to the scale
    days = table["duration_days"]
    frozen = stats.gamma(0.64**-2, scale=np.exp(3.1) * 0.64**2)
    by_scipy = np.where(table["event_observed"], frozen.logpdf(days), frozen.logsf(days))
    expected = float((by_scipy - frozen.logsf(table["entry_days"])).sum())
    assert value_at(table, "gengamma", [3.1, np.log(0.64), 0.64]) == pytest.approx(expected, rel=1e-12)


@given(shape=st.floats(-0.05, 0.05), z=st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_density_and_survival_belong_together_through_shape_zero(shape: float, z: float) -> None:
    def density(u: float) -> float:
        return float(np.exp(log_density(np.array([u]), np.array([shape]))[0]))

    below = integrate.quad(density, z - 1, z, epsabs=1e-14, epsrel=1e-13)[0]
    left = np.exp(log_survival(np.array([z - 1, z]), np.full(2, shape)))
    assert left[0] - left[1] == pytest.approx(below, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("shape", [0.06, -0.06])
def test_the_expansion_near_the_normal_meets_the_incomplete_gamma_function(shape: float) -> None:
    z = np.linspace(-4, 4, 161)
    series, exact = (branch(z, np.full(161, shape)) for branch in (_near_normal, _by_gamma))
    # twice the shape at which one takes over from the other, where they agree to 1e-13
    assert np.allclose(series, exact, rtol=8e-12, atol=1e-14)


def test_the_likelihood_runs_smoothly_through_shape_zero() -> None:
    table = spells(0.0, late=True)
    at_zero = value_at(table, "gengamma", [3, -0.4, 0.0])
    for tiny in (1e-12, -1e-12, 1e-8, -1e-8):
        assert value_at(table, "gengamma", [3, -0.4, tiny]) == pytest.approx(
            at_zero, abs=1e-4 * max(1, abs(tiny) * 1e9)
        )
    standard, cells = STANDARD["gengamma"], duration_cells(table, np.zeros(len(table), np.int64))
    for middle in (0.0, 0.03, -0.03, 0.25, 1.0, -1.5):
        at, one = np.array([3, -0.4, middle]), np.ones((1, 1))
        here = evaluate(at, one, one, cells, standard)
        h = 1e-4
        for i, step in enumerate(h * np.eye(3)):
            up, down = (evaluate(at + s * step, one, one, cells, standard) for s in (1, -1))
            assert here.score[i] == pytest.approx((up.value - down.value) / (2 * h), rel=1e-5, abs=1e-3)
            assert np.allclose(here.information[i], (down.score - up.score) / (2 * h), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("shape", [-1.2, 0.0, 0.02, 0.6, 1.0, 2.0])
def test_the_shape_that_made_the_spells_is_found(shape: float) -> None:
    fit = fit_of(spells(shape, n=4000, seed=7), "gengamma", "replicate")
    assert fit.names == ("(Intercept)", "Log(scale)", "Q")
    assert fit.shape is not None
    truth = np.array([3, np.log(0.7), shape])
    assert (np.abs(fit.coefficients - truth) < 3 * fit.standard_error).all()
    # one spell a customer: the jackknife and the information say the same
    assert np.allclose(fit.standard_error, np.sqrt(np.diag(fit.covariance)), rtol=0.25)
    assert fit.shape == fit.coefficients[2]


def test_a_special_case_is_refused_exactly_where_it_did_not_make_the_spells() -> None:
    general, normal, weibull = (fit_of(spells(0.0, seed=3), d) for d in NESTED)
    kept, refused = likelihood_ratio_test(general, normal), likelihood_ratio_test(general, weibull)
    assert kept.chi_square == pytest.approx(2 * (general.log_likelihood - normal.log_likelihood))
    assert kept.p_value == pytest.approx(stats.chi2.sf(kept.chi_square, 1))
    assert kept.chi_square >= 0
    assert kept.p_value > 0.05
    assert refused.p_value < 1e-6
    two = likelihood_ratio_test(general, fit_of(spells(0.0, seed=3), "exponential"))
    assert (two.degrees_of_freedom, two.special_case, two.n) == (2, "exponential", 2000)
    with pytest.raises(ModelError, match="'lognormal' is no special case of 'weibull'"):
        likelihood_ratio_test(weibull, normal)
    with pytest.raises(ModelError, match="the fits are of 2000 and 500 spells"):
        likelihood_ratio_test(general, fit_of(spells(0.0, n=500), "weibull"))


def test_the_test_of_a_true_special_case_keeps_its_size() -> None:
    refused = []
    for seed in range(40):
        table = spells(1.0, n=300, seed=seed)
        refused.append(likelihood_ratio_test(fit_of(table, "gengamma"), fit_of(table, "weibull")).p_value < 0.1)
    # 4 of 40 expected; 11 or more have a chance below 1 in 500
    assert 0 < sum(refused) < 11


def test_a_quantile_by_hand() -> None:
    table = pd.DataFrame({"duration_days": [10, 20, 30, 40], "event_observed": True, "n": 10})
    fit = fit_of(table, "exponential")
    half = predicted_median(fit, {})
    assert half.value == pytest.approx(25 * np.log(2))
    # the log of an exponential's quantile has the log mean's standard error, 1 / sqrt(40 events)
    width = 1.959963984540054 / np.sqrt(40)
    assert [half.lower, half.upper] == pytest.approx([half.value * np.exp(-width), half.value * np.exp(width)])
    # without memory: from day 7 on it takes the same time again
    assert predicted_median(fit, {}, given_day=7).value == pytest.approx(7 + 25 * np.log(2))
    assert predicted_survival_at(fit, {}, 32, given_day=7).value == pytest.approx(np.exp(-1))
    assert (half.unit, half.n) == ("days", 40)
    with pytest.raises(ModelError, match="a share between 0 and 1; came 1"):
        predicted_quantile(fit, {}, 1.0)
    with pytest.raises(ModelError, match="day 3 lies before day 7"):
        predicted_survival_at(fit, {}, 3, given_day=7)


@pytest.mark.parametrize("distribution", ["weibull", "lognormal", "loglogistic", "exponential", "gengamma"])
@pytest.mark.parametrize("given_day", [0.0, 5.0])
def test_a_quantile_inverts_the_curve_with_its_interval(distribution: Distribution, given_day: float) -> None:
    table = spells(0.4, late=True)
    for intervals in ("information", "replicate"):
        fit = fit_of(table, distribution, intervals)
        day = predicted_quantile(fit, {}, 0.8, given_day=given_day)
        there = predicted_survival_at(fit, {}, day.value, given_day=given_day)
        assert there.value == pytest.approx(0.2, rel=1e-9)
        # where the curve's interval crosses the level, to first order
        ends = [predicted_survival_at(fit, {}, end, given_day=given_day) for end in (day.lower, day.upper)]
        assert ends[0].lower == pytest.approx(0.2, abs=0.012)
        assert ends[1].upper == pytest.approx(0.2, abs=0.012)
    assert day.leave_one_out is not None
    group = 17
    left = fit_of(table[table["replicate"] != group], distribution)
    again = predicted_quantile(left, {}, 0.8, given_day=given_day).value
    assert day.leave_one_out[group] == pytest.approx(again, rel=2e-3)


@pytest.mark.parametrize("distribution", ["weibull", "exponential", "gengamma"])
def test_the_interval_of_a_quantile_is_the_delta_method_on_log_days(distribution: Distribution) -> None:
    fit, h, slopes = fit_of(spells(0.4, n=600), distribution), 1e-4, []
    day = predicted_quantile(fit, {}, 0.6, given_day=15)
    for step in h * np.eye(len(fit.names)):
        moved = [replace(fit, coefficients=fit.coefficients + sign * step) for sign in (1, -1)]
        up, down = (np.log(predicted_quantile(each, {}, 0.6, given_day=15).value) for each in moved)
        slopes.append((up - down) / (2 * h))
    error = np.sqrt(np.array(slopes) @ fit.covariance @ np.array(slopes))
    assert np.log(day.upper / day.lower) / 2 == pytest.approx(1.959963984540054 * error, rel=1e-5)


def test_intervals_of_a_median_cover_the_truth_as_often_as_they_say() -> None:
    truth = np.exp(3 + 0.7 * np.log(special.gammaincinv(4.0, 0.5) / 4) * 2)
    covered = []
    for seed in range(30):
        half = predicted_median(fit_of(spells(0.5, n=300, seed=seed), "gengamma", "replicate"), {})
        covered.append(half.lower < truth < half.upper)
    # 28.5 of 30 expected; fewer than 25 have a chance below 1 in 100
    assert sum(covered) >= 25


def test_a_shape_that_runs_off_is_refused_and_left_out_of_a_comparison() -> None:
    rng = np.random.default_rng(2)
    # a uniform distribution has its whole density below a sharp end, which no finite shape reaches
    table = pd.DataFrame({"duration_days": rng.uniform(0, 1, 400) ** 0.2, "event_observed": True, "n": 1})
    with pytest.raises(ModelError, match=r"the shape runs off .*beyond 10"):
        fit_of(table, "gengamma")
    assert "gengamma" not in choose_distribution(table, covariates=[])["distribution"].tolist()


def test_residuals_by_hand() -> None:
    table = pd.DataFrame(
        {"duration_days": [10, 20, 30, 40], "event_observed": [True, True, False, True], "n": [5, 5, 10, 20]}
    )
    fit = fit_of(table, "exponential")
    # 30 lapses in 50 + 100 + 300 + 800 = 1,250 days: a residual is days * 30 / 1250
    told = cox_snell_residuals(fit, table)
    assert told["residual"].tolist() == pytest.approx([0.24, 0.48, 0.96])
    # 5 of 40, 5 of 35, 20 of 20
    assert told["cumulative_hazard"].tolist() == pytest.approx([5 / 40, 5 / 40 + 5 / 35, 5 / 40 + 5 / 35 + 1])
    assert told["at_risk"].tolist() == [40, 35, 20]
    assert (told["lower"] < told["cumulative_hazard"]).all()
    with pytest.raises(ModelError, match="the fit is of 4 rows of counts, these are 2"):
        cox_snell_residuals(fit, table.head(2))


def test_residuals_lie_on_the_line_exactly_where_the_distribution_holds() -> None:
    table = spells(0.0, n=4000, late=True)
    inside = {}
    for distribution in ("lognormal", "exponential"):
        told = cox_snell_residuals(fit_of(table, distribution), table)  # type: ignore[arg-type]
        told = told[told["residual"] < 2]
        inside[distribution] = float(told["residual"].between(told["lower"], told["upper"]).mean())
    assert inside["lognormal"] > 0.9
    assert inside["exponential"] < 0.5


def test_agreement_with_the_curve_by_hand() -> None:
    table = pd.DataFrame({"duration_days": [10, 20, 30, 40], "event_observed": True, "n": [10, 10, 10, 10]})
    fit, curve = fit_of(table, "exponential"), kaplan_meier(table, interval="log-log")
    found = agreement(fit, curve, given_day=0, min_at_risk=20)
    # mean 25 days; days 10, 20, 30 have at least 20 at risk and 0.75, 0.5, 0.25 go on
    gaps = np.exp(-np.array([10, 20, 30]) / 25) - [0.75, 0.5, 0.25]
    assert found.largest_gap == pytest.approx(gaps[np.abs(gaps).argmax()])
    assert (found.on_day, found.n_days) == (10.0, 3)
    assert found.share_inside == pytest.approx(
        np.mean([curve.lower[i] <= np.exp(-(10 * i + 10) / 25) <= curve.upper[i] for i in range(3)])
    )
    with pytest.raises(ModelError, match="no day with an event and 50 spells at risk"):
        agreement(fit, curve, given_day=0, min_at_risk=50)
    columns = accelerated_failure_time(
        table.assign(x=[1, 2, 1, 2]), distribution="exponential", covariates=["x"], intervals="information"
    )
    with pytest.raises(ModelError, match=r"the fit has the columns \['x'\]"):
        agreement(columns, curve, given_day=0, min_at_risk=1)
