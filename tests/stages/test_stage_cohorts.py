"""Moves by cohort, and the customers behind pairs of moves and stays: each against the panel, row by row."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.data.reduction import Reduction, Tables
from lcm_research.errors import StudyError
from lcm_research.stages.cohorts import AT_START, cohort_counts
from lcm_research.stages.dwell import OPEN, customers_by_pair, customers_by_stay, dwell_counts, second_order_counts
from lcm_research.stages.panel import ANY, stage_panel, transition_counts
from lcm_research.stages.rules import stage_rules

START, AS_OF = 18628, 19174  # 2021-01-01 to 2022-07-01: 18 whole months
WINDOW: dict[str, Any] = {"observation_start_day": START, "as_of_day": AS_OF, "history": "from_observation_start"}
OPTIONS = WINDOW | {"scheme": "nadc", "thresholds": {}, "window_days": 120, "period": "month"}
RULES = stage_rules("nadc", window_days=120)


@pytest.fixture(scope="module")
def tables() -> Tables:
    rng = np.random.default_rng(8)
    bought = pd.DataFrame({"customer_id": rng.integers(0, 150, 900).astype(str)})
    bought["day"] = rng.integers(18400, 19200, 900)
    bought = bought.assign(is_return=False, amount_minor=100, currency="CNY")
    people = pd.DataFrame({"customer_id": np.arange(150).astype(str), "replicate": np.arange(150) % 100})
    people["region"] = np.where(np.arange(150) % 3 == 0, "north", "south")
    seen = bought.groupby("customer_id")["day"].min() - rng.integers(0, 90, bought["customer_id"].nunique())
    people["first_seen_at_day"] = people["customer_id"].map(seen).fillna(18700).astype("int64")
    late = np.arange(150) % 2 == 1  # half of them came inside the window
    people.loc[late, "first_seen_at_day"] = rng.integers(START, AS_OF - 90, late.sum())
    first = people.set_index("customer_id")["first_seen_at_day"]
    bought = bought[bought["day"] >= bought["customer_id"].map(first)]
    return Tables({"customers": ibis.memtable(people), "transactions": ibis.memtable(bought)})


@pytest.fixture(scope="module")
def panel(tables: Tables) -> pd.DataFrame:
    rows = stage_panel(tables, rules=RULES, **WINDOW, by=["region"]).to_pandas()
    rows = rows.sort_values(["customer_id", "period"], ignore_index=True)
    rows["stage"] = [RULES.stages[code] if code >= 0 else "unknown" for code in rows["code"]]
    return rows


def run(reduction: Reduction, tables: Tables, **more: Any) -> pd.DataFrame:
    return reduction.execute(tables, **OPTIONS, **more)


def same(found: pd.DataFrame, expected: pd.Series, columns: list[str], count: str) -> None:
    got = found.set_index(columns)[count].sort_index()
    pd.testing.assert_series_equal(got, expected.sort_index(), check_names=False, check_index_type=False)


@pytest.mark.parametrize(("cohort", "months"), [("month", 1), ("quarter", 3), ("year", 12)])
def test_a_cohort_is_the_calendar_period_of_the_first_row_of_the_panel(
    tables: Tables, panel: pd.DataFrame, cohort: str, months: int
) -> None:
    rows = []
    for _, own in panel.groupby("customer_id"):
        met, stages = int(own["period"].iloc[0]), own["stage"].tolist()
        year, month = 2021 + met // 12, met % 12 // months * months + 1
        name = AT_START if met == 0 else f"{year}-{month:02d}-01"
        told = (name, int(own["replicate"].iloc[0]))
        rows += [(a, b, *told) for a, b in pairwise(stages) if "unknown" not in (a, b)]
    columns = ["from_stage", "to_stage", "cohort", "replicate"]
    expected = pd.DataFrame(rows, columns=columns).value_counts()
    found = run(cohort_counts, tables, cohort=cohort)
    same(found, expected, columns, "n")
    assert sorted(found["cohort"].unique())[0] == AT_START
    assert found["cohort"].nunique() > 1


def test_cohorts_add_up_to_all_moves(tables: Tables) -> None:
    keys = ["from_stage", "to_stage", "region", "replicate"]
    whole = run(transition_counts, tables, by=["region"]).groupby(keys)["n"].sum()
    split = run(cohort_counts, tables, cohort="quarter", by=["region"]).groupby(keys)["n"].sum()
    pd.testing.assert_series_equal(split, whole)


def test_an_unknown_length_of_cohorts_is_refused(tables: Tables) -> None:
    with pytest.raises(StudyError, match="expected cohort 'month', 'quarter' or 'year'; came 'week'"):
        run(cohort_counts, tables, cohort="week")


def test_customers_behind_pairs_are_counted_once_however_many_months(tables: Tables, panel: pd.DataFrame) -> None:
    rows = []
    for _, own in panel.groupby("customer_id"):
        stages, group = own["stage"].tolist(), int(own["replicate"].iloc[0])
        threes = {tuple(stages[k : k + 3]) for k in range(len(stages) - 2) if "unknown" not in stages[k : k + 3]}
        rows += [(*three, group) for three in threes]
        rows += [(a, b, ANY, group) for a, b in {three[:2] for three in threes}]
        rows += [(ANY, b, ANY, group) for b in {three[1] for three in threes}]
    columns = ["before_stage", "from_stage", "to_stage", "replicate"]
    found = run(customers_by_pair, tables)
    same(found, pd.DataFrame(rows, columns=columns).value_counts(), columns, "n_customers")
    moved = found[found["to_stage"] != ANY]
    assert moved["n_customers"].sum() < run(second_order_counts, tables)["n"].sum()


def test_a_customer_stands_behind_a_stay_for_as_long_as_one_could_be_seen_to_end(tables: Tables) -> None:
    found = run(customers_by_stay, tables).groupby(["stage", "longest_periods"])["n_customers"].sum()
    # by hand from single customers: count stays with each customer as a segment of their own
    alone = Tables(
        {
            "customers": tables["customers"].mutate(region=tables["customers"].customer_id),
            "transactions": tables["transactions"],
        }
    )
    stays = run(dwell_counts, alone, by=["region"])
    stays = stays[stays["start_observed"]]
    stays["at_risk"] = stays["dwell_periods"] - (stays["next_stage"] == OPEN)
    longest = stays.groupby(["stage", "region"])["at_risk"].max().reset_index()
    expected = longest.groupby(["stage", "at_risk"]).size()
    assert found.to_dict() == expected.to_dict()
    assert (found.index.get_level_values("longest_periods") == 0).any()
