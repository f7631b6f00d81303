"""Where customers are found, month by month since their first contact, beside where fitted rates expect them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from lcm_research.findings.wording.common import count
from lcm_research.plots.style import INK, SMALL, colour_of
from lcm_research.transitions.prevalence import Prevalence

__all__ = ["prevalence_panels"]

Language = Literal["en", "zh"]

COLUMNS = 2
STEP_MONTHS = 6
"""Months between two marks, and between two numbers of customers followed."""

TEXT: dict[str, dict[Language, str]] = {
    "months": {"en": "months since the first contact", "zh": "距首次接触的月数"},
    "followed": {"en": "customers followed", "zh": "跟踪的客户数"},
    "observed": {"en": "observed", "zh": "实际"},
    "expected": {"en": "expected", "zh": "推算"},
    "share": {"en": "share of customers", "zh": "客户占比"},
}


def prevalence_panels(
    axes: np.ndarray, found: Prevalence, *, names: Mapping[str, str], min_group: int, language: Language
) -> np.ndarray:
    """
    Draw one panel a stage: observed shares as dots with their intervals, expected ones as a line.

    Parameters
    ----------
    axes : array of Axes
        At least as many as stages, in rows of two; those left over are hidden.
    found : Prevalence
    names : mapping of stage to name
    min_group : int
        Dots of fewer customers are not drawn, nor a second one that would give such a dot away.
    language : {"en", "zh"}
    """
    flat = list(np.ravel(axes))
    shown = found.shown(min_group=min_group)
    followed = found.rows.groupby("months")["n_followed"].first()
    top = max(float(shown["observed"].map(lambda e: e.upper).max()), float(found.rows["share_expected"].max()))
    for place, stage in enumerate(found.stages):
        ax = flat[place]
        _panel(ax, found.rows[found.rows["stage"] == stage], shown[shown["stage"] == stage], _hue(found, stage))
        ax.set_ylim(0, 1.05 * top)
        ax.set_title(names[stage], color=_hue(found, stage))
        _months(ax, followed, language, with_numbers=place == (len(found.stages) - 1) // COLUMNS * COLUMNS)
    _key(flat[0], found, shown, language)
    for ax in flat[len(found.stages) :]:
        ax.set_visible(False)
    flat[0].figure.supylabel(TEXT["share"][language], fontsize=SMALL + 0.9, color=INK)
    return axes


def _hue(found: Prevalence, stage: str) -> str:
    return colour_of(stage, list(found.stages))


def _panel(ax: Axes, expected: pd.DataFrame, seen: pd.DataFrame, colour: str) -> None:
    ax.plot(expected["months"], expected["share_expected"], color=INK, lw=1.4, ls=(0, (5, 2)), gid="expected")
    values = np.array([[e.value, e.lower, e.upper] for e in seen["observed"]]).reshape(-1, 3)
    ax.vlines(seen["months"], values[:, 1], values[:, 2], color=colour, lw=1.2)
    ax.plot(seen["months"], values[:, 0], "o", color=colour, ms=3.2, gid="observed")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y")


def _months(ax: Axes, followed: pd.Series, language: Language, *, with_numbers: bool) -> None:
    """Mark the months, and under one panel, for all are of the same customers, how many were followed that long."""
    last = int(followed.index.max())
    marks = list(range(0, last + 1, STEP_MONTHS if last >= STEP_MONTHS else 1))
    ax.set_xlim(-0.04 * max(last, 1), 1.04 * max(last, 1))
    ax.set_xticks(marks, [f"{month}\n{count(followed[month])}" if with_numbers else str(month) for month in marks])
    if with_numbers:
        ax.set_xlabel(f"{TEXT['months'][language]}\n{TEXT['followed'][language]}", fontsize=SMALL)


def _key(ax: Axes, found: Prevalence, shown: pd.DataFrame, language: Language) -> None:
    """Say which is which, in the first panel, where there is room."""
    colour = _hue(found, found.stages[0])
    marks: dict[str, Any] = {"fontsize": SMALL, "transform": ax.transAxes, "ha": "right", "va": "top"}
    first = found.rows[found.rows["stage"] == found.stages[0]]
    falls = float(first["share_expected"].iloc[0]) >= float(first["share_expected"].iloc[-1])
    height = 0.98 if falls or not len(shown) else 0.30
    ax.text(0.98, height, f"●  {TEXT['observed'][language]}", color=colour, **marks)
    ax.text(0.98, height - 0.17, f"- -  {TEXT['expected'][language]}", color=INK, **marks)
