"""Moves from a panel that somebody brings: against a row-by-row count, in any order, and what is refused."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import DataError
from lcm_research.stages.stored import stored_panel_counts

STAGES = ["new", "active", "dormant"]


def counted(panel: pd.DataFrame, **options: object) -> pd.DataFrame:
    told = {"stages": STAGES, "first_period": 0, "last_period": 4} | options
    return stored_panel_counts(ibis.duckdb.connect().create_table("panel", panel), **told)  # type: ignore[arg-type]


def row_by_row(panel: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Every row beside the one of the period before, if there is one."""
    before = panel.assign(period=panel["period"] + 1)[["customer_id", "period", "stage"]]
    both = panel.merge(before, on=["customer_id", "period"], suffixes=("", "_before"))
    both = both.rename(columns={"stage_before": "from_stage", "stage": "to_stage"})
    keys = ["from_stage", "to_stage", "period", *by, "replicate"]
    return both.groupby(keys).size().reset_index(name="n")


def random_panel(n_customers: int, n_periods: int, stages: list[str], seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    customer, period = (x.ravel() for x in np.indices((n_customers, n_periods)))
    panel = pd.DataFrame({"customer_id": [f"c{c}" for c in customer], "period": period.astype("int64") - 3})
    panel["stage"] = np.array(stages)[rng.integers(0, len(stages), len(panel))]
    panel["region"] = np.array(["n", "s"])[customer % 2]
    panel["replicate"] = (customer % 7).astype("int64")
    return panel[rng.random(len(panel)) < 0.8].sample(frac=1, random_state=seed)


def test_moves_are_counted_where_two_periods_follow_one_another() -> None:
    # a: new, active, (no row), dormant, dormant: moves into 1 and 4; the gap is none. b: a stage that is not asked for
    panel = pd.DataFrame(
        {
            "customer_id": ["a"] * 4 + ["b"] * 3,
            "period": [0, 1, 3, 4, 0, 1, 2],
            "stage": ["new", "active", "dormant", "dormant", "new", "unknown", "active"],
            "replicate": [5] * 7,
        }
    )
    assert counted(panel).values.tolist() == [["dormant", "dormant", 4, 5, 1], ["new", "active", 1, 5, 1]]


@pytest.mark.parametrize(("n_periods", "n_stages"), [(2, 3), (24, 5), (60, 2), (61, 7), (70, 1)])
def test_counts_are_those_of_every_row_beside_the_one_before(n_periods: int, n_stages: int) -> None:
    stages = [f"s{i}" for i in range(n_stages)]
    panel = random_panel(30, n_periods, stages, seed=n_periods)
    found = counted(panel, stages=stages, first_period=-3, last_period=n_periods - 4, by=["region"])
    pd.testing.assert_frame_equal(found, row_by_row(panel, "region"))


def test_periods_outside_are_left_out() -> None:
    panel = random_panel(20, 10, STAGES, seed=1)
    inside = panel[panel["period"].between(0, 4)]
    pd.testing.assert_frame_equal(counted(panel), row_by_row(inside))


def test_the_replicate_is_made_where_the_panel_has_none() -> None:
    panel = random_panel(50, 8, STAGES, seed=2).drop(columns="replicate")
    found = counted(panel)
    assert found["replicate"].nunique() > 20
    assert found["n"].sum() == row_by_row(panel[panel["period"].between(0, 4)].assign(replicate=0))["n"].sum()


def test_several_rows_of_a_customer_and_period_are_refused() -> None:
    panel = random_panel(20, 8, STAGES, seed=3)
    twice = pd.concat([panel, panel[panel["period"] == 2].head(2)])
    with pytest.raises(DataError, match="2 customers have several in a period"):
        counted(twice)


def test_one_period_is_refused() -> None:
    with pytest.raises(DataError, match="first_period=3 and last_period=3"):
        counted(random_panel(2, 3, STAGES, seed=4), first_period=3, last_period=3)


def test_it_compiles_for_spark() -> None:
    from ibis.backends.sql.compilers.pyspark import compiler

    from lcm_research.stages.stored import _packed, _places

    panel = ibis.table({"customer_id": "string", "period": "int64", "stage": "string"}, name="panel")
    packed = _packed(panel, STAGES, _places(2, 0, 40), [])
    assert compiler.to_sqlglot(packed).sql("spark").startswith("SELECT")
