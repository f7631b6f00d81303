"""Counts from gaps are those of the dense panel, exactly, for every scheme, and kinds of gaps are few."""

from __future__ import annotations

from datetime import date
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheme_oracle import month_ends
from test_stage_schemes import NEW, random_people, rules_of, seeded, tables_of

from lcm_research.data.reduction import Tables
from lcm_research.stages.alike import compares_with_numbers, days_alike
from lcm_research.stages.calendar import months
from lcm_research.stages.gaps import gaps_of
from lcm_research.stages.panel import UNKNOWN, panel_of, stage_stock, transition_counts
from lcm_research.stages.rules import StageRules, stage_rules

EPOCH = date(1970, 1, 1)
START, AS_OF = (date(2021, 1, 1) - EPOCH).days, (date(2022, 3, 31) - EPOCH).days
LEAP = {"observation_start_day": (date(2023, 12, 10) - EPOCH).days, "as_of_day": (date(2024, 12, 31) - EPOCH).days}
WINDOW: dict[str, Any] = {"observation_start_day": START, "as_of_day": AS_OF, "period": "month"}
FAMILY = ["nadc", "nadcr", "pnmc", "acamc", "aipl", "arg"]
"""Schemes whose rules compare each quantity with numbers only."""


def of_the_panel(made: Tables, **options: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Moves and stock, counted in pandas from the rows of the dense panel."""
    panel, rules = panel_of(made, **options)
    rows, by = panel.to_pandas(), [*options.get("by", ()), "replicate"]
    moved = rows[(rows["code"] >= 0) & (rows["was"] >= 0)]
    names = np.array([*rules.stages, UNKNOWN], dtype=object)
    moved = moved.assign(from_stage=names[moved["was"].astype(int)], to_stage=names[moved["code"].astype(int)])
    rows = rows.assign(stage=names[rows["code"]])
    keys = ["period_start", *by, "from_stage", "to_stage"], ["period_start", *by, "stage"]
    return moved.groupby(keys[0]).size().reset_index(name="n"), rows.groupby(keys[1]).size().reset_index(name="n")


def assert_same_counts(made: Tables, rules: StageRules, **options: Any) -> pd.DataFrame:
    told = rules.parameters() | WINDOW | options
    moves, stock = transition_counts.execute(made, **told), stage_stock.execute(made, **told)
    dense_moves, dense_stock = of_the_panel(made, **told)
    pd.testing.assert_frame_equal(moves, dense_moves)
    pd.testing.assert_frame_equal(stock, dense_stock)
    return moves


OTHERS = [scheme for scheme in NEW if scheme not in FAMILY]
CASES = [(scheme, history) for scheme in FAMILY for history in ("complete", "from_observation_start")]
CASES += [(scheme, ("complete", "from_observation_start")[at % 2]) for at, scheme in enumerate(OTHERS)]


@pytest.mark.parametrize(("scheme", "history"), CASES)
@settings(seeded, max_examples=1)
@given(seed=st.integers(0, 2**32 - 1))
def test_counts_are_those_of_the_dense_panel(scheme: str, history: str, seed: int) -> None:
    assert_same_counts(tables_of(random_people(seed, 60)), rules_of(scheme), history=history)


@settings(seeded, max_examples=6)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_whatever_the_thresholds(seed: int, data: st.DataObject) -> None:
    scheme = data.draw(st.sampled_from(["nadc", "nadcr", "pnmc", "acamc"]))
    history = data.draw(st.sampled_from(["complete", "from_observation_start"]))
    days = sorted(data.draw(st.lists(st.integers(1, 200), min_size=3, max_size=3, unique=True)))
    own: dict[str, dict[str, float]] = {
        "nadc": {"w_new": days[0], "w_active": days[1]},
        "nadcr": {"w_new": days[0], "w_active": days[1]},
        "pnmc": {"n_mature": data.draw(st.integers(2, 6)), "t_mature": days[0]},
        "acamc": {"w": days[0], "w_active": days[1], "n_active": data.draw(st.integers(2, 4))},
    }
    rules = stage_rules(scheme, window_days=days[2], thresholds=own[scheme])
    assert_same_counts(tables_of(random_people(seed, 60)), rules, history=history)


def beside_month_ends(seed: int, size: int = 150) -> Tables:
    """Purchases on and beside month ends of a leap year and the thresholds before them, several on one day."""
    rng = np.random.default_rng(seed)
    ends = month_ends(LEAP["observation_start_day"], LEAP["as_of_day"])
    n_near = rng.integers(0, 6, size)
    near = rng.choice(ends, n_near.sum()) - rng.choice([-1, 0, 1, 28, 29, 30, 31, 59, 60, 61, 180, 181], n_near.sum())
    ids = np.array([f"c{i}" for i in range(size)])
    bought = pd.DataFrame({"customer_id": np.repeat(ids, n_near), "day": near.astype("int64")})
    bought = pd.concat([bought, bought.sample(frac=0.3, random_state=seed)], ignore_index=True)
    bought["is_return"] = rng.random(len(bought)) < 0.15
    seen = rng.integers(ends[0] - 200, ends[-1] + 20, size)
    customers = pd.DataFrame({"customer_id": ids, "replicate": np.arange(size) % 10})
    customers["first_seen_at_day"] = pd.array(np.where(rng.random(size) < 0.3, pd.NA, seen), dtype="Int64")
    customers["region"], customers["member"] = rng.choice(["n", "s"], size), rng.choice(["y", "n"], size)
    return Tables({"customers": ibis.memtable(customers), "transactions": ibis.memtable(bought)})


@settings(seeded, max_examples=3)
@given(seed=st.integers(0, 2**32 - 1), history=st.sampled_from(["complete", "from_observation_start"]))
def test_month_ends_of_a_leap_year_several_purchases_a_day_and_segments(seed: int, history: str) -> None:
    made = beside_month_ends(seed)
    for scheme in ("nadc", "nadcr", "ga4state"):
        options = LEAP | {"history": history, "by": ["member", "region"]}
        moves = assert_same_counts(made, stage_rules(scheme, window_days=180), **options)
        assert history != "complete" or moves["n"].sum() > 100


def test_cuts_that_differ_by_period_are_those_of_each_period_end() -> None:
    starts = months(observation_start_day=START, as_of_day=AS_OF)["period_start"]
    cut = {start: 1000.0 * at for at, start in enumerate(starts)}
    rules = stage_rules("keynode5", window_days=180, thresholds={"m_cut": cut})
    assert_same_counts(tables_of(random_people(3, 80)), rules, history="complete")


def test_stages_that_are_held_on_to_or_counted_in_a_row_come_from_the_panel() -> None:
    made = tables_of(random_people(5, 40))
    assert_same_counts(made, rules_of("nadc"), history="complete", confirm_periods=2, min_dwell=3)


def test_schemes_that_compare_with_numbers_are_told_from_the_others() -> None:
    told = {scheme: compares_with_numbers(rules_of(scheme)) for scheme in {*FAMILY, *NEW}}
    assert {scheme for scheme, can in told.items() if can} == {*FAMILY, "pal"}


@pytest.mark.parametrize(
    ("condition", "can"),
    [
        ("r <= 60", True),
        ("not (r > 30 * 2 or n = 1)", True),
        ("r_before < length_before", True),
        ("r <= u", False),
        ("r + 5 <= 60", False),
        ("r between 3 and 60", False),
        ("coalesce(r, 0) <= 60", False),
        ("m_w <= 60", False),
    ],
)
def test_a_rule_is_read_for_what_it_compares(condition: str, can: bool) -> None:
    scheme = {
        "scheme": "own",
        "version": 1,
        "title": {"en": "own", "zh": "own"},
        "thresholds": {"w": {"default": 60, "unit": "days", "grid": [60], "meaning": {"en": "w", "zh": "w"}}},
        "stages": {name: {"name": {"en": name, "zh": name}, "coarse": "new"} for name in ("a", "b")},
        "rules": [
            {"stage": "a", "when": condition, "words": {"en": "a", "zh": "a"}},
            {"stage": "b", "when": "n >= 0", "words": {"en": "b", "zh": "b"}},
        ],
    }
    rules = stage_rules(scheme, window_days=180)
    assert compares_with_numbers(rules) is can
    assert_same_counts(tables_of(random_people(8, 40)), rules, history="complete")


def test_days_count_as_one_only_where_every_month_end_sees_them_alike() -> None:
    # one threshold of 30 days. Jan 31 sees Jan 1 on it and every later day below it; Feb 28 sees Jan 29 on it, the days
    # before beyond it and Jan 30 and 31 below it; from Mar 31 on all are beyond it
    calendar = months(observation_start_day=START, as_of_day=AS_OF)
    rules = stage_rules("pnmc", window_days=30, thresholds={"t_mature": 30})
    alike = days_alike(rules, calendar).set_index("day")["counts_as"]
    january = alike.loc[START : START + 30] - START + 1
    assert january.groupby(january).size().to_dict() == {1: 1, 28: 27, 29: 1, 31: 2}
    assert (alike.loc[: START - 40] == alike.iloc[0]).all()


def test_kinds_of_gaps_do_not_grow_with_the_customers() -> None:
    made = beside_month_ends(1, size=4000)
    calendar = months(**LEAP)
    window: dict[str, Any] = {"observation_start_day": LEAP["observation_start_day"], "history": "complete"}
    gaps = gaps_of(made, rules=stage_rules("nadc", window_days=180), ends=calendar, **window).table
    kinds, customers = gaps.aggregate(kinds=gaps.count(), customers=gaps.n_customers.sum()).to_pandas().iloc[0]
    assert customers > 4000
    assert kinds < customers / 1.5


@pytest.mark.parametrize("scheme", ["nadcr", "acamc", "ga4state"])
def test_counts_compile_for_spark(scheme: str) -> None:
    from ibis.backends.sql.compilers.pyspark import compiler

    told = rules_of(scheme).parameters() | WINDOW | {"history": "from_observation_start"}
    for counts in (transition_counts, stage_stock):
        expression = counts(tables_of(random_people(1, 5)), **told)
        assert compiler.to_sqlglot(expression).sql("spark").startswith("SELECT")
