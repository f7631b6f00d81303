"""The pictures of moves and stages: what they write, and what they leave out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from lcm_research.plots.style import colour_of, figure
from lcm_research.plots.transitions import shown_stock, smallest_shown, stage_stock_lines, transition_heatmap
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.chain import transition_matrix

RULES = stage_rules("nadc", window_days=180)
MOVES = possible_moves(RULES)


def heatmap(rows: dict[tuple[str, str], int], language: str = "en"):
    counts = pd.DataFrame(
        [(*pair, 0, n) for pair, n in rows.items()], columns=["from_stage", "to_stage", "replicate", "n"]
    )
    matrix = transition_matrix(counts, stages=RULES.stages, moves=MOVES)
    _, ax = figure()
    names = RULES.scheme.names(language)  # type: ignore[arg-type]
    return transition_heatmap(ax, matrix, names=names, min_group=10, language=language)  # type: ignore[arg-type]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_each_cell_prints_the_probability_and_its_interval() -> None:
    ax = heatmap({("churned", "active"): 30, ("churned", "churned"): 70})
    assert "30.0%" in texts(ax)
    assert "21.2% – 40.0%" in texts(ax)  # Clopper-Pearson for 30 in 100
    assert "70.0%" in texts(ax)


def test_only_possible_moves_have_a_cell_and_clock_moves_are_hatched() -> None:
    ax = heatmap({("dormant", "active"): 30, ("dormant", "dormant"): 50, ("dormant", "churned"): 20})
    boxes = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert len(boxes) == MOVES.possible.sum()
    assert sum(box.get_hatch() is not None for box in boxes) == MOVES.clock.sum()
    assert texts(ax).count("by the clock") == 1  # of the dormant row; other rows have no numbers


def test_small_groups_are_blank_in_cells_and_in_row_names() -> None:
    ax = heatmap({("churned", "active"): 3, ("churned", "churned"): 70, ("new", "active"): 4})
    assert not any("%" in text for text in texts(ax))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[1] == "new\nn = ·"
    assert labels[4] == "churned\nn = 73"
    assert labels[3] == "dormant\nnobody"


def test_labels_are_in_the_language_asked_for() -> None:
    ax = heatmap({("churned", "active"): 30, ("churned", "churned"): 70}, "zh")
    assert ax.get_xlabel() == "一个月后所处阶段"
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
    drawn = {line.get_color(): line.get_ydata()[-1] for line in ax.lines}
    assert drawn == {colour_of("new"): 30, colour_of("active"): 20, colour_of("dormant"): 3, colour_of("churned"): 60}
    assert sorted(texts(ax)) == sorted(["新客", "活跃", "沉睡", "流失"])
    assert ax.get_xlabel() == "最后一个月的客户数：n = 113"
