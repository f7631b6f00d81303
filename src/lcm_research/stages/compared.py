"""What the rules of a scheme compare each primitive with, as numbers: on and beside them stages change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from lcm_research.stages.scheme import Rule, Scheme

__all__ = ["Compared", "compared_with", "worked_out"]


@dataclass(frozen=True)
class Compared:
    """The numbers that each primitive, or streak, is compared with, and those that are compared with one another."""

    by_primitive: Mapping[str, frozenset[float]]
    mixed: frozenset[str]

    @staticmethod
    def written(rule: Rule) -> list[str]:
        """Return the numbers that stand in a rule as such."""
        return re.findall(r"(?<![\w.])\d+(?:\.\d+)?", rule.when)


def compared_with(scheme: Scheme, numbers: Mapping[str, float]) -> Compared:
    """
    Return the numbers that primitives are compared with, products of thresholds worked out.

    Parameters
    ----------
    scheme : Scheme
    numbers : mapping
        The value of every threshold and cut.

    >>> from lcm_research.stages.scheme import load_scheme
    >>> numbers = {"w_new": 30, "w_active": 60, "window_days": 180}
    >>> sorted(compared_with(load_scheme("nadc"), numbers).by_primitive["r"])
    [60.0, 180.0]
    """
    found: dict[str, set[float]] = {}
    mixed: set[str] = set()
    for condition in scheme.conditions():
        for node in condition.tree.find_all(exp.Predicate):
            sides = list(node.iter_expressions())
            values = [value for side in sides if (value := worked_out(side, numbers)) is not None]
            named = [{c.name for c in side.find_all(exp.Column)} - set(numbers) for side in sides]
            for name in set().union(*named):
                found.setdefault(name, set()).update(values)
            if sum(map(len, named)) > 1:
                mixed |= set().union(*named)
    return Compared({name: frozenset(values) for name, values in found.items()}, frozenset(mixed))


def worked_out(node: exp.Expr, numbers: Mapping[str, float]) -> float | None:
    """Return the number that an expression of thresholds stands for, or None where it names something else."""
    if isinstance(node, exp.Column):
        return float(numbers[node.name]) if node.name in numbers else None
    if isinstance(node, exp.Literal):
        return None if node.is_string else float(node.this)
    if isinstance(node, exp.Paren | exp.Neg):
        value = worked_out(node.this, numbers)
        return value if value is None or isinstance(node, exp.Paren) else -value
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
        left, right = (worked_out(part, numbers) for part in (node.left, node.right))
        if left is None or right is None:
            return None
        if isinstance(node, exp.Add | exp.Sub):
            return left + right if isinstance(node, exp.Add) else left - right
        return left * right if isinstance(node, exp.Mul) else left / right if right else None
    return None
