"""Recurrent events: the mean cumulative function by hand, its laws, its intervals, and what it refuses."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.survival.cumulative_hazard import nelson_aalen
from lcm_research.survival.recurrent import mean_at, mean_cumulative_function, recurrent_counts

# three customers: followed to day 10, to day 6, and from the end of day 3 to day 10;
# events: 2 on day 2 (one customer), 1 on day 5, 1 on day 8
FOLLOW_UPS = pd.DataFrame({"entry_days": [0, 0, 3], "duration_days": [10, 6, 10], "n": 1})
EVENTS = pd.DataFrame({"day": [2, 5, 8], "n": [2, 1, 1]})


def simulated(n: int, seed: int, heterogeneity: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Follow-ups and events of customers with a rate of 0.05 a day on average, gamma among them."""
    rng = np.random.default_rng(seed)
    rate = 0.05 * (rng.gamma(1 / heterogeneity, heterogeneity, n) if heterogeneity else np.ones(n))
    ends, replicate = rng.integers(30, 60, n), rng.integers(0, 100, n)
    happened = rng.poisson(rate[:, None], (n, 60)) * (np.arange(1, 61) <= ends[:, None])
    who, day = np.nonzero(happened)
    events = pd.DataFrame({"day": day + 1, "n": happened[who, day], "replicate": replicate[who]})
    return pd.DataFrame({"duration_days": ends, "n": 1, "replicate": replicate}), events


def test_the_mean_adds_up_events_by_those_under_follow_up() -> None:
    found = mean_cumulative_function(recurrent_counts(FOLLOW_UPS, EVENTS), interval="poisson")
    # at risk: 2 until day 3, 3 until day 6, then 2
    assert found.times.tolist() == [2, 3, 5, 6, 8, 10]
    assert found.at_risk.tolist() == [2, 2, 3, 3, 2, 2]
    assert found.events.tolist() == [2, 0, 1, 0, 1, 0]
    assert found.mean == pytest.approx([1, 1, 4 / 3, 4 / 3, 11 / 6, 11 / 6])
    # 2/4 + 1/9 + 1/4
    assert found.standard_error[-1] == pytest.approx(np.sqrt(2 / 4 + 1 / 9 + 1 / 4))
    assert (found.n, found.n_events, found.follow_up_days) == (3, 4, 10)
    assert found.table()["day"].tolist() == [2, 3, 5, 6, 8, 10]
    assert mean_at(found, 1).value == 0
    assert (mean_at(found, 7).value, mean_at(found, 7).unit) == (found.mean[3], "events per customer")


def test_counts_have_one_row_a_day_and_add_up() -> None:
    counts = recurrent_counts(FOLLOW_UPS, EVENTS)
    assert counts.to_dict("list") == {
        "day": [0, 2, 3, 5, 6, 8, 10],
        "n_entered": [2, 0, 1, 0, 0, 0, 0],
        "n_left": [0, 0, 0, 0, 1, 0, 2],
        "n_events": [0, 2, 0, 1, 0, 1, 0],
    }
    follow_ups, events = simulated(200, 1, 0.0)
    whole = recurrent_counts(follow_ups, events)
    halves = [recurrent_counts(*(t[t["replicate"] % 2 == side] for t in (follow_ups, events))) for side in (0, 1)]
    assert pd.concat(halves).groupby(["replicate", "day"]).sum().equals(whole.groupby(["replicate", "day"]).sum())
    ours, split = (mean_cumulative_function(each, interval="replicate") for each in (whole, pd.concat(halves)))
    assert ours.upper == pytest.approx(split.upper)


def test_if_all_are_followed_to_the_end_the_mean_is_a_plain_mean() -> None:
    follow_ups, events = simulated(150, 2, 1.0)
    follow_ups["duration_days"] = 60
    found = mean_cumulative_function(recurrent_counts(follow_ups, events), interval="poisson")
    assert found.mean[-1] == pytest.approx(events["n"].sum() / 150)


def test_follow_up_cut_into_pieces_gives_the_cumulative_hazard(reference: Path) -> None:
    pieces = pd.read_csv(reference / "survival" / "r_bladder2.csv")
    pieces = pieces.rename(columns={"start": "entry_days", "stop": "duration_days"}).assign(n=1)
    hazard = nelson_aalen(pieces.assign(event_observed=pieces["event"] == 1), interval="log")
    whole = pieces.groupby("id", as_index=False).agg(
        entry_days=("entry_days", "min"), duration_days=("duration_days", "max")
    )
    events = pieces[pieces["event"] == 1].rename(columns={"duration_days": "day"})
    found = mean_cumulative_function(recurrent_counts(whole.assign(n=1), events), interval="poisson")
    at = [mean_at(found, day).value for day in hazard.times]
    assert at == pytest.approx(hazard.cumulative_hazard)
    assert found.n == whole["id"].nunique()


