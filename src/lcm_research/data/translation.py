"""
How each node of the allowed part of SQL becomes Ibis: the list of rules is the allow-list.

Only operations that DuckDB and Spark both have are used. Text is read as decimal(18,6) in arithmetic and beside a
number; a value that a cast cannot read is null, and so is division by zero and anything with null in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.common.exceptions import IbisError
from sqlglot import exp

from lcm_research.data.datetimes import strptime
from lcm_research.errors import StudyError, nearest

__all__ = ["ALLOWED", "FUNCTIONS", "RULES", "Rule", "Translation"]

ALLOWED = (
    "columns (in double quotes where the name has blanks), numbers, 'text', true, false, null; + - * / // % and ||; "
    "= <> < <= > >=; and, or, not; in (...), between, like, is null; case when, coalesce, nullif; "
    "cast(... as int, bigint, double, decimal(p,s), text, date, timestamp, boolean); "
    "lower, upper, trim, length, substr, replace, concat, abs, round, strptime(text, format), strftime(date, format), "
    "date, year, quarter, month, day, hour, minute, second, weekday (0 is Monday)"
)
"""What an expression may be made of, as the refusals print it."""

NUMBER = dt.Decimal(18, 6)
"""What text becomes where a number is expected."""


class Rule(NamedTuple):
    """How a node becomes Ibis, and the arguments it may have; any other argument that is set is refused."""

    build: Callable[[Translation, Any], ir.Value]
    arguments: frozenset[str] = frozenset()


RULES: dict[type[exp.Expr], Rule] = {}
"""The nodes that are allowed; functions that sqlglot has no class for are in ``FUNCTIONS``, by lower-case name."""

FUNCTIONS: dict[str, Callable[[Translation, Any], ir.Value]] = {}


@dataclass(frozen=True)
class Translation:
    """One walk from a parsed tree to Ibis, over given columns; ``refuse`` makes the error that names the place."""

    columns: Mapping[str, ir.Value]
    refuse: Callable[[exp.Expr, str], StudyError]

    def value(self, node: exp.Expr) -> ir.Value:
        """Return a node as Ibis; StudyError where its types do not fit."""
        build = FUNCTIONS[node.name.lower()] if isinstance(node, exp.Anonymous) else RULES[type(node)].build
        try:
            return build(self, node)
        except (TypeError, ValueError, AttributeError, IbisError) as error:
            reason = str(error).strip().splitlines()[0] if isinstance(error, ValueError) else "types do not fit"
            raise self.refuse(node, f"'{node.sql('duckdb')}' cannot be computed: {reason}") from None

    def values(self, nodes: Collection[exp.Expr]) -> list[ir.Value]:
        """Return nodes as Ibis, in order."""
        return [self.value(node) for node in nodes]

    def number(self, node: exp.Expr) -> Any:
        """Return a node as a number; text is read as decimal(18,6)."""
        value = self.value(node)
        value = value.try_cast(NUMBER) if value.type().is_string() else value
        if not (value.type().is_numeric() or value.type().is_null()) or value.type().is_boolean():
            raise ValueError(f"expected a number, came {value.type()}")
        return value

    def text(self, node: exp.Expr) -> Any:
        """Return a node as text."""
        value = self.value(node)
        return value if value.type().is_string() else value.cast("string")

    def condition(self, node: exp.Expr) -> Any:
        """Return a node that must be true or false."""
        value = self.value(node)
        if not (value.type().is_boolean() or value.type().is_null()):
            raise ValueError(f"expected a condition, came {value.type()}; compare it with something")
        return value

    def moment(self, node: exp.Expr) -> Any:
        """Return a node as a date or a timestamp; text is read as ISO."""
        value = self.value(node)
        value = value.try_cast("timestamp") if value.type().is_string() else value
        if not value.type().is_temporal():
            raise ValueError(f"expected a date, came {value.type()}; use strptime(text, format)")
        return value

    def alike(self, nodes: Collection[exp.Expr]) -> list[Any]:
        """Return values that can stand beside one another: text is read as what it stands beside."""
        values = self.values(nodes)
        types = [value.type() for value in values]
        target: dt.DataType | None = None
        if any(kind.is_boolean() for kind in types):
            target = dt.boolean
        elif any(kind.is_numeric() for kind in types):
            target = NUMBER
        elif any(kind.is_temporal() for kind in types):
            target = dt.timestamp if any(kind.is_timestamp() for kind in types) else dt.date
        if target is None:
            return values
        return [value.try_cast(target) if value.type().is_string() else value for value in values]


Builder = Callable[[Translation, Any], ir.Value]


def _node(*kinds: type[exp.Expr], arguments: str = "this expression") -> Callable[[Builder], Builder]:
    def register(build: Builder) -> Builder:
        for kind in kinds:
            RULES[kind] = Rule(build, frozenset(arguments.split()))
        return build

    return register


@_node(exp.Column, arguments="this")
def _column(to: Translation, node: exp.Column) -> ir.Value:
    if node.name not in to.columns:
        raise to.refuse(node, f"no column is named '{node.name}'; {nearest(node.name, to.columns)}")
    return to.columns[node.name]


@_node(exp.Literal, arguments="this")
def _literal(to: Translation, node: exp.Literal) -> ir.Value:
    if node.is_string:
        return ibis.literal(node.this)
    if re.fullmatch(r"\d{1,18}", node.this):
        return ibis.literal(int(node.this), type="int64")
    if "e" in node.this.lower():
        return ibis.literal(float(node.this))
    _, digits, exponent = Decimal(node.this).as_tuple()
    scale = -int(exponent)
    return ibis.literal(Decimal(node.this), type=dt.Decimal(max(len(digits), scale), scale))


@_node(exp.Boolean, arguments="this")
def _boolean(to: Translation, node: exp.Boolean) -> ir.Value:
    return ibis.literal(bool(node.this))


@_node(exp.Null, arguments="")
def _null(to: Translation, node: exp.Null) -> ir.Value:
    return ibis.null()


@_node(exp.Paren, arguments="this")
def _paren(to: Translation, node: exp.Paren) -> ir.Value:
    return to.value(node.this)


_ARITHMETIC: dict[type[exp.Expr], Callable[[Any, Any], ir.Value]] = {
    exp.Add: lambda a, b: a + b,
    exp.Sub: lambda a, b: a - b,
    exp.Mul: lambda a, b: a * b,
    exp.Div: lambda a, b: a / b.nullif(0),
    exp.IntDiv: lambda a, b: a // b.nullif(0),
    exp.Mod: lambda a, b: a % b.nullif(0),
}


@_node(*_ARITHMETIC, arguments="this expression typed")
def _arithmetic(to: Translation, node: exp.Binary) -> ir.Value:
    return _ARITHMETIC[type(node)](to.number(node.this), to.number(node.expression))


@_node(exp.Neg, arguments="this")
def _negative(to: Translation, node: exp.Neg) -> ir.Value:
    return -to.number(node.this)


@_node(exp.Abs, arguments="this")
def _absolute(to: Translation, node: exp.Abs) -> ir.Value:
    return to.number(node.this).abs()


@_node(exp.Round, arguments="this decimals")
def _round(to: Translation, node: exp.Round) -> ir.Value:
    return to.number(node.this).round(_integer(node.args.get("decimals"), 0))


_COMPARISONS: dict[type[exp.Expr], Callable[[Any, Any], ir.Value]] = {
    exp.EQ: lambda a, b: a == b,
    exp.NEQ: lambda a, b: a != b,
    exp.LT: lambda a, b: a < b,
    exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b,
    exp.GTE: lambda a, b: a >= b,
}


@_node(*_COMPARISONS)
def _comparison(to: Translation, node: exp.Expr) -> ir.Value:
    return _COMPARISONS[type(node)](*to.alike([node.this, node.expression]))


@_node(exp.And)
def _and(to: Translation, node: exp.And) -> ir.Value:
    return to.condition(node.this) & to.condition(node.expression)


@_node(exp.Or)
def _or(to: Translation, node: exp.Or) -> ir.Value:
    return to.condition(node.this) | to.condition(node.expression)


@_node(exp.Not, arguments="this")
def _not(to: Translation, node: exp.Not) -> ir.Value:
    return ~to.condition(node.this)


@_node(exp.In, arguments="this expressions negate")
def _in(to: Translation, node: exp.In) -> ir.Value:
    value, *options = to.alike([node.this, *node.expressions])
    return _negated(node, value.isin(options))


@_node(exp.Between, arguments="this low high negate")
def _between(to: Translation, node: exp.Between) -> ir.Value:
    value, low, high = to.alike([node.this, node.args["low"], node.args["high"]])
    return _negated(node, (value >= low) & (value <= high))


@_node(exp.Like, arguments="this expression negate")
def _like(to: Translation, node: exp.Like) -> ir.Value:
    return _negated(node, to.text(node.this).like(_string(node.expression)))


@_node(exp.Is)
def _is(to: Translation, node: exp.Is) -> ir.Value:
    if isinstance(node.expression, exp.Null):
        return to.value(node.this).isnull()
    return (to.condition(node.this) == to.condition(node.expression)).fill_null(False)


def _negated(node: exp.Expr, condition: Any) -> ir.Value:
    return ~condition if node.args.get("negate") else condition


@_node(exp.If, arguments="this true false")
def _if(to: Translation, node: exp.If) -> ir.Value:
    true, false = to.alike([node.args["true"], node.args.get("false") or exp.Null()])
    return to.condition(node.this).ifelse(true, false)


@_node(exp.Case, arguments="this ifs default")
def _case(to: Translation, node: exp.Case) -> ir.Value:
    branches: list[exp.If] = node.args["ifs"]
    *results, default = to.alike([*(b.args["true"] for b in branches), node.args.get("default") or exp.Null()])
    if node.this is None:
        conditions = [to.condition(branch.this) for branch in branches]
    else:
        conditions = [_COMPARISONS[exp.EQ](*to.alike([node.this, branch.this])) for branch in branches]
    return ibis.cases(*zip(conditions, results, strict=True), else_=default)


@_node(exp.Coalesce, arguments="this expressions")
def _coalesce(to: Translation, node: exp.Coalesce) -> ir.Value:
    return ibis.coalesce(*to.alike([node.this, *node.expressions]))


@_node(exp.Nullif)
def _nullif(to: Translation, node: exp.Nullif) -> ir.Value:
    value, other = to.alike([node.this, node.expression])
    return value.nullif(other)


_TYPES: dict[Any, dt.DataType] = {
    **dict.fromkeys((exp.DataType.Type.INT, exp.DataType.Type.BIGINT, exp.DataType.Type.SMALLINT), dt.int64),
    **dict.fromkeys((exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT), dt.float64),
    **dict.fromkeys((exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR), dt.string),
    **dict.fromkeys((exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ), dt.timestamp),
    exp.DataType.Type.DATE: dt.date,
    exp.DataType.Type.BOOLEAN: dt.boolean,
}


@_node(exp.Cast, exp.TryCast, arguments="this to")
def _cast(to: Translation, node: exp.Cast) -> ir.Value:
    value, kind = to.value(node.this), node.to
    target = _TYPES.get(kind.this)
    if kind.this == exp.DataType.Type.DECIMAL:
        precision, scale = ([int(part.name) for part in kind.expressions] + [0])[:2] if kind.expressions else (18, 6)
        target = dt.Decimal(precision, scale)
    if target is None:
        raise ValueError("expected int, bigint, double, decimal(p,s), text, date, timestamp or boolean")
    if target.is_date() and value.type().is_string():
        return value.try_cast(dt.timestamp).date()
    return value.cast(target) if target.is_string() or target == value.type() else value.try_cast(target)


@_node(exp.Lower, arguments="this")
def _lower(to: Translation, node: exp.Lower) -> ir.Value:
    return to.text(node.this).lower()


@_node(exp.Upper, arguments="this")
def _upper(to: Translation, node: exp.Upper) -> ir.Value:
    return to.text(node.this).upper()


@_node(exp.Trim, arguments="this")
def _trim(to: Translation, node: exp.Trim) -> ir.Value:
    return to.text(node.this).strip()


@_node(exp.Length, arguments="this")
def _length(to: Translation, node: exp.Length) -> ir.Value:
    return to.text(node.this).length()


@_node(exp.Substring, arguments="this start length")
def _substring(to: Translation, node: exp.Substring) -> ir.Value:
    start, length = _integer(node.args.get("start"), 1), _integer(node.args.get("length"), None)
    if start < 1:
        raise ValueError("expected a start of 1 or more: the first letter is 1")
    return to.text(node.this).substr(start - 1, length)


@_node(exp.Replace, arguments="this expression replacement")
def _replace(to: Translation, node: exp.Replace) -> ir.Value:
    return to.text(node.this).replace(_string(node.expression), _string(node.args["replacement"]))


@_node(exp.Concat, arguments="expressions")
def _concat(to: Translation, node: exp.Concat) -> ir.Value:
    first, *others = [to.text(part) for part in node.expressions]
    for other in others:
        first = first + other
    return first


@_node(exp.DPipe)
def _pipe(to: Translation, node: exp.DPipe) -> ir.Value:
    return to.text(node.this) + to.text(node.expression)


@_node(exp.StrToTime, arguments="this format")
def _strptime(to: Translation, node: exp.StrToTime) -> ir.Value:
    return strptime(to.text(node.this), _string(node.args["format"]))


@_node(exp.TimeToStr, arguments="this format")
def _strftime(to: Translation, node: exp.TimeToStr) -> ir.Value:
    format = _string(node.args["format"])
    unknown = [part for part in re.findall("%.?", format) if part[1:] not in {"Y", "y", "m", "d", "H", "M", "S", "j"}]
    if unknown:
        raise ValueError(f"the field {unknown[0]} of '{format}' is not known; use %Y, %y, %m, %d, %H, %M, %S, %j")
    return to.moment(node.this).strftime(format)


_DATE_PARTS: dict[type[exp.Expr], Callable[[Any], ir.Value]] = {
    exp.Year: lambda moment: moment.year(),
    exp.Quarter: lambda moment: moment.quarter(),
    exp.Month: lambda moment: moment.month(),
    exp.Day: lambda moment: moment.day(),
    exp.Hour: lambda moment: moment.hour(),
    exp.Minute: lambda moment: moment.minute(),
    exp.Second: lambda moment: moment.second(),
    exp.Date: lambda moment: moment if moment.type().is_date() else moment.date(),
}


@_node(*_DATE_PARTS, arguments="this")
def _date_part(to: Translation, node: exp.Func) -> ir.Value:
    return _DATE_PARTS[type(node)](to.moment(node.this))


def _weekday(to: Translation, node: exp.Anonymous) -> ir.Value:
    (argument,) = node.expressions
    return to.moment(argument).day_of_week.index()


FUNCTIONS["weekday"] = _weekday


def _string(node: exp.Expr) -> str:
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise ValueError(f"expected text in single quotes, came {node.sql('duckdb')}")
    return str(node.this)


def _integer(node: exp.Expr | None, default: Any) -> Any:
    if node is None:
        return default
    negative = isinstance(node, exp.Neg)
    literal = node.this if negative else node
    if not (isinstance(literal, exp.Literal) and literal.is_int):
        raise ValueError(f"expected a whole number, came {node.sql('duckdb')}")
    return -int(literal.this) if negative else int(literal.this)
