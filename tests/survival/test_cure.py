"""Mixture cure: against its likelihood written out, its limits, known shares, and where it must not be fitted."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from lcm_research.errors import ModelError, ShortFollowUpWarning
from lcm_research.survival.cure import (
    MixtureCureFit,
    cured_share,
    mixture_cure,
    predicted_cure_curve,
    with_cured,
)
from lcm_research.survival.distribution_choice import choose_distribution
from lcm_research.survival.duration_likelihood import STANDARD, duration_cells, evaluate
from lcm_research.survival.follow_up import follow_up_check
from lcm_research.survival.parametric import accelerated_failure_time

CURES = ["weibull", "lognormal", "loglogistic"]


def brand(n: int = 2000, seed: int = 1, late: bool = False, follow_up: tuple[float, float] = (90, 240)) -> pd.DataFrame:
    """30% never lapse in the north, 50% in the south; the others within about 60 days, members 1.5 times later."""
    rng = np.random.default_rng(seed)
    region, member = rng.choice(["north", "south"], n), rng.choice(["no", "yes"], n)
    cured = rng.random(n) < np.where(region == "south", 0.5, 0.3)
    life = np.where(cured, np.inf, 20 * np.where(member == "yes", 1.5, 1) * rng.weibull(1.5, n))
    seen, entry = rng.uniform(*follow_up, n), rng.uniform(0, 5, n) * late
    table = pd.DataFrame({"region": region, "member": member, "duration_days": np.minimum(life, seen)})
    table = table.assign(event_observed=life <= seen, n=1, replicate=rng.integers(0, 100, n), entry_days=entry)
    return table[table["duration_days"] > table["entry_days"]].reset_index(drop=True)


def fit_of(table: pd.DataFrame, distribution: str = "weibull", **chosen: Any) -> MixtureCureFit:
    choices: dict[str, Any] = {"covariates": ["member"], "cured_covariates": ["region"], "intervals": "information"}
    reference = {"region": "north", "member": "no"}
    return mixture_cure(table, distribution=distribution, reference=reference, **(choices | chosen))  # type: ignore[arg-type]


def written_out(table: pd.DataFrame, distribution: str, at: np.ndarray) -> float:
    """The log-likelihood of rows: ``at`` is intercept, member, log scale, logit of the share, south."""
    scale, middle = np.exp(at[2]), np.exp(at[0] + at[1] * (table["member"] == "yes"))
    cured = 1 / (1 + np.exp(-(at[3] + at[4] * (table["region"] == "south"))))
    frozen = {
        "weibull": stats.weibull_min(1 / scale, scale=middle),
        "lognormal": stats.lognorm(scale, scale=middle),
        "loglogistic": stats.fisk(1 / scale, scale=middle),
    }[distribution]
    days = table["duration_days"]
    event = np.log((1 - cured) * frozen.pdf(days))
    stays, entered = (np.log(cured + (1 - cured) * frozen.sf(d)) for d in (days, table["entry_days"]))
    return float((table["n"] * (np.where(table["event_observed"], event, stays) - entered)).sum())


@pytest.mark.parametrize("distribution", CURES)
@pytest.mark.parametrize("late", [False, True])
def test_the_fit_is_at_the_top_of_the_likelihood_written_out(distribution: str, late: bool) -> None:
    table = brand(1200, late=late)
    fit = fit_of(table, distribution)
    assert fit.names == ("(Intercept)", "member[yes]", "Log(scale)", "cured: (Intercept)", "cured: region[south]")
    assert fit.log_likelihood == pytest.approx(written_out(table, distribution, fit.coefficients), rel=1e-11)
    assert fit.aic == pytest.approx(10 - 2 * fit.log_likelihood)
    h, information = 1e-4, np.linalg.inv(fit.covariance)
    for i, step in enumerate(h * np.eye(5)):
        up, down = (written_out(table, distribution, fit.coefficients + sign * step) for sign in (1, -1))
        assert abs(up - down) / (2 * h) < 1e-3 * information[i, i] ** 0.5
        assert (2 * fit.log_likelihood - up - down) / h**2 == pytest.approx(information[i, i], rel=1e-3)


@pytest.mark.parametrize("distribution", CURES)
def test_without_anybody_cured_it_is_the_model_of_the_days(distribution: Any) -> None:
    table = brand(800, late=True)
    base = STANDARD[distribution]
    cells, one = duration_cells(table, np.zeros(len(table), np.int64)), np.ones((1, 1))
    plain = evaluate(np.array([3.0, -0.3]), one, one[:, :0], cells, base)
    mixed = evaluate(np.array([3.0, -0.3, -60.0]), one, one, cells, with_cured(base))
    assert mixed.value == pytest.approx(plain.value, rel=1e-12)
    assert np.allclose(mixed.score[:2], plain.score, rtol=1e-12)
    assert np.allclose(mixed.information[:2, :2], plain.information, rtol=1e-9)
    # and with some cured its likelihood is higher here, where some are
    without = accelerated_failure_time(table, distribution=distribution, covariates=[], intervals="information")
    assert fit_of(table, distribution, covariates=[], cured_covariates=[]).log_likelihood > without.log_likelihood + 50


def test_known_shares_and_ratios_are_found() -> None:
    fit = fit_of(brand(6000, seed=4), intervals="replicate")
    share = cured_share(fit, {"member[yes]": 0, "region[south]": 0})
    other = cured_share(fit, {"member[yes]": 0, "region[south]": 1})
    assert share.lower < 0.3 < share.upper
    assert other.lower < 0.5 < other.upper
    assert share.upper - share.lower < 0.05
    # odds 1 against 3 / 7
    odds, days = fit.odds_ratios["region[south]"], fit.time_ratios["member[yes]"]
    assert odds.lower < 7 / 3 < odds.upper
    assert days.lower < 1.5 < days.upper
    assert fit.identified
    assert fit.still_to_lapse < 1e-4
    assert (fit.table()["covariate"].tolist(), fit.days_table()["covariate"].tolist()) == (
        ["region[south]"],
        ["member[yes]"],
    )
    known = fit_of(brand(6000, seed=4))
    assert np.allclose(fit.standard_error, known.standard_error, rtol=0.3)
    plain = cured_share(known, {"member[yes]": 0, "region[south]": 0})
    assert plain.value == pytest.approx(share.value)
    assert plain.upper - plain.lower == pytest.approx(share.upper - share.lower, rel=0.3)


def test_intervals_of_the_share_cover_it_as_often_as_they_say() -> None:
    covered = {"replicate": 0, "information": 0}
    for seed in range(40):
        table = brand(400, seed=seed)
        for intervals in covered:
            fit = fit_of(table[table["region"] == "north"], covariates=[], cured_covariates=[], intervals=intervals)
            share = cured_share(fit, {})
            covered[intervals] += share.lower < 0.3 < share.upper
    # 38 of 40 expected; fewer than 34 have a chance of 1 in 100
    assert min(covered.values()) >= 34


def test_the_share_of_an_intercept_alone_by_hand() -> None:
    fit = fit_of(brand(1500), covariates=[], cured_covariates=[])
    logit, error = fit.coefficients[-1], np.sqrt(fit.covariance[-1, -1])
    share = cured_share(fit, {})
    ends = 1 / (1 + np.exp(-(logit + 1.959963984540054 * np.array([-error, 0, error]))))
    assert [share.lower, share.value, share.upper] == pytest.approx(ends.tolist())
    # of those past a day the cured are more: cured / S(day)
    curve = predicted_cure_curve(fit, {}, days=[0, 30, 400])
    assert cured_share(fit, {}, given_day=30).value == pytest.approx(share.value / curve["survival"][1])
    assert curve["survival"].iloc[-1] == pytest.approx(share.value)
    assert curve["beyond_follow_up"].tolist() == [False, False, True]
    assert (curve["lower"] <= curve["survival"]).all()


def test_the_interval_among_those_past_a_day_is_the_delta_method_on_the_logit() -> None:
    fit, values, h, slopes = fit_of(brand(1500)), {"member[yes]": 1, "region[south]": 0}, 1e-5, []
    share = cured_share(fit, values, given_day=25)
    for step in h * np.eye(5):
        moved = [replace(fit, coefficients=fit.coefficients + sign * step) for sign in (1, -1)]
        up, down = (cured_share(each, values, given_day=25).value for each in moved)
        slopes.append((special.logit(up) - special.logit(down)) / (2 * h))
    error = np.sqrt(np.array(slopes) @ fit.covariance @ np.array(slopes))
    half = (special.logit(share.upper) - special.logit(share.lower)) / 2
    assert half == pytest.approx(1.959963984540054 * error, rel=1e-5)


def test_counts_give_what_rows_give() -> None:
    table = brand(900, late=True)
    table = table.assign(duration_days=np.ceil(table["duration_days"]), entry_days=np.floor(table["entry_days"]))
    keys = [c for c in table.columns if c != "n"]
    cells = table.groupby(keys, as_index=False)["n"].sum()
    rows, counts = (fit_of(each, intervals="replicate") for each in (table, cells.sample(frac=1, random_state=1)))
    assert np.allclose(rows.coefficients, counts.coefficients, rtol=0, atol=1e-9)
    assert np.allclose(rows.standard_error, counts.standard_error, rtol=0, atol=1e-9)


def test_the_jackknife_is_close_to_refitting_without_each_group() -> None:
    table = brand(2000, late=True)
    fit = fit_of(table, intervals="replicate")
    assert fit.moved is not None
    far = np.abs(fit.moved).max(axis=1)
    for group in (int(far.argmax()), 50):
        left = fit_of(table[table["replicate"] != group])
        assert np.abs(fit.coefficients - fit.moved[group] - left.coefficients).max() < 0.1 * far.max()
    assert far.max() > 0.01


def test_follow_up_by_hand() -> None:
    # the last of 5 lapses on day 10 of 16: lapses after day 10 - 6 = 4 count, those of days 5 and 10
    table = pd.DataFrame(
        {"duration_days": [2, 5, 10, 16], "event_observed": [True, True, True, False], "n": [2, 1, 2, 15]}
    )
    check = follow_up_check(table)
    assert (check.last_event_days, check.last_spell_days, check.n, check.n_events) == (10, 16, 20, 5)
    assert check.n_events_before == 3
    assert check.alpha == pytest.approx((1 - 3 / 20) ** 20)
    assert check.sufficient == (check.alpha < 0.05)


def test_a_curve_that_does_not_level_off_is_refused() -> None:
    # every fourth spell is followed for 20 days only, when lapses are at their most frequent
    table = brand(2000, follow_up=(5, 20))
    with pytest.raises(
        ModelError, match=r"the last of \d+ events is on day 1\d.* of a follow-up of (19|20).*does not level off"
    ):
        fit_of(table)
    everyone = table.assign(event_observed=True)
    with pytest.raises(ModelError, match="does not level off"):
        fit_of(everyone)
    with pytest.raises(ModelError, match="none of 2000 spells lapsed"):
        follow_up_check(table.assign(event_observed=False))


def test_a_plateau_that_may_still_fall_is_doubted() -> None:
    # a heavy tail looks level for a while: with a log-normal many of those left would lapse after the end
    rng = np.random.default_rng(3)
    life, seen = rng.lognormal(2.5, 1.6, 3000), np.full(3000, 60.0)
    quiet = (life > 50) & (life <= 60)
    table = pd.DataFrame({"duration_days": np.minimum(life, seen), "event_observed": life <= seen, "n": 1})[~quiet]
    with pytest.warns(ShortFollowUpWarning, match=r"of those who go on past day 60, \d+% will still lapse by the fit"):
        fit = fit_of(table, "lognormal", covariates=[], cured_covariates=[])
    assert not fit.identified
    left, cured = 1 - stats.lognorm(fit.scale, scale=np.exp(fit.coefficients[0])).cdf(60), cured_share(fit, {}).value
    assert fit.still_to_lapse == pytest.approx((1 - cured) * left / (cured + (1 - cured) * left))


def test_other_refusals() -> None:
    table = brand(300)
    with pytest.raises(ModelError, match="no distribution 'gengamma' is known here"):
        fit_of(table, "gengamma")
    with pytest.raises(ModelError, match=r"column 'region\[south\]' separates perfectly"):
        fit_of(table.assign(event_observed=table["event_observed"] & (table["region"] == "north")))
    with pytest.raises(ModelError, match=r"missing \['region\[south\]'\]"):
        cured_share(fit_of(table), {"member[yes]": 1})


def test_the_comparison_takes_mixtures_in_exactly_where_they_are_identified() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranked = choose_distribution(brand(1500), covariates=[], with_cured_share=True)
        short = choose_distribution(brand(1500, follow_up=(5, 20)), covariates=[], with_cured_share=True)
    assert ranked["cured_share"][0]
    assert ranked["distribution"][0] == "weibull"
    assert ranked["n_parameters"][0] == 3
    assert ranked["aic_difference"].iloc[-1] > 100
    assert not short["cured_share"].any()
