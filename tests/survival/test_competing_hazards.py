"""Cause-specific and subdistribution hazards: by hand, against expanded rows and R, by law, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxTimeVaryingFitter

from lcm_research.errors import ModelError
from lcm_research.survival.competing import cumulative_incidence
from lcm_research.survival.competing_hazards import cause_specific, fine_gray, predicted_incidence
from lcm_research.survival.hazards import cox

PRICE: dict[str, Any] = {"cause": "price", "ties": "efron", "intervals": "information"}


def ends(n: int = 400, seed: int = 1, last: int = 40) -> pd.DataFrame:
    """Rows that end by price (faster where x is high), by moving, or open; whole days with many ties."""
    rng = np.random.default_rng(seed)
    x, region = rng.integers(0, 3, n), rng.choice(["north", "south"], n)
    by_price, by_moving = rng.exponential(25 / np.exp(0.4 * x)), rng.exponential(30, n)
    life, seen = np.ceil(np.minimum(by_price, by_moving)), rng.integers(5, last, n)
    cause = np.where(life > seen, "", np.where(by_price < by_moving, "price", "moved"))
    table = pd.DataFrame({"x": x, "region": region, "duration_days": np.minimum(life, seen).astype(int)})
    return table.assign(cause=cause, n=1, replicate=rng.integers(0, 100, n))


def chance_under_observation(rows: pd.DataFrame) -> Callable[[float], float]:
    """G just before a day: share not yet lost sight of, where ends come before losses on one day."""
    days, ended, is_open = np.unique(rows["duration_days"]), rows["duration_days"], rows["cause"] == ""
    lost = np.array([((ended == day) & is_open).sum() for day in days])
    exposed = np.array([((ended > day) | ((ended == day) & is_open)).sum() for day in days])
    stays = 1 - lost / np.maximum(exposed, 1)
    return lambda day: float(np.prod(stays[days < day]))


def expanded(rows: pd.DataFrame, cause: str) -> pd.DataFrame:
    """A row for each spell and, where another cause ended it, one for each later day with an end by ``cause``."""
    chance, days = chance_under_observation(rows), np.unique(rows.loc[rows["cause"] == cause, "duration_days"])
    made = []
    for i, row in enumerate(rows.to_dict("records")):
        end = row["duration_days"]
        own = row | {"id": i, "entry_days": 0, "event_observed": row["cause"] == cause, "w": 1.0}
        made.append(own)
        if row["cause"] in ("", cause):
            continue
        start = end
        for day in days[days > end]:
            later = {"entry_days": start, "duration_days": day, "event_observed": False}
            made.append(own | later | {"w": chance(day) / chance(end)})
            start = day
    return pd.DataFrame(made)


# day 1: one of each x moves; day 2: one of each is lost sight of; x = 1 ends by price on day 3 and x = 0 on day 5
TEN = pd.DataFrame({"duration_days": [1, 2, 3, 4, 4, 1, 2, 5, 6, 6], "x": [0, 1, 1, 0, 1, 1, 0, 0, 1, 0], "n": 10})
TEN["cause"] = ["moved", "", "price", "", ""] * 2


def test_those_whom_another_cause_took_stay_at_risk_with_their_weight_by_hand() -> None:
    fit = fine_gray(TEN, covariates=["x"], **(PRICE | {"ties": "breslow"}))
    assert fit.days.tolist() == [3, 5]
    # day 2 loses 20 of the 80 still exposed, so G(3-) = 3/4 and of the 10 that moved 7.5 are at risk on day 3
    assert fit.risk.at_risk[:, 0].tolist() == [30 + 7.5, 30 + 7.5]
    # day 4 loses 20 of the 50 still exposed, so G(5-) = 3/4 * 3/5
    assert fit.risk.at_risk[:, 1] == pytest.approx([20 + 4.5, 10 + 4.5])
    # ten ends on each day, at ratios of 1
    assert fit.log_likelihood_null == pytest.approx(-10 * np.log(75) - 10 * np.log(39))
    # the score: on day 3 ten of x = 1 against a half, on day 5 none against 14.5 / 39
    r = np.exp(fit.coefficients[0])
    assert 1 - 37.5 * r / (37.5 + 37.5 * r) - 14.5 * r / (24.5 + 14.5 * r) == pytest.approx(0, abs=1e-9)


def mgus2(folder: Path) -> pd.DataFrame:
    rows = pd.read_csv(folder / "survival" / "r_mgus2_cr.csv").rename(columns={"etime": "duration_days"})
    rows = rows.assign(n=1, sexM=(rows["sex"] == "M").astype(int), cause=rows["ev"].replace("censor", ""))
    return rows[["age", "sexM", "mspike", "duration_days", "cause", "n"]].dropna()


def test_the_cause_specific_numbers_are_the_ones_computed_elsewhere(reference: Path, record_property: Any) -> None:
    rows = mgus2(reference)
    fit = cause_specific(rows, cause="pcm", covariates=["age", "sexM", "mspike"], ties="efron", intervals="information")
    numbers = pd.read_csv(reference / "survival" / "numbers.csv")
    numbers = numbers[(numbers["case"] == "csc_mgus2_pcm") & (numbers["quantity"] != "concordance")]
    named = dict(zip([f"coef[{c}]" for c in fit.names], fit.coefficients, strict=True))
    named |= dict(zip([f"se[{c}]" for c in fit.names], fit.standard_error, strict=True))
    named |= {"loglik_null": fit.log_likelihood_null, "loglik": fit.log_likelihood, "Wald_chisq": fit.wald}
    named |= {"LR_chisq": fit.likelihood_ratio, "score_chisq": fit.score_test}
    assert set(numbers["quantity"]) == set(named)
    told = [(row.quantity, float(row.expected), float(named[str(row.quantity)])) for row in numbers.itertuples()]
    exact = [abs(found / expected - 1) for quantity, expected, found in told if quantity != "Wald_chisq"]
    record_property("deviation", f"csc_mgus2_pcm: {len(told)} numbers, {max(exact):.1e}")
    assert max(exact) < 1e-6
    assert fit.wald == pytest.approx(31.22, abs=5e-3)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_subdistribution_ratios_are_those_of_expanded_rows(reference: Path, ties: Any) -> None:
    rows, covariates = mgus2(reference).reset_index(drop=True), ["age", "sexM", "mspike"]
    rows["age"] = 10 * (rows["age"] // 10)
    rows["mspike"] = (2 * rows["mspike"]).round() / 2
    long = expanded(rows, "pcm")
    by_rows = cox(long, covariates=covariates, ties=ties, intervals="information", case_weights="w")
    ours = fine_gray(rows, cause="pcm", covariates=covariates, ties=ties, intervals="information")
    assert len(long) > 20 * len(rows)
    assert ours.coefficients == pytest.approx(by_rows.coefficients, abs=1e-9)
    assert ours.standard_error == pytest.approx(by_rows.standard_error, abs=1e-9)
    assert ours.log_likelihood == pytest.approx(by_rows.log_likelihood, abs=1e-7)
    assert ours.baseline_hazard == pytest.approx(by_rows.baseline_hazard, rel=1e-8)


def test_subdistribution_ratios_agree_with_lifelines_on_expanded_rows() -> None:
    rows = ends(200)
    # lifelines weighs ties otherwise, so each end by price gets a moment of its own
    rows["duration_days"] = rows["duration_days"] * 1000 + np.where(rows["cause"] == "price", np.arange(len(rows)), 500)
    long = expanded(rows, "price")[["id", "entry_days", "duration_days", "event_observed", "x", "w"]]
    theirs = CoxTimeVaryingFitter().fit(
        long, id_col="id", event_col="event_observed", start_col="entry_days", stop_col="duration_days", weights_col="w"
    )
    ours = fine_gray(rows, covariates=["x"], **PRICE)
    assert ours.coefficients[0] == pytest.approx(theirs.params_["x"], abs=1e-6)


def test_without_censoring_those_whom_another_cause_took_stay_at_risk_for_ever() -> None:
    rows = ends()
    rows["cause"] = rows["cause"].replace("", "moved")
    for_ever = rows.assign(
        event_observed=rows["cause"] == "price",
        duration_days=rows["duration_days"].where(rows["cause"] == "price", 1000),
    )
    for ties in ("efron", "breslow"):
        choices: dict[str, Any] = {"covariates": ["x", "region"], "ties": ties}
        for intervals in ("information", "robust", "replicate"):
            ours = fine_gray(rows, cause="price", intervals=intervals, **choices)  # type: ignore[arg-type]
            kept = cox(for_ever, intervals=intervals, **choices)  # type: ignore[arg-type]
            assert ours.coefficients == pytest.approx(kept.coefficients, abs=1e-9)
            assert ours.standard_error == pytest.approx(kept.standard_error, rel=1e-9)


def by_weights(rows: pd.DataFrame, weight: np.ndarray) -> float:
    """Breslow's subdistribution coefficient of x with real weights on rows, written out row by row."""
    ended, cause, x = (rows[c].to_numpy() for c in ("duration_days", "cause", "x"))
    days, is_open = np.unique(ended), cause == ""
    lost = np.array([weight[(ended == day) & is_open].sum() for day in days])
    exposed = np.array([weight[(ended > day) | ((ended == day) & is_open)].sum() for day in days])
    stays = np.concatenate([[1.0], np.cumprod(1 - lost / np.maximum(exposed, 1e-300))])
    before = stays[np.searchsorted(days, ended)]
    taken = ~is_open & (cause != "price")
    at = 0.0
    for _ in range(30):
        score = information = 0.0
        for day in np.unique(ended[cause == "price"]):
            kept = np.where(taken & (ended < day), stays[np.searchsorted(days, day)] / before, ended >= day)
            mass, own = weight * kept * np.exp(at * x), weight * ((ended == day) & (cause == "price"))
            mean = mass @ x / mass.sum()
            score += own @ (x - mean)
            information += own.sum() * (mass @ x**2 / mass.sum() - mean**2)
        at += score / information
        if abs(score / information) < 1e-13:
            break
    return at


