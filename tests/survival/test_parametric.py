"""Accelerated failure time models on counts: by hand, against R and scipy, laws, and what they refuse."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lcm_research.errors import FewEventsWarning, ModelError
from lcm_research.survival.distribution_choice import choose_distribution
from lcm_research.survival.parametric import (
    AcceleratedFailureTimeFit,
    Distribution,
    accelerated_failure_time,
    predicted_curve,
    predicted_survival_at,
)

ROSSI = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
ALL: list[Distribution] = ["weibull", "lognormal", "loglogistic", "exponential", "gengamma"]


def brand(n: int = 3000, seed: int = 1, late: bool = False, a_day: int = 1) -> pd.DataFrame:
    """Weibull spells of two regions and three ages, 1.5 times as long in the south, in parts of ``a_day``."""
    rng = np.random.default_rng(seed)
    region, age = rng.choice(["north", "south"], n, p=[0.6, 0.4]), rng.choice(["a", "b", "c"], n)
    life = np.ceil(30 * a_day * np.where(region == "south", 1.5, 1) * rng.weibull(1.4, n))
    seen, entry = rng.integers(20, 80, n) * a_day, rng.integers(0, 15, n) * late
    table = pd.DataFrame({"region": region, "age": age, "duration_days": np.minimum(life, seen).astype(int)})
    table = table.assign(event_observed=life <= seen, replicate=rng.integers(0, 100, n), entry_days=entry)
    table = table[table["duration_days"] > table["entry_days"]]
    return table.groupby(list(table.columns)).size().rename("n").reset_index()


def fit_of(table: pd.DataFrame, distribution: Distribution = "weibull", **chosen: Any) -> AcceleratedFailureTimeFit:
    choices = {"covariates": ["region", "age"], "intervals": "information"} | chosen
    return accelerated_failure_time(table, distribution=distribution, **choices)


@pytest.mark.parametrize("distribution", ["weibull", "lognormal", "exponential"])
def test_the_number_is_the_one_computed_elsewhere(
    reference: Path, distribution: Distribution, record_property: Any
) -> None:
    case = f"aft_rossi_{distribution}"
    table = pd.read_csv(reference / "survival" / "lifelines_rossi.csv").assign(n=1)
    table = table.rename(columns={"week": "duration_days", "arrest": "event_observed"})
    fit = fit_of(table, distribution, covariates=ROSSI)
    numbers = pd.read_csv(reference / "survival" / "numbers.csv").query("case == @case")
    assert len(numbers) >= 18
    furthest = 0.0
    for row in numbers.itertuples():
        found = {"loglik": fit.log_likelihood, "log(scale)": float(np.log(fit.scale))}.get(row.quantity)
        if found is None:
            kind, name = re.fullmatch(r"(\w+)\[(.+)\]", row.quantity).groups()  # type: ignore[union-attr]
            values = {"coef": fit.coefficients, "se": fit.standard_error}[kind]
            found = float(values[fit.names.index(name)])
        expected, tolerance = float(row.expected), float(row.tolerance.split()[0])
        assert abs(found - expected) <= tolerance * abs(expected), row.quantity
        furthest = max(furthest, abs(found - expected) / (abs(expected) or 1.0))
    record_property("deviation", f"{case}: {len(numbers)} numbers, {furthest:.1e}")


def test_exponential_means_by_hand() -> None:
    # north: 60 lapses in 60 * 10 + 30 * 20 = 1,200 days: mean 20. south: 20 in 20 * 10 + 30 * 20 = 800: mean 40
    table = pd.DataFrame(
        {
            "region": ["north", "north", "south", "south"],
            "duration_days": [10, 20, 10, 20],
            "event_observed": [True, False, True, False],
            "n": [60, 30, 20, 30],
        }
    )
    fit = fit_of(table, "exponential", covariates=["region"])
    assert fit.names == ("(Intercept)", "region[south]")
    assert np.exp(fit.coefficients[0]) == pytest.approx(20, rel=1e-9)
    assert fit.time_ratios["region[south]"].value == pytest.approx(2, rel=1e-9)
    # one over the events of each group: 1 / 60 + 1 / 20
    assert fit.standard_error[1] == pytest.approx(np.sqrt(1 / 60 + 1 / 20), rel=1e-9)
    # d log(rate) - rate * days, less nothing: the constant rate has density rate * exp(-rate t)
    assert fit.log_likelihood == pytest.approx(60 * np.log(1 / 20) - 60 + 20 * np.log(1 / 40) - 20, rel=1e-12)
    assert fit.aic == pytest.approx(4 - 2 * fit.log_likelihood)
    assert (fit.n, fit.n_events, fit.scale, fit.follow_up_days) == (140, 80, 1.0, 20.0)
    assert fit.table()["covariate"].tolist() == ["region[south]"]


def test_days_before_a_late_entry_do_not_count() -> None:
    # constant rate: (20 - 5) + (30 - 10) days at risk a pair, one lapse each
    table = pd.DataFrame({"duration_days": [20, 30], "entry_days": [5, 10], "event_observed": True, "n": 20})
    fit = fit_of(table, "exponential", covariates=[])
    assert np.exp(fit.coefficients[0]) == pytest.approx(35 / 2, rel=1e-9)
    assert fit.table().empty


def by_scipy(distribution: Distribution, table: pd.DataFrame, at: np.ndarray) -> float:
    """Log-likelihood as scipy's own distributions give it, with ``at`` = intercept, south, b or others, log scale."""
    south, scale = (table["region"] == "south").to_numpy(), float(np.exp(at[2])) if len(at) > 2 else 1.0
    middle = np.exp(at[0] + at[1] * south)
    power, gamma = (at[3] / scale, at[3] ** -2) if len(at) > 3 else (1.0, 1.0)
    frozen = {
        "weibull": lambda: stats.weibull_min(1 / scale, scale=middle),
        "exponential": lambda: stats.expon(scale=middle),
        "lognormal": lambda: stats.lognorm(scale, scale=middle),
        "loglogistic": lambda: stats.fisk(1 / scale, scale=middle),
        "gengamma": lambda: stats.gengamma(gamma, power, scale=middle * gamma ** (-1 / power)),
    }[distribution]()
    each = np.where(
        table["event_observed"], frozen.logpdf(table["duration_days"]), frozen.logsf(table["duration_days"])
    )
    return float((table["n"] * (each - frozen.logsf(table["entry_days"]))).sum())


