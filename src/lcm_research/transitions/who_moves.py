"""Everything that a page says of one move and what it is set beside: model, contrasts, hazard and guard together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.stages.moves import Moves, headline_moves
from lcm_research.stages.panel import ANY, UNKNOWN
from lcm_research.stages.rules import StageRules
from lcm_research.transitions.move_cells import in_order
from lcm_research.transitions.move_contrasts import LeadCheck, MoveContrast, lead_check, move_contrast
from lcm_research.transitions.move_hazards import TransitionHazard, transition_hazard_ratios
from lcm_research.transitions.multinomial import MultinomialLogit, multinomial_logit

__all__ = ["MoveAnswer", "asked_moves", "levels_in", "who_moves"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MoveAnswer:
    """
    One move beside an exposure, among customers alike otherwise.

    Attributes
    ----------
    contrasts : tuple of MoveContrast
        One for each level of the exposure but the lowest, in order; the last is the headline.
    fit : MultinomialLogit
    hazard : TransitionHazard
    lead : LeadCheck or None
        None where no guard was asked for, or where it has no answer; ``lead_refused`` then says why.
    lead_refused : str
    """

    contrasts: tuple[MoveContrast, ...]
    fit: MultinomialLogit
    hazard: TransitionHazard
    lead: LeadCheck | None
    lead_refused: str = ""

    @property
    def headline(self) -> MoveContrast:
        """The contrast of the highest level with the lowest."""
        return self.contrasts[-1]

    @property
    def smallest(self) -> int:
        """Customers in the smallest group that the headline describes."""
        return self.headline.smallest


def who_moves(
    counts: pd.DataFrame,
    *,
    move: tuple[str, str],
    exposure: str,
    alike_in: Sequence[str],
    guard: str | None,
    moves: Moves,
    customers: pd.DataFrame,
    level: float = 0.95,
) -> MoveAnswer:
    """
    Compare a move between the levels of an exposure.

    Parameters
    ----------
    counts, customers : DataFrame
        Of ``covariate_counts`` and ``covariate_customers``.
    move : tuple of (from, to)
    exposure : str
        Covariate whose levels are compared with the lowest that is there.
    alike_in : list of str
        Covariates that are held alike.
    guard : str or None
        The same exposure after the move (``engaged_after``): it cannot have brought the move about.
    moves : Moves
    level : float

    Raises
    ------
    ModelError
        See ``multinomial_logit``.
    """
    from_stage, to_stage = move
    lowest = levels_in(counts, from_stage=from_stage, covariate=exposure)[0]
    there = customers[(customers["from_stage"] == from_stage) & (customers["covariate"] == "")]
    n_customers = int(there.loc[there["to_stage"] == ANY, "n_customers"].sum())
    asked: dict[str, Any] = {"from_stage": from_stage, "moves": moves, "n_customers": n_customers, "level": level}
    fit = multinomial_logit(counts, covariates=[exposure, *alike_in], reference={exposure: lowest}, **asked)
    contrasts = tuple(
        move_contrast(fit, to_stage=to_stage, covariate=exposure, level=each, customers=customers)
        for each in fit.cells.levels[exposure][1:]
    )
    lead, refused = None, ""
    if guard is not None:
        try:
            reference = {exposure: lowest, guard: levels_in(counts, from_stage=from_stage, covariate=guard)[0]}
            both = multinomial_logit(counts, covariates=[exposure, guard, *alike_in], reference=reference, **asked)
            last = (guard, both.cells.levels[guard][-1])
            lead = lead_check(both, to_stage=to_stage, lag=(exposure, both.cells.levels[exposure][-1]), lead=last)
        except ModelError as reason:
            refused = str(reason)
    return MoveAnswer(
        contrasts=contrasts,
        fit=fit,
        hazard=transition_hazard_ratios(fit.cells, to_stage=to_stage, n_customers=n_customers, level=level),
        lead=lead,
        lead_refused=refused,
    )


def asked_moves(rules: StageRules, moves: Moves, *, most: int) -> list[tuple[str, str]]:
    """
    Return the headline moves that a purchase makes, customers at risk first, at most ``most``; none of communities.

    >>> from lcm_research.stages.moves import possible_moves
    >>> from lcm_research.stages.rules import stage_rules
    >>> rules = stage_rules("nadc", window_days=180)
    >>> asked_moves(rules, possible_moves(rules), most=2)
    [('dormant', 'active'), ('prospect', 'new')]
    """
    if rules.scheme.unit != "customer":
        return []
    place = moves.stages.index
    made = [(a, b) for a, b in headline_moves(rules, moves) if a != b and moves.purchase[place(a), place(b)]]
    return sorted(made, key=lambda move: rules.scheme.stages[move[0]].coarse != "at_risk")[:most]


def levels_in(counts: pd.DataFrame, *, from_stage: str, covariate: str) -> list[str]:
    """
    Return the known levels of a covariate in a stage, classes of a count from the lowest on.

    Raises
    ------
    ModelError
        Nobody with a known level is in the stage.
    """
    rows = counts[(counts["from_stage"] == from_stage) & (counts[covariate] != UNKNOWN) & (counts["n"] > 0)]
    if rows.empty:
        raise ModelError(f"no customer-month in '{from_stage}' has a known '{covariate}'; the window may be too short")
    return in_order(rows[covariate].unique())
