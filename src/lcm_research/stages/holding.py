"""
Stages that do not flicker: a change counts once it is confirmed, and a stage is kept for a time.

Both look at the past only: what happens later never changes a stage that was shown. A stage that is not known stays
so, and the first known stage counts at once, for there is nothing to hold on to.
"""

from __future__ import annotations

import functools
import operator

import ibis
import ibis.expr.types as ir

from lcm_research.errors import StudyError

__all__ = ["MAX_CONFIRM", "held"]

MAX_CONFIRM = 12
"""More period ends in a row than this are asked of no stage."""

BASE = 1000
"""A period and a code are kept as one number, so that the largest is the latest."""


def held(panel: ir.Table, *, confirm_periods: int, min_dwell: int, total: int) -> ir.Table:
    """
    Return the panel with ``code`` held on to.

    ``confirm_periods``: a new stage counts from the period end at which it has been seen that many times in a row; up
    to then the stage before stays. ``min_dwell``: a stage, as confirmed, is kept for at least so many period ends,
    the first among them; after that the customer is in whatever stage is confirmed by then.

    Parameters
    ----------
    panel : Ibis table
        With ``customer_id``, ``period`` and ``code``, every period of a customer from the first on; -1 is unknown and
        never follows a known stage.
    confirm_periods : int
        1 (a stage counts at once) to 12.
    min_dwell : int
        0 or 1 (no stage is kept) to ``total``.
    total : int
        Periods of the panel.
    """
    if not 1 <= confirm_periods <= MAX_CONFIRM:
        raise StudyError(f"expected confirm_periods from 1 to {MAX_CONFIRM}; came {confirm_periods}")
    if not 0 <= min_dwell <= total:
        raise StudyError(f"expected min_dwell from 0 to the {total} periods of the panel; came {min_dwell}")
    if confirm_periods > 1:
        panel = _confirmed(panel, confirm_periods)
    return _kept(panel, min_dwell, total) if min_dwell > 1 else panel


def _in_time() -> ibis.expr.builders.WindowBuilder:
    return ibis.window(group_by="customer_id", order_by="period")


def _latest(panel: ir.Table, counts: ir.BooleanValue) -> ir.Table:
    """Return the panel with the code of the latest row up to each that ``counts``; all rows before it are unknown."""
    so_far = ibis.window(group_by="customer_id", order_by="period", preceding=None, following=0)
    stamped = panel.mutate(stamp=counts.ifelse(panel.period * BASE + panel.code, ibis.null("int64")))
    latest = stamped.stamp.max().over(so_far)
    return stamped.mutate(code=latest.notnull().ifelse(latest % BASE, -1)).drop("stamp")


def _confirmed(panel: ir.Table, times: int) -> ir.Table:
    before = [panel.code.lag(k).over(_in_time()) for k in range(1, times)]
    panel = panel.mutate(**{f"before_{k}": code for k, code in enumerate(before, start=1)})
    same = [(panel[f"before_{k}"] == panel.code).fill_null(False) for k in range(1, times)]
    first = panel.before_1.isnull() | (panel.before_1 < 0)
    known = panel.code >= 0
    counts = known & (first | functools.reduce(operator.and_, same))
    return _latest(panel, counts).drop(*(f"before_{k}" for k in range(1, times)))


def _kept(panel: ir.Table, periods: int, total: int) -> ir.Table:
    """
    Keep each stage for so many periods.

    From every row that could begin a stay, the next one begins where the stage first differs after the stay is due.
    The stays of a customer are the chain of these from the first known row, followed in doubling strides.
    """
    known = panel.filter(panel.code >= 0).select("customer_id", "period", "code")
    known = known.mutate(was=known.code.lag().over(_in_time()))
    starts = (known.was.isnull() | (known.was != known.code)).ifelse(known.period, ibis.null("int64"))
    known = known.mutate(start=starts)
    later = ibis.window(group_by="customer_id", order_by="period", following=(1, None))
    known = known.mutate(change=known.start.min().over(later))
    due = {name: known[name].lead(periods).over(_in_time()) for name in ("code", "change")}
    known = known.mutate(due_code=due["code"], due_change=due["change"])
    target = (known.due_code != known.code).ifelse(known.period + periods, known.due_change)
    jumps = known.select("customer_id", "period", target=target).filter(lambda t: t.target.notnull())
    begun = known.filter(known.was.isnull()).select("customer_id", "period")
    strides = max((total // periods + 1).bit_length(), 1)
    for stride in range(strides):
        landed = begun.join(jumps, ["customer_id", "period"], how="inner")
        begun = begun.union(landed.select("customer_id", period=landed.target))
        if stride < strides - 1:
            further = jumps.rename(origin="period", period="target")
            further = further.join(jumps, ["customer_id", "period"], how="inner")
            jumps = further.select("customer_id", period=further.origin, target=further.target)
    marked = panel.left_join(begun.mutate(begins=True), ["customer_id", "period"])
    marked = marked.select(*panel.columns, begins=marked.begins.fill_null(False))
    return _latest(marked, marked.begins).drop("begins")