@pytest.mark.parametrize("distribution", ALL)
def test_the_fit_is_at_the_top_of_scipys_likelihood(distribution: Distribution) -> None:
    table = brand(1500, late=True)
    fit = fit_of(table, distribution, covariates=["region"])
    assert fit.log_likelihood == pytest.approx(by_scipy(distribution, table, fit.coefficients), rel=1e-12)
    # Newton ends where the slope is 0; the curvature there is the inverse of the covariance
    h = 1e-4
    information = np.linalg.inv(fit.covariance)
    for i in range(len(fit.names)):
        step = h * np.eye(len(fit.names))[i]
        up, down = (by_scipy(distribution, table, fit.coefficients + sign * step) for sign in (1, -1))
        assert abs(up - down) / (2 * h) < 1e-4 * information[i, i] ** 0.5 * 10
        assert (2 * fit.log_likelihood - up - down) / h**2 == pytest.approx(information[i, i], rel=1e-3)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), distribution=st.sampled_from(ALL), late=st.booleans())
def test_counts_give_what_rows_give_however_they_are_split(seed: int, distribution: Distribution, late: bool) -> None:
    table = brand(400, seed=3, late=late)
    whole = fit_of(table, distribution, covariates=["region"], intervals="replicate")
    rows = table.loc[np.repeat(table.index, table["n"])].assign(n=1)
    rng = np.random.default_rng(seed)
    split = table.loc[np.repeat(table.index, 2)].reset_index(drop=True)
    first = rng.integers(0, table["n"].to_numpy() + 1)
    split["n"] = np.column_stack([first, table["n"] - first]).ravel()
    for other in (rows.sample(frac=1, random_state=seed), split.sample(frac=1, random_state=seed)):
        again = fit_of(other, distribution, covariates=["region"], intervals="replicate")
        assert np.allclose(again.coefficients, whole.coefficients, rtol=0, atol=1e-9)
        assert np.allclose(again.standard_error, whole.standard_error, rtol=0, atol=1e-9)
        assert again.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)


def test_days_in_another_unit_move_the_intercept_only() -> None:
    table = brand()
    days, hours = (fit_of(table.assign(duration_days=table["duration_days"] * unit)) for unit in (1, 24))
    assert hours.coefficients[0] - days.coefficients[0] == pytest.approx(np.log(24), abs=1e-9)
    assert np.allclose(hours.coefficients[1:], days.coefficients[1:], atol=1e-9)
    # the density of a day is spread over 24 hours
    assert days.log_likelihood - hours.log_likelihood == pytest.approx(days.n_events * np.log(24))


