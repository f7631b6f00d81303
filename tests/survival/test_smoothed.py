"""Hazards over a customer's life: smoothed by day, and log hazard ratios by day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.survival.hazards import CoxFit, cox
from lcm_research.survival.proportionality import schoenfeld_residuals
from lcm_research.survival.smoothed import SmoothedHazard, _boundary_kernel, _weights, smoothed_hazard


def halving(n_days: int) -> pd.DataFrame:
    """Half of those at risk lapse on every day."""
    left = 2 ** np.arange(n_days, -1, -1)
    days = np.arange(1, n_days + 1)
    table = pd.DataFrame({"duration_days": [*days, n_days], "event_observed": [True] * n_days + [False]})
    return table.assign(n=[*-np.diff(left), 1])


def lives(n: int, seed: int, peak: float = 0.0) -> pd.DataFrame:
    """Spells with a hazard of 0.03 a day and a wave of height ``peak`` around day 30."""
    rng = np.random.default_rng(seed)
    days = np.arange(1, 101)
    hazard = 0.03 + peak * np.exp(-(((days - 30) / 8) ** 2))
    survival = np.cumprod(1 - hazard)
    life = 1 + np.searchsorted(-survival, -rng.random(n))
    seen = rng.integers(40, 100, n)
    table = pd.DataFrame({"duration_days": np.minimum(life, seen), "event_observed": life <= seen, "n": 1})
    return table.assign(replicate=rng.integers(0, 100, n))


def smooth(table: pd.DataFrame, **choices: object) -> SmoothedHazard:
    return smoothed_hazard(
        table,
        **{"bandwidth_days": 4, "from_day": 0, "until_day": 12, "interval": "log"} | choices,  # type: ignore[arg-type]
    )


def test_a_constant_hazard_comes_back_also_at_both_ends() -> None:
    found = smooth(halving(12))
    assert found.hazard == pytest.approx(np.full(12, 0.5))
    assert found.days.tolist() == list(range(1, 13))
    assert (found.n, found.n_events) == (2**12, 2**12 - 1)
    assert found.table().columns.tolist() == ["duration_days", "at_risk", "events", "hazard", "lower", "upper"]


@pytest.mark.parametrize("q", [0.0, 0.3, 0.7, 1.0])
def test_boundary_kernels_have_mass_one_and_no_lean(q: float) -> None:
    z = np.linspace(-1, q, 200001)
    kernel = _boundary_kernel(z, np.array(q))
    assert np.trapezoid(kernel, z) == pytest.approx(1, abs=1e-4)
    assert np.trapezoid(kernel * z, z) == pytest.approx(0, abs=1e-4)
    assert q < 1 or kernel == pytest.approx(0.75 * (1 - z**2))  # Epanechnikov's inside


def test_a_hazard_that_climbs_evenly_is_not_bent_at_the_ends() -> None:
    slope = np.linspace(0, 1, 60)
    assert _weights(60, 15.0) @ slope == pytest.approx(slope, abs=0.004)  # the plain kernel is off by 0.1 there


def test_a_day_inside_is_averaged_by_hand() -> None:
    # 8 at risk, 1 lapses on day 5; bandwidth 2: weights 3/4 (1 - z^2) for z = -1/2, 0, 1/2: 9/16, 3/4, 9/16 over 15/8
    table = pd.DataFrame({"duration_days": [5, 12], "event_observed": [True, False], "n": [1, 7]})
    found = smooth(table, bandwidth_days=2)
    assert found.hazard[3:6] == pytest.approx([0.3 / 8, 0.4 / 8, 0.3 / 8])
    # Aalen: 0.4^2 * 1 / 8^2 against 0.4 / 8
    assert found.upper[4] == pytest.approx(0.05 * np.exp(stats.norm.ppf(0.975)))
    # no lapse within two days of day 9: none of 3 days with 7 at risk, -log(0.025) / 21
    assert found.hazard[8] == 0
    assert (found.lower[8], found.upper[8]) == pytest.approx((0, -np.log(0.025) / 21))


def test_the_first_day_can_be_left_out_and_late_entry_is_honoured() -> None:
    table = halving(12)
    later = smooth(table, from_day=1)
    assert later.n_events == 2**11 - 1
    assert later.n == 2**11
    late = pd.concat([table, table[table["duration_days"] > 3].assign(entry_days=3)]).fillna({"entry_days": 0})
    assert smooth(late).at_risk[[2, 3]].tolist() == [2**10, 2 * 2**9]
    assert smooth(late).hazard == pytest.approx(np.full(12, 0.5))


def test_the_replicate_interval_refits_without_each_group() -> None:
    table = lives(3000, 1)
    found = smooth(table, until_day=60, bandwidth_days=10, interval="replicate")
    left = np.stack(
        [smooth(table[table["replicate"] != g], until_day=60, bandwidth_days=10).hazard for g in range(100)]
    )
    spread = np.sqrt(0.99 * ((np.log(left) - np.log(found.hazard)) ** 2).sum(axis=0))
    assert np.log(found.upper / found.hazard) == pytest.approx(stats.t.ppf(0.975, 99) * spread, rel=1e-6)
    few = table.assign(event_observed=table["event_observed"] & (table["replicate"] < 19))
    assert smooth(few, interval="replicate").upper == pytest.approx(smooth(few).upper)


def test_a_wave_is_found_and_a_wider_bandwidth_lowers_it() -> None:
    table = lives(20000, 2, peak=0.05)
    narrow, wide = (smooth(table, until_day=60, bandwidth_days=b, interval="replicate") for b in (8, 25))
    assert abs(narrow.days[narrow.hazard.argmax()] - 30) <= 4
    assert wide.hazard.max() < narrow.hazard.max()
    assert narrow.lower[29] > narrow.upper[9]


def test_intervals_cover_a_level_hazard() -> None:
    inside, repeats = np.zeros(3), 150
    for seed in range(repeats):
        found = smooth(lives(500, 100 + seed), until_day=40, bandwidth_days=8, interval="replicate")
        inside += ((found.lower < 0.03) & (found.upper > 0.03))[[0, 20, 35]]
    assert (inside / repeats > 0.89).all()


def test_days_and_bandwidths_outside_their_bounds_are_refused() -> None:
    with pytest.raises(ModelError, match=r"bandwidth_days=7 is outside \[2, 6\], half of the days from 0 to 12"):
        smooth(halving(12), bandwidth_days=7)
    with pytest.raises(ModelError, match="came from_day=12, until_day=12"):
        smooth(halving(12), from_day=12)
    with pytest.raises(ModelError, match="nobody is at risk on day 13; choose until_day of at most 12"):
        smooth(halving(12), until_day=14)
    with pytest.raises(ModelError, match="no spell lapses after day 0 up to day 12"):
        smooth(pd.DataFrame({"duration_days": [20], "event_observed": [True], "n": [3]}))
    with pytest.raises(ModelError, match="interval must be 'replicate' or 'log'; came 'plain'"):
        smooth(halving(12), interval="plain")


def fitted(seed: int, drift: float = 0.0, ties: str = "efron", n: int = 800) -> CoxFit:
    """Two groups; the log hazard ratio of b runs from 0.5 by ``drift`` a day."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b"], n)
    hazard = 0.04 * np.exp((group == "b")[:, None] * (0.5 + drift * np.arange(1, 61)))
    lapses = rng.random((n, 60)) < hazard
    life = np.where(lapses.any(axis=1), lapses.argmax(axis=1) + 1, 60)
    table = pd.DataFrame({"duration_days": life, "event_observed": lapses.any(axis=1), "n": 1, "group": group})
    table["age"] = rng.normal(40, 10, n).round()
    return cox(table, covariates=["group", "age"], ties=ties, intervals="information", reference={"group": "a"})  # type: ignore[arg-type]


