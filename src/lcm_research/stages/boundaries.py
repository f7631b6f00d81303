"""
Where rules tell numbers apart: values on the same side of every boundary are in the same stage.

A boundary is the last whole number on its lower side: both ``r <= 60`` and ``r > 60`` have 60, both ``n < 1`` and
``n >= 1`` have 0, and ``n = 1`` has 0 and 1.
"""

from __future__ import annotations

import math

from sqlglot import exp

from lcm_research.stages.compared import worked_out
from lcm_research.stages.rules import StageRules

__all__ = ["boundaries_of"]

COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
BELOW: dict[type[exp.Expr], bool] = {exp.LT: True, exp.GTE: True, exp.LTE: False, exp.GT: False}
"""Whether a number itself is on the upper side of a comparison with it, the quantity standing on the left."""


def boundaries_of(rules: StageRules) -> dict[str, tuple[int, ...]]:
    """
    Return the boundaries of each primitive that rules compare with numbers, the smallest first.

    Parameters
    ----------
    rules : StageRules
        Rules that ``compares_with_numbers`` (lcm_research.stages.alike) holds for.

    Examples
    --------
    >>> from lcm_research.stages.rules import stage_rules
    >>> boundaries_of(stage_rules("nadc", window_days=180))
    {'n': (0,), 'r': (60, 180), 'u': (30,)}
    """
    numbers = rules.numbers()
    found: dict[str, set[int]] = {}
    for rule in rules.scheme.rules:
        for node in rules.scheme.condition(rule).tree.find_all(*COMPARISONS):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                named, number = side.unnest(), worked_out(other, numbers)
                if isinstance(named, exp.Column) and number is not None and worked_out(named, numbers) is None:
                    found.setdefault(named.name, set()).update(_boundaries(node, number, turned=side is node.right))
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def _boundaries(node: exp.Expr, number: float, *, turned: bool) -> set[int]:
    """Return the boundaries of one comparison; ``turned`` where the number stands on the left."""
    below, upto = math.ceil(number) - 1, math.floor(number)
    on_upper_side = BELOW.get(type(node))
    if on_upper_side is None:
        return {below, upto}
    # 60 >= r is r <= 60
    return {below if on_upper_side != turned else upto}
