"""
What each row of each table adds to what is known of a customer, and from which day on.

A row of day d counts in a window of w days from the period that holds d to the one before that which holds d + w.
So it is entered twice, +1 on d and -1 on d + w, and a running sum over a customer's periods is the window's count
at the end of each, exactly, with two rows an event however long the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

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

WIDE = frozenset({"m_w", "m_w_before", "loyalty"})
"""The columns that may need more than 32 bits: money, and scores with their day."""

SCORE_BASE = 1000
"""An answer is kept as its day times this plus its score, so that the largest is the latest."""

Value = Callable[[ir.Table], Any]


@dataclass(frozen=True)
class Entry:
    """What a row of a source enters into a column, from ``after`` days after its own day on: ``of`` it, or minus."""

    source: str
    column: str
    of: Value
    after: int = 0
    sign: Literal[1, -1] = 1

    def value(self, rows: ir.Table) -> Any:
        """Return what each row enters."""
        return self.of(rows) if self.sign == 1 else -self.of(rows)


def changes(
    tables: Tables,
    *,
    scheme: Scheme,
    needs: Iterable[str],
    windows: Mapping[str, int],
    ends: pd.DataFrame,
    since: int | None,
    apart: pd.DataFrame | None = None,
) -> ir.Table:
    """
    Return what changes for each customer (or community) on which day, as columns of ``KINDS``.

    Rows of a customer that count in the same periods are one row, of the last such day.

    Parameters
    ----------
    tables : Tables
    scheme : Scheme
    needs : iterable of str
        The primitives to compute; the purchases are always there for customers.
    windows : mapping of primitive to int
    ends : DataFrame
        The calendar. Later days are left out: they change nothing that is asked.
    since : int or None
        Rows on earlier days are not read; a first contact is.
    apart : DataFrame, optional
        As ``days_alike`` returns it: days that are told apart further.

    Returns
    -------
    Ibis table
        customer_id, day and one column for each of ``KINDS`` that is needed.
    """
    entries = entries_of(set(needs), windows, scheme.unit)
    columns = [name for name in KINDS if name in {entry.column for entry in entries}]
    until = int(ends["end_day"].iloc[-1])
    sources = sources_of(tables, scheme, windows, since=since, until=until)
    parts = []
    for source in dict.fromkeys(entry.source for entry in entries):
        rows = sources[source]()
        if rows is None:
            continue
        own = [entry for entry in entries if entry.source == source]
        days = days_together(ends, {entry.after for entry in own}, apart) if source in REPEATED else None
        parts.append(_entered(rows, own, columns, days))
    together = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return together.filter(together.day <= until)


REPEATED = frozenset({"transactions", "engagements", "intents", "joined", "left"})
"""Sources in which a customer (or community) often has several rows in the same periods."""


def _entered(rows: ir.Table, entries: Sequence[Entry], columns: list[str], days: pd.DataFrame | None) -> ir.Table:
    """Return what the rows of one source enter, one row for each of the days on which they do."""
    values = {(entry.of, KINDS[entry.column]): entry.column for entry in entries}
    found = rows.select("customer_id", "day", **{name: of(rows).cast(_type(name)) for (of, _), name in values.items()})
    if days is not None:
        found = _by_days(found, days, {name: kind for (_, kind), name in values.items()})
    signs = {after: dict.fromkeys(columns, 0) for after in sorted({entry.after for entry in entries})}
    for entry in entries:
        signs[entry.after][entry.column] += entry.sign
    first = next(iter(signs))
    if len(signs) > 1:
        signed = pd.DataFrame({"after": after, **sign} for after, sign in signs.items()).add_prefix("its_")
        found = found.cross_join(ibis.memtable(signed))
    of = {entry.column: values[entry.of, KINDS[entry.column]] for entry in entries}

    def entered(column: str) -> Any:
        if column not in of:
            return nothing(column)
        value = found[of[column]]
        sign = found[f"its_{column}"] if len(signs) > 1 else ibis.literal(signs[first][column])
        return value * sign if KINDS[column] == "sum" else (sign == 1).ifelse(value, nothing(column))

    after = found.its_after if len(signs) > 1 else first
    return found.select(
        "customer_id", day=found.day + after, **{column: entered(column).cast(_type(column)) for column in columns}
    )


def _by_days(rows: ir.Table, days: pd.DataFrame, kinds: Mapping[str, Kind]) -> ir.Table:
    """Return the rows of each customer added up over days that count alike."""
    known = ibis.memtable(days.rename(columns={"day": "on_day"}))
    placed = rows.left_join(known, rows.day == known.on_day)
    placed = placed.mutate(day=placed.counts_as.fill_null(int(days["counts_as"].iloc[0])))
    return added_up(placed, ["customer_id", "day"], kinds)


def added_up(rows: ir.Table, by: Sequence[str], kinds: Mapping[str, Kind]) -> ir.Table:
    """Return columns added up as ``kinds`` says, sums as narrow as what they add: an engine makes them wider."""
    found = {name: getattr(rows[name], kind)() for name, kind in kinds.items()}
    for name, kind in kinds.items():
        if kind == "sum":
            found[name] = found[name].cast(rows[name].type().copy(nullable=False))
    return rows.group_by(*by).agg(**found)


def days_together(ends: pd.DataFrame, after: Iterable[int], apart: pd.DataFrame | None = None) -> pd.DataFrame:
    """
    Return for each day the last day of those that lie in its period, and in the same periods ``after`` so many days.

    Parameters
    ----------
    ends : DataFrame
        The calendar.
    after : iterable of int
    apart : DataFrame, optional
        As ``days_alike`` returns it: days that are told apart further.

    Returns
    -------
    DataFrame
        The columns ``day`` and ``counts_as``, up to the end of the calendar; days before the first count as it does.

    Examples
    --------
    With windows of 30 days, January 2022 has two kinds of days: from the 2nd on a day's window ends in February.

    >>> from lcm_research.stages.calendar import months
    >>> together = days_together(months(observation_start_day=18993, as_of_day=19357), [0, 30])
    >>> (together.loc[together["day"].between(18993, 19023), "counts_as"] - 18992).unique().tolist()
    [1, 29, 31]
    """
    edges, after = np.append(ends["start_day"], ends["end_day"].iloc[-1] + 1), sorted(after)
    first = min([int(edges[0]) - after[-1] - 1, *([] if apart is None else [int(apart["day"].iloc[0])])])
    days = np.arange(first, int(edges[-1]))
    alike = [np.searchsorted(edges, days + days_after, "right") for days_after in after]
    if apart is not None:
        alike.append(apart.set_index("day")["counts_as"].reindex(days).bfill().to_numpy())
    told_apart = (np.diff(np.array(alike)) != 0).any(axis=0)
    last_of = np.append(days[:-1][told_apart], days[-1])
    return pd.DataFrame({"day": days, "counts_as": last_of[np.append(0, told_apart.cumsum())]})


def _type(column: str) -> str:
    return "int64" if column in WIDE else "int32"


def nothing(column: str) -> Any:
    """Return what a row adds to a column of ``KINDS`` that it does not speak of."""
    return ibis.literal(0, "int64") if KINDS[column] == "sum" else ibis.null("int64")


def _one(rows: ir.Table) -> Any:
    return ibis.literal(1, "int64")


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
            entries += [Entry(source, name, value), Entry(source, name, value, w, -1)]
        if before in needs:
            entries += [Entry(source, before, value, w), Entry(source, before, value, 2 * w, -1)]
    if "n_acts" in needs:
        entries += [Entry("acts", "n_acts", _one), Entry("acts_over", "n_acts", _one, 0, -1)]
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
        entries += [Entry("joined", name, _one, days), Entry("left", name, _one, days, -1)]
    return entries


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
    """Return the first social act and the first contact by the brand, where the study has them: no later one counts."""
    found = [rows(name) for name in ("engagements", "touchpoints") if name in tables]
    first = [contacts.group_by("customer_id").agg(day=contacts.day.min()) for contacts in found]
    return None if not first else first[0] if len(first) == 1 else ibis.union(*first)


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
    active = active.select("customer_id", "action", "day").distinct()
    if window is None:
        return active
    again = active.day.lead().over(ibis.window(group_by=["customer_id", "action"], order_by="day"))
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
