"""What customers found in a stage went on to spend: what a value computed on a chain is held against."""

from __future__ import annotations

from typing import Unpack

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import StudyError
from lcm_research.stages.calendar import months, period_of_each_day
from lcm_research.stages.panel import PanelOptions, panel_of

__all__ = ["ANY_CURRENCY", "spend_ahead"]

ANY_CURRENCY = ""
"""Currency of the rows that count customer-periods."""


@reduction(
    keys={"stage": "object", "currency": "object", "replicate": "int64"},
    counts={"n": "int64", "amount_minor": "int64"},
)
def spend_ahead(tables: Tables, *, n_periods: int, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Sum what customers spent in the periods after one at whose end they were in a stage.

    Returns count against it. Every period end that is followed by ``n_periods`` more counts, so a customer counts
    several times.

    Parameters
    ----------
    tables : Tables
    n_periods : int
        Periods to follow, 1 or more.
    **options
        See ``PanelOptions``.

    Returns
    -------
    Ibis table
        stage, currency, the segments, replicate; n customer-periods (in rows without a currency), amount_minor, in
        minor units of the currency.
    """
    if n_periods < 1:
        raise StudyError(f"expected n_periods of 1 or more; came {n_periods}")
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    calendar = months(observation_start_day=options["observation_start_day"], as_of_day=options["as_of_day"])
    found = panel.filter((panel.code >= 0) & (panel.period < len(calendar) - n_periods))
    found = found.select("customer_id", "replicate", *by, "code", start=found.period)
    days = ibis.memtable(period_of_each_day(calendar)).rename(on_day="day")
    paid = tables["transactions"]
    paid = paid.join(days, paid.day == days.on_day, how="inner")
    paid = paid.group_by("customer_id", "period", "currency").agg(amount_minor=paid.amount_minor.sum())
    ahead = found.join(paid, "customer_id", how="inner")
    ahead = ahead.filter((ahead.period > ahead.start) & (ahead.period <= ahead.start + n_periods))
    amounts = ahead.group_by("code", "currency", *by, "replicate").agg(amount_minor=ahead.amount_minor.sum())
    people = found.group_by("code", *by, "replicate").agg(n=found.count())
    columns = ["stage", "currency", *by, "replicate", "n", "amount_minor"]
    nobody, nothing = ibis.literal(0, "int64"), ibis.literal(0, "int64")
    counted = people.mutate(stage=rules.name(people.code), currency=ibis.literal(ANY_CURRENCY), amount_minor=nothing)
    summed = amounts.mutate(stage=rules.name(amounts.code), n=nobody)
    return ibis.union(counted.select(*columns), summed.select(*columns))
