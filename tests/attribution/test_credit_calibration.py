"""Credit beside lift: Fieller's interval by hand, and refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated_credit import Truth, simulate

from lcm_research.attribution.calibration import calibrate
from lcm_research.attribution.credit import Credit
from lcm_research.attribution.removal import markov_credit
from lcm_research.errors import ModelError
from lcm_research.estimate import jackknife_se


def credit(n_groups: int = 100) -> Credit:
    # shares .6 and .4 of 1000 with a standard error of .0199 each: .002 up or down without each group
    moved = np.where(np.arange(100) < 50, 0.002, -0.002)
    return Credit(
        model="markov",
        of="conversions",
        channels=("a", "b"),
        share=np.array([0.6, 0.4]),
        share_without=np.column_stack([0.6 + moved, 0.4 - moved]),
        total=1000.0,
        n_groups=np.array([100, n_groups]),
    )


def lifts(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["channel", "lift", "lift_se"])


def test_ratio_and_interval_worked_by_hand() -> None:
    row = calibrate(credit(), lifts(("a", 150.0, 30.0))).iloc[0]
    se = 1000 * np.sqrt(0.99 * 100) * 0.002
    t = stats.t.ppf(0.975, 99)
    assert row["ratio"] == 0.25
    assert (row["lift_lower"], row["lift_upper"]) == pytest.approx((150 - 30 * t, 150 + 30 * t))
    # at either end the difference lift - ratio * credit is t standard errors from zero
    for ratio in (row["ratio_lower"], row["ratio_upper"]):
        assert abs(150 - ratio * 600) == pytest.approx(t * np.hypot(30, ratio * se), rel=1e-9)
    assert row["ratio_lower"] < 0.25 < row["ratio_upper"]


def test_a_lift_below_zero_has_an_interval_too() -> None:
    row = calibrate(credit(), lifts(("b", -10.0, 40.0))).iloc[0]
    assert row["ratio"] == -0.025
    assert row["ratio_lower"] < -0.025 < 0 < row["ratio_upper"]


def test_credit_that_few_groups_met_has_no_ratio_interval() -> None:
    row = calibrate(credit(n_groups=19), lifts(("b", 100.0, 30.0))).iloc[0]
    assert row["ratio"] == 0.25
    assert np.isnan([row["ratio_lower"], row["ratio_upper"]]).all()


def test_fieller_covers_as_often_as_it_promises() -> None:
    made = simulate(Truth(n_customers=600), np.random.default_rng(0))
    found = markov_credit(made.edges(), of="conversions")
    rng = np.random.default_rng(1)
    se = (jackknife_se(found.share, found.share_without) * found.total)[0]
    true_credit, true_lift = found.credit[0], 0.4 * found.credit[0]
    held = 0
    for _ in range(400):
        share = found.share.copy()
        share[0] = (true_credit + se * rng.normal()) / found.total
        moved = found.share_without - found.share + share
        noisy = Credit(
            model="markov",
            of="conversions",
            channels=found.channels,
            share=share,
            share_without=moved,
            total=found.total,
            n_groups=found.n_groups,
        )
        row = calibrate(noisy, lifts(("a", true_lift + 15 * rng.normal(), 15.0))).iloc[0]
        held += row["ratio_lower"] <= 0.4 <= row["ratio_upper"]
    assert 370 <= held <= 394  # 95% of 400 is 380, give or take 4.4


def test_a_study_without_experiments_is_refused() -> None:
    with pytest.raises(ModelError, match="needs at least one experiment; came none: without assignments"):
        calibrate(credit(), lifts())
    with pytest.raises(ModelError, match="no journey has the channel 'c' of an experiment; known names are a, b"):
        calibrate(credit(), lifts(("c", 1.0, 1.0)))
    with pytest.raises(ModelError, match="channel 'a' comes twice"):
        calibrate(credit(), lifts(("a", 1.0, 1.0), ("a", 2.0, 1.0)))
    with pytest.raises(ModelError, match="lift_se above zero"):
        calibrate(credit(), lifts(("a", 1.0, 0.0)))
    with pytest.raises(ModelError, match="'lift_se' is missing"):
        calibrate(credit(), lifts(("a", 1.0, 1.0)).drop(columns="lift_se"))
