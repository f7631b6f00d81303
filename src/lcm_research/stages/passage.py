"""How many month ends lie between a customer's first purchase and the first one that finds the customer in a stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError
from lcm_research.stages.panel import PanelOptions, panel_of

__all__ = ["passage_counts"]


@reduction(keys={"duration_periods": "int64", "event_observed": "bool", "replicate": "int64"}, counts={"n": "int64"})
def passage_counts(
    tables: Tables, *, target: str, prospects: Sequence[str], **options: Unpack[PanelOptions]
) -> ir.Table:
    """
    Count newcomers by the periods until the end of one first finds them in a stage.

    Newcomers come out of the stages of prospects, or are first seen after the first period; they start at the end of
    that period. What happens between the ends of periods is not seen: whoever enters the stage and leaves it again
    within one was not there.

    Parameters
    ----------
    tables : Tables
    target : str
        The stage, such as the one that declares a lapse.
    prospects : list of str
        Stages of customers who have not bought.
    **options
        See ``PanelOptions``.

    Returns
    -------
    Ibis table
        duration_periods, event_observed (False where the last period comes first), the segments, replicate;
        n customers.
    """
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    unknown = [stage for stage in (target, *prospects) if stage not in rules.stages]
    if unknown:
        raise ModelError(f"no stage is named '{unknown[0]}'; the stages are {', '.join(rules.stages)}")
    before = [rules.stages.index(stage) for stage in prospects]
    bought = (panel.code >= 0) & ~panel.code.isin(before) if before else panel.code >= 0
    from_prospect = panel.was.isin(before) if before else ibis.literal(False)
    arrives = bought & ((panel.was.isnull() & (panel.period > 0)) | from_prospect)
    nothing = ibis.null("int64")
    there = panel.code == rules.stages.index(target)
    each = panel.group_by("customer_id", *by, "replicate").agg(
        start=arrives.fill_null(False).ifelse(panel.period, nothing).min(),
        hit=there.ifelse(panel.period, nothing).min(),
        last=panel.period.max(),
    )
    each = each.filter(each.start.notnull())
    each = each.mutate(
        duration_periods=each.hit.fill_null(each["last"]) - each.start, event_observed=each.hit.notnull()
    )
    return each.group_by("duration_periods", "event_observed", *by, "replicate").agg(n=each.count())
