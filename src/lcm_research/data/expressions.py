"""
What a study's YAML may say about its columns: a small part of SQL, translated node by node to Ibis.

The text is parsed by sqlglot and every node is looked up in an allow-list (``translation``); what is not there is
refused by name and place. The text itself never reaches an engine. The same expressions serve mapped columns, rows
to leave out, segments and stage rules.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import ibis.expr.types as ir
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lcm_research.data.translation import ALLOWED, FUNCTIONS, RULES, Translation
from lcm_research.errors import StudyError

__all__ = ["ALLOWED", "Expression", "parse"]

DEEPEST = 100
"""Levels of nesting beyond which an expression is refused."""


@dataclass(frozen=True)
class Expression:
    """
    A parsed expression: what it names, and how it becomes Ibis.

    Parameters
    ----------
    text : str
        As the YAML has it.
    where : str
        The key's path in the YAML, such as ``data.tables.transactions.columns.amount``; begins every error.
    """

    text: str
    where: str
    tree: exp.Expr = field(repr=False, compare=False)

    def names(self) -> frozenset[str]:
        """Return the columns that the expression reads."""
        return frozenset(column.name for column in self.tree.find_all(exp.Column))

    def inside(self) -> str:
        """
        Return the text as it stands inside another expression: a column's name that has blanks in double quotes.

        >>> parse("Invoice No", where="", columns=["Invoice No"]).inside()
        '"Invoice No"'
        """
        is_name = isinstance(self.tree, exp.Column) and not re.fullmatch(r"[^\W\d]\w*", self.text)
        return self.tree.sql("duckdb") if is_name else self.text

    def to_ibis(self, columns: Mapping[str, ir.Value]) -> ir.Value:
        """Return the expression over ``columns``; StudyError for an unknown name or types that do not fit."""
        return Translation(columns, self.refusal).value(self.tree)

    def refusal(self, node: exp.Expr, problem: str) -> StudyError:
        """Return the error that says what is wrong with a node, and in which column of the text it stands."""
        starts = [part.meta["start"] for part in node.walk() if part.meta.get("start") is not None]
        place = f"column {min(starts) + 1} of " if starts else ""
        return StudyError(f"{self.where}: {place}'{self.text}': {problem}")


def parse(text: str, *, where: str, columns: Collection[str] = ()) -> Expression:
    """
    Parse an expression; whatever is not in the allow-list is a StudyError that says what and in which column of it.

    Parameters
    ----------
    text : str
        A part of SQL, see ``ALLOWED``.
    where : str
        The key's path in the YAML.
    columns : collection of str
        Names that the text may be as a whole without being SQL: ``Invoice No``, ``amount (CNY)``.

    Examples
    --------
    >>> sorted(parse("Quantity * UnitPrice", where="amount").names())
    ['Quantity', 'UnitPrice']
    """
    name = next((known for known in (text, text.strip()) if known in columns), None)
    if name is not None:
        return Expression(text, where, exp.column(exp.to_identifier(name, quoted=True)))
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect="duckdb") if tree is not None]
    except (SqlglotError, RecursionError) as error:
        raise StudyError(f"{where}: '{text}' cannot be read{_place_of(error)}; allowed are {ALLOWED}") from None
    if len(trees) != 1:
        raise StudyError(f"{where}: expected one expression; came {len(trees)} in '{text}'")
    expression = Expression(text, where, trees[0])
    _check(expression, trees[0], 0)
    return expression


def _place_of(error: Exception) -> str:
    details = getattr(error, "errors", None)
    column = details[0].get("col") if details else None
    return f" at column {column}" if column else ""


_PARTS = (exp.DataType, exp.DataTypeParam, exp.Identifier)
_HARMLESS = {"safe", "coalesce", "big_int", "nested", "quoted", "is_string"}
"""Arguments that sqlglot sets by itself and that change nothing here."""


def _check(expression: Expression, node: exp.Expr, depth: int) -> None:
    """Refuse every node, and every argument of a node, that is not in the allow-list."""
    if depth > DEEPEST:
        raise StudyError(f"{expression.where}: nested more than {DEEPEST} levels deep; write it shorter")
    if isinstance(node, exp.Anonymous):
        if node.name.lower() not in FUNCTIONS:
            raise expression.refusal(node, f"the function {node.name} is not allowed; allowed are {ALLOWED}")
    elif not isinstance(node, _PARTS):
        rule = RULES.get(type(node))
        extra = {name for name, value in node.args.items() if value} - _HARMLESS - (rule.arguments if rule else set())
        if rule is None or extra:
            name = type(node).__name__ if rule is None else f"{type(node).__name__} with {', '.join(sorted(extra))}"
            raise expression.refusal(node, f"{name} is not allowed; allowed are {ALLOWED}")
    for child in node.iter_expressions():
        _check(expression, child, depth + 1)