def test_with_a_group_a_customer_the_jackknife_is_the_robust_standard_error() -> None:
    follow_ups, events = simulated(100, 3, 1.0)
    follow_ups, rng = follow_ups.assign(replicate=np.arange(100)), np.random.default_rng(4)
    events = events.assign(replicate=rng.integers(0, 100, len(events)))
    events = events[events["day"] <= follow_ups["duration_days"].to_numpy()[events["replicate"]]]
    found = mean_at(mean_cumulative_function(recurrent_counts(follow_ups, events), interval="replicate"), 30)
    # Lawless and Nadeau: a customer's sum of (events - mean of the day) / at risk; all are seen for 30 days
    per_day, early = np.zeros((100, 31)), events[events["day"] <= 30]
    np.add.at(per_day, (early["replicate"], early["day"]), early["n"])
    robust = np.sqrt((((per_day - per_day.mean(axis=0)).sum(axis=1) / 100) ** 2).sum())
    # t(0.975, 99) = 1.9842
    assert np.log(found.upper / found.value) / 1.9842 == pytest.approx(robust / found.value, rel=0.03)


def test_the_replicate_interval_is_the_jackknife_of_refitted_means() -> None:
    follow_ups, events = simulated(500, 5, 1.0)
    found = mean_at(mean_cumulative_function(recurrent_counts(follow_ups, events), interval="replicate"), 40)
    refitted = []
    for group in range(100):
        rest = [table[table["replicate"] != group] for table in (follow_ups, events)]
        refitted.append(mean_at(mean_cumulative_function(recurrent_counts(*rest), interval="poisson"), 40).value)
    assert found.leave_one_out == pytest.approx(np.array(refitted))


def test_only_the_interval_by_groups_covers_where_some_customers_have_many() -> None:
    covered = {(kind, spread): 0 for kind in ("replicate", "poisson") for spread in (0.0, 2.0)}
    for seed, spread in itertools.product(range(80), (0.0, 2.0)):
        counts = recurrent_counts(*simulated(200, seed, spread))
        for kind in ("replicate", "poisson"):
            found = mean_at(mean_cumulative_function(counts, interval=kind), 40)  # type: ignore[arg-type]
            covered[kind, spread] += found.lower < 0.05 * 40 < found.upper
    assert 0.88 <= covered["replicate", 0.0] / 80 <= 0.99
    assert 0.88 <= covered["replicate", 2.0] / 80 <= 0.99
    assert 0.88 <= covered["poisson", 0.0] / 80 <= 0.99
    assert covered["poisson", 2.0] / 80 < 0.75


def test_few_groups_with_an_event_get_the_poisson_interval() -> None:
    follow_ups, events = simulated(400, 6, 0.0)
    counts = recurrent_counts(follow_ups, events[events["replicate"] < 19])
    ours, poisson = (mean_cumulative_function(counts, interval=kind) for kind in ("replicate", "poisson"))
    assert ours.upper == pytest.approx(poisson.upper)


def test_what_cannot_be_answered_is_refused() -> None:
    counts = recurrent_counts(FOLLOW_UPS, EVENTS)
    with pytest.raises(ModelError, match=r"missing \['n_left'\]; recurrent_counts makes them"):
        mean_cumulative_function(counts.drop(columns="n_left"), interval="poisson")
    with pytest.raises(ModelError, match="interval must be 'replicate' or 'poisson'; came 'log'"):
        mean_cumulative_function(counts, interval="log")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="needs the column 'replicate' in the counts; choose 'poisson' without it"):
        mean_cumulative_function(counts, interval="replicate")
    with pytest.raises(ModelError, match="none of 3 customers had an event"):
        mean_cumulative_function(counts.assign(n_events=0), interval="poisson")
    with pytest.raises(ModelError, match="at least one customer under follow-up; came none"):
        mean_cumulative_function(counts.assign(n_entered=0), interval="poisson")
    with pytest.raises(ModelError, match="3 follow-ups begin and 2 end"):
        mean_cumulative_function(counts[counts["day"] != 6], interval="poisson")
    with pytest.raises(ModelError, match=r"1 rows have events or ends of follow-up before day 1"):
        mean_cumulative_function(counts.assign(n_events=[1, 2, 0, 1, 0, 1, 0]), interval="poisson")
    late = recurrent_counts(FOLLOW_UPS, EVENTS.assign(day=[2, 5, 12]))
    with pytest.raises(ModelError, match="1 events happen while nobody is under follow-up, the first on day 12"):
        mean_cumulative_function(late, interval="poisson")
    moved = counts.assign(n_entered=[0, 0, 1, 0, 0, 0, 2], n_left=[0, 0, 0, 0, 3, 0, 0], n_events=[0, 0, 0, 1, 0, 0, 0])
    with pytest.raises(ModelError, match="by day 8 more follow-ups have ended than begun"):
        mean_cumulative_function(moved, interval="poisson")
    with pytest.raises(ModelError, match=r"the events need the columns day, n; missing \['day'\]"):
        recurrent_counts(FOLLOW_UPS, EVENTS.drop(columns="day"))
    with pytest.raises(ModelError, match="1 spells end on or before their entry_days"):
        recurrent_counts(FOLLOW_UPS.assign(entry_days=[0, 6, 3]), EVENTS)
    with pytest.raises(ModelError, match="day 11 is outside the follow-up of 10 days"):
        mean_at(mean_cumulative_function(counts, interval="poisson"), 11)
