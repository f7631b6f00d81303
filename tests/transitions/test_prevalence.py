"""Newcomers against what fitted rates expect of them, month by month."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS
from lcm_research.stages.dwell import OPEN
from lcm_research.transitions.moving_rates import MovingRates, moving_rates
from lcm_research.transitions.prevalence import prevalence

STAGES = ["active", "gone"]
RATES = np.array([[-0.5, 0.5], [0.2, -0.2]])


@pytest.fixture(scope="module")
def rates() -> MovingRates:
    probability = expm(RATES)
    rows = [
        (STAGES[i], STAGES[j], group, 100 * probability[i, j])
        for i in range(2)
        for j in range(2)
        for group in range(N_GROUPS)
    ]
    counts = pd.DataFrame(rows, columns=["from_stage", "to_stage", "replicate", "n"])
    return moving_rates(counts, stages=STAGES, level=0.95)


def stays(rows: list[tuple[str, str, int, int, int]]) -> pd.DataFrame:
    """(from, to, entry, exit, n in each of the 100 groups)."""
    made = [(*row[:4], group, row[4]) for row in rows for group in range(N_GROUPS)]
    columns = ["from_stage", "to_stage", "entry_periods", "exit_periods", "replicate", "n"]
    return pd.DataFrame(made, columns=columns)


# 300 newcomers begin active; 100 go after a month and 100 after two, for good; all are followed for three months
LEAVING = stays(
    [
        ("active", "gone", 0, 1, 1),
        ("gone", OPEN, 1, 3, 1),
        ("active", "gone", 0, 2, 1),
        ("gone", OPEN, 2, 3, 1),
        ("active", OPEN, 0, 3, 1),
    ]
)


def test_observed_shares_are_stays_under_way_and_expected_ones_follow_the_rates(rates: MovingRates) -> None:
    found = prevalence(LEAVING, rates, fewest=300).rows.set_index(["months", "stage"])
    assert found["n_observed"].tolist() == [300, 0, 200, 100, 100, 200]
    assert set(found["n_followed"]) == {300}
    assert found.loc[(1, "active"), "observed"].value == pytest.approx(2 / 3)
    for month in range(3):
        expected = np.array([1.0, 0.0]) @ expm(RATES * month)
        assert found.loc[month, "share_expected"].tolist() == pytest.approx(expected, rel=1e-6)


def test_the_worst_gap_is_the_largest_either_way_that_may_be_published(rates: MovingRates) -> None:
    found = prevalence(LEAVING, rates, fewest=300)
    worst = found.worst(min_group=10)
    expected = (np.array([1.0, 0.0]) @ expm(RATES * 2))[1]
    assert (worst["months"], worst["stage"]) in [(2, "active"), (2, "gone")]
    assert abs(worst["gap"]) == pytest.approx(2 / 3 - expected, rel=1e-6)
    assert found.smallest_shown(min_group=10) == 100
    # with 100 in a month hidden the other stage of the month would give them away
    shown = found.shown(min_group=150)
    assert shown["months"].tolist() == [0, 0]
    assert found.worst(min_group=150)["months"] == 0
    somewhere = replace(found, rows=found.rows[found.rows["n_observed"] > 0])
    with pytest.raises(ModelError, match="no stage in any month holds 400 newcomers"):
        somewhere.worst(min_group=400)


def test_months_end_where_too_few_are_followed(rates: MovingRates) -> None:
    late = stays([("active", OPEN, 0, 6, 1)])
    both = pd.concat([LEAVING, late])
    assert prevalence(both, rates, fewest=101).rows["months"].max() == 2
    assert prevalence(both, rates, fewest=100).rows["months"].max() == 5
    with pytest.raises(ModelError, match="needs 401 of them followed for a month or more; came 400"):
        prevalence(both, rates, fewest=401)
    with pytest.raises(ModelError, match="came 0 at the start"):
        prevalence(both[:0], rates, fewest=10)


def test_stages_that_are_not_in_the_rates_are_left_out(rates: MovingRates) -> None:
    odd = pd.concat([LEAVING, stays([("prospect", "active", 0, 1, 5)])])
    assert prevalence(odd, rates, fewest=300).rows["n_followed"].max() == 300
