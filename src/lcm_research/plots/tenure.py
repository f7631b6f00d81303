"""When in their life customers lapse, and whether a hazard ratio holds over that life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lcm_research.errors import ModelError
from lcm_research.findings.wording.common import count, number
from lcm_research.plots.style import INK, OKABE_ITO, SMALL, colour_of, line_of, ratio_marks
from lcm_research.plots.time_axis import at_risk_rows, dress_days, name_ends
from lcm_research.survival.proportionality import SchoenfeldResiduals
from lcm_research.survival.smoothed import SmoothedHazard

__all__ = ["ratio_over_time", "smoothed_hazards"]

Language = Literal["en", "zh"]

TEXT: dict[str, dict[Language, str]] = {
    "days": {"en": "days since the first purchase", "zh": "首次购买后的天数"},
    "hazard": {"en": "lapses a day per 1,000 at risk", "zh": "每千名风险集客户的日流失数"},
    "ratio": {"en": "hazard ratio", "zh": "风险比"},
    "fitted": {"en": "fitted: {ratio}", "zh": "拟合值：{ratio}"},
    "n": {"en": "lapses: n = {n}", "zh": "流失数：n = {n}"},
}


def smoothed_hazards(ax: Axes, curves: Mapping[str, SmoothedHazard], *, min_at_risk: int, language: Language) -> Axes:
    """
    Draw smoothed hazards with their pointwise intervals, and those at risk under the axis.

    Parameters
    ----------
    curves : mapping of name to SmoothedHazard
        The name of a single curve is not written.
    min_at_risk : int
        A curve ends where fewer are at risk, and smaller counts under the axis are blanked.
    """
    several, heights, top = len(curves) > 1, [], 0.0
    for place, (name, curve) in enumerate(curves.items()):
        colour = colour_of(name, list(curves)) if several else OKABE_ITO[0]
        shown = curve.at_risk >= min_at_risk
        if not shown.any():
            raise ModelError(
                f"'{name}' has at most {curve.at_risk.max()} at risk, fewer than {min_at_risk}; merge groups"
            )
        days = curve.days[shown]
        lower, middle, upper = (1000 * each[shown] for each in (curve.lower, curve.hazard, curve.upper))
        ax.fill_between(days, lower, upper, color=colour, alpha=0.18, linewidth=0)
        ax.plot(days, middle, color=colour, linestyle=line_of(place), linewidth=1.8)
        heights.append(float(middle[-1]))
        # a last few days with a wide interval must not flatten the rest
        top = max(top, 1.6 * float(middle.max()), min(float(upper.max()), 3 * float(middle.max())))
    first = next(iter(curves.values()))
    dress_days(ax, first.until_day, TEXT["days"][language], TEXT["hazard"][language])
    ax.set_ylim(0, top)
    if several:
        name_ends(ax, list(curves), heights)
    rows = {name: _Rows(curve) for name, curve in curves.items()}
    at_risk_rows(ax, rows, min_at_risk, language)
    return ax


class _Rows:
    """Those at risk by day, under the name that ``at_risk_rows`` knows."""

    def __init__(self, curve: SmoothedHazard) -> None:
        self.times, self.at_risk = curve.days, curve.at_risk


def ratio_over_time(
    ax: Axes, residuals: SchoenfeldResiduals, column: str, *, min_events: int, title: str, language: Language
) -> Axes:
    """
    Draw a hazard ratio over a customer's life: means of neighbouring days as dots, the smooth curve, and the fit.

    A level curve is a constant ratio. Dots and curve have their pointwise intervals.

    Parameters
    ----------
    column : str
        One of the columns of the fit.
    min_events : int
        Lapses behind a dot; fewer would show single customers. At least 30 make a picture that can be read.
    title : str
        What the ratio compares.
    """
    place = residuals.names.index(column)
    means = residuals.table(min_events=min_events)
    own = means[means["covariate"] == column]
    middle = (own["from_day"] + own["until_day"]).to_numpy() / 2
    value, lower, upper = (np.exp(own[name].to_numpy()) for name in ("residual", "lower", "upper"))
    ax.vlines(middle, lower, upper, color="#9A9A9A", linewidth=1.2, zorder=1)
    ax.plot(middle, value, "o", color="#777777", markersize=4, zorder=2)
    smooth = [np.exp(each[:, place]) for each in (residuals.lower, residuals.smooth, residuals.upper)]
    ax.fill_between(residuals.days, smooth[0], smooth[2], color=OKABE_ITO[0], alpha=0.2, linewidth=0)
    ax.plot(residuals.days, smooth[1], color=OKABE_ITO[0], linewidth=1.8)
    fitted = float(np.exp(residuals.coefficients[place]))
    ax.axhline(fitted, color=INK, linewidth=1.1, linestyle="--")
    ax.axhline(1, color="#BBBBBB", linewidth=1, zorder=0)
    dress_days(ax, float(residuals.days[-1]), TEXT["days"][language], TEXT["ratio"][language])
    low, high = min(0.8, lower.min(), smooth[0].min()), max(1.25, upper.max(), smooth[2].max())
    low, high = max(low, fitted / 8), min(high, fitted * 8)
    ax.set_yscale("log")
    ax.set_ylim(low / 1.05, high * 1.05)
    ax.set_yticks(ratio_marks(low, high))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    ax.yaxis.set_minor_locator(MaxNLocator(1))
    ax.tick_params(axis="y", which="minor", length=0, labelleft=False)
    told: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": SMALL, "color": INK, "textcoords": "offset points"}
    ax.annotate(TEXT["fitted"][language].format(ratio=number(fitted)), (1, 1), xytext=(0, 4), ha="right", **told)
    ax.set_title(title, loc="left", fontsize=SMALL + 0.4)
    n = TEXT["n"][language].format(n=count(int(residuals.n_events.sum())))
    ax.set_xlabel(f"{TEXT['days'][language]}（{n}）" if language == "zh" else f"{TEXT['days'][language]} ({n})")
    return ax
