"""The days on which customers gave a sign of life, and the customers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables
from lcm_research.errors import ModelError, nearest

__all__ = ["History", "activity_days", "beside_customers"]

History = Literal["complete", "from_observation_start"]

TABLE_OF = {"purchases": "transactions", "engagements": "engagements"}
"""Where each kind of activity is recorded."""


def activity_days(
    tables: Tables,
    activity: Sequence[str],
    observation_start_day: int,
    until_day: int,
    history: History,
    *,
    repeated: bool = False,
) -> ir.Table:
    """
    Return one row a customer and day with activity up to ``until_day``: purchases without returns, social acts.

    With ``repeated`` a day may stand there more than once, which is quicker and does where only gaps longer than a
    window count.
    """
    kinds = []
    for name in activity:
        if name not in TABLE_OF:
            raise ModelError(f"no activity is named '{name}'; {nearest(name, TABLE_OF)}")
        table = tables[TABLE_OF[name]]
        kinds.append((table.filter(~table.is_return) if name == "purchases" else table).select("customer_id", "day"))
    if not kinds:
        raise ModelError("a spell needs at least one kind of activity; came none; name purchases")
    days = kinds[0] if len(kinds) == 1 else ibis.union(*kinds)
    days = days.filter(days.day <= until_day)
    if history == "from_observation_start":
        days = days.filter(days.day >= observation_start_day)
    return days if repeated else days.distinct()


def beside_customers(spells: ir.Table, customers: ir.Table, by: Sequence[str]) -> ir.Table:
    """Return the spells with their customer's ``replicate``, ``first_seen_day`` and segments."""
    for column in by:
        if column not in customers.columns:
            raise ModelError(
                f"the customers have no column '{column}' to group by; {nearest(column, customers.columns)}"
            )
    first_seen = customers.first_seen_at_day if "first_seen_at_day" in customers.columns else ibis.null("int64")
    known = customers.select(
        "customer_id",
        "replicate",
        first_seen_day=first_seen,
        **{column: customers[column].cast("string").fill_null("unknown") for column in by},
    )
    return spells.left_join(known, "customer_id").drop("customer_id_right")
