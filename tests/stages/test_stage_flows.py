"""Flows over longer steps: counted from the panel row by row, and not the sum of single moves."""

from __future__ import annotations

import itertools
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.data.reduction import Tables
from lcm_research.errors import ModelError
from lcm_research.stages.flows import ENTERED, flow_counts_between, step_ends
from lcm_research.stages.panel import UNKNOWN, stage_panel, stage_stock, transition_counts
from lcm_research.stages.rules import stage_rules

START, AS_OF = 18628, 18992  # 2021-01-01 to 2021-12-31: 12 whole months
RULES = stage_rules("nadc", window_days=90)
WINDOW: dict[str, Any] = {"observation_start_day": START, "as_of_day": AS_OF, "history": "from_observation_start"}
OPTIONS = RULES.parameters() | WINDOW | {"period": "month"}
ENDS = ["2021-03-01", "2021-06-01", "2021-09-01", "2021-12-01"]


@pytest.fixture(scope="module")
def tables() -> Tables:
    rng = np.random.default_rng(5)
    bought = pd.DataFrame({"customer_id": rng.integers(0, 120, 500).astype(str)})
    bought["day"] = rng.integers(18500, 19000, 500)
    bought = bought.assign(is_return=False, amount_minor=100, currency="CNY")
    people = pd.DataFrame({"customer_id": np.arange(120).astype(str), "replicate": np.arange(120) % 100})
    seen = bought.groupby("customer_id")["day"].min()
    people["first_seen_at_day"] = people["customer_id"].map(seen).fillna(18700).astype("int64")
    return Tables({"customers": ibis.memtable(people), "transactions": ibis.memtable(bought)})


def test_flows_are_the_stages_at_two_ends_of_each_customer(tables: Tables) -> None:
    rows = []
    panel = stage_panel(tables, rules=RULES, **WINDOW).to_pandas()
    for _, own in panel.groupby("customer_id"):
        stage = {
            p: RULES.stages[c] if c >= 0 else UNKNOWN for p, c in zip(own["period_start"], own["code"], strict=True)
        }
        group = int(own["replicate"].iloc[0])
        rows += [(b, stage.get(a, ENTERED), stage[b], group) for a, b in itertools.pairwise(ENDS) if b in stage]
    columns = ["period_start", "from_stage", "to_stage", "replicate"]
    expected = pd.DataFrame(rows, columns=columns).value_counts().rename("n").sort_index()
    found = flow_counts_between.execute(tables, **OPTIONS, periods=ENDS).set_index(columns)["n"].sort_index()
    pd.testing.assert_series_equal(found, expected, check_index_type=False)
    origins = set(found.index.get_level_values("from_stage"))
    assert {ENTERED, UNKNOWN} <= origins


def test_steps_of_a_month_are_the_moves_and_every_step_ends_in_the_stock(tables: Tables) -> None:
    months = [f"2021-{m:02d}-01" for m in range(1, 13)]
    keys = ["period_start", "from_stage", "to_stage", "replicate"]
    single = flow_counts_between.execute(tables, **OPTIONS, periods=months)
    known = single[~single["from_stage"].isin([ENTERED, UNKNOWN]) & (single["to_stage"] != UNKNOWN)]
    moves = transition_counts.execute(tables, **OPTIONS)
    pd.testing.assert_series_equal(
        known.set_index(keys)["n"].sort_index(), moves.set_index(keys)["n"].sort_index(), check_index_type=False
    )
    reached = (
        flow_counts_between.execute(tables, **OPTIONS, periods=ENDS).groupby(["period_start", "to_stage"])["n"].sum()
    )
    stock = stage_stock.execute(tables, **OPTIONS).groupby(["period_start", "stage"])["n"].sum()
    assert (stock.reindex(reached.index.set_names(["period_start", "stage"])).to_numpy() == reached.to_numpy()).all()


def test_months_that_are_not_there_are_refused(tables: Tables) -> None:
    with pytest.raises(ModelError, match="starts on 2020-12-01; they run from 2021-01-01 to 2021-12-01"):
        flow_counts_between.execute(tables, **OPTIONS, periods=["2020-12-01", "2021-03-01"])
    with pytest.raises(ModelError, match="came 1 period: 2021-03-01"):
        flow_counts_between.execute(tables, **OPTIONS, periods=["2021-03-01", "2021-03-01"])


def test_steps_are_counted_back_from_the_last_month() -> None:
    months = [f"2021-{m:02d}-01" for m in range(1, 13)]
    assert step_ends(months[::-1], step_periods=3, most=3) == ["2021-06-01", "2021-09-01", "2021-12-01"]
    assert step_ends(months[:4], step_periods=3, most=5) == ["2021-01-01", "2021-04-01"]
    with pytest.raises(ModelError, match=r"flows over 3 months need more .* came 3; choose a shorter step"):
        step_ends(months[:3], step_periods=3, most=5)
    with pytest.raises(ModelError, match="step_periods=0"):
        step_ends(months, step_periods=0, most=5)
    with pytest.raises(ModelError, match="came 0"):
        step_ends([], step_periods=1, most=5)
