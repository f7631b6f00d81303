"""Pairs of moves, stays, entries, recency, spending and sequences: each against the panel itself, row by row."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.data.reduction import Reduction, Tables
from lcm_research.errors import ModelError, StudyError
from lcm_research.stages.calendar import months, period_of_each_day
from lcm_research.stages.dwell import (
    OPEN,
    dwell_counts,
    entry_counts,
    recency_counts,
    second_order_counts,
    sequence_counts,
    spend_by_recency,
    stay_counts,
)
from lcm_research.stages.panel import stage_panel, stage_stock, transition_counts
from lcm_research.stages.rules import stage_rules

START, AS_OF = 18628, 19174  # 2021-01-01 to 2022-07-01: 18 whole months
RULES = stage_rules("nadc", window_days=120)
OPTIONS: dict[str, Any] = {
    "scheme": "nadc",
    "thresholds": {},
    "window_days": 120,
    "period": "month",
    "observation_start_day": START,
    "as_of_day": AS_OF,
    "history": "from_observation_start",
}


@pytest.fixture(scope="module")
def tables() -> Tables:
    rng = np.random.default_rng(4)
    bought = pd.DataFrame({"customer_id": rng.integers(0, 150, 900).astype(str)})
    bought["day"] = rng.integers(18400, 19200, 900)
    bought = bought.assign(is_return=rng.random(900) < 0.05, amount_minor=rng.integers(100, 9000, 900))
    bought["currency"] = np.where(rng.random(900) < 0.9, "CNY", "USD")
    people = pd.DataFrame({"customer_id": np.arange(150).astype(str), "replicate": np.arange(150) % 100})
    seen = bought.groupby("customer_id")["day"].min() - rng.integers(0, 90, bought["customer_id"].nunique())
    people["first_seen_at_day"] = people["customer_id"].map(seen).fillna(18700).astype("int64")
    return Tables({"customers": ibis.memtable(people), "transactions": ibis.memtable(bought)})


@pytest.fixture(scope="module")
def panel(tables: Tables) -> pd.DataFrame:
    """The panel as rows, with the stage by name and the stage before, as a plain loop reads them."""
    window = {"observation_start_day": START, "as_of_day": AS_OF, "history": "from_observation_start"}
    rows = stage_panel(tables, rules=RULES, **window).to_pandas().sort_values(["customer_id", "period"])
    rows["stage"] = [RULES.stages[code] if code >= 0 else "unknown" for code in rows["code"]]
    return rows.reset_index(drop=True)


def run(reduction: Reduction, tables: Tables, **more: Any) -> pd.DataFrame:
    return reduction.execute(tables, **OPTIONS, **more)


def assert_counted(found: pd.DataFrame, rows: list[tuple], columns: list[str], count: str = "n") -> None:
    expected = pd.DataFrame(rows, columns=columns).value_counts().rename(count)
    got = found.set_index(columns)[count].sort_index()
    pd.testing.assert_series_equal(got, expected.sort_index(), check_names=False, check_index_type=False)


def test_pairs_of_moves_are_three_known_stages_in_a_row(tables: Tables, panel: pd.DataFrame) -> None:
    rows = []
    for _, own in panel.groupby("customer_id"):
        stages, group = own["stage"].tolist(), int(own["replicate"].iloc[0])
        rows += [(*stages[k : k + 3], group) for k in range(len(stages) - 2) if "unknown" not in stages[k : k + 3]]
    assert_counted(run(second_order_counts, tables), rows, ["before_stage", "from_stage", "to_stage", "replicate"])


def stays(panel: pd.DataFrame) -> list[tuple]:
    """(stage, next, entry, dwell, whether the start was seen, first period, replicate) of every stay of known stage."""
    rows = []
    for _, own in panel.groupby("customer_id"):
        stages, first, group = own["stage"].tolist(), int(own["period"].iloc[0]), int(own["replicate"].iloc[0])
        k = 0
        while k < len(stages):
            end = k
            while end + 1 < len(stages) and stages[end + 1] == stages[k]:
                end += 1
            after = stages[end + 1] if end + 1 < len(stages) else OPEN
            seen = first > 0 if k == 0 else stages[k - 1] != "unknown"
            if stages[k] != "unknown":
                rows.append((stages[k], after, k, end - k + 1, seen, first, group))
            k = end + 1
    return rows


def test_stays_are_unbroken_runs_of_a_stage(tables: Tables, panel: pd.DataFrame) -> None:
    rows = [(stage, after, dwell, seen, group) for stage, after, _, dwell, seen, _, group in stays(panel)]
    found = run(dwell_counts, tables)
    assert_counted(found, rows, ["stage", "next_stage", "dwell_periods", "start_observed", "replicate"])
    assert set(found["start_observed"]) == {False, True}


def test_stays_on_the_clock_of_a_customer_are_those_of_newcomers(tables: Tables, panel: pd.DataFrame) -> None:
    newcomers = [stay for stay in stays(panel) if stay[5] > 0]
    rows = [(stage, after, entry, entry + dwell, group) for stage, after, entry, dwell, _, _, group in newcomers]
    assert_counted(
        run(stay_counts, tables), rows, ["from_stage", "to_stage", "entry_periods", "exit_periods", "replicate"]
    )


def test_stock_is_moves_into_a_stage_and_entries(tables: Tables) -> None:
    keys = ["period_start", "stage"]
    entered = run(entry_counts, tables).groupby(keys)["n"].sum()
    moved = run(transition_counts, tables).rename(columns={"to_stage": "stage"}).groupby(keys)["n"].sum()
    stock = run(stage_stock, tables)
    stock = stock[stock["stage"] != "unknown"].groupby(keys)["n"].sum()
    pd.testing.assert_series_equal(entered.add(moved, fill_value=0).astype("int64"), stock)


def silent_rows(tables: Tables, panel: pd.DataFrame) -> pd.DataFrame:
    """The panel with whole silent periods in stages with a clock, missing before the first purchase of the window."""
    days = period_of_each_day(months(observation_start_day=START, as_of_day=AS_OF)).set_index("day")["period"]
    bought = tables["transactions"].to_pandas()
    bought = bought[~bought["is_return"]].assign(period=lambda t: t["day"].map(days)).dropna()
    periods = bought.groupby("customer_id")["period"].agg(sorted).to_dict()
    silent = []
    for customer, period, stage in panel[["customer_id", "period", "stage"]].itertuples(index=False):
        earlier = [p for p in periods.get(customer, []) if p <= period]
        clocked = stage in ("new", "active", "dormant")
        silent.append(0 if not clocked else period - max(earlier) if earlier else np.nan)
    return panel.assign(silent=silent)


def test_recency_counts_whole_silent_periods_in_stages_with_a_clock(tables: Tables, panel: pd.DataFrame) -> None:
    rows = []
    for _, own in silent_rows(tables, panel).groupby("customer_id"):
        ends = list(zip(own["stage"], own["silent"], strict=True))
        group = int(own["replicate"].iloc[0])
        known = [stage != "unknown" and not np.isnan(silent) for stage, silent in ends]
        rows += [
            (a[0], int(a[1]), b[0], int(b[1]), group)
            for a, b, before, now in zip(ends, ends[1:], known, known[1:], strict=False)
            if before and now
        ]
    found = run(recency_counts, tables)
    assert_counted(found, rows, ["from_stage", "from_silent", "to_stage", "to_silent", "replicate"])
    assert found["to_silent"].max() >= 4


def test_spending_lies_in_the_state_at_the_end_of_its_period(tables: Tables, panel: pd.DataFrame) -> None:
    rows = silent_rows(tables, panel)
    rows["before"] = rows.groupby("customer_id")["stage"].shift()
    rows["silent_before"] = rows.groupby("customer_id")["silent"].shift()
    days = period_of_each_day(months(observation_start_day=START, as_of_day=AS_OF)).set_index("day")["period"]
    spent = tables["transactions"].to_pandas().assign(period=lambda t: t["day"].map(days)).dropna()
    usable = (rows["stage"] != "unknown") & (rows["before"].fillna("unknown") != "unknown")
    usable &= rows["silent"].notna() & rows["silent_before"].notna()
    joined = rows[usable].merge(spent, on=["customer_id", "period"])
    expected = joined.groupby(["stage", "currency"])["amount_minor"].sum()
    found = run(spend_by_recency, tables).groupby(["stage", "currency"])["amount_minor"].sum()
    pd.testing.assert_series_equal(found, expected, check_index_type=False)


def test_a_sequence_is_a_number_whose_digits_are_stages(tables: Tables, panel: pd.DataFrame) -> None:
    rows = []
    for _, own in panel.groupby("customer_id"):
        codes = own["code"].tolist()[-5:]
        if len(codes) == 5 and min(codes) >= 0:
            rows.append((int("".join(map(str, codes)), 5), int(own["replicate"].iloc[0])))
    assert_counted(run(sequence_counts, tables, n_periods=4), rows, ["sequence", "replicate"])


def test_sequences_longer_than_the_window_or_the_limit_are_refused(tables: Tables) -> None:
    with pytest.raises(StudyError, match="from 2 to 12; came 13"):
        run(sequence_counts, tables, n_periods=13)
    short = OPTIONS | {"as_of_day": START + 100}
    with pytest.raises(ModelError, match="need 6 whole periods; the window holds 3; ask for 2"):
        sequence_counts.execute(tables, n_periods=5, **short)
