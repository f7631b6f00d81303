"""
From purchases to spells: how long a customer stays before the first silence that counts as a lapse.

A spell starts on an activity day (a local date with a purchase that is no return) that follows no other
within ``window_days``. It lapses on the first activity day ``a`` followed by more than ``window_days`` silent
days; later activity opens the next spell and never undoes the lapse. A lapse can only be seen up to the cut
``c = as_of_day - window_days``: a spell is an event where ``a < c``, with ``duration_days = a - start + 1``,
and is otherwise censored with ``duration_days = c - start``, whatever it did after ``c``. Spells that start
at or after ``c`` tell nothing yet and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import N_GROUPS, Estimate, proportion

__all__ = [
    "STATUSES",
    "Entry",
    "History",
    "bought_once",
    "classified_spells",
    "return_counts",
    "spell_counts",
    "spell_reconciliation",
]

History = Literal["complete", "from_observation_start"]
Entry = Literal["incident", "late"]

STATUSES = (
    "used",
    "known_before",
    "start_not_seen",
    "later_spell",
    "over_before_entry",
    "starts_after_cut",
    "no_purchase",
)
"""What can become of a spell, in the order a page shows it; ``no_purchase`` counts customers without one."""


@reduction(
    keys={"entry_days": "int64", "duration_days": "int64", "event_observed": "bool", "replicate": "int64"},
    counts={"n": "int64"},
)
def spell_counts(
    tables: Tables,
    *,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    entry: Entry,
    by: Sequence[str],
) -> ir.Table:
    """
    Count spells by how long they lasted and whether they were seen to lapse.

    Parameters
    ----------
    window_days : int
        A silence longer than this ends a spell.
    observation_start_day, as_of_day : int
        First and last day of observation, days since 1970-01-01, both inclusive.
    history : {"complete", "from_observation_start"}
        ``complete``: the tables hold each customer's whole purchase history. Otherwise rows before
        ``observation_start_day`` are not used, and the start of a spell is known only where ``window_days``
        silent days were seen before it or ``first_seen_at`` says that the customer was new.
    entry : {"incident", "late"}
        ``incident``: each customer's first spell, where it started under observation; customers known before
        ``observation_start_day`` (by purchase or ``first_seen_at``) are not in it. ``late``: every spell whose
        start is known, under observation from ``observation_start_day + window_days`` on, so that a spell open
        on that day enters it with ``entry_days > 0`` and one that was over by then is not in it.
    by : list of str
        Segment columns of ``customers``; a customer without a value is ``"unknown"``.

    Returns
    -------
    ir.Table
        ``by``, ``entry_days``, ``duration_days``, ``event_observed``, ``replicate`` and the count of spells
        ``n``. A spell is at risk on day ``t`` of its life where ``entry_days < t <= duration_days``.
    """
    spells = classified_spells(tables, window_days, observation_start_day, as_of_day, history, entry, by)
    keys = [*by, "entry_days", "duration_days", "event_observed", "replicate"]
    return spells.filter(spells.status == "used").group_by(keys).agg(n=lambda t: t.count())


@reduction(keys={"status": "object", "replicate": "int64"}, counts={"n_customers": "int64", "n_spells": "int64"})
def spell_reconciliation(
    tables: Tables, *, window_days: int, observation_start_day: int, as_of_day: int, history: History, entry: Entry
) -> ir.Table:
    """
    Count what becomes of every customer and every spell, so that a page can say who is in.

    Parameters are those of ``spell_counts``. Each spell has one ``status``:

    - ``used``: in the counts;
    - ``known_before``: first spell of a customer known before observation started;
    - ``start_not_seen``: may have started before observation did;
    - ``later_spell``: not the customer's first (incident entry only);
    - ``over_before_entry``: lapsed before late entry opens (late entry only);
    - ``starts_after_cut``: too young for a lapse to be seen;
    - ``no_purchase``: customers without a spell.

    Returns
    -------
    ir.Table
        ``n_customers`` are the customers with at least one such spell, so that a customer may stand in several
        rows; ``n_spells`` adds up to all spells.
    """
    spells = classified_spells(tables, window_days, observation_start_day, as_of_day, history, entry, ())
    told = spells.group_by(["status", "replicate"]).agg(
        n_customers=lambda t: t.customer_id.nunique(), n_spells=lambda t: t.count()
    )
    silent = tables["customers"].select("customer_id", "replicate").anti_join(spells, "customer_id")
    untold = silent.group_by("replicate").agg(n_customers=lambda t: t.count())
    untold = untold.mutate(status=ibis.literal("no_purchase"), n_spells=ibis.literal(0, "int64"))
    return told.union(untold.select(told.columns))


@reduction(keys={"duration_days": "int64", "event_observed": "bool", "replicate": "int64"}, counts={"n": "int64"})
def return_counts(
    tables: Tables,
    *,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    by: Sequence[str],
) -> ir.Table:
    """
    Count lapsed incident spells by how long after the lapse was declared the customer came back.

    A lapse is declared ``window_days`` after its last activity day. ``duration_days`` runs from there to the
    next activity day (``event_observed``), or to ``as_of_day``. One minus the survival curve of these counts
    is the share of lapses that return.
    """
    spells = classified_spells(tables, window_days, observation_start_day, as_of_day, history, "incident", by)
    lapsed = spells.filter(spells.status == "used", spells.event_observed)
    until = ibis.coalesce(lapsed.next_start_day, ibis.literal(as_of_day, "int64"))
    lapsed = lapsed.mutate(
        duration_days=until - lapsed.last_day - window_days, event_observed=lapsed.next_start_day.notnull()
    )
    keys = [*by, "duration_days", "event_observed", "replicate"]
    return lapsed.group_by(keys).agg(n=lambda t: t.count())


def bought_once(counts: pd.DataFrame, *, level: float = 0.95) -> Estimate:
    """
    Share of customers who bought on one day and then not for longer than the window.

    Parameters
    ----------
    counts : DataFrame
        Of ``spell_counts`` with incident entry. Every spell in it is older than the window, so whether it ended
        on its first day is known for all of them.

    Returns
    -------
    Estimate
        A share; jackknife by groups of customers, exact where fewer than 20 groups hold such a customer.
    """
    if not len(counts):
        raise ModelError("the share that bought once needs at least one spell; came none; see spell_reconciliation")
    once = counts["event_observed"].to_numpy(bool) & (counts["duration_days"].to_numpy() == 1)
    n, groups = counts["n"].to_numpy(float), counts["replicate"].to_numpy(np.int64)
    return proportion(
        np.bincount(groups, weights=n * once, minlength=N_GROUPS),
        np.bincount(groups, weights=n, minlength=N_GROUPS),
        level=level,
    )


def classified_spells(
    tables: Tables,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    entry: Entry,
    by: Sequence[str],
) -> ir.Table:
    """Every spell with its customer's replicate and segments, its status, and its duration where used."""
    _check(window_days, observation_start_day, as_of_day, history, entry)
    purchases = tables["transactions"]
    purchases = purchases.filter(~purchases.is_return, purchases.day <= as_of_day)
    if history == "from_observation_start":
        purchases = purchases.filter(purchases.day >= observation_start_day)
    spells = _with_customers(_spells(purchases, window_days), tables["customers"], by)

    cut, opens = as_of_day - window_days, observation_start_day + window_days
    lapsed = spells.last_day < cut
    spells = spells.mutate(
        event_observed=lapsed,
        duration_days=lapsed.ifelse(spells.last_day - spells.start_day + 1, cut - spells.start_day),
        entry_days=ibis.greatest(opens - spells.start_day, 0) if entry == "late" else ibis.literal(0, "int64"),
    )
    known_before = (spells.start_day < observation_start_day) | (spells.first_seen_day < observation_start_day)
    is_new = (spells.number == 1) & (spells.first_seen_day >= observation_start_day)
    start_seen = (spells.start_day >= opens) | is_new | ibis.literal(history == "complete")
    if entry == "incident":
        first = [(spells.number > 1, "later_spell"), (known_before.fill_null(False), "known_before")]
    else:
        first = []
    status = ibis.cases(
        *first,
        (~start_seen.fill_null(False), "start_not_seen"),
        (spells.start_day >= cut, "starts_after_cut"),
        (spells.duration_days <= spells.entry_days, "over_before_entry"),
        else_="used",
    )
    return spells.mutate(status=status)


