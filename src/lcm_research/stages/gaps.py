"""
Moves and stocks counted from gaps: a customer's stretch from one period with something in it to the next.

Within a gap days pass and nothing else happens, so every stage in it, and the move into the period that ends it,
follow from what was known when it began. Where rules compare each quantity with numbers, gaps that no rule can tell
apart are counted together first, and months are gone through for kinds of gaps, not for customers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables
from lcm_research.stages.alike import alike, coarse_days, compares_with_numbers, days_alike, named_in_rules
from lcm_research.stages.availability import primitives_off
from lcm_research.stages.calendar import period_of_each_day
from lcm_research.stages.dense import History, is_known, people
from lcm_research.stages.events import KINDS, changes
from lcm_research.stages.rules import StageRules
from lcm_research.stages.steps import activity, asked_of, with_period_before

__all__ = ["Gaps", "gaps_of", "moves_in_gaps", "stocks_in_gaps"]

CALENDAR = ("end_day", "end_day_before", "length_before")
"""What rules are told of a period."""


@dataclass(frozen=True)
class Gaps:
    """
    Kinds of gaps and what they were counted with.

    Parameters
    ----------
    table : Ibis table
        begins (period), step_period (the same, or -1 for all before the first), next_period (missing where nothing
        happens any more), next_code (stage at its end), known, the segments, replicate, n_customers, and columns of
        changes added up to the end of step_period.
    rules : StageRules
    ends : DataFrame
        The calendar, with the cuts that differ by period.
    off : tuple of str
        Primitives that the study lacks.
    observation_start_day : int
    by : sequence of str
    """

    table: ir.Table
    rules: StageRules
    ends: pd.DataFrame
    off: tuple[str, ...]
    observation_start_day: int
    by: Sequence[str]


def moves_in_gaps(gaps: Gaps) -> ir.Table:
    """
    Return the moves from the end of each period to the end of the next, some rows for each move.

    Returns
    -------
    Ibis table
        ``was`` and ``code`` (-1 where unknown), period_start of the later period, the segments, replicate,
        n_customers.
    """
    length = gaps.table.next_period.fill_null(len(gaps.ends) - 1) - gaps.table.begins
    rows = _months(gaps, length, lambda length: range(1, length + 1))
    was = _code(gaps, rows, _state(rows, silent=rows.period - 1 > rows.step_period), "was_")
    silent = _code(gaps, rows, _state(rows, silent=ibis.literal(True)))
    code = (rows.period == rows.next_period).fill_null(False).ifelse(rows.next_code, silent)
    return rows.select("period_start", *gaps.by, "replicate", "n_customers", was=was, code=code)


def stocks_in_gaps(gaps: Gaps) -> ir.Table:
    """
    Return the customers at the end of each period, some rows for each stage.

    Returns
    -------
    Ibis table
        ``code`` (-1 where unknown), period_start, the segments, replicate, n_customers.
    """
    length = gaps.table.next_period.fill_null(len(gaps.ends)) - gaps.table.begins
    rows = _months(gaps, length, range)
    code = _code(gaps, rows, _state(rows, silent=rows.period > rows.step_period))
    return rows.select("period_start", *gaps.by, "replicate", "n_customers", code=code)


def gaps_of(
    tables: Tables,
    *,
    rules: StageRules,
    ends: pd.DataFrame,
    observation_start_day: int,
    history: History,
    by: Sequence[str] = (),
) -> Gaps:
    """
    Return the gaps of all customers, counted together where ``compares_with_numbers``.

    Parameters
    ----------
    tables, rules, observation_start_day, history, by
        As ``stage_panel`` takes them; the scheme has no streaks.
    ends : DataFrame
        The calendar, with the cuts that differ by period as further columns.
    """
    off = primitives_off(tables, rules)
    needs = named_in_rules(rules) - set(off)
    together = compares_with_numbers(rules)
    apart = days_alike(rules, ends) if together else None
    changed = changes(
        tables,
        scheme=rules.scheme,
        needs=needs,
        windows=rules.windows,
        ends=ends,
        since=None if history == "complete" else observation_start_day,
        apart=apart,
    )
    unnamed = {"last_day": needs.isdisjoint({"r", "u", "r_before"}), "first_day": "u" not in needs}
    changed = changed.drop(*(name for name in changed.columns if unnamed.get(name)))
    changed = changed if apart is None else coarse_days(changed, apart)
    table = _known_in_gaps(activity(changed, period_of_each_day(ends)), needs)
    who = people(tables, rules, history=history, observation_start_day=observation_start_day, by=by)
    told = _calendar(ends).add_prefix("next_")
    table = table.join(who, "customer_id", how="inner").left_join(ibis.memtable(told), "next_period")
    gaps = Gaps(table, rules, ends, off, observation_start_day, by)
    begins = (table.step_period < 0).ifelse(0, table.step_period)
    state = {name: table[name] for name in ("n", *KINDS, "last_day_before") if name in table.columns}
    state |= alike(state, rules) if together else {}
    next_code = _code(gaps, table, _state_next(table), "next_")
    kept = table.select(
        "step_period", "next_period", "known", *by, "replicate", begins=begins, next_code=next_code, **state
    )
    counted = kept.group_by(*kept.columns).agg(n_customers=kept.count()) if together else kept.mutate(n_customers=1)
    return Gaps(counted, rules, ends, off, observation_start_day, by)


def _known_in_gaps(activity: ir.Table, needs: Iterable[str]) -> ir.Table:
    """Return the gaps of each customer, with changes added up to their beginning, and up to their end as ``next_``."""
    by_time = {"group_by": "customer_id", "order_by": "period"}
    ahead, so_far = ibis.window(**by_time), ibis.window(**by_time, preceding=None, following=0)
    known: dict[str, Any] = {"step_period": activity.period, "next_period": activity.period.lead().over(ahead)}
    for name, kind in KINDS.items():
        if name not in activity.columns:
            continue
        now, then = getattr(activity[name], kind)().over(so_far), activity[name].lead().over(ahead)
        column = "n" if name == "n_period" else name
        known[column] = now
        # what comes later is larger, or smaller, than all before
        known[f"next_{column}"] = {"sum": now + then, "max": then.fill_null(now), "min": now.fill_null(then)}[kind]
    if "n_period" in needs:
        known |= {"n_period": activity.n_period, "next_n_period": activity.n_period.lead().over(ahead)}
    if "r_before" in needs:
        known["last_day_before"] = activity.last_day.max().over(ibis.window(**by_time, preceding=(None, 1)))
    return activity.select("customer_id", **known)


def _months(gaps: Gaps, length: Any, offsets: Callable[[int], Iterable[int]]) -> ir.Table:
    """Repeat each gap for periods from its beginning on; the period before has its calendar as ``was_``."""
    lasting = [(n, offset) for n in range(1, len(gaps.ends) + 1) for offset in offsets(n)]
    repeated = ibis.memtable(pd.DataFrame(lasting, columns=["length", "offset"], dtype="int64"))
    rows = gaps.table.mutate(length=length).join(repeated, "length", how="inner")
    told = _calendar(gaps.ends)
    was = told.shift().fillna(told.iloc[0]).astype(told.dtypes).drop(columns="period").add_prefix("was_")
    calendar = ibis.memtable(pd.concat([told, was], axis=1).assign(period_start=gaps.ends["period_start"]))
    return rows.mutate(period=rows.begins + rows.offset).join(calendar, "period", how="inner")


def _calendar(ends: pd.DataFrame) -> pd.DataFrame:
    told = with_period_before(ends)
    return told.drop(columns=["period_start", "start_day", "end_day_before_that"])


def _state(rows: ir.Table, *, silent: Any) -> dict[str, Any]:
    """Return changes added up to the end of a period of the gap, its first (not ``silent``) or a later one."""
    state = {name: rows[name] for name in ("n", *KINDS) if name in rows.columns}
    if "n_period" in state:
        state["n_period"] = silent.ifelse(0, rows.n_period)
    if "last_day_before" in rows.columns:
        state["last_day_before"] = silent.ifelse(rows.last_day, rows.last_day_before)
    return state


def _state_next(rows: ir.Table) -> dict[str, Any]:
    """Return changes added up to the end of the period that ends the gap."""
    state = {name: rows[f"next_{name}"] for name in ("n", *KINDS) if f"next_{name}" in rows.columns}
    return state | ({"last_day_before": rows.last_day} if "last_day_before" in rows.columns else {})


def _code(gaps: Gaps, rows: ir.Table, state: Mapping[str, Any], prefix: str = "") -> ir.IntegerValue:
    """Return the place of the stage in ``rules.stages``, -1 where it is unknown."""
    end = SimpleNamespace(**{name: rows[prefix + name] for name in CALENDAR})
    found = asked_of(state, end)
    names = {name: found[name] for name in sorted({"n", *named_in_rules(gaps.rules)}) if name in found}
    names |= {name: ibis.null("int64") for name in gaps.off}
    names |= {name: rows[prefix + name] for name in gaps.rules.scheme.cuts if prefix + name in rows.columns}
    known = is_known(rows, names, end.end_day, rules=gaps.rules, observation_start_day=gaps.observation_start_day)
    return known.ifelse(gaps.rules.code(names), -1)
