"""Fitted curves over the one that was seen, dashed where nobody was followed, and residuals against their line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from lcm_research.plots.style import INK, NULL_BAND, OKABE_ITO, SMALL
from lcm_research.plots.time_axis import LINE_POINTS, at_risk_rows, dress_days
from lcm_research.survival.curves import SurvivalCurve, truncate

__all__ = ["fitted_curves", "residual_line"]

Language = Literal["en", "zh"]

TEXT: dict[str, dict[Language, str]] = {
    "days": {"en": "days since the first purchase", "zh": "首次购买后的天数"},
    "stays": {"en": "share that goes on buying", "zh": "仍在购买的比例"},
    "end": {"en": "follow-up ends", "zh": "观察结束"},
    "residual": {"en": "cumulative hazard by the fit", "zh": "拟合的累积风险"},
    "hazard": {"en": "cumulative hazard of the residuals", "zh": "残差的累积风险"},
}


def fitted_curves(
    ax: Axes,
    curve: SurvivalCurve,
    fitted: Mapping[str, pd.DataFrame],
    *,
    horizon_days: float,
    min_at_risk: int,
    language: Language,
) -> Axes:
    """
    Draw fitted curves over the product-limit curve with its interval.

    Parameters
    ----------
    curve : SurvivalCurve
        Of the spells that were fitted; it ends where fewer than ``min_at_risk`` are at risk.
    fitted : mapping of name to DataFrame
        Of ``predicted_curve``, from the day the spells are known to go past; named at their ends. Dashed beyond
        the follow-up; the first has its interval drawn there, where there is nothing else to judge it by.
    horizon_days : float
        Right end of the axis, beyond the follow-up.
    """
    cut = truncate(curve, min_at_risk=min_at_risk)
    days = np.concatenate([[0.0], cut.times, [cut.follow_up_days]])
    seen, lower, upper = (np.concatenate([[1.0], v, v[-1:]]) for v in (cut.survival, cut.lower, cut.upper))
    ax.fill_between(days, lower, upper, step="post", color=NULL_BAND, linewidth=0)
    ax.step(days, seen, where="post", color=INK, linewidth=1.2)
    ends = {}
    for place, (name, table) in enumerate(fitted.items()):
        colour = OKABE_ITO[place % len(OKABE_ITO)]
        inside = table[~table["beyond_follow_up"]]
        beyond = pd.concat(
            [inside.tail(1), table[table["beyond_follow_up"] & (table["duration_days"] <= horizon_days)]]
        )
        style: dict[str, Any] = {"color": colour, "linewidth": 1.8 if place == 0 else 1.2, "zorder": 3 - 0.1 * place}
        ax.plot(inside["duration_days"], inside["survival"], **style)
        ax.plot(beyond["duration_days"], beyond["survival"], linestyle="--", **style)
        if place == 0 and len(beyond) > 1:
            ax.fill_between(
                beyond["duration_days"], beyond["lower"], beyond["upper"], color=colour, alpha=0.18, linewidth=0
            )
        ends[name] = (float(beyond["survival"].iloc[-1]), colour)
    start = min(float(table["duration_days"].iloc[0]) for table in fitted.values())
    dress_days(ax, horizon_days, TEXT["days"][language], TEXT["stays"][language], start_day=start)
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _name(ax, ends)
    _mark_end(ax, curve.follow_up_days, horizon_days, language)
    at_risk_rows(ax, {"": curve}, min_at_risk, language)
    return ax


def residual_line(ax: Axes, residuals: pd.DataFrame, *, language: Language) -> Axes:
    """
    Draw the cumulative hazard of Cox-Snell residuals with its interval against the line on which it would lie.

    Parameters
    ----------
    residuals : DataFrame
        Of ``cox_snell_residuals``.
    """
    x = residuals["residual"]
    ax.fill_between(x, residuals["lower"], residuals["upper"], step="post", color=OKABE_ITO[0], alpha=0.18, linewidth=0)
    ax.step(x, residuals["cumulative_hazard"], where="post", color=OKABE_ITO[0], linewidth=1.8)
    top = float(x.max())
    ax.plot([0, top], [0, top], color="#999999", linewidth=1, zorder=0)
    ax.set_xlim(0, top * 1.02)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(TEXT["residual"][language])
    ax.set_ylabel(TEXT["hazard"][language])
    return ax


def _name(ax: Axes, ends: Mapping[str, tuple[float, str]]) -> None:
    """Write each name at the right edge, led to by a thin line: dashes, which tell lines apart elsewhere, are taken."""
    low, high = ax.get_ylim()
    gap = 1.25 * LINE_POINTS / (ax.get_window_extent().height * 72 / ax.figure.dpi)
    place = -1.0
    for name, (value, colour) in sorted(ends.items(), key=lambda item: item[1][0]):
        end = (value - low) / (high - low)
        place = max(end, place + gap)
        outside: dict[str, Any] = {"transform": ax.transAxes, "color": colour, "clip_on": False}
        ax.plot([1.005, 1.035], [end, place], linewidth=0.8, **outside)
        ax.text(1.045, place, name, fontsize=SMALL, va="center", **outside)


def _mark_end(ax: Axes, day: float, horizon_days: float, language: Language) -> None:
    if day < horizon_days:
        ax.axvline(day, color="#999999", linewidth=1, linestyle=":", zorder=0)
        place: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points", "va": "top"}
        ax.annotate(TEXT["end"][language], (day, 1.0), fontsize=SMALL, color=INK, **place)
