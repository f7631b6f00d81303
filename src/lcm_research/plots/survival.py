"""Survival curves with those at risk under them, shares that end in several ways, and forests of ratios."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.findings.wording.common import count, number, percent
from lcm_research.plots.style import CORRECTED, INK, NAIVE, OKABE_ITO, SMALL, colour_of, line_of, ratio_marks, wrapped
from lcm_research.plots.time_axis import at_risk_rows, dress_days, name_ends
from lcm_research.survival.competing import CumulativeIncidence
from lcm_research.survival.curves import SurvivalCurve, quantile, truncate

__all__ = ["incidence_curve", "incidence_stacked", "mark_quantile", "ratio_forest", "survival_curves"]

Language = Literal["en", "zh"]
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "|||", "---", "ooo")

TEXT: dict[str, dict[Language, str]] = {
    "days": {"en": "days since the first purchase", "zh": "首次购买后的天数"},
    "stays": {"en": "share that goes on buying", "zh": "仍在购买的比例"},
    "ended": {"en": "share that has ended", "zh": "已结束的比例"},
    "days_back": {"en": "days since the lapse was declared", "zh": "判定流失后的天数"},
    "returns": {"en": "share that bought again", "zh": "再次购买的比例"},
    "to": {"en": "to", "zh": "至"},
    "quantile": {"en": "{share} by day {day} ({lower} to {upper})", "zh": "{share}：第 {day} 天（{lower} 至 {upper}）"},
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
    several, heights = len(cut) > 1, []
    for place, (name, curve) in enumerate(cut.items()):
        colour = colour_of(name, list(cut)) if several else OKABE_ITO[0]
        band = 0.18 if len(cut) <= 3 else 0.11
        heights.append(_step(ax, curve, "survival", colour, line_of(place), horizon_days, band))
    dress_days(ax, horizon_days, TEXT["days"][language], TEXT["stays"][language])
    _percent_axis(ax)
    ax.set_ylim(0, 1.02)
    if several:
        name_ends(ax, list(cut), heights)
    at_risk_rows(ax, curves, min_at_risk, language)
    return ax


def incidence_curve(
    ax: Axes, curve: SurvivalCurve, *, horizon_days: float, min_at_risk: int, language: Language
) -> Axes:
    """Draw the share to whom the event has happened (lapsed customers who bought again), with its interval."""
    cut = truncate(curve, min_at_risk=min_at_risk)
    _step(ax, cut, "incidence", OKABE_ITO[0], "-", horizon_days, 0.18)
    dress_days(ax, horizon_days, TEXT["days_back"][language], TEXT["returns"][language])
    _percent_axis(ax)
    ax.set_ylim(bottom=0)
    at_risk_rows(ax, {"": curve}, min_at_risk, language)
    return ax


def mark_quantile(ax: Axes, curve: SurvivalCurve, share: float, *, language: Language) -> Axes:
    """
    Mark the day by which ``share`` have lapsed on a curve drawn before, with its interval and in words.

    An interval that the follow-up does not close runs to the edge of the picture.

    Parameters
    ----------
    share : float
        As for ``quantile``; 0.5 is the median.
    """
    found = quantile(curve, share)
    edge = ax.get_xlim()[1]
    lower, upper = (min(end, edge) for end in (found.lower, found.upper))
    height = 1 - share
    ax.hlines(height, lower, upper, color=INK, linewidth=2.6, zorder=4)
    ax.plot([found.value], [height], "D", color=INK, markersize=5.5, zorder=5)
    told = {"day": number(found.value), "lower": number(found.lower), "upper": number(found.upper)}
    ax.annotate(
        TEXT["quantile"][language].format(share=percent(share, 0), **told),
        (lower, height),
        xytext=(4, 7),
        textcoords="offset points",
        fontsize=SMALL,
        color=INK,
    )
    return ax


def incidence_stacked(
    ax: Axes,
    curves: Mapping[str, CumulativeIncidence],
    *,
    horizon_days: float,
    min_at_risk: int,
    language: Language,
) -> Axes:
    """
    Draw the shares that have ended in each way on top of one another; what is left above goes on.

    A whisker on a band is the interval of that band's own height; bands are told apart by hatching too.

    Parameters
    ----------
    curves : mapping of name to CumulativeIncidence
        One a cause, of the same counts; from bottom to top.
    min_at_risk : int
        The bands end where fewer are at risk, and smaller counts under the axis are blanked.
    """
    first = next(iter(curves.values()))
    if any(len(each.times) != len(first.times) or (each.times != first.times).any() for each in curves.values()):
        raise ModelError("stacked incidences must come from the same counts; these speak of different days")
    inside = (first.times <= horizon_days) & (first.at_risk >= min_at_risk)
    days = np.concatenate([[0.0], first.times[inside], [min(first.times[inside][-1] + 1, horizon_days)]])
    base, heights, names = np.zeros(len(days)), [], list(curves)
    marks = [days[-1] * share for share in (0.25, 0.5, 0.75, 0.98)]
    for place, (name, curve) in enumerate(curves.items()):
        lower, share, upper = (_held(each[inside]) for each in (curve.lower, curve.incidence, curve.upper))
        look: dict[str, Any] = {"facecolor": colour_of(name, names), "edgecolor": "white", "linewidth": 0.8}
        ax.fill_between(days, base, base + share, step="post", alpha=0.75, hatch=HATCHES[place % 8], **look)
        shifted = np.array(marks) - (place % 2) * 0.02 * days[-1]
        at = np.searchsorted(days, shifted, side="right") - 1
        ends = base[at] + np.stack([share[at] - lower[at], upper[at] - share[at]]) * [[-1], [1]] + share[at]
        ax.vlines(shifted, *ends, color="white", linewidth=4, zorder=3)
        ax.vlines(shifted, *ends, color=INK, linewidth=1.6, zorder=4)
        heights.append(float(base[-1] + share[-1] / 2))
        base = base + share
    dress_days(ax, horizon_days, TEXT["days"][language], TEXT["ended"][language])
    _percent_axis(ax)
    ax.set_ylim(0, min(1.0, 1.15 * base[-1] + 0.02))
    shares = [percent(float(curve.incidence[inside][-1])) for curve in curves.values()]
    name_ends(ax, names, heights, texts=[f"{name} {share}" for name, share in zip(names, shares, strict=True)])
    at_risk_rows(ax, {"": first}, min_at_risk, language)
    return ax


def ratio_forest(
    ax: Axes,
    ratios: Mapping[str, Estimate],
    *,
    label: str,
    language: Language,
    naive: Collection[str] = (),
    groups: Mapping[str, str] | None = None,
) -> Axes:
    """
    Draw ratios with their intervals on a logarithmic axis, the null at 1; the name and the numbers over each.

    Parameters
    ----------
    ratios : mapping of name to Estimate
        From top to bottom.
    label : str
        What the ratio is, with its reference; the axis title.
    naive : names
        Drawn hollow and dashed; the others, corrected, solid.
    groups : mapping of name to heading, optional
        Neighbouring ratios with one heading stand under it.
    """
    rows = _forest_rows(list(ratios), groups or {})
    places = {name: -float(row) for row, (name, heading) in enumerate(rows) if not heading}
    texts: dict[str, Any] = {"fontsize": SMALL, "va": "center", "xycoords": ("axes fraction", "data"), "color": INK}
    for row, (name, heading) in enumerate(rows):
        if heading:
            ax.annotate(name, (0, -row), **texts, ha="left", weight="bold")
    ax.axvline(1, color="#999999", linewidth=1, zorder=0)
    for name, place in places.items():
        ratio, hollow = ratios[name], name in naive
        ends = f"{ratio.value:.2f} ({ratio.lower:.2f} {TEXT['to'][language]} {ratio.upper:.2f})"
        ax.annotate(name, (0, place + 0.2), **texts, ha="left")
        ax.annotate(ends, (1, place + 0.2), **texts, ha="right", bbox={"fc": "white", "ec": "none", "pad": 0.8})
        line = ":" if hollow else "-"
        ax.hlines(place - 0.22, ratio.lower, ratio.upper, color=OKABE_ITO[0], linewidth=1.8, linestyle=line)
        mark = NAIVE if hollow else CORRECTED
        ax.plot([ratio.value], [place - 0.22], "o", color=OKABE_ITO[0], markersize=6.5, markeredgewidth=1.5, **mark)
    _ratio_axis(ax, list(ratios.values()))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_ylim(-len(rows) + 0.4, 0.55)
    sizes = sorted({ratio.n for ratio in ratios.values()})
    told = count(sizes[0]) if len(sizes) == 1 else f"{count(sizes[0])}–{count(sizes[-1])}"
    ax.set_xlabel(wrapped(f"{label}\nn = {told}", width=58))
    return ax


def _forest_rows(names: list[str], groups: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Names in order, a heading (True) before the first of each run that shares one."""
    rows, last = [], ""
    for name in names:
        heading = groups.get(name, "")
        if heading and heading != last:
            rows.append((heading, True))
        last = heading
        rows.append((name, False))
    return rows


