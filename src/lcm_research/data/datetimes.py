"""
Dates and times: out of text by formats such as ``%d/%m/%Y``, and onto one time line by the study's timezone.

An engine's own ``strptime`` stops at the first value that does not fit, or exists under another name and another
format language elsewhere. Here a format becomes one regular expression, its fields are put in ISO order, and a
date that does not exist (31 February) becomes null, to be counted.
"""

from __future__ import annotations

import re
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

__all__ = ["FORMAT_FIELDS", "day_and_instant", "strptime"]

FORMAT_FIELDS = {
    "Y": r"(\d{4})",
    "y": r"(\d{2})",
    "m": r"(\d{1,2})",
    "b": r"([A-Za-z]{3})",
    "B": r"([A-Za-z]{3,9})",
    "d": r"(\d{1,2})",
    "H": r"(\d{1,2})",
    "I": r"(\d{1,2})",
    "M": r"(\d{1,2})",
    "S": r"(\d{1,2})",
    "f": r"(\d{1,6})",
    "p": r"([AaPp][Mm])",
}
"""What each field of a format matches; month names (%b, %B) are English."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def strptime(text: ir.StringValue, format: str) -> ir.TimestampValue:
    """
    Read a local date and time from text of one format; null where the text does not fit or no such date exists.

    Parameters
    ----------
    text : string expression
        Blanks around the date are allowed.
    format : str
        Fields of ``FORMAT_FIELDS`` and anything between them. A year, a month and a day are needed; ValueError
        for a field that is unknown, twice there or missing. Two-digit years 69 to 99 are 1969 to 1999.

    Returns
    -------
    timestamp expression without timezone
    """
    pattern, order = _pattern(format)
    part = {field: text.re_extract(pattern, group) for group, field in enumerate(order, start=1)}
    day = _year(part) + "-" + _month(part) + "-" + part["d"].lpad(2, "0")
    clock = _hour(part) + ":" + _two(part, "M") + ":" + _two(part, "S")
    if "f" in part:
        clock = clock + "." + part["f"]
    matches: ir.BooleanValue = text.re_search(pattern)
    return matches.ifelse(day + " " + clock, ibis.null("string")).try_cast("timestamp")


def _pattern(format: str) -> tuple[str, list[str]]:
    """Return the regular expression of a format, and its fields in order."""
    pieces = re.findall(r"%.|[^%]+|%", format, flags=re.DOTALL)
    order = [piece[1:] for piece in pieces if piece.startswith("%")]
    unknown = [field for field in order if field not in FORMAT_FIELDS]
    if unknown:
        raise ValueError(f"the field %{unknown[0]} of '{format}' is not known; use %{', %'.join(FORMAT_FIELDS)}")
    kinds = [{"y": "Y", "b": "m", "B": "m", "I": "H"}.get(field, field) for field in order]
    if not {"Y", "m", "d"} <= set(kinds) or len(set(kinds)) < len(kinds):
        raise ValueError(f"expected a year, a month and a day, each once, in '{format}'; such as '%d/%m/%Y %H:%M'")
    if ("I" in order) != ("p" in order):
        raise ValueError(f"expected %I (hours to 12) and %p (AM or PM) together in '{format}'")
    return r"^\s*" + "".join(_piece(pieces, place) for place in range(len(pieces))) + r"\s*$", order


def _piece(pieces: list[str], place: int) -> str:
    """Return a piece's pattern; a field that touches another has all its digits (19970101)."""
    piece = pieces[place]
    if not piece.startswith("%"):
        return re.sub(r"([^\w\s])", r"\\\1", piece) if piece.isascii() else piece
    around = [*pieces[max(place - 1, 0) : place], *pieces[place + 1 : place + 2]]
    pattern = FORMAT_FIELDS[piece[1:]]
    return pattern.replace("{1,2}", "{2}") if any(other.startswith("%") for other in around) else pattern


def _two(part: dict[str, ir.StringValue], field: str) -> ir.StringValue:
    return part[field].lpad(2, "0") if field in part else ibis.literal("00")


def _year(part: dict[str, ir.StringValue]) -> ir.StringValue:
    if "Y" in part:
        return part["Y"]
    return (part["y"] >= "69").ifelse(ibis.literal("19"), ibis.literal("20")) + part["y"]


