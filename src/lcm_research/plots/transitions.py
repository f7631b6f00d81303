"""The transition matrix with its intervals, and how many customers each stage holds over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from lcm_research.estimate import Estimate
from lcm_research.findings.wording.common import count, percent
from lcm_research.plots.style import colour_of
from lcm_research.privacy import small_rows
from lcm_research.transitions.chain import TransitionMatrix

__all__ = ["shown_stock", "smallest_shown", "stage_stock_lines", "transition_heatmap"]

Language = Literal["en", "zh"]
BLANK = "·"

TEXT: dict[str, dict[Language, str]] = {
    "from": {"en": "stage at the end of a month", "zh": "月末所处阶段"},
    "to": {"en": "stage a month later", "zh": "一个月后所处阶段"},
    "clock": {"en": "by the clock", "zh": "时钟转移"},
    "customers": {"en": "customers at the end of the month", "zh": "月末客户数"},
    "last": {"en": "customers in the last month: ", "zh": "最后一个月的客户数："},
    "none": {"en": "nobody", "zh": "无人"},
}


def transition_heatmap(
    ax: Axes, matrix: TransitionMatrix, *, names: Mapping[str, str], min_group: int, language: Language
) -> Axes:
    """
    Draw a transition matrix as a grid: the probability and its interval in each cell.

    A darker cell is likelier. Moves that the scheme rules out are left empty, moves by the clock are hatched
    and say so; the customers behind a row stand beside its name.

    Parameters
    ----------
    names : mapping of stage to name
        In the language of the figure; also which stages are drawn, in the order of ``matrix``.
    min_group : int
        Cells with fewer customers, and those that would give them away, are blanked.
    """
    hidden = matrix.hidden(min_group=min_group)
    size = len(matrix.stages)
    for i, start in enumerate(matrix.stages):
        for j, end in enumerate(matrix.stages):
            if matrix.moves.possible[i, j]:
                found = matrix.estimates.get((start, end))
                _cell(ax, i, j, None if hidden[i, j] else found, bool(matrix.moves.clock[i, j]), language)
    customers = zip(matrix.stages, matrix.customers_from, strict=True)
    rows = [_row_name(names[stage], int(n), min_group, language) for stage, n in customers]
    ax.set_xticks(range(size), [names[stage] for stage in matrix.stages])
    ax.set_yticks(range(size), rows)
    ax.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    ax.set_xlabel(TEXT["to"][language], labelpad=12)
    ax.set_ylabel(TEXT["from"][language], labelpad=14)
    ax.tick_params(length=0)
    ax.xaxis.set_label_position("top")
    ax.xaxis.tick_top()
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def _cell(ax: Axes, i: int, j: int, found: Estimate | None, clock: bool, language: Language) -> None:
    """Draw one possible move; without an estimate it is blank."""
    share = found.value if found is not None else 0.0
    ink, edge = ("white", "white") if share > 0.78 else ("black", "#9FB4C2")
    box: dict[str, Any] = {"facecolor": _shade(share), "edgecolor": edge, "lw": 0, "hatch": "///" if clock else None}
    ax.add_patch(Rectangle((j - 0.48, i - 0.46), 0.96, 0.92, **box))
    middle: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    if found is None:
        ax.text(j, i, BLANK, **middle)
        return
    ax.text(j, i - 0.14, percent(share), fontsize=11, **middle)
    ax.text(j, i + 0.14, f"{percent(found.lower)} – {percent(found.upper)}", fontsize=7.5, **middle)
    if clock:
        ax.text(j, i + 0.34, TEXT["clock"][language], fontsize=7.5, **middle)


def _shade(share: float) -> tuple[float, float, float]:
    """Return a blue that darkens with a share, also in grey."""
    depth = 0.06 + 0.84 * share
    red, green, blue = (1 - depth + depth * part for part in (0.0, 0.30, 0.50))
    return red, green, blue


def _row_name(name: str, n: int, min_group: int, language: Language) -> str:
    if n == 0:
        return f"{name}\n{TEXT['none'][language]}"
    return f"{name}\nn = {BLANK if n < min_group else count(n)}"


def stage_stock_lines(
    ax: Axes, stock: pd.DataFrame, *, names: Mapping[str, str], min_group: int, language: Language
) -> Axes:
    """
    Draw how many customers are in each stage at the end of each month, each line named at its end.

    These are counts of all customers, not estimates: they have no interval.

    Parameters
    ----------
    stock : DataFrame
        period_start, stage, n, as ``stage_stock`` returns it; further keys are summed over.
    names : mapping of stage to name
        The stages to draw, in order; others (``unknown``) are left out.
    min_group : int
        Points of fewer customers are not drawn, nor a second one that would give such a point away.
    """
    shown = shown_stock(stock, stages=list(names), min_group=min_group)
    months = pd.to_datetime(pd.Series(shown.index))
    ends: dict[str, float] = {}
    for stage in names:
        line = shown[stage]
        if line.notna().any() and line.max() > 0:
            ax.plot(months, line.to_numpy(), color=colour_of(stage, list(names)), marker="o", ms=2.5, lw=1.6)
            ends[stage] = float(line.dropna().iloc[-1])
    ax.set_ylim(bottom=0)
    _name_ends(ax, months.iloc[-1], ends, names)
    ax.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=8))
    ax.xaxis.set_major_formatter(DateFormatter("%Y-%m"))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    last = stock[(stock["period_start"] == shown.index[-1]) & stock["stage"].isin(list(names))]["n"].sum()
    ax.set_xlabel(f"{TEXT['last'][language]}n = {BLANK if 0 < last < min_group else count(last)}")
    ax.set_ylabel(TEXT["customers"][language])
    ax.margins(x=0.02)
    return ax


def shown_stock(stock: pd.DataFrame, *, stages: Sequence[str], min_group: int) -> pd.DataFrame:
    """Return customers by month (rows) and stage (columns), missing where a small group would show."""
    wide = stock.pivot_table(index="period_start", columns="stage", values="n", aggfunc="sum", fill_value=0)
    cells = pd.Series(wide.to_numpy(float).ravel())
    hidden = small_rows(cells, pd.Series(wide.index.repeat(wide.shape[1])), min_group=min_group)
    shown = wide.astype(float).mask(hidden.reshape(wide.shape))
    return shown.reindex(columns=list(stages), fill_value=0.0)


def smallest_shown(shown: pd.DataFrame) -> int:
    """Return the customers of the smallest group that ``shown_stock`` leaves to see; 0 where it leaves none."""
    seen = shown.to_numpy()
    seen = seen[seen > 0]
    return int(seen.min()) if len(seen) else 0


def _name_ends(ax: Axes, last: pd.Timestamp, ends: Mapping[str, float], names: Mapping[str, str]) -> None:
    """Name each line at its right end, apart from one another."""
    low, high = ax.get_ylim()
    gap, place = 0.055 * (high - low), -np.inf
    for stage, value in sorted(ends.items(), key=lambda item: item[1]):
        place = max(value, place + gap)
        ax.annotate(
            names[stage],
            (last, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour_of(stage, list(names)),
            annotation_clip=False,
        )