def test_residuals_average_to_the_coefficients() -> None:
    fit = fitted(1)
    found = schoenfeld_residuals(fit, transform="km", degrees_of_freedom=4)
    assert np.average(found.residual, axis=0, weights=found.n_events) == pytest.approx(fit.coefficients, abs=1e-8)
    assert found.n_events.sum() == fit.n_events
    assert (found.n, found.names) == (800, ("group[b]", "age"))


def test_residuals_agree_with_lifelines_where_no_days_are_tied() -> None:
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"duration_days": np.arange(1, 61), "event_observed": rng.random(60) < 0.7, "n": 1})
    table["age"] = rng.normal(40, 10, 60).round()
    table["x"] = rng.integers(0, 2, 60)
    fit = cox(table, covariates=["age", "x"], ties="efron", intervals="information")
    found = schoenfeld_residuals(fit, transform="identity", degrees_of_freedom=2)
    frame = table[["duration_days", "event_observed", "age", "x"]].astype(float)
    theirs = CoxPHFitter().fit(frame, "duration_days", "event_observed")
    plain = theirs.compute_residuals(frame, "schoenfeld").to_numpy()
    scaled = fit.coefficients + fit.n_events * plain @ fit.covariance
    assert found.residual == pytest.approx(scaled, rel=1e-4, abs=1e-5)


