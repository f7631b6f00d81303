"""The forest of differences: intervals drawn, hollow beside solid, numbers and customers in words."""

from __future__ import annotations

import pytest

from lcm_research.estimate import Estimate
from lcm_research.plots.covariates import contrast_forest
from lcm_research.plots.style import figure
from lcm_research.transitions.move_contrasts import MoveContrast

NAMES = {"dormant": "dormant", "active": "active", "churned": "churned"}


def estimate(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit="percentage points", n=2000)


def contrast(start: str, value: float) -> MoveContrast:
    share = Estimate(value=0.2, lower=0.1, upper=0.3, unit="probability", n=2000)
    return MoveContrast(
        from_stage=start,
        to_stage="active",
        covariate="engaged_before",
        level="2+",
        against="0",
        adjusted=estimate(value, value - 2, value + 3),
        naive=estimate(value + 6, value + 5, value + 8),
        probability=share,
        probability_against=share,
        n_level=1234,
        n_against=567,
        n_moved=80,
        n_moved_against=60,
    )


@pytest.mark.parametrize(("language", "alike"), [("en", "held alike"), ("zh", "调整后")])
def test_each_contrast_is_drawn_twice_with_its_interval_and_numbers(language: str, alike: str) -> None:
    _, ax = figure()
    contrast_forest(
        ax, [contrast("dormant", -4), contrast("churned", 10)], names=NAMES, label="days", language=language
    )  # type: ignore[arg-type]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [-4, 2, 10, 16]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True, False, True]
    bars = [tuple(bar.get_segments()[0][:, 0]) for bar in ax.collections]
    assert bars == [(-6, -1), (1, 4), (8, 13), (15, 18)]
    texts = [text.get_text() for text in ax.texts]
    assert texts.count(alike) == 2
    assert "n = 1,234 / 567" in texts
    to = "to" if language == "en" else "至"
    assert f"−4.0 (−6.0 {to} −1.0)" in texts
    assert (
        texts[0] == {"en": "dormant → active: 2 or more against 0", "zh": "dormant → active: 2 及以上 对比 0"}[language]
    )
    low, high = ax.get_xlim()
    assert low < -6
    assert high > 18
    assert ax.get_xlabel().endswith("days")


def test_the_null_is_drawn_also_where_all_differences_lie_on_one_side() -> None:
    _, ax = figure()
    contrast_forest(ax, [contrast("churned", 10)], names=NAMES, label="days", language="en")
    low, _ = ax.get_xlim()
    assert low < 0
    assert any(list(line.get_xdata()) == [0, 0] for line in ax.lines)
