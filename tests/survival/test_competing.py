"""Competing causes, the cumulative hazard and Gray's test: by hand, against R, by law, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import NelsonAalenFitter

from lcm_research.errors import FewEventsWarning, ModelError, SparseCellWarning
from lcm_research.survival.comparison import log_rank
from lcm_research.survival.competing import cumulative_incidence, cumulative_incidence_at, days_lost
from lcm_research.survival.cumulative_hazard import nelson_aalen
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.gray import gray_test
from lcm_research.survival.restricted import restricted_mean


def cells(*rows: tuple[int, str, int], entry: list[int] | None = None) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["duration_days", "cause", "n"])
    return table if entry is None else table.assign(entry_days=entry)


# 10 spells: day 5: 2 by price, 1 by moving, 1 censored; day 8: 1 by price, 2 by moving; 3 are censored on day 10.
# S(5) = 7/10; price(5) = 2/10; at risk on day 8 are 6; S(8) = 7/10 * 3/6 = 7/20; price(8) = 2/10 + 7/10 * 1/6 = 19/60
TEN = cells((5, "price", 2), (5, "moved", 1), (5, "", 1), (8, "price", 1), (8, "moved", 2), (10, "censored", 3))


def rows_in_groups(n: int, seed: int, late: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    life, seen = rng.geometric(1 / 20, n), rng.integers(10, 60, n)
    why = np.where(life <= seen, rng.choice(["price", "moved"], n, p=[0.6, 0.4]), "")
    table = pd.DataFrame({"duration_days": np.minimum(life, seen), "cause": why, "n": 1})
    table["entry_days"] = np.minimum(rng.integers(0, 8, n), table["duration_days"] - 1) * late
    return table.assign(replicate=rng.integers(0, 100, n))


def by_moving_weights(table: pd.DataFrame, cause: str) -> tuple[np.ndarray, np.ndarray]:
    """Incidence and its standard error with real weights on rows, one row's weight moved a little at a time."""
    ended, entered = table["duration_days"].to_numpy(), table["entry_days"].to_numpy()
    times = np.unique(np.concatenate([ended, entered[entered > 0]]))

    def incidence(weight: np.ndarray) -> np.ndarray:
        survival, share, found = 1.0, 0.0, []
        for day in times:
            at_risk = weight[(entered < day) & (ended >= day)].sum()
            off = ended == day
            if at_risk > 0:
                share += survival * weight[off & (table["cause"] == cause)].sum() / at_risk
                survival *= 1 - weight[off & (table["cause"] != "")].sum() / at_risk
            found.append(share)
        return np.array(found)

    step, one = 1e-5, np.ones(len(table))
    each = np.eye(len(table)) * step
    slopes = np.array([(incidence(one + row) - incidence(one - row)) / (2 * step) for row in each])
    return incidence(one), np.sqrt((slopes**2).sum(axis=0))


def test_incidence_is_the_sum_of_survival_before_times_the_share_that_ends() -> None:
    price = cumulative_incidence(TEN, cause="price", interval="log-log")
    assert price.times.tolist() == [5, 8, 10]
    assert price.at_risk.tolist() == [10, 6, 3]
    assert price.incidence == pytest.approx([1 / 5, 19 / 60, 19 / 60])
    assert price.survival == pytest.approx([7 / 10, 7 / 20, 7 / 20])
    assert (price.n, price.n_events, price.causes) == (10, 3, ("moved", "price"))
    assert price.table()["other_events"].tolist() == [1, 2, 0]
    # on the first day it is a proportion: 0.2 * 0.8 / 10
    assert price.standard_error[0] == pytest.approx(np.sqrt(0.016))
    # x ** exp(+- 1.96 se / (x log x))
    assert price.upper[0] == pytest.approx(0.2 ** np.exp(1.959964 * np.sqrt(0.016) / (0.2 * np.log(0.2))))
    assert cumulative_incidence_at(price, 4).value == 0
    found = cumulative_incidence_at(price, 9)
    assert (found.value, found.lower, found.unit) == (price.incidence[1], price.lower[1], "share")


