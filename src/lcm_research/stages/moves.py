"""
Which moves between stages can happen within one period, and which happen by the passing of time alone.

A stage that is defined by recency is left like a clock: dormant turns into churned on a known day, without
anything that the customer does. Such moves describe the definition, so pages mark them and tests leave them out.
Both properties follow from the rules and are found by trying every kind of history for one period.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.stages.histories import MONTH_DAYS, one_period_later
from lcm_research.stages.kinds import kinds_of_purchases, quiet_moves, reached
from lcm_research.stages.primitives import CORE
from lcm_research.stages.rules import StageRules, stage_rules

__all__ = ["Moves", "headline_moves", "possible_moves"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """
    What a scheme allows to happen within one period, stage by stage.

    Parameters
    ----------
    stages : tuple of str
    possible : array of bool, shape (n_stages, n_stages)
        From rows, to columns. What is False is a structural zero: never counted, never smoothed.
    clock : array of bool
        Changes of stage that happen in a period in which the customer does nothing, and in none with a purchase.
    purchase : array of bool
        Changes of stage that only happen in a period with a purchase: what a customer did.
    """

    stages: tuple[str, ...]
    possible: np.ndarray
    clock: np.ndarray
    purchase: np.ndarray

    @property
    def absorbing(self) -> tuple[str, ...]:
        """Stages that nobody can leave."""
        only_stay = self.possible.sum(axis=1) == self.possible.diagonal()
        return tuple(stage for stage, stays in zip(self.stages, only_stay, strict=True) if stays)


def possible_moves(rules: StageRules, *, confirm_periods: int = 1, min_dwell: int = 0) -> Moves:
    """
    Find the moves that a scheme allows within one period, and what drives each.

    Purchases are followed from one period to the next; what else rules name takes any value that goes with them. So
    where a scheme names more than recency, frequency and tenure, a move that the rules rule out in a roundabout way
    may be called possible; one that can happen is never called impossible. ``never`` in the scheme takes moves out.

    Parameters
    ----------
    rules : StageRules
    confirm_periods, min_dwell : int
        As ``stage_panel`` takes them: a stage that is held on to may be followed by any that several periods lead to.

    >>> from lcm_research.stages.rules import stage_rules
    >>> moves = possible_moves(stage_rules("nadc", window_days=180))
    >>> [(moves.stages[i], moves.stages[j]) for i, j in zip(*moves.clock.nonzero())]
    [('new', 'dormant'), ('active', 'dormant'), ('dormant', 'churned')]
    """
    return _possible(json.dumps(rules.with_stand_ins().parameters()), confirm_periods > 1 or min_dwell > 1)


@functools.lru_cache(maxsize=200)
def _possible(told: str, late: bool) -> Moves:
    """Return the moves of rules told as JSON; ``late`` where stages are held on to."""
    rules = stage_rules(**json.loads(told))
    before = kinds_of_purchases(rules)
    after = _later(rules, before)
    start = reached(rules, before)[0][after["origin"].to_numpy()]
    end = reached(rules, after.drop(columns=["origin", "bought"]))[0]
    bought = after["bought"].to_numpy(bool)
    allowed = ~np.eye(len(rules.stages), dtype=bool) & _not_never(rules)
    stays = np.eye(len(rules.stages), dtype=bool)
    by_purchase, by_time = (_together(start[which], end[which]) & (allowed | stays) for which in (bought, ~bought))
    if rules.scheme.unit == "community":
        by_purchase = by_time  # there are no purchases, and nothing tells what drives a move
    possible = by_purchase | by_time
    quiet = by_time if rules.needs <= set(CORE) else quiet_moves(rules, before)
    clock, purchase = by_time & quiet & ~by_purchase & ~stays, by_purchase & ~by_time & ~stays
    if late:
        # what drives a move that shows late is what drives every move into the stage
        lasting = _lasting(possible)
        clock, purchase = (lasting & ~stays & _only(which, possible & ~stays) for which in (clock, purchase))
        possible = lasting
    for found in (possible, clock, purchase):
        found.setflags(write=False)
    return Moves(stages=rules.stages, possible=possible, clock=clock, purchase=purchase)


def _only(which: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return, for each stage as a column, whether every move into it is one of ``which``."""
    return ((which == moves).all(axis=0) & moves.any(axis=0))[np.newaxis, :]


def _later(rules: StageRules, before: pd.DataFrame) -> pd.DataFrame:
    if rules.scheme.unit == "customer":
        return one_period_later(before)
    aged = [before.assign(age=before["age"] + length, origin=np.arange(len(before))) for length in MONTH_DAYS]
    return pd.concat(aged, ignore_index=True).assign(bought=False)


def _not_never(rules: StageRules) -> np.ndarray:
    place = {stage: code for code, stage in enumerate(rules.stages)}
    allowed = np.ones((len(place), len(place)), dtype=bool)
    for start, end in rules.scheme.never:
        if start in place and end in place:
            allowed[place[start], place[end]] = False
    return allowed


def _lasting(step: np.ndarray) -> np.ndarray:
    """Return which stage leads to which in any number of periods, none among them."""
    reach = step | np.eye(len(step), dtype=bool)
    for _ in range(len(step)):
        reach = reach @ reach
    return reach


def headline_moves(rules: StageRules, moves: Moves) -> list[tuple[str, str]]:
    """
    Return the moves that a marketer asks about, in the scheme's order.

    First purchases of prospects, staying in an established stage and slipping from it, and purchases that bring
    back customers at risk or lapsed.

    >>> from lcm_research.stages.rules import stage_rules
    >>> rules = stage_rules("nadc", window_days=180)
    >>> headline_moves(rules, possible_moves(rules))[:3]
    [('prospect', 'new'), ('active', 'active'), ('active', 'dormant')]
    """
    coarse = {name: stage.coarse for name, stage in rules.scheme.stages.items()}
    chosen = []
    for i, start in enumerate(moves.stages):
        for j, end in enumerate(moves.stages):
            kept = i == j and coarse[start] == "established"
            slipped = coarse[start] == "established" and bool(moves.clock[i, j])
            bought = coarse[start] in ("prospect", "at_risk", "lapsed") and bool(moves.purchase[i, j])
            if kept or slipped or bought:
                chosen.append((start, end))
    return chosen


def _together(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return which pairs of stages some row of ``start`` and the same row of ``end`` hold."""
    return start.T.astype("int64") @ end.astype("int64") > 0
