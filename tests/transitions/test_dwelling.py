"""How long stays last against the geometric law: by hand, its size, and a clock that is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.transitions.dwelling import dwell_times

KEYS = ["stage", "next_stage", "dwell_periods", "start_observed", "replicate", "n"]


def simulated(rng: np.random.Generator, chances: list[float], *, spread: float = 0.0) -> pd.DataFrame:
    """400 customers with five stays each; the chance of leaving by length, apart for each customer by ``spread``."""
    rows = []
    for customer in range(400):
        apart = rng.normal(0, spread)
        for _ in range(5):
            length = 1
            while length < 8:
                chance = chances[min(length, len(chances)) - 1]
                if rng.random() < 1 / (1 + (1 / chance - 1) * np.exp(-apart)):
                    break
                length += 1
            rows.append(("a", "b" if length < 8 else "(open)", length, True, customer % 100, 1))
    return pd.DataFrame(rows, columns=KEYS)


def test_leaving_by_hand() -> None:
    rows = [("a", "b", 1, True, 0, 20), ("a", "(open)", 1, True, 0, 10), ("a", "b", 2, True, 0, 40)]
    rows += [("a", "(open)", 3, True, 0, 30), ("a", "b", 2, False, 0, 7), ("b", "a", 9, True, 0, 1)]
    found = dwell_times(pd.DataFrame(rows, columns=KEYS), stage="a", horizon_periods=6)
    # of 100 stays 10 could not be seen ending after their first period: 20 of 90; then 40 of 70; then nobody at risk
    assert found.rows[["n_at_risk", "n_left"]].to_numpy().tolist() == [[90, 20], [70, 40]]
    assert found.rows["staying"].tolist() == pytest.approx([70 / 90, 70 / 90 * 30 / 70])
    assert found.rows["geometric"].tolist() == pytest.approx([100 / 160, (100 / 160) ** 2])
    assert found.n_left_out == 7
    # a table of 20 and 70, 40 and 30
    assert found.classical.degrees_of_freedom == 1
    assert found.classical.pearson == pytest.approx(160 * (20 * 30 - 70 * 40) ** 2 / (90 * 70 * 60 * 100))


def test_stays_without_memory_are_not_called_otherwise() -> None:
    rng, alarms = np.random.default_rng(2), 0
    for _ in range(40):
        alarms += dwell_times(simulated(rng, [0.3]), stage="a", horizon_periods=8).replicate.p_value < 0.05
    assert alarms <= 7  # 2 expected; binomial(40, .05) is above in 1 of 1,000 runs


def test_a_clock_and_customers_who_differ_are_both_found() -> None:
    clock = dwell_times(simulated(np.random.default_rng(3), [0.1, 0.1, 0.7]), stage="a", horizon_periods=8)
    assert clock.replicate.p_value < 1e-6
    assert clock.rows["leaving"].is_monotonic_increasing or clock.rows["leaving"].iloc[2] > 0.5
    differ = dwell_times(simulated(np.random.default_rng(3), [0.3], spread=1.5), stage="a", horizon_periods=8)
    assert differ.replicate.p_value < 0.01
    assert differ.rows["leaving"].iloc[0] > differ.rows["leaving"].iloc[4]


def test_a_stage_without_stays_is_refused() -> None:
    table = pd.DataFrame([("a", "b", 1, False, 0, 20)], columns=KEYS)
    with pytest.raises(ModelError, match="no stay in 'a' was seen to begin; stays were counted in a"):
        dwell_times(table, stage="a", horizon_periods=3)
    with pytest.raises(ModelError, match="horizon_periods=0"):
        dwell_times(table, stage="a", horizon_periods=0)
