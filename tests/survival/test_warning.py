"""Warnings: who is in them, that nothing of the future is, how they are fitted, judged, and let out."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spell_oracle import History, make_tables
from warning_oracle import count_open

from lcm_research.data.reduction import PrivateRows, Tables, pseudonym, pseudonym_key, rows
from lcm_research.errors import ModelError
from lcm_research.survival.warning import base_rate_drift, fit_risk, too_few_to_warn
from lcm_research.survival.warning_counts import (
    class_names,
    decision_days,
    open_counts,
    warning_counts,
    warning_list,
)
from lcm_research.survival.warning_value import average_precision, decision_curve, top_shares

# window 30, horizon 20: outcomes of day 200 are known on day 250
SEEN: dict[str, Any] = {
    "window_days": 30,
    "observation_start_day": 100,
    "lookback_days": 40,
    "recency_breaks": [10, 20],
    "frequency_breaks": [2, 3],
    "tenure_breaks": [15],
    "engagement_breaks": [],
    "by": [],
}
ASKED = SEEN | {"decision_day": 200, "horizon_days": 20, "as_of_day": 250, "period_days": 1}
BREAKS = {"recency": [10, 20], "frequency": [2, 3], "tenure": [15], "engagement": [7, 14]}


def with_acts(purchases: History, acts: History) -> Tables:
    """Canonical tables with social acts beside the purchases."""
    table = pd.DataFrame([(c, d) for c, days in acts.items() for d in days], columns=["customer_id", "day"])
    table = table.astype({"customer_id": str, "day": "int64"})
    return Tables({**make_tables(purchases).expressions, "engagements": ibis.memtable(table)})


def counted(purchases: dict[str, list[int]], **changed: Any) -> list[tuple[Any, ...]]:
    table = warning_counts.execute(make_tables(purchases), **(ASKED | changed))
    columns = ["recency", "frequency", "tenure", "duration_days", "event_observed", "n", "lead_days", "n_silent"]
    return list(table[columns].itertuples(index=False, name=None))


def test_who_bought_last_before_the_decision_day_and_never_again_had_lapsed_by_then() -> None:
    # 185 and 195, then nothing within 30 days: declared on 195 + 30 = 225, 25 days after the warning
    assert counted({"a": [185, 195]}) == [("<10", "2-<3", ">=15", 1, True, 1, 25, 1)]


def test_a_lapse_after_the_decision_day_has_its_duration_and_lead() -> None:
    # last purchase on 210, ten days after the warning: day 11 of the horizon; declared on 240
    assert counted({"a": [195, 210]}) == [("<10", "<2", "<15", 11, True, 1, 40, 0)]
    # by periods of 7 days it falls into the second, which ends on day 14
    assert counted({"a": [195, 210]}, period_days=7)[0][3] == 14


def test_buying_on_the_last_day_of_the_horizon_is_going_on() -> None:
    assert counted({"a": [195, 219]}) == [("<10", "<2", "<15", 20, True, 1, 49, 0)]
    assert counted({"a": [195, 220]}) == [("<10", "<2", "<15", 20, False, 1, 0, 0)]


def test_a_purchase_within_the_window_keeps_a_spell_open_whenever_it_comes() -> None:
    # silent since 175; the next purchase on 205 is exactly the window later, on 206 one day too late
    assert counted({"a": [175, 205, 230]}) == [(">=20", "<2", ">=15", 20, False, 1, 0, 0)]
    assert counted({"a": [175, 206, 230]}) == [(">=20", "<2", ">=15", 1, True, 1, 5, 1)]


def test_a_silence_longer_than_the_window_is_declared_and_not_warned_of() -> None:
    assert counted({"a": [169]}) == []
    assert counted({"a": [170]}) == [(">=20", "<2", ">=15", 1, True, 1, 0, 1)]
    assert counted({"a": [201]}) == []  # not yet a customer


def test_predictors_look_back_equally_far_for_everybody() -> None:
    # the purchase on 159 is 41 days before the decision day, one more than the look-back
    assert counted({"a": [159, 190]})[0][:3] == ("10-<20", "<2", "<15")
    assert counted({"a": [160, 190]})[0][:3] == ("10-<20", "2-<3", ">=15")


@st.composite
def lives(draw: st.DrawFn) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    names = [f"c{i}" for i in range(draw(st.integers(4, 12)))]
    day = st.integers(150, 290)
    purchases = {name: draw(st.lists(day, max_size=9)) for name in names}
    return purchases, {name: draw(st.lists(day, max_size=4)) for name in names}


@settings(max_examples=12, deadline=None)
@given(life=lives(), period_days=st.sampled_from([1, 7, 20]))
def test_counts_are_those_of_the_definition(life: tuple[History, History], period_days: int) -> None:
    choices = ASKED | {"engagement_breaks": BREAKS["engagement"], "period_days": period_days}
    table = warning_counts.execute(with_acts(*life), **choices)
    keys = [*BREAKS, "duration_days", "event_observed", "replicate"]
    found: Counter[tuple[Any, ...]] = Counter()
    for row in table.to_dict("records"):
        for column in ("n", "lead_days", "n_silent"):
            found[(*(row[key] for key in keys), column)] += row[column]
    said = {name: choices[name] for name in ("decision_day", "horizon_days", "window_days", "lookback_days")}
    expected = count_open(*life, **said, breaks=BREAKS, period_days=period_days)
    assert +found == +expected


@settings(max_examples=4, deadline=None)
@given(life=lives())
def test_nothing_after_the_decision_day_predicts_and_nothing_after_the_outcome_counts(
    life: tuple[History, History],
) -> None:
    choices = ASKED | {"engagement_breaks": BREAKS["engagement"]}
    known = {name: kept for name, kept in choices.items() if name in {*SEEN, "decision_day"}}
    whole = with_acts(*life)
    until_then = with_acts(*({c: [d for d in days if d <= 200] for c, days in part.items()} for part in life))
    until_known = with_acts(*({c: [d for d in days if d <= 250] for c, days in part.items()} for part in life))
    seen = open_counts.execute(whole, **known)
    pd.testing.assert_frame_equal(seen, open_counts.execute(until_then, **known))
    pd.testing.assert_frame_equal(
        warning_counts.execute(whole, **choices), warning_counts.execute(until_known, **choices)
    )
    # and the customers whose outcome is counted are the ones who could be warned
    judged = warning_counts.execute(whole, **choices)
    keys = [*BREAKS, "replicate"]
    pd.testing.assert_frame_equal(judged.groupby(keys, as_index=False)["n"].sum(), seen[[*keys, "n"]])


def test_outcomes_of_training_are_known_on_the_day_of_judging() -> None:
    days = decision_days(observation_start_day=100, as_of_day=400, window_days=30, horizon_days=20, lookback_days=40)
    assert days.training_day + 20 + 30 == days.judging_day
    assert days.judging_day + 20 + 30 == 400
    assert days.missing_days == 0
    # 2 * 50 + 40 + 1 days are needed: from 100 on, the first day that has them is 240
    edge = {"observation_start_day": 100, "window_days": 30, "horizon_days": 20, "lookback_days": 40}
    assert decision_days(**edge, as_of_day=240).missing_days == 0
    assert decision_days(**edge, as_of_day=239).missing_days == 1
    early = decision_days(**edge, as_of_day=240).training_day
    assert early - 40 == 100


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"as_of_day": 249}, "known 30 days after that, 1 days after as_of"),
        ({"observation_start_day": 163}, "the look-back of 40 days begins 3 days before observation does"),
        ({"lookback_days": 29}, "lookback_days=29 is shorter than the churn window of 30"),
        ({"recency_breaks": [20, 10]}, r"recency_breaks must rise and begin at 1 or later; came \[20, 10\]"),
        ({"by": ["regoin"]}, "no column 'regoin' to group by; did you mean 'region'?"),
    ],
)
def test_choices_that_leak_or_cannot_be_carried_out_are_refused(changed: dict[str, Any], told: str) -> None:
    tables = make_tables({"a": [195]}, segment={"a": "north"})
    with pytest.raises(ModelError, match=told.replace("?", r"\?")):
        warning_counts.execute(tables, **(ASKED | changed))


def test_segments_become_keys() -> None:
    tables = make_tables({"a": [195], "b": [195]}, segment={"a": "north", "b": None})
    table = warning_counts.execute(tables, **(ASKED | {"by": ["region"]}))
    assert table["region"].tolist() == ["north", "unknown"]


# ---------------------------------------------------------------- the model

SHARES = {"<10": 0.2, "10-<20": 0.5, ">=20": 0.8}


def sample(shares: dict[str, float], *, each: int = 10, others: str = "<2") -> pd.DataFrame:
    """In each of 100 groups ``each`` customers of each recency, as many of whom lapse as ``shares`` says."""
    made = [
        (group, recency, others, 1 if lapsed else 20, lapsed, round(each * (share if lapsed else 1 - share)))
        for group in range(100)
        for recency, share in shares.items()
        for lapsed in (True, False)
    ]
    columns = ["replicate", "recency", "frequency", "duration_days", "event_observed", "n"]
    table = pd.DataFrame(made, columns=columns)
    lapsed = table["event_observed"].astype(int)
    return table.assign(lead_days=30 * table["n"] * lapsed, n_silent=table["n"] * lapsed)[table["n"] > 0]


def test_a_saturated_risk_is_the_share_that_lapsed() -> None:
    counts = sample(SHARES)
    model = fit_risk(counts, covariates=["recency", "frequency"], horizon_days=20)
    patterns = pd.DataFrame({"recency": list(SHARES), "frequency": "<2"})
    assert model.predict(patterns) == pytest.approx([0.2, 0.5, 0.8])
    assert list(model.log_odds) == ["recency"]  # frequency has one level
    assert (model.n, model.n_events) == (3000, 1500)
    ratios = model.table().set_index("level")["odds_ratio"]
    # odds of .2, .5, .8 are 1/4, 1 and 4; the reference is any of the three, all equally frequent
    assert ratios[">=20"] / ratios["<10"] == pytest.approx(16)


def test_a_rare_level_joins_the_one_with_the_nearest_share_of_lapses() -> None:
    silent = pd.DataFrame(
        {"replicate": [1, 2], "recency": ">=40", "frequency": "<2", "duration_days": [1, 20], "n": [60, 2]}
    ).assign(event_observed=[True, False], lead_days=0, n_silent=0)
    counts = pd.concat([sample(SHARES), silent], ignore_index=True)
    model = fit_risk(counts, covariates=["recency"], horizon_days=20)
    assert model.pooled == {("recency", ">=40"): ">=20"}
    risk = model.predict(pd.DataFrame({"recency": [">=40", ">=20"]}))
    assert risk[0] == risk[1] > 0.8


def test_a_covariate_that_others_determine_is_left_out() -> None:
    counts = sample(SHARES).assign(again=lambda t: t["recency"])
    model = fit_risk(counts, covariates=["recency", "again"], horizon_days=20)
    assert list(model.log_odds) == ["recency"]


def test_where_nothing_tells_customers_apart_everybody_gets_the_base_rate() -> None:
    model = fit_risk(sample({"<10": 0.3}), covariates=["recency", "frequency"], horizon_days=20)
    assert model.predict(pd.DataFrame({"recency": ["<10", "?"]})) == pytest.approx([0.3, 0.3])


def test_a_level_never_seen_in_training_counts_as_the_reference() -> None:
    model = fit_risk(sample(SHARES), covariates=["recency"], horizon_days=20)
    reference = model.references["recency"]
    risk = model.predict(pd.DataFrame({"recency": ["never seen", reference]}))
    assert risk[0] == risk[1]


def test_too_few_customers_are_told_before_anything_is_fitted() -> None:
    enough = sample(SHARES)
    asked: dict[str, Any] = {"covariates": ["recency"], "horizon_days": 20}
    assert too_few_to_warn(enough, enough, **asked) is None
    few = enough[enough["replicate"] < 19]
    # 19 groups of 30 customers, half of whom lapsed
    assert too_few_to_warn(enough, few, **asked) == (285, 285)
    assert too_few_to_warn(few, enough, **asked) == (285, 285)
    with pytest.raises(ModelError, match="0 of 300 customers lapsed"):
        fit_risk(sample({"<10": 0.0}, each=3), covariates=["recency"], horizon_days=20)
    with pytest.raises(ModelError, match="lost sight of before day 30"):
        fit_risk(enough, covariates=["recency"], horizon_days=30)


def test_the_drift_of_the_base_rate_is_that_of_the_two_samples() -> None:
    drift = base_rate_drift(sample({"<10": 0.3}), sample({"<10": 0.4}), horizon_days=20)
    assert (drift.training.value, drift.judging.value) == pytest.approx((0.3, 0.4))
    assert drift.difference.value == pytest.approx(0.1)
    # every group is alike: leaving one out moves neither
    assert (drift.difference.lower, drift.difference.upper) == pytest.approx((0.1, 0.1))


# ---------------------------------------------------------------- its worth


def judged() -> pd.DataFrame:
    """3,000 customers in three thirds of risk .2, .5 and .8, of whom as many lapse."""
    counts = sample(SHARES)
    return counts.assign(risk=counts["recency"].map(SHARES))


def test_the_top_third_holds_what_its_risk_says() -> None:
    third, sixth, everybody = top_shares(judged(), prediction="risk", horizon_days=20, shares=[1 / 3, 1 / 6, 1])
    assert third.n_warned == 1000
    assert third.precision.value == pytest.approx(0.8)
    assert third.lift.value == pytest.approx(1.6)  # of all, half lapse
    assert third.capture.value == pytest.approx(800 / 1500)
    assert third.lead_days is not None
    assert third.already_silent is not None
    assert third.lead_days.value == pytest.approx(30)
    assert third.already_silent.value == 1
    # half of those with equal risks: the same precision, half the lapses
    assert sixth.precision.value == pytest.approx(0.8)
    assert sixth.capture.value == pytest.approx(400 / 1500)
    assert (everybody.lift.value, everybody.capture.value) == pytest.approx((1, 1))


def test_a_list_without_a_lapse_has_no_lead_time() -> None:
    counts = sample({"<10": 0.0, ">=20": 0.5})
    upside_down = counts.assign(risk=counts["recency"].map({"<10": 0.9, ">=20": 0.1}))
    (top,) = top_shares(upside_down, prediction="risk", horizon_days=20, shares=[0.2])
    assert (top.lift.value, top.capture.value) == (0, 0)
    assert top.lead_days is None
    assert top.already_silent is None


def test_net_benefit_is_true_warnings_less_the_weighted_false_ones() -> None:
    curve = decision_curve(judged(), prediction="risk", horizon_days=20, thresholds=[0.1, 0.4, 0.6, 0.9])
    own, everybody = ([e.value for e in each] for each in (curve.net_benefit, curve.warn_all))
    # at .4 risks .5 and .8 are warned: 1,300 lapse, 700 do not, who weigh .4 / .6; at .6 the last third only
    expected = [0.5 - 0.5 / 9, (1300 - 700 * 2 / 3) / 3000, (800 - 200 * 1.5) / 3000, 0]
    assert own == pytest.approx(expected)
    assert everybody == pytest.approx([0.5 - 0.5 / 9, 0.5 - 0.5 * 2 / 3, 0.5 - 0.5 * 1.5, 0.5 - 0.5 * 9])
    assert curve.share_warned == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert curve.useful().tolist() == [0.4, 0.6]  # at .1 it warns everybody, at .9 nobody
    assert curve.table()["net_benefit_over_all"].map(lambda e: e.value).tolist() == pytest.approx(
        np.subtract(own, everybody).tolist()
    )


def test_average_precision_steps_over_the_levels_of_risk() -> None:
    # precision after each third is .8, .65 and .5, reached with 800, 500 and 200 of 1,500 lapses
    found = average_precision(judged(), prediction="risk", horizon_days=20)
    assert found.value == pytest.approx((800 * 0.8 + 500 * 0.65 + 200 * 0.5) / 1500)
    flat = average_precision(judged().assign(risk=0.5), prediction="risk", horizon_days=20)
    assert flat.value == pytest.approx(0.5)


def test_lists_and_thresholds_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ModelError, match=r"above 0 and at most at 1; came \[0, 0.1\]"):
        top_shares(judged(), prediction="risk", horizon_days=20, shares=[0, 0.1])
    with pytest.raises(ModelError, match=r"between 0 and 1; came \[1.0\]"):
        decision_curve(judged(), prediction="risk", horizon_days=20, thresholds=[1.0])
    lost = judged().assign(duration_days=5)
    with pytest.raises(ModelError, match="1500 customers are lost sight of before day 20"):
        top_shares(lost, prediction="risk", horizon_days=20, shares=[0.1])


# ---------------------------------------------------------------- rows of single customers


def test_a_list_names_the_highest_risks_under_pseudonyms_and_nobody_else(tmp_path: Path) -> None:
    tables = make_tables({"ann": [198], "bob": [185], "cid": [172], "dee": [150]})
    known = SEEN | {"decision_day": 200}
    patterns = open_counts.execute(tables, **known)
    risks = patterns.assign(risk=patterns["recency"].map({"<10": 0.1, "10-<20": 0.5, ">=20": 0.9}))
    key = pseudonym_key(tmp_path)
    made = warning_list(tables, risks=risks, most=2, key=key, **known)
    assert len(made) == 2
    assert made.frame["risk"].tolist() == [0.9, 0.5]
    assert made.frame["pseudonym"].tolist() == [pseudonym("cid", key=key), pseudonym("bob", key=key)]
    assert "customer_id" not in made.frame
    assert not {"ann", "bob", "cid", "dee"} & set(made.frame.astype(str).to_numpy().ravel())
    assert pseudonym_key(tmp_path) == key
    assert "0.9" not in repr(made)  # a displayed cell shows no row
    assert not hasattr(made, "columns")  # and emit takes no such thing
    path = made.save(tmp_path / "private", "list")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "pseudonyms.key").stat().st_mode) == 0o600
    assert pd.read_csv(path)["risk"].tolist() == [0.9, 0.5]


def test_one_risk_a_pattern() -> None:
    tables = make_tables({"a": [198]})
    risks = pd.DataFrame({"recency": "<10", "frequency": "<2", "tenure": "<15", "risk": [0.1, 0.2]})
    with pytest.raises(ModelError, match="one risk for each combination of classes"):
        warning_list(tables, risks=risks, most=5, key=b"k", **(SEEN | {"decision_day": 200}))


def test_rows_leave_the_engine_for_a_reason_within_a_bound_under_another_name() -> None:
    customers = ibis.memtable(pd.DataFrame({"customer_id": ["a", "b", "c"], "risk": [0.1, 0.2, 0.3]}))
    with pytest.raises(ModelError, match="for a named reason only"):
        rows(customers, reason=" ", most=3, key=b"k")
    with pytest.raises(ModelError, match="more than most=2 rows were asked for"):
        rows(customers, reason="a test", most=2, key=b"k")
    with pytest.raises(ModelError, match="most=10001 is outside 1 to 10,000"):
        rows(customers, reason="a test", most=10_001, key=b"k")
    with pytest.raises(ModelError, match="need the column 'customer_id'"):
        rows(customers.drop("customer_id"), reason="a test", most=3, key=b"k")
    made = rows(customers, reason="a test", most=3, key=b"k")
    assert isinstance(made, PrivateRows)
    assert made.reason == "a test"
    assert list(made.frame.columns) == ["pseudonym", "risk"]
    other = rows(customers, reason="a test", most=3, key=b"another")
    assert not set(made.frame["pseudonym"]) & set(other.frame["pseudonym"])


def test_classes_begin_at_each_break() -> None:
    assert class_names([2]) == ["<2", ">=2"]
