"""Figures of predictions show what their results hold, intervals and numbers of customers included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection

from lcm_research.estimate import Estimate
from lcm_research.plots.accuracy import brier_over_time, calibration_plot, decision_curve_plot, gain_curve
from lcm_research.plots.style import figure
from lcm_research.survival.accuracy import BrierScore
from lcm_research.survival.accuracy_calibration import Calibration
from lcm_research.survival.warning_value import DecisionCurve, TopShare


def made(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value=value, lower=value - half, upper=value + half, unit="share", n=1200)


def texts(ax: Any) -> list[str]:
    return [t.get_text() for t in ax.texts]


def matched(sizes: list[int]) -> Calibration:
    risks = np.linspace(0.1, 0.9, len(sizes))
    groups = tuple((n, float(r), made(float(r))) for n, r in zip(sizes, risks, strict=True))
    return Calibration(
        horizon_days=90, groups=groups, predicted=0.5, observed=made(0.5), in_the_large=made(0), slope=made(1)
    )


def test_calibration_has_a_dot_an_interval_and_a_number_for_each_group() -> None:
    _, ax = figure()
    calibration_plot(ax, matched([400, 300, 500]), min_group=10, language="en")
    assert {"400", "300", "500", "customers", "as predicted"} <= set(texts(ax))
    dots = ax.lines[-1]
    assert dots.get_xdata().tolist() == pytest.approx([0.1, 0.5, 0.9])
    assert list(ax.lines[0].get_xdata()) == list(ax.lines[0].get_ydata()) == [0, 1]  # the line of what was predicted
    (bars,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert bars.get_segments()[0][:, 1].tolist() == pytest.approx([0.05, 0.15])


def test_a_small_group_and_the_next_smallest_are_left_out() -> None:
    _, ax = figure()
    calibration_plot(ax, matched([400, 4, 50]), min_group=10, language="zh")
    assert texts(ax).count("·") == 2
    assert "4" not in texts(ax)
    assert "50" not in texts(ax)
    assert ax.lines[-1].get_xdata().tolist() == pytest.approx([0.1])
    assert ax.get_xlabel() == "平均预测风险"


def test_the_gain_runs_from_nothing_to_everything_beside_lot_and_the_best() -> None:
    tops = [
        TopShare(
            share=share,
            n_warned=n,
            precision=made(0.5),
            lift=made(1.5),
            capture=made(capture),
            lead_days=None,
            already_silent=None,
        )
        for share, n, capture in ((0.005, 6, 0.02), (0.2, 240, 0.35), (1.0, 1200, 1.0))
    ]
    _, ax = figure()
    gain_curve(ax, tops, base_rate=0.4, min_group=10, language="en")
    lot, best, own = ax.lines
    assert own.get_xdata().tolist() == [0, 0.005, 0.2, 1]
    assert own.get_ydata().tolist() == [0, 0.02, 0.35, 1]
    assert list(best.get_xdata()) == [0, 0.4, 1]
    assert len({lot.get_linestyle(), best.get_linestyle(), own.get_linestyle()}) == 3  # apart without colour
    assert [c for c in ax.collections if isinstance(c, PolyCollection)]
    assert {"by risk", "by lot", "best possible", "240", "1,200", "·"} <= set(texts(ax))
    assert "6" not in texts(ax)


def test_the_decision_curve_stands_beside_warning_everybody_and_nobody() -> None:
    steps = np.array([0.2, 0.4, 0.6])
    curve = DecisionCurve(
        thresholds=steps,
        net_benefit=(made(0.4), made(0.3), made(0.2)),
        warn_all=(made(0.4), made(0.1), made(-2.0)),
        over_all=(made(0.0), made(0.2), made(2.2)),
        share_warned=np.array([1, 0.5, 0.002]),
    )
    _, ax = figure()
    decision_curve_plot(ax, curve, min_group=10, language="zh")
    _, everybody, own = ax.lines
    assert list(own.get_ydata()) == [0.4, 0.3, 0.2]
    assert list(everybody.get_ydata()) == [0.4, 0.1, -2.0]
    assert own.get_linestyle() != everybody.get_linestyle()
    assert -0.1 <= ax.get_ylim()[0] <= 0  # what warning everybody costs at high thresholds is not drawn
    assert len([c for c in ax.collections if isinstance(c, PolyCollection)]) == 2
    assert {"按风险", "全部预警", "全不预警", "1,200", "600", "·"} <= set(texts(ax))


def test_scores_over_time_have_their_intervals_and_start_at_zero() -> None:
    score = BrierScore(
        days=np.array([30, 60, 90]),
        score=tuple(made(v, 0.01) for v in (0.15, 0.17, 0.18)),
        null=tuple(made(v, 0.01) for v in (0.25, 0.25, 0.24)),
        index=(),
        integrated=made(0.17),
        integrated_null=made(0.25),
        integrated_index=made(0.3),
    )
    _, ax = figure()
    brier_over_time(ax, score, language="en")
    assert ax.get_ylim()[0] == 0
    assert {"prediction", "base rate"} <= set(texts(ax))
    assert len([c for c in ax.collections if isinstance(c, LineCollection)]) == 2
    assert {line.get_marker() for line in ax.lines} >= {"o", "s"}
    assert ax.get_xticks().tolist() == [30, 60, 90]
