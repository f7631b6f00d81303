"""Engaging and staying: exposure by hand, against an oracle, for Spark, and where the truth of a brand is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from exposure_oracle import brand_tables, ever, exposed, landmarked, with_acts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.backends.sql.compilers import pyspark

from lcm_research.data.reduction import Tables
from lcm_research.data.simulated.brand import Brand
from lcm_research.errors import MissingTableError, ModelError
from lcm_research.estimate import Estimate, jackknife_se
from lcm_research.survival.engagement import (
    BiasPanel,
    bias_panel,
    e_value,
    ever_engaged_ratio,
    exposure_overlap,
    lag_profile,
    lagged_ratio,
    landmark_ratio,
)
from lcm_research.survival.exposure import activity_classes, ever_engaged_counts, exposure_counts, landmark_counts
from lcm_research.survival.spells import spell_counts

SPELLS: dict[str, Any] = {"window_days": 30, "observation_start_day": 100, "as_of_day": 300, "history": "complete"}
# the cut is 300 - 30 = 270
EXPOSED = SPELLS | {"churn_activity": ["purchases"], "actions": [], "by": []}
PERIODS = EXPOSED | {"period_days": 20, "lag_periods": 1, "activity_breaks": [2, 4, 8]}
LANDMARK = EXPOSED | {"landmark_days": 21, "activity_breaks": [2, 4, 8]}

Rows = list[tuple[Any, ...]]


def periods(purchases: dict[str, list[int]], acts: dict[str, list[int]], **changed: Any) -> Rows:
    """Rows of (period, engaged, activity, at risk, events)."""
    table = exposure_counts.execute(with_acts(purchases, liked(acts)), **(PERIODS | changed))
    return list(table.drop(columns="replicate").itertuples(index=False, name=None))


def liked(acts: dict[str, list[int]]) -> dict[str, list[tuple[int, str]]]:
    return {c: [(day, "like") for day in own] for c, own in acts.items()}


def test_an_exposure_is_an_act_one_lag_before_the_period() -> None:
    # spell 110..160, lapses on 160; periods 110-129, 130-149, 150-169; the act on 129 exposes period 2 alone
    expected = [(1, False, "1", 1, 0), (2, True, "1", 1, 0), (3, False, "2-3", 1, 1)]
    assert periods({"a": [110, 125, 130, 160]}, {"a": [129]})[:2] == expected[:2]
    # purchase days up to 130, where the exposure's period begins: 110, 125, 130
    assert periods({"a": [110, 125, 130, 160]}, {"a": [129]})[2] == expected[2]
    # an act on 130 exposes period 3, an act on 150 or 160 nothing, an act before the spell nothing
    assert [row[1] for row in periods({"a": [110, 130, 160]}, {"a": [130]})] == [False, False, True]
    assert [row[1] for row in periods({"a": [110, 130, 160]}, {"a": [109, 150, 160]})] == [False, False, False]


def test_a_longer_lag_moves_exposure_and_past_activity_back_together() -> None:
    rows = periods({"a": [110, 130, 150, 160]}, {"a": [110]}, lag_periods=2)
    # periods 1 and 2 have none; that of period 3 is period 1, when one day was bought on
    assert rows == [(1, False, "1", 1, 0), (2, False, "1", 1, 0), (3, True, "1", 1, 1)]


def test_a_period_that_the_cut_divides_is_not_counted_whether_or_not_it_holds_the_lapse() -> None:
    # from 235: periods 235-254 and 255-274, the second beyond the cut of 270, for both customers
    assert periods({"a": [235, 260]}, {}) == [(1, False, "1", 1, 0)]
    assert periods({"a": [235, 260, 280]}, {}) == [(1, False, "1", 1, 0)]
    # 230 + 40 = 270: seen whole
    assert [row[3:] for row in periods({"a": [230, 260]}, {})] == [(1, 0), (1, 1)]


def test_the_last_day_of_a_period_belongs_to_it() -> None:
    # 110 + 19 = 129 is the last day of period 1, 130 the first of period 2
    assert [row[3:] for row in periods({"a": [110, 129]}, {})] == [(1, 1)]
    assert [row[3:] for row in periods({"a": [110, 130]}, {})] == [(1, 0), (1, 1)]


def test_only_the_acts_that_are_named_count() -> None:
    tables = with_acts({"a": [110, 135]}, {"a": [(112, "review")]})
    for actions, engaged in (([], True), (["review"], True), (["like", "share"], False)):
        table = exposure_counts.execute(tables, **(PERIODS | {"actions": actions}))
        assert table["engaged"].tolist() == [False, engaged]


def test_ever_engaged_looks_from_the_first_day_to_the_last() -> None:
    def engaged(day: int, purchases: Sequence[int] = (110, 130)) -> Rows:
        table = ever_engaged_counts.execute(with_acts({"a": list(purchases)}, {"a": [(day, "like")]}), **EXPOSED)
        return list(table.drop(columns="replicate").itertuples(index=False, name=None))

    assert engaged(110) == engaged(130) == [(21, True, True, 1)]
    assert engaged(109) == engaged(131) == [(21, True, False, 1)]
    # censored at the cut, after 270 - 240 = 30 days: what comes later is not used
    assert engaged(269, [240, 265, 280]) == [(30, False, True, 1)]
    assert engaged(270, [240, 265, 280]) == [(30, False, False, 1)]


def test_a_landmark_takes_spells_that_reach_it_and_acts_before_it() -> None:
    def counted(days: list[int], act: int) -> Rows:
        table = landmark_counts.execute(with_acts({"a": days}, {"a": [(act, "like")]}), **LANDMARK)
        return list(table.drop(columns="replicate").itertuples(index=False, name=None))

    # day 21 of a spell from 110 is 130: it lapses that day, one day at risk from the landmark
    assert counted([110, 130], 129) == [(1, True, True, "1", 1)]
    assert counted([110, 130], 130) == [(1, True, False, "1", 1)]
    assert counted([110, 129], 110) == []
    # 110, 115, 129 before it, lapse on 140: days 130 to 140 are eleven
    assert counted([110, 115, 129, 140], 129) == [(11, True, True, "2-3", 1)]


def test_a_landmark_with_exposure_days_looks_at_the_last_days_and_holds_equal_what_came_before() -> None:
    def counted(act: int, exposure_days: int | None) -> tuple[bool, str]:
        tables = with_acts({"a": [110, 112, 119, 125, 140]}, {"a": [(act, "like")]})
        table = landmark_counts.execute(tables, **LANDMARK, exposure_days=exposure_days)
        return bool(table["engaged"].item()), table["activity"].item()

    # landmark on 130; the 10 days before it are 120 to 129; purchase days up to 120: 110, 112, 119
    assert [counted(act, 10) for act in (119, 120, 129, 130)] == [
        (False, "2-3"),
        (True, "2-3"),
        (True, "2-3"),
        (False, "2-3"),
    ]
    # 110 to 129: with the one on 125 four
    assert counted(119, None) == (True, "4-7")
    # all 20 days before expose: held equal is the first day alone
    assert counted(110, 20) == (True, "1")


def test_classes_of_activity_are_named_by_their_ends() -> None:
    assert activity_classes([2, 4, 8]) == ["1", "2-3", "4-7", "8+"]
    assert activity_classes([3]) == ["1-2", "3+"]


PURCHASES = st.lists(st.lists(st.integers(60, 330), max_size=12), min_size=1, max_size=14)
ACTS = st.lists(st.lists(st.integers(80, 320), max_size=6), min_size=14, max_size=14)
ORACLE = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@ORACLE
@given(
    days=PURCHASES,
    acts=ACTS,
    window=st.integers(10, 60),
    length=st.integers(5, 40),
    lag=st.integers(1, 2),
    landmark=st.integers(2, 60),
    exposure_days=st.none() | st.integers(1, 59),
    history=st.sampled_from(["complete", "from_observation_start"]),
)
def test_counts_are_those_of_the_definition_written_out(
    days: list[list[int]],
    acts: list[list[int]],
    window: int,
    length: int,
    lag: int,
    landmark: int,
    exposure_days: int | None,
    history: str,
) -> None:
    purchases = {f"c{i}": own for i, own in enumerate(days)}
    own_acts = dict(zip(purchases, acts, strict=False))
    tables = with_acts(purchases, liked(own_acts))
    spells = EXPOSED | {"window_days": window, "history": history}
    choices = spells | {"period_days": length, "lag_periods": lag, "activity_breaks": [2, 3]}
    table = exposure_counts.execute(tables, **choices)
    at_risk, events = exposed(purchases, own_acts, choices)
    keys = list(table[["period", "engaged", "activity", "replicate"]].itertuples(index=False, name=None))
    assert dict(zip(keys, table["n_at_risk"], strict=True)) == dict(at_risk)
    assert dict(zip(keys, table["n_events"], strict=True)) == dict(events)

    if exposure_days is not None:
        exposure_days = min(exposure_days, landmark - 1)
    choices = spells | {"landmark_days": landmark, "activity_breaks": [2, 3], "exposure_days": exposure_days}
    assert _counter(landmark_counts.execute(tables, **choices)) == landmarked(purchases, own_acts, choices)
    assert _counter(ever_engaged_counts.execute(tables, **spells)) == ever(purchases, own_acts, spells)


def _counter(table: pd.DataFrame) -> Counter[tuple[Any, ...]]:
    return Counter({row[:-1]: row[-1] for row in table.itertuples(index=False, name=None)})


def test_the_reductions_compile_for_spark() -> None:
    tables = with_acts({"a": [110]}, liked({"a": [110]}), segment={"a": "north"})
    made = (
        exposure_counts(tables, **(PERIODS | {"by": ["region"], "actions": ["like"]})),
        landmark_counts(tables, **(LANDMARK | {"by": ["region"]})),
        landmark_counts(tables, **LANDMARK, exposure_days=10),
        ever_engaged_counts(tables, **EXPOSED),
    )
    for expression in made:
        assert "GROUP BY" in pyspark.compiler.to_sqlglot(expression).sql("spark")


def test_refusals_say_what_came_and_what_to_do() -> None:
    tables = with_acts({"a": [110]}, {})
    itself = {"churn_activity": ["purchases", "engagements"]}
    for reduction, choices in ((exposure_counts, PERIODS), (landmark_counts, LANDMARK), (ever_engaged_counts, EXPOSED)):
        with pytest.raises(ModelError, match=r"\['purchases', 'engagements'\].*leave engagements out"):
            reduction(tables, **(choices | itself))
    with pytest.raises(ModelError, match="lag_periods must be at least 1; came 0"):
        exposure_counts(tables, **(PERIODS | {"lag_periods": 0}))
    with pytest.raises(ModelError, match="period_days must be at least 1; came 0"):
        exposure_counts(tables, **(PERIODS | {"period_days": 0}))
    with pytest.raises(ModelError, match=r"2 periods of 80 days .* the lag of 2"):
        exposure_counts(tables, **(PERIODS | {"period_days": 80, "lag_periods": 2}))
    with pytest.raises(ModelError, match=r"landmark_days=1 lies outside 2 to 170"):
        landmark_counts(tables, **(LANDMARK | {"landmark_days": 1}))
    with pytest.raises(ModelError, match=r"exposure_days=21 lies outside 1 to 20"):
        landmark_counts(tables, **LANDMARK, exposure_days=21)
    with pytest.raises(ModelError, match=r"begin at 2 or later.*came \[1, 4\]"):
        activity_classes([1, 4])
    with pytest.raises(MissingTableError, match="engagements"):
        ever_engaged_counts(Tables({name: tables[name] for name in ("customers", "transactions")}), **EXPOSED)


def ratio(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit="hazard_ratio", n=300)


def test_an_e_value_is_that_of_its_paper_and_the_same_for_the_inverse() -> None:
    # 3.9 + sqrt(3.9 * 2.9) = 7.263; of the end nearer to 1, 1.8 + sqrt(1.8 * 0.8) = 3
    found = e_value(ratio(3.9, 1.8, 8.7), outcome="rare")
    assert (found.estimate, found.interval_end) == pytest.approx((7.2630, 3.0), abs=1e-4)
    turned = e_value(ratio(1 / 3.9, 1 / 8.7, 1 / 1.8), outcome="rare")
    assert (turned.estimate, turned.interval_end) == pytest.approx((found.estimate, found.interval_end))


def test_an_e_value_of_a_common_outcome_turns_the_hazard_ratio_into_a_risk_ratio() -> None:
    # (1 - 0.5 ** 2) / (1 - 0.5 ** 0.5) = 0.75 / 0.292893 = 2.560660 for a hazard ratio of 4
    found = e_value(ratio(4.0, 0.9, 20.0), outcome="common")
    assert found.estimate == pytest.approx(2.560660 + (2.560660 * 1.560660) ** 0.5, abs=1e-5)
    assert found.interval_end == 1.0
    with pytest.raises(ModelError, match="came 'frequent'"):
        e_value(ratio(4.0, 0.9, 20.0), outcome="frequent")  # type: ignore[arg-type]


def cells() -> pd.DataFrame:
    """Counts whose hazard is 0.1 (engaged 0.05) in every cell, whatever the class; few are engaged in class 1."""
    rows = [
        (period, engaged, activity, replicate, n, round(n * (0.1 - 0.05 * engaged)))
        for period in (1, 2, 3)
        for replicate in range(100)
        for activity, engaged, n in (("1", False, 60), ("1", True, 20), ("2+", False, 20), ("2+", True, 100))
    ]
    return pd.DataFrame(rows, columns=["period", "engaged", "activity", "replicate", "n_at_risk", "n_events"])


def test_the_lagged_ratio_leaves_out_the_periods_without_exposure_and_counts_customers() -> None:
    found = lagged_ratio(cells(), lag_periods=1, adjust_for=["activity"], ties="breslow")
    # 200 spells a group at risk in period 2
    assert found.n == 20_000
    spoilt = cells().assign(n_events=lambda c: c["n_events"].where(c["period"] > 1, c["n_at_risk"]))
    assert lagged_ratio(spoilt, lag_periods=1, adjust_for=["activity"], ties="breslow") == found
    # Breslow's rule with one period's ties in one risk set: the odd cells give exactly the ratio of hazards
    assert found.value == pytest.approx(0.5)


def test_adjusting_takes_away_what_past_activity_explains() -> None:
    # hazard .2 in class 1, .05 in class 2+, engaged or not; the engaged are mostly of class 2+
    confounded = cells()
    hazard = np.where(confounded["activity"] == "1", 0.2, 0.05)
    confounded["n_events"] = (confounded["n_at_risk"] * hazard).astype(int)
    crude = lagged_ratio(confounded, lag_periods=1, adjust_for=[], ties="efron")
    alike = lagged_ratio(confounded, lag_periods=1, adjust_for=["activity"], ties="efron")
    # a period's risk is (20 * .2 + 100 * .05) / 120 = .075 against (60 * .2 + 20 * .05) / 80 = .1625; the hazards
    # behind them are -log(1 - risk), whose ratio Efron's rule finds from ties
    assert crude.value == pytest.approx(np.log(1 - 0.075) / np.log(1 - 0.1625), abs=0.002)
    assert alike.value == pytest.approx(1.0, abs=1e-9)
    with pytest.raises(ModelError, match=r"no column 'activty'.*did you mean 'activity'"):
        lagged_ratio(confounded, lag_periods=1, adjust_for=["activty"], ties="efron")


def test_ratios_that_cannot_be_had_are_refused() -> None:
    nobody = cells().assign(engaged=False)
    with pytest.raises(ModelError, match="engaged is False for all 40,000"):
        lagged_ratio(nobody, lag_periods=1, adjust_for=[], ties="efron")
    few = cells()[lambda c: c["replicate"] < 19]
    with pytest.raises(ModelError, match="19 groups of customers, fewer than 20"):
        lagged_ratio(few, lag_periods=1, adjust_for=[], ties="efron")
    with pytest.raises(ModelError, match="more than 3 periods; came counts of 3"):
        lagged_ratio(cells(), lag_periods=3, adjust_for=[], ties="efron")


def test_overlap_is_the_share_exposed_after_the_lag() -> None:
    table = exposure_overlap(cells(), lag_periods=1, within=["activity"])
    # periods 2 and 3, 100 groups: 2 * 100 * (60 + 20) and 2 * 100 * (20 + 100)
    assert table["n_at_risk"].tolist() == [16_000, 24_000]
    assert table["n_engaged"].tolist() == [4_000, 20_000]
    assert table["share_engaged"].tolist() == [0.25, 20 / 24]


def test_a_profile_of_lags_compares_the_same_periods() -> None:
    # half as many are left in period 3, 100 a group, the only one that both lags can tell of
    fewer = cells()
    last = fewer["period"] == 3
    fewer.loc[last, ["n_at_risk", "n_events"]] //= 2
    profile = lag_profile({2: fewer, 1: fewer}, adjust_for=["activity"], ties="efron")
    assert profile["lag_periods"].tolist() == [1, 2]
    assert profile["n_customers"].tolist() == [10_000, 10_000]
    assert profile["hazard_ratio"].nunique() == 1
    with pytest.raises(ModelError, match="came none"):
        lag_profile({}, adjust_for=[], ties="efron")


N, SEED = 20_000, 5
BRAND = {"window_days": 180, "observation_start_day": 19358, "as_of_day": 20088, "history": "from_observation_start"}
BRAND_EXPOSED = BRAND | {"churn_activity": ["purchases"], "actions": []}
BRAND_PERIODS = BRAND_EXPOSED | {"period_days": 30, "activity_breaks": [2, 4, 8]}
ALIKE = ["activity", "is_member"]


@pytest.fixture(scope="module")
def null_tables() -> Tables:
    return brand_tables(Brand(engaged_hazard_ratio=1.0), n_customers=N, seed=SEED)


@pytest.fixture(scope="module")
def null_counts(null_tables: Tables) -> pd.DataFrame:
    return exposure_counts.execute(null_tables, **BRAND_PERIODS, lag_periods=1, by=["is_member", "latent_activity"])


def landmark_of(tables: Tables) -> pd.DataFrame:
    choices = {"landmark_days": 91, "activity_breaks": [2, 4, 8], "by": ["is_member", "latent_activity"]}
    return landmark_counts.execute(tables, **BRAND_EXPOSED, **choices)


def panel_of(tables: Tables, counts: pd.DataFrame) -> BiasPanel:
    ever_engaged = ever_engaged_counts.execute(tables, **BRAND_EXPOSED, by=[])
    made = {"ever": ever_engaged, "landmark": landmark_of(tables), "exposure": counts}
    return bias_panel(**made, lag_periods=1, adjust_for=ALIKE, ties="efron")


@pytest.fixture(scope="module")
def null_panel(null_tables: Tables, null_counts: pd.DataFrame) -> BiasPanel:
    return panel_of(null_tables, null_counts)


def test_spell_periods_account_for_every_spell_that_is_seen_for_a_period(
    null_tables: Tables, null_counts: pd.DataFrame
) -> None:
    spells = spell_counts.execute(null_tables, **BRAND, entry="incident", by=[])
    first = null_counts[null_counts["period"] == 1]
    # a spell of the last 30 days before the cut has no whole period: censored within 30 days, or lapsed
    not_whole = spells["n"].sum() - first["n_at_risk"].sum()
    within = spells[spells["duration_days"] <= 30].groupby("event_observed")["n"].sum()
    censored = spells[~spells["event_observed"] & (spells["duration_days"] < 30)]["n"].sum()
    assert not_whole > censored > 0
    assert first["n_events"].sum() == within[True] - (not_whole - censored)
    assert not first["engaged"].any()


def test_where_engaging_does_nothing_the_naive_ratio_says_it_keeps_nine_in_ten(null_panel: BiasPanel) -> None:
    # immortal time, and customers who are active in everything
    assert null_panel.naive.upper < 0.15
    # the same time to engage for all: most of it is gone, what active people do is not
    assert 0.5 < null_panel.landmark.value < 0.85
    assert null_panel.landmark.upper < 1


def test_past_purchases_take_away_most_of_the_bias_but_not_all(
    null_panel: BiasPanel, null_counts: pd.DataFrame
) -> None:
    # .92 on average over eighteen other seeds: purchases tell activity only roughly, and the less active are silent
    # for longer than the window while they are still customers
    assert 0.84 < null_panel.lagged.value < 1.0
    crude = lagged_ratio(null_counts, lag_periods=1, adjust_for=[], ties="efron")
    assert crude.value < null_panel.lagged.value
    assert abs(np.log(null_panel.lagged.value)) < 0.1 * abs(np.log(null_panel.naive.value))


def test_with_activity_itself_held_equal_the_lagged_ratio_is_one(null_counts: pd.DataFrame) -> None:
    found = lagged_ratio(null_counts, lag_periods=1, adjust_for=["latent_activity", "is_member"], ties="efron")
    assert found.lower < 1 < found.upper
    assert found.upper / found.lower < 1.25
    assert 0.9 < found.value < 1.1


def test_with_activity_itself_held_equal_the_landmark_ratio_is_near_one(null_tables: Tables) -> None:
    counts = landmark_of(null_tables)
    alike, bought = (
        landmark_ratio(counts, adjust_for=[held, "is_member"], ties="efron") for held in ("latent_activity", "activity")
    )
    assert alike.lower < 1 < alike.upper
    assert bought.upper < 1
    assert bought.value < alike.value


def test_without_differences_in_activity_the_lag_alone_is_enough() -> None:
    # nobody returns here: who left and comes back within the window is silent, and known to go on
    alike = Brand(engaged_hazard_ratio=1.0, activity_shape=1e6, member_slope=0.0, return_hazard_monthly=0.0)
    tables = brand_tables(alike, n_customers=N, seed=SEED)
    counts = exposure_counts.execute(tables, **BRAND_PERIODS, lag_periods=1, by=[])
    found = lagged_ratio(counts, lag_periods=1, adjust_for=[], ties="efron")
    assert found.lower < 1 < found.upper
    assert 0.9 < found.value < 1.1
    naive = ever_engaged_ratio(ever_engaged_counts.execute(tables, **BRAND_EXPOSED, by=[]), ties="efron")
    assert naive.upper < 0.3


def test_where_engaging_keeps_customers_the_lagged_ratio_is_below_one() -> None:
    tables = brand_tables(Brand(), n_customers=N, seed=SEED)
    counts = exposure_counts.execute(tables, **BRAND_PERIODS, lag_periods=1, by=["is_member", "latent_activity"])
    panel = panel_of(tables, counts)
    assert panel.lagged.upper < 1
    # nearer to 1 than the monthly truth of .6: a lapse is dated at the last purchase, the leaving comes after it
    assert 0.6 < panel.lagged.value < 0.9
    assert panel.naive.upper < panel.lagged.lower


def test_the_gap_is_the_naive_ratio_over_the_lagged_one(null_panel: BiasPanel) -> None:
    gap = null_panel.gap
    assert gap.value == pytest.approx(null_panel.naive.value / null_panel.lagged.value)
    assert gap.upper < 1
    # both come from the same customers: what moves one without a group of them moves the other
    without = [np.log(e.leave_one_out) for e in (null_panel.naive, null_panel.lagged) if e.leave_one_out is not None]
    error = jackknife_se(np.log(gap.value), without[0] - without[1])
    assert np.log(gap.upper / gap.lower) == pytest.approx(2 * 1.9842 * error, rel=1e-4)  # t with 99 df
    table = null_panel.table()
    assert table["analysis"].tolist() == ["naive", "landmark", "lagged"]
    assert table["n_customers"].tolist() == [null_panel.naive.n, null_panel.landmark.n, null_panel.lagged.n]
    assert table["log_gap"].tolist() == pytest.approx(
        [np.log(gap.value), np.log(null_panel.landmark.value / null_panel.lagged.value), 0.0]
    )
