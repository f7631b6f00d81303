"""Figures of the engagement guards show what their results hold, and blank what is too small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from lcm_research.estimate import Estimate
from lcm_research.plots.engagement import bias_forest, lag_ratios, overlap_shares, window_returns
from lcm_research.plots.style import figure
from lcm_research.survival.engagement import BiasPanel
from lcm_research.survival.positivity import Positivity
from lcm_research.survival.window_choice import WindowChoice


def ratio(value: float, n: int, unit: str = "hazard_ratio") -> Estimate:
    return Estimate(value=value, lower=value / 1.2, upper=value * 1.2, unit=unit, n=n)


def texts(ax: object) -> list[str]:
    return [t.get_text() for t in ax.texts]  # type: ignore[attr-defined]


def ticks(ax: object, axis: str = "x") -> list[str]:
    return [t.get_text() for t in getattr(ax, f"get_{axis}ticklabels")()]


def test_the_naive_ratio_is_hollow_and_the_corrected_ones_solid() -> None:
    panel = BiasPanel(naive=ratio(0.1, 1790), landmark=ratio(0.6, 871), lagged=ratio(0.7, 1137), gap=ratio(0.14, 1790))
    _, ax = figure(height=2.6)
    bias_forest(ax, panel, names=["naive", "landmark", "lagged"], language="en")
    marks = {line.get_xdata()[0]: line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"}
    assert marks[0.1] == "white"
    assert marks[0.6] == marks[0.7] != "white"
    assert {"naive (n = 1,790)", "landmark (n = 871)", "lagged (n = 1,137)"} <= set(texts(ax))
    assert any(list(line.get_xdata()) == [1, 1] for line in ax.lines)


def test_ratios_by_lag_stand_at_their_days_with_intervals_the_null_and_their_customers() -> None:
    profile = pd.DataFrame(
        {
            "lag_periods": [1, 2],
            "hazard_ratio": [0.7, 0.9],
            "lower": [0.6, 0.8],
            "upper": [0.8, 1.0],
            "n_customers": [1814, 1814],
        }
    )
    _, ax = figure()
    lag_ratios(ax, profile, period_days=30, language="zh")
    (line,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert line.get_xdata().tolist() == [30, 60]
    assert line.get_ydata().tolist() == [0.7, 0.9]
    ends = [segment[:, 1].tolist() for segment in ax.collections[0].get_segments()]
    assert ends == [[0.6, 0.8], [0.8, 1.0]]
    assert ticks(ax) == ["30\nn = 1,814", "60\nn = 1,814"]
    assert any(list(line.get_ydata()) == [1, 1] for line in ax.lines)


def test_overlap_shows_levels_with_intervals_and_blanks_the_small() -> None:
    shares = tuple(ratio(v, n, "share") for v, n in ((0.5, 300), (0.02, 200), (0.6, 4), (0.97, 90)))
    found = Positivity(
        activity=("1", "2", "3", "4+"),
        share_engaged=shares,
        n_engaged=np.array([300, 20, 5, 150]),
        n_not_engaged=np.array([300, 800, 4, 5]),
        has_both=np.array([True, False, True, False]),
        min_share=0.05,
    )
    _, ax = figure()
    overlap_shares(ax, found, min_group=10, language="en")
    drawn = {line.get_xdata()[0]: line for line in ax.lines}
    # the third rests on 4 customers, the fourth on 5 spell-periods of one side
    assert set(drawn) == {0, 1}
    assert drawn[1].get_markerfacecolor() == "white" != drawn[0].get_markerfacecolor()
    assert ticks(ax) == ["1\n300", "2\n200", "3\n·", "4+\n90"]


def choice(recommended: int | None, upper: int | None) -> WindowChoice:
    shares = {
        w: ratio(s, n, "share") for w, s, n in ((60, 0.4, 900), (120, 0.25, 700), (180, 0.18, 500), (240, 0.1, 8))
    }
    return WindowChoice(
        return_days=180,
        most_return=0.2,
        shares=shares,
        n_lapses={60: 900, 120: 700, 180: 500, 240: 8, 300: 0},
        recommended=recommended,
        lower=120,
        upper=upper,
        share_agreeing=0.7,
        n_resamples=999,
        level=0.95,
    )


def test_the_window_curve_marks_the_rule_the_windows_and_their_interval() -> None:
    _, ax = figure()
    window_returns(ax, choice(180, 240), window_days=120, min_group=10, language="en")
    curve = next(line for line in ax.lines if line.get_marker() == "o")
    assert curve.get_xdata().tolist() == [60, 120, 180]  # 8 lapses are not drawn
    assert any(isinstance(c, PolyCollection) for c in ax.collections)
    assert {"in force", "by the rule", "interval of the rule's window"} <= set(texts(ax))
    assert sorted(line.get_xdata()[0] for line in ax.lines if list(line.get_ydata()) == [0, 1]) == [120, 180]
    assert any(list(line.get_ydata()) == [0.2, 0.2] for line in ax.lines)
    assert ticks(ax) == ["60\n900", "120\n700", "180\n500", "240\n·", "300\n0"]


@pytest.mark.parametrize(("recommended", "named"), [(120, "现用，亦为规则推荐"), (None, "现用")])
def test_one_name_serves_where_the_windows_agree_or_none_is_recommended(recommended: int | None, named: str) -> None:
    _, ax = figure()
    window_returns(ax, choice(recommended, None), window_days=120, min_group=10, language="zh")
    assert named in texts(ax)
    assert "规则推荐" not in texts(ax)