def test_a_straight_line_through_the_residuals_by_hand() -> None:
    fit = fitted(5)
    found = schoenfeld_residuals(fit, transform="identity", degrees_of_freedom=2)
    line = np.polyfit(found.days, found.residual[:, 0], 1, w=np.sqrt(found.n_events))
    assert found.smooth[:, 0] == pytest.approx(np.polyval(line, found.days))
    # at the weighted mean day the line's variance is that of the coefficient itself
    middle = np.average(found.days, weights=found.n_events)
    half = np.interp(middle, found.days, (found.upper - found.lower)[:, 0] / 2)
    error = np.sqrt(fit.covariance[0, 0])
    assert half == pytest.approx(stats.norm.ppf(0.975) * error, rel=0.01)


def test_a_ratio_that_fades_is_seen_to_fade_and_a_constant_one_is_not() -> None:
    fading = schoenfeld_residuals(fitted(6, drift=-0.05, n=4000), transform="km", degrees_of_freedom=4)
    assert fading.lower[0, 0] > fading.upper[-1, 0]
    constant = schoenfeld_residuals(fitted(7, n=4000), transform="km", degrees_of_freedom=4)
    inside = (constant.lower[:, 0] < constant.coefficients[0]) & (constant.coefficients[0] < constant.upper[:, 0])
    assert inside.mean() > 0.9


def test_what_is_shown_rests_on_enough_lapses() -> None:
    found = schoenfeld_residuals(fitted(8), transform="km", degrees_of_freedom=4)
    table = found.table(min_events=25)
    own = table[table["covariate"] == "group[b]"]
    assert own["n_events"].min() >= 25
    assert own["n_events"].sum() == found.n_events.sum()
    assert (own["from_day"].to_numpy()[1:] > own["until_day"].to_numpy()[:-1]).all()
    first = found.days <= own["until_day"].iloc[0]
    mean = np.average(found.residual[first, 0], weights=found.n_events[first])
    assert own["residual"].iloc[0] == pytest.approx(mean)
    half = stats.norm.ppf(0.975) * np.sqrt(found.variance[0] / found.n_events[first].sum())
    assert own["upper"].iloc[0] == pytest.approx(mean + half)
    with pytest.raises(ModelError, match=r"rests on \d+ lapses, fewer than min_events=900"):
        found.table(min_events=900)


def test_residuals_that_cannot_be_smoothed_are_refused() -> None:
    with pytest.raises(ModelError, match="degrees_of_freedom=1 is below 2"):
        schoenfeld_residuals(fitted(1), transform="km", degrees_of_freedom=1)
    with pytest.raises(ModelError, match=r"60 days with a lapse carry at most 59 degrees of freedom; came .*=60"):
        schoenfeld_residuals(fitted(1, n=3000), transform="km", degrees_of_freedom=60)
