"""
What customers did month by month, as one short word a customer, beside the stage that the rules gave them at the end.

Models of hidden stages see behaviour only, never the rules; counting both together lets the two be compared.
"""

from __future__ import annotations

from typing import Unpack

import ibis
import ibis.expr.types as ir
import numpy as np

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError, StudyError
from lcm_research.stages.calendar import months, period_of_each_day
from lcm_research.stages.dwell import MAX_SEQUENCE
from lcm_research.stages.panel import PanelOptions, panel_of
from lcm_research.stages.scheme import load_scheme

__all__ = ["ABSENT", "MANY_PURCHASES", "behaviour_counts", "behaviour_digits", "n_behaviours"]

MANY_PURCHASES = 2
"""Purchases in a period from which on no more are told apart: none, one, two or more."""

ABSENT = -1
"""Behaviour of a period that is not counted: up to the one of the first purchase."""


@reduction(keys={"sequence": "int64", "stage": "object", "replicate": "int64"}, counts={"n": "int64"})
def behaviour_counts(
    tables: Tables, *, n_periods: int, with_engagements: bool, **options: Unpack[PanelOptions]
) -> ir.Table:
    """
    Count customers by what they did in each of the last periods and by their stage at the end of the last.

    A customer counts from the period after the first purchase in the window on: that everybody bought in the first
    one says nothing about how often they buy. Returns are no purchase. Customers who first bought in the last
    period, or never, or whose stage is unknown, are not counted.

    Parameters
    ----------
    tables : Tables
        With ``transactions``, and ``engagements`` where they are asked for.
    n_periods : int
        Longest sequence, from 2 to 12.
    with_engagements : bool
        Whether behaviour tells periods with an act in ``engagements`` apart from those without.
    **options
        See ``PanelOptions``.

    Returns
    -------
    Ibis table
        sequence (a number that ``behaviour_digits`` reads), stage, the segments, replicate; n customers.
    """
    if not 2 <= n_periods <= MAX_SEQUENCE:
        raise StudyError(f"expected n_periods from 2 to {MAX_SEQUENCE}; came {n_periods}")
    scheme = load_scheme(options["scheme"])
    if scheme.unit != "customer":
        raise ModelError(f"scheme '{scheme.scheme}' is one of communities, which buy nothing; ask with another scheme")
    panel, rules = panel_of(tables, **options)
    calendar = months(observation_start_day=options["observation_start_day"], as_of_day=options["as_of_day"])
    last, by = len(calendar) - 1, options.get("by", ())
    days = ibis.memtable(period_of_each_day(calendar)).rename(on_day="day")
    done = _acts(tables, days, with_engagements)
    rows = panel.left_join(done, ["customer_id", "period"])
    rows = rows.select(*panel.columns, bought=rows.bought.fill_null(0), engaged=rows.engaged.fill_null(0))
    first = (rows.bought > 0).ifelse(rows.period, ibis.null("int64")).min()
    rows = rows.mutate(first_bought=first.over(ibis.window(group_by="customer_id")))
    late = rows.filter((rows.period > rows.first_bought) & (rows.period > last - n_periods))
    digit = 1 + ibis.least(late.bought, MANY_PURCHASES) + (MANY_PURCHASES + 1) * late.engaged
    base = n_behaviours(with_engagements=with_engagements) + 1
    # an integer table of powers keeps this free of floating point on every engine
    powers = ibis.cases(*((late.period == last - k, base**k) for k in range(n_periods))).cast("int64")
    now = (late.period == last).ifelse(late.code, ibis.null("int64"))
    late = late.mutate(digit=digit * powers, now=now)
    whole = late.group_by("customer_id", *by, "replicate").agg(sequence=late.digit.sum(), now=late.now.max())
    whole = whole.filter(whole.now >= 0)
    cells = whole.group_by("sequence", "now", *by, "replicate").agg(n=whole.count())
    return cells.select("sequence", *by, "replicate", "n", stage=rules.name(cells.now))


def n_behaviours(*, with_engagements: bool) -> int:
    """Return how many kinds of behaviour a period may have."""
    return (MANY_PURCHASES + 1) * (2 if with_engagements else 1)


def behaviour_digits(sequences: np.ndarray, *, n_periods: int, with_engagements: bool) -> np.ndarray:
    """
    Read what ``behaviour_counts`` wrote: the behaviour of each period, the first one first.

    Returns
    -------
    array of int, shape (n_sequences, n_periods)
        Purchases (0, 1, or 2 for more), and 3 more in a period with an act; ``ABSENT`` before the first that counts.

    Examples
    --------
    To the base 4, 0 * 16 + 1 * 4 + 3: not there yet, then no purchase, then two or more:

    >>> behaviour_digits(np.array([7]), n_periods=3, with_engagements=False).tolist()
    [[-1, 0, 2]]
    """
    base = n_behaviours(with_engagements=with_engagements) + 1
    numbers = np.asarray(sequences, np.int64)
    if len(numbers) and numbers.max() >= base**n_periods:
        raise ModelError(
            f"sequence {numbers.max()} is longer than n_periods={n_periods} periods of {base - 1} behaviours; read it "
            "with what it was counted with"
        )
    return np.stack([numbers // base**k % base for k in reversed(range(n_periods))], axis=1) - 1


def _acts(tables: Tables, days: ir.Table, with_engagements: bool) -> ir.Table:
    """Return how often each customer bought in each period, and whether there was an act (1) or not (0)."""
    bought = tables["transactions"]
    parts = [bought.filter(~bought.is_return).select("customer_id", "day", bought=1, engaged=0)]
    if with_engagements:
        parts.append(tables["engagements"].select("customer_id", "day", bought=0, engaged=1))
    rows = ibis.union(*parts) if len(parts) > 1 else parts[0]
    dated = rows.join(days, rows.day == days.on_day, how="inner")
    return dated.group_by("customer_id", "period").agg(
        bought=dated.bought.cast("int64").sum(), engaged=dated.engaged.cast("int64").max()
    )
