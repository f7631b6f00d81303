"""Curves by hand, their laws, their intervals, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import survdiff

from lcm_research.errors import FewEventsWarning, ModelError, SparseCellWarning
from lcm_research.survival.comparison import compare_groups, log_rank
from lcm_research.survival.curves import (
    at_risk_at,
    at_risk_table,
    incidence_at,
    kaplan_meier,
    median,
    quantile,
    survival_at,
    truncate,
)
from lcm_research.survival.restricted import restricted_mean, restricted_mean_difference


def cells(*rows: tuple[int, bool, int], entry: list[int] | None = None) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["duration_days", "event_observed", "n"])
    return table if entry is None else table.assign(entry_days=entry)


# 10 spells: 2 lapse on day 5, 1 is censored there, 3 lapse on day 8, 4 are censored on day 10.
# S(5) = 8/10 = 0.8; at risk on day 8 are 7; S(8) = 0.8 * 4/7 = 16/35
TEN = cells((5, True, 2), (5, False, 1), (8, True, 3), (10, False, 4))


def rows_in_groups(n: int, seed: int, mean: float = 20.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    life, seen = np.ceil(rng.exponential(mean, n)), rng.integers(10, 60, n)
    table = pd.DataFrame({"duration_days": np.minimum(life, seen).astype(int), "event_observed": life <= seen})
    return table.assign(replicate=rng.integers(0, 100, n), n=1)


def test_survival_is_the_product_of_the_shares_that_go_on() -> None:
    curve = kaplan_meier(TEN, interval="log-log")
    assert curve.times.tolist() == [5, 8, 10]
    assert curve.at_risk.tolist() == [10, 7, 4]
    assert curve.survival == pytest.approx([0.8, 16 / 35, 16 / 35])
    # Greenwood: 2/(10*8) + 3/(7*4)
    assert curve.standard_error[1] == pytest.approx(16 / 35 * np.sqrt(2 / 80 + 3 / 28))
    assert (curve.n, curve.n_events, curve.follow_up_days) == (10, 5, 10)
    assert curve.table()["duration_days"].tolist() == [5, 8, 10]


def test_a_late_spell_is_at_risk_only_after_its_entry() -> None:
    # the spell that enters on day 5 is not at risk on day 5 (1 of 2 lapses), but on day 8 (1 of 2 lapses)
    curve = kaplan_meier(cells((5, True, 1), (8, True, 1), (9, False, 1), entry=[0, 0, 5]), interval="log-log")
    assert curve.at_risk.tolist() == [2, 2, 1]
    assert curve.survival.tolist() == [0.5, 0.25, 0.25]
    assert [at_risk_at(curve, day) for day in (0, 5, 5.5, 6, 8, 9, 10)] == [2, 2, 2, 2, 2, 1, 0]


def test_a_curve_that_empties_before_others_enter_stays_at_zero_and_says_so() -> None:
    with pytest.warns(SparseCellWarning, match="day 5 left while others enter later"):
        curve = kaplan_meier(cells((5, True, 1), (8, True, 1), (9, False, 1), entry=[0, 6, 6]), interval="log-log")
    assert curve.survival[-1] == 0


def test_at_risk_table_has_one_row_a_curve() -> None:
    curve = kaplan_meier(TEN, interval="log-log")
    table = at_risk_table({"all": curve, "again": curve}, [0, 5, 6, 10, 11])
    assert table.loc["all"].tolist() == [10, 10, 7, 4, 0]
    assert table.index.tolist() == ["all", "again"]


def test_survival_at_a_day_is_the_step_before_it() -> None:
    curve = kaplan_meier(TEN, interval="log-log")
    assert survival_at(curve, 4).value == 1
    assert survival_at(curve, 7).value == pytest.approx(0.8)
    gone = incidence_at(curve, 7)
    assert gone.value == pytest.approx(0.2)
    assert gone.lower == pytest.approx(1 - survival_at(curve, 7).upper)


def test_restricted_mean_is_the_area_under_the_steps() -> None:
    # 5 days at 1, 3 at 0.8, 2 at 16/35
    assert restricted_mean(kaplan_meier(TEN, interval="log-log"), horizon_days=10).value == pytest.approx(
        5 + 2.4 + 32 / 35
    )


def test_the_difference_of_a_curve_from_itself_is_zero() -> None:
    table = rows_in_groups(500, 1)
    curve = kaplan_meier(table, interval="replicate")
    same = restricted_mean_difference(curve, curve, horizon_days=20)
    assert (same.value, same.lower, same.upper, same.n) == (0, 0, 0, 1000)
    apart = [kaplan_meier(table[table["replicate"] % 2 == side], interval="log-log") for side in (0, 1)]
    half = [restricted_mean(each, horizon_days=20) for each in apart]
    difference = restricted_mean_difference(*apart, horizon_days=20)
    widths = [e.upper - e.lower for e in (*half, difference)]
    assert widths[2] == pytest.approx(np.hypot(*widths[:2]))


def test_the_median_is_the_first_day_with_half_gone() -> None:
    assert median(kaplan_meier(TEN, interval="log-log")).value == 8
    # level at exactly one half from day 3 to day 7
    assert median(kaplan_meier(cells((3, True, 2), (7, True, 2)), interval="log-log")).value == 5
    assert quantile(kaplan_meier(TEN, interval="log-log"), 0.2).value == 6.5


def test_a_median_that_was_not_reached_is_refused_with_the_lowest_survival() -> None:
    with pytest.raises(ModelError, match=r"50% .* day 10, where 80\.0% go on; ask for a share of at most 0\.200"):
        median(kaplan_meier(cells((5, True, 2), (10, False, 8)), interval="log-log"))


def test_truncation_keeps_days_with_enough_at_risk() -> None:
    short = truncate(kaplan_meier(TEN.assign(replicate=1), interval="replicate"), min_at_risk=7)
    assert short.times.tolist() == [5, 8]
    assert short.follow_up_days == 8
    assert short.without is not None
    assert short.without.shape == (100, 2)
    with pytest.raises(ModelError, match="at most 10 spells at risk, fewer than 11"):
        truncate(short, min_at_risk=11)


def test_the_replicate_interval_is_the_jackknife_of_refitted_curves() -> None:
    table = rows_in_groups(2000, 2)
    found = restricted_mean(kaplan_meier(table, interval="replicate"), horizon_days=25)
    refitted = [
        restricted_mean(kaplan_meier(table[table["replicate"] != g], interval="log-log"), horizon_days=25).value
        for g in range(100)
    ]
    assert found.leave_one_out == pytest.approx(np.array(refitted))
    # t(0.975, 99) = 1.9842
    spread = np.sqrt(99 / 100 * ((np.array(refitted) - found.value) ** 2).sum())
    assert found.upper - found.value == pytest.approx(1.9842 * spread, rel=1e-4)


def test_few_groups_with_an_event_get_greenwoods_interval() -> None:
    table = rows_in_groups(2000, 2)
    few = table.assign(event_observed=table["event_observed"] & (table["replicate"] < 19))
    curves = [kaplan_meier(few, interval=kind) for kind in ("replicate", "log-log")]
    assert curves[0].lower == pytest.approx(curves[1].lower)
    with pytest.warns(FewEventsWarning, match="by day 25 in 19 groups of customers, fewer than 20"):
        found = restricted_mean(curves[0], horizon_days=25)
    assert found.upper == restricted_mean(curves[1], horizon_days=25).upper


def test_intervals_by_group_cover_where_customers_have_two_like_spells() -> None:
    # every customer has two spells of the same length: Greenwood's interval is too short by a factor of 1.4
    truth = 1 - 1 / 21  # share that goes on each day
    expected = (1 - truth**20) / (1 - truth)  # the sum of S(t) for t = 0 .. 19
    covered = dict.fromkeys(("replicate", "log-log"), 0)
    rng = np.random.default_rng(5)
    for _ in range(400):
        life = rng.geometric(1 / 21, 300)
        both = np.repeat(life, 2)
        table = pd.DataFrame({"duration_days": np.minimum(both, 40), "event_observed": both <= 40, "n": 1})
        table["replicate"] = np.repeat(rng.integers(0, 100, 300), 2)
        for kind in covered:
            found = restricted_mean(kaplan_meier(table, interval=kind), horizon_days=20)
            covered[kind] += found.lower < expected < found.upper
    assert 0.92 <= covered["replicate"] / 400 <= 0.975
    assert covered["log-log"] / 400 < 0.90


SPELLS = st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.integers(1, 4)), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(spells=SPELLS, order=st.randoms())
def test_counts_are_rows_and_their_order_does_not_matter(spells: list[tuple[int, bool, int]], order: object) -> None:
    table = cells(*spells)
    shuffled = table.sample(frac=1, random_state=np.random.RandomState(order.randint(0, 99)))  # type: ignore[attr-defined]
    rows = shuffled.loc[shuffled.index.repeat(shuffled["n"])].assign(n=1)
    ours, exploded = (kaplan_meier(each, interval="log-log") for each in (table, rows))
    assert ours.survival == pytest.approx(exploded.survival)
    assert (np.diff(ours.survival) <= 1e-12).all()
    assert (ours.lower <= ours.survival + 1e-12).all()
    assert (ours.upper >= ours.survival - 1e-12).all()


@settings(max_examples=60, deadline=None)
@given(lives=st.lists(st.integers(1, 30), min_size=1, max_size=25), horizon=st.integers(1, 30))
def test_without_censoring_the_restricted_mean_is_a_plain_mean(lives: list[int], horizon: int) -> None:
    curve = kaplan_meier(cells(*((life, True, 1) for life in lives)), interval="log-log")
    horizon = min(horizon, max(lives))
    assert restricted_mean(curve, horizon_days=horizon).value == pytest.approx(np.minimum(lives, horizon).mean())


@pytest.mark.parametrize("entry", [False, True])
def test_log_rank_of_three_groups_agrees_with_statsmodels(entry: bool) -> None:
    table = rows_in_groups(300, 7)
    table["region"] = np.array(["a", "b", "c"])[table["replicate"] % 3]
    if entry:
        table["entry_days"] = np.minimum(table["duration_days"] - 1, table["replicate"] % 5)
    for rho, weight in ((0, {}), (1, {"weight_type": "fh", "fh_p": 1})):
        found = log_rank(table, by="region", rho=rho)
        late = {"entry": table["entry_days"].to_numpy()} if entry else {}
        if entry and rho:
            continue  # statsmodels takes the weight from a curve without late entry
        theirs = survdiff(table["duration_days"], table["event_observed"], table["region"], **weight, **late)
        assert (found.chi_square, found.p_value) == pytest.approx(theirs)
        assert found.degrees_of_freedom == 2
        assert found.observed.sum() == pytest.approx(found.expected.sum())
    assert found.table()["group"].tolist() == ["a", "b", "c"]


def test_log_rank_by_hand() -> None:
    # day 1: a lapses, 1 of (2 a, 2 b): expected in a 1/2, variance 1/4; day 2: b lapses, 1 of (1 a, 2 b):
    # expected 1/3, variance 2/9; chi2 = (1 - 5/6)^2 / (17/36) = 1/17
    table = cells((1, True, 1), (3, False, 1), (2, True, 1), (3, False, 1)).assign(group=["a", "a", "b", "b"])
    assert log_rank(table, by="group", rho=0).chi_square == pytest.approx(1 / 17)
    with pytest.raises(ModelError, match=r"at least two groups of 'group'; came 1: \['a'\]"):
        log_rank(table[:2], by="group", rho=0)


def test_questions_beyond_the_follow_up_are_refused() -> None:
    curve = kaplan_meier(TEN, interval="log-log")
    with pytest.raises(ModelError, match=r"horizon_days=11 is outside the follow-up of 10 days; .* \(0, 10\]"):
        restricted_mean(curve, horizon_days=11)
    with pytest.raises(ModelError, match=r"day 11 is outside the follow-up of 10 days"):
        survival_at(curve, 11)


def test_counts_that_are_none_are_refused() -> None:
    with pytest.raises(ModelError, match=r"missing \['n'\]"):
        kaplan_meier(TEN.drop(columns="n"), interval="log-log")
    with pytest.raises(ModelError, match="at least one spell; came none"):
        kaplan_meier(TEN.iloc[:0], interval="log-log")
    with pytest.raises(ModelError, match="3 spells end on or before their entry"):
        kaplan_meier(cells((5, True, 3), (6, True, 1), entry=[5, 5]), interval="log-log")
    with pytest.raises(ModelError, match="needs the column 'replicate'"):
        kaplan_meier(TEN, interval="replicate")


def test_groups_are_compared_with_the_largest_and_short_follow_up_is_left_open() -> None:
    table = rows_in_groups(900, 11)
    table["region"] = np.array(["big", "big", "mid"])[table["replicate"] % 3]
    short = rows_in_groups(100, 12).query("duration_days <= 8").assign(region="short")
    found = compare_groups(pd.concat([table, short]), by="region", horizon_days=20, interval="replicate")
    assert list(found.curves) == ["big", "mid", "short"]
    assert (found.reference, found.largest_contrast()) == ("big", "mid")
    assert found.differences["mid"].value == pytest.approx(found.means["mid"].value - found.means["big"].value)
    rows = found.table().set_index("group")
    assert rows.loc["short", "restricted_mean"] is None
    assert rows.loc["big", "n"] == found.curves["big"].n
    with pytest.raises(ModelError, match="at least two groups of 'region'; came 1"):
        compare_groups(short, by="region", horizon_days=5, interval="log-log")
