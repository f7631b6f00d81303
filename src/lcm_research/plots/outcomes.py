"""The chain held against the survival curve of the same customers, and dots with intervals: elasticities and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lcm_research.estimate import Estimate
from lcm_research.findings.wording.common import count, number
from lcm_research.plots.style import INK, NAIVE, OKABE_ITO, SMALL, wrapped
from lcm_research.survival.declared import DeclaredCurve
from lcm_research.transitions.newcomers import WaitingCurve

__all__ = ["estimate_bars", "waiting_lines"]

Language = Literal["en", "zh"]

TEXT: dict[str, dict[Language, str]] = {
    "months": {"en": "months after the month of the first purchase", "zh": "首次购买当月之后的月数"},
    "waiting": {"en": "share not declared lapsed", "zh": "尚未判定流失的比例"},
    "chain": {"en": "the chain", "zh": "马尔可夫链"},
    "curve": {"en": "the survival curve", "zh": "生存曲线"},
    "read": {"en": "seen at months' ends", "zh": "月末实际所见"},
    "naive": {"en": "a chain without recency", "zh": "不记沉默时长的链"},
    "customers": {"en": "customers", "zh": "名客户"},
    "spells": {"en": "spells", "zh": "个活跃期"},
    "to": {"en": "to", "zh": "至"},
}


def waiting_lines(
    ax: Axes,
    chain: WaitingCurve,
    curve: DeclaredCurve,
    *,
    read: DeclaredCurve,
    naive: WaitingCurve,
    language: Language,
) -> Axes:
    """
    Draw the share that is not declared lapsed at the end of each month: by the chain, and as it was seen.

    The chain is a solid line with a band, what months' ends showed crosses with bars, the curve of spells hollow
    circles with bars, the chain without recency a dotted line with a faint band.

    Parameters
    ----------
    chain, naive : WaitingCurve
    curve, read : DeclaredCurve
        Of spells, and as months' ends showed them; at least as many months as the chain.
    """
    size = len(chain.months)
    seen = curve.months[:size], curve.waiting[:size], curve.lower[:size], curve.upper[:size]
    ax.fill_between(naive.months, naive.lower, naive.upper, color="#999999", alpha=0.25, linewidth=0)
    ax.plot(naive.months, naive.waiting, ":", color="#666666", linewidth=1.6)
    ax.fill_between(chain.months, chain.lower, chain.upper, color=OKABE_ITO[0], alpha=0.25, linewidth=0)
    ax.plot(chain.months, chain.waiting, "-", color=OKABE_ITO[0], linewidth=1.8)
    ax.vlines(seen[0], seen[2], seen[3], color=OKABE_ITO[1], linewidth=1.6, zorder=3)
    hollow: dict[str, Any] = {"color": OKABE_ITO[1], "markersize": 5, "markeredgewidth": 1.3, "zorder": 4, **NAIVE}
    ax.plot(seen[0], seen[1], "o", **hollow)
    there = read.months[:size], read.waiting[:size], read.lower[:size], read.upper[:size]
    ax.vlines(there[0], there[2], there[3], color=INK, linewidth=1.3, zorder=5)
    ax.plot(there[0], there[1], "x", color=INK, markersize=5.5, markeredgewidth=1.3, zorder=6)
    _key(ax, language)
    ax.set_xlim(0, size - 0.7)
    ax.set_ylim(0, 1.04)
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    ax.grid(axis="y")
    colon = ": " if language == "en" else "："
    sizes = (
        f"{TEXT['chain'][language]}{colon}n = {count(chain.n)} {TEXT['customers'][language]}",
        f"{TEXT['curve'][language]}{colon}n = {count(curve.n)} {TEXT['spells'][language]}",
    )
    joint = "; " if language == "en" else "；"
    ax.set_xlabel(f"{TEXT['months'][language]}\n{joint.join(sizes)}")
    ax.set_ylabel(TEXT["waiting"][language])
    return ax


def _key(ax: Axes, language: Language) -> None:
    """Name the three in the upper right corner, which falling curves leave free, each with a piece of its line."""
    looks: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("chain", OKABE_ITO[0], {"linestyle": "-", "linewidth": 1.8}),
        ("read", INK, {"marker": "x", "linestyle": "", "markersize": 5.5, "markeredgewidth": 1.3}),
        ("curve", OKABE_ITO[1], {"marker": "o", "linestyle": "", "markersize": 5, "markeredgewidth": 1.3, **NAIVE}),
        ("naive", "#666666", {"linestyle": ":", "linewidth": 1.6}),
    )
    for place, (name, colour, look) in enumerate(looks):
        y = 0.96 - 0.085 * place
        x = [0.55, 0.6] if look.get("linestyle") else [0.575]
        ax.plot(x, [y] * len(x), transform=ax.transAxes, color=colour, gid="key", **look)
        ax.text(0.62, y, TEXT[name][language], transform=ax.transAxes, fontsize=SMALL, va="center", color=colour)


def estimate_bars(
    ax: Axes, estimates: Mapping[str, Estimate], *, label: str, language: Language, bars: bool = False
) -> Axes:
    """
    Draw estimates with their intervals under one another, the name, the size and the numbers over each.

    Parameters
    ----------
    estimates : mapping of name to Estimate
        From top to bottom.
    label : str
        What is drawn, with its unit; the axis title.
    bars : bool
        Whether a bar leads from 0 to each estimate, as in a tornado.
    """
    texts: dict[str, Any] = {"fontsize": SMALL, "va": "center", "xycoords": ("axes fraction", "data"), "color": INK}
    texts["bbox"] = {"fc": "white", "ec": "none", "pad": 0.8}
    ax.axvline(0, color="#999999", linewidth=1, zorder=0)
    for place, (name, found) in enumerate(estimates.items()):
        told = f"{number(found.value)} ({number(found.lower)} {TEXT['to'][language]} {number(found.upper)})"
        ax.annotate(f"{name}, n = {count(found.n)}", (0, -place + 0.2), **texts, ha="left")
        ax.annotate(told, (1, -place + 0.2), **texts, ha="right")
        y = -place - 0.22
        if bars:
            ax.barh(y, found.value, height=0.3, color=OKABE_ITO[5], alpha=0.6, zorder=1)
        ax.hlines(y, found.lower, found.upper, color=OKABE_ITO[0], linewidth=2, zorder=2)
        ax.plot([found.value], [y], "o", color=OKABE_ITO[0], markersize=6.5, zorder=3)
    ends = [0.0, *(e.lower for e in estimates.values()), *(e.upper for e in estimates.values())]
    room = 0.06 * (max(ends) - min(ends) or 1.0)
    ax.set_xlim(min(ends) - room, max(ends) + room)
    ax.set_ylim(-len(estimates) + 0.4, 0.5)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set_xlabel(wrapped(label, width=58))
    return ax