def _spells(purchases: ir.Table, window_days: int) -> ir.Table:
    """One row a spell: its number in the customer's life, first day, last activity day, next spell's first day."""
    days = purchases.select("customer_id", "day").distinct()
    in_order = ibis.window(group_by="customer_id", order_by="day")
    days = days.mutate(
        previous_day=days.day.lag(1).over(in_order), final_day=days.day.max().over(ibis.window(group_by="customer_id"))
    )
    starts = days.filter(days.previous_day.isnull() | (days.day - days.previous_day > window_days))
    # the activity day before the next spell's start is this spell's last
    last_day = ibis.coalesce(starts.previous_day.lead(1).over(in_order), starts.final_day)
    return starts.select(
        "customer_id",
        number=ibis.row_number().over(in_order) + 1,
        start_day=starts.day,
        last_day=last_day,
        next_start_day=starts.day.lead(1).over(in_order),
    )


def _with_customers(spells: ir.Table, customers: ir.Table, by: Sequence[str]) -> ir.Table:
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


def _check(window_days: int, observation_start_day: int, as_of_day: int, history: str, entry: str) -> None:
    if history not in ("complete", "from_observation_start"):
        raise ModelError(f"history must be 'complete' or 'from_observation_start'; came '{history}'")
    if entry not in ("incident", "late"):
        raise ModelError(f"entry must be 'incident' or 'late'; came '{entry}'")
    if window_days < 1:
        raise ModelError(f"window_days must be at least 1; came {window_days}")
    if as_of_day - window_days <= observation_start_day:
        raise ModelError(
            f"as_of lies {as_of_day - observation_start_day} days after observation_start, not more than the churn "
            f"window of {window_days}: no lapse could be seen; wait for more data or choose a shorter window"
        )
