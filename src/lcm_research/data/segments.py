"""
Groups of customers as a study declares them: one string column each on the canonical table of customers.

Of ``customers``, an expression reads the canonical columns of the customer's row (``first_seen_at`` as a date). Of
``first_purchase`` it reads the first day on which the customer bought (returns left out): ``date``, ``day``,
``amount`` in units of ``currency``, ``quantity``, ``channel``, ``category``. Amount and quantity are sums over that
day, the amount only over purchases in the currency of its first one; the others are the day's first purchase's. With
``history: from_observation_start`` it is the first purchase of the window. What is known only when a customer's time is
over (the end of a contract) makes no group.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import ibis
import ibis.expr.types as ir

from lcm_research.data.canonical import minor_unit
from lcm_research.data.expressions import parse
from lcm_research.data.recorded import START_DAY, recorded_day
from lcm_research.data.tables import ENDS_ONLY, TABLES
from lcm_research.errors import StudyError
from lcm_research.study import Segment

__all__ = ["NONE", "UNKNOWN", "add_segments", "natural_order"]

UNKNOWN = "(unknown)"
"""The group of customers for whom the expression is null."""

NONE = "(none)"
"""The group of customers without a purchase, where the segment is of the first purchase."""

_MOMENTS = tuple(name for name, column in TABLES["customers"].columns.items() if column.kind == "ts")
_RESERVED = {"customer_id", "replicate", *(f"{name}_{part}" for name in _MOMENTS for part in ("us", "day"))}


def add_segments(customers: ir.Table, transactions: ir.Table | None, segments: Mapping[str, Segment]) -> ir.Table:
    """
    Return the customers with a string column for each segment.

    A segment that is named like a category of the table replaces it. StudyError for an expression that does not
    fit, or a segment of the first purchase in a study without transactions.
    """
    firsts = None
    if any(segment.of == "first_purchase" for segment in segments.values()):
        if transactions is None:
            raise StudyError("segments: 'of: first_purchase' needs the table transactions; map it under data.tables")
        firsts = _first_purchases(transactions)
        customers = customers.left_join(firsts, customers.customer_id == firsts._customer_id)
    labels = {name: _label(name, segment, customers, firsts) for name, segment in segments.items()}
    kept = [c for c in customers.columns if not c.startswith("_") and c not in labels]
    return customers.select(*kept, **labels)


def _label(name: str, segment: Segment, customers: ir.Table, firsts: ir.Table | None) -> Any:
    where = f"segments.{name}"
    if name in _RESERVED:
        raise StudyError(f"{where}: '{name}' is a column of its own; name the segment differently")
    if segment.of == "first_purchase" and firsts is not None:
        columns = {c.removeprefix("_"): customers[c] for c in firsts.columns if c != "_customer_id"}
        return customers._day.isnull().ifelse(NONE, _group(segment, where, columns))
    columns = {c: customers[c] for c in customers.columns if not c.startswith("_") and c not in _RESERVED}
    columns |= {c: _date(customers[f"{c}_day"]) for c in _MOMENTS if f"{c}_day" in customers.columns}
    group = _group(segment, where, columns)
    if segment.later == "unknown":
        late = customers[recorded_day(name)] > customers[START_DAY]
        return late.fill_null(False).ifelse(UNKNOWN, group)
    return group


def _group(segment: Segment, where: str, columns: Mapping[str, ir.Value]) -> Any:
    expression = parse(segment.value, where=f"{where}.value", columns=columns)
    for name in sorted(expression.names() & set(ENDS_ONLY)):
        raise StudyError(
            f"{where}.value: '{name}' is known when the customer's time is over, and a group must be known when it "
            "begins; take a column that is known from the start"
        )
    value: Any = expression.to_ibis(columns)
    if not segment.breaks:
        return value.cast("string").strip().nullif("").fill_null(UNKNOWN)
    number = value.try_cast("decimal(18, 6)") if value.type().is_string() else value
    if not number.type().is_numeric():
        raise StudyError(f"{where}: breaks cut numbers; '{segment.value}' is {value.type()}")
    ends = segment.breaks
    names = [f"<{_written(ends[0])}"]
    names += [f"{_written(low)}-<{_written(high)}" for low, high in pairwise(ends)]
    below = [(number < end, name) for end, name in zip(ends, names, strict=True)]
    return ibis.cases((number.isnull(), UNKNOWN), *below, else_=f">={_written(ends[-1])}")


def _written(end: float) -> str:
    return str(int(end)) if end == int(end) else repr(end)


def _date(day: Any) -> Any:
    return (ibis.date("1970-01-01") + day.as_interval("D")).cast("date")


def _first_purchases(transactions: ir.Table) -> ir.Table:
    """Return one row a customer who bought: what segments may ask about the first day; names begin with ``_``."""
    t = transactions.filter(~transactions.is_return)
    for name, kind in (("quantity", "int64"), ("channel", "string"), ("category", "string")):
        if name not in t.columns:
            t = t.mutate(**{name: ibis.null(kind)})
    by_customer: dict[str, Any] = {"group_by": t.customer_id}
    t = t.mutate(
        first_day=t.day.min().over(**by_customer),
        place=ibis.row_number().over(**by_customer, order_by=[t.ts_us, t.transaction_id]),
    )
    t = t.filter(t.day == t.first_day)
    first = t.filter(t.place == 0).select("customer_id", "day", "currency", "channel", "category")
    sums = t.group_by("customer_id", "currency").agg(amount_minor=t.amount_minor.sum())
    pieces = t.group_by("customer_id").agg(quantity=t.quantity.sum())
    joined = first.inner_join(sums, ["customer_id", "currency"]).inner_join(pieces, "customer_id")
    return joined.select(
        _customer_id=joined.customer_id,
        _day=joined.day,
        _date=_date(joined.day),
        _amount=joined.amount_minor.cast("decimal(30, 3)") / minor_unit(joined.currency),
        _currency=joined.currency,
        _quantity=joined.quantity,
        _channel=joined.channel,
        _category=joined.category,
    )


def natural_order(labels: Iterable[str]) -> list[str]:
    """
    Return the names of a segment's groups in the order a reader expects.

    >>> natural_order(["(unknown)", ">=4", "2-<4", "<2"])
    ['<2', '2-<4', '>=4', '(unknown)']
    """

    def rank(label: str) -> tuple[int, float, str]:
        if label in (NONE, UNKNOWN):
            return (2, 0.0, label)
        number = re.match(r"(<|>=)?(-?\d+(?:\.\d+)?)", label)
        if number is None:
            return (1, 0.0, label)
        return (0, -math.inf if number[1] == "<" else float(number[2]), label)

    return sorted(set(labels), key=rank)