def test_a_single_cause_is_one_minus_kaplan_meier_with_greenwoods_error(reference: Path) -> None:
    table = pd.read_csv(reference / "survival" / "lifelines_rossi.csv").assign(n=1)
    table = table.rename(columns={"week": "duration_days"}).assign(cause=np.where(table["arrest"] == 1, "arrest", ""))
    ours = cumulative_incidence(table, cause="arrest", interval="log-log")
    curve = kaplan_meier(table.assign(event_observed=table["arrest"] == 1), interval="log-log")
    assert ours.incidence == pytest.approx(1 - curve.survival, abs=1e-12)
    assert ours.standard_error == pytest.approx(curve.standard_error, abs=1e-12)


def test_the_number_is_the_one_computed_elsewhere(reference: Path, record_property: Any) -> None:
    data = pd.read_csv(reference / "survival" / "r_mgus2_cr.csv").rename(columns={"etime": "duration_days"})
    data = data.assign(n=1, cause=data["ev"].replace("censor", "censored"))
    numbers = pd.read_csv(reference / "survival" / "numbers.csv")
    numbers = numbers[numbers["case"] == "aj_mgus2"]
    told = []
    for row in numbers.itertuples():
        sex, state = re.search(r"sex=(.), ?(.+)\]", str(row.quantity)).groups()  # type: ignore[union-attr]
        own = data[data["sex"] == sex]
        horizon = int(re.search(r"\d+", str(row.quantity)).group())  # type: ignore[union-attr]
        if state == "(s0)":
            either = own.assign(event_observed=own["cause"] != "censored")
            found = restricted_mean(kaplan_meier(either, interval="log-log"), horizon_days=horizon).value
        else:
            curve = cumulative_incidence(own, cause=state, interval="log-log")
            place = int(np.searchsorted(curve.times, horizon, side="right")) - 1
            if str(row.quantity).startswith("restricted"):
                found = days_lost(curve, horizon_days=horizon).value
            else:
                found = (curve.standard_error if str(row.quantity).startswith("se") else curve.incidence)[place]
        told.append(abs(found / float(str(row.expected)) - 1))
        assert told[-1] < 1e-8, f"{row.quantity}: expected {row.expected}, found {found}"
    assert len(told) == 38
    record_property("deviation", f"aj_mgus2: {len(told)} numbers, {max(told):.1e}")


@pytest.mark.parametrize("late", [False, True])
def test_the_standard_error_is_the_infinitesimal_jackknife(late: bool) -> None:
    table = rows_in_groups(40, 3, late)
    share, error = by_moving_weights(table, "price")
    ours = cumulative_incidence(table, cause="price", interval="log-log")
    assert ours.incidence == pytest.approx(share)
    assert ours.standard_error == pytest.approx(error, rel=1e-6)


SPELLS = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["a", "b", "c", "", "censored"]), st.integers(1, 4)),
    min_size=1,
    max_size=25,
).map(lambda rows: [(3, "a", 1), *rows])


@settings(max_examples=30, deadline=None)
@given(spells=SPELLS, seed=st.integers(0, 99))
@pytest.mark.filterwarnings("ignore::lcm_research.errors.SparseCellWarning")
def test_survival_and_all_incidences_add_up_to_one(spells: list[tuple[int, str, int]], seed: int) -> None:
    table = cells(*spells)
    table["entry_days"] = np.random.default_rng(seed).integers(0, table["duration_days"])
    first = cumulative_incidence(table, cause="a", interval="log-log")
    curves = [cumulative_incidence(table, cause=cause, interval="log-log") for cause in first.causes]
    assert first.survival + sum(each.incidence for each in curves) == pytest.approx(np.ones(len(first.times)))
    either = kaplan_meier(table.assign(event_observed=~table["cause"].isin(["", "censored"])), interval="log-log")
    assert first.survival == pytest.approx(either.survival)
    for each in curves:
        assert (each.lower <= each.incidence + 1e-12).all()
        assert (each.upper >= each.incidence - 1e-12).all()


