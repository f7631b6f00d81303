"""The definition of a spell, written out one customer and one day at a time, to hold the reduction against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import ibis
import pandas as pd

from lcm_research.data.reduction import Tables

History = Mapping[str, Sequence[int]]


def make_tables(
    purchases: History,
    *,
    returns: History | None = None,
    first_seen: Mapping[str, int | None] | None = None,
    segment: Mapping[str, str | None] | None = None,
) -> Tables:
    """Canonical tables with one row a purchase; customer ``i`` is in group ``i % 100``."""
    rows = [(c, d, False) for c, days in purchases.items() for d in days]
    rows += [(c, d, True) for c, days in (returns or {}).items() for d in days]
    transactions = pd.DataFrame(rows, columns=["customer_id", "day", "is_return"]).astype(
        {"day": "int64", "is_return": bool}
    )
    transactions["customer_id"] = transactions["customer_id"].astype(str)
    transactions["transaction_id"] = [str(i) for i in range(len(transactions))]
    customers = pd.DataFrame({"customer_id": list(purchases)})
    customers["replicate"] = [i % 100 for i in range(len(customers))]
    if first_seen is not None:
        customers["first_seen_at_day"] = customers["customer_id"].map(first_seen).astype("Int64")
    if segment is not None:
        customers["region"] = customers["customer_id"].map(segment)
    return Tables({"transactions": ibis.memtable(transactions), "customers": ibis.memtable(customers)})


def spells_of(days: Sequence[int], window: int) -> list[tuple[int, int]]:
    """First and last activity day of each spell: a lapse is the first day followed by more than W silent ones."""
    spells = []
    active = set(days)
    inside = False
    for day in range(min(active), max(active) + 1) if active else ():
        if day not in active:
            continue
        if not inside:
            start, inside = day, True
        if not any(later in active for later in range(day + 1, day + window + 1)):
            spells.append((start, day))
            inside = False
    return spells


def classify(
    days: Sequence[int],
    *,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: str,
    entry: str,
    first_seen_day: int | None = None,
) -> list[tuple[str, int, int, bool, int]]:
    """Each spell of one customer as (status, entry, duration, event, days from declaration to return or as_of)."""
    cut, opens = as_of_day - window_days, observation_start_day + window_days
    known = [d for d in days if d <= as_of_day and (history == "complete" or d >= observation_start_day)]
    told = []
    spells = spells_of(known, window_days)
    for number, (start, last) in enumerate(spells):
        event = as_of_day - last > window_days
        duration = last - start + 1 if event else cut - start
        before = start < observation_start_day or (
            first_seen_day is not None and first_seen_day < observation_start_day
        )
        new = number == 0 and first_seen_day is not None and first_seen_day >= observation_start_day
        enters = max(opens - start, 0) if entry == "late" else 0
        if entry == "incident" and number > 0:
            status = "later_spell"
        elif entry == "incident" and before:
            status = "known_before"
        elif history != "complete" and start < opens and not new:
            status = "start_not_seen"
        elif start >= cut:
            status = "starts_after_cut"
        elif duration <= enters:
            status = "over_before_entry"
        else:
            status = "used"
        until = spells[number + 1][0] if number + 1 < len(spells) else as_of_day
        told.append((status, enters, duration, event, until - (last + window_days)))
    return told


def count_used(
    purchases: History, first_seen: Mapping[str, int | None], **choices: object
) -> Counter[tuple[object, ...]]:
    """The counts that ``spell_counts`` must return, keyed by entry, duration, event and group."""
    counted: Counter[tuple[object, ...]] = Counter()
    for place, (customer, days) in enumerate(purchases.items()):
        for status, enters, duration, event, _ in classify(days, first_seen_day=first_seen.get(customer), **choices):  # type: ignore[arg-type]
            if status == "used":
                counted[enters, duration, event, place % 100] += 1
    return counted
