"""Differences between customers at two levels of a covariate, as they are (hollow) and held alike (solid)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from lcm_research.estimate import Estimate
from lcm_research.findings.wording.common import count
from lcm_research.findings.wording.covariates import level_text
from lcm_research.plots.style import CORRECTED, INK, NAIVE, OKABE_ITO, SMALL, wrapped
from lcm_research.transitions.move_contrasts import MoveContrast

__all__ = ["contrast_forest"]

Language = Literal["en", "zh"]

TEXT: dict[str, dict[Language, str]] = {
    "adjusted": {"en": "held alike", "zh": "调整后"},
    "naive": {"en": "as they are", "zh": "未调整"},
    "points": {"en": "percentage points more often a month later", "zh": "一个月后多出的百分点"},
    "against": {"en": "{level} against {against}", "zh": "{level} 对比 {against}"},
    "to": {"en": "to", "zh": "至"},
}


def contrast_forest(
    ax: Axes, contrasts: Sequence[MoveContrast], *, names: Mapping[str, str], label: str, language: Language
) -> Axes:
    """
    Draw differences in percentage points with their intervals, the null at 0, the numbers over each.

    Parameters
    ----------
    contrasts : list of MoveContrast
        From top to bottom; none that describes a small group.
    names : mapping of stage to name
    label : str
        Who is compared with whom; above the axis title.
    """
    texts: dict[str, Any] = {"fontsize": SMALL, "va": "center", "xycoords": ("axes fraction", "data"), "color": INK}
    texts["bbox"] = {"fc": "white", "ec": "none", "pad": 0.6}
    ax.axvline(0, color="#999999", linewidth=1, zorder=0)
    row = 0.0
    for found in contrasts:
        pair = {"level": level_text(found.level)[language], "against": level_text(found.against)[language]}
        name = f"{names[found.from_stage]} → {names[found.to_stage]}: " + TEXT["against"][language].format(**pair)
        size = f"n = {count(found.n_level)} / {count(found.n_against)}"
        ax.annotate(name, (0, -row), **texts, ha="left", weight="bold")
        ax.annotate(size, (1, -row), **texts, ha="right")
        for kind, points in (("adjusted", found.adjusted), ("naive", found.naive)):
            row += 1
            ends = f"{_signed(points.value)} ({_signed(points.lower)} {TEXT['to'][language]} {_signed(points.upper)})"
            ax.annotate(TEXT[kind][language], (0, -row + 0.2), **texts, ha="left")
            ax.annotate(ends, (1, -row + 0.2), **texts, ha="right")
            _mark(ax, points, -row - 0.22, hollow=kind == "naive")
        row += 1.15
    ends_at = [end for c in contrasts for p in (c.adjusted, c.naive) for end in (p.lower, p.upper)]
    low, high = min(0.0, *ends_at), max(0.0, *ends_at)
    ax.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    ax.set_ylim(-row + 0.45, 0.6)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(wrapped(f"{TEXT['points'][language]}\n{label}", width=58))
    return ax


def _mark(ax: Axes, points: Estimate, place: float, *, hollow: bool) -> None:
    ax.hlines(place, points.lower, points.upper, color=OKABE_ITO[0], linewidth=1.8, linestyle=":" if hollow else "-")
    style = NAIVE if hollow else CORRECTED
    ax.plot([points.value], [place], "o", color=OKABE_ITO[0], markersize=6.5, markeredgewidth=1.5, **style)


def _signed(x: float) -> str:
    return f"{x:.1f}".replace("-", "−")