@settings(max_examples=20, deadline=None)
@given(spells=SPELLS, order=st.integers(0, 99))
def test_splitting_and_shuffling_the_rows_changes_nothing(spells: list[tuple[int, str, int]], order: int) -> None:
    table = cells(*spells)
    rows = table.loc[table.index.repeat(table["n"])].assign(n=1).sample(frac=1, random_state=order)
    ours, split = (cumulative_incidence(each, cause="a", interval="log-log") for each in (table, rows))
    for name in ("times", "incidence", "standard_error", "lower", "upper", "survival"):
        assert getattr(ours, name) == pytest.approx(getattr(split, name), abs=1e-7)  # roots of rounding
    hazards = [nelson_aalen(each.assign(event_observed=each["cause"] == "a"), interval="log") for each in (table, rows)]
    assert hazards[0].upper == pytest.approx(hazards[1].upper)


def test_days_lost_and_the_restricted_mean_add_up_to_the_horizon() -> None:
    curves = {cause: cumulative_incidence(TEN, cause=cause, interval="log-log") for cause in ("price", "moved")}
    lost = {cause: days_lost(curve, horizon_days=10) for cause, curve in curves.items()}
    assert lost["price"].value == pytest.approx(3 * 0.2 + 2 * 19 / 60)
    stays = restricted_mean(
        kaplan_meier(TEN.assign(event_observed=~TEN["cause"].isin(["", "censored"])), interval="log"), horizon_days=10
    )
    assert lost["price"].value + lost["moved"].value + stays.value == pytest.approx(10)
    # with one cause the area below and the area above the curve have one standard error
    one = cells((5, "price", 3), (5, "", 1), (8, "price", 2), (10, "", 3))
    below = days_lost(cumulative_incidence(one, cause="price", interval="log-log"), horizon_days=9)
    above = restricted_mean(kaplan_meier(one.assign(event_observed=one["cause"] != ""), interval="log"), horizon_days=9)
    assert below.upper - below.lower == pytest.approx(above.upper - above.lower)


def test_the_replicate_interval_is_the_jackknife_of_refitted_curves() -> None:
    table = rows_in_groups(2000, 2)
    curve = cumulative_incidence(table, cause="price", interval="replicate")
    found = cumulative_incidence_at(curve, 25)
    refitted = np.array(
        [
            cumulative_incidence_at(
                cumulative_incidence(table[table["replicate"] != g], cause="price", interval="log-log"), 25
            ).value
            for g in range(100)
        ]
    )
    assert found.leave_one_out == pytest.approx(refitted)
    scale = [np.log(-np.log(x)) for x in (refitted, found.value, found.lower)]
    # t(0.975, 99) = 1.9842
    assert scale[2] - scale[1] == pytest.approx(1.9842 * np.sqrt(0.99 * ((scale[0] - scale[1]) ** 2).sum()), rel=1e-4)
    assert days_lost(curve, horizon_days=25).leave_one_out is not None


def test_few_groups_with_the_cause_get_the_analytic_interval() -> None:
    table = rows_in_groups(2000, 2)
    few = table[(table["cause"] != "price") | (table["replicate"] < 19)]
    ours, analytic = (cumulative_incidence(few, cause="price", interval=kind) for kind in ("replicate", "log-log"))
    assert ours.upper == pytest.approx(analytic.upper)
    with pytest.warns(FewEventsWarning, match="by 'price' by day 25 in 19 groups of customers, fewer than 20"):
        found = days_lost(ours, horizon_days=25)
    assert found == days_lost(analytic, horizon_days=25)


def test_intervals_by_group_cover_where_customers_have_two_like_spells() -> None:
    truth = 0.6 * (1 - (19 / 20) ** 20)
    covered = dict.fromkeys(("replicate", "log-log"), 0)
    for seed in range(150):
        table = rows_in_groups(300, seed)
        table = pd.concat([table, table])
        for kind in covered:
            found = cumulative_incidence_at(cumulative_incidence(table, cause="price", interval=kind), 20)  # type: ignore[arg-type]
            covered[kind] += found.lower < truth < found.upper
    assert 0.90 <= covered["replicate"] / 150 <= 0.98
    assert covered["log-log"] / 150 < 0.90


