"""Survival figures show what their results hold, and blank what is too small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from lcm_research.estimate import Estimate
from lcm_research.plots.style import figure
from lcm_research.plots.survival import incidence_curve, ratio_forest, survival_curves
from lcm_research.survival.curves import SurvivalCurve, kaplan_meier


def curve(n: int, seed: int) -> SurvivalCurve:
    rng = np.random.default_rng(seed)
    life = rng.geometric(0.03, n)
    table = pd.DataFrame({"duration_days": np.minimum(life, 90), "event_observed": life <= 90, "n": 1})
    return kaplan_meier(table, interval="log-log")


def texts(ax: object) -> list[str]:
    return [t.get_text() for t in ax.texts]  # type: ignore[attr-defined]


def test_each_curve_has_its_interval_its_name_and_its_row_at_risk() -> None:
    curves = {"north": curve(400, 1), "south": curve(200, 2)}
    _, ax = figure()
    survival_curves(ax, curves, horizon_days=90, min_at_risk=5, language="en")
    assert len(ax.lines) == 2
    assert len([c for c in ax.collections if isinstance(c, PolyCollection)]) == 2
    assert texts(ax).count("north") == 2  # at its end and at its row
    assert {"at risk", "400", "200"} <= set(texts(ax))
    assert len({line.get_linestyle() for line in ax.lines}) == 2  # told apart without colour
    assert ax.get_xlabel() == "days since the first purchase"
    drawn = ax.lines[0].get_ydata()
    assert drawn[0] == 1
    assert drawn[1:-1] == pytest.approx(curves["north"].survival[curves["north"].at_risk >= 5])


def test_a_curve_ends_and_counts_are_blanked_where_few_are_at_risk() -> None:
    only = curve(60, 3)
    _, ax = figure()
    survival_curves(ax, {"": only}, horizon_days=90, min_at_risk=10, language="zh")
    last = only.times[only.at_risk >= 10][-1]
    assert ax.lines[0].get_xdata()[-1] == last < 90
    assert "·" in texts(ax)
    shown = [int(t.replace(",", "")) for t in texts(ax) if t.replace(",", "").isdigit()]
    assert all(n == 0 or n >= 10 for n in shown)
    assert ax.get_ylabel() == "仍在购买的比例"


def test_incidence_rises_from_zero_to_what_the_curve_left() -> None:
    only = curve(300, 4)
    _, ax = figure()
    incidence_curve(ax, only, horizon_days=60, min_at_risk=5, language="en")
    drawn = ax.lines[0].get_ydata()
    assert drawn[0] == 0
    assert drawn[-1] == pytest.approx(1 - only.survival[only.times <= 60][-1])
    assert (np.diff(drawn) >= 0).all()


def test_names_at_the_end_do_not_overlap() -> None:
    curves = {name: curve(300, 5) for name in ("a", "b", "c")}  # the same curve three times
    _, ax = figure()
    survival_curves(ax, curves, horizon_days=90, min_at_risk=5, language="en")
    heights = sorted(t.get_position()[1] for t in ax.texts if t.get_text() in curves and t.get_position()[0] > 90)
    assert len(heights) == 3
    assert np.diff(heights).min() > 0.05


def test_a_forest_has_a_row_a_ratio_with_its_numbers_and_the_null_at_one() -> None:
    ratios = {
        name: Estimate(value=v, lower=v / 1.3, upper=v * 1.3, unit="ratio", n=500)
        for name, v in {"south": 0.8, "north": 1.1}.items()
    }
    _, ax = figure(height=2)
    ratio_forest(ax, ratios, label="hazard ratio", language="en")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["south", "north"]
    assert "0.80 (0.62 to 1.04)" in texts(ax)
    assert ax.lines[0].get_xdata() == [1, 1]
    assert ax.get_xscale() == "log"
    left, right = ax.get_xlim()
    assert left < 0.8 / 1.3 < 1.1 * 1.3 < right
