"""
How fast do customers move at one level of a covariate beside another? Cause-specific hazards in months.

Each move has its own hazard: who makes it among all who are in the stage at the start of a month; who makes another
move is no longer at risk of this one. With a complementary log-log link the ratio is that of the hazards at any
moment of the month, whatever its length [1]_, as long as few make two moves in one month.

.. [1] Prentice and Gloeckler (1978), Biometrics 34:57; Allison (1982), Sociological Methodology 13:61.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.tools.sm_exceptions import ModelWarning

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, jackknife
from lcm_research.transitions.move_cells import MoveCells

__all__ = ["TransitionHazard", "transition_hazard_ratios"]

FARTHEST = 15.0


@dataclass(frozen=True, kw_only=True, eq=False)
class TransitionHazard:
    """
    A fitted hazard of one move.

    Attributes
    ----------
    to_stage : str
    names : tuple of str, length p
        Columns, the intercept first.
    coefficients : array of shape (p,)
        Log hazard ratios.
    moved : array of shape (100, p)
        By how much each group of customers moves them.
    ratios : mapping of column to Estimate
        Hazard ratios, the intercept left out.
    """

    to_stage: str
    names: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray = field(repr=False)
    moved: np.ndarray = field(repr=False)
    ratios: Mapping[str, Estimate]

    def table(self) -> pd.DataFrame:
        """Return one row a column: to, covariate, hazard_ratio, lower, upper."""
        rows = [(self.to_stage, name, r.value, r.lower, r.upper) for name, r in self.ratios.items()]
        return pd.DataFrame(rows, columns=["to", "covariate", "hazard_ratio", "lower", "upper"])


def transition_hazard_ratios(
    cells: MoveCells, *, to_stage: str, n_customers: int | None = None, level: float = 0.95
) -> TransitionHazard:
    """
    Ratios of the monthly hazard of one move between the levels of covariates.

    A binomial model of the customer-months that ended in the move among all that began in the stage, by statsmodels on
    counts by pattern.

    Parameters
    ----------
    cells : MoveCells
        From ``move_cells``.
    to_stage : str
        A destination other than the base.
    n_customers : int, optional
        Different customers behind the counts; without it every customer-month counts.
    level : float

    Returns
    -------
    TransitionHazard
        Intervals by the one-step delete-a-group jackknife from the scores of 100 groups, t with 99 degrees of freedom.

    Raises
    ------
    ModelError
        A destination without moves enough, the base, or a column that separates who moves.
    """
    place = cells.destination(to_stage)
    if place == 0:
        raise ModelError(f"'{to_stage}' is staying, which has no hazard; choose one of {cells.destinations[1:]}")
    made = cells.n[:, :, place]
    others = cells.n.sum(axis=2) - made
    # two weighted rows a pattern, those who move and the others: as many rows as columns would leave nothing over
    weight = np.concatenate([made.sum(axis=0), others.sum(axis=0)])
    there = weight > 0
    fit = sm.GLM(
        np.repeat([1.0, 0.0], len(cells.x))[there],
        np.vstack([cells.x, cells.x])[there],
        family=sm.families.Binomial(sm.families.links.CLogLog()),
        freq_weights=weight[there],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        found = fit.fit(maxiter=100, tol=1e-12, tol_criterion="params")
    far = np.abs(found.params[1:])
    if not found.converged or far.max() > FARTHEST:
        name = cells.names[1 + int(far.argmax())]
        raise ModelError(
            f"the hazard of moving from '{cells.from_stage}' to '{to_stage}' did not settle: '{name}' runs off; merge "
            "levels or leave it out"
        )
    at = np.exp(cells.x @ found.params)
    # slope of the log-likelihood of one who moves, and of one who does not, by the linear predictor
    scores = (made * (at / np.expm1(at)) - others * at) @ cells.x
    covariance = np.asarray(found.cov_params())
    moved, n = scores @ covariance, round(float(cells.n.sum())) if n_customers is None else n_customers
    ratios = {
        name: jackknife(
            float(np.exp(found.params[i])),
            np.exp(found.params[i] - moved[:, i]),
            unit="hazard_ratio",
            n=n,
            scale="log",
            level=level,
        )
        for i, name in enumerate(cells.names)
        if i > 0
    }
    return TransitionHazard(
        to_stage=to_stage,
        names=cells.names,
        coefficients=found.params,
        covariance=covariance,
        moved=moved,
        ratios=ratios,
    )
