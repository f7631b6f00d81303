"""Survival figures show what their results hold, and blank what is too small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.plots.style import figure
from lcm_research.plots.survival import incidence_curve, incidence_stacked, mark_quantile, ratio_forest, survival_curves
from lcm_research.survival.competing import CumulativeIncidence, cumulative_incidence
from lcm_research.survival.curves import SurvivalCurve, kaplan_meier, median


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
    lines = [line for line in ax.lines if line.get_gid() != "key"]
    assert len(lines) == 2
    assert len([c for c in ax.collections if isinstance(c, PolyCollection)]) == 2
    assert texts(ax).count("north") == 2  # at its end and at its row
    assert {"at risk", "400", "200"} <= set(texts(ax))
    assert len({dashes(line) for line in lines}) == 2  # told apart without colour
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
    heights = sorted(t.get_position()[1] for t in ax.texts if t.get_text() in curves and t.get_position()[0] > 1)
    assert len(heights) == 3
    assert np.diff(heights).min() > 0.05


def test_six_curves_are_told_apart_without_colour_and_stay_legible_on_a_phone() -> None:
    names = ["wechat", "weibo", "douyin", "search", "store", "kol"]
    fig, ax = figure()
    survival_curves(
        ax, {name: curve(300, i) for i, name in enumerate(names)}, horizon_days=90, min_at_risk=5, language="en"
    )
    drawn = [line for line in ax.lines if line.get_gid() != "key"]
    assert len({dashes(line) for line in drawn}) == 6
    keys = [line for line in ax.lines if line.get_gid() == "key" and line.get_linewidth() > 1]
    assert {dashes(line) for line in keys} == {dashes(line) for line in drawn}  # a piece of the line beside its name
    assert legible(fig)


def legible(fig: Figure) -> bool:
    """Whether the smallest text is at least 9 px tall where the figure fills 375 px."""
    fig.draw_without_rendering()
    box = fig.get_tightbbox()
    smallest = min(text.get_fontsize() for text in fig.findobj(Text) if text.get_text().strip())
    assert box is not None
    # the published picture keeps a margin of 0.1 inches around the box
    return smallest / 72 * 375 / (box.width + 0.2) >= 9


def dashes(line: Line2D) -> str:
    return str(line._dash_pattern if line.get_linestyle() == "--" else line.get_linestyle())  # type: ignore[attr-defined]


def incidences(n: int) -> dict[str, CumulativeIncidence]:
    rng = np.random.default_rng(6)
    life, cause = rng.geometric(0.03, n), rng.choice(["price", "moved"], n, p=[0.7, 0.3])
    table = pd.DataFrame({"duration_days": np.minimum(life, 90), "cause": np.where(life <= 90, cause, ""), "n": 1})
    return {name: cumulative_incidence(table, cause=name, interval="log-log") for name in ("price", "moved")}


def test_stacked_incidences_add_up_and_each_band_has_its_interval() -> None:
    curves = incidences(500)
    fig, ax = figure()
    incidence_stacked(ax, curves, horizon_days=60, min_at_risk=5, language="zh")
    bands = [c for c in ax.collections if isinstance(c, PolyCollection)]
    top = bands[1].get_paths()[0].vertices[:, 1].max()
    last = curves["price"].times <= 60
    shares = [curves[name].incidence[last][-1] for name in ("price", "moved")]
    assert top == pytest.approx(sum(shares))
    assert bands[0].get_hatch() != bands[1].get_hatch()
    assert f"price {100 * shares[0]:.1f}%" in texts(ax)
    whiskers = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert len(whiskers) == 4  # white under dark, for each band
    # on the second band, at its first mark: a quarter of 60 days, less 2%
    day, price, moved = 15 - 1.2, curves["price"], curves["moved"]
    at = np.searchsorted(price.times, day, side="right") - 1
    segment = whiskers[3].get_segments()[0]
    assert segment[:, 1] == pytest.approx([price.incidence[at] + end[at] for end in (moved.lower, moved.upper)])
    assert segment[:, 0] == pytest.approx([day, day])
    assert legible(fig)
    other = incidences(300)
    with pytest.raises(ModelError, match="these speak of different days"):
        incidence_stacked(
            ax, {"a": curves["price"], "b": other["moved"]}, horizon_days=60, min_at_risk=5, language="en"
        )


def test_a_median_is_marked_with_its_interval() -> None:
    only = curve(400, 1)
    _, ax = figure()
    survival_curves(ax, {"": only}, horizon_days=90, min_at_risk=5, language="en")
    mark_quantile(ax, only, 0.5, language="en")
    found = median(only)
    assert ax.lines[-1].get_xdata()[0] == found.value
    segment = ax.collections[-1].get_segments()[0]  # type: ignore[attr-defined]
    assert segment.tolist() == [[found.lower, 0.5], [found.upper, 0.5]]
    assert texts(ax)[-1].startswith("50% by day ")


def test_a_forest_has_a_row_a_ratio_with_its_numbers_and_the_null_at_one() -> None:
    ratios = {
        name: Estimate(value=v, lower=v / 1.3, upper=v * 1.3, unit="ratio", n=500)
        for name, v in {"south": 0.8, "north": 1.1}.items()
    }
    _, ax = figure(height=2)
    ratio_forest(ax, ratios, label="hazard ratio", language="en")
    assert [t for t in texts(ax) if t in ratios] == ["south", "north"]
    assert "0.80 (0.62 to 1.04)" in texts(ax)
    assert ax.lines[0].get_xdata() == [1, 1]
    assert ax.get_xscale() == "log"
    left, right = ax.get_xlim()
    assert left < 0.8 / 1.3 < 1.1 * 1.3 < right
    assert ax.get_xlabel() == "hazard ratio\nn = 500"


def test_naive_ratios_are_hollow_and_headings_stand_over_their_kind() -> None:
    ratios = {
        name: Estimate(value=v, lower=v / 1.3, upper=v * 1.3, unit="ratio", n=n)
        for name, v, n in (("ever engaged", 0.2, 900), ("landmark", 0.9, 800), ("account type", 1.1, 900))
    }
    fig, ax = figure(height=3)
    groups = {"ever engaged": "Weibo", "landmark": "Weibo", "account type": "Negative control"}
    long = (
        "hazard ratio of lapsing after day 1 (against month of first purchase: 1997-02, discs in the first basket: <2)"
    )
    ratio_forest(ax, ratios, label=long, language="zh", naive=["ever engaged"], groups=groups)
    named = [t for t in texts(ax) if not t[0].isdigit()]
    assert named == ["Weibo", "Negative control", "ever engaged", "landmark", "account type"]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [True, False, False]
    assert ax.get_xlabel().splitlines()[-1] == "n = 800–900"
    assert max(map(len, ax.get_xlabel().splitlines())) <= 58
    heights = {t.get_text(): t.xy[1] for t in ax.texts}
    assert heights["Weibo"] > heights["ever engaged"] > heights["landmark"] > heights["Negative control"]
    assert legible(fig)
