"""
What would the stages hold some months ahead if more customers had engaged? A calculation, not a promise.

Some of those at the reference level of a covariate are counted as if they were at another; each stage's moves follow
from its model, and the stock of today is moved on by them. It carries over to the world only if those at the two
levels differ in nothing but what is measured, and if the level, were it brought about, did what it goes along with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate, jackknife
from lcm_research.stages.moves import Moves
from lcm_research.transitions.move_cells import STAYS
from lcm_research.transitions.multinomial import MultinomialLogit, probabilities_at

__all__ = ["PathChange", "covariate_path"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PathChange:
    """
    The stage mix some months ahead, as it goes and with more customers at a level.

    Attributes
    ----------
    stages : tuple of str
    as_is, changed : array of shape (n_stages,)
        Shares of today's customers in each stage after ``n_months``.
    differences : mapping of stage to Estimate
        ``changed`` less ``as_is``, in percentage points.
    moved_from : tuple of str
        Stages whose moves follow a model; out of the others customers move as before.
    covariate, level : str
    share : float
        Of those at the reference, counted as at the level.
    n_months : int
    """

    stages: tuple[str, ...]
    as_is: np.ndarray
    changed: np.ndarray
    differences: Mapping[str, Estimate]
    moved_from: tuple[str, ...]
    covariate: str
    level: str
    share: float
    n_months: int


def covariate_path(
    fits: Mapping[str, MultinomialLogit],
    moves_by_group: np.ndarray,
    stock: np.ndarray,
    *,
    moves: Moves,
    covariate: str,
    level: str,
    share: float,
    n_months: int,
    conf_level: float = 0.95,
) -> PathChange:
    """
    Project the stage mix with a share of those at the reference of a covariate counted as at another level.

    Parameters
    ----------
    fits : mapping of from-stage to MultinomialLogit
        With the covariate; stages without one move as they did.
    moves_by_group : array of shape (100, n_stages, n_stages)
        All counted moves, as ``transitions.counts.moves_by_group`` arranges them.
    stock : array of shape (100, n_stages)
        Customers in each stage today, by group.
    moves : Moves
    covariate, level : str
    share : float
        From 0 to 1, of those at the reference.
    n_months : int
        Months ahead, 1 to 12; the same share in each. Nobody joins.

    Returns
    -------
    PathChange
        Intervals by the jackknife over groups of customers; how months differ from each other is not in them.

    Raises
    ------
    ModelError
        No model, a share or a number of months out of range, or an unknown level.
    """
    if not fits:
        raise ModelError("a path of a covariate needs the model of at least one stage; came none")
    if not 0 < share <= 1:
        raise ModelError(f"share is above 0 and at most 1; came {share:g}")
    if not 1 <= n_months <= 12:
        raise ModelError(f"n_months is from 1 to 12; came {n_months}")
    total, now = moves_by_group.sum(axis=0), stock.sum(axis=0)
    counted = np.concatenate([total[None], total - moves_by_group])
    stocks = np.concatenate([now[None], now - stock])
    size = len(moves.stages)
    whole = counted.sum(axis=2, keepdims=True)
    before = np.where(whole > 0, counted / np.where(whole > 0, whole, 1), np.eye(size))
    after = before.copy()
    for from_stage, fit in fits.items():
        after[:, moves.stages.index(from_stage)] += share * _change(fit, before, moves, covariate, level)
    mixes = [_ahead(stocks, each, n_months) for each in (before, after)]
    points, n = 100 * (mixes[1] - mixes[0]), round(float(now.sum()))
    differences = {
        stage: jackknife(points[0, i], points[1:, i], unit="percentage points", n=n, level=conf_level)
        for i, stage in enumerate(moves.stages)
    }
    return PathChange(
        stages=moves.stages,
        as_is=mixes[0][0],
        changed=mixes[1][0],
        differences=differences,
        moved_from=tuple(fits),
        covariate=covariate,
        level=level,
        share=share,
        n_months=n_months,
    )


def _change(fit: MultinomialLogit, before: np.ndarray, moves: Moves, covariate: str, level: str) -> np.ndarray:
    """
    By how much the moves out of a stage change were all at the reference at the level, shape (101, n_stages).

    What is gained by the destinations is lost by staying and by the moves of the clock, in proportion.
    """
    cells = fit.cells
    own = cells.level(covariate, level)
    there = (cells.patterns[covariate] == cells.levels[covariate][0]).to_numpy()
    weights, coefficients = cells.weights, fit.without_each_group
    gap = probabilities_at(cells.as_if(covariate, own), coefficients) - probabilities_at(cells.x, coefficients)
    change = ((weights * there)[:, :, None] * gap).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    row = moves.stages.index(cells.from_stage)
    made = np.zeros((N_GROUPS + 1, len(moves.stages)))
    for place, to in enumerate(cells.destinations):
        if to != STAYS:
            made[:, moves.stages.index(to)] += change[:, place]
            continue
        quiet = moves.clock[row] | (np.arange(len(moves.stages)) == row)
        base = before[:, row] * quiet
        made += change[:, [place]] * base / base.sum(axis=1, keepdims=True)
    return made


def _ahead(stocks: np.ndarray, matrices: np.ndarray, n_months: int) -> np.ndarray:
    mix = stocks / stocks.sum(axis=1, keepdims=True)
    for _ in range(n_months):
        mix = np.einsum("gi,gij->gj", mix, matrices)
    return mix
