"""
From a user's columns to canonical ones: what each kind of column accepts and what it becomes.

A value that does not fit its kind becomes null, so that ingest can count what it could not read
instead of stopping at the first or passing over all. Money is rounded half away from zero to minor units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from lcm_research.data.datetimes import day_and_instant
from lcm_research.data.expressions import Expression
from lcm_research.data.tables import EVENT_TIMES, Column
from lcm_research.errors import StudyError

__all__ = ["EXPECTED", "Mapped", "map_column", "minor_unit", "replicate"]

EXPECTED = {
    "ts": "dates such as 2020-01-31 or 2020-01-31 10:20:30",
    "money": "amounts such as 1234.50",
    "currency": "ISO 4217 codes such as CNY",
    "bool": "true or false (1, 0, yes, no)",
    "int": "whole numbers",
    "float": "numbers",
}
"""What each kind of column accepts, for messages; ids and categories accept any text."""

TRUE = ("true", "t", "yes", "y", "1", "是")
FALSE = ("false", "f", "no", "n", "0", "否")

_WHOLE_UNITS = (
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
    *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
)
_THOUSANDTHS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")

AMOUNT_TEXT, AMOUNT = dt.Decimal(18, 6), dt.Decimal(30, 6)
REPLICATE_PREFIX = "lcm_research/replicate:"


@dataclass(frozen=True)
class Mapped:
    """
    A canonical column as it is stored (``ts`` is two columns), and whether the user's columns held anything.

    A row where something was held and the stored column is null holds a value that does not fit.
    """

    stored: Mapping[str, Any]
    filled: ir.BooleanValue


def map_column(
    name: str, column: Column, expression: Expression, raw: Mapping[str, ir.Value], *, timezone: str, currency: Any
) -> Mapped:
    """
    Return a canonical column made from a user's columns.

    Parameters
    ----------
    name : str
        Canonical name; a ``ts`` column ``x`` is stored as ``x_us`` and ``x_day``, the time of the row itself as
        ``ts_us`` and ``day``.
    raw : mapping
        The columns of the user's file.
    currency : string expression or None
        The currency of the row, from which money takes the number of its decimals.
    """
    value = expression.to_ibis(raw)
    value = value.cast("string") if value.type().is_null() else value
    try:
        if column.kind == "ts":
            day, ts_us = day_and_instant(value, timezone)
            names = ("ts_us", "day") if name in EVENT_TIMES else (f"{name}_us", f"{name}_day")
            stored = dict(zip(names, (ts_us, day), strict=True))
        elif column.kind == "money":
            stored = {f"{name}_minor": _minor(value, currency)}
        else:
            stored = {name: _KINDS[column.kind](value)}
    except TypeError as error:
        raise StudyError(f"{expression.where}: '{expression.text}': {error}") from None
    return Mapped(stored, _is_filled(expression, raw))


def _is_filled(expression: Expression, raw: Mapping[str, ir.Value]) -> Any:
    """Return whether every column that the expression reads holds something."""
    filled: Any = ibis.literal(True)
    for name in sorted(expression.names()):
        value: Any = raw[name]
        holds = value.strip() != "" if value.type().is_string() else value.notnull()
        filled = filled & holds.fill_null(False)
    return filled


def _text(value: Any) -> Any:
    if value.type().is_floating():
        raise TypeError(
            "expected text or whole numbers, came floating-point numbers, which merge long ids; store them as text, "
            "or say cast(... as bigint) where all have fewer than 16 digits"
        )
    text = value if value.type().is_string() else value.cast("string")
    return text.strip().nullif("")


def _category(value: Any) -> Any:
    return (value if value.type().is_string() else value.cast("string")).strip().nullif("")


def _currency(value: Any) -> Any:
    code = _category(value).upper()
    return code.re_search(r"^[A-Z]{3}$").ifelse(code, ibis.null("string"))


def _truth(value: Any) -> Any:
    if value.type().is_boolean():
        return value
    text = value.cast("string").strip().lower()
    return ibis.cases((text.isin(TRUE), True), (text.isin(FALSE), False), else_=ibis.null("boolean"))


def _whole(value: Any) -> Any:
    if value.type().is_integer():
        return value.cast("int64")
    number = value.try_cast("float64")
    return (number == number.floor()).ifelse(number.try_cast("int64"), ibis.null("int64"))


def _number(value: Any) -> Any:
    return value.try_cast("float64")


_KINDS: dict[str, Callable[[Any], Any]] = {
    "id": _text,
    "category": _category,
    "currency": _currency,
    "bool": _truth,
    "int": _whole,
    "float": _number,
}


def minor_unit(currency: Any) -> Any:
    """Return how many minor units make one unit of a currency: 1, 100 or 1,000 (ISO 4217)."""
    return ibis.cases((currency.isin(_WHOLE_UNITS), 1), (currency.isin(_THOUSANDTHS), 1000), else_=100).cast("int64")


def _minor(value: Any, currency: Any) -> Any:
    if not (value.type().is_string() or value.type().is_numeric()) or value.type().is_boolean():
        raise TypeError(f"expected an amount, came {value.type()}")
    amount = value.try_cast(AMOUNT_TEXT if value.type().is_string() else AMOUNT)
    return (amount * minor_unit(currency)).round(0).try_cast("int64")


def replicate(customer_id: Any) -> ir.IntegerValue:
    """
    Return the group of a customer, 0 to 99: md5 of a fixed prefix and the id, read as a number, modulo 100.

    The digits are added up with their weights modulo 100, which every engine does alike.

    >>> import hashlib
    >>> con = ibis.duckdb.connect()
    >>> int(con.execute(replicate(ibis.literal("00042"))))
    8
    >>> int(hashlib.md5(b"lcm_research/replicate:00042").hexdigest(), 16) % 100
    8
    """
    digest = (ibis.literal(REPLICATE_PREFIX) + customer_id).hexdigest("md5")
    total: Any = ibis.literal(0, type="int64")
    for place in range(32):
        digit = ibis.literal("0123456789abcdef").find(digest.substr(place, 1))
        total = total + digit.cast("int64") * (16 ** (31 - place) % 100)
    return total % 100
