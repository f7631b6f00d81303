"""Staying under several churn windows: each answer is the one that the chapter on churn gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.engagement import lagged_ratio
from lcm_research.survival.multiverse import days_curve, engaged_curve
from lcm_research.survival.restricted import restricted_mean


def spells(draws: np.random.Generator, mean: float, group: str) -> pd.DataFrame:
    days = draws.geometric(1 / mean, size=1000).clip(1, 100)
    table = pd.DataFrame({"duration_days": days, "event_observed": days < 100, "replicate": np.arange(1000) % 100})
    return table.assign(region=group, n=1)


def exposed(draws: np.random.Generator, ratio: float) -> pd.DataFrame:
    rows = [
        (period, engaged, "1", group, 20, int(draws.binomial(20, 0.2 * (ratio if engaged else 1))))
        for period in (2, 3)
        for engaged in (False, True)
        for group in range(100)
    ]
    return pd.DataFrame(rows, columns=["period", "engaged", "activity", "replicate", "n_at_risk", "n_events"])


def test_days_are_the_difference_of_restricted_means_under_each_window() -> None:
    draws = np.random.default_rng(1)
    counts = {w: pd.concat([spells(draws, 30, "east"), spells(draws, 20, "west")]) for w in ("90", "180")}
    found = days_curve(counts, own="180", by="region", group="east", other="west", horizon_days=60)
    for each in found.tried:
        table = counts[each.choices["window_days"]]
        means = [
            restricted_mean(kaplan_meier(table[table["region"] == g], interval="replicate"), horizon_days=60).value
            for g in ("east", "west")
        ]
        assert each.estimate.value == pytest.approx(means[0] - means[1])
    assert [each.choices["window_days"] for each in found.tried if each.own] == ["180"]
    assert found.null == 0


def test_a_window_that_leaves_too_short_a_follow_up_has_no_answer() -> None:
    draws = np.random.default_rng(1)
    whole = pd.concat([spells(draws, 30, "east"), spells(draws, 20, "west")])
    short = whole[whole["duration_days"] < 40]
    found = days_curve({"90": whole, "270": short}, own="90", by="region", group="east", other="west", horizon_days=60)
    assert list(found.unanswered) == ["window_days = 270"]
    with pytest.raises(ModelError, match="'north' has lapses in 0 groups of customers, fewer than 20"):
        days_curve({"90": whole}, own="90", by="region", group="east", other="north", horizon_days=60)


def test_ratios_are_those_of_the_lagged_comparison() -> None:
    draws = np.random.default_rng(1)
    counts = {(90, 1): exposed(draws, 0.5), (180, 1): exposed(draws, 0.7)}
    found = engaged_curve(counts, own=(180, 1), adjust_for=["activity"], ties="efron")
    own = lagged_ratio(counts[180, 1], lag_periods=1, adjust_for=["activity"], ties="efron")
    assert found.reference.estimate == own
    assert found.reference.choices == {"window_days": "180", "lag_periods": "1"}
    assert (found.null, found.scale) == (1.0, "log")


def test_a_lag_that_leaves_no_period_has_no_answer() -> None:
    draws = np.random.default_rng(1)
    counts = {(90, 1): exposed(draws, 0.5), (90, 3): exposed(draws, 0.5)}
    found = engaged_curve(counts, own=(90, 1), adjust_for=[], ties="efron")
    assert list(found.unanswered) == ["window_days = 90, lag_periods = 3"]
