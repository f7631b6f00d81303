"""Specification curves, their dashboards, and the grid of kappas: what is drawn is what was computed."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from lcm_research.estimate import Estimate
from lcm_research.plots.multiverse import choice_dashboard, dashboard_rows, kappa_heatmap, specification_curve
from lcm_research.plots.style import OKABE_ITO, figure
from lcm_research.specification.curve import Specification, SpecificationCurve
from lcm_research.transitions.crosswalk import Agreement


def answer(value: float, half: float, own: bool = False, **choices: str) -> Specification:
    made = Estimate(value=value, lower=value - half, upper=value + half, unit="percentage points", n=1200)
    return Specification(choices=choices, estimate=made, own=own)


CURVE = SpecificationCurve(
    tried=(
        answer(2, 1, own=True, scheme="nadc"),
        answer(-3, 1, scheme="intro5", threshold="window_days", before="180", after="90"),
        answer(0.5, 1, scheme="nadc", threshold="w_active", before="60", after="30"),
    ),
    null=0.0,
)


def test_answers_are_sorted_with_their_intervals_and_the_own_is_solid() -> None:
    _, ax = figure()
    specification_curve(ax, CURVE, label="points", language="en")
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [float(dot.get_ydata()[0]) for dot in dots] == [-3, 0.5, 2]
    assert [to_hex(dot.get_markerfacecolor()) for dot in dots] == ["#ffffff", "#ffffff", OKABE_ITO[0].lower()]
    # grey where the interval holds the null
    assert [to_hex(dot.get_color()) for dot in dots] == ["#333333", "#8c8c8c", OKABE_ITO[0].lower()]
    spans = [collection.get_segments()[0][:, 1].tolist() for collection in ax.collections]
    assert spans == [[-4, -2], [-0.5, 1.5], [1, 3]]
    low, high = ax.get_ylim()
    assert low < -4
    assert high > 3
    assert any(np.allclose(line.get_ydata(), 0) for line in ax.lines if line.get_marker() == "None")


@pytest.mark.parametrize(("language", "name"), [("en", "the study's own"), ("zh", "研究自身的定义")])
def test_the_own_definition_is_named(language: str, name: str) -> None:
    _, ax = figure()
    specification_curve(ax, CURVE, label="points", language=language)  # type: ignore[arg-type]
    assert name in [text.get_text() for text in ax.texts]


def test_where_the_own_has_no_answer_the_reference_is_named_by_its_choices() -> None:
    _, ax = figure()
    others = SpecificationCurve(tried=(answer(1, 1, scheme="a"), answer(2, 1, scheme="b")), null=0.0)
    specification_curve(ax, others, label="points", language="en")
    assert [text.get_text() for text in ax.texts] == ["a"]


def test_ratios_stand_on_a_logarithmic_axis() -> None:
    _, ax = figure()
    ratio = Estimate(value=0.7, lower=0.6, upper=0.8, unit="hazard_ratio", n=9)
    made = SpecificationCurve(
        tried=(Specification(choices={"window_days": "90"}, estimate=ratio),), null=1.0, scale="log"
    )
    specification_curve(ax, made, label="ratio", language="en")
    assert ax.get_yscale() == "log"
    low, high = ax.get_ylim()
    assert low < 0.6 < 1 < high


def test_the_dashboard_marks_each_choice_under_its_answer() -> None:
    assert dashboard_rows(CURVE, language="en") == [
        ("nadc", [False, True, True]),
        ("intro5", [True, False, False]),
        ("other churn window", [True, False, False]),
        ("other threshold", [False, True, False]),
    ]
    _, ax = figure()
    choice_dashboard(ax, CURVE, language="en")
    drawn = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in ax.lines}
    assert drawn == {(1, 0), (2, 0), (0, 1), (0, 2), (1, 3)}
    assert ax.get_xlabel() == "definitions, sorted; n = 1,200"
    assert ax.get_ylim() == (3.5, -0.5)


def test_choices_without_schemes_have_a_row_for_each_value_in_order() -> None:
    tried = (
        answer(1, 1, window_days="270", lag_periods="1"),
        answer(2, 1, window_days="90", lag_periods="2"),
        answer(3, 1, window_days="personal", lag_periods="1"),
    )
    rows = dashboard_rows(SpecificationCurve(tried=tried, null=0.0), language="zh")
    assert [name for name, _ in rows] == [
        "流失窗口 90 天",
        "流失窗口 270 天",
        "流失窗口 按客户个人",
        "滞后期数 1",
        "滞后期数 2",
    ]
    assert rows[0][1] == [False, True, False]


def test_the_grid_of_kappas_is_darker_where_schemes_agree_more() -> None:
    def pair(first: str, second: str, kappa: float) -> Agreement:
        made = Estimate(value=kappa, lower=kappa, upper=kappa, unit="kappa", n=9)
        told = dict.fromkeys(("agreed", "first_established", "second_established"), made)
        return Agreement(first=first, second=second, kappa=made, **told)

    _, ax = figure()
    kappa_heatmap(ax, [pair("a", "b", 0.9), pair("a", "c", -0.1)], names=["a", "b", "c"])
    assert [text.get_text() for text in ax.texts] == [".90", "−.10", "–"]
    shades = [sum(patch.get_facecolor()[:3]) for patch in ax.patches if isinstance(patch, Rectangle)]
    assert shades[0] < shades[1] == shades[2]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["b", "c"]
