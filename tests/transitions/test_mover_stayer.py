"""Customers who never move: Frydman's estimates by hand, recovered from simulation, and no false alarm without them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from lcm_research.errors import ModelError
from lcm_research.stages.moves import Moves
from lcm_research.transitions.mover_stayer import mover_stayer, sequence_table

STAGES = ["a", "b"]


def sequences(rng: np.random.Generator, *, n_customers: int, n_periods: int, stayers: float) -> pd.DataFrame:
    """Customers begin in a; a share of them never leaves, the others stay with .8 in a and .6 in b."""
    stay, stage = rng.random(n_customers) < stayers, np.zeros(n_customers, int)
    number = stage.copy()
    for _ in range(n_periods):
        keep = rng.random(n_customers) < np.where(stage == 0, 0.8, 0.6)
        stage = np.where(stay | keep, stage, 1 - stage)
        number = number * 2 + stage
    rows = pd.DataFrame({"sequence": number, "replicate": np.arange(n_customers) % 100})
    return rows.value_counts().rename("n").reset_index()


def test_sequences_are_read_from_the_first_period_on() -> None:
    # 0 0 1 1 is 3 to the base of 2; 0 0 0 0 is 0
    counts = pd.DataFrame({"sequence": [3, 0], "replicate": [4, 4], "n": [2, 5]})
    table = sequence_table(counts, stages=STAGES, n_periods=3)
    assert table.started[4].tolist() == [7, 0]
    assert table.always[4].tolist() == [5, 0]
    assert table.moves[4].tolist() == [[2 + 15, 2], [0, 2]]


def test_the_estimate_solves_frydmans_equation() -> None:
    table = sequence_table(
        sequences(np.random.default_rng(3), n_customers=3000, n_periods=6, stayers=0.3), stages=STAGES, n_periods=6
    )
    found = mover_stayer(table, moves=None)
    row = found.rows.set_index("stage").loc["a"]
    started, always = table.started[:, 0].sum(), table.always[:, 0].sum()
    stayed, left = table.moves.sum(axis=0)[0]

    # the score of m: movers' stays / m - moves out / (1 - m) + movers who began in a * 6 m^5 / (1 - m^6)
    def score(m: float) -> float:
        return (stayed - 6 * always) / m - left / (1 - m) + (started - always) * 6 * m**5 / (1 - m**6)

    m = optimize.brentq(score, 0.5, 0.95)
    assert row["stay_of_movers"] == pytest.approx(m, rel=1e-6)
    assert row["stayers"] == pytest.approx((always / started - m**6) / (1 - m**6), rel=1e-5)
    assert row["always_observed"] == pytest.approx(always / started)
    assert row["always_expected"] == pytest.approx((stayed / (stayed + left)) ** 6)
    estimate = found.stayers["a"]
    assert estimate.lower < 0.3 < estimate.upper
    assert found.replicate.p_value < 1e-6
    assert row["p_value"] < 1e-6


def test_where_all_move_alike_nobody_is_called_a_stayer() -> None:
    rng, alarms = np.random.default_rng(5), np.zeros(2, int)
    for _ in range(60):
        counts = sequences(rng, n_customers=1500, n_periods=6, stayers=0.0)
        found = mover_stayer(sequence_table(counts, stages=STAGES, n_periods=6), moves=None)
        alarms += [found.rows.set_index("stage").loc["a", "p_value"] < 0.05, found.replicate.p_value < 0.05]
    assert (alarms <= 10).all()  # 3 expected; binomial(60, .05) is above in fewer than 1 of 1,000 runs


def test_a_stage_that_cannot_be_tested_says_why() -> None:
    stages = ("active", "dormant", "churned")
    clock = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    moves = Moves(stages=stages, possible=np.ones((3, 3), dtype=bool), clock=clock, purchase=clock.T)
    # active for two periods, dormant, then churned for good: 0 0 1 2 to the base of 3, by one customer a group
    table = sequence_table(
        pd.DataFrame({"sequence": 1 * 3 + 2, "replicate": range(100), "n": 1}), stages=stages, n_periods=3
    )
    found = mover_stayer(table, moves=moves)
    assert found.reasons["active"] == "customers leave it by the clock"
    assert found.reasons["churned"] == "nobody began in it"
    assert found.rows.empty
    assert not found.replicate.applies
    plain = mover_stayer(table, moves=None)
    assert plain.reasons["active"] == "stayed in throughout, or left, by customers of fewer than 20 groups"


def test_sequences_of_another_length_or_none_are_refused() -> None:
    with pytest.raises(ModelError, match="sequence 9 is longer than n_periods=2 moves between 2 stages"):
        sequence_table(pd.DataFrame({"sequence": [9], "replicate": [0], "n": [1]}), stages=STAGES, n_periods=2)
    with pytest.raises(ModelError, match="no customer was followed for 8 periods"):
        sequence_table(pd.DataFrame({"sequence": [0], "replicate": [0], "n": [0]}), stages=STAGES, n_periods=8)


def test_the_share_of_stayers_stays_between_0_and_1() -> None:
    found = [
        mover_stayer(sequence_table(counts, stages=STAGES, n_periods=6), moves=None).stayers["a"]
        for counts in (
            sequences(np.random.default_rng(seed), n_customers=400, n_periods=6, stayers=0.02) for seed in range(12)
        )
    ]
    assert all(0 <= each.lower <= each.value <= each.upper <= 1 for each in found)
    none = [each for each in found if each.value == 0]
    assert none
    assert len(none) < len(found)
    # of nobody seen to be a stayer as many may be as were there throughout, and chance could have kept more
    assert all(each.upper > 0.8**6 for each in none)
