"""
What is known of each customer at the end of each period, as the primitives that stage rules ask about.

Between two periods with something in them nothing changes. So windows run over those periods only, and the others
are filled in afterwards by joins on equal numbers; everything is integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.stages.events import KINDS, SCORE_BASE, Kind, added_up

__all__ = [
    "activity",
    "asked_of",
    "fill_silent_periods",
    "primitives",
    "primitives_before",
    "steps_of",
    "with_period_before",
]

PURCHASES = ("n_period", "last_day", "first_day")


def activity(changes: ir.Table, days: pd.DataFrame, kinds: Mapping[str, Kind] = KINDS) -> ir.Table:
    """Return the changes by customer and period with something in it; period -1 is all before the first."""
    periods = ibis.memtable(days).rename(on_day="day")
    placed = changes.left_join(periods, changes.day == periods.on_day)
    placed = placed.mutate(period=placed.period.fill_null(-1))
    columns = {name: kind for name, kind in kinds.items() if name in changes.columns}
    return added_up(placed, ["customer_id", "period"], columns)


def steps_of(activity: ir.Table, kinds: Mapping[str, Kind] = KINDS) -> ir.Table:
    """
    Return each customer's steps: the periods with something in them, what was known at their end, and the step before.

    Between two steps nothing happens, so the panel follows from the steps and windows run over few rows.
    """
    by_time = {"group_by": "customer_id", "order_by": "period"}
    in_time = ibis.window(**by_time)
    known = {
        "step_period": activity.period,
        "next_period": activity.period.lead().over(in_time),
        "step_period_before": activity.period.lag().over(in_time),
    }
    if "n_period" in activity.columns:
        known |= _purchases(activity, by_time)
    so_far = ibis.window(**by_time, preceding=None, following=0)
    for name, kind in kinds.items():
        if name in activity.columns and name not in PURCHASES:
            known[name] = getattr(activity[name], kind)().over(so_far)
    return activity.select("customer_id", **known)


def _purchases(activity: ir.Table, by_time: dict[str, Any]) -> dict[str, Any]:
    so_far = ibis.window(**by_time, preceding=None, following=0)
    last_day_before = activity.last_day.max().over(ibis.window(**by_time, preceding=(None, 1)))
    n = activity.n_period.sum().over(so_far)
    return {
        "n_period": activity.n_period,
        "n": n,
        "last_day": activity.last_day.fill_null(last_day_before),
        "first_day": activity.first_day.min().over(so_far),
        "n_before": n - activity.n_period,
        "last_day_before": last_day_before,
        "n_period_before": activity.n_period.lag().over(ibis.window(**by_time)),
        "last_day_before_that": activity.last_day.max().over(ibis.window(**by_time, preceding=(None, 2))),
    }


def fill_silent_periods(steps: ir.Table, ends: pd.DataFrame) -> ir.Table:
    """
    Repeat each step until the next one; joined on equal numbers, which every engine does fast.

    Parameters
    ----------
    steps : Ibis table
    ends : DataFrame
        The calendar, with any further column that differs by period.
    """
    total = len(ends)
    lasting = [(length, offset) for length in range(1, total + 1) for offset in range(length)]
    offsets = ibis.memtable(pd.DataFrame(lasting, columns=["length", "offset"], dtype="int64"))
    begins = (steps.step_period < 0).ifelse(0, steps.step_period)
    steps = steps.mutate(begins=begins, length=steps.next_period.fill_null(total) - begins)
    dense = steps.join(offsets, "length", how="inner")
    dense = dense.mutate(period=dense.begins + dense.offset, silent=dense.begins + dense.offset > dense.step_period)
    return dense.join(ibis.memtable(with_period_before(ends)), "period", how="inner")


def with_period_before(ends: pd.DataFrame) -> pd.DataFrame:
    """Return a calendar with the end and the length of the period before each, and the end of the one before that."""
    first = ends["start_day"].iloc[0]
    return ends.assign(
        end_day_before=ends["start_day"] - 1,
        end_day_before_that=ends["start_day"].shift(fill_value=first) - 1,
        length_before=ends["start_day"].diff().fillna(_days_in_month_before(first)).astype("int64"),
    )


def _days_in_month_before(day: int) -> int:
    return (pd.Timestamp(0) + pd.Timedelta(days=int(day) - 1)).day


def primitives(dense: ir.Table) -> dict[str, ir.Value]:
    """Return what rules ask about, at the end of the period of each row."""
    state = {name: dense[name] for name in ("n", *KINDS) if name in dense.columns}
    if "n" in state:
        state["n_period"] = dense.silent.ifelse(0, dense.n_period)
        state["last_day_before"] = dense.silent.ifelse(dense.last_day, dense.last_day_before)
    return asked_of(state, dense)


def asked_of(state: Mapping[str, Any], end: Any) -> dict[str, ir.Value]:
    """
    Return what rules ask about at the end of a period.

    Parameters
    ----------
    state : mapping of str to Ibis value
        Columns of changes, added up to that day: ``n`` and ``n_period`` (in the period alone), ``last_day_before``
        (up to the end of the period before) and the others of ``KINDS``.
    end : Ibis table, or what has its columns as attributes
        With the calendar of the period: end_day, end_day_before and length_before.
    """
    found: dict[str, Any] = {"length_before": end.length_before}
    for name in state.keys() & {"n", "n_period"}:
        found[name] = state[name]
    ages = {"last_day": "r", "first_day": "u"} | {name: name for name in KINDS if name not in PURCHASES}
    for name in state.keys() & ages.keys():
        found[ages[name]] = state[name] if KINDS[name] == "sum" else end.end_day - state[name]
    if "last_day_before" in state:
        found["r_before"] = end.end_day_before - state["last_day_before"]
    if "loyalty" in state:
        found["loyalty"] = state["loyalty"] % SCORE_BASE
    return found


def primitives_before(dense: ir.Table) -> dict[str, ir.Value]:
    """Return the same at the end of the period before, which may belong to the step before."""
    own_step = dense.silent & (dense.period - 1 == dense.step_period)
    step_before = ~dense.silent & (dense.period - 1 == dense.step_period_before)
    n = dense.silent.ifelse(dense.n, dense.n_before)
    last_day = dense.silent.ifelse(dense.last_day, dense.last_day_before)
    last_day_before = ibis.cases(
        (own_step, dense.last_day_before), (step_before, dense.last_day_before_that), else_=last_day
    )
    return {
        "n": n,
        "r": dense.end_day_before - last_day,
        "u": (n > 0).ifelse(dense.end_day_before - dense.first_day, ibis.null("int64")),
        "n_period": ibis.cases((own_step, dense.n_period), (step_before, dense.n_period_before), else_=0),
        "r_before": dense.end_day_before_that - last_day_before,
    }
