"""How long customers stay in each stage: the share still in it, month by month, against a chain's geometric law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator, PercentFormatter

from lcm_research.findings.wording.common import count
from lcm_research.plots.style import INK, NAIVE, OKABE_ITO, SMALL
from lcm_research.transitions.dwelling import DwellTimes

__all__ = ["MOST_PANELS", "dwell_curve", "shown_dwells", "smallest_at_risk"]

Language = Literal["en", "zh"]
MOST_PANELS = 6

TEXT: dict[str, dict[Language, str]] = {
    "months": {"en": "months in the stage", "zh": "在该阶段的月数"},
    "staying": {"en": "share still in it", "zh": "仍在该阶段的比例"},
    "end": {"en": "ended by the rules", "zh": "按规则结束"},
    "chain": {"en": "chain", "zh": "马尔可夫链"},
}


def shown_dwells(
    dwells: Mapping[str, DwellTimes], *, customers: Mapping[str, np.ndarray], min_group: int
) -> dict[str, DwellTimes]:
    """
    Return the stages to draw, each cut off where fewer than ``min_group`` customers are at risk.

    Parameters
    ----------
    dwells : mapping of stage to DwellTimes
    customers : mapping of stage to array of int
        Different customers at risk after 1, 2, ... periods (``customers_at_risk``).

    Returns
    -------
    dict of stage to DwellTimes
        In the order given; stages in which three months or more can be drawn, and of those the six with most stays.
    """
    cut = {}
    for stage, found in dwells.items():
        n = int((np.minimum.accumulate(customers[stage]) >= min_group).sum())
        rows = found.rows.head(n)
        if len(rows) > 2:
            cut[stage] = replace(found, rows=rows)
    kept = sorted(cut, key=lambda stage: -cut[stage].n_stays)[:MOST_PANELS]
    return {stage: found for stage, found in cut.items() if stage in kept}


def smallest_at_risk(shown: Mapping[str, DwellTimes], *, customers: Mapping[str, np.ndarray]) -> int:
    """Return the customers at risk at the last month drawn, where they are fewest; 0 where nothing is drawn."""
    return min((int(customers[stage][len(found.rows) - 1]) for stage, found in shown.items()), default=0)


def dwell_curve(ax: Axes, found: DwellTimes, *, name: str, horizon_periods: int, language: Language) -> Axes:
    """
    Draw the share of stays that go on beyond each month, with its interval, and the geometric curve of a chain.

    Solid dots are what was seen, hollow ones on a grey line what a chain implies; stays at risk stand under the axis.

    Parameters
    ----------
    found : DwellTimes
        As ``shown_dwells`` cuts it.
    name : str
        Of the stage, as the title.
    horizon_periods : int
        Right end of the axis.
    """
    rows = found.rows
    months = np.concatenate([[0], rows["dwell_periods"]])
    seen, lower, upper, chain = (
        np.concatenate([[1.0], rows[column]]) for column in ("staying", "staying_lower", "staying_upper", "geometric")
    )
    grey: dict[str, Any] = {"color": "#999999", "linewidth": 1.1, "marker": "o", "markersize": 4, "zorder": 2}
    ax.plot(months, chain, **grey, **NAIVE)
    ax.vlines(months[1:], lower[1:], upper[1:], color=OKABE_ITO[0], linewidth=2.2, zorder=3)
    ax.plot(months, seen, color=OKABE_ITO[0], linewidth=1.4, marker="o", markersize=3.6, zorder=4)
    ax.set_title(name)
    ax.set(xlim=(-0.4, horizon_periods + 0.4), ylim=(0, 1.04))
    ax.xaxis.set_major_locator(MultipleLocator(max(1, round(horizon_periods / 4))))
    ax.yaxis.set_major_locator(MultipleLocator(0.25))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y")
    ax.set_xlabel(f"{TEXT['months'][language]}\n{_stays(found, language)}", fontsize=SMALL)
    ax.set_ylabel(TEXT["staying"][language], fontsize=SMALL)
    _name_chain(ax, months, seen, chain, language)
    _name_end(ax, found, language)
    return ax


def _stays(found: DwellTimes, language: Language) -> str:
    """Write the stays at risk in the first and in the last month drawn."""
    rows = found.rows
    first, last = (count(rows["n_at_risk"].iloc[place]) for place in (0, -1))
    k = int(rows["dwell_periods"].iloc[-1])
    if language == "en":
        return f"stays: {first}\nin month {k}: {last}"
    return f"停留数：{first}\n第 {k} 个月：{last}"


def _name_chain(ax: Axes, months: np.ndarray, seen: np.ndarray, chain: np.ndarray, language: Language) -> None:
    """Name the grey line where it is furthest from the other, on its far side; at its end where the rules end all."""
    ended = seen[-1] == 0
    at = len(seen) - 1 if ended else int(np.argmax(np.abs(chain - seen)))
    above = chain[at] > seen[at]
    beside: dict[str, Any] = {"ha": "left", "va": "bottom"} if above else {"ha": "right", "va": "top"}
    offset = (6, 0) if ended else (3, 4) if above else (-3, -4)
    ax.annotate(
        TEXT["chain"][language],
        (months[at], chain[at]),
        xytext=offset,
        textcoords="offset points",
        fontsize=SMALL,
        color=INK,
        **beside,
    )


def _name_end(ax: Axes, found: DwellTimes, language: Language) -> None:
    """Say beside the last month that the rules end every stay there."""
    last = found.rows.iloc[-1]
    if found.bounded and last["staying"] == 0:
        place: dict[str, Any] = {"xytext": (6, 3), "textcoords": "offset points", "va": "bottom"}
        ax.annotate(TEXT["end"][language], (last["dwell_periods"], 0), fontsize=SMALL, color=INK, **place)