def test_a_true_ratio_is_found() -> None:
    # in hours: days rounded up are half a day too long, which pulls ratios of short spells towards 1
    table = brand(20_000, seed=2, a_day=24)
    found = fit_of(table, intervals="replicate", reference={"region": "north"})
    ratio = found.time_ratios["region[south]"]
    assert ratio.lower < 1.5 < ratio.upper
    assert ratio.upper - ratio.lower < 0.15
    assert all(found.time_ratios[name].sign(1.0) == 0 for name in found.design.names if "age" in name)
    # customers with one spell each: the jackknife and the information say the same
    known = fit_of(table, reference={"region": "north"})
    assert np.allclose(found.standard_error, known.standard_error, rtol=0.25)
    assert ratio.unit == "time_ratio"


@pytest.mark.parametrize("distribution", ALL)
def test_the_jackknife_is_close_to_refitting_without_each_group(distribution: Distribution) -> None:
    table = brand(2000, late=True)
    fit = fit_of(table, distribution, covariates=["region"], intervals="replicate")
    assert fit.moved is not None
    (name,) = fit.design.names
    ratio = fit.time_ratios[name]
    assert ratio.leave_one_out is not None
    # t with 99 degrees of freedom, on the log scale
    half = 1.9842169515 * fit.standard_error[fit.names.index(name)]
    assert np.log([ratio.lower, ratio.upper]) == pytest.approx(np.log(ratio.value) + np.array([-half, half]))
    for group in (0, 31, 64):
        left = fit_of(table[table["replicate"] != group], distribution, covariates=["region"])
        assert np.abs(fit.coefficients - fit.moved[group] - left.coefficients).max() < 1e-3
        assert np.abs(fit.coefficients - left.coefficients).max() > 1e-3
        assert ratio.leave_one_out[group] == pytest.approx(left.time_ratios[name].value, abs=2e-3)


def test_predictions_by_hand_and_where_they_extrapolate() -> None:
    table = pd.DataFrame({"duration_days": [10, 20, 30, 40], "event_observed": True, "n": 10})
    fit = fit_of(table, "exponential", covariates=[])
    curve = predicted_curve(fit, {}, days=[0, 25, 100])
    assert np.allclose(curve["survival"], [1, np.exp(-1), np.exp(-4)])
    assert curve["beyond_follow_up"].tolist() == [False, False, True]
    # log cumulative hazard has variance 1 / 40 events
    half = 1.959963984540054 / np.sqrt(40)
    assert np.allclose(curve["lower"], [1, np.exp(-np.exp(half)), np.exp(-4 * np.exp(half))])
    assert np.allclose(curve["upper"], [1, np.exp(-np.exp(-half)), np.exp(-4 * np.exp(-half))])


@pytest.mark.parametrize("distribution", ALL)
def test_predictions_with_each_kind_of_interval_agree(distribution: Distribution) -> None:
    table = brand(20_000)
    values = {"region[south]": 1.0, "age[b]": 0.0, "age[c]": 1.0}
    known, shown = (
        fit_of(table, distribution, intervals=kind, reference={"region": "north", "age": "a"})
        for kind in ("information", "replicate")
    )
    one, other = (predicted_survival_at(fit, values, 30) for fit in (known, shown))
    assert one.value == pytest.approx(other.value, rel=1e-12)
    # slopes by differences: the delta method on the log-log scale
    at, h, slopes = known.coefficients, 1e-5, []
    for i in range(len(at)):
        moved = [predicted_survival_at(_moved(known, i, sign * h), values, 30).value for sign in (1, -1)]
        slopes.append((np.log(-np.log(moved[0])) - np.log(-np.log(moved[1]))) / (2 * h))
    error = np.sqrt(np.array(slopes) @ known.covariance @ np.array(slopes))
    half = (np.log(-np.log(one.lower)) - np.log(-np.log(one.upper))) / 2
    assert half == pytest.approx(1.959963984540054 * error, rel=1e-5)
    if distribution == "weibull":
        assert other.upper - other.lower == pytest.approx(one.upper - one.lower, rel=0.3)
    assert other.leave_one_out is not None


def _moved(fit: AcceleratedFailureTimeFit, place: int, by: float) -> AcceleratedFailureTimeFit:
    at = fit.coefficients.copy()
    at[place] += by
    return replace(fit, coefficients=at)


