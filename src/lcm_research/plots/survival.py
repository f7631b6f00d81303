"""Survival curves with those at risk under them, shares that return, and forests of ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator, NullLocator

from lcm_research.estimate import Estimate
from lcm_research.plots.style import INK, OKABE_ITO, colour_of
from lcm_research.survival.curves import SurvivalCurve, at_risk_table, truncate

__all__ = ["incidence_curve", "ratio_forest", "survival_curves"]

Language = Literal["en", "zh"]
LINES = ("-", "--", "-.", ":")
BLANK = "·"
WIDE = (0.1, 0.2, 0.5, 1, 2, 5, 10)
NARROW = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.7, 2, 2.5)

TEXT: dict[str, dict[Language, str]] = {
    "days": {"en": "days since the first purchase", "zh": "首次购买后的天数"},
    "stays": {"en": "share that goes on buying", "zh": "仍在购买的比例"},
    "at_risk": {"en": "at risk", "zh": "风险集人数"},
    "days_back": {"en": "days since the lapse was declared", "zh": "判定流失后的天数"},
    "returns": {"en": "share that bought again", "zh": "再次购买的比例"},
}


def survival_curves(
    ax: Axes,
    curves: Mapping[str, SurvivalCurve],
    *,
    horizon_days: float,
    min_at_risk: int,
    language: Language,
) -> Axes:
    """
    Draw curves with their pointwise intervals, each named at its end, and those at risk under the axis.

    Parameters
    ----------
    curves : mapping of name to SurvivalCurve
        A name is drawn as it is; colours and dashes follow the order.
    horizon_days : float
        Right end of the axis; marked where the curves go further.
    min_at_risk : int
        A curve ends where fewer are at risk, and smaller counts under the axis are blanked.
    """
    cut = {name: truncate(curve, min_at_risk=min_at_risk) for name, curve in curves.items()}
    ends = []
    for place, (name, curve) in enumerate(cut.items()):
        colour = colour_of(name, list(cut)) if len(cut) > 1 else OKABE_ITO[0]
        ends.append(_step(ax, curve, curve.survival, curve.lower, curve.upper, colour, LINES[place % 4], horizon_days))
    if len(cut) > 1:
        _name_ends(ax, list(cut), ends, horizon_days)
    _dress(ax, horizon_days, TEXT["days"][language], TEXT["stays"][language])
    ax.set_ylim(0, 1.02)
    _at_risk_rows(ax, curves, min_at_risk, language)
    return ax


def incidence_curve(
    ax: Axes, curve: SurvivalCurve, *, horizon_days: float, min_at_risk: int, language: Language
) -> Axes:
    """Draw the share to whom the event has happened (lapsed customers who bought again), with its interval."""
    cut = truncate(curve, min_at_risk=min_at_risk)
    _step(ax, cut, 1 - cut.survival, 1 - cut.upper, 1 - cut.lower, OKABE_ITO[0], "-", horizon_days)
    _dress(ax, horizon_days, TEXT["days_back"][language], TEXT["returns"][language])
    ax.set_ylim(bottom=0)
    _at_risk_rows(ax, {"": curve}, min_at_risk, language)
    return ax


def ratio_forest(ax: Axes, ratios: Mapping[str, Estimate], *, label: str, language: Language) -> Axes:
    """
    Draw ratios with their intervals on a logarithmic axis, the null at 1, the numbers beside them.

    Parameters
    ----------
    ratios : mapping of name to Estimate
        From top to bottom.
    label : str
        What the ratio is, with its reference; the axis title.
    """
    places = np.arange(len(ratios))[::-1]
    values, lower, upper = (np.array([getattr(r, end) for r in ratios.values()]) for end in ("value", "lower", "upper"))
    ax.axvline(1, color="#999999", linewidth=1, zorder=0)
    ax.hlines(places, lower, upper, color=OKABE_ITO[0], linewidth=1.8)
    ax.plot(values, places, "o", color=OKABE_ITO[0], markersize=6)
    to = {"en": "to", "zh": "至"}[language]
    for place, ratio in zip(places, ratios.values(), strict=True):
        text = f"{ratio.value:.2f} ({ratio.lower:.2f} {to} {ratio.upper:.2f})"
        ax.annotate(text, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=9, color=INK)
    ax.set_xscale("log")
    low, high = min(lower.min(), 0.9), max(upper.max(), 1.1)
    ax.set_xlim(low / 1.1, high * 1.1)
    marks = [m for m in (WIDE if high / low > 3 else NARROW) if low / 1.1 <= m <= high * 1.1]
    ax.set_xticks(marks, [f"{m:g}" for m in marks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(places, list(ratios))
    ax.set_ylim(-0.6, len(ratios) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(label)
    return ax


def _step(
    ax: Axes,
    curve: SurvivalCurve,
    middle: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    colour: str,
    line: str,
    horizon_days: float,
) -> tuple[float, float]:
    """Draw one curve and return where it ends."""
    start = 1.0 if middle[0] == curve.survival[0] else 0.0
    inside = curve.times <= horizon_days
    end = min(curve.follow_up_days, horizon_days)
    days = np.concatenate([[0.0], curve.times[inside], [end]])
    paths = []
    for values in (middle, lower, upper):
        own = np.concatenate([[start], values[inside]])
        paths.append(np.append(own, own[-1]))
    ax.fill_between(days, paths[1], paths[2], step="post", color=colour, alpha=0.18, linewidth=0)
    ax.step(days, paths[0], where="post", color=colour, linestyle=line, linewidth=1.8)
    return float(end), float(paths[0][-1])


def _name_ends(ax: Axes, names: Sequence[str], ends: Sequence[tuple[float, float]], horizon_days: float) -> None:
    """Write each name beside its curve's end, moved apart where ends lie close."""
    gap = 0.055
    order = np.argsort([height for _, height in ends])
    heights = np.array([ends[i][1] for i in order])
    for place in range(1, len(heights)):
        heights[place] = max(heights[place], heights[place - 1] + gap)
    heights -= max(0.0, heights[-1] - 0.98)
    for place, i in enumerate(order):
        ax.annotate(
            names[i],
            xy=(ends[i][0], ends[i][1]),
            xytext=(horizon_days * 1.02, heights[place]),
            color=colour_of(names[i], names),
            fontsize=9,
            va="center",
            annotation_clip=False,
        )