def test_the_cumulative_hazard_is_the_sum_of_shares_at_risk() -> None:
    table = TEN.assign(event_observed=TEN["cause"] == "price")
    hazard = nelson_aalen(table, interval="log")
    assert hazard.cumulative_hazard == pytest.approx([2 / 10, 2 / 10 + 1 / 6, 2 / 10 + 1 / 6])
    # Aalen: 2/100 + 1/36
    assert hazard.standard_error[1] == pytest.approx(np.sqrt(2 / 100 + 1 / 36))
    assert hazard.upper[0] == pytest.approx(0.2 * np.exp(1.959964 * np.sqrt(0.02) / 0.2))
    assert hazard.table()["duration_days"].tolist() == [5, 8, 10]
    assert (hazard.n, hazard.n_events) == (10, 3)


def test_the_cumulative_hazard_with_late_entry_agrees_with_lifelines() -> None:
    table = rows_in_groups(400, 8, late=True)
    # no two events on one day, where lifelines would break ties in its own way
    table = table.drop_duplicates("duration_days")
    ours = nelson_aalen(table.assign(event_observed=table["cause"] != ""), interval="log")
    theirs = NelsonAalenFitter().fit(table["duration_days"], table["cause"] != "", entry=table["entry_days"])
    expected = theirs.cumulative_hazard_.iloc[:, 0].loc[ours.times].to_numpy()
    assert ours.cumulative_hazard == pytest.approx(expected)


def test_the_replicate_interval_of_the_cumulative_hazard_is_a_jackknife_of_logs() -> None:
    table = rows_in_groups(2000, 4).assign(event_observed=lambda t: t["cause"] != "")
    hazard = nelson_aalen(table, interval="replicate")
    refitted = [nelson_aalen(table[table["replicate"] != g], interval="log").cumulative_hazard[19] for g in range(100)]
    assert hazard.without is not None
    assert hazard.without[:, 19] == pytest.approx(np.array(refitted))
    spread = np.sqrt(0.99 * ((np.log(refitted) - np.log(hazard.cumulative_hazard[19])) ** 2).sum())
    assert np.log(hazard.upper[19] / hazard.cumulative_hazard[19]) == pytest.approx(1.9842 * spread, rel=1e-4)


