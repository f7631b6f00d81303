"""
What rules cannot tell apart: days on the same side of every threshold at every period end, counts beyond all of them.

Only where rules compare each quantity with numbers; where they compare quantities with one another every value
is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from sqlglot import exp

from lcm_research.stages.compared import compared_with, worked_out
from lcm_research.stages.primitives import PRIMITIVES
from lcm_research.stages.rules import StageRules

__all__ = ["alike", "coarse_days", "compares_with_numbers", "days_alike", "named_in_rules"]

DATED = {"last_day": "r", "first_day": "u", "re": "re", "u0": "u0"}
"""The changes that hold their own day, and the primitives that are days since then."""


def named_in_rules(rules: StageRules) -> frozenset[str]:
    """Return the primitives that decide the stage; a crosswalk to coarse stages may name others."""
    named = {name for rule in rules.scheme.rules for name in rules.scheme.condition(rule).names()}
    return frozenset(named & set(PRIMITIVES))


def compares_with_numbers(rules: StageRules) -> bool:
    """
    Return whether rules compare days and counts, one at a time, with numbers that are the same in every period.

    The days since the purchase before may also be compared with the length of the period before.

    >>> from lcm_research.stages.rules import stage_rules
    >>> [compares_with_numbers(stage_rules(scheme, window_days=180)) for scheme in ("nadc", "acamc", "keynode5")]
    [True, True, False]
    """
    if any(PRIMITIVES[name].of not in ("days", "count") or name == "r_w" for name in named_in_rules(rules)):
        return False
    return all(_is_alone(rules.scheme.condition(rule).tree, rules.numbers()) for rule in rules.scheme.rules)


def _is_alone(condition: exp.Expr, numbers: Mapping[str, float]) -> bool:
    """Return whether every quantity in a condition stands in a comparison with a number."""
    told = 0
    for node in condition.find_all(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE):
        sides = [side.unnest() for side in node.iter_expressions()]
        named = [side.name for side in sides if isinstance(side, exp.Column) and side.name not in numbers]
        n_numbers = sum(worked_out(side, numbers) is not None for side in sides)
        if set(named) != {"r_before", "length_before"} and not len(named) == n_numbers == 1:
            return False
        told += len(named)
    return told == sum(column.name not in numbers for column in condition.find_all(exp.Column))


def days_alike(rules: StageRules, ends: pd.DataFrame) -> pd.DataFrame:
    """
    Return for each day the last day of its period that no rule can tell from it, at the end of any period.

    Returns
    -------
    DataFrame
        The columns ``day`` and ``counts_as``, from a day that is beyond every threshold in the first period on; days
        before it count as it does.

    Examples
    --------
    Thresholds of 30, 60 and 180 days cut January 2022 where a month end falls on one of them: the 1st is 30 days
    before the 31st, the 29th 30 days before February 28, the 30th 60 days before March 31:

    >>> from lcm_research.stages.calendar import months
    >>> from lcm_research.stages.rules import stage_rules
    >>> calendar = months(observation_start_day=18993, as_of_day=19357)
    >>> alike = days_alike(stage_rules("nadc", window_days=180), calendar)
    >>> (alike.loc[alike["day"].between(18993, 19023), "counts_as"] - 18992).unique().tolist()
    [1, 28, 29, 30, 31]
    """
    compared = compared_with(rules.scheme, rules.numbers()).by_primitive
    asked = named_in_rules(rules) & {*DATED.values(), "r_before"}
    cuts = {cut for name in asked for cut in compared.get(name, ())} | (
        {*range(28, 32)} if "r_before" in asked else set()
    )
    edges = np.array(sorted(cuts or {0.0}))
    first, last = int(ends["start_day"].iloc[0]), int(ends["end_day"].iloc[-1])
    days = np.arange(first - int(edges[-1]) - 2, last + 1)
    age = np.array([first - 1, *ends["end_day"]])[None, :] - days[:, None]
    side = np.searchsorted(edges, age, "left") + np.searchsorted(edges, age, "right")
    told_apart = (np.diff(side, axis=0) != 0).any(axis=1) | np.isin(days[1:], ends["start_day"])
    group = np.concatenate([[0], told_apart.cumsum()])
    last_of = np.concatenate([days[:-1][told_apart], days[-1:]])
    return pd.DataFrame({"day": days, "counts_as": last_of[group]})


def coarse_days(changed: ir.Table, alike: pd.DataFrame) -> ir.Table:
    """Return changes with the day that counts for each in place of the day itself."""
    known = ibis.memtable(alike.rename(columns={"day": "on_day"}))
    oldest = int(alike["counts_as"].iloc[0])
    placed = changed.left_join(known, changed.day == known.on_day)
    counts_as = placed.counts_as.fill_null(oldest)
    coarse = {
        name: placed[name].notnull().ifelse(counts_as, ibis.null("int64")) for name in DATED if name in changed.columns
    }
    return placed.select(**{name: placed[name] for name in changed.columns} | coarse)


def alike(state: Mapping[str, Any], rules: StageRules) -> dict[str, Any]:
    """
    Return what is known when a gap begins, with one value in place of all that no rule tells apart from then on.

    These are counts beyond all that they are compared with, and first purchases so long before the last one that
    every threshold is passed.
    """
    compared = compared_with(rules.scheme, rules.numbers()).by_primitive
    found = {
        name: value.clip(upper=int(max([0.0, *compared.get(name, ())])) + 1)
        for name, value in state.items()
        if name in PRIMITIVES and PRIMITIVES[name].of == "count"
    }
    if "first_day" in state:
        oldest = state["last_day"] - int(max([0.0, *compared.get("u", ())])) - 1
        found["first_day"] = (state["first_day"] < oldest).ifelse(oldest, state["first_day"])
    return found
