"""The mix of stages so far and some periods ahead, one panel for each stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lcm_research.findings.wording.common import count, percent
from lcm_research.plots.style import INK, NAIVE, SMALL, colour_of, figure
from lcm_research.plots.transitions import month_axis
from lcm_research.privacy import small_rows
from lcm_research.transitions.backtest import Backtest, StageForecast
from lcm_research.transitions.forecast import FlowCounts

__all__ = ["forecast_fan", "forecast_fans", "shown_shares", "smallest_share_shown"]

Language = Literal["en", "zh"]

TEXT: dict[str, dict[Language, str]] = {
    "share": {"en": "share of customers", "zh": "客户占比"},
    "n": {"en": "customers of known stage in the last month: n = ", "zh": "最近一个月阶段已知的客户：n = "},
}


def shown_shares(flows: FlowCounts, *, min_group: int) -> pd.DataFrame:
    """Return the share of each stage by period, missing where it is of fewer than ``min_group``, or gives one away."""
    stock = np.array([flows.stock(t).sum(axis=0) for t in range(len(flows.periods))])
    hidden = np.array([small_rows(pd.Series(row), None, min_group=min_group) for row in stock])
    share = np.where(hidden, np.nan, stock / stock.sum(axis=1, keepdims=True))
    return pd.DataFrame(share, index=list(flows.periods), columns=list(flows.stages))


def smallest_share_shown(flows: FlowCounts, *, min_group: int) -> int:
    """Return the customers of the smallest group behind ``shown_shares``; 0 where there is none."""
    shown = shown_shares(flows, min_group=min_group).to_numpy()
    totals = np.array([flows.stock(t).sum() for t in range(len(flows.periods))])
    sizes = (shown * totals[:, None])[shown > 0]
    return round(sizes.min()) if len(sizes) else 0


def forecast_fans(
    flows: FlowCounts,
    forecast: StageForecast,
    tried: Backtest | None,
    *,
    names: Mapping[str, str],
    min_group: int,
    language: Language,
) -> Figure:
    """
    Draw a fan for each stage that may be shown, two in a row, with the customers they rest on underneath.

    Parameters
    ----------
    tried : Backtest or None
        Its forecasts over the longest horizon are marked hollow where it reached.
    names : mapping of stage to name
        In the language of the figure.
    min_group : int
        Stages with fewer customers in the last period have no panel, and earlier points of so few are not drawn.
    """
    shown = shown_shares(flows, min_group=min_group)
    drawn = [stage for stage in flows.stages if shown[stage].iloc[-1] > 0]
    n_rows = max(1, -(-len(drawn) // 2))
    fig, axes = figure(ncols=2, nrows=n_rows, height=0.6 + 1.75 * n_rows, squeeze=False, sharex=True)
    for stage, ax in zip(drawn, axes.flat, strict=False):
        forecast_fan(ax, flows, forecast, tried, stage=stage, name=names[stage], min_group=min_group)
    for ax in list(axes.flat)[len(drawn) :]:
        ax.set_visible(False)
    if len(drawn) % 2 and len(drawn) > 1:
        axes[-2, 1].tick_params(labelbottom=True)
    last = flows.stock(len(flows.periods) - 1).sum()
    fig.supylabel(TEXT["share"][language], fontsize=10.5)
    fig.supxlabel(f"{TEXT['n'][language]}{count(last)}", fontsize=10.5)
    return fig


def forecast_fan(
    ax: Axes,
    flows: FlowCounts,
    forecast: StageForecast,
    tried: Backtest | None,
    *,
    stage: str,
    name: str,
    min_group: int,
) -> Axes:
    """
    Draw the share of one stage so far (solid), ahead (dashed, with its interval), and as forecast earlier (hollow).

    What came is a count and has no interval. Parameters: as of ``forecast_fans``.
    """
    colour = colour_of(stage, list(flows.stages))
    past = shown_shares(flows, min_group=min_group)[stage]
    ahead = forecast.rows[forecast.rows["stage"] == stage]
    ax.plot(pd.to_datetime(past.index), past, "-", color=colour, lw=2)
    months = pd.to_datetime([past.index[-1], *ahead["period_start"]])
    fan = {end: np.array([past.iloc[-1], *ahead[end]]) for end in ("share", "lower", "upper")}
    ax.fill_between(months, fan["lower"], fan["upper"], color=colour, alpha=0.22, lw=0)
    ax.plot(months, fan["share"], linestyle=(0, (3, 1.5)), color=colour, lw=2)
    tops = [past.max(), fan["upper"].max()]
    if tried is not None:
        made = tried.rows[(tried.rows["stage"] == stage) & (tried.rows["ahead"] == tried.rows["ahead"].max())]
        made = made[past.reindex(made["target"]).notna().to_numpy()]
        hollow: dict[str, Any] = {"marker": "D", "ms": 3.6, "mew": 1, "color": INK, **NAIVE}
        ax.plot(pd.to_datetime(made["target"]), made["share"], linestyle="none", **hollow)
        tops.append(made["share"].max())
    ax.axvline(float(date2num(months[0])), color=INK, lw=0.8, linestyle=":")
    ax.set_ylim(0, 1.08 * np.nanmax(tops))
    ax.set_title(
        f"{name}  {percent(fan['share'][-1], 0 if fan['share'][-1] >= 0.1 else 1)}", color=colour, fontsize=10.5
    )
    month_axis(ax, [*pd.to_datetime(past.index), *months[1:]], most=2)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    ax.tick_params(labelsize=SMALL)
    ax.grid(axis="y")
    return ax