def test_the_sandwich_is_the_infinitesimal_jackknife_with_the_weights_reestimated() -> None:
    rows = ends(120, seed=3)
    fit = fine_gray(rows, cause="price", covariates=["x"], ties="breslow", intervals="robust")
    step, one = 1e-5, np.ones(len(rows))
    assert fit.coefficients[0] == pytest.approx(by_weights(rows, one), abs=1e-9)
    slopes = [(by_weights(rows, one + e) - by_weights(rows, one - e)) / (2 * step) for e in np.eye(len(rows)) * step]
    assert fit.standard_error[0] == pytest.approx(np.sqrt(np.sum(np.square(slopes))), rel=1e-6)
    # taking the weights as known, as R's coxph does, is another number
    known = cox(
        expanded(rows, "price"),
        covariates=["x"],
        ties="breslow",
        intervals="robust",
        case_weights="w",
        cluster="id",
    )
    assert abs(fit.standard_error[0] / known.standard_error[0] - 1) > 1e-4


def test_the_one_step_jackknife_is_close_to_refitting_without_each_group() -> None:
    rows = ends(3000)
    fit = fine_gray(rows, cause="price", covariates=["x"], ties="efron", intervals="replicate")
    refitted = [
        fine_gray(rows[rows["replicate"] != g], covariates=["x"], **PRICE).hazard_ratios["x"].value
        for g in range(0, 100, 10)
    ]
    without = fit.hazard_ratios["x"].leave_one_out
    assert without is not None
    assert np.abs(without[::10] - refitted).max() < 2e-4
    assert fit.table().columns[3] == "subdistribution_hazard_ratio"


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_with_ratios_of_one_the_predicted_incidence_is_aalen_johansens(ties: Any) -> None:
    rows = ends(150)
    # everyone stands once on either side of z, so its ratio is 1
    twice = pd.concat([rows.assign(z=0), rows.assign(z=1)])
    fit = fine_gray(twice, cause="price", covariates=["z"], ties=ties, intervals="information")
    curve = cumulative_incidence(rows, cause="price", interval="log-log")
    assert fit.coefficients[0] == pytest.approx(0, abs=1e-9)
    found = [predicted_incidence(fit, {"z": z}, day) for day in curve.times for z in (0, 1)]
    assert found == pytest.approx(np.repeat(curve.incidence, 2), abs=1e-9)