def _dress(ax: Axes, horizon_days: float, x_label: str, y_label: str) -> None:
    ax.set_xlim(0, horizon_days)
    steps = [step for step in (5, 10, 15, 30, 45, 60, 90, 120, 180, 365) if horizon_days % step == 0]
    even = next((step for step in steps if 3 <= horizon_days / step <= 6), None)
    ax.xaxis.set_major_locator(MultipleLocator(even) if even else MaxNLocator(6, integer=True, steps=[1, 3, 6, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.grid(axis="y")


def _at_risk_rows(ax: Axes, curves: Mapping[str, SurvivalCurve], min_at_risk: int, language: Language) -> None:
    """Write the spells at risk under the axis title, one row a curve, at the axis' own marks."""
    days = [day for day in ax.get_xticks() if 0 <= day <= ax.get_xlim()[1]]
    table = at_risk_table(curves, days)
    size = ax.get_window_extent().height / ax.figure.dpi
    line, first = 0.19 / size, -0.72 / size
    style: dict[str, Any] = {
        "va": "center",
        "fontsize": 8.5,
        "xycoords": ("data", "axes fraction"),
        "annotation_clip": False,
    }
    ax.annotate(TEXT["at_risk"][language], (0, first + line), ha="left", color=INK, style="italic", **style)
    for row, name in enumerate(curves):
        colour = colour_of(name, list(curves)) if len(curves) > 1 else INK
        height = first - row * line
        if name and len(curves) > 1:
            label_style = style | {"xycoords": ("axes fraction", "axes fraction")}
            ax.annotate(name, (-0.075, height), ha="right", color=colour, **label_style)
        for day, n in zip(days, table.loc[name], strict=True):
            text = f"{n:,}" if n == 0 or n >= min_at_risk else BLANK
            ax.annotate(text, (day, height), ha="center", color=colour, **style)
