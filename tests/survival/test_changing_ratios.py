"""Hazard ratios that change over tenure: against separate fits, against the likelihood by rows, and by law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from lcm_research.errors import ModelError
from lcm_research.survival.changing_ratios import drift_ratios, ratio_on_day, step_ratios, usable_days
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.hazards import cox
from lcm_research.survival.split_spells import split_at

CHOICES: dict[str, Any] = {"ties": "efron", "intervals": "replicate"}


def crossing(n: int = 4000, seed: int = 1) -> pd.DataFrame:
    """Spells that lapse at 1/30 a day; those in the south at half of it until day 20 and twice of it from day 21."""
    rng = np.random.default_rng(seed)
    region, age = rng.choice(["north", "south"], n, p=[0.55, 0.45]), rng.choice(["a", "b", "c"], n)
    early, late = (
        rng.exponential(np.where(region == "south", 60, 30)),
        rng.exponential(np.where(region == "south", 15, 30)),
    )
    life = np.ceil(np.where(early <= 20, early, 20 + late))
    seen = rng.integers(10, 80, n)
    table = pd.DataFrame({"region": region, "age": age, "duration_days": np.minimum(life, seen).astype(int)})
    table = table.assign(event_observed=life <= seen, replicate=rng.integers(0, 100, n))
    table["entry_days"] = np.minimum(rng.integers(0, 4, n), table["duration_days"] - 1)
    return table.groupby(list(table.columns)).size().rename("n").reset_index()


def test_a_spell_is_cut_into_pieces_at_risk_in_their_own_stretch_by_hand() -> None:
    counts = pd.DataFrame(
        {
            "entry_days": [0, 12],
            "duration_days": [25, 20],
            "event_observed": [True, True],
            "cause": "price",
            "n": [1, 3],
        }
    )
    pieces = split_at(counts, [10, 20])
    told = pieces[["interval", "entry_days", "duration_days", "event_observed", "cause", "n"]].sort_values(
        ["interval", "entry_days"]
    )
    # the second enters after the first stretch and ends with the second one, inclusive
    assert told.values.tolist() == [
        [1, 0, 10, False, "", 1],
        [2, 10, 20, False, "", 1],
        [2, 12, 20, True, "price", 3],
        [3, 20, 25, True, "price", 1],
    ]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_splitting_alone_changes_nothing(ties: Any) -> None:
    table = crossing(1500)
    pieces = split_at(table, [7, 20, 41])
    assert pieces["n"].sum() > table["n"].sum()
    for intervals in ("information", "replicate"):
        whole, cut = (
            cox(each, covariates=["region", "age"], reference={"age": "a"}, ties=ties, intervals=intervals)  # type: ignore[arg-type]
            for each in (table, pieces)
        )
        assert cut.coefficients == pytest.approx(whole.coefficients, abs=1e-9)
        assert cut.standard_error == pytest.approx(whole.standard_error, abs=1e-9)
        assert cut.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-7)
    curves = [kaplan_meier(each, interval="replicate") for each in (table, pieces)]
    ends = np.searchsorted(curves[1].times, curves[0].times)
    assert curves[1].survival[ends] == pytest.approx(curves[0].survival, abs=1e-12)


@pytest.mark.parametrize("intervals", ["information", "replicate"])
def test_steps_of_one_covariate_are_separate_models_of_each_stretch(intervals: Any) -> None:
    table = crossing()
    found = step_ratios(table, covariate="region", days=[20, 45], ties="efron", intervals=intervals)
    pieces = split_at(table, [20, 45])
    for place, ratio in enumerate(found.ratios["region[south]"]):
        own = pieces[pieces["interval"] == place + 1]
        alone = cox(own, covariates=["region"], reference={"region": "north"}, ties="efron", intervals=intervals)
        expected = alone.hazard_ratios["region[south]"]
        assert (ratio.value, ratio.lower, ratio.upper) == pytest.approx(
            (expected.value, expected.lower, expected.upper), abs=1e-9
        )
        assert (ratio.n, found.n_events[place]) == (alone.n, alone.n_events)
    assert found.from_day.tolist() == [1, 21, 46]
    assert found.until_day.tolist() == [20, 45, table["duration_days"].max()]


def test_a_ratio_that_turns_is_found_and_a_constant_one_is_not() -> None:
    table = crossing()
    found = step_ratios(table, covariate="region", days=[20], covariates=["age"], **CHOICES)
    early, late = found.ratios["region[south]"]
    assert early.lower < 0.5 < early.upper < 1 < late.lower < 2 < late.upper
    assert found.p_value < 1e-20
    assert found.degrees_of_freedom == 1
    assert found.fit.n == table["n"].sum()
    ages = step_ratios(table, covariate="age", days=[20, 40], covariates=["region"], **CHOICES)
    assert ages.p_value > 0.01
    assert ages.degrees_of_freedom == 4
    shown = ages.table()
    assert shown["covariate"].tolist() == [name for name in ages.names for _ in range(3)]
    assert shown.columns.tolist() == [
        "covariate", "from_day", "until_day", "n", "n_events", "hazard_ratio", "lower", "upper",
    ]  # fmt: skip


def test_reference_levels_are_the_most_frequent_of_spells_not_of_pieces() -> None:
    table, days = crossing(1500), [7, 20, 41]
    of_spells, of_pieces = (each.groupby("age")["n"].sum().idxmax() for each in (table, split_at(table, days)))
    assert of_spells != of_pieces
    found = step_ratios(table, covariate="region", days=days, covariates=["age"], **CHOICES)
    assert found.fit.design.references["age"] == of_spells
    assert f"age[{of_spells}]" not in step_ratios(table, covariate="age", days=days, **CHOICES).names


def test_the_drift_by_single_days_maximises_the_likelihood_by_rows() -> None:
    table = crossing(800, seed=5).assign(x=lambda t: (t["region"] == "south").astype(float))
    found = drift_ratios(table, covariate="x", scale="log", period_days=1, ties="breslow", intervals="information")
    ended, entered, n, x = (table[c].to_numpy(float) for c in ("duration_days", "entry_days", "n", "x"))
    lapsed = table["event_observed"].to_numpy(bool)

    def minus_log_likelihood(at: np.ndarray) -> float:
        total = 0.0
        for day in np.unique(ended[lapsed]):
            linear = x * (at[0] + at[1] * np.log(day))
            own, here = n * (lapsed & (ended == day)), n * ((entered < day) & (ended >= day))
            total += own @ linear - own.sum() * np.log(here @ np.exp(linear))
        return -total

    best = optimize.minimize(minus_log_likelihood, np.zeros(2), method="BFGS", options={"gtol": 1e-6})
    assert found.fit.log_likelihood == pytest.approx(-best.fun, abs=1e-6)
    assert [found.level_coefficient[0], found.drift_coefficient[0]] == pytest.approx(best.x, abs=1e-4)
    # the ratio on a day, and its standard error, from both coefficients
    ratio, g = ratio_on_day(found, "x", 30), np.array([1, np.log(30)])
    assert ratio.value == pytest.approx(np.exp(g @ best.x), rel=1e-4)
    spread = np.sqrt(g @ found.fit.covariance @ g)
    assert np.log(ratio.upper / ratio.value) == pytest.approx(1.959964 * spread, rel=1e-6)


def test_a_drift_held_over_weeks_is_close_to_the_one_by_days() -> None:
    table = crossing()
    weeks, days = (
        drift_ratios(table, covariate="region", scale="identity", period_days=period, **CHOICES) for period in (7, 1)
    )
    assert weeks.table([5, 40])["hazard_ratio"].tolist() == pytest.approx(
        days.table([5, 40])["hazard_ratio"].tolist(), rel=0.05
    )
    early, late = weeks.table([5, 60]).itertuples()
    assert early.upper < 1 < late.lower
    assert weeks.p_value < 1e-10


def test_the_drift_of_replicates_moves_as_a_refit_without_each_group() -> None:
    table = crossing()
    choices: dict[str, Any] = {"covariate": "region", "scale": "log", "period_days": 14, "ties": "efron"}
    found = ratio_on_day(drift_ratios(table, intervals="replicate", **choices), "region[south]", 30)
    assert found.leave_one_out is not None
    for g in (3, 70):
        fewer = drift_ratios(table[table["replicate"] != g], intervals="information", **choices)
        assert found.leave_one_out[g] == pytest.approx(ratio_on_day(fewer, "region[south]", 30).value, abs=2e-3)


def test_only_days_that_leave_enough_lapses_on_both_sides_are_cut_at() -> None:
    table = crossing()
    longest = int(table["duration_days"].max())
    # no lapse lies between day 20 and day 20, and hardly any after the last day but one
    assert usable_days(table, [20, 40, longest - 1], covariate="region") == [20, 40]
    lapses = table[table["event_observed"] & (table["duration_days"] > 40)].groupby("region")["n"].sum()
    few = table[(table["region"] == "north") | (table["duration_days"] <= 40)]
    assert lapses.min() >= 5
    assert usable_days(few, [20, 40], covariate="region") == [20]
    assert usable_days(table.assign(replicate=table["replicate"] % 19), [20, 40], covariate="region") == []
    for days in ([20], [20, 40]):
        step_ratios(table, covariate="region", days=days, **CHOICES)


def test_what_cannot_be_split_or_compared_is_refused() -> None:
    table = crossing(800)
    longest = table["duration_days"].max()
    refused: dict[str, dict[str, Any]] = {
        r"rising whole numbers from 1 on; came \[20, 20\]": {"days": [20, 20]},
        r"rising whole numbers from 1 on; came \[0, 20\]": {"days": [0, 20]},
        r"rising whole numbers from 1 on; came \[2.5\]": {"days": [2.5]},
        "at least one day; came none": {"days": []},
        f"no spell goes on past day {longest}, the longest has {longest} days": {"days": [longest]},
        "intervals must be 'replicate' or 'information'; came 'robust': a split spell is several rows": {
            "intervals": "robust"
        },
        "'region' cannot have both": {"covariates": ["region"]},
        f"days {longest} to {longest} hold [0-4] events for 1 ratios, fewer than 5": {"days": [longest - 1]},
        "no covariate 'regio'; did you mean 'region'": {"covariate": "regio"},
        "days 61 to .* groups of customers, fewer than 20; choose fewer days": {"days": [60]},
    }
    for message, changed in refused.items():
        with pytest.raises(ModelError, match=message):
            step_ratios(table, **({"covariate": "region", "days": [20]} | CHOICES | changed))
    with pytest.raises(ModelError, match="needs the column event_observed or cause; came neither"):
        split_at(table.drop(columns="event_observed"), [20])
    drift: dict[str, Any] = {"covariate": "region", "scale": "log", "period_days": 7} | CHOICES
    with pytest.raises(ModelError, match="scale must be 'log' or 'identity'; came 'km'"):
        drift_ratios(table, **(drift | {"scale": "km"}))
    with pytest.raises(ModelError, match=rf"period_days=0 must be .* below the longest spell \({longest} days\)"):
        drift_ratios(table, **(drift | {"period_days": 0}))
    found = drift_ratios(table, **drift)
    with pytest.raises(ModelError, match=rf"day 900 is outside the follow-up; choose a day in \[1, {longest}\]"):
        ratio_on_day(found, "region[south]", 900)
    with pytest.raises(ModelError, match=r"no column 'region\[sout\]'; did you mean 'region\[south\]'"):
        ratio_on_day(found, "region[sout]", 9)
