"""
From purchases to spells: how long a customer stays before the first silence that counts as a lapse.

A spell starts on an activity day (a local date with a purchase that is no return) that follows no other
within the window ``W``. It lapses on the first activity day ``a`` followed by more than ``W`` silent
days; later activity opens the next spell and never undoes the lapse. A lapse can only be seen up to the cut
``c = as_of_day - W``: a spell is an event where ``a < c``, with ``duration_days = a - start + 1``,
and is otherwise censored with ``duration_days = c - start``, whatever it did after ``c``. Spells that start
at or after ``c`` tell nothing yet and are left out.

A personal window is that of the day ``a``, and so is the cut. Spells are then left out by the longest window: by
their own, late starters would be in where they bought often enough to lapse early, and out where they did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate, proportion
from lcm_research.survival.activity import History, activity_days, beside_customers
from lcm_research.survival.windows import Window, check_window, cut_window, longest_window, personal_window

__all__ = [
    "STATUSES",
    "Entry",
    "History",
    "bought_once",
    "classified_spells",
    "count_statuses",
    "return_counts",
    "spell_counts",
    "spell_reconciliation",
]

Entry = Literal["incident", "late"]

STATUSES = (
    "used",
    "known_before",
    "start_not_seen",
    "later_spell",
    "over_before_entry",
    "starts_after_cut",
    "no_purchase",
    "no_contract",
)
"""
What can become of a spell, in the order a page shows it; ``no_purchase`` and ``no_contract`` count customers without
one.
"""


@reduction(
    keys={"entry_days": "int64", "duration_days": "int64", "event_observed": "bool", "replicate": "int64"},
    counts={"n": "int64"},
)
def spell_counts(
    tables: Tables,
    *,
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    entry: Entry,
    by: Sequence[str],
    activity: Sequence[str] = ("purchases",),
) -> ir.Table:
    """
    Count spells by how long they lasted and whether they were seen to lapse.

    Parameters
    ----------
    window_days : int or mapping
        A silence longer than this ends a spell; or the parameters of a personal window, see ``windows.PERSONAL``.
    observation_start_day, as_of_day : int
        First and last day of observation, days since 1970-01-01, both inclusive.
    history : {"complete", "from_observation_start"}
        ``complete``: the tables hold each customer's whole purchase history. Otherwise rows before
        ``observation_start_day`` are not used, and the start of a spell is known only where ``window_days``
        (the longest) silent days were seen before it or ``first_seen_at`` says that the customer was new.
    entry : {"incident", "late"}
        ``incident``: each customer's first spell, where it started under observation; customers known before
        ``observation_start_day`` (by purchase or ``first_seen_at``) are not in it. ``late``: every spell whose
        start is known, under observation from ``observation_start_day + window_days`` on, so that a spell open
        on that day enters it with ``entry_days > 0`` and one that was over by then is not in it.
    by : list of str
        Segment columns of ``customers``; a customer without a value is ``"unknown"``.
    activity : list of {"purchases", "engagements"}
        Whose days are activity.

    Returns
    -------
    ir.Table
        ``by``, ``entry_days``, ``duration_days``, ``event_observed``, ``replicate`` and the count of spells
        ``n``. A spell is at risk on day ``t`` of its life where ``entry_days < t <= duration_days``.
    """
    asked = (window_days, observation_start_day, as_of_day, history, entry, by)
    spells = classified_spells(tables, *asked, activity=activity)
    keys = [*by, "entry_days", "duration_days", "event_observed", "replicate"]
    return spells.filter(spells.status == "used").group_by(keys).agg(n=lambda t: t.count())


@reduction(keys={"status": "object", "replicate": "int64"}, counts={"n_customers": "int64", "n_spells": "int64"})
def spell_reconciliation(
    tables: Tables,
    *,
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    entry: Entry,
    activity: Sequence[str] = ("purchases",),
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
    asked = (window_days, observation_start_day, as_of_day, history, entry, ())
    spells = classified_spells(tables, *asked, activity=activity)
    return count_statuses(spells, tables["customers"], without="no_purchase")


@reduction(keys={"duration_days": "int64", "event_observed": "bool", "replicate": "int64"}, counts={"n": "int64"})
def return_counts(
    tables: Tables,
    *,
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    by: Sequence[str],
    activity: Sequence[str] = ("purchases",),
) -> ir.Table:
    """
    Count lapsed incident spells by how long after the lapse was declared the customer came back.

    A lapse is declared ``window_days`` after its last activity day. ``duration_days`` runs from there to the
    next activity day (``event_observed``), or to ``as_of_day``. One minus the survival curve of these counts
    is the share of lapses that return.
    """
    spells = classified_spells(
        tables, window_days, observation_start_day, as_of_day, history, "incident", by, activity=activity
    )
    lapsed = spells.filter(spells.status == "used", spells.event_observed)
    until = ibis.coalesce(lapsed.next_start_day, ibis.literal(as_of_day, "int64"))
    lapsed = lapsed.mutate(
        duration_days=until - lapsed.last_day - lapsed.window_days, event_observed=lapsed.next_start_day.notnull()
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
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    entry: Entry,
    by: Sequence[str],
    *,
    activity: Sequence[str] = ("purchases",),
    closings: ir.Table | None = None,
) -> ir.Table:
    """
    Every spell with its customer's replicate and segments, its status, and its duration where used.

    ``closings`` (customer_id, day, closing) end a spell on their day, unless the silence was complete before it.
    """
    _check(history, entry)
    check_window(window_days, observation_start_day, as_of_day)
    one_for_all = isinstance(window_days, int) and closings is None
    days = activity_days(tables, activity, observation_start_day, as_of_day, history, repeated=one_for_all)
    spells = beside_customers(_spells(days, window_days, closings), tables["customers"], by)

    longest, end_day = longest_window(window_days), ibis.coalesce(spells.closed_day, spells.last_day)
    opens, cut = observation_start_day + longest, as_of_day - cut_window(window_days, spells.window_days)
    spells = spells.mutate(
        event_observed=end_day < cut,
        duration_days=(end_day < cut).ifelse(end_day - spells.start_day + 1, cut - spells.start_day),
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
        (spells.start_day >= as_of_day - longest, "starts_after_cut"),
        (spells.duration_days <= spells.entry_days, "over_before_entry"),
        else_="used",
    )
    return spells.mutate(status=status)


def count_statuses(spells: ir.Table, customers: ir.Table, *, without: str) -> ir.Table:
    """Count customers and spells by status; customers who have none stand under the status ``without``."""
    told = spells.group_by(["status", "replicate"]).agg(
        n_customers=lambda t: t.customer_id.nunique(), n_spells=lambda t: t.count()
    )
    silent = customers.select("customer_id", "replicate").anti_join(spells, "customer_id")
    untold = silent.group_by("replicate").agg(n_customers=lambda t: t.count())
    untold = untold.mutate(status=ibis.literal(without), n_spells=ibis.literal(0, "int64"))
    return told.union(untold.select(told.columns))


def _spells(days: ir.Table, window: Window, closings: ir.Table | None) -> ir.Table:
    """One row a spell: number, first day, last activity day and its window, closing, next spell's first day."""
    of_customer, in_order = ibis.window(group_by="customer_id"), ibis.window(group_by="customer_id", order_by="day")
    days = _with_closings(_with_windows(days, window), closings, window)
    carried = [name for name in ("window_days", "closed_day", "closing") if name in days.columns]
    days = days.mutate(
        previous_day=days.day.lag(1).over(in_order),
        final_day=days.day.max().over(of_customer),
        **{f"previous_{name}": days[name].lag(1).over(in_order) for name in carried},
    )
    is_final = days.day == days.final_day
    finals = {name: is_final.ifelse(days[name], None).max().over(of_customer) for name in carried}
    days = days.mutate(**{f"final_{name}": value for name, value in finals.items()})
    starts_here = days.day - days.previous_day > (days.previous_window_days if "window_days" in carried else window)
    starts_here = days.previous_day.isnull() | starts_here
    starts = days.filter(starts_here | days.previous_closed_day.notnull() if closings is not None else starts_here)
    follows = starts.day.lead(1).over(in_order)

    def last(name: str) -> Any:
        # the activity day before the next spell's start is this spell's last
        before, final = starts[f"previous_{name}"].lead(1).over(in_order), starts[f"final_{name}"]
        return follows.isnull().ifelse(final, before) if name.startswith("clos") else ibis.coalesce(before, final)

    found = {name: last(name) for name in ("day", *carried)}
    return starts.select(
        "customer_id",
        number=ibis.row_number().over(in_order) + 1,
        start_day=starts.day,
        last_day=found["day"],
        next_start_day=follows,
        window_days=found.get("window_days", ibis.literal(longest_window(window), "int64")),
        closed_day=found.get("closed_day", ibis.null("int64")),
        closing=found.get("closing", ibis.null("string")),
    )


