"""
What each row of each table adds to what is known of a customer, and from which day on.

A row of day d counts in a window of w days from the period that holds d to the one before that which holds d + w.
So it is entered twice, +1 on d and -1 on d + w, and a running sum over a customer's periods is the window's count
at the end of each, exactly, with two rows an event however long the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables
from lcm_research.stages.scheme import Acts, Scheme

__all__ = ["KINDS", "SCORE_BASE", "Entry", "Kind", "changes", "entries_of", "nothing", "sources_of"]

Kind = Literal["sum", "max", "min"]

KINDS: Mapping[str, Kind] = {
    **{"n_period": "sum", "last_day": "max", "first_day": "min"},
    **dict.fromkeys(["n_w", "n_w_before", "m_w", "m_w_before", "cat_w", "e_w", "n_acts", "intent_w"], "sum"),
    **dict.fromkeys(["tier_w", "ref_w", "members", "members_before"], "sum"),
    **{"r_w": "max", "re": "max", "u0": "min", "loyalty": "max", "age": "min"},
}
"""The columns of changes, and how they add up over time; ``max`` and ``min`` are of days."""

SCORE_BASE = 1000
"""An answer is kept as its day times this plus its score, so that the largest is the latest."""

Value = Callable[[ir.Table], Any]


@dataclass(frozen=True)
class Entry:
    """What a row of a source enters into a column, from ``after`` days after its own day on."""

    source: str
    column: str
    value: Value
    after: int = 0


def changes(
    tables: Tables, *, scheme: Scheme, needs: Iterable[str], windows: Mapping[str, int], **days: Any
) -> ir.Table:
    """
    Return what changes for each customer (or community) on which day, as columns of ``KINDS``.

    Parameters
    ----------
    tables : Tables
    scheme : Scheme
    needs : iterable of str
        The primitives to compute; the purchases are always there for customers.
    windows : mapping of primitive to int
    since, until : int or None, int
        Rows on other days are not read; a first contact before ``since`` is.

    Returns
    -------
    Ibis table
        customer_id, day and one column for each of ``KINDS`` that is needed. Days after ``until`` are left out: they
        change nothing that is asked.
    """
    needed = set(needs)
    entries = entries_of(needed, windows, scheme.unit)
    columns = [name for name in KINDS if name in {entry.column for entry in entries}]
    sources = sources_of(tables, scheme, windows, **days)
    parts = []
    for source, after in dict.fromkeys((entry.source, entry.after) for entry in entries):
        rows = sources[source]()
        if rows is None:
            continue
        made = {e.column: e.value(rows).cast("int64") for e in entries if (e.source, e.after) == (source, after)}
        filled = {name: made.get(name, nothing(name)) for name in columns}
        parts.append(rows.select("customer_id", day=rows.day + after, **filled))
    together = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return together.filter(together.day <= days["until"])


def nothing(column: str) -> Any:
    """Return what a row adds to a column of ``KINDS`` that it does not speak of."""
    return ibis.literal(0, "int64") if KINDS[column] == "sum" else ibis.null("int64")


def _one(rows: ir.Table) -> Any:
    return ibis.literal(1, "int64")


def _minus_one(rows: ir.Table) -> Any:
    return ibis.literal(-1, "int64")


def _day(rows: ir.Table) -> Any:
    return rows.day


def _bought(rows: ir.Table) -> Any:
    return (~rows.is_return).cast("int64")


def _purchase_day(rows: ir.Table) -> Any:
    return rows.is_return.ifelse(ibis.null("int64"), rows.day)


def _spent(rows: ir.Table) -> Any:
    return rows.amount_minor


WINDOWED: Mapping[str, tuple[str, Value]] = {
    "n_w": ("transactions", _bought),
    "m_w": ("transactions", _spent),
    "cat_w": ("categories", _one),
    "e_w": ("engagements", lambda rows: rows.weight),
    "intent_w": ("intents", _one),
    "tier_w": ("upgrades", _one),
    "ref_w": ("referrals", _one),
}
"""What is summed over a window: its source and what a row adds."""


def entries_of(needs: set[str], windows: Mapping[str, int], unit: str) -> list[Entry]:
    """Return what is entered for the primitives ``needs``; the purchases of customers are always there."""
    if unit == "community":
        return _community_entries(needs, windows)
    entries = [
        Entry("transactions", "n_period", _bought),
        Entry("transactions", "last_day", _purchase_day),
        Entry("transactions", "first_day", _purchase_day),
        Entry("first_seen", "n_period", lambda rows: ibis.literal(0, "int64")),
    ]
    for name, (source, value) in WINDOWED.items():
        w, before = windows.get(name, windows.get(f"{name}_before", 0)), f"{name}_before"
        if name in needs:
            entries += [Entry(source, name, value), Entry(source, name, _negative(value), w)]
        if before in needs:
            entries += [Entry(source, before, value, w), Entry(source, before, _negative(value), 2 * w)]
    if "n_acts" in needs:
        entries += [Entry("acts", "n_acts", _one), Entry("acts_over", "n_acts", _minus_one)]
    if "r_w" in needs:
        entries.append(Entry("transactions", "r_w", _purchase_day, windows["r_w"]))
    if "re" in needs:
        engaged = lambda rows: (rows.weight > 0).ifelse(rows.day, ibis.null("int64"))  # noqa: E731
        entries.append(Entry("engagements", "re", engaged))
    if "loyalty" in needs:
        entries.append(Entry("answers", "loyalty", lambda rows: rows.day * SCORE_BASE + rows.score))
    if "u0" in needs:
        entries += [Entry(source, "u0", _day) for source in ("transactions", "first_seen", "contacts")]
    return entries


def _community_entries(needs: set[str], windows: Mapping[str, int]) -> list[Entry]:
    entries = [Entry("created", "age", _day)]
    after = {"members": 0} | {name: windows[name] for name in needs & {"members_before"}}
    for name, days in after.items():
        entries += [Entry("joined", name, _one, days), Entry("left", name, _minus_one, days)]
    return entries


def _negative(value: Value) -> Value:
    return lambda rows: -value(rows)


def sources_of(
    tables: Tables, scheme: Scheme, windows: Mapping[str, int], *, since: int | None, until: int
) -> dict[str, Callable[[], ir.Table | None]]:
    """Return each source as a function, so that only tables that are needed are asked for."""

    def rows(table: str, day: str = "day", **names: str) -> ir.Table:
        found = tables[table]
        found = found.filter(found[day].notnull() & (found[day] <= until))
        found = found.filter(found[day] >= since) if since is not None else found
        return found.rename(names | ({} if day == "day" else {"day": day}))

    return {
        "transactions": lambda: rows("transactions"),
        "first_seen": lambda: _first_seen(tables["customers"], until),
        "categories": lambda: _new_categories(rows("transactions")),
        "engagements": lambda: _weighted(rows("engagements"), scheme.acts),
        "intents": lambda: _of_actions(rows("engagements"), scheme.acts.intent),
        "acts": lambda: _last_acts(rows("engagements"), scheme.acts, None),
        "acts_over": lambda: _last_acts(rows("engagements"), scheme.acts, windows["n_acts"]),
        "contacts": lambda: _contacts(tables, rows),
        "upgrades": lambda: _upgrades(tables["tier_history"], scheme, until),
        "referrals": lambda: rows("referrals", "accepted_at_day", customer_id="referrer_id"),
        "answers": lambda: _answers(rows("survey"), scheme.survey_item),
        "created": lambda: _states(tables["community"], "created_at_day", until),
        "joined": lambda: _states(tables["community_member"], "joined_at_day", until),
        "left": lambda: _states(tables["community_member"], "left_at_day", until),
    }


def _first_seen(customers: ir.Table, until: int) -> ir.Table | None:
    """Return first contacts; one before the window still puts a customer into the first period."""
    if "first_seen_at_day" not in customers.columns:
        return None
    seen = customers.filter(customers.first_seen_at_day.notnull() & (customers.first_seen_at_day <= until))
    return seen.select("customer_id", day=seen.first_seen_at_day)


def _contacts(tables: Tables, rows: Callable[[str], ir.Table]) -> ir.Table | None:
    """Return social acts and contacts by the brand, where the study has them."""
    found = [rows(name).select("customer_id", "day") for name in ("engagements", "touchpoints") if name in tables]
    return None if not found else found[0] if len(found) == 1 else ibis.union(*found)


def _weighted(engagements: ir.Table, acts: Acts) -> ir.Table:
    cases = [(engagements.action == action, ibis.literal(weight, "int64")) for action, weight in acts.weights.items()]
    weight = ibis.cases(*cases, else_=ibis.literal(1, "int64")) if cases else ibis.literal(1, "int64")
    return engagements.mutate(weight=weight)


def _of_actions(engagements: ir.Table, actions: Iterable[str]) -> ir.Table:
    return engagements.filter(engagements.action.isin(list(actions)))


def _last_acts(engagements: ir.Table, acts: Acts, window: int | None) -> ir.Table:
    """
    Return active acts on their day, or on the day on which they stop to stand for their kind.

    An act stands for its kind until the window has passed or the customer does the same again, so that each kind
    counts once.
    """
    weighted = _weighted(engagements, acts)
    active = weighted.filter((weighted.weight > 0) & ~weighted.action.isin(list(acts.passive)))
    if window is None:
        return active
    again = active.day.lead().over(
        ibis.window(group_by=["customer_id", "action"], order_by=["day", "ts_us", "event_id"])
    )
    over = active.day + window
    return active.mutate(again=again).select("customer_id", day=(again < over).fill_null(False).ifelse(again, over))


def _new_categories(transactions: ir.Table) -> ir.Table:
    """Return the day on which a customer first bought in each category, those of the first purchase day left out."""
    bought = transactions.filter(~transactions.is_return)
    bought = bought.mutate(first=bought.day.min().over(ibis.window(group_by="customer_id")))
    named = bought.filter(bought.category.notnull())
    first = named.group_by("customer_id", "category").agg(day=named.day.min(), first=named["first"].min())
    return first.filter(first.day > first["first"])


def _upgrades(history: ir.Table, scheme: Scheme, until: int) -> ir.Table:
    """Return the days on which a customer's tier became higher than the one before, whenever that began."""
    rank: Any = history.threshold if not scheme.tiers else _rank(history.tier, scheme.tiers)
    ranked = history.mutate(rank=rank, day=history.valid_from_day)
    ranked = ranked.filter(ranked["rank"].notnull() & (ranked.day <= until))
    order = ["valid_from_us" if "valid_from_us" in history.columns else "day", "rank"]
    ranked = ranked.mutate(before=ranked["rank"].lag().over(ibis.window(group_by="customer_id", order_by=order)))
    return ranked.filter(ranked["rank"] > ranked.before)


def _rank(tier: Any, tiers: Iterable[str]) -> Any:
    return ibis.cases(*((tier == name, ibis.literal(at, "int64")) for at, name in enumerate(tiers)))


def _answers(survey: ir.Table, item: str) -> ir.Table:
    """Return the answers to one item with ``score``, in whole percent of the scale."""
    asked = survey.filter((survey.item_id == item) & (survey.scale_max > survey.scale_min) & survey.value.notnull())
    share = (asked.value - asked.scale_min) / (asked.scale_max - asked.scale_min)
    return asked.mutate(score=(share * 100).round(0).cast("int64").clip(lower=0, upper=100))


def _states(found: ir.Table, day: str, until: int) -> ir.Table:
    """Return when communities or memberships began or ended; one that began before the window counts as well."""
    found = found.filter(found[day].notnull() & (found[day] <= until))
    return found.select(customer_id=found.community_id, day=found[day])