def test_a_larger_ratio_predicts_a_larger_share() -> None:
    rows = ends(2000)
    fit = fine_gray(rows, covariates=["x"], **PRICE)
    shares = [predicted_incidence(fit, {"x": x}, 30) for x in (0, 1, 2)]
    seen = [
        cumulative_incidence(rows[rows["x"] == x], cause="price", interval="log-log").incidence[29] for x in (0, 1, 2)
    ]
    assert shares == pytest.approx(seen, abs=0.05)
    assert np.all(np.diff(shares) > 0.05)


def test_what_cannot_be_answered_is_refused() -> None:
    rows = ends()
    late = (rows["duration_days"] > 5) & (np.cumsum(rows["duration_days"] > 5) <= 15)
    with pytest.raises(ModelError, match=r"15 of 400 spells have entry_days above 0.*incident entry.*cause_specific"):
        fine_gray(rows.assign(entry_days=late.astype(int)), covariates=["x"], **PRICE)
    with pytest.raises(ModelError, match=r"no spell of 400 ended by 'prices'; did you mean 'price'\?"):
        fine_gray(rows, covariates=["x"], **(PRICE | {"cause": "prices"}))
    with pytest.raises(ModelError, match="cause='censored' stands for spells that are still open"):
        cause_specific(rows, covariates=["x"], **(PRICE | {"cause": "censored"}))
    with pytest.raises(ModelError, match="ties must be one of efron, breslow; came 'exact'"):
        fine_gray(rows, covariates=["x"], **(PRICE | {"ties": "exact"}))
    with pytest.raises(ModelError, match=r"missing \['cause'\]"):
        cause_specific(rows.drop(columns="cause"), covariates=["x"], **PRICE)
    fit = fine_gray(rows, covariates=["x"], **PRICE)
    with pytest.raises(ModelError, match=r"day 90 is outside the follow-up of \d+ days"):
        predicted_incidence(fit, {"x": 1}, 90)
    with pytest.raises(ModelError, match="no column 'y'"):
        predicted_incidence(fit, {"x": 1, "y": 1}, 9)
