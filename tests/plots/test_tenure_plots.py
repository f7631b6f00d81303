"""Hazards and ratios over a customer's life: what the pictures hold, and what they leave out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from lcm_research.errors import ModelError
from lcm_research.plots.style import figure, ratio_marks, wrapped
from lcm_research.plots.tenure import ratio_over_time, smoothed_hazards
from lcm_research.survival.hazards import cox
from lcm_research.survival.proportionality import schoenfeld_residuals
from lcm_research.survival.smoothed import smoothed_hazard


def spells(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    group = rng.choice(["a", "b"], n)
    life = rng.geometric(np.where(group == "b", 0.05, 0.03))
    return pd.DataFrame({"duration_days": np.minimum(life, 80), "event_observed": life <= 80, "n": 1, "group": group})


def texts(ax: object) -> list[str]:
    return [t.get_text() for t in ax.texts]  # type: ignore[attr-defined]


def test_a_smoothed_hazard_is_drawn_per_thousand_with_its_interval_while_enough_are_at_risk() -> None:
    found = smoothed_hazard(spells(300), bandwidth_days=10, from_day=0, until_day=70, interval="log")
    _, ax = figure()
    smoothed_hazards(ax, {"": found}, min_at_risk=40, language="zh")
    enough = found.at_risk >= 40
    assert ax.lines[0].get_ydata() == pytest.approx(1000 * found.hazard[enough])
    assert len([c for c in ax.collections if isinstance(c, PolyCollection)]) == 1
    assert ax.get_xlim() == (0, 70)
    assert "·" in texts(ax)
    assert ax.get_ylabel() == "每千名风险集客户的日流失数"
    with pytest.raises(ModelError, match="'all' has at most 300 at risk, fewer than 400"):
        smoothed_hazards(ax, {"all": found}, min_at_risk=400, language="en")


def test_two_smoothed_hazards_are_named_at_their_ends() -> None:
    table = spells(600)
    curves = {
        g: smoothed_hazard(table[table["group"] == g], bandwidth_days=10, from_day=0, until_day=50, interval="log")
        for g in "ab"
    }
    _, ax = figure()
    smoothed_hazards(ax, curves, min_at_risk=5, language="en")
    assert texts(ax).count("a") == 2  # at its end and at its row


def test_a_ratio_over_time_shows_only_means_of_enough_lapses() -> None:
    fit = cox(spells(1000), covariates=["group"], ties="efron", intervals="information", reference={"group": "a"})
    found = schoenfeld_residuals(fit, transform="km", degrees_of_freedom=4)
    _, ax = figure()
    ratio_over_time(ax, found, "group[b]", min_events=60, title="b against a", language="en")
    table = found.table(min_events=60)
    assert ax.lines[0].get_ydata() == pytest.approx(np.exp(table["residual"]))
    assert ax.lines[1].get_ydata() == pytest.approx(np.exp(found.smooth[:, 0]))
    assert ax.lines[2].get_ydata()[0] == pytest.approx(np.exp(fit.coefficients[0]))
    assert ax.get_xlabel().endswith(f"(lapses: n = {fit.n_events:,})")
    assert ax.get_title(loc="left") == "b against a"


def test_lines_break_by_width_in_both_languages() -> None:
    assert wrapped("one two three", width=7) == "one two\nthree"
    assert wrapped("流失风险比（参照）", width=8) == "流失风险\n比（参照\n）"
    assert wrapped("kept\nas it is", width=20) == "kept\nas it is"


def test_ratio_marks_are_few_and_inside() -> None:
    for low, high in ((0.5, 1.4), (0.3, 2.5), (0.02, 40.0)):
        marks = ratio_marks(low, high)
        assert 3 <= len(marks) <= 11
        assert low <= min(marks) <= 1 <= max(marks) <= high