def _month(part: dict[str, ir.StringValue]) -> ir.StringValue:
    if "m" in part:
        return part["m"].lpad(2, "0")
    name = part["b" if "b" in part else "B"].lower().substr(0, 3)
    return name.cases(*[(month, f"{number:02d}") for number, month in enumerate(_MONTHS, start=1)], else_="00")


def _hour(part: dict[str, ir.StringValue]) -> ir.StringValue:
    if "I" not in part:
        return _two(part, "H")
    hour = part["I"].try_cast("int64")
    valid = hour.between(1, 12)
    afternoon = (part["p"].lower() == "pm").ifelse(12, 0)
    return valid.ifelse((hour % 12 + afternoon).cast("string").lpad(2, "0"), ibis.literal("99"))


_STAMP = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?"
_ISO = rf"^\s*({_STAMP})\s*(Z|UTC|[+-]\d{{2}}(?::?\d{{2}})?)?\s*$"
"""2020-01-31, 2020-01-31 10:20:30.5, and either with the offset from UTC behind it."""


@ibis.udf.scalar.builtin(name="timezone")  # type: ignore[untyped-decorator]
def _as_instant(zone: str, local: dt.timestamp) -> dt.Timestamp("UTC"):  # type: ignore[valid-type]
    """Return the instant of a local time in a zone (DuckDB)."""


@ibis.udf.scalar.builtin(name="timezone")  # type: ignore[untyped-decorator]
def _as_local(zone: str, instant: dt.Timestamp("UTC")) -> dt.timestamp:  # type: ignore[valid-type]
    """Return the local time of an instant in a zone (DuckDB)."""


@ibis.udf.scalar.builtin(name="epoch_us")  # type: ignore[untyped-decorator]
def _microseconds(instant: dt.Timestamp("UTC")) -> dt.int64:  # type: ignore[valid-type]
    """Return microseconds since 1970-01-01 UTC (DuckDB)."""


@ibis.udf.scalar.builtin(name="date_diff")  # type: ignore[untyped-decorator]
def _date_difference(part: str, start: dt.date, end: dt.date) -> dt.int64:  # type: ignore[valid-type]
    """Return days from ``start`` to ``end`` (DuckDB)."""


def day_and_instant(value: Any, timezone: str) -> tuple[ir.IntegerValue, ir.IntegerValue]:
    """
    Return the local day (days since 1970-01-01) and the instant (microseconds since then, UTC) of moments.

    Parameters
    ----------
    value : expression
        Timestamps with a timezone, or ISO text with an offset from UTC, are instants. Timestamps without one,
        dates (their midnight) and other ISO text are local times. Text of another form is null.
    timezone : str
        IANA name. A local time that a change of the clock skips moves forward by the gap; one that comes twice is
        the later one. The day is the date as written in both cases.

    Raises
    ------
    TypeError
        For values that are no moments, such as numbers.
    """
    kind = value.type()
    if kind.is_string():
        written = value.re_extract(_ISO, 1)
        offset = value.re_extract(_ISO, 2).replace("UTC", "Z")
        instant = (written + offset).try_cast(dt.Timestamp("UTC"))
        from_local = _day_and_instant_of_local(written.nullif("").try_cast(dt.timestamp), timezone)
        from_instant = _day_and_instant_of_instant(instant, timezone)
        has_offset = offset != ""
        day, ts_us = (has_offset.ifelse(a, b) for a, b in zip(from_instant, from_local, strict=True))
        return day, ts_us
    if kind.is_timestamp() and kind.timezone is not None:
        return _day_and_instant_of_instant(value, timezone)
    if kind.is_temporal() and not kind.is_time():
        return _day_and_instant_of_local(value.cast(dt.timestamp), timezone)
    raise TypeError(f"expected a date or a timestamp, came {kind}")


def _day_and_instant_of_local(local: Any, timezone: str) -> tuple[Any, Any]:
    return _day(local), _microseconds(_as_instant(timezone, local))


def _day_and_instant_of_instant(instant: Any, timezone: str) -> tuple[Any, Any]:
    return _day(_as_local(timezone, instant)), _microseconds(instant)


def _day(local: Any) -> Any:
    return _date_difference("day", ibis.date("1970-01-01"), local.date())
