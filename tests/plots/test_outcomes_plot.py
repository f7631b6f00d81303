"""The chain beside what was seen, and dots with intervals: everything is drawn, named and numbered."""

from __future__ import annotations

import numpy as np
import pytest

from lcm_research.estimate import Estimate
from lcm_research.plots.outcomes import estimate_bars, waiting_lines
from lcm_research.plots.style import figure
from lcm_research.survival.declared import DeclaredCurve
from lcm_research.transitions.newcomers import WaitingCurve


def waiting(kind: type, n: int, months: int, shift: float = 0.0):
    share = np.clip(0.9 ** np.arange(months + 1) - shift, 0, 1)
    ends = {"lower": share - 0.02, "upper": share + 0.02, "without": np.tile(share, (100, 1))}
    return kind(months=np.arange(months + 1), waiting=share, n=n, level=0.95, **ends)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_four_lines_are_named_with_their_intervals_and_numbers(language) -> None:
    _, ax = figure()
    chain, naive = waiting(WaitingCurve, 1500, 12), waiting(WaitingCurve, 1500, 12, 0.1)
    curve, read = waiting(DeclaredCurve, 1234, 15, 0.02), waiting(DeclaredCurve, 1500, 15, 0.01)
    waiting_lines(ax, chain, curve, read=read, naive=naive, language=language)
    lines = [line for line in ax.lines if line.get_gid() != "key"]
    assert [line.get_linestyle() for line in lines] == [":", "-", "None", "None"]
    assert [len(line.get_xdata()) for line in lines] == [13] * 4
    assert [line.get_marker() for line in lines] == ["None", "None", "o", "x"]
    assert lines[2].get_markerfacecolor() == "white"  # hollow
    assert len(ax.collections) == 4  # a band for each chain, bars for the two that were seen
    assert len({text.get_text() for text in ax.texts}) == 4
    assert "n = 1,500" in ax.get_xlabel()
    assert "n = 1,234" in ax.get_xlabel()


def est(value: float, n: int) -> Estimate:
    return Estimate(value=value, lower=value - 0.1, upper=value + 0.2, unit="elasticity", n=n)


def test_bars_hold_names_numbers_and_intervals_from_top_to_bottom() -> None:
    _, ax = figure()
    estimate_bars(ax, {"a → b": est(0.5, 70), "b → a": est(-0.25, 1200)}, label="percent", language="en", bars=True)
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["a → b, n = 70", "0.500 (0.400 to 0.700)", "b → a, n = 1,200", "−0.250 (−0.350 to −0.0500)"]
    assert [bar.get_width() for bar in ax.patches] == [0.5, -0.25]
    places = [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert places[0] > places[1]
    low, high = ax.get_xlim()
    assert low < -0.35
    assert high > 0.7
    assert ax.get_xlabel() == "percent"


def test_dots_have_no_bars_unless_asked() -> None:
    _, ax = figure()
    estimate_bars(ax, {"a": est(0.5, 70)}, label="percent", language="zh")
    assert not ax.patches
    assert "0.500 (0.400 至 0.700)" in {text.get_text() for text in ax.texts}
