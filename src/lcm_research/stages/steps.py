"""
What is known of each customer at the end of each period, as the primitives that stage rules ask about.

Between two periods with something in them nothing happens. So windows run over those periods only, and silent
ones are filled in afterwards by joins on equal numbers; everything is integers.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables

__all__ = ["activity", "fill_silent_periods", "primitives", "primitives_before", "steps_of"]


def activity(tables: Tables, days: pd.DataFrame, since: int | None, until: int) -> ir.Table:
    """Return purchases by customer and period with something in it; period -1 is all before the first."""
    bought = tables["transactions"]
    bought = bought.select(
        "customer_id",
        "day",
        n_period=(~bought.is_return).cast("int64"),
        purchase_day=bought.is_return.ifelse(ibis.null("int64"), bought.day),
    )
    customers = tables["customers"]
    if "first_seen_at_day" in customers.columns:
        seen = customers.filter(customers.first_seen_at_day.notnull())
        seen = seen.select(
            "customer_id",
            day=seen.first_seen_at_day,
            n_period=ibis.literal(0, "int64"),
            purchase_day=ibis.null("int64"),
        )
        # a first contact before the window still puts a customer into its first period
        bought = bought.filter(bought.day >= since) if since is not None else bought
        bought = bought.union(seen)
    elif since is not None:
        bought = bought.filter(bought.day >= since)
    bought = bought.filter(bought.day <= until)
    periods = ibis.memtable(days).rename(on_day="day")
    placed = bought.left_join(periods, bought.day == periods.on_day)
    placed = placed.mutate(period=placed.period.fill_null(-1))
    return placed.group_by("customer_id", "period").agg(
        n_period=placed.n_period.sum(), last_day=placed.purchase_day.max(), first_day=placed.purchase_day.min()
    )


def steps_of(activity: ir.Table) -> ir.Table:
    """
    Return each customer's steps: the periods with something in them, what was known at their end, and the step before.

    Between two steps nothing happens, so the panel follows from the steps and windows run over few rows.
    """
    by_time = {"group_by": "customer_id", "order_by": "period"}
    in_time = ibis.window(**by_time)
    so_far = ibis.window(**by_time, preceding=None, following=0)
    last_day_before = activity.last_day.max().over(ibis.window(**by_time, preceding=(None, 1)))
    n = activity.n_period.sum().over(so_far)
    return activity.select(
        "customer_id",
        "n_period",
        step_period=activity.period,
        next_period=activity.period.lead().over(in_time),
        n=n,
        last_day=activity.last_day.fill_null(last_day_before),
        # asked for only where n > 0: the first of all purchases is then among those so far
        first_day=activity.first_day.min().over(ibis.window(group_by="customer_id")),
        n_before=n - activity.n_period,
        last_day_before=last_day_before,
        n_period_before=activity.n_period.lag().over(in_time),
        last_day_before_that=activity.last_day.max().over(ibis.window(**by_time, preceding=(None, 2))),
        step_period_before=activity.period.lag().over(in_time),
    )


def fill_silent_periods(steps: ir.Table, calendar: pd.DataFrame) -> ir.Table:
    """Repeat each step until the next one; joined on equal numbers, which every engine does fast."""
    total = len(calendar)
    lasting = [(length, offset) for length in range(1, total + 1) for offset in range(length)]
    offsets = ibis.memtable(pd.DataFrame(lasting, columns=["length", "offset"], dtype="int64"))
    ends = calendar.assign(
        end_day_before=calendar["start_day"] - 1,
        end_day_before_that=calendar["start_day"].shift(fill_value=calendar["start_day"].iloc[0]) - 1,
    )
    begins = (steps.step_period < 0).ifelse(0, steps.step_period)
    steps = steps.mutate(begins=begins, length=steps.next_period.fill_null(total) - begins)
    dense = steps.join(offsets, "length", how="inner")
    dense = dense.mutate(period=dense.begins + dense.offset, silent=dense.begins + dense.offset > dense.step_period)
    return dense.join(ibis.memtable(ends), "period", how="inner")


def primitives(dense: ir.Table) -> dict[str, ir.Value]:
    """Return what rules ask about, at the end of the period of each row."""
    return {
        "n": dense.n,
        "r": dense.end_day - dense.last_day,
        "u": (dense.n > 0).ifelse(dense.end_day - dense.first_day, ibis.null("int64")),
        "n_period": dense.silent.ifelse(0, dense.n_period),
        "r_before": dense.end_day_before - dense.silent.ifelse(dense.last_day, dense.last_day_before),
    }


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