def _with_windows(days: ir.Table, window: Window) -> ir.Table:
    """Put the window of each activity day beside it, where customers have their own."""
    if isinstance(window, int):
        return days
    in_order = ibis.window(group_by="customer_id", order_by="day")
    days = days.mutate(
        first_day=days.day.min().over(ibis.window(group_by="customer_id")), n_gaps=ibis.row_number().over(in_order)
    )
    return days.select("customer_id", "day", window_days=personal_window(window, days.day, days.first_day, days.n_gaps))


def _with_closings(days: ir.Table, closings: ir.Table | None, window: Window) -> ir.Table:
    """Put the first closing after each activity day (or on it) beside it, where the silence was not yet complete."""
    if closings is None:
        return days
    own = {"window_days": days.window_days} if "window_days" in days.columns else {}
    active = days.select("customer_id", "day", is_closing=ibis.literal(0, "int64"), closing=ibis.null("string"), **own)
    closed = closings.select("customer_id", "day", is_closing=ibis.literal(1, "int64"), closing=closings.closing)
    closed = closed.mutate(**{name: ibis.null("int64") for name in own})
    both = ibis.union(active, closed)
    follows = ibis.window(group_by="customer_id", order_by=["day", "is_closing"])
    both = both.mutate(
        next_is_closing=both.is_closing.lead(1).over(follows),
        next_day=both.day.lead(1).over(follows),
        next_closing=both.closing.lead(1).over(follows),
    )
    within = both.next_day - both.day <= (both.window_days if own else longest_window(window))
    in_time = (both.next_is_closing == 1) & within
    return both.filter(both.is_closing == 0).select(
        "customer_id",
        "day",
        *own,
        closed_day=in_time.ifelse(both.next_day, None),
        closing=in_time.ifelse(both.next_closing, None),
    )


def _check(history: str, entry: str) -> None:
    if history not in ("complete", "from_observation_start"):
        raise ModelError(f"history must be 'complete' or 'from_observation_start'; came '{history}'")
    if entry not in ("incident", "late"):
        raise ModelError(f"entry must be 'incident' or 'late'; came '{entry}'")
