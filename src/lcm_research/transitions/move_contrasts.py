"""
How much more often do customers move who engaged? Differences in percentage points, among customers alike otherwise.

The model gives every pattern of covariates its probability of a move at each level of one covariate. Averaged over
the patterns as they are, these are the probabilities had all had that level and all else stayed as it is, if those
at the two levels differ in nothing that was not measured [1]_. Without that condition it is a description that holds
the rest alike.

.. [1] Robins (1986), Mathematical Modelling 7:1393; Lane and Nelder (1982), Biometrics 38:613.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, jackknife
from lcm_research.stages.panel import ANY
from lcm_research.transitions.move_cells import JOIN
from lcm_research.transitions.multinomial import MultinomialLogit, probabilities_at

__all__ = ["LeadCheck", "MoveContrast", "customers_at", "lead_check", "move_contrast"]

UNIT = "percentage points"


@dataclass(frozen=True, kw_only=True)
class MoveContrast:
    """
    A move at one level of a covariate beside the same move at the reference.

    Attributes
    ----------
    from_stage, to_stage, covariate, level, against : str
    adjusted : Estimate
        Difference of the standardised probabilities, in percentage points; ``n`` customers in the stage.
    naive : Estimate
        Difference of the shares as they are.
    probability, probability_against : Estimate
        The standardised probabilities themselves.
    n_level, n_against, n_moved, n_moved_against : int
        Different customers ever at the level, at the reference, and at either when they moved.
    """

    from_stage: str
    to_stage: str
    covariate: str
    level: str
    against: str
    adjusted: Estimate
    naive: Estimate
    probability: Estimate
    probability_against: Estimate
    n_level: int
    n_against: int
    n_moved: int
    n_moved_against: int

    @property
    def smallest(self) -> int:
        """Customers in the smallest group that is described."""
        return min(self.n_level, self.n_against, self.n_moved, self.n_moved_against)


@dataclass(frozen=True, kw_only=True)
class LeadCheck:
    """
    Engagement before a move beside engagement after it, in one model.

    Attributes
    ----------
    lag, lead : Estimate
        Odds ratios of the move.
    more : Estimate
        The odds ratio of the lag over that of the lead, each turned so that it is above 1: how much farther from
        "nothing" the lag is.
    """

    lag: Estimate
    lead: Estimate
    more: Estimate

    @property
    def separated(self) -> bool:
        """Whether what came after the move says nothing of it, or says reliably less than what came before."""
        return self.lead.sign(1.0) == 0 or self.more.sign(1.0) > 0


def move_contrast(
    fit: MultinomialLogit,
    *,
    to_stage: str,
    covariate: str,
    level: str,
    customers: pd.DataFrame | None = None,
) -> MoveContrast:
    """
    Compare the probability of a move at one level of a covariate with that at its reference.

    Parameters
    ----------
    fit : MultinomialLogit
    to_stage : str
        A destination of the model; the base among them.
    covariate, level : str
        A level, or one of those that were joined into one.
    customers : DataFrame, optional
        From ``covariate_customers``; without it customer-months stand for customers.

    Returns
    -------
    MoveContrast
        Intervals by the delete-a-group jackknife: the coefficients by one Newton step, the make-up of the stage anew
        without each group of customers.

    Raises
    ------
    ModelError
        A destination or level without an equation; the level itself is the reference.
    """
    cells = fit.cells
    place, own = cells.destination(to_stage), cells.level(covariate, level)
    against = cells.levels[covariate][0]
    if own == against:
        raise ModelError(f"'{level}' of '{covariate}' is what the others are compared with; choose another level")
    high, low = (_standardised(fit, cells.as_if(covariate, each), place) for each in (own, against))
    size: dict[str, Any] = {"n": fit.n, "level": fit.level}
    points = 100 * (high - low)
    heads = {
        "n_level": customers_at(fit, customers, covariate, own, ANY),
        "n_against": customers_at(fit, customers, covariate, against, ANY),
        "n_moved": customers_at(fit, customers, covariate, own, to_stage),
        "n_moved_against": customers_at(fit, customers, covariate, against, to_stage),
    }
    return MoveContrast(
        from_stage=cells.from_stage,
        to_stage=to_stage,
        covariate=covariate,
        level=own,
        against=against,
        adjusted=jackknife(points[0], points[1:], unit=UNIT, **size),
        naive=_naive(fit, covariate, own, against, place),
        probability=jackknife(high[0], high[1:], unit="probability", scale="logit", **size),
        probability_against=jackknife(low[0], low[1:], unit="probability", scale="logit", **size),
        **heads,
    )


def lead_check(fit: MultinomialLogit, *, to_stage: str, lag: tuple[str, str], lead: tuple[str, str]) -> LeadCheck:
    """
    Hold what came before a move against what came after it, which cannot have brought it about.

    Where the month after tells as much as the month before, something lasting stands behind both (activity that is
    not held equal), or moving brings engagement with it; either way the month before is not to be credited.

    Parameters
    ----------
    fit : MultinomialLogit
        With both covariates.
    lag, lead : tuple of (covariate, level)
    """
    row = fit.cells.destination(to_stage) - 1
    columns = [fit.cells.column(*each) for each in (lag, lead)]
    at, moved = fit.coefficients[row, columns], fit.moved[:, row, columns]
    turn = np.sign(at) * [1, -1]
    more, without = np.exp(at @ turn), np.exp((at - moved) @ turn)
    return LeadCheck(
        lag=fit.odds_ratio(to_stage, *lag),
        lead=fit.odds_ratio(to_stage, *lead),
        more=jackknife(float(more), without, unit="ratio", n=fit.n, scale="log", level=fit.level),
    )


def customers_at(
    fit: MultinomialLogit, customers: pd.DataFrame | None, covariate: str, level: str, to_stage: str
) -> int:
    """
    Return the different customers of the stage who were ever at a level, or made a move at it.

    Of levels that were joined the largest counts, since a customer may have been at several: there are at least so
    many. The base counts whoever stayed.
    """
    cells = fit.cells
    if customers is None:
        there = cells.n.sum(axis=0)[(cells.patterns[covariate] == level).to_numpy()]
        return int(there.sum() if to_stage == ANY else there[:, cells.destination(to_stage)].sum())
    to = cells.from_stage if to_stage == cells.base else to_stage
    asked = (customers["from_stage"] == cells.from_stage) & (customers["covariate"] == covariate)
    rows = customers[asked & (customers["to_stage"] == to) & customers["level"].isin(level.split(JOIN))]
    return int(rows.groupby("level")["n_customers"].sum().max()) if len(rows) else 0


def _standardised(fit: MultinomialLogit, x: np.ndarray, place: int) -> np.ndarray:
    """Mean probability over the patterns, of all customers and then without each group, shape (101,)."""
    weights = fit.cells.weights
    share = probabilities_at(x, fit.without_each_group)[..., place]
    return (weights * share).sum(axis=1) / weights.sum(axis=1)


def _naive(fit: MultinomialLogit, covariate: str, level: str, against: str, place: int) -> Estimate:
    """Difference of the shares that moved, as they are."""
    cells, sides = fit.cells, []
    for each in (level, against):
        own = cells.n[:, (cells.patterns[covariate] == each).to_numpy()].sum(axis=1)
        moved, n = own[:, place], own.sum(axis=1)
        totals = [np.array([part.sum(), *(part.sum() - part)]) for part in (moved, n)]
        sides.append(totals[0] / totals[1])
    points = 100 * (sides[0] - sides[1])
    return jackknife(points[0], points[1:], unit=UNIT, n=fit.n, level=fit.level)
