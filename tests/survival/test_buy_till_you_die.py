"""Buying until leaving unseen: a published case, against integrals, known truths, and the reduction by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ibis.backends.sql.compilers import pyspark
from scipy import special
from spell_oracle import make_tables

from lcm_research.errors import ModelError
from lcm_research.survival.buy_till_you_die import (
    BuyTillYouDieFit,
    Dropout,
    _likelihood,
    buy_till_you_die,
    expected_purchases,
    mean_alive,
    probability_alive,
)
from lcm_research.survival.purchase_histories import frequency_recency_counts

RULES: list[Dropout] = ["after_repeat", "after_any"]
TRUTH = np.array([0.8, 30.0, 1.2, 4.0])


def lives(n: int, seed: int, dropout: Dropout) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Customers drawn from the model in days: their counts, who is alive at the end, purchases in 100 days more."""
    rng = np.random.default_rng(seed)
    rate, chance = rng.gamma(TRUTH[0], 1 / TRUTH[1], n), rng.beta(*TRUTH[2:], n)
    observed = rng.uniform(200, 400, n)
    frequency, recency, later = (np.zeros(n) for _ in range(3))
    alive = rng.random(n) >= chance if dropout == "after_any" else np.ones(n, bool)
    now, gone = np.zeros(n), ~alive
    while not gone.all():
        now = np.where(gone, np.inf, now + rng.exponential(1 / rate))
        inside, ahead = now <= observed, (now > observed) & (now <= observed + 100)
        frequency, recency = frequency + inside, np.where(inside, now, recency)
        later += ahead
        gone |= (now > observed + 100) | ((inside | ahead) & (rng.random(n) < chance))
        alive &= ~(gone & inside)
    table = pd.DataFrame({"frequency": frequency, "recency_days": recency, "observation_days": observed, "n": 1})
    return table.assign(replicate=rng.integers(0, 100, n)), alive, later


def fit_of(table: pd.DataFrame, dropout: Dropout = "after_repeat", **chosen: Any) -> BuyTillYouDieFit:
    choices: dict[str, Any] = {"time_unit_days": 1, "intervals": "information"} | chosen
    return buy_till_you_die(table, dropout=dropout, **choices)


def at(fit: BuyTillYouDieFit, parameters: np.ndarray) -> BuyTillYouDieFit:
    return replace(fit, log_parameters=np.log(parameters))


def customer(frequency: float, recency: float, observed: float) -> pd.DataFrame:
    return pd.DataFrame({"frequency": [frequency], "recency_days": [recency], "observation_days": [observed], "n": 1})


def test_the_number_is_the_one_published(reference: Path, record_property: Any) -> None:
    table = pd.read_csv(reference / "survival" / "cdnow_customers_summary.csv").assign(n=1)
    table = table.assign(recency_days=table["recency"] * 7, observation_days=table["T"] * 7)
    fit = fit_of(table, time_unit_days=7)
    published = at(fit, np.array([0.243, 4.414, 0.793, 2.426]))
    one = customer(2, 30.43 * 7, 38.86 * 7)
    found = {"r": fit.r, "alpha": fit.alpha, "a": fit.a, "b": fit.b, "loglik": fit.log_likelihood}
    found["E[Y(39)|x=2,tx=30.43,T=38.86] at published params"] = expected_purchases(published, one, days=39 * 7)[0]
    found["P(alive|x=2,tx=30.43,T=38.86) at published params"] = probability_alive(published, one)[0]
    numbers = pd.read_csv(reference / "survival" / "numbers.csv").query("case == 'bgnbd_cdnow'")
    assert set(numbers["quantity"]) == set(found)
    furthest = 0.0
    for row in numbers.itertuples():
        expected, size = float(row.expected), float(row.tolerance.split()[0])
        allowed = size * (abs(expected) if row.tolerance.endswith("rel") else 1)
        assert abs(found[row.quantity] - expected) <= allowed, row.quantity
        furthest = max(furthest, abs(found[row.quantity] / expected - 1))
    record_property("deviation", f"bgnbd_cdnow: {len(numbers)} numbers, {furthest:.1e}")


def mean_over(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], gamma: tuple[float, float], beta: tuple[float, float]
) -> float:
    """Mean of a function of rate and chance over a gamma and a beta, by Gauss-Legendre on their quantiles."""
    nodes, weights = np.polynomial.legendre.leggauss(300)
    at, weights = (nodes + 1) / 2, weights / 2
    rate = special.gammaincinv(gamma[0], at)[:, None] / gamma[1]
    chance = special.betaincinv(*beta, at)[None, :]
    return float(weights @ function(rate, chance) @ weights)


