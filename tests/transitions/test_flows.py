"""Flows over longer steps: stocks that add up, shares by hand, and small groups that nobody can work out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.errors import ModelError
from lcm_research.stages.flows import ENTERED
from lcm_research.stages.panel import UNKNOWN
from lcm_research.transitions.flows import StageFlows, stage_flows

STAGES = ("a", "b", "c")
PERIODS = ["2021-03-01", "2021-06-01", "2021-09-01"]


def counts(rows: list[tuple[str, str, str, int]]) -> pd.DataFrame:
    """Spread each count over the groups, as evenly as it goes."""
    spread = [
        (period, a, b, g, n // 100 + (g < n % 100))
        for period, a, b, n in rows
        for g in range(100)
        if n // 100 + (g < n % 100)
    ]
    return pd.DataFrame(spread, columns=["period_start", "from_stage", "to_stage", "replicate", "n"])


ROWS = [
    *[
        ("2021-06-01", *move)
        for move in (("a", "a", 60), ("a", "b", 40), ("b", "b", 50), ("b", "a", 4), (UNKNOWN, "c", 30))
    ],
    *[
        ("2021-09-01", *move)
        for move in (("a", "a", 50), ("a", "b", 14), ("b", "b", 70), ("b", "c", 20), ("c", "c", 30))
    ],
    ("2021-09-01", ENTERED, "a", 25),
    ("2021-09-01", UNKNOWN, UNKNOWN, 99),
]


def made() -> StageFlows:
    return stage_flows(counts(ROWS), periods=PERIODS, stages=STAGES)


def test_stocks_are_what_flows_out_and_what_flows_in() -> None:
    found = made()
    assert found.stock(0).tolist() == [100, 54, 0]
    assert found.stock(1).tolist() == [64, 90, 30]  # 60 + 4, 40 + 50, 30 whose stage became known
    assert found.stock(2).tolist() == [75, 84, 50]
    assert found.step_months == 3


def test_shares_and_changes_by_hand() -> None:
    found = made()
    assert found.share(0, "a", "b").value == pytest.approx(0.4)
    assert found.share(0, "a", "b").n == 100
    # of 184 in the second column 14 + 20 are elsewhere in the third; who enters does not count
    assert found.changed(1).value == pytest.approx(34 / 184)
    assert found.largest_change(1, min_group=10) == ("b", "c")
    assert found.largest_change(1, min_group=21) is None
    with pytest.raises(ModelError, match="nobody was in 'c' at the end of 2021-03-01"):
        found.share(0, "c", "a")


def test_a_small_flow_is_hidden_with_others_that_would_give_it_away() -> None:
    found = made()
    hidden = found.hidden(0, min_group=10)
    # 4 from b to a; 50 from b to b gives it away along the row, 60 from a to a down the column, and 40 from a to b both
    assert hidden.tolist() == [[True, True, False], [True, True, False], [False] * 3, [False] * 3]
    assert not found.hidden(1, min_group=10).any()
    assert found.left_out(min_group=10) == pytest.approx(154 / (184 + 209))
    assert found.smallest_shown(min_group=10) == 14
    table = found.table(0, min_group=10)
    assert table[["from", "to"]].to_numpy().tolist()[-1] == [ENTERED, "c"]
    assert [row for row in table["n_customers"] if row is not None] == [30]
    assert table["share"].isna().all()
    told = found.table(1, min_group=10).set_index(["from", "to"])
    assert told.loc[("b", "c"), "share"].value == pytest.approx(20 / 90)
    assert told.loc[(ENTERED, "a"), "n_customers"] == 25


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=12, max_size=12))
def test_no_hidden_flow_is_the_only_one_of_its_row_or_column(sizes: list[int]) -> None:
    n = np.zeros((1, 100, 4, 3))
    n[0, 0] = np.reshape(sizes, (4, 3))
    found = StageFlows(stages=STAGES, periods=tuple(PERIODS[:2]), n=n)
    hidden = found.hidden(0, min_group=10)
    flows = n[0, 0]
    assert hidden[(flows > 0) & (flows < 10)].all()
    assert not hidden[flows == 0].any()
    for sizes_of, mask in ((flows, hidden), (flows.T, hidden.T)):
        alone = (mask.sum(axis=1) == 1) & ((sizes_of > 0).sum(axis=1) > 1)
        assert not alone.any()


def test_columns_before_anybodys_stage_was_known_are_left_out() -> None:
    first_unknown = counts([("2021-06-01", UNKNOWN, "a", 50), ("2021-09-01", "a", "b", 50)])
    assert stage_flows(first_unknown, periods=PERIODS, stages=STAGES).periods == ("2021-06-01", "2021-09-01")
    with pytest.raises(ModelError, match="none were counted: choose a shorter step"):
        stage_flows(first_unknown.iloc[:50], periods=PERIODS, stages=STAGES)
