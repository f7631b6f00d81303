"""What ends a spell: silence, told or not, or something else first; by hand and against an oracle."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.backends.sql.compilers import pyspark
from spell_oracle import count_ends, make_tables, with_reasons

from lcm_research.errors import MissingTableError
from lcm_research.survival.competing import cumulative_incidence, cumulative_incidence_at
from lcm_research.survival.curves import kaplan_meier, survival_at
from lcm_research.survival.endings import spell_end_counts
from lcm_research.survival.spells import spell_counts

SPELLS: dict[str, Any] = {
    "window_days": 30,
    "observation_start_day": 100,
    "as_of_day": 300,
    "history": "complete",
    "entry": "incident",
    "by": [],
}
CHOICES = SPELLS | {"other_ends": ["closed", "death"], "with_reasons": False}
OWN: dict[str, Any] = {
    "kappa": 3, "strength": 3, "usual_gap_days": 10, "shortest_days": 20, "longest_days": 60, "censored_by": "own",
}  # fmt: skip


def counted(days: list[int], told: list[tuple[int, str]], **changed: Any) -> list[tuple[int, str]]:
    tables = with_reasons(make_tables({"a": days}), [("a", day, reason) for day, reason in told])
    table = spell_end_counts.execute(tables, **(CHOICES | changed))
    return list(table[["duration_days", "cause"]].itertuples(index=False, name=None))


def test_a_closing_within_the_silence_ends_the_spell_on_its_day() -> None:
    # last activity on 120, the silence is complete after 150
    assert counted([110, 120], []) == [(11, "lapsed")]
    assert counted([110, 120], [(130, "closed")]) == [(21, "closed")]
    assert counted([110, 120], [(150, "closed")]) == [(41, "closed")]
    assert counted([110, 120], [(120, "closed")]) == [(11, "closed")]


def test_a_closing_after_the_silence_was_complete_changes_nothing() -> None:
    assert counted([110, 120], [(151, "closed")]) == [(11, "lapsed")]
    assert counted([110, 120], [(105, "closed")]) == [(11, "lapsed")]  # nor does one before the first day


def test_activity_after_a_closing_opens_the_next_spell() -> None:
    assert counted([110, 120, 130], [(125, "closed")]) == [(16, "closed")]
    late = counted([110, 120, 160, 165], [(125, "closed")], entry="late")
    # the first spell was over by 130, when late entry opens; the next one runs from 160 to 165
    assert late == [(6, "lapsed")]


def test_the_first_closing_counts() -> None:
    assert counted([110], [(130, "death"), (120, "closed")]) == [(11, "closed")]
    assert counted([110], [(120, "death"), (120, "closed")]) == [(11, "closed")]  # of one day the first by name


def test_a_closing_at_or_after_the_cut_is_not_seen_yet() -> None:
    # the cut is 270: the spell goes on until then, whatever is recorded later
    assert counted([260], [(269, "closed")]) == [(10, "closed")]
    assert counted([260], [(270, "closed")]) == [(10, "")]
    assert counted([260, 280], [(281, "closed")]) == [(10, "")]


def test_a_lapse_is_told_by_the_last_reason_within_its_silence() -> None:
    asked: dict[str, Any] = {"with_reasons": True, "other_ends": []}
    assert counted([110, 120], [], **asked) == [(11, "lapsed: not told")]
    assert counted([110, 120], [(119, "price"), (151, "price")], **asked) == [(11, "lapsed: not told")]
    assert counted([110, 120], [(120, "price"), (150, "service")], **asked) == [(11, "lapsed: service")]
    assert counted([260, 280], [(285, "price")], **asked) == [(10, "")]


def test_the_tables_must_hold_reasons_where_they_are_asked_for() -> None:
    tables = make_tables({"a": [110]})
    assert spell_end_counts.execute(tables, **(CHOICES | {"other_ends": []}))["cause"].tolist() == ["lapsed"]
    for asked in (CHOICES, CHOICES | {"other_ends": [], "with_reasons": True}):
        with pytest.raises(MissingTableError, match="no table 'churn_reasons'"):
            spell_end_counts(tables, **asked)


HISTORIES = st.lists(st.lists(st.integers(60, 330), max_size=8), min_size=1, max_size=8)
TOLD = st.lists(st.tuples(st.integers(0, 7), st.integers(90, 330), st.sampled_from(["closed", "death"])), max_size=10)
SETTINGS = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def brand(days: list[list[int]], told: list[tuple[int, int, str]]) -> tuple[dict[str, list[int]], Any]:
    purchases = {f"c{i}": own for i, own in enumerate(days)}
    return purchases, with_reasons(make_tables(purchases), [(f"c{i}", day, reason) for i, day, reason in told])


@SETTINGS
@given(days=HISTORIES, told=TOLD)
@pytest.mark.parametrize("window", [30, OWN], ids=["fixed", "personal"])
def test_counts_are_those_of_the_definition_written_out(
    window: Any, days: list[list[int]], told: list[tuple[int, int, str]]
) -> None:
    purchases, tables = brand(days, told)
    closings: dict[str, list[tuple[int, str]]] = {}
    for place, day, reason in told:
        closings.setdefault(f"c{place}", []).append((day, reason))
    table = spell_end_counts.execute(tables, **(CHOICES | {"window_days": window}))
    found: Counter[tuple[object, ...]] = Counter()
    for _, duration, cause, group, n in table.itertuples(index=False, name=None):
        found[duration, cause, group] += n
    assert found == count_ends(purchases, closings, window_days=window, observation_start_day=100, as_of_day=300)


@SETTINGS
@given(days=HISTORIES, told=TOLD, wait=st.integers(1, 60))
def test_a_later_as_of_changes_no_end_before_the_cut(
    days: list[list[int]], told: list[tuple[int, int, str]], wait: int
) -> None:
    _, tables = brand(days, told)
    asked = CHOICES | {"other_ends": ["death"], "with_reasons": True}
    earlier, later = (spell_end_counts.execute(tables, **(asked | {"as_of_day": day})) for day in (300, 300 + wait))
    keys = ["duration_days", "cause", "replicate"]
    ended, still = (t[t["cause"] != ""].set_index(keys)["n"] for t in (earlier, later))
    assert (still.reindex(ended.index, fill_value=0) >= ended).all()


@SETTINGS
@given(days=HISTORIES, told=TOLD)
@pytest.mark.parametrize("entry", ["incident", "late"])
def test_without_other_ends_the_causes_add_up_to_the_spells(
    entry: str, days: list[list[int]], told: list[tuple[int, int, str]]
) -> None:
    _, tables = brand(days, told)
    asked = CHOICES | {"other_ends": [], "with_reasons": True, "entry": entry}
    ends = spell_end_counts.execute(tables, **asked)
    keys = ["entry_days", "duration_days", "event_observed", "replicate"]
    ends = ends.assign(event_observed=ends["cause"] != "").groupby(keys, as_index=False)["n"].sum()
    spells = spell_counts.execute(tables, **(SPELLS | {"entry": entry}))
    pd.testing.assert_frame_equal(ends, spells, check_dtype=False)


def test_survival_and_the_incidences_of_all_causes_add_up_to_one() -> None:
    purchases = {f"c{i}": [110, 112 + i % 40, 140 + i % 90] for i in range(200)}
    told = [(f"c{i}", 141 + i % 90, "closed") for i in range(0, 200, 3)]
    told += [(f"c{i}", 150 + i % 90, "price") for i in range(1, 200, 3)]
    asked = CHOICES | {"with_reasons": True, "other_ends": ["closed"]}
    ends = spell_end_counts.execute(with_reasons(make_tables(purchases), told), **asked)
    causes = sorted(set(ends["cause"]) - {""})
    assert causes == ["closed", "lapsed: not told", "lapsed: price"]
    shares = [
        cumulative_incidence_at(cumulative_incidence(ends, cause=cause, interval="log-log"), 50).value
        for cause in causes
    ]
    alive = survival_at(kaplan_meier(ends.assign(event_observed=ends["cause"] != ""), interval="log-log"), 50).value
    assert sum(shares) + alive == pytest.approx(1, abs=1e-12)


def test_the_reduction_compiles_for_spark() -> None:
    tables = with_reasons(make_tables({"a": [110]}), [("a", 120, "closed")])
    for window in (30, OWN):
        expression = spell_end_counts(tables, **(CHOICES | {"window_days": window, "with_reasons": True}))
        assert "GROUP BY" in pyspark.compiler.to_sqlglot(expression).sql("spark")