def by_integral(frequency: int, recency: float, observed: float, dropout: Dropout) -> tuple[float, float]:
    """Chance density of a purchase history at TRUTH, and the part of it that is still alive at the end."""
    r, alpha, a, b = TRUTH
    bought = frequency + (dropout == "after_any")

    def alive(rate: np.ndarray, p: np.ndarray) -> np.ndarray:
        return rate**frequency * (1 - p) ** bought * np.exp(-rate * observed)

    def left(rate: np.ndarray, p: np.ndarray) -> np.ndarray:
        return (bought > 0) * rate**frequency * p * (1 - p) ** (bought - 1.0) * np.exp(-rate * recency)

    parts = [mean_over(part, (r, alpha), (a, b)) for part in (alive, left)]
    return sum(parts), parts[0]


@pytest.mark.parametrize("dropout", RULES)
@pytest.mark.parametrize("history", [(0, 0.0, 50.0), (1, 10.0, 50.0), (4, 35.0, 50.0)])
def test_likelihood_and_chance_alive_are_integrals_over_rates_and_chances(
    dropout: Dropout, history: tuple[int, float, float]
) -> None:
    fit = fit_of(lives(300, 1, dropout)[0], dropout)
    frequency, recency, observed = history
    density, alive = by_integral(*history, dropout)
    one = [np.array([float(x)]) for x in (frequency, recency, observed, 1)]
    assert _likelihood(np.log(TRUTH), *one, dropout).value == pytest.approx(np.log(density), rel=2e-4)
    found = probability_alive(at(fit, TRUTH), customer(frequency, recency, observed))[0]
    assert found == pytest.approx(alive / density, rel=2e-4)


def test_the_chance_alive_by_hand() -> None:
    fit = at(fit_of(lives(300, 1, "after_repeat")[0]), np.array([1.0, 10.0, 1.0, 2.0]))
    # r = 1, alpha = 10, one repeat purchase on day 10 of 30: odds of having left a / (b + 1 - 1) * (40 / 20)**2 = 2
    assert probability_alive(fit, customer(1, 10, 30))[0] == pytest.approx(1 / 3)
    assert probability_alive(fit, customer(0, 0, 30))[0] == 1
    # after any purchase: who bought once has odds 1 / 2 * (40 / 10)**1 = 2, who bought twice 1 / 3 * 4
    any_time = replace(fit, dropout="after_any")
    assert probability_alive(any_time, customer(0, 0, 30))[0] == pytest.approx(1 / 3)
    assert probability_alive(any_time, customer(1, 10, 30))[0] == pytest.approx(3 / 7)


@pytest.mark.parametrize("dropout", RULES)
def test_what_made_the_histories_is_found_and_foretold(dropout: Dropout) -> None:
    table, alive, later = lives(20_000, 5, dropout)
    fit = fit_of(table, dropout)
    assert (np.abs(fit.log_parameters - np.log(TRUTH)) < 3 * fit.standard_error).all()
    # calibrated: among customers alike in what was seen, as many are alive and buy as foretold
    chance, ahead = probability_alive(fit, table), expected_purchases(fit, table, days=100)
    for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 0.999)):
        alike = (chance >= low) & (chance < high)
        error = np.sqrt(0.25 / alike.sum())
        assert abs(chance[alike].mean() - alive[alike].mean()) < 4 * error
        spread = later[alike].std() / np.sqrt(alike.sum())
        assert abs(ahead[alike].mean() - later[alike].mean()) < 4 * spread
    # on average over customers, so are the repeat purchases that were seen, from the first purchase alone
    days = table["observation_days"].to_numpy()
    grid = np.linspace(200, 400, 9)
    new = [expected_purchases(fit, customer(0, 0, 0), days=day)[0] for day in grid]
    assert np.interp(days, grid, new).mean() == pytest.approx(table["frequency"].mean(), rel=0.02)


@pytest.mark.parametrize("dropout", RULES)
def test_purchases_to_come_are_an_integral(dropout: Dropout) -> None:
    fit = at(fit_of(lives(300, 1, dropout)[0], dropout), TRUTH)
    r, alpha, a, b = TRUTH
    frequency, recency, observed, days = 3, 30.0, 60.0, 40.0
    survived = b + frequency + (dropout == "after_any")
    gamma, beta = (r + frequency, alpha + observed), (a, survived)
    # alive with rate u and chance p: the sum over purchases until leaving, (1 - exp(-u p days)) / p
    mean = mean_over(lambda u, p: (1 - np.exp(-u * p * days)) / p, gamma, beta)
    one = customer(frequency, recency, observed)
    found = expected_purchases(fit, one, days=days)[0]
    assert found == pytest.approx(mean * probability_alive(fit, one)[0], rel=1e-4)
    assert expected_purchases(fit, one, days=0)[0] == pytest.approx(0, abs=1e-12)
    # a = 1, where the formula divides by 0, lies between its neighbours; and frequent buyers do not overflow
    near = [expected_purchases(at(fit, np.array([r, alpha, x, b])), one, days=days)[0] for x in (0.999, 1.0, 1.001)]
    assert near[0] > near[1] > near[2]
    assert near[1] == pytest.approx((near[0] + near[2]) / 2, rel=1e-5)
    assert np.isfinite(expected_purchases(fit, customer(4000, 59, 60), days=1000)).all()


