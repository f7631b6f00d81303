"""The pictures of moves and stages: what they write, and what they leave out."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from lcm_research.plots.style import SMALL, colour_of, figure
from lcm_research.plots.transitions import shown_stock, smallest_shown, stage_stock_lines, transition_heatmap
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.chain import transition_matrix

RULES = stage_rules("nadc", window_days=180)
MOVES = possible_moves(RULES)


def heatmap(rows: dict[tuple[str, str], int], language: str = "en", width: float = 5.4):
    counts = pd.DataFrame(
        [(*pair, 0, n) for pair, n in rows.items()], columns=["from_stage", "to_stage", "replicate", "n"]
    )
    matrix = transition_matrix(counts, stages=RULES.stages, moves=MOVES)
    _, ax = figure(width=width)
    names = RULES.scheme.names(language)  # type: ignore[arg-type]
    return transition_heatmap(ax, matrix, names=names, min_group=10, language=language)  # type: ignore[arg-type]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_each_cell_prints_the_probability_and_its_interval() -> None:
    ax = heatmap({("churned", "active"): 30, ("churned", "churned"): 70})
    assert "30.0" in texts(ax)
    assert "21.2–40.0" in texts(ax)  # percent, Clopper-Pearson for 30 in 100
    assert "70.0" in texts(ax)
    assert ax.get_xlabel() == "stage a month later (%)"


def test_no_text_is_too_small_for_a_phone_and_every_interval_fits_its_cell() -> None:
    for width in (5.4, 3.9):
        ax = heatmap({("churned", "active"): 30, ("churned", "churned"): 70}, width=width)
        ax.figure.draw_without_rendering()
        cell = ax.get_window_extent().width / len(RULES.stages)
        written = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), *ax.get_legend().get_texts()]
        assert min(text.get_fontsize() for text in written) >= SMALL
        assert all(text.get_window_extent().width <= cell for text in [*ax.texts, *ax.get_xticklabels()])
    # in narrow cells the interval takes two lines and names stand upright
    assert "21.2–\n40.0" in texts(ax)
    assert ax.get_xticklabels()[0].get_rotation() == 90


def test_only_possible_moves_have_a_cell_and_clock_moves_are_hatched() -> None:
    ax = heatmap({("dormant", "active"): 30, ("dormant", "dormant"): 50, ("dormant", "churned"): 20})
    boxes = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert len(boxes) == MOVES.possible.sum()
    assert sum(box.get_hatch() is not None for box in boxes) == MOVES.clock.sum()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["by the clock alone"]


def test_a_scheme_without_a_clock_explains_no_hatching() -> None:
    counts = pd.DataFrame([("new", "active", 0, 30)], columns=["from_stage", "to_stage", "replicate", "n"])
    _, ax = figure()
    matrix = transition_matrix(counts, stages=["new", "active"])
    transition_heatmap(ax, matrix, names={"new": "new", "active": "active"}, min_group=10, language="en")
    assert ax.get_legend() is None


def test_small_groups_are_blank_in_cells_and_in_row_names() -> None:
    ax = heatmap({("churned", "active"): 3, ("churned", "churned"): 70, ("new", "active"): 4})
    assert set(texts(ax)) == {"·"}
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[1] == "new\nn = ·"
    assert labels[4] == "churned\nn = 73"
    assert labels[3] == "dormant\nnobody"


def test_labels_are_in_the_language_asked_for() -> None:
    ax = heatmap({("churned", "active"): 30, ("churned", "churned"): 70}, "zh")
    assert ax.get_xlabel() == "一个月后所处阶段（%）"
    assert ax.get_xticklabels()[4].get_text() == "流失"


@pytest.fixture
def stock() -> pd.DataFrame:
    rows = [("2021-01-01", "new", 50), ("2021-01-01", "unknown", 99), ("2021-02-01", "new", 30)]
    rows += [("2021-02-01", "active", 20), ("2021-02-01", "dormant", 3), ("2021-02-01", "churned", 60)]
    return pd.DataFrame(rows, columns=["period_start", "stage", "n"]).assign(replicate=0)


def test_a_small_stock_is_not_drawn_nor_the_next_that_would_give_it_away(stock) -> None:
    shown = shown_stock(stock, stages=RULES.stages, min_group=10)
    assert shown.loc["2021-02-01"].isna().to_dict() == {
        "prospect": False,
        "new": False,
        "active": True,
        "dormant": True,
        "churned": False,
    }
    assert shown.loc["2021-01-01", "new"] == 50
    assert smallest_shown(shown) == 30
    assert smallest_shown(shown * np.nan) == 0


def test_each_stage_is_drawn_in_its_own_colour_and_named_at_its_end(stock) -> None:
    _, ax = figure()
    stage_stock_lines(ax, stock, names=RULES.scheme.names("zh"), min_group=2, language="zh")
    months = [line for line in ax.lines if line.get_transform() == ax.transData]
    drawn = {line.get_color(): line.get_ydata()[-1] for line in months}
    assert drawn == {colour_of("new"): 30, colour_of("active"): 20, colour_of("dormant"): 3, colour_of("churned"): 60}
    assert sorted(texts(ax)) == sorted(["新客", "活跃", "沉睡", "流失"])
    # in grey the lines are told apart by their dashes, which stand beside the names too
    assert len({line.get_linestyle() + str(line._dash_pattern) for line in months}) == 4
    assert ax.get_xlabel() == "最后一个月的客户数：n = 113"


def test_names_of_lines_that_end_together_are_set_apart() -> None:
    rows = [(f"2021-0{m}-01", stage, n) for m in (1, 2) for stage, n in (("new", 50), ("active", 51), ("dormant", 52))]
    _, ax = figure(height=3)
    frame = pd.DataFrame(rows, columns=["period_start", "stage", "n"]).assign(replicate=0)
    stage_stock_lines(ax, frame, names=RULES.scheme.names("en"), min_group=2, language="en")
    ax.figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(boxes))
