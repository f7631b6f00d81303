"""Counted moves as arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.transitions.counts import customers_behind, customers_by_stage, moves_by_group, moves_by_period

COUNTS = pd.DataFrame(
    [("2021-02-01", "a", "b", 7, 2), ("2021-01-01", "a", "a", 7, 5), ("2021-01-01", "b", "a", 0, 3)],
    columns=["period_start", "from_stage", "to_stage", "replicate", "n"],
)


def test_moves_lie_by_group_then_from_then_to() -> None:
    grouped = moves_by_group(COUNTS, stages=["a", "b"])
    assert grouped.shape == (100, 2, 2)
    assert grouped[7].tolist() == [[5, 2], [0, 0]]
    assert grouped[0].tolist() == [[0, 0], [3, 0]]


def test_periods_come_in_order() -> None:
    periods, moves = moves_by_period(COUNTS, stages=["a", "b"])
    assert periods == ["2021-01-01", "2021-02-01"]
    assert moves[0].tolist() == [[5, 0], [3, 0]]
    assert moves[1].tolist() == [[0, 2], [0, 0]]


def test_heads_are_counted_apart_from_moves() -> None:
    heads = pd.DataFrame(
        [("a", "a", 0, 4), ("a", "b", 1, 2), ("a", "(any)", 0, 5)],
        columns=["from_stage", "to_stage", "replicate", "n_customers"],
    )
    moved, started = customers_behind(heads, stages=["a", "b"])
    assert moved.tolist() == [[4, 2], [0, 0]]
    assert started.tolist() == [5, 0]


def test_shares_of_a_month_leave_the_unknown_out() -> None:
    stock = pd.DataFrame(
        [
            ("2021-01-01", "a", 3, 8),
            ("2021-01-01", "b", 4, 2),
            ("2021-01-01", "unknown", 4, 90),
            ("2020-12-01", "a", 3, 1),
        ],
        columns=["period_start", "stage", "replicate", "n"],
    )
    shares = customers_by_stage(stock, stages=["a", "b"], period_start="2021-01-01")
    assert [(int(events.sum()), int(n.sum())) for events, n in shares.values()] == [(8, 10), (2, 10)]
    none = customers_by_stage(stock, stages=["a", "b"], period_start="2022-01-01")
    assert not np.any([n.any() for _, n in none.values()])


def test_an_undeclared_stage_is_refused() -> None:
    with pytest.raises(ModelError, match=r"holds \['b'\], which is not among"):
        moves_by_group(COUNTS, stages=["a"])
    heads = pd.DataFrame({"from_stage": ["x"], "to_stage": ["(any)"], "replicate": [0], "n_customers": [1]})
    with pytest.raises(ModelError, match="name the stage 'x'"):
        customers_behind(heads, stages=["a"])