def test_the_distribution_that_made_the_data_is_closest() -> None:
    rng = np.random.default_rng(5)
    made = {
        "weibull": 30 * rng.weibull(2.0, 3000),
        "lognormal": rng.lognormal(3, 1, 3000),
        "loglogistic": np.exp(3 + 0.6 * rng.logistic(size=3000)),
        "exponential": rng.exponential(30, 3000),
    }
    for name, life in made.items():
        table = pd.DataFrame({"duration_days": np.minimum(life, 90), "event_observed": life < 90, "n": 1})
        chosen = choose_distribution(table, covariates=[])
        near = chosen.loc[chosen["aic_difference"] < 2.5, "distribution"].tolist()
        assert name in near
        # the generalised gamma holds all but the log-logistic as special cases, at the price of a parameter or two
        assert set(near) - {name, "gengamma"} <= ({"weibull"} if name == "exponential" else set())
        assert ("gengamma" in near) == (name in ("weibull", "lognormal"))
        assert chosen["aic"].is_monotonic_increasing
        sizes = chosen.set_index("distribution")["n_parameters"]
        assert sizes.to_dict() == {"weibull": 2, "lognormal": 2, "loglogistic": 2, "exponential": 1, "gengamma": 3}
        fit = fit_of(table, chosen["distribution"][0], covariates=[])
        assert chosen["aic"][0] == pytest.approx(fit.aic)
        assert not chosen["cured_share"].any()


def test_what_cannot_be_fitted_is_refused_by_name() -> None:
    table = brand(300)
    refused: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "no covariate 'regio'.*did you mean 'region'": ({}, {"covariates": ["regio"]}),
        "'age' is constant": ({"age": "a"}, {}),
        "'age' is missing for": ({"age": table["age"].where(table["age"] != "b")}, {}),
        r"column 'copy\[south\]' is collinear": ({"copy": table["region"]}, {"covariates": ["region", "copy"]}),
        r"4 events for 3 parameters \(1.3 each\), fewer than 5": ({"event_observed": table.index < 4}, {}),
        r"column 'region\[south\]' separates perfectly: each event has its smallest value, 0": (
            {"event_observed": table["event_observed"] & (table["region"] == "north")},
            {"covariates": ["region"]},
        ),
        "in 9 groups of customers, fewer than 20; choose intervals='information'": (
            {"replicate": table["replicate"] % 9},
            {"intervals": "replicate"},
        ),
        "no distribution 'weibul' is known here; did you mean 'weibull'": ({}, {"distribution": "weibul"}),
        r"all \d+ events are on day 30": ({"duration_days": 30}, {}),
        "spells end on or before their entry": ({"entry_days": table["duration_days"]}, {}),
        "at least one spell; came none": ({"n": 0}, {}),
    }
    for message, (changed, chosen) in refused.items():
        with pytest.raises(ModelError, match=message):
            fit_of(table.assign(**changed), **chosen)
    with pytest.raises(ModelError, match="'replicate' needs the column 'replicate'"):
        fit_of(table.drop(columns="replicate"), intervals="replicate")
    with pytest.raises(ModelError, match=r"missing \['n'\]"):
        fit_of(table.drop(columns="n"))
    with pytest.raises(ModelError, match="at least one distribution"):
        choose_distribution(table, covariates=[], distributions=[])
    fit = fit_of(table)
    with pytest.raises(ModelError, match=r"missing \['age\["):
        predicted_survival_at(fit, {"region[south]": 1}, 10)
    full = dict.fromkeys(fit.design.names, 0.0)
    with pytest.raises(ModelError, match=r"no column 'region\[sout\]'; did you mean"):
        predicted_survival_at(fit, full | {"region[sout]": 1}, 10)
    with pytest.raises(ModelError, match="day -1 lies before"):
        predicted_survival_at(fit, full, -1)


def test_durations_that_a_column_determines_are_refused() -> None:
    table = pd.DataFrame({"x": [1.0, 2.0], "duration_days": [10, 20], "event_observed": True, "n": 50})
    with pytest.raises(ModelError, match="determine the day of every lapse"):
        fit_of(table, covariates=["x"])


def test_one_day_of_events_suffices_for_a_constant_rate() -> None:
    table = pd.DataFrame({"duration_days": [10, 20], "event_observed": [True, False], "n": [20, 20]})
    assert np.exp(fit_of(table, "exponential", covariates=[]).coefficients[0]) == pytest.approx(30)


def test_few_events_a_parameter_are_doubted() -> None:
    table = brand(300)
    events = table.index[table["event_observed"]]
    few = table.assign(event_observed=table.index.isin(events[::20][:9]), n=1)
    with pytest.warns(FewEventsWarning, match=r"9 events for 1 parameters \(9.0 each\), fewer than 10 each") as caught:
        fit_of(few, covariates=["region"])
    assert caught[0].filename.endswith("test_parametric.py")
