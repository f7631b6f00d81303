"""The transition matrix with its intervals, and how many customers each stage holds over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter

from lcm_research.estimate import Estimate
from lcm_research.findings.wording.common import count
from lcm_research.plots.style import SMALL, colour_of, line_of, wrapped
from lcm_research.plots.time_axis import LINE_POINTS
from lcm_research.privacy import small_rows
from lcm_research.transitions.chain import TransitionMatrix

__all__ = ["month_axis", "shown_stock", "smallest_shown", "stage_stock_lines", "transition_heatmap"]

Language = Literal["en", "zh"]
BLANK = "·"
HATCH = "#9FB4C2"
NAME_POINTS = 78.0
"""Width that the names of rows take, in points."""
LETTER_POINTS = 6.0
"""Width of a letter of small text, in points; a Chinese character takes two."""
INTERVAL_POINTS = 54.0
"""Width of a cell that holds an interval on one line."""

TEXT: dict[str, dict[Language, str]] = {
    "from": {"en": "stage at the end of a month", "zh": "月末所处阶段"},
    "to": {"en": "stage a month later (%)", "zh": "一个月后所处阶段（%）"},
    "clock": {"en": "by the clock alone", "zh": "仅由时钟推动的转移"},
    "customers": {"en": "customers at the end of the month", "zh": "月末客户数"},
    "last": {"en": "customers in the last month: ", "zh": "最后一个月的客户数："},
    "none": {"en": "nobody", "zh": "无人"},
}


def transition_heatmap(
    ax: Axes, matrix: TransitionMatrix, *, names: Mapping[str, str], min_group: int, language: Language
) -> Axes:
    """
    Draw a transition matrix as a grid: the probability and its interval, in percent, in each cell.

    A darker cell is likelier. Moves that the scheme rules out are left empty, moves by the clock are hatched, which
    a line under the grid explains; the customers behind a row stand under its name. Where cells are narrow the
    interval takes two lines and long names over the columns stand upright.

    Parameters
    ----------
    names : mapping of stage to name
        In the language of the figure; also which stages are drawn, in the order of ``matrix``.
    min_group : int
        Cells with fewer customers, and those that would give them away, are blanked.
    """
    hidden = matrix.hidden(min_group=min_group)
    size = len(matrix.stages)
    cell_points = (72 * ax.figure.bbox.width / ax.figure.dpi - NAME_POINTS) / size
    for i, start in enumerate(matrix.stages):
        for j, end in enumerate(matrix.stages):
            if matrix.moves.possible[i, j]:
                found = matrix.estimates.get((start, end))
                _cell(ax, i, j, None if hidden[i, j] else found, bool(matrix.moves.clock[i, j]), cell_points)
    customers = zip(matrix.stages, matrix.customers_from, strict=True)
    ax.set_yticks(range(size), [_row_name(names[stage], int(n), min_group, language) for stage, n in customers])
    ax.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    _name_columns(ax, [names[stage] for stage in matrix.stages], cell_points)
    ax.set_xlabel(TEXT["to"][language], labelpad=8)
    ax.set_ylabel(TEXT["from"][language], labelpad=6)
    ax.tick_params(length=0, labelsize=SMALL)
    ax.spines[:].set_visible(False)
    if (matrix.moves.clock & matrix.moves.possible).any():
        box = Patch(facecolor=_shade(0.2), edgecolor=HATCH, hatch="///", lw=0, label=TEXT["clock"][language])
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, 0), "borderaxespad": 0.3}
        ax.legend(handles=[box], fontsize=SMALL, handlelength=1.6, **place)
    return ax


def _name_columns(ax: Axes, columns: Sequence[str], cell_points: float) -> None:
    """Name the columns above the grid: on a line, on several where that fits, and else upright."""
    wrapped_names = [wrapped(name, width=max(4, int(cell_points / LETTER_POINTS))) for name in columns]
    fits = all(
        len(line) * LETTER_POINTS <= cell_points or not line.isascii() for line in "\n".join(wrapped_names).split("\n")
    )
    if fits:
        ax.set_xticks(range(len(columns)), wrapped_names)
    else:
        ax.set_xticks(range(len(columns)), [wrapped(name, width=12) for name in columns], rotation=90)
    ax.xaxis.set_label_position("top")
    ax.xaxis.tick_top()


def _cell(ax: Axes, i: int, j: int, found: Estimate | None, clock: bool, cell_points: float) -> None:
    """Draw one possible move; without an estimate it is blank."""
    share = found.value if found is not None else 0.0
    ink, shade = ("white" if share > 0.6 else "black"), _shade(share)
    box: dict[str, Any] = {"facecolor": shade, "edgecolor": HATCH, "lw": 0, "hatch": "///" if clock else None}
    ax.add_patch(Rectangle((j - 0.48, i - 0.47), 0.96, 0.94, **box))
    middle: dict[str, Any] = {"ha": "center", "va": "center", "color": ink, "linespacing": 1.1}
    # letters stand on the plain shade, not on the hatching
    middle["bbox"] = {"facecolor": shade, "edgecolor": "none", "pad": 0.6}
    if found is None:
        ax.text(j, i, BLANK, **middle)
        return
    lower, upper = (f"{100 * end:.1f}" for end in (found.lower, found.upper))
    one_line = cell_points > INTERVAL_POINTS
    ax.text(j, i - (0.16 if one_line else 0.24), f"{100 * share:.1f}", fontsize=11.5, weight="bold", **middle)
    text = f"{lower}–{upper}" if one_line else f"{lower}–\n{upper}"
    ax.text(j, i + (0.18 if one_line else 0.14), text, fontsize=SMALL, **middle)


def _shade(share: float) -> tuple[float, float, float]:
    """Return a blue that darkens with a share, also in grey."""
    depth = 0.06 + 0.84 * share
    red, green, blue = (1 - depth + depth * part for part in (0.0, 0.30, 0.50))
    return red, green, blue


def _row_name(name: str, n: int, min_group: int, language: Language) -> str:
    name = wrapped(name, width=12)
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
    drawn = [stage for stage in names if shown[stage].notna().any() and shown[stage].max() > 0]
    for place, stage in enumerate(drawn):
        style: dict[str, Any] = {"color": colour_of(stage, list(names)), "linestyle": line_of(place)}
        ax.plot(months, shown[stage].to_numpy(), marker="o", ms=2.5, lw=1.8, **style)
    ax.set_ylim(bottom=0)
    ax.margins(x=0)
    _name_ends(ax, {stage: float(shown[stage].dropna().iloc[-1]) for stage in drawn}, names)
    month_axis(ax, months, most=4)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    last = stock[(stock["period_start"] == shown.index[-1]) & stock["stage"].isin(list(names))]["n"].sum()
    ax.set_xlabel(f"{TEXT['last'][language]}n = {BLANK if 0 < last < min_group else count(last)}")
    ax.set_ylabel(TEXT["customers"][language])
    ax.grid(axis="y")
    return ax


def month_axis(ax: Axes, months: Iterable[pd.Timestamp], *, most: int) -> None:
    """Mark at most so many months, evenly by the calendar: every month, quarter, half year, year or more."""
    known = list(months)
    for step in (1, 2, 3, 6, *(12 * years for years in range(1, 100))):
        marks = [month for month in known if (12 * month.year + month.month - 1) % step == 0]
        if len(marks) <= most:
            break
    marks = marks or known[:1]
    ax.set_xticks(date2num(marks), [f"{month:%Y-%m}" for month in marks])


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


def _name_ends(ax: Axes, ends: Mapping[str, float], names: Mapping[str, str]) -> None:
    """Name each line beside its right end, with a piece of the line, apart from one another."""
    top, points = ax.get_ylim()[1], ax.get_window_extent().height * 72 / ax.figure.dpi
    texts = {stage: wrapped(names[stage], width=12) for stage in ends}
    # half of each of two neighbours
    room = {stage: (text.count("\n") + 1) * LINE_POINTS / points / 2 for stage, text in texts.items()}
    outside: dict[str, Any] = {"transform": ax.transAxes, "clip_on": False}
    place, before = -1.0, 0.0
    for stage, value in sorted(ends.items(), key=lambda item: item[1]):
        place, before = max(value / top, place + before + room[stage]), room[stage]
        colour = colour_of(stage, list(names))
        ax.plot([1.01, 1.03], [value / top, place], color=colour, linewidth=0.7, **outside)
        ax.plot([1.03, 1.1], [place] * 2, color=colour, linestyle=line_of(list(ends).index(stage)), lw=1.8, **outside)
        ax.text(1.12, place, texts[stage], color=colour, fontsize=SMALL, va="center", **outside)
