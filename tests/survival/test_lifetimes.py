"""Second lifetimes: who is in them, how long they are followed, and that they never join the first."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spell_oracle import ends_of, make_tables

from lcm_research.errors import ModelError
from lcm_research.survival.curves import kaplan_meier, survival_at
from lcm_research.survival.lifetimes import longest_second_horizon, second_lifetime_counts
from lcm_research.survival.risk_sets import one_lifetime
from lcm_research.survival.spells import spell_counts

SPELLS: dict[str, Any] = {
    "window_days": 30,
    "observation_start_day": 100,
    "as_of_day": 300,
    "history": "complete",
    "by": [],
}
CHOICES = SPELLS | {"horizon_days": 50}
# the cut is 270; followed for 50 days is who returned by 220


def counted(days: list[int], **changed: Any) -> list[tuple[int, int, bool]]:
    table = second_lifetime_counts.execute(make_tables({"a": days}), **(CHOICES | changed))
    return list(table[["spell_number", "duration_days", "event_observed"]].itertuples(index=False, name=None))


def test_the_second_spell_runs_from_the_return_to_the_next_lapse() -> None:
    # lapsed on 110, back on 150, active until 160: 11 days; a third spell is no matter
    assert counted([110, 150, 160, 250]) == [(2, 11, True)]
    assert counted([110]) == []


def test_what_comes_after_the_horizon_is_cut_off() -> None:
    # 150 to 199 is 50 days, 150 to 200 one more
    assert counted([110, 150, 175, 199]) == [(2, 50, True)]
    assert counted([110, 150, 175, 200]) == [(2, 50, False)]


def test_only_cohorts_of_return_that_are_followed_to_the_horizon_are_in() -> None:
    assert counted([110, 220]) == [(2, 1, True)]
    assert counted([110, 221]) == []
    assert counted([110, 221], horizon_days=49) == [(2, 1, True)]


def test_customers_who_are_not_incident_have_no_second_lifetime_here() -> None:
    assert counted([99, 150]) == []
    assert counted([60, 110, 150]) == []


def test_the_horizon_is_refused_where_nobody_could_be_followed_for_it() -> None:
    # first day 100, silent from then on, back on 131 at the earliest: 139 days before the cut
    assert longest_second_horizon(30, observation_start_day=100, as_of_day=300) == 139
    assert counted([100, 131], horizon_days=139) == [(2, 1, True)]
    with pytest.raises(ModelError, match="horizon_days=140 is outside 1 to 139"):
        counted([100, 131], horizon_days=140)
    with pytest.raises(ModelError, match="horizon_days=0 is outside 1 to 139"):
        counted([100, 131], horizon_days=0)
    own = {"shortest_days": 20, "longest_days": 60}
    assert longest_second_horizon(own, observation_start_day=100, as_of_day=300) == 119


def test_a_question_beyond_the_horizon_is_refused() -> None:
    tables = make_tables({f"c{i}": [110, 150, 175, 205] for i in range(30)})
    curve = kaplan_meier(second_lifetime_counts.execute(tables, **CHOICES), interval="log-log")
    assert survival_at(curve, 50).value == 1
    with pytest.raises(ModelError, match="outside the follow-up of 50 days"):
        survival_at(curve, 51)


def test_first_and_later_spells_are_refused_in_one_curve() -> None:
    tables = make_tables({"a": [110, 150], "b": [110, 160]})
    second = second_lifetime_counts.execute(tables, **CHOICES)
    first = spell_counts.execute(tables, **SPELLS, entry="incident")
    assert one_lifetime(second) is second
    assert one_lifetime(first) is first
    with pytest.raises(ModelError, match=r"came 2 of number 1, 2 of number 2; fit each number alone"):
        one_lifetime(pd.concat([first.assign(spell_number=1), second]))
    with pytest.raises(ModelError, match="2 of number 2, 2 of number <NA>"):
        one_lifetime(pd.concat([first, second]))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    days=st.lists(st.lists(st.integers(80, 330), max_size=9), min_size=1, max_size=10),
    window=st.integers(5, 40),
    horizon=st.integers(1, 60),
)
def test_counts_are_those_of_the_definition_written_out(days: list[list[int]], window: int, horizon: int) -> None:
    asked = CHOICES | {"window_days": window, "horizon_days": horizon}
    expected: Counter[tuple[object, ...]] = Counter()
    for place, own in enumerate(days):
        spells = ends_of(own, window, [], 300)
        if len(spells) < 2 or spells[0][0] < 100 or spells[1][0] + horizon > 300 - window:
            continue
        start, last, *_ = spells[1]
        event = last < 300 - window and last - start + 1 <= horizon
        expected[last - start + 1 if event else horizon, event, place % 100] += 1
    table = second_lifetime_counts.execute(make_tables({f"c{i}": own for i, own in enumerate(days)}), **asked)
    found: Counter[tuple[object, ...]] = Counter()
    for _, duration, event, group, n in table.itertuples(index=False, name=None):
        found[duration, event, group] += n
    assert found == expected