def grouped(*rows: tuple[str, int, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["group", "duration_days", "cause"]).assign(n=1)


def test_grays_test_by_hand() -> None:
    # day 1, a by x: h = 2, 2; expected in a 1/2; dF = 1/4; c = 1/4
    # day 2, b by y: S_b = 1/2
    # day 3, a by x: h = 1/(1/2), 1/(1/2); at risk with those that left: 2 (1 - 1/2) = 1 and 2; expected 1/3; dF = 1/4;
    #   c = (1/4) / (3/4) = 1/3 more
    # observed less expected: 2 - 5/6 = 7/6
    # day 1: variance 1/8 each; u_a = 1 - (3/4)/(1/2) = -1/2, u_b = 1 - 3/4 = 1/4; 1 - 1/6 = 5/6 and -1 - 1/12 = -13/12
    # day 2: variance 1/4; w_b = (3/4)/(1/2); -3/2 * 1/3 = -1/2
    # day 3: variance 1/8 each, 1 and -1
    # 1/8 (25/36 + 169/144 + 2) + 1/16 = 629/1152
    found = gray_test(grouped(("a", 1, "x"), ("a", 3, "x"), ("b", 2, "y"), ("b", 4, "")), by="group", cause="x")
    assert found.observed.tolist() == [2, 0]
    assert found.expected == pytest.approx([5 / 6, 7 / 6])
    assert found.chi_square == pytest.approx((7 / 6) ** 2 / (629 / 1152))
    assert (found.degrees_of_freedom, found.cause, found.n.tolist()) == (1, "x", [2, 2])
    assert found.table()["group"].tolist() == ["a", "b"]


def test_ties_vary_as_draws_without_replacement() -> None:
    # day 1: both of a by x, none of 2 b: expected 1; variance 2 * 1/2 * 1/2 * (4 - 2)/(4 - 1) = 1/3
    found = gray_test(grouped(("a", 1, "x"), ("a", 1, "x"), ("b", 2, ""), ("b", 2, "")), by="group", cause="x")
    assert found.chi_square == pytest.approx(3)
    # day 1: 2 of 3 b by y: S_b = 1/3, w_b = 3, variance 2/9 * (1 - 1/2) = 1/9
    # day 2: a by x: h = 2, 3; expected 2/5; dF = 1/5; a_aa = 2 (1 - 2/5) = 6/5; c = 6/25; variances 1/10 and 1/15
    # (3 * 6/25)^2 / 9 + (6/5)^2 (1/10 + 1/15) = 186/625
    rows = (("b", 1, "y"), ("b", 1, "y"), ("b", 3, ""), ("a", 2, "x"), ("a", 3, ""))
    assert gray_test(grouped(*rows), by="group", cause="x").chi_square == pytest.approx((3 / 5) ** 2 / (186 / 625))


def test_grays_test_of_identical_groups_is_zero() -> None:
    table = rows_in_groups(200, 5, late=True)
    both = pd.concat([table.assign(group=name) for name in ("a", "b", "c")])
    found = gray_test(both, by="group", cause="price")
    assert found.chi_square == pytest.approx(0, abs=1e-12)
    assert found.p_value == pytest.approx(1)
    assert found.observed == pytest.approx(found.expected)


def test_with_one_cause_gray_expects_what_the_log_rank_test_expects() -> None:
    table = rows_in_groups(300, 6, late=True).assign(group=lambda t: np.array(["a", "b", "c"])[t["replicate"] % 3])
    table["cause"] = table["cause"].replace("moved", "price")
    ours = gray_test(table, by="group", cause="price")
    theirs = log_rank(table.assign(event_observed=table["cause"] != ""), by="group", rho=0)
    assert ours.expected == pytest.approx(theirs.expected)
    assert ours.chi_square == pytest.approx(theirs.chi_square, rel=0.15)  # another estimate of the same variance


def test_without_censoring_those_that_left_otherwise_stay_at_risk() -> None:
    # then Gray's test is about the log-rank test that keeps them until the end, with a variance of its own
    # as long as both groups have spells left: here the last of each ends on day 100
    last = pd.DataFrame({"duration_days": 100, "cause": "moved", "n": 1, "replicate": [0, 1]})
    table = pd.concat([rows_in_groups(600, 7).query("cause != ''"), last]).fillna({"entry_days": 0})
    table["group"] = np.array(["a", "b"])[table["replicate"] % 2]
    ours = gray_test(table, by="group", cause="price")
    kept = table.assign(event_observed=table["cause"] == "price")
    kept["duration_days"] = kept["duration_days"].where(kept["event_observed"], 1000)
    theirs = log_rank(kept, by="group", rho=0)
    assert ours.expected == pytest.approx(theirs.expected)
    assert ours.chi_square == pytest.approx(theirs.chi_square, rel=0.05)


def test_grays_test_does_not_depend_on_names_rows_or_ties_of_rows() -> None:
    table = rows_in_groups(300, 9).assign(group=lambda t: np.array(["a", "b", "c"])[t["replicate"] % 3])
    counted = table.groupby(["group", "duration_days", "cause"], as_index=False)["n"].sum()
    renamed = table.assign(group=table["group"].replace({"a": "z", "c": "y"}))
    tables: list[pd.DataFrame] = [table, counted, renamed]  # type: ignore[list-item]
    found = [gray_test(each, by="group", cause="moved").chi_square for each in tables]
    assert found == pytest.approx([found[0]] * 3)


@pytest.mark.parametrize("late", [False, True])
def test_grays_test_keeps_its_size_and_the_log_rank_test_does_not(late: bool) -> None:
    # 40% end by x in both groups, at the same days; the others end by y, four times as fast in b; b is seen for longer
    rng, n, repeats, rejected = np.random.default_rng(1), 300, 150, np.zeros(2)
    group = np.repeat(["a", "b"], n // 2)
    for _ in range(repeats):
        by_x = rng.random(n) < 0.4
        life = np.where(by_x, rng.geometric(0.1, n), rng.geometric(np.where(group == "a", 0.05, 0.2), n))
        seen = rng.integers(5, np.where(group == "a", 25, 50))
        table = pd.DataFrame({"duration_days": np.minimum(life, seen), "n": 1, "group": group})
        table["cause"] = np.where(life <= seen, np.where(by_x, "x", "y"), "")
        table["entry_days"] = rng.integers(0, 5, n) * late
        table = table[table["duration_days"] > table["entry_days"]]
        other = log_rank(table.assign(event_observed=table["cause"] == "x"), by="group", rho=0)
        rejected += gray_test(table, by="group", cause="x").p_value < 0.05, other.p_value < 0.05
    assert 0.01 <= rejected[0] / repeats <= 0.10
    assert rejected[1] / repeats > 0.3


def test_what_cannot_be_answered_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no spell of 10 ended by 'prices'; did you mean 'price'\?"):
        cumulative_incidence(TEN, cause="prices", interval="log-log")
    with pytest.raises(ModelError, match="cause='censored' stands for spells that are still open"):
        cumulative_incidence(TEN, cause="censored", interval="log-log")
    with pytest.raises(ModelError, match=r"needs the columns duration_days, cause, n; missing \['cause'\]"):
        cumulative_incidence(TEN.drop(columns="cause"), cause="price", interval="log-log")
    with pytest.raises(ModelError, match="2 spells have no value in 'cause'"):
        cumulative_incidence(TEN.assign(cause=TEN["cause"].where(TEN.index > 0)), cause="price", interval="log-log")
    with pytest.raises(ModelError, match="disagree for 4 spells"):
        cumulative_incidence(TEN.assign(event_observed=True), cause="price", interval="log-log")
    with pytest.raises(ModelError, match="1 of 6 rows have no value in 'entry_days'"):
        cumulative_incidence(TEN.assign(entry_days=[np.nan, 0, 0, 0, 0, 0]), cause="price", interval="log-log")
    with pytest.raises(ModelError, match="2 spells have duration_days below 1"):
        cumulative_incidence(cells((0, "price", 2), (3, "price", 1)), cause="price", interval="log-log")
    with pytest.raises(ModelError, match="1 spells end on or before their entry_days"):
        cumulative_incidence(cells((3, "price", 1), (5, "", 1), entry=[3, 0]), cause="price", interval="log-log")
    with pytest.raises(ModelError, match="at least one spell; came none"):
        cumulative_incidence(TEN.iloc[:0], cause="price", interval="log-log")
    with pytest.raises(ModelError, match="needs the column 'replicate' in the counts; choose 'log-log' without it"):
        cumulative_incidence(TEN, cause="price", interval="replicate")
    with pytest.raises(ModelError, match="interval must be 'replicate' or 'log-log'; came 'plain'"):
        cumulative_incidence(TEN, cause="price", interval="plain")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="interval must be 'replicate' or 'log'; came 'plain'"):
        nelson_aalen(TEN.assign(event_observed=True), interval="plain")  # type: ignore[arg-type]


def test_questions_beyond_the_follow_up_are_refused() -> None:
    curve = cumulative_incidence(TEN, cause="price", interval="log-log")
    with pytest.raises(ModelError, match="day 11 is outside the follow-up of 10 days"):
        cumulative_incidence_at(curve, 11)
    with pytest.raises(ModelError, match=r"horizon_days=11 is outside the follow-up of 10 days; .* \(0, 10\]"):
        days_lost(curve, horizon_days=11)


def test_groups_that_cannot_be_compared_are_refused() -> None:
    table = grouped(("a", 1, "x"), ("a", 3, "y"), ("b", 2, "x"), ("b", 4, "")).assign(entry_days=[0, 2, 0, 0])
    with pytest.raises(
        ModelError, match="all spells of 'group' = a at risk had ended before day 3, where others enter"
    ):
        gray_test(table, by="group", cause="x")
    with pytest.raises(ModelError, match=r"at least two groups of 'group'; came 1: \['a'\]"):
        gray_test(table[:2], by="group", cause="x")
    with pytest.raises(ModelError, match="no spell of 4 ended by 'z'; known names are x, y"):
        gray_test(table, by="group", cause="z")
    with pytest.raises(ModelError, match=r"missing \['region'\]"):
        gray_test(table, by="region", cause="x")


def test_a_curve_that_ends_before_others_enter_says_so() -> None:
    with pytest.warns(SparseCellWarning, match="everyone at risk on day 2 left while others enter later"):
        curve = cumulative_incidence(
            cells((2, "price", 1), (9, "price", 1), entry=[0, 4]), cause="price", interval="log-log"
        )
    assert curve.incidence.tolist() == [1, 1, 1]
