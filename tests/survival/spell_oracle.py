"""The definition of a spell, written out one customer and one day at a time, to hold the reduction against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

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
    transactions["customer_id"] = transactions["customer_id"].astype("string")
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


def window_on(days: Sequence[int], place: int, window: int | Mapping[str, Any]) -> int:
    """The window as of the activity day ``days[place]``, from the gaps before it, one by one."""
    if isinstance(window, int):
        return window
    gaps = [days[i] - days[i - 1] for i in range(1, place + 1)]
    usual = window["kappa"] * (window["strength"] * window["usual_gap_days"] + sum(gaps))
    own = usual // (window["strength"] + len(gaps))
    return min(max(own, window["shortest_days"]), window["longest_days"])


def ends_of(
    days: Sequence[int], window: int | Mapping[str, Any], closings: Sequence[tuple[int, str]], as_of_day: int
) -> list[tuple[int, int, int, int | None, str]]:
    """Each spell as (start, last activity day, its window, closing day, closing): walked through one day at a time."""
    active = sorted({day for day in days if day <= as_of_day})
    closed_on: dict[int, str] = {}
    for day, cause in sorted(closings):
        closed_on.setdefault(day, cause)
    spells: list[tuple[int, int, int, int | None, str]] = []
    start: int | None = None
    for place, day in enumerate(active):
        start = day if start is None else start
        own = window_on(active, place, window)
        following = active[place + 1] if place + 1 < len(active) else None
        until = day + own if following is None else min(day + own, following - 1)
        closing = next((z for z in range(day, min(until, as_of_day) + 1) if z in closed_on), None)
        if closing is not None or following is None or following > day + own:
            spells.append((start, day, own, closing, closed_on[closing] if closing is not None else ""))
            start = None
    return spells


def count_ends(
    purchases: History,
    closings: Mapping[str, Sequence[tuple[int, str]]],
    *,
    window_days: int | Mapping[str, Any],
    observation_start_day: int,
    as_of_day: int,
) -> Counter[tuple[object, ...]]:
    """Incident spells of whole histories, keyed by duration, cause (empty where open) and group."""
    longest = window_days if isinstance(window_days, int) else window_days["longest_days"]
    fixed_cut = not isinstance(window_days, int) and window_days["censored_by"] == "longest"
    counted: Counter[tuple[object, ...]] = Counter()
    for place, (customer, days) in enumerate(purchases.items()):
        spells = ends_of(days, window_days, closings.get(customer, ()), as_of_day)
        if not spells or spells[0][0] < observation_start_day or spells[0][0] >= as_of_day - longest:
            continue
        start, last, own, closed, cause = spells[0]
        cut = as_of_day - (longest if fixed_cut else own)
        end = last if closed is None else closed
        key = (end - start + 1, cause or "lapsed") if end < cut else (cut - start, "")
        counted[(*key, place % 100)] += 1
    return counted


def with_reasons(tables: Tables, told: Sequence[tuple[str, int, str]]) -> Tables:
    """The tables with ``churn_reasons``: customer, day and reason of each record, at noon of the day."""
    reasons = pd.DataFrame(told, columns=["customer_id", "day", "reason"]).astype({"day": "int64"})
    reasons = reasons.astype({"customer_id": "string", "reason": "string"})
    reasons["ts_us"] = (reasons["day"] * 2 + 1) * 43_200_000_000
    reasons["reason_id"] = pd.Series([str(i) for i in range(len(reasons))], dtype="string")
    return Tables({**tables.expressions, "churn_reasons": ibis.memtable(reasons.assign(source="survey"))})