@pytest.mark.parametrize("dropout", RULES)
def test_slopes_and_curvature_are_those_of_the_likelihood(dropout: Dropout) -> None:
    table = lives(500, 3, dropout)[0]
    numbers = [table[c].to_numpy(float) for c in ("frequency", "recency_days", "observation_days", "n")]
    point, h = np.log([0.5, 20.0, 0.9, 2.2]), 1e-5
    here = _likelihood(point, *numbers, dropout)
    for i, step in enumerate(h * np.eye(4)):
        up, down = (_likelihood(point + sign * step, *numbers, dropout) for sign in (1, -1))
        assert here.score[i] == pytest.approx((up.value - down.value) / (2 * h), rel=1e-5, abs=1e-4)
        assert np.allclose(here.information[i], (down.score - up.score) / (2 * h), rtol=1e-5, atol=1e-4)


def test_counts_give_what_rows_give_in_any_unit_of_time() -> None:
    table = lives(2000, 2, "after_any")[0]
    table = table.assign(
        recency_days=table["recency_days"].round(-1), observation_days=table["observation_days"].round(-1)
    )
    table = table[table["recency_days"] <= table["observation_days"]]
    table.loc[table["frequency"] == 0, "recency_days"] = 0
    keys = [c for c in table.columns if c != "n"]
    cells = table.groupby(keys, as_index=False)["n"].sum().sample(frac=1, random_state=1)
    rows, counts = (fit_of(each, "after_any", intervals="replicate") for each in (table, cells))
    assert np.allclose(rows.log_parameters, counts.log_parameters, rtol=0, atol=1e-9)
    assert np.allclose(rows.standard_error, counts.standard_error, rtol=0, atol=1e-9)
    weeks = fit_of(cells.astype({"n": "Int64"}), "after_any", time_unit_days=7)
    assert weeks.alpha == pytest.approx(rows.alpha / 7, rel=1e-8)
    assert np.delete(weeks.log_parameters, 1) == pytest.approx(np.delete(rows.log_parameters, 1), abs=1e-8)
    assert np.allclose(probability_alive(weeks, table), probability_alive(rows, table))
    assert np.allclose(expected_purchases(weeks, table, days=70), expected_purchases(rows, table, days=70))


def test_the_mean_of_the_silent_and_its_jackknife() -> None:
    table = lives(3000, 4, "after_any")[0]
    fit = fit_of(table, "after_any", intervals="replicate")
    silent = table["observation_days"] - table["recency_days"] > 120
    found = mean_alive(fit, table, silent_days=120)
    assert found.value == pytest.approx(probability_alive(fit, table[silent]).mean())
    assert found.n == silent.sum()
    assert found.leave_one_out is not None
    far = int(np.abs(found.leave_one_out - found.value).argmax())
    for group in (5, far):
        left = table[table["replicate"] != group]
        again = mean_alive(fit_of(left, "after_any"), left, silent_days=120)
        assert found.leave_one_out[group] == pytest.approx(
            again.value, abs=0.1 * abs(found.leave_one_out[far] - found.value)
        )
    by_information = mean_alive(fit_of(table, "after_any"), table, silent_days=120)
    assert by_information.value == pytest.approx(found.value)
    assert by_information.upper - by_information.lower < 1.5 * (found.upper - found.lower)


def test_the_mean_of_the_silent_covers_those_truly_alive() -> None:
    covered = 0
    for seed in range(30):
        table = lives(1000, seed, "after_any")[0]
        found = mean_alive(fit_of(table, "after_any", intervals="replicate"), table, silent_days=90)
        truth = at(fit_of(table, "after_any"), TRUTH)
        silent = table["observation_days"] - table["recency_days"] > 90
        covered += found.lower < probability_alive(truth, table[silent]).mean() < found.upper
    # 28.5 of 30 expected; fewer than 25 have a chance below 1 in 100
    assert covered >= 25


def test_who_bought_once_is_alive_for_ever_only_where_that_is_assumed() -> None:
    table = lives(2000, 6, "after_any")[0]
    once = table[(table["frequency"] == 0)]
    repeat, any_time = (fit_of(table, rule) for rule in RULES)
    assert (probability_alive(repeat, once) == 1).all()
    assert probability_alive(any_time, once).mean() < 0.6
    assert any_time.log_likelihood > repeat.log_likelihood
    with pytest.raises(ModelError, match="all who are silent bought once"):
        mean_alive(repeat, once, silent_days=100)


