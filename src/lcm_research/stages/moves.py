"""
Which moves between stages can happen within one period, and which happen by the passing of time alone.

A stage that is defined by recency is left like a clock: dormant turns into churned on a known day, without
anything that the customer does. Such moves describe the definition, so pages mark them and tests leave them out.
Both properties follow from the rules and are found by trying every kind of history for one period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lcm_research.stages.histories import one_period_later
from lcm_research.stages.rules import StageRules

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
        Changes of stage that only happen in a period without a purchase.
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


def possible_moves(rules: StageRules) -> Moves:
    """
    Find the moves that a scheme allows within one period, and what drives each.

    >>> from lcm_research.stages.rules import stage_rules
    >>> moves = possible_moves(stage_rules("nadc", window_days=180))
    >>> [(moves.stages[i], moves.stages[j]) for i, j in zip(*moves.clock.nonzero())]
    [('new', 'dormant'), ('active', 'dormant'), ('dormant', 'churned')]
    """
    before = rules.histories()
    after = one_period_later(before)
    code = {stage: place for place, stage in enumerate(rules.stages)}
    start = rules.classify(before).map(code).to_numpy()[after["origin"].to_numpy()]
    end = rules.classify(after).map(code).to_numpy()
    bought = after["bought"].to_numpy(bool)
    by_purchase, by_time = (_seen(start[which], end[which], len(code)) for which in (bought, ~bought))
    change = ~np.eye(len(code), dtype=bool)
    return Moves(
        stages=rules.stages,
        possible=by_purchase | by_time,
        clock=by_time & ~by_purchase & change,
        purchase=by_purchase & ~by_time & change,
    )


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


def _seen(start: np.ndarray, end: np.ndarray, size: int) -> np.ndarray:
    seen = np.zeros((size, size), dtype=bool)
    seen[start, end] = True
    return seen
