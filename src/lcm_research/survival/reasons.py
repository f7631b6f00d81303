"""
Why customers leave, as the table ``churn_reasons`` tells it: what closes an account, and what is told of other ends.

Only what is recorded while a spell ends is used, so that a reason told later never changes a spell that has ended.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables
from lcm_research.privacy import merge_small_groups

__all__ = ["LAPSED", "NOT_TOLD", "OTHER", "closing_days", "merge_rare_causes", "told_between"]

LAPSED = "lapsed"
"""The cause of a spell that ended in silence."""

OTHER = "other"
"""Causes too rare to be told by themselves."""

NOT_TOLD = "not told"
"""The reason of an end of which no reason is recorded."""


def closing_days(tables: Tables, other_ends: Sequence[str], as_of_day: int) -> ir.Table | None:
    """Return one row a customer and day with one of ``other_ends``; of two on a day the first by name."""
    if not other_ends:
        return None
    told = tables["churn_reasons"]
    told = told.filter(told.reason.isin(list(other_ends)), told.day <= as_of_day)
    return told.group_by("customer_id", "day").agg(closing=told.reason.min())


def told_between(spells: ir.Table, tables: Tables, *, first_day: ir.Value, last_day: ir.Value) -> ir.Table:
    """
    Return the spells with ``reason``: the last one recorded from ``first_day`` to ``last_day``, null where none is.

    Parameters
    ----------
    spells : ir.Table
        Unique by ``customer_id`` and ``number``.
    first_day, last_day : expressions of ``spells``
        Of each spell, both inclusive.
    """
    spans = spells.select("customer_id", "number", told_from=first_day, told_until=last_day)
    reasons = tables["churn_reasons"].select("customer_id", "day", "ts_us", "reason")
    told = spans.inner_join(reasons, "customer_id")
    told = told.filter(told.day.between(told.told_from, told.told_until))
    latest = ibis.window(group_by=["customer_id", "number"], order_by=[told.ts_us.desc(), told.reason])
    told = told.mutate(place=ibis.row_number().over(latest))
    told = told.filter(told.place == 0).select("customer_id", "number", "reason")
    return spells.left_join(told, ["customer_id", "number"]).drop("customer_id_right", "number_right")


def merge_rare_causes(counts: pd.DataFrame, *, min_group: int) -> pd.DataFrame:
    """
    Merge the causes that ended fewer than ``min_group`` spells into ``"other"``; open spells stay as they are.

    Parameters
    ----------
    counts : DataFrame
        Of ``spell_end_counts`` or ``contract_end_counts``.
    """
    ended = counts["cause"] != ""
    merged = merge_small_groups(counts[ended], "cause", min_group=min_group, n=["n"], other=OTHER)
    return pd.concat([merged, counts[~ended]], ignore_index=True)
