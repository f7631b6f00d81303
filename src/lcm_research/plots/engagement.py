"""Naive beside corrected ratios, ratios by lag, exposure by activity, and returns by churn window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from lcm_research.findings.wording.common import count
from lcm_research.plots.style import INK, NAIVE, NULL_BAND, OKABE_ITO, SMALL, ratio_marks, wrapped
from lcm_research.plots.survival import ratio_forest
from lcm_research.plots.time_axis import BLANK
from lcm_research.survival.engagement import BiasPanel
from lcm_research.survival.positivity import Positivity
from lcm_research.survival.window_choice import WindowChoice

__all__ = ["bias_forest", "lag_ratios", "overlap_shares", "window_returns"]

Language = Literal["en", "zh"]

TEXT: dict[str, dict[Language, str]] = {
    "ratio": {"en": "hazard ratio of lapsing, engaged against not", "zh": "流失风险比（有互动比无互动）"},
    "lag": {"en": "days from the exposure's period to the outcome's", "zh": "暴露期到结局期的天数"},
    "share_engaged": {"en": "share of time engaged", "zh": "互动占风险时间的比例"},
    "past_days": {"en": "purchase days before", "zh": "此前的购买天数"},
    "window": {"en": "churn window (days)", "zh": "流失窗口（天）"},
    "returned": {"en": "share of lapses that return", "zh": "流失后再次购买的比例"},
    "n_customers": {"en": "customers, at least", "zh": "客户数（至少）"},
    "n_lapses": {"en": "lapses", "zh": "流失数"},
    "in_force": {"en": "in force", "zh": "现用"},
    "recommended": {"en": "by the rule", "zh": "规则推荐"},
    "both": {"en": "in force, and by the rule", "zh": "现用，亦为规则推荐"},
    "interval": {"en": "interval of the rule's window", "zh": "推荐窗口的区间"},
}


def bias_forest(ax: Axes, panel: BiasPanel, *, names: Sequence[str], language: Language) -> Axes:
    """
    Draw the naive ratio hollow, the corrected ones solid, on a logarithmic axis with the null at 1.

    Parameters
    ----------
    names : list of str
        What the naive, the landmark and the lagged analysis are called, in this order; their customers are added.
    """
    ratios = (panel.naive, panel.landmark, panel.lagged)
    rows = {f"{name} (n = {count(ratio.n)})": ratio for name, ratio in zip(names, ratios, strict=True)}
    return ratio_forest(ax, rows, label=TEXT["ratio"][language], language=language, naive=[next(iter(rows))])


def lag_ratios(ax: Axes, profile: pd.DataFrame, *, period_days: int, language: Language) -> Axes:
    """
    Draw the hazard ratio by lag, with intervals, the null at 1, and the customers compared under the axis.

    Parameters
    ----------
    profile : DataFrame
        Of ``lag_profile``.
    """
    days = profile["lag_periods"].to_numpy() * period_days
    ax.axhline(1, color="#999999", linewidth=1, zorder=0)
    ax.vlines(days, profile["lower"], profile["upper"], color=OKABE_ITO[0], linewidth=1.8)
    ax.plot(days, profile["hazard_ratio"], "o-", color=OKABE_ITO[0], markersize=6, linewidth=1)
    ax.set_yscale("log")
    low, high = min(0.9, profile["lower"].min()), max(1.1, profile["upper"].max())
    ax.set_ylim(low / 1.1, high * 1.1)
    marks = ratio_marks(low / 1.1, high * 1.1)
    ax.set_yticks(marks, [f"{m:g}" for m in marks])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xlim(days.min() - period_days / 2, days.max() + period_days / 2)
    under = [f"{day}\nn = {count(n)}" for day, n in zip(days, profile["n_customers"], strict=True)]
    ax.set_xticks(days, under)
    ax.set_xlabel(TEXT["lag"][language])
    ax.set_ylabel(wrapped(TEXT["ratio"][language], width=30))
    return ax


def overlap_shares(ax: Axes, found: Positivity, *, min_group: int, language: Language) -> Axes:
    """
    Draw the share engaged by past purchase days, with intervals; outside the band one side is missing.

    Parameters
    ----------
    min_group : int
        A group is left blank where fewer customers than this, or fewer spell-periods of one side, stand behind it.
    """
    places = np.arange(len(found.activity))
    ax.axhspan(found.min_share, 1 - found.min_share, color=NULL_BAND, alpha=0.35, linewidth=0)
    sides = np.minimum(found.n_engaged, found.n_not_engaged)
    for place, share, side in zip(places, found.share_engaged, sides, strict=True):
        if share.n < min_group or 0 < side < min_group:
            continue
        ax.vlines(place, share.lower, share.upper, color=OKABE_ITO[0], linewidth=1.8)
        has_both = found.min_share <= share.value <= 1 - found.min_share
        ax.plot(place, share.value, "o", color=OKABE_ITO[0], markersize=6, **({} if has_both else NAIVE))
    ax.set_ylim(0, 1)
    ax.set_xlim(-0.6, len(places) - 0.4)
    names = [
        f"{name}\n{_size(share.n, min_group)}" for name, share in zip(found.activity, found.share_engaged, strict=True)
    ]
    ax.set_xticks(places, names)
    ax.set_xlabel(f"{TEXT['past_days'][language]}\n{TEXT['n_customers'][language]}")
    ax.set_ylabel(TEXT["share_engaged"][language])
    ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    return ax


def window_returns(ax: Axes, choice: WindowChoice, *, window_days: int, min_group: int, language: Language) -> Axes:
    """
    Draw the share of lapses that return by churn window, the rule's line, and the two windows marked.

    Parameters
    ----------
    window_days : int
        The study's own window.
    """
    shown = {window: share for window, share in choice.shares.items() if choice.n_lapses[window] >= min_group}
    days, shares = np.array(list(shown)), list(shown.values())
    values, lower, upper = (np.array([getattr(s, end) for s in shares]) for end in ("value", "lower", "upper"))
    ax.fill_between(days, lower, upper, color=OKABE_ITO[0], alpha=0.18, linewidth=0)
    ax.plot(days, values, "o-", color=OKABE_ITO[0], markersize=5, linewidth=1.8)
    ax.axhline(choice.most_return, color=INK, linewidth=1, linestyle=":")
    if choice.lower is not None and choice.lower != choice.upper:
        end = max(days) if choice.upper is None else choice.upper
        ax.hlines(0, choice.lower, end, color=INK, linewidth=6, clip_on=False)
        middle: dict[str, Any] = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center", "fontsize": SMALL}
        middle["bbox"] = {"fc": "white", "ec": "none", "pad": 0.8}
        ax.annotate(TEXT["interval"][language], ((choice.lower + end) / 2, 0), color=INK, **middle)
    ax.set_ylim(0, max(upper.max(), choice.most_return) * 1.15)
    _mark_windows(ax, choice.recommended, window_days, language)
    ticks = sorted(choice.n_lapses)
    ax.set_xticks(ticks, [f"{day}\n{_size(choice.n_lapses[day], min_group)}" for day in ticks])
    ax.set_xlabel(f"{TEXT['window'][language]}\n{TEXT['n_lapses'][language]}")
    ax.set_ylabel(TEXT["returned"][language])
    ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    return ax


def _mark_windows(ax: Axes, recommended: int | None, window_days: int, language: Language) -> None:
    """Name the study's window (solid) and the recommended one (dashed) at the top, in one word where they agree."""
    style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom", "fontsize": SMALL}
    same = recommended == window_days
    ax.axvline(window_days, color=INK, linewidth=1.2)
    ax.annotate(TEXT["both" if same else "in_force"][language], (window_days, 1.01), color=INK, **style)
    if recommended is not None and not same:
        ax.axvline(recommended, color=OKABE_ITO[1], linewidth=1.2, linestyle="--")
        ax.annotate(TEXT["recommended"][language], (recommended, 1.01), color=OKABE_ITO[1], **style)


def _size(n: int, min_group: int) -> str:
    return count(n) if n == 0 or n >= min_group else BLANK


def _percent(share: float, _: object) -> str:
    return f"{100 * share:g}%"
