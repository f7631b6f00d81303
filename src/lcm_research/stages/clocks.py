"""
What stops the clock of a stage: purchases, or social acts.

A stage that time alone leads out of is split by how long its customers have been silent, and silence is counted in
what the clock watches. A prospect who drifts from interest to awareness did not stop buying but stopped engaging.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lcm_research.errors import ModelError
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.primitives import PRIMITIVES
from lcm_research.stages.rules import StageRules

__all__ = ["Watched", "clocks"]

Watched = Literal["transactions", "engagements"]

NEVER_FALLS = frozenset({"n"})
"""What no silence changes, so no clock watches it."""


def clocks(rules: StageRules, *, confirm_periods: int = 1, min_dwell: int = 0) -> Mapping[str, Watched]:
    """
    Return the stages that time alone leads out of, and the table whose rows stop the clock of each.

    A stage is left by its clock because an earlier rule begins to hold or because its own does not hold any more; what
    that rule names is what the clock watches. Prospects have no purchases, so nothing they do not buy stops a clock.

    Parameters
    ----------
    rules : StageRules
    confirm_periods, min_dwell : int
        As ``possible_moves`` takes them.

    Raises
    ------
    ModelError
        A clock watches something else than purchases or social acts, or both at once: recency in one of them does
        not tell when it will strike.

    >>> from lcm_research.stages.rules import stage_rules
    >>> dict(clocks(stage_rules("aipl", window_days=180)))
    {'interest': 'engagements', 'purchase': 'transactions', 'loyalty': 'transactions'}
    """
    moves = possible_moves(rules, confirm_periods=confirm_periods, min_dwell=min_dwell)
    found: dict[str, Watched] = {}
    for i, stage in enumerate(rules.stages):
        watched = {table for j in moves.clock[i].nonzero()[0] for table in _watched(rules, stage, rules.stages[int(j)])}
        if watched == {"transactions"}:
            found[stage] = "transactions"
        elif watched == {"engagements"}:
            found[stage] = "engagements"
        elif watched:
            raise ModelError(
                f"customers leave '{stage}' by a clock that watches {' and '.join(sorted(watched))}; expected one that "
                "watches purchases alone or social acts alone, since the silence in one of them then tells when it "
                "strikes; choose another scheme for times and values"
            )
    return found


def _watched(rules: StageRules, stage: str, to: str) -> set[str]:
    """Return the tables that decide when time alone leads from ``stage`` to another."""
    scheme = rules.scheme
    own = [place for place, rule in enumerate(scheme.rules) if rule.stage == stage]
    earlier = [rule for rule in scheme.rules[: own[-1]] if rule.stage == to]
    decisive = earlier or [scheme.rules[place] for place in own]
    names = {name for rule in decisive for name in scheme.condition(rule).names()} & set(PRIMITIVES)
    tables = {table for name in names - NEVER_FALLS for table in PRIMITIVES[name].tables}
    meant = scheme.stages[stage]
    if meant.coarse == "prospect" and not meant.cases:
        return tables - {"transactions"}
    # a rule that speaks of prospects too watches the purchases of those who have bought
    return {"transactions"} if earlier and "transactions" in tables else tables
