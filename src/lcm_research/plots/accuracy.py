"""Figures of predictions: calibration, the gain of a list, the decision curve, and Brier scores over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from lcm_research.estimate import Estimate
from lcm_research.plots.style import INK, OKABE_ITO
from lcm_research.privacy import small_rows
from lcm_research.survival.accuracy import BrierScore
from lcm_research.survival.accuracy_calibration import Calibration
from lcm_research.survival.warning_value import DecisionCurve, TopShare

__all__ = ["brier_over_time", "calibration_plot", "decision_curve_plot", "gain_curve"]

Language = Literal["en", "zh"]
BLANK = "·"
GREY = "#767676"
OWN = OKABE_ITO[0]

TEXT: dict[str, dict[Language, str]] = {
    "predicted": {"en": "mean predicted risk", "zh": "平均预测风险"},
    "observed": {"en": "share that lapsed", "zh": "实际流失比例"},
    "ideal": {"en": "as predicted", "zh": "与预测一致"},
    "n_warned": {"en": "customers warned by risk", "zh": "按风险预警的客户数"},
    "customers": {"en": "customers", "zh": "客户数"},
    "warned": {
        "en": "share of customers on the list, highest risk first",
        "zh": "名单占全部客户的比例（风险从高到低）",
    },
    "captured": {"en": "share of all lapses on the list", "zh": "名单中的流失占全部流失的比例"},
    "by_risk": {"en": "by risk", "zh": "按风险"},
    "by_lot": {"en": "by lot", "zh": "随机名单"},
    "best": {"en": "best possible", "zh": "理论上限"},
    "threshold": {"en": "risk from which on a customer is warned", "zh": "开始预警的风险阈值"},
    "net_benefit": {"en": "net benefit per customer", "zh": "每位客户的净收益"},
    "all": {"en": "warn everybody", "zh": "全部预警"},
    "none": {"en": "warn nobody", "zh": "全不预警"},
    "day": {"en": "days after the decision day", "zh": "决策日之后的天数"},
    "brier": {"en": "Brier score (0 is perfect)", "zh": "Brier 得分（0 为完美）"},
    "prediction": {"en": "prediction", "zh": "预测"},
    "base_rate": {"en": "base rate", "zh": "基准比率"},
}


def calibration_plot(ax: Axes, found: Calibration, *, min_group: int, language: Language) -> Axes:
    """
    Draw observed against predicted risk, a dot with its interval for each group, its customers under the axis.

    Parameters
    ----------
    min_group : int
        Groups of fewer customers are left out and their number is blanked, with one more where a subtraction
        would undo that.
    """
    sizes = pd.Series([group[0] for group in found.groups])
    hidden = small_rows(sizes, None, min_group=min_group)
    shown = [group for group, blanked in zip(found.groups, hidden, strict=True) if not blanked]
    x, seen = np.array([group[1] for group in shown]), [group[2] for group in shown]
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", zorder=1)
    _name(ax, "ideal", (0.1, 0.1), GREY, language, below=True)
    _dots(ax, x, seen)
    _percent(ax, "x")
    _percent(ax, "y")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(TEXT["predicted"][language])
    ax.set_ylabel(TEXT["observed"][language])
    ax.grid(axis="y")
    texts = [BLANK if blanked else f"{size:,}" for size, blanked in zip(sizes, hidden, strict=True)]
    numbers = [(group[1], text) for group, text in zip(found.groups, texts, strict=True)]
    _row_under(ax, numbers, TEXT["customers"][language])
    return ax


def gain_curve(ax: Axes, tops: Sequence[TopShare], *, base_rate: float, min_group: int, language: Language) -> Axes:
    """
    Draw the share of all lapses that a list holds by its length, with its interval, beside lot and the best possible.

    Parameters
    ----------
    tops : sequence of TopShare
        Of rising shares.
    base_rate : float
        Share of all customers that lapsed: a perfect list holds all lapses at this length.
    min_group : int
        Lists of fewer customers have their number under the axis blanked.
    """
    shares = np.array([0.0, *(top.share for top in tops)])
    captured = [top.capture for top in tops]
    middle, lower, upper = (
        np.array([0.0, *(getattr(each, end) for each in captured)]) for end in ("value", "lower", "upper")
    )
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    ax.plot([0, base_rate, 1], [0, 1, 1], color=GREY, linewidth=1, linestyle=":")
    ax.fill_between(shares, lower, upper, color=OWN, alpha=0.18, linewidth=0)
    ax.plot(shares, middle, color=OWN, linewidth=1.8, marker="o", markersize=3.5)
    middle_place = len(shares) // 2
    _name(ax, "by_risk", (shares[middle_place], middle[middle_place]), OWN, language, below=True)
    _name(ax, "by_lot", (0.62, 0.62), GREY, language, below=True)
    _name(ax, "best", (0.8 * base_rate, 0.8), GREY, language, below=False, right=True)
    _percent(ax, "x")
    _percent(ax, "y")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(TEXT["warned"][language])
    ax.set_ylabel(TEXT["captured"][language])
    ax.grid(axis="y")
    _row_under(ax, [(top.share, _number(top.n_warned, min_group)) for top in tops], TEXT["customers"][language])
    return ax


def decision_curve_plot(ax: Axes, curve: DecisionCurve, *, min_group: int, language: Language) -> Axes:
    """
    Draw the net benefit of warning by risk with its interval, beside warning everybody and nobody.

    Parameters
    ----------
    min_group : int
        Under the axis stand the customers warned by risk; fewer than this are blanked.
    """
    own, everybody = ([e.value for e in each] for each in (curve.net_benefit, curve.warn_all))
    lower, upper = ([getattr(e, end) for e in curve.net_benefit] for end in ("lower", "upper"))
    bottom = min(-0.05, 1.2 * min(min(own), min(lower)))
    ax.axhline(0, color=GREY, linewidth=1)
    all_low, all_high = ([getattr(e, end) for e in curve.warn_all] for end in ("lower", "upper"))
    ax.fill_between(curve.thresholds, all_low, all_high, color=GREY, alpha=0.15, linewidth=0)
    ax.plot(curve.thresholds, everybody, color=GREY, linewidth=1.4, linestyle="--")
    ax.fill_between(curve.thresholds, lower, upper, color=OWN, alpha=0.18, linewidth=0)
    ax.plot(curve.thresholds, own, color=OWN, linewidth=1.8)
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom, 1.1 * max(max(upper), max(all_high)))
    late = (2 * len(own)) // 3
    _name(ax, "by_risk", (curve.thresholds[late], upper[late]), OWN, language, below=False)
    visible = [i for i, value in enumerate(everybody) if value > 0.3 * max(everybody)]
    place = visible[-1] if visible else 0
    _name(ax, "all", (curve.thresholds[place], all_low[place]), GREY, language, below=True, right=True)
    _name(ax, "none", (0.02, 0.0), GREY, language, below=False)
    _percent(ax, "x")
    ax.set_xlabel(TEXT["threshold"][language])
    ax.set_ylabel(TEXT["net_benefit"][language])
    ax.grid(axis="y")
    n_warned = np.rint(curve.share_warned * curve.net_benefit[0].n).astype(int)
    every = max(1, len(n_warned) // 6)
    marks = list(zip(curve.thresholds, n_warned, strict=True))[::every]
    _row_under(ax, [(at, _number(n, min_group)) for at, n in marks], TEXT["n_warned"][language])
    return ax


def brier_over_time(ax: Axes, score: BrierScore, *, language: Language) -> Axes:
    """Draw the Brier score day by day with its interval, and that of the base rate."""
    top = 0.0
    for values, colour, marker, name in (
        (score.score, OWN, "o", "prediction"),
        (score.null, GREY, "s", "base_rate"),
    ):
        _dots(ax, score.days, list(values), colour=colour, marker=marker)
        ax.plot(score.days, [e.value for e in values], color=colour, linewidth=1.2)
        _name(ax, name, (score.days[-1], values[-1].value), colour, language, below=False, right=True)
        top = max(top, *(e.upper for e in values))
    ax.set_ylim(0, 1.25 * top)
    ax.set_xlim(0, 1.05 * score.days[-1])
    ax.set_xticks(score.days)
    ax.set_xlabel(TEXT["day"][language])
    ax.set_ylabel(TEXT["brier"][language])
    ax.grid(axis="y")
    return ax


def _dots(ax: Axes, x: np.ndarray, estimates: Sequence[Estimate], *, colour: str = OWN, marker: str = "o") -> None:
    ax.vlines(x, [e.lower for e in estimates], [e.upper for e in estimates], color=colour, linewidth=1.8)
    ax.plot(x, [e.value for e in estimates], marker, color=colour, markersize=6)


def _name(
    ax: Axes,
    key: str,
    at: tuple[float, float],
    colour: str,
    language: Language,
    *,
    below: bool,
    right: bool = False,
) -> None:
    ax.annotate(
        TEXT[key][language],
        at,
        xytext=(-6 if right else 6, -6 if below else 6),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top" if below else "bottom",
        fontsize=9,
        color=colour,
    )


def _percent(ax: Axes, axis: Literal["x", "y"]) -> None:
    (ax.xaxis if axis == "x" else ax.yaxis).set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))


def _number(n: int, min_group: int) -> str:
    return f"{n:,}" if n == 0 or n >= min_group else BLANK


def _row_under(ax: Axes, numbers: Sequence[tuple[float, str]], label: str) -> None:
    """Write a number under the axis title for each place, in two lines by turns so that neighbours keep apart."""
    size = ax.get_window_extent().height / ax.figure.dpi
    line, first = 0.17 / size, -0.72 / size
    style: dict[str, Any] = {"va": "center", "fontsize": 8.5, "color": INK, "annotation_clip": False}
    across = ("data", "axes fraction")
    ax.annotate(label, (0, first), xycoords=across, ha="left", style="italic", **style)
    for turn, (x, text) in enumerate(numbers):
        ax.annotate(text, (x, first - line * (1 + turn % 2)), xycoords=across, ha="center", **style)
