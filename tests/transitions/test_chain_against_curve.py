"""Newcomers on a chain: by hand, held against the curve of their own spells, and what is refused."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.data.reduction import Tables
from lcm_research.errors import ModelError
from lcm_research.findings.wording.outcomes import agreement, agreement_checks
from lcm_research.stages.dwell import entry_counts, recency_counts
from lcm_research.stages.panel import transition_counts
from lcm_research.stages.passage import passage_counts
from lcm_research.stages.rules import stage_rules
from lcm_research.survival.declared import declared_spells, read_at_month_ends
from lcm_research.survival.spells import spell_counts
from lcm_research.transitions.absorbing import coming_back
from lcm_research.transitions.newcomers import (
    lapsed_stage,
    months_in_stages,
    months_to_lapse,
    newcomer_outcomes,
    newcomers,
    reached_before_lapse,
    waiting_curve,
)
from lcm_research.transitions.recency import recency_chain, stage_chain
from lcm_research.transitions.sensitivity import (
    alike,
    elasticities,
    levers,
    outcome_after_change,
    reweighted,
    time_outcome,
)
from lcm_research.transitions.value import only_currency, spent_ahead

NADC = stage_rules("nadc", window_days=120)


def moved(rows: dict[tuple[str, str], float]) -> pd.DataFrame:
    made = [(a, b, g, n) for (a, b), n in rows.items() for g in range(100)]
    return pd.DataFrame(made, columns=["from_stage", "to_stage", "replicate", "n"])


def seen(stage: str, origin: str = "first_contact", n: int = 1) -> pd.DataFrame:
    return pd.DataFrame({"stage": stage, "origin": origin, "replicate": range(100), "n": n})


ROWS = {
    ("prospect", "prospect"): 8,
    ("prospect", "new"): 2,
    ("new", "active"): 5,
    ("active", "active"): 6,
    ("active", "dormant"): 3,
    ("active", "churned"): 1,
    ("dormant", "active"): 2,
    ("dormant", "dormant"): 6,
    ("dormant", "churned"): 2,
    ("churned", "churned"): 5,
    ("churned", "active"): 1,
}


def chain() -> Any:
    return stage_chain(moved(ROWS), stages=NADC.stages, moves=None)


def test_newcomers_come_out_of_prospects_and_first_contacts() -> None:
    entries = pd.concat([seen("new"), seen("active", n=3), seen("prospect", n=9), seen("churned", "window_start", 50)])
    found = newcomers(chain(), entries, rules=NADC)
    # 2 out of prospect and 1 at the first contact in new, 3 in active; who was there before does not start
    assert dict(zip(found.chain.states, found.shares[0], strict=True)) == {
        "prospect": 0.0,
        "new": 0.5,
        "active": 0.5,
        "dormant": 0.0,
        "churned": 0.0,
    }
    assert found.n == 600
    assert found.shares.shape == (101, 5)


def test_times_of_newcomers_by_hand() -> None:
    new = newcomers(chain(), seen("new", n=0), rules=NADC)
    # all in new; then active: t_a = 7 and t_d = 6 periods, as (.4 t_a - .3 t_d = 1, -.2 t_a + .4 t_d = 1)
    assert months_to_lapse(new, horizon_months=None).value == pytest.approx(8.0)
    # within three months: 1 in new, 1 in active, then .9 not lapsed
    assert months_to_lapse(new, horizon_months=3).value == pytest.approx(2.9)
    curve = waiting_curve(new, horizon_months=3)
    # .1 leave in the second month; in the third .6 * .1 + .3 * .2
    assert curve.waiting.tolist() == pytest.approx([1.0, 1.0, 0.9, 0.78])
    assert curve.lower[:2].tolist() == [1.0, 1.0]
    reached = reached_before_lapse(new, horizon_months=2)
    assert {stage: found.value for stage, found in reached.items()} == pytest.approx(
        {"new": 1.0, "active": 1.0, "dormant": 0.3}
    )
    # for good .3 / .4: who is dormant only after a lapse does not count
    assert reached_before_lapse(new, horizon_months=200)["dormant"].value == pytest.approx(0.75)
    where = months_in_stages(new, horizon_months=3)
    assert {stage: found.value for stage, found in where.items()} == pytest.approx(
        {"new": 1.0, "active": 1.6, "dormant": 0.3}
    )


def test_months_in_stages_and_the_curve_add_up_to_the_time() -> None:
    found = newcomer_outcomes(newcomers(chain(), seen("active"), rules=NADC), horizon_months=11)
    assert sum(each.value for each in found.in_stages.values()) == pytest.approx(found.months.value)
    assert found.curve.waiting[:11].sum() == pytest.approx(found.months.value)
    assert found.curve.without[:, :11].sum(axis=1) == pytest.approx(found.months.leave_one_out)


def test_coming_back_from_risk_by_hand() -> None:
    asked: dict[str, Any] = {"stages": ["dormant"], "final": ["churned"], "start": "entry"}
    # .2 in the first month, .6 * .2 more in the second; for good .2 / .4
    assert coming_back(chain(), **asked, horizon_periods=2).estimates["dormant"].value == pytest.approx(0.32)
    assert coming_back(chain(), **asked, horizon_periods=200).estimates["dormant"].value == pytest.approx(0.5)
    assert list(coming_back(chain(), **asked, horizon_periods=2).estimates) == ["dormant"]


# -- customers who buy at random: the silence is all that matters, so chain and curve agree ---------------------------


@pytest.fixture(scope="module")
def random_buyers() -> dict[str, Any]:
    rng, start, days, n = np.random.default_rng(12), 18628, 730, 1500
    first = rng.integers(0, 360, n)
    rows = [(str(i), start + first[i]) for i in range(n)]
    for i in range(n):
        gaps = rng.exponential(60, 40)
        rows += [(str(i), start + int(day)) for day in first[i] + np.ceil(gaps.cumsum()) if day < days]
    bought = pd.DataFrame(rows, columns=["customer_id", "day"]).assign(
        is_return=False, amount_minor=100, currency="CNY"
    )
    people = pd.DataFrame({"customer_id": [str(i) for i in range(n)], "replicate": np.arange(n) % 100})
    tables = Tables({"customers": ibis.memtable(people), "transactions": ibis.memtable(bought)})
    window = {"observation_start_day": start, "as_of_day": start + days - 1, "history": "complete"}
    panel = {"scheme": "nadc", "thresholds": {}, "window_days": 120, "period": "month"} | window
    spells = spell_counts.execute(tables, window_days=120, entry="incident", by=[], **window)
    counted = {r.name: r.execute(tables, **panel) for r in (recency_counts, transition_counts, entry_counts)}
    passed = passage_counts.execute(tables, target="churned", prospects=["prospect"], **panel)
    return counted | {"spells": spells, "passage_counts": passed}


def test_chain_and_curve_of_random_buyers_agree_and_a_chain_that_forgets_does_not(random_buyers) -> None:
    asked = {"window_days": 120, "most_months": 18, "min_at_risk": 30, "level": 0.95}
    curve = declared_spells(random_buyers["spells"], **asked)
    horizon = int(curve.months[-1])
    assert horizon >= 15
    split = recency_chain(random_buyers["recency_counts"], stages=NADC.stages, min_moves=30)
    whole = stage_chain(random_buyers["transition_counts"], stages=NADC.stages, moves=None)
    found, naive = (
        newcomer_outcomes(newcomers(each, random_buyers["entry_counts"], rules=NADC), horizon_months=horizon)
        for each in (split, whole)
    )
    read = read_at_month_ends(random_buyers["passage_counts"], n_months=horizon, level=0.95)
    held = agreement(found, curve, read=read, naive=naive)
    assert abs(held.memory.value) < 0.3
    assert abs(held.largest) < 0.03
    assert held.naive_largest > 0.04
    assert held.memory.value + held.reading.value == pytest.approx(held.chain.value - held.curve.value)
    # a silence of 121 to 150 days may end before a month does: the curve counts it, months' ends do not
    assert held.reading.lower > 0.5
    assert next(check.passed for check in agreement_checks(held)) == (held.memory.sign() == 0)
    # the end of the second month after is at most 92 days away, that of the third at most 122
    assert found.curve.waiting[2] > 0.999
    assert naive.curve.waiting[3] < found.curve.waiting[3] - 0.01


def test_the_truth_of_random_buyers_lies_near_what_the_chain_says(random_buyers) -> None:
    # simulated once more, with many customers: the first month's end with more than 120 days since the last purchase
    rng, n = np.random.default_rng(5), 40_000
    bought = np.concatenate([np.zeros((n, 1)), np.ceil(rng.exponential(60, (n, 30)).cumsum(axis=1))], axis=1)
    ends = rng.integers(0, 30, (n, 1)) + np.round(30.4375 * np.arange(12))
    silent = np.stack([end - np.where(bought <= end[:, None], bought, -1).max(axis=1) for end in ends.T], axis=1)
    truth = np.cumprod(silent <= 120, axis=1).mean(axis=0).sum()
    split = recency_chain(random_buyers["recency_counts"], stages=NADC.stages, min_moves=30)
    time = months_to_lapse(newcomers(split, random_buyers["entry_counts"], rules=NADC), horizon_months=12)
    assert time.lower - 0.1 < truth < time.upper + 0.1


# -- which move matters -----------------------------------------------------------------------------------------------


def test_shares_of_states_as_the_start_give_what_the_stage_gives() -> None:
    here = chain()
    outcome, final = time_outcome(here, target="churned", horizon_periods=12)
    shares = np.tile((np.array(here.states) == "active").astype(float), (101, 1))
    asked: dict[str, Any] = {"final": final, "start": "stock"}
    by_name, by_share = (elasticities(here, outcome, origin=o, **asked) for o in ("active", shares))
    pd.testing.assert_frame_equal(by_name.drop(columns="estimate"), by_share.drop(columns="estimate"))


def test_levers_are_moves_that_happen_and_touch_the_outcome() -> None:
    here = chain()
    outcome, final = time_outcome(here, target="churned", horizon_periods=12)
    asked: dict[str, Any] = {"final": final, "origin": "new", "start": "stock", "n_customers": {"dormant": 77}}
    found = elasticities(here, outcome, **asked, clock=[("dormant", "churned")])
    every = list(zip(found["from"], found["to"], strict=True))
    kept = levers(found, among=every, at_most=10)
    # staying, the clock, and prospects, who are not on the way from new, are left out; new has one way out
    assert set(zip(kept["from"], kept["to"], strict=True)) == {
        ("active", "dormant"),
        ("active", "churned"),
        ("dormant", "active"),
    }
    assert len(levers(found, among=every, at_most=2)) == 2
    assert len(levers(found, among=[("dormant", "active")], at_most=9)) == 1
    assert kept.set_index(["from", "to"])["estimate"][("dormant", "active")].n == 77


def test_moves_alike_are_those_whose_size_cannot_be_told_from_the_largest() -> None:
    rng = np.random.default_rng(1)
    rows = [(a, b, g, int(rng.poisson(n))) for (a, b), n in ROWS.items() for g in range(100)]
    here = stage_chain(
        pd.DataFrame(rows, columns=["from_stage", "to_stage", "replicate", "n"]), stages=NADC.stages, moves=None
    )
    outcome, final = time_outcome(here, target="churned", horizon_periods=12)
    found = elasticities(here, outcome, final=final, origin="new", start="stock")
    kept = levers(found, among=list(zip(found["from"], found["to"], strict=True)), at_most=10)
    same = alike(kept)
    sizes = kept["elasticity"].abs()
    assert (kept["from"][0], kept["to"][0]) not in same
    for pair, size, row in zip(zip(kept["from"], kept["to"], strict=True), sizes, kept["estimate"], strict=True):
        # far apart in units of the two intervals: not alike
        half = max(row.upper - row.lower, kept["estimate"][0].upper - kept["estimate"][0].lower)
        if sizes[0] - size > 2 * half:
            assert pair not in same
    twice = pd.concat([kept.head(1), kept.head(1)], ignore_index=True)
    assert len(alike(twice)) == 1


def test_a_move_that_would_be_more_than_certain_becomes_certain() -> None:
    P = np.array([[0.6, 0.1, 0.3], [0.2, 0.5, 0.3], [0, 0, 1]])
    rows, columns = np.array([True, True, False]), np.array([True, False, False])
    changed = reweighted(P, rows, columns, 2.0, at_most_certain=True)
    assert changed[0].tolist() == [1.0, 0.0, 0.0]
    # in the second row .2 becomes .4, and .5 and .3 share the other .6
    assert changed[1] == pytest.approx([0.4, 0.375, 0.225])
    here = chain()
    outcome, final = time_outcome(here, target="churned", horizon_periods=3)
    asked: dict[str, Any] = {"final": final, "origin": "active", "start": "stock", "unit": "months"}
    more = outcome_after_change(here, outcome, **asked, move=("active", "active"), factor=5, at_most_certain=True)
    assert more.value == pytest.approx(3.0 - (1 + 0.9 + 0.78))  # nobody leaves
    with pytest.raises(ModelError, match=r"a probability of 0.6 times 5 is above 1"):
        outcome_after_change(here, outcome, **asked, move=("active", "active"), factor=5)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_said_about_newcomers_is_refused() -> None:
    with pytest.raises(ModelError, match="one stage of lapsed customers; scheme 'ga4state' has none"):
        lapsed_stage(stage_rules("ga4state", window_days=120))
    assert lapsed_stage(stage_rules("aipl", window_days=120)) == "lapsed"
    amec = stage_rules("amec", window_days=120)
    none = stage_chain(moved({("maintain", "churn"): 1}), stages=amec.stages, moves=None)
    with pytest.raises(ModelError, match="before and after their first purchase into the stage 'acquire'"):
        newcomers(none, seen("maintain"), rules=amec)
    old = stage_chain(moved({("active", "churned"): 1}), stages=NADC.stages, moves=None)
    with pytest.raises(ModelError, match="first purchase was seen after the first month; came none"):
        newcomers(old, seen("active", "window_start"), rules=NADC)
    stuck = dict(ROWS) | {("dormant", "churned"): 0, ("active", "churned"): 0}
    with pytest.raises(ModelError, match="arrivals in 'churned' were seen in 0 groups"):
        months_to_lapse(
            newcomers(stage_chain(moved(stuck), stages=NADC.stages, moves=None), seen("new"), rules=NADC),
            horizon_months=3,
        )


# -- what was spent ---------------------------------------------------------------------------------------------------


def test_what_was_spent_is_a_mean_over_customer_months_in_units_of_the_currency() -> None:
    people = pd.DataFrame({"stage": "active", "currency": "", "replicate": range(100), "n": 4, "amount_minor": 0})
    paid = people.assign(currency="CNY", n=0, amount_minor=np.tile([1000, 3000], 50))
    other = people.assign(currency="JPY", n=0, amount_minor=7)
    counts = pd.concat([people, paid, other], ignore_index=True)
    found = spent_ahead(counts, stages=["active", "dormant"], currency="CNY")
    # 100 times 20 yuan on average over 400 customer-months
    assert found["active"].value == pytest.approx(5.0)
    assert list(found) == ["active"]
    assert spent_ahead(counts, stages=["active"], currency="JPY")["active"].value == pytest.approx(
        1.75
    )  # no minor unit
    assert spent_ahead(counts, stages=["active"], currency="CNY", n_customers={"active": 9})["active"].n == 9


def test_amounts_in_several_currencies_are_never_added_up() -> None:
    spend = pd.DataFrame({"currency": ["CNY", "USD"], "amount_minor": [5, 3]})
    with pytest.raises(ModelError, match="these are in CNY, USD, which are never added up"):
        only_currency(spend)
    assert only_currency(spend.query("currency == 'USD'")) == "USD"
    assert only_currency(spend.assign(amount_minor=[5, 0])) == "CNY"
    with pytest.raises(ModelError, match="needs amounts of money; came none"):
        only_currency(spend.head(0))
