"""One question under many definitions as a curve with its choices below, and how well schemes agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from lcm_research.findings.wording.common import count
from lcm_research.findings.wording.multiverse import definition_text
from lcm_research.plots.style import INK, NULL_BAND, OKABE_ITO, SMALL, ratio_marks, wrapped
from lcm_research.specification.curve import Specification, SpecificationCurve
from lcm_research.transitions.crosswalk import Agreement

__all__ = ["choice_dashboard", "dashboard_rows", "kappa_heatmap", "specification_curve"]

Language = Literal["en", "zh"]

HELD = "#8C8C8C"
"""An interval that holds the null."""

TEXT: dict[str, dict[Language, str]] = {
    "own": {"en": "the study's own", "zh": "研究自身的定义"},
    "definitions": {"en": "definitions, sorted; n = {n}", "zh": "各定义，按数值排序；n = {n}"},
    "window": {"en": "other churn window", "zh": "其他流失窗口"},
    "threshold": {"en": "other threshold", "zh": "其他阈值"},
}


def specification_curve(ax: Axes, curve: SpecificationCurve, *, label: str, language: Language) -> Axes:
    """
    Draw the answers of all definitions from the smallest to the largest, with intervals and the null.

    The study's own is solid and named; the others are hollow, grey where their interval holds the null.

    Parameters
    ----------
    label : str
        What the numbers are, with their unit.
    """
    own = curve.reference
    for place, each in enumerate(curve.distinct):
        mine = each is own
        certain = curve.null is None or curve.beyond(each) != 0
        colour = OKABE_ITO[0] if mine else INK if certain else HELD
        ends = each.estimate
        ax.vlines(place, ends.lower, ends.upper, color=colour, linewidth=2.6 if mine else 1.2)
        fill = colour if mine else "white"
        ax.plot(place, ends.value, "o", color=colour, mfc=fill, markersize=7 if mine else 4, zorder=3 + mine)
    if curve.null is not None:
        ax.axhline(curve.null, color="#999999", linewidth=1, zorder=0)
    _scale(ax, curve)
    _name_own(ax, curve, language)
    ax.set_ylabel(wrapped(label, width=30))
    ax.xaxis.set_major_locator(NullLocator())
    return ax


def _scale(ax: Axes, curve: SpecificationCurve) -> None:
    ends = [end for each in curve.distinct for end in (each.estimate.lower, each.estimate.upper)]
    ends += [] if curve.null is None else [curve.null]
    low, high = min(ends), max(ends)
    if curve.scale == "log":
        low, high = low / 1.1, high * 1.25
        ax.set_yscale("log")
        marks = ratio_marks(low, high)
        ax.set_yticks(marks, [f"{mark:g}" for mark in marks])
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        room = (high - low) or 1.0
        low, high = low - 0.05 * room, high + 0.16 * room
        ax.yaxis.set_major_locator(MaxNLocator(6))
        if curve.reference.estimate.unit == "share":
            ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    ax.set_ylim(low, high)
    ax.set_xlim(-0.7, len(curve.distinct) - 0.3)


def _name_own(ax: Axes, curve: SpecificationCurve, language: Language) -> None:
    """Name the study's own definition at the top, on the side where there is room."""
    own = curve.reference
    name = TEXT["own"][language] if own.own else definition_text(own.choices, language)
    place = curve.distinct.index(own)
    ax.axvspan(place - 0.45, place + 0.45, color=NULL_BAND, alpha=0.5, linewidth=0, zorder=0)
    right = place <= (len(curve.distinct) - 1) / 2
    style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "fontsize": SMALL, "color": OKABE_ITO[0]}
    ax.annotate(name, (place + (0.6 if right else -0.6), 0.99), ha="left" if right else "right", va="top", **style)


def dashboard_rows(curve: SpecificationCurve, *, language: Language) -> list[tuple[str, list[bool]]]:
    """
    Return the rows of a dashboard: what was chosen, and by which of the distinct definitions.

    Schemes with one row each and one for a changed churn window, one for any other threshold; without schemes one
    row for each value of each choice.
    """
    drawn = curve.distinct
    if all("scheme" in each.choices for each in drawn):
        own = curve.reference.choices["scheme"]
        names = sorted({each.choices["scheme"] for each in drawn}, key=lambda name: (name != own, name))
        rows = [(name, [each.choices["scheme"] == name for each in drawn]) for name in names]
        changed = [each.choices.get("threshold", "") for each in drawn]
        rows.append((TEXT["window"][language], [name == "window_days" for name in changed]))
        rows.append((TEXT["threshold"][language], [name not in ("", "window_days") for name in changed]))
        return [(name, marks) for name, marks in rows if any(marks)]
    found = []
    for name in drawn[0].choices:
        for value in sorted({each.choices[name] for each in drawn}, key=_by_size):
            told = definition_text({name: value}, language)
            found.append((told, [each.choices[name] == value for each in drawn]))
    return found


def _by_size(value: str) -> tuple[float, str]:
    return (float(value), "") if value.replace(".", "", 1).isdigit() else (float("inf"), value)


def choice_dashboard(ax: Axes, curve: SpecificationCurve, *, language: Language) -> Axes:
    """Mark under each answer of ``specification_curve`` what its definition chose; the study's own is solid."""
    rows = dashboard_rows(curve, language=language)
    own = curve.distinct.index(curve.reference)
    for row, (_, marks) in enumerate(rows):
        if row % 2 == 0:
            ax.axhspan(row - 0.5, row + 0.5, color="#F2F2F2", linewidth=0, zorder=0)
        for place in np.flatnonzero(marks):
            mine = place == own
            ax.plot(place, row, "s", color=OKABE_ITO[0] if mine else INK, markersize=7 if mine else 4, zorder=2)
    ax.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=SMALL)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(-0.7, len(curve.distinct) - 0.3)
    ax.xaxis.set_major_locator(NullLocator())
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel(TEXT["definitions"][language].format(n=_sizes(curve.distinct)))
    return ax


def _sizes(drawn: Sequence[Specification]) -> str:
    sizes = sorted(each.estimate.n for each in drawn)
    return count(sizes[0]) if sizes[0] == sizes[-1] else f"{count(sizes[0])}–{count(sizes[-1])}"


def kappa_heatmap(ax: Axes, found: Sequence[Agreement], *, names: Sequence[str]) -> Axes:
    """
    Draw Cohen's kappa of every two schemes; darker is higher, the number stands in its cell.

    Parameters
    ----------
    names : list of str
        Schemes from top to bottom; a pair stands below the diagonal.
    """
    pairs = {frozenset((each.first, each.second)): each.kappa.value for each in found}
    for row, one in enumerate(names):
        for column, other in enumerate(names[:row]):
            value = pairs.get(frozenset((one, other)))
            depth = 0.05 + 0.85 * max(value or 0.0, 0.0)
            shade = tuple(1 - depth + depth * part for part in (0.0, 0.30, 0.50))
            ax.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=shade, linewidth=0))
            text = "–" if value is None else f"{value:.2f}".replace("0.", ".").replace("-", "−")
            ink = "white" if depth > 0.55 else "black"
            ax.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=ink)
    ax.set(xlim=(-0.5, len(names) - 1.5), ylim=(len(names) - 0.5, 0.5))
    ax.set_xticks(range(len(names) - 1), names[:-1], rotation=90, fontsize=SMALL)
    ax.set_yticks(range(1, len(names)), names[1:], fontsize=SMALL)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax
