"""How many rows each month has: the picture that shows a gap, a change of system, or an export that was cut off."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lcm_research.findings.wording.audit import table_name
from lcm_research.plots.style import INK, OKABE_ITO
from lcm_research.study import Language

__all__ = ["monthly_rows"]


def monthly_rows(ax: Axes, rows: pd.Series, *, language: Language, window_from: str) -> Axes:
    """
    Draw a table's rows by month.

    Parameters
    ----------
    rows : Series
        Indexed by month (``2023-01``) and named for the table; missing months (too few customers) are left open.
    window_from : str
        Month in which the observation window begins; a line marks it where earlier months are drawn.
    """
    places = range(len(rows))
    ax.bar(places, rows.fillna(0), width=0.8, color=OKABE_ITO[0])
    if window_from in rows.index and rows.index[0] < window_from:
        ax.axvline(list(rows.index).index(window_from) - 0.5, color=INK, lw=1, ls=":")
    step = max(1, -(-len(rows) // 12))
    ax.set_xticks(list(places)[::step], list(rows.index)[::step], rotation=45, ha="right")
    ax.set_ylabel({"en": "rows a month", "zh": "每月行数"}[language])
    ax.set_title(table_name(str(rows.name), language))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return ax