def test_what_cannot_be_fitted_is_refused() -> None:
    table = lives(500, 1, "after_any")[0]
    refused = {
        r"missing \['frequency'\]": table.drop(columns="frequency"),
        "rows have no value in 'recency_days'": table.assign(recency_days=np.nan),
        "at least one customer; came none": table.assign(n=0),
        "500 customers have a recency outside their observation": table.assign(recency_days=1000),
        r"0 of 500 customers bought again, fewer than 40": table.assign(frequency=0, recency_days=0.0),
    }
    for message, wrong in refused.items():
        with pytest.raises(ModelError, match=message):
            fit_of(wrong)
    with pytest.raises(ModelError, match=r"missing \['replicate'\]"):
        fit_of(table.drop(columns="replicate"), intervals="replicate")
    with pytest.raises(ModelError, match="bought again in 9 groups, fewer than 20; choose intervals='information'"):
        fit_of(table.assign(replicate=table["replicate"] % 9), intervals="replicate")
    with pytest.raises(ModelError, match="'after_repeat' or 'after_any'; came 'never'"):
        fit_of(table, "never")  # type: ignore[arg-type]
    fit = fit_of(table)
    with pytest.raises(ModelError, match="silent for more than 9000 days"):
        mean_alive(fit, table, silent_days=9000)
    with pytest.raises(ModelError, match="must not be negative; came -1"):
        expected_purchases(fit, table, days=-1)
    # everybody buys exactly every tenth day: rates do not differ
    clock = pd.DataFrame({"frequency": 20, "recency_days": 200, "observation_days": np.arange(200, 210), "n": 50})
    with pytest.raises(ModelError, match=r"the parameter \w+ runs off"):
        fit_of(clock)


CHOICES: dict[str, Any] = {"window_days": 30, "observation_start_day": 100, "as_of_day": 300, "history": "complete"}


def counted(purchases: dict[str, list[int]], **changed: Any) -> list[tuple[int, int, int, int]]:
    made = {name: changed.pop(name) for name in ("returns", "first_seen", "segment") if name in changed}
    table = frequency_recency_counts.execute(
        make_tables(purchases, **made), **(CHOICES | {"period": "day", "by": []} | changed)
    )
    columns = ["frequency", "recency_days", "observation_days", "n"]
    return list(table.groupby(columns[:3])["n"].sum().reset_index().itertuples(index=False, name=None))


def test_a_history_by_hand() -> None:
    # bought on days 110, 120, 120 and 250 of 300: two repeat days, the last 140 days after the first
    assert counted({"a": [110, 120, 120, 250]}) == [(2, 140, 190, 1)]
    # returns and what comes after as_of do not count; two who are alike are one cell
    assert counted({"a": [110, 301], "b": [110]}, returns={"a": [150]}) == [(0, 0, 190, 2)]
    # known before observation started, or by a first contact: not new
    assert counted({"a": [90, 120], "b": [120]}, first_seen={"a": None, "b": 95}) == []
    # too young for a lapse to be seen is still a history
    assert counted({"a": [299]}) == [(0, 0, 1, 1)]


def test_weeks_run_from_monday() -> None:
    # day 4 of the epoch was a Monday, and so was day 200 = 4 + 28 * 7: 199 is the Sunday of the week from 193,
    # 206 that of the week from 200; 300 is in the week from 298 = 193 + 15 * 7
    assert counted({"a": [199, 200, 206, 207]}, period="week") == [(2, 14, 105, 1)]
    assert counted({"a": [193, 199]}, period="week") == [(0, 0, 105, 1)]


def test_without_history_a_first_purchase_must_be_certain() -> None:
    short = CHOICES | {"history": "from_observation_start"}
    # 110 is within 30 days of the start of observation: older purchases cannot be excluded
    assert counted({"a": [110, 150], "b": [131, 150]}, **short) == [(1, 19, 169, 1)]
    assert counted({"a": [110, 150]}, first_seen={"a": 110}, **short) == [(1, 40, 190, 1)]


def test_segments_are_kept_and_spark_can_compile_it() -> None:
    tables = make_tables({"a": [110, 120], "b": [110]}, segment={"a": "north", "b": None})
    table = frequency_recency_counts.execute(tables, **CHOICES, period="day", by=["region"])
    assert dict(zip(table["region"], table["frequency"], strict=True)) == {"north": 1, "unknown": 0}
    assert table["replicate"].tolist() == [0, 1]
    pyspark.compiler.to_sqlglot(frequency_recency_counts(tables, **CHOICES, period="week", by=["region"]))
    with pytest.raises(ModelError, match="'day' or 'week'; came 'month'"):
        frequency_recency_counts(tables, **CHOICES, period="month", by=[])
