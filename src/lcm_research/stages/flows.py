"""
Flows of customers between stages over longer steps than a period: from the end of one quarter to that of the next.

Moves of single periods do not add up to these (who leaves and returns in between has not moved), so they are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError
from lcm_research.stages.calendar import months
from lcm_research.stages.panel import UNKNOWN, PanelOptions, panel_of

__all__ = ["ENTERED", "flow_counts_between", "step_ends"]

ENTERED = "(entered)"
"""Origin of a customer who was not there at the end of the period before."""


def step_ends(periods: Sequence[str], *, step_periods: int, most: int) -> list[str]:
    """
    Choose periods so many apart, counted back from the last.

    Parameters
    ----------
    periods : list of str
        First days of the periods that there are, in any order.
    step_periods : int
        Periods between two that are chosen.
    most : int
        Periods chosen at most.

    Raises
    ------
    ModelError
        The periods do not hold one step.

    Examples
    --------
    >>> step_ends(["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"], step_periods=2, most=5)
    ['2024-02-01', '2024-04-01']
    """
    if step_periods < 1:
        raise ModelError(f"step_periods={step_periods} is no step; choose 1 or more")
    ordered = sorted(periods)
    chosen = ordered[::-1][::step_periods][:most][::-1]
    if len(chosen) < 2:
        raise ModelError(
            f"flows over {step_periods} months need more than as many months with customers of known stage; came "
            f"{len(ordered)}; choose a shorter step"
        )
    return chosen


@reduction(
    keys={"from_stage": "object", "to_stage": "object", "period_start": "object", "replicate": "int64"},
    counts={"n": "int64"},
)
def flow_counts_between(tables: Tables, *, periods: Sequence[str], **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count customers by their stages at the ends of two chosen periods in a row.

    Nobody leaves the panel, so those of the first chosen period are all there at the end of each later one.

    Parameters
    ----------
    tables : Tables
    periods : list of str
        First days of the chosen periods, two at least.
    **options
        See ``PanelOptions``.

    Returns
    -------
    Ibis table
        period_start (of the later of the two), from_stage (``(entered)`` for who was not there yet), to_stage (both
        ``unknown`` where the data cannot tell), the segments, replicate; n customers.

    Raises
    ------
    ModelError
        A chosen period is not among the whole months of the window, or there is only one.
    """
    calendar = months(observation_start_day=options["observation_start_day"], as_of_day=options["as_of_day"])
    chosen = sorted(set(periods))
    if absent := sorted(set(chosen) - set(calendar["period_start"])):
        raise ModelError(
            f"no whole month of the window starts on {absent[0]}; they run from {calendar['period_start'].iloc[0]} to "
            f"{calendar['period_start'].iloc[-1]}"
        )
    if len(chosen) < 2:
        raise ModelError(f"a flow goes from one period to another; came {len(chosen)} period: {', '.join(chosen)}")
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    at_ends = panel.filter(panel.period_start.isin(chosen)).select(
        "customer_id", "period", "period_start", "code", *by, "replicate"
    )
    before = at_ends.code.lag().over(ibis.window(group_by="customer_id", order_by="period"))
    moved = at_ends.mutate(before=before).filter(lambda t: t.period_start != chosen[0])
    cells = moved.group_by("before", "code", "period_start", *by, "replicate").agg(n=moved.count())
    origin = cells.before.isnull().ifelse(ENTERED, rules.name(cells.before).fill_null(UNKNOWN))
    reached = rules.name(cells.code).fill_null(UNKNOWN)
    return cells.select("period_start", *by, "replicate", "n", from_stage=origin, to_stage=reached)
