"""Moves by when a customer was first met: whether those who came later behave like those who came before."""

from __future__ import annotations

from typing import Literal, Unpack

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import StudyError
from lcm_research.stages.calendar import months
from lcm_research.stages.panel import PanelOptions, panel_of

__all__ = ["AT_START", "Cohort", "cohort_counts"]

Cohort = Literal["month", "quarter", "year"]
LETTER: dict[str, str] = {"month": "M", "quarter": "Q", "year": "Y"}

AT_START = "(at the start)"
"""Cohort of customers who are there in the first period: when they were first met is not known, or is that period."""


@reduction(
    keys={"from_stage": "object", "to_stage": "object", "cohort": "object", "replicate": "int64"},
    counts={"n": "int64"},
)
def cohort_counts(tables: Tables, *, cohort: Cohort, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count customers' moves between stages, as ``transition_counts`` does, by when they were first met.

    Parameters
    ----------
    tables : Tables
    cohort : {"month", "quarter", "year"}
        How long a cohort is.
    **options
        See ``PanelOptions``.

    Returns
    -------
    Ibis table
        from_stage, to_stage, cohort (first day of the month, quarter or year of the first contact, "YYYY-MM-DD", or
        ``(at the start)``, which sorts first), the segments, replicate; n customers.
    """
    if cohort not in LETTER:
        raise StudyError(f"expected cohort 'month', 'quarter' or 'year'; came {cohort!r}")
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    panel = panel.mutate(first_period=panel.period.min().over(ibis.window(group_by="customer_id")))
    moved = panel.filter((panel.code >= 0) & (panel.was >= 0))
    cells = moved.group_by("was", "code", "first_period", *by, "replicate").agg(n=moved.count())
    calendar = months(observation_start_day=options["observation_start_day"], as_of_day=options["as_of_day"])
    starts = ibis.memtable(_cohorts(calendar, cohort))
    cells = cells.join(starts, cells.first_period == starts.met_period, how="inner")
    cells = cells.group_by("was", "code", "cohort", *by, "replicate").agg(n=cells.n.sum())
    return cells.select(
        "cohort", *by, "replicate", "n", from_stage=rules.name(cells.was), to_stage=rules.name(cells.code)
    )


def _cohorts(calendar: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Return the cohort of each period; of the first, nothing tells how long its customers have been there."""
    starts = pd.PeriodIndex(calendar["period_start"], freq=LETTER[cohort]).start_time.strftime("%Y-%m-%d")
    named = pd.Series(starts, dtype=object).where(calendar["period"].to_numpy() > 0, AT_START)
    return pd.DataFrame({"met_period": calendar["period"].to_numpy(), "cohort": named.to_numpy()})
