"""Customers followed past their first event: both reductions by hand and against histories written out in days."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from spell_oracle import make_tables, spells_of

from lcm_research.errors import ModelError
from lcm_research.survival.recurrent import mean_cumulative_function, recurrent_counts
from lcm_research.survival.recurrent_spells import recurrent_event_counts, spell_history_counts

CHOICES: dict[str, Any] = {
    "window_days": 30,
    "observation_start_day": 100,
    "as_of_day": 300,
    "history": "complete",
    "by": [],
}
# the cut is 300 - 30 = 270
# a: spells 110 to 120 and 200 to 210, then silence; b: one spell from 150 on, open; c: known before; d: after the cut
LIVES = {"a": [110, 120, 200, 210], "b": [150, 170, 195, 220, 245, 268, 290], "c": [90, 110], "d": [275]}


def stretches(event: str, max_events: int = 10, lives: dict[str, list[int]] = LIVES) -> list[tuple[Any, ...]]:
    table = recurrent_event_counts.execute(make_tables(lives), event=event, max_events=max_events, **CHOICES)
    keys = ["event_number", "entry_days", "duration_days", "event_observed"]
    return sorted(table.groupby(keys)["n"].sum().reset_index().itertuples(index=False, name=None))


def test_lapses_put_a_customer_at_risk_within_spells_only_by_hand() -> None:
    assert stretches("lapse") == [
        (1, 0, 11, True, 1),  # a: 110 to 120 inclusive
        (1, 0, 120, False, 1),  # b: 150 to the cut
        (2, 90, 101, True, 1),  # a again: 200 is day 91 of a clock on which 110 is day 1
    ]


def test_activity_days_follow_each_other_until_as_of_by_hand() -> None:
    assert stretches("activity", max_events=3, lives={"a": LIVES["a"]}) == [
        (1, 0, 10, True, 1),
        (2, 10, 90, True, 1),
        (3, 90, 100, True, 1),
    ]
    assert stretches("activity", lives={"a": LIVES["a"]})[3] == (4, 100, 190, False, 1)
    # a purchase on the last day leaves no time at risk after it
    assert stretches("activity", lives={"a": [250, 300]}) == [(1, 0, 50, True, 1)]


def histories(breaks: list[int], lives: dict[str, list[int]] = LIVES) -> pd.DataFrame:
    return spell_history_counts.execute(make_tables(lives), breaks_days=breaks, **CHOICES)


def test_histories_add_up_a_customers_spells_by_hand() -> None:
    table = histories([0, 5, 15]).drop(columns="replicate").set_index("exposure_days_3").sort_index()
    # a: two spells of 11 days: 5 + 5 in days 1 to 5, 6 + 6 in days 6 to 15, both lapse there; b: 120 days, open
    assert table.loc[0].to_dict() == {
        "events_1": 0, "exposure_days_1": 10, "events_2": 2, "exposure_days_2": 12, "events_3": 0, "n": 1,
    }  # fmt: skip
    assert table.loc[105].to_dict() == {
        "events_1": 0, "exposure_days_1": 5, "events_2": 0, "exposure_days_2": 10, "events_3": 0, "n": 1,
    }  # fmt: skip


def test_who_is_never_at_risk_after_the_first_break_is_left_out() -> None:
    lives = {"a": [110], "b": [150, 160]}
    assert histories([0], lives)["n"].sum() == 2
    table = histories([1], lives)
    # b: 150 to 160 inclusive is 11 days, 10 of them after day 1
    assert table[["events_1", "exposure_days_1", "n"]].values.tolist() == [[1, 10, 1]]


def test_both_reductions_count_what_days_written_out_count() -> None:
    rng = np.random.default_rng(4)
    lives = {f"c{i}": sorted(set(rng.integers(100, 301, rng.integers(1, 9)).tolist())) for i in range(120)}
    expected: Counter[tuple[Any, ...]] = Counter()
    signatures: Counter[tuple[int, ...]] = Counter()
    for days in lives.values():
        origin, exposure, lapses = days[0], [0, 0], [0, 0]
        if origin >= 270:
            continue
        for number, (start, last) in enumerate(spells_of(days, 30), 1):
            if start >= 270:
                continue
            end = min(last + 1, 270) if last < 270 else 270
            expected[(number, start - origin, end - origin, last < 270)] += 1
            at_risk = range(1, end - start + 1)
            exposure[0] += sum(1 < day <= 20 for day in at_risk)
            exposure[1] += sum(day > 20 for day in at_risk)
            if last < 270 and end - start > 1:
                lapses[int(end - start > 20)] += 1
        if sum(exposure):
            signatures[(lapses[0], exposure[0], lapses[1], exposure[1])] += 1
    assert stretches("lapse", lives=lives) == sorted((*key, n) for key, n in expected.items())
    table = histories([1, 20], lives)
    found = table.groupby(["events_1", "exposure_days_1", "events_2", "exposure_days_2"])["n"].sum()
    assert dict(found) == dict(signatures)


def test_further_activity_days_give_the_mean_cumulative_function() -> None:
    rng = np.random.default_rng(5)
    lives = {f"c{i}": sorted(set(rng.integers(100, 301, rng.integers(1, 9)).tolist())) for i in range(60)}
    table = recurrent_event_counts.execute(make_tables(lives), event="activity", max_events=99, **CHOICES)
    events = table[table["event_observed"]].rename(columns={"duration_days": "day"})[["day", "n"]]
    used = [days for days in lives.values() if days[0] < 270]
    follow_ups = pd.DataFrame({"duration_days": [300 - days[0] for days in used], "n": 1})
    found = mean_cumulative_function(recurrent_counts(follow_ups, events), interval="poisson")
    assert found.n_events == sum(len(days) - 1 for days in used)
    at_risk = [
        int(table.loc[(table["entry_days"] < d) & (table["duration_days"] >= d), "n"].sum()) for d in (1, 25, 90)
    ]
    places = np.searchsorted(found.times, [1, 25, 90])
    assert at_risk == found.at_risk[places].tolist()


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ModelError, match="event must be 'activity' or 'lapse'; came 'visit'"):
        stretches("visit")
    with pytest.raises(ModelError, match="max_events must be at least 1; came 0"):
        stretches("lapse", 0)
    with pytest.raises(ModelError, match=r"rising whole numbers from 0 on; came \[5, 5\]"):
        histories([5, 5])
    with pytest.raises(ModelError, match=r"rising whole numbers from 0 on; came \[\]"):
        histories([])
    with pytest.raises(ModelError, match="9 classes of tenure, more than 8"):
        histories(list(range(9)))
