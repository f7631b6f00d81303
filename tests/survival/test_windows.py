"""Personal windows: the definition by hand, against an oracle, and what a window from the whole history would say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.backends.sql.compilers import pyspark
from spell_oracle import count_ends, make_tables

from lcm_research.errors import ModelError
from lcm_research.survival.curves import kaplan_meier, survival_at
from lcm_research.survival.spells import return_counts, spell_counts, spell_reconciliation
from lcm_research.survival.windows import gap_counts, usual_gap

OWN: dict[str, Any] = {
    "kappa": 3, "strength": 3, "usual_gap_days": 10, "shortest_days": 20, "longest_days": 60, "censored_by": "own",
}  # fmt: skip
CHOICES: dict[str, Any] = {
    "window_days": OWN,
    "observation_start_day": 100,
    "as_of_day": 300,
    "history": "complete",
    "entry": "incident",
    "by": [],
}


def counted(days: list[int], **changed: Any) -> list[tuple[int, bool]]:
    table = spell_counts.execute(make_tables({"a": days}), **(CHOICES | changed))
    return list(table[["duration_days", "event_observed"]].itertuples(index=False, name=None))


def test_a_personal_window_is_drawn_from_the_gaps_before_the_activity_day() -> None:
    # on the first day 3 * (3 * 10 + 0) / 3 = 30: a silence of 31 days is a lapse, one of 30 is none
    assert counted([110, 141]) == [(1, True)]
    # after a gap of 30: 3 * (30 + 30) / 4 = 45, so that 140 + 45 = 185 still belongs to the spell; then
    # 3 * (30 + 75) / 5 = 63, cut to 60: silence from 185 on is a lapse by 300, 185 - 110 + 1 = 76 days
    assert counted([110, 140, 185]) == [(76, True)]
    assert counted([110, 140, 186]) == [(31, True)]


def test_a_window_is_whole_days_and_stays_within_its_limits() -> None:
    # gaps of 1: on the third day 3 * (30 + 2) / 5 = 19.2, but never below 20
    assert counted([110, 111, 112, 132]) == [(23, True)]
    assert counted([110, 111, 112, 133]) == [(3, True)]
    # 3 * (30 + 7) / 4 = 27.75 is 27 days
    assert counted([110, 117, 144]) == [(35, True)]
    assert counted([110, 117, 145]) == [(8, True)]


def test_a_spell_is_censored_by_its_own_window() -> None:
    # 220, 250, 280: on 280 the window is 3 * (30 + 60) / 5 = 54; 280 is not before 300 - 54 = 246, the cut
    assert counted([220, 250, 280]) == [(26, False)]
    # in the sensitivity run the cut is 300 - 60 = 240
    assert counted([220, 250, 280], window_days=OWN | {"censored_by": "longest"}) == [(20, False)]


def test_spells_are_left_out_by_the_longest_window_whatever_their_own() -> None:
    # a spell that starts on 240 = 300 - 60 is too young, even one whose lapse can be seen by its own window
    assert counted([239, 240, 241]) == [(3, True)]
    assert counted([240, 241, 242]) == []


def test_a_return_is_counted_from_the_end_of_the_own_window() -> None:
    # the first day's window is 30: declared on 140, back on 150
    table = return_counts.execute(make_tables({"a": [110, 150]}), **{k: v for k, v in CHOICES.items() if k != "entry"})
    assert table[["duration_days", "event_observed"]].to_numpy().tolist() == [[10, True]]


def test_the_usual_gap_is_the_median_of_the_gaps_that_ended_in_the_warm_up() -> None:
    # gaps of a: 10, 30 (a second purchase on a day is no gap); of b: 20; b's 100 ends on 220, after the warm-up
    tables = make_tables({"a": [100, 110, 110, 140], "b": [100, 120, 220]})
    asked = {"observation_start_day": 100, "until_day": 160, "history": "complete", "activity": ["purchases"]}
    counts = gap_counts.execute(tables, **asked)
    assert counts.to_numpy().tolist() == [[10, 0, 1], [20, 1, 1], [30, 0, 1]]
    assert usual_gap(counts) == 20
    assert usual_gap(counts[counts["gap_days"] > 10]) == 20  # of two the shorter
    with pytest.raises(ModelError, match=r"active on two days in the warm-up.*choose churn\.window_days"):
        usual_gap(counts.iloc[:0])


PURCHASES = st.lists(st.lists(st.integers(60, 330), max_size=10), min_size=1, max_size=10)
SETTINGS = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(
    days=PURCHASES,
    kappa=st.integers(1, 4),
    strength=st.integers(1, 4),
    usual=st.integers(1, 30),
    censored_by=st.sampled_from(["own", "longest"]),
)
def test_counts_are_those_of_the_definition_written_out(
    days: list[list[int]], kappa: int, strength: int, usual: int, censored_by: str
) -> None:
    purchases = {f"c{i}": own for i, own in enumerate(days)}
    window = OWN | {"kappa": kappa, "strength": strength, "usual_gap_days": usual, "censored_by": censored_by}
    table = spell_counts.execute(make_tables(purchases), **(CHOICES | {"window_days": window}))
    found: Counter[tuple[object, ...]] = Counter()
    for _, duration, event, group, n in table.itertuples(index=False, name=None):
        found[duration, "lapsed" if event else "", group] += n
    assert found == count_ends(purchases, {}, window_days=window, observation_start_day=100, as_of_day=300)


@SETTINGS
@given(days=PURCHASES, wait=st.integers(1, 90))
def test_a_later_as_of_changes_no_spell_that_ended_before_the_cut(days: list[list[int]], wait: int) -> None:
    tables = make_tables({f"c{i}": own for i, own in enumerate(days)})
    earlier, later = (spell_counts.execute(tables, **(CHOICES | {"as_of_day": day})) for day in (300, 300 + wait))
    keys = ["duration_days", "event_observed", "replicate"]
    ended, still = (t[t["event_observed"]].set_index(keys)["n"] for t in (earlier, later))
    assert (still.reindex(ended.index, fill_value=0) >= ended).all()


def test_equal_limits_make_a_personal_window_a_fixed_one() -> None:
    rng = np.random.default_rng(5)
    tables = make_tables({f"c{i}": rng.integers(60, 330, 6).tolist() for i in range(60)})
    same = OWN | {"shortest_days": 40, "longest_days": 40}
    for reduction, dropped in ((spell_counts, ()), (spell_reconciliation, ("by",)), (return_counts, ("entry",))):
        asked = {k: v for k, v in CHOICES.items() if k not in dropped}
        personal, fixed = (reduction.execute(tables, **(asked | {"window_days": w})) for w in (same, 40))
        pd.testing.assert_frame_equal(personal, fixed)


def test_social_acts_are_activity_where_the_study_says_so() -> None:
    tables = make_tables({"a": [110, 141]})
    acts = make_tables({"a": [125]})["transactions"].select("customer_id", "day")
    tables = type(tables)({**tables.expressions, "engagements": acts})
    told = {}
    for activity in (["purchases"], ["purchases", "engagements"]):
        table = spell_counts.execute(tables, **(CHOICES | {"window_days": 30, "activity": activity}))
        told[len(activity)] = table["duration_days"].tolist()
    assert told == {1: [1], 2: [32]}  # 110 and silence; 110, 125, 141
    with pytest.raises(ModelError, match=r"no activity is named 'visits'.*engagements, purchases"):
        spell_counts(tables, **(CHOICES | {"activity": ["visits"]}))
    with pytest.raises(ModelError, match="at least one kind of activity"):
        spell_counts(tables, **(CHOICES | {"activity": []}))


def test_the_reductions_compile_for_spark() -> None:
    tables = make_tables({"a": [110]})
    warm_up = {"observation_start_day": 100, "until_day": 160, "history": "complete", "activity": ["purchases"]}
    for expression in (spell_counts(tables, **CHOICES), gap_counts(tables, **warm_up)):
        assert "GROUP BY" in pyspark.compiler.to_sqlglot(expression).sql("spark")


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({k: v for k, v in OWN.items() if k != "kappa"}, r"needs 'kappa' \(how many usual gaps make a lapse\); came"),
        (OWN | {"kapa": 3}, "a personal window has no 'kapa'; did you mean 'kappa'"),
        (OWN | {"kappa": 2.5}, "kappa of a personal window must be a whole number of at least 1; came 2.5"),
        (OWN | {"strength": 0}, "strength of a personal window must be a whole number of at least 1; came 0"),
        (OWN | {"shortest_days": 90}, "shortest_days=90 is above its longest_days=60"),
        (OWN | {"censored_by": "median"}, "must be 'own' or 'longest'; came 'median'"),
        (OWN | {"longest_days": 200}, "200 days after observation_start, not more than the churn window of 200"),
    ],
)
def test_windows_that_are_none_are_refused(window: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        spell_counts(make_tables({"a": [110]}), **(CHOICES | {"window_days": window}))


# Customers arrive over two years, buy once every 60 days on average until they die (a year on average); half of their
# gaps are at most 36 days. The truth is taken from the same process followed to its end.
AS_OF, HORIZON, NEVER = 730, 180, np.inf
BRAND = {"kappa": 3, "strength": 3, "usual_gap_days": 36, "shortest_days": 60, "longest_days": 365}


def histories(n: int, rng: np.random.Generator, arrival: np.ndarray) -> np.ndarray:
    """Distinct activity days of ``n`` customers, rising, padded with infinity."""
    death = arrival + rng.exponential(365, n)
    gaps = rng.exponential(60, (n, 100)).cumsum(axis=1)
    days = np.floor(arrival[:, None] + np.hstack([np.zeros((n, 1)), gaps]))
    days = np.where(days <= death[:, None], days, NEVER)
    again = np.hstack([np.zeros((n, 1), bool), days[:, 1:] == days[:, :-1]])
    return np.sort(np.where(again, NEVER, days), axis=1)


def windows(elapsed: np.ndarray, n_gaps: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        usual = np.floor(3 * (3 * 36 + elapsed) / (3 + n_gaps))
    return np.clip(usual, 60, 365)


def first_lapse(days: np.ndarray, window: np.ndarray) -> np.ndarray:
    """First activity day followed by more than its window of silence."""
    following = np.hstack([days[:, 1:], np.full((len(days), 1), NEVER)])
    with np.errstate(invalid="ignore"):
        silent = np.isfinite(days) & ~(following - days <= window)
    return days[np.arange(len(days)), silent.argmax(axis=1)]


def test_a_window_as_of_the_day_recovers_the_truth_and_one_from_the_whole_history_does_not() -> None:
    rng = np.random.default_rng(21)
    life = histories(60_000, rng, np.zeros(60_000))
    with np.errstate(invalid="ignore"):
        as_of_day = windows(life - life[:, :1], np.arange(life.shape[1])[None, :])
    truth = float((first_lapse(life, as_of_day) + 1 > HORIZON).mean())
    assert truth == pytest.approx(0.209, abs=0.006)

    rng = np.random.default_rng(20)
    arrival = rng.integers(0, AS_OF, 20_000).astype(float)
    days = histories(20_000, rng, arrival)
    days = np.sort(np.where(days <= AS_OF, days, NEVER), axis=1)
    tables = make_tables({str(i): own[np.isfinite(own)].astype(int).tolist() for i, own in enumerate(days)})
    asked = CHOICES | {"observation_start_day": 0, "as_of_day": AS_OF}
    for censored_by in ("own", "longest"):
        counts = spell_counts.execute(tables, **(asked | {"window_days": BRAND | {"censored_by": censored_by}}))
        found = survival_at(kaplan_meier(counts, interval="replicate"), HORIZON)
        assert found.lower < truth < found.upper
        assert found.upper - found.lower < 0.03

    n_gaps = np.isfinite(days).sum(axis=1) - 1
    whole = windows(np.where(np.isfinite(days), days, -1).max(axis=1) - arrival, n_gaps)
    a, cut = first_lapse(days, whole[:, None]), AS_OF - whole
    told = arrival < cut
    cells = {"duration_days": np.where(a < cut, a - arrival + 1, cut - arrival)[told].astype(int)}
    wrong = pd.DataFrame(cells | {"event_observed": (a < cut)[told], "n": 1})
    known_too_late = survival_at(kaplan_meier(wrong, interval="log-log"), HORIZON).value
    assert known_too_late == pytest.approx(0.354, abs=0.02)
