"""
When a segment's value was recorded, held against the day on which the customer began.

A value that a customer gets later, such as a membership, goes to those who stayed long enough to get it, so that
groups made of it differ in staying by construction. It is refused with the numbers, or unknown where the study says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from lcm_research.data.canonical import EXPECTED, map_column
from lcm_research.data.expressions import parse
from lcm_research.data.tables import Column
from lcm_research.errors import DataError, StudyError, nearest
from lcm_research.study import Study

__all__ = ["LAPSE_DAY", "START_DAY", "dated", "recorded_columns", "recorded_day", "refuse_late_values", "with_starts"]

START_DAY, LAPSE_DAY = "_start_day", "_lapse_day"
"""Columns of customers, for a while: when the customer began, and the last day before the first lapse."""


def dated(study: Study) -> list[str]:
    """Return the segments that say when their value was recorded."""
    return [name for name, segment in study.segments.items() if segment.recorded_at is not None]


def recorded_day(segment: str) -> str:
    """Return the column of customers that holds the day on which a segment's value was recorded."""
    return f"_recorded_{segment}_day"


def recorded_columns(study: Study, raw: Mapping[str, ir.Value], file: str) -> dict[str, Any]:
    """Return the day on which each dated segment's value was recorded, and whether a date there cannot be read."""
    columns: dict[str, Any] = {}
    for name in dated(study):
        where = f"segments.{name}.recorded_at"
        expression = parse(study.segments[name].recorded_at or "", where=where, columns=list(raw))
        for missing in sorted(expression.names() - set(raw)):
            raise DataError(f"{where}: '{file}' has no column '{missing}'; {nearest(missing, raw)}")
        made = map_column(name, Column(kind="ts"), expression, raw, timezone=study.timezone, currency=None)
        day, value = made.stored[f"{name}_day"], expression.to_ibis(raw)
        # what the expression leaves empty on purpose is no date that cannot be read
        written: Any = value.cast("string").strip() != ""
        columns |= {recorded_day(name): day, _unread(name): written.fill_null(False) & day.isnull()}
    return columns


def with_starts(customers: ir.Table, study: Study, events: Mapping[str, ir.Table]) -> ir.Table:
    """Return the customers with the day on which each began, by what churn means in the study, and of the lapse."""
    churn = study.churn
    if churn.kind == "contract":
        return customers.mutate(**{START_DAY: customers.contract_start_day, LAPSE_DAY: customers.contract_end_day})
    days = []
    if "purchases" in churn.activity and "transactions" in events:
        days.append(events["transactions"].filter(~events["transactions"].is_return).select("customer_id", "day"))
    if "engagements" in churn.activity:
        days.append(events["engagements"].select("customer_id", "day"))
    if not days:
        raise StudyError(
            f"segments.{dated(study)[0]}.recorded_at: a value is dated against the customer's first activity; map the "
            "table transactions, or leave recorded_at out"
        )
    t = (days[0] if len(days) == 1 else ibis.union(*days)).distinct()
    following = t.day.lead(1).over(ibis.window(group_by="customer_id", order_by="day"))
    t = t.mutate(silent=ibis.coalesce(following, study.as_of_day) - t.day > churn.longest_days)
    told = t.group_by(_customer_id=t.customer_id).agg(**{START_DAY: t.day.min(), LAPSE_DAY: t.day.min(where=t.silent)})
    return customers.left_join(told, customers.customer_id == told._customer_id).drop("_customer_id")


def refuse_late_values(customers: ir.Table, study: Study) -> None:
    """Refuse segments whose value was recorded after the start, unless the study counts it as unknown."""
    started = customers[START_DAY].notnull()
    sums: dict[str, Any] = {"rows": customers.count(), "customers": started.sum()}
    for name in dated(study):
        recorded = customers[recorded_day(name)]
        sums[f"unread_{name}"] = customers[_unread(name)].sum()
        sums[f"late_{name}"] = (recorded > customers[START_DAY]).sum().fill_null(0)
        sums[f"after_{name}"] = (recorded > customers[LAPSE_DAY]).sum().fill_null(0)
    found = customers.aggregate(**sums).to_pandas().iloc[0].astype(int)
    problems = [_unreadable(name, found) for name in dated(study) if found[f"unread_{name}"]]
    problems += [
        _late(name, found) for name in dated(study) if found[f"late_{name}"] and study.segments[name].later == "refuse"
    ]
    if problems:
        raise DataError("\n".join(problems))


def _unread(segment: str) -> str:
    return f"_unread_{segment}"


def _unreadable(name: str, found: Mapping[str, int]) -> str:
    return (
        f"segments.{name}.recorded_at: expected {EXPECTED['ts']}; {found[f'unread_{name}']:,} of {found['rows']:,} "
        "rows hold something else; say their format, as in strptime(column, '%d/%m/%Y')"
    )


def _late(name: str, found: Mapping[str, int]) -> str:
    return (
        f"segments.{name}: expected a value that is known when a customer begins; for {found[f'late_{name}']:,} of "
        f"{found['customers']:,} customers it was recorded after their first day, for {found[f'after_{name}']:,} of "
        "them after their lapse, and goes to those who stayed long enough to get it; count it as unknown there with "
        "'later: unknown', take a value of the first day, or leave the segment out"
    )
