"""What rules ask about every customer at the end of every period, silent ones too, in the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.canonical import replicate
from lcm_research.data.reduction import Tables
from lcm_research.stages.availability import primitives_off
from lcm_research.stages.calendar import period_of_each_day
from lcm_research.stages.events import changes
from lcm_research.stages.rules import StageRules
from lcm_research.stages.steps import activity, fill_silent_periods, primitives, steps_of

__all__ = ["History", "is_known", "known_at_each_end", "people"]

History = Literal["complete", "from_observation_start"]


def known_at_each_end(
    tables: Tables,
    *,
    rules: StageRules,
    ends: pd.DataFrame,
    observation_start_day: int,
    history: History,
    by: Sequence[str] = (),
) -> tuple[ir.Table, dict[str, ir.Value]]:
    """
    Return one row for each customer and period since the first contact, and what the rules name in it.

    Parameters
    ----------
    tables, rules, observation_start_day, history, by
        As ``stage_panel`` takes them.
    ends : DataFrame
        The calendar, with the cuts that differ by period as further columns.

    Returns
    -------
    Ibis table
        The rows, with customer_id, replicate, the segments, the calendar and ``known`` (the whole history is).
    dict
        Primitives, cuts by period and streaks, as columns of the table or expressions over it. A primitive that
        the scheme can do without is missing where the study lacks its table.
    """
    off = primitives_off(tables, rules)
    changed = changes(
        tables,
        scheme=rules.scheme,
        needs=rules.needs - set(off),
        windows=rules.windows,
        ends=ends,
        since=None if history == "complete" else observation_start_day,
    )
    steps = steps_of(activity(changed, period_of_each_day(ends)))
    who = people(tables, rules, history=history, observation_start_day=observation_start_day, by=by)
    dense = fill_silent_periods(steps.join(who, "customer_id", how="inner"), ends)
    found = primitives(dense)
    # whether a stage is known depends on purchases, named or not
    asked = rules.needs | ({"n"} if rules.scheme.unit == "customer" else set())
    names = {name: ibis.null("int64") if name in off else found[name] for name in sorted(asked)}
    names |= {name: dense[name] for name in rules.scheme.cuts if name in dense.columns}
    return _with_streaks(dense, names, rules) if rules.scheme.streaks else (dense, names)


def _with_streaks(
    dense: ir.Table, names: dict[str, ir.Value], rules: StageRules
) -> tuple[ir.Table, dict[str, ir.Value]]:
    """Add for how many period ends in a row each condition of the scheme has held."""
    fails = {
        f"not_{name}": ~rules.holds(f"streaks.{name}", condition, names)
        for name, condition in rules.scheme.streaks.items()
    }
    kept = [column for column in dense.columns if column not in names]
    dense = dense.select(*kept, **names, **fails)
    so_far = ibis.window(group_by="customer_id", order_by="period", preceding=None, following=0)
    first = dense.period.min().over(ibis.window(group_by="customer_id"))
    streaks = {}
    for name in rules.scheme.streaks:
        broken = dense[f"not_{name}"].ifelse(dense.period, ibis.null("int64")).max().over(so_far)
        streaks[name] = dense.period - broken.fill_null(first - 1)
    dense = dense.mutate(**streaks)
    return dense, {name: dense[name] for name in [*names, *streaks]}


def is_known(
    dense: ir.Table,
    names: Mapping[str, ir.Value],
    end_day: ir.IntegerValue,
    *,
    rules: StageRules,
    observation_start_day: int,
) -> ir.BooleanValue:
    """Return whether the stage of each row can be told, with what was known (``names``) on ``end_day``."""
    if rules.scheme.whole_history or rules.scheme.unit == "community":
        return dense.known
    return dense.known | ((end_day >= observation_start_day + rules.reach_days) & (names["n"] > 0))


def people(
    tables: Tables, rules: StageRules, *, history: History, observation_start_day: int, by: Sequence[str] = ()
) -> ir.Table:
    """Return the replicate and segments of each customer (or community), and whether the whole history is known."""
    if rules.scheme.unit == "customer":
        found, first_day = tables["customers"], "first_seen_at_day"
    else:
        found, first_day = tables["community"].rename(customer_id="community_id"), "created_at_day"
        if "replicate" not in found.columns:
            found = found.mutate(replicate=replicate(found.customer_id))
    known: ir.BooleanValue = ibis.literal(history == "complete")
    if history != "complete" and first_day in found.columns:
        known = (found[first_day] >= observation_start_day).fill_null(False)
    return found.select("customer_id", "replicate", *by, known=known)
