"""What pictures over a customer's life share: the axis of days, those at risk under it, names at the ends of lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator

from lcm_research.findings.wording.common import count
from lcm_research.plots.style import INK, SMALL, colour_of, line_of
from lcm_research.survival.curves import at_risk_at

__all__ = ["BLANK", "LINE_POINTS", "at_risk_rows", "dress_days", "name_ends"]

Language = Literal["en", "zh"]
BLANK = "·"
LINE_POINTS = 13.5
"""Height of a line of small text, in points."""
AT_RISK: Mapping[Language, str] = {"en": "at risk", "zh": "风险集人数"}


def dress_days(ax: Axes, horizon_days: float, x_label: str, y_label: str, *, start_day: float = 0) -> None:
    """Mark the axis of days evenly, and write both axis titles."""
    ax.set_xlim(start_day, horizon_days)
    steps = [step for step in (5, 10, 15, 30, 45, 60, 90, 120, 180, 365) if horizon_days % step == 0]
    even = next((step for step in steps if 3 <= horizon_days / step <= 6), None)
    ax.xaxis.set_major_locator(
        MultipleLocator(even) if even else MaxNLocator(6, integer=True, steps=[1, 2, 3, 5, 6, 10])
    )
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.grid(axis="y")


def at_risk_rows(ax: Axes, curves: Mapping[str, Any], min_at_risk: int, language: Language) -> None:
    """
    Write those at risk under the axis title, one row a curve, at the axis' own marks.

    Parameters
    ----------
    curves : mapping of name to a result with ``times`` and ``at_risk``
        The name of a single curve is not written.
    min_at_risk : int
        Smaller numbers are blanked.
    """
    days = [day for day in ax.get_xticks() if ax.get_xlim()[0] <= day <= ax.get_xlim()[1]]
    style: dict[str, Any] = {"va": "center", "fontsize": SMALL, "annotation_clip": False, "textcoords": "offset points"}
    side = style | {"xy": (0, 0), "xycoords": "axes fraction", "ha": "right"}
    header = 47.0
    several = len(curves) > 1
    ax.annotate(AT_RISK[language], **side | {"ha": "left"}, xytext=(0, -header), color=INK, style="italic")
    for row, (name, curve) in enumerate(curves.items()):
        colour = colour_of(name, list(curves)) if several else INK
        below = -header - LINE_POINTS * (row + 1)
        if several:
            ax.annotate(name, **side, xytext=(-24, below), color=colour)
        for day in days:
            n = at_risk_at(curve, day)
            text = count(n) if n == 0 or n >= min_at_risk else BLANK
            ax.annotate(
                text,
                (day, 0),
                xycoords=("data", "axes fraction"),
                xytext=(0, below),
                ha="center",
                color=colour,
                **style,
            )


def name_ends(ax: Axes, names: Sequence[str], heights: Sequence[float], *, texts: Sequence[str] | None = None) -> None:
    """
    Write each name at the right edge beside its line's end, with a piece of the line, apart from one another.

    Parameters
    ----------
    heights : list of float
        Where the lines end, in the units of the axis.
    texts : list of str, optional
        What to write instead of the names, in the names' colours.
    """
    low, high = ax.get_ylim()
    points = ax.get_window_extent().height * 72 / ax.figure.dpi
    gap = 1.25 * LINE_POINTS / points
    ends = (np.asarray(heights, dtype=float) - low) / (high - low)
    order = np.argsort(ends, kind="stable")
    places = ends[order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    places -= max(0.0, places[-1] - 0.98)
    for place, i in zip(places, order, strict=True):
        colour = colour_of(names[i], names)
        outside: dict[str, Any] = {"transform": ax.transAxes, "color": colour, "clip_on": False, "gid": "key"}
        ax.plot([1.005, 1.025], [ends[i], place], linewidth=0.7, **outside)
        ax.plot([1.03, 1.1], [place, place], linestyle=line_of(int(i)), linewidth=1.8, **outside)
        text = names[i] if texts is None else texts[i]
        ax.text(1.12, place, text, transform=ax.transAxes, color=colour, fontsize=SMALL, va="center", clip_on=False)
