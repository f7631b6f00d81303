"""A fan for each stage that may be shown: what came, what is expected, and what was expected before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.plots.forecast import forecast_fans, shown_shares, smallest_share_shown
from lcm_research.plots.style import SMALL, colour_of
from lcm_research.plots.transitions import month_axis
from lcm_research.transitions.backtest import backtest, stage_forecast
from lcm_research.transitions.forecast import FlowCounts

STAGES = ("new", "active", "churned")
NAMES = {"new": "新客", "active": "活跃", "churned": "流失"}


def flows(n_periods: int = 16, rare: float = 0.0) -> FlowCounts:
    rng = np.random.default_rng(3)
    moves, entries = np.zeros((n_periods, 100, 3, 3)), np.zeros((n_periods, 100, 3))
    entries[0] = [[rare, 10, 8]] * 100
    stock = entries[0]
    for t in range(1, n_periods):
        leave = np.minimum(stock, rng.poisson(stock * [0, 0.2, 0.1]))
        moves[t] = np.stack([np.diag(row) for row in stock - leave])
        moves[t, :, 1, 2], moves[t, :, 2, 1] = leave[:, 1], leave[:, 2]
        stock = moves[t].sum(axis=1)
    names = tuple(str(p.start_time.date()) for p in pd.period_range("2023-01", periods=n_periods, freq="M"))
    return FlowCounts(stages=STAGES, periods=names, moves=moves, entries=entries)


def drawn(given: FlowCounts, *, with_record: bool = True, language: str = "zh"):
    record = backtest(given, horizon_periods=3, min_train_periods=3, season="none")
    coming = stage_forecast(given, record, horizon_periods=3, season="none")
    fig = forecast_fans(given, coming, record if with_record else None, names=NAMES, min_group=10, language=language)
    return fig, coming, record


def test_each_panel_draws_what_came_what_is_expected_and_what_was() -> None:
    given = flows()
    fig, coming, record = drawn(given)
    first, second = fig.axes[:2]
    assert [ax.get_visible() for ax in fig.axes] == [True, True]
    past, ahead, before = first.lines[:3]
    shares = shown_shares(given, min_group=10)["active"]
    assert past.get_ydata() == pytest.approx(shares.to_numpy())
    rows = coming.rows[coming.rows["stage"] == "active"]
    assert ahead.get_ydata() == pytest.approx([shares.iloc[-1], *rows["share"]])
    edge = first.collections[0].get_paths()[0].vertices[:, 1]
    assert (edge.min(), edge.max()) == pytest.approx((min(rows["lower"]), max(rows["upper"])))
    earlier = record.rows[(record.rows["stage"] == "active") & (record.rows["ahead"] == 3)]
    assert before.get_ydata() == pytest.approx(earlier["share"].to_numpy())
    assert before.get_markerfacecolor() == "white"
    assert past.get_color() == colour_of("active")
    assert second.get_title(loc="left").startswith("流失")
    assert ahead.get_linestyle() != past.get_linestyle()


def test_a_stage_of_few_has_no_panel_nor_the_one_that_would_give_it_away() -> None:
    few = flows(rare=0.04)  # 4 customers who stay new: the next smallest stage is hidden with them
    shares = shown_shares(few, min_group=10)
    assert shares["new"].isna().all()
    assert (shares.isna().sum(axis=1) == 2).all()
    assert smallest_share_shown(few, min_group=10) >= 800
    fig, _, _ = drawn(few)
    assert sum(ax.get_visible() for ax in fig.axes) == 1


def test_the_customers_behind_it_and_the_record_may_be_left_out() -> None:
    fig, _, _ = drawn(flows(), with_record=False, language="en")
    assert fig.get_supxlabel() == "customers of known stage in the last month: n = 1,800"
    assert len(fig.axes[0].lines) == 3  # so far, ahead, and the month between
    assert min(label.get_fontsize() for label in fig.axes[0].get_xticklabels()) >= SMALL


def test_nobody_to_show_is_a_figure_of_nothing() -> None:
    given = flows()
    assert smallest_share_shown(given, min_group=10_000) == 0


@pytest.mark.parametrize(
    ("n_months", "marks"), [(1, ["2023-03"]), (5, ["2023-04", "2023-07"]), (40, ["2024-01", "2026-01"])]
)
def test_months_are_marked_evenly_by_the_calendar(n_months: int, marks: list[str]) -> None:
    from lcm_research.plots.style import figure

    _, ax = figure()
    month_axis(ax, pd.period_range("2023-03", periods=n_months, freq="M").to_timestamp(), most=2)
    assert [label.get_text() for label in ax.get_xticklabels()] == marks