def _ratio_axis(ax: Axes, ratios: list[Estimate]) -> None:
    low = min(0.9, *(ratio.lower for ratio in ratios)) / 1.1
    high = max(1.1, *(ratio.upper for ratio in ratios)) * 1.1
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    marks = ratio_marks(low, high)
    ax.set_xticks(marks, [f"{mark:g}" for mark in marks])
    ax.xaxis.set_minor_locator(NullLocator())


def _held(values: np.ndarray) -> np.ndarray:
    """A step function's values from day 0, with the last one held to the end."""
    return np.concatenate([[0.0], values, [values[-1]]])


def _step(
    ax: Axes,
    curve: SurvivalCurve,
    shown: Literal["survival", "incidence"],
    colour: str,
    line: Any,
    horizon_days: float,
    band: float,
) -> float:
    """Draw one curve and return the height at which it ends."""
    inside = curve.times <= horizon_days
    end = min(curve.follow_up_days, horizon_days)
    days = np.concatenate([[0.0], curve.times[inside], [end]])
    paths = []
    for values in (curve.survival, curve.lower, curve.upper):
        own = np.concatenate([[1.0], values[inside]])
        own = own if shown == "survival" else 1 - own
        paths.append(np.append(own, own[-1]))
    ax.fill_between(days, paths[1], paths[2], step="post", color=colour, alpha=band, linewidth=0)
    ax.step(days, paths[0], where="post", color=colour, linestyle=line, linewidth=1.8)
    return float(paths[0][-1])


def _percent_axis(ax: Axes) -> None:
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
