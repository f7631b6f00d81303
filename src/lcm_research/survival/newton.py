"""Newton's way to the top of a log-likelihood: steps that go uphill also where it is not yet concave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS

__all__ = ["Evaluation", "climb", "moves"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Log-likelihood at some parameters, each cell's score (n_cells, p) for one spell, and the information (p, p)."""

    value: float
    scores: np.ndarray
    score: np.ndarray
    information: np.ndarray


def climb(
    evaluate: Callable[[np.ndarray], Evaluation],
    start: np.ndarray,
    *,
    what: str,
    check: Callable[[np.ndarray], None] | None = None,
) -> tuple[np.ndarray, Evaluation]:
    """
    Step to the maximum, halving steps that overshoot, until they no longer move.

    Parameters
    ----------
    evaluate : function
        From parameters of shape (p,), about one standard deviation or one log unit apart, to an ``Evaluation``.
    start : array of shape (p,)
    what : str
        What is fitted, for the message where it does not settle within 100 steps.
    check : function, optional
        Called with each point; raises where a parameter runs off.
    """
    at, here = start, evaluate(start)
    for _ in range(100):
        size, direction = np.linalg.eigh(here.information)
        # sizes without their signs: uphill also where the likelihood is not yet concave
        along = direction.T @ here.score / np.maximum(np.abs(size), 1e-10 * np.abs(size).max())
        step = direction @ along
        step *= min(1.0, 3.0 / np.abs(step).max()) if step.any() else 1.0
        here, step = _shortened(evaluate, at, step, here)
        at = at + step
        if check is not None:
            check(at)
        if np.abs(step).max() < 1e-10 and size.min() > 0:
            return at, here
    raise ModelError(f"the fit of {what} did not settle in 100 steps; merge rare levels or choose another shape")


def moves(counts: pd.DataFrame, cell: np.ndarray, at_fit: Evaluation) -> np.ndarray:
    """One Newton step for each group of customers that is left out, shape (100, p): its score by the information."""
    groups = counts["replicate"].to_numpy(np.int64)
    shape = (N_GROUPS, len(at_fit.scores))
    by_cell = sparse.coo_matrix((counts["n"].to_numpy(float), (groups, cell)), shape=shape).tocsr()
    return by_cell @ at_fit.scores @ np.linalg.inv(at_fit.information)


def _shortened(
    evaluate: Callable[[np.ndarray], Evaluation], at: np.ndarray, step: np.ndarray, here: Evaluation
) -> tuple[Evaluation, np.ndarray]:
    while True:
        with np.errstate(all="ignore"):
            ahead = evaluate(at + step)
        whole = np.isfinite(ahead.information).all() and np.isfinite(ahead.score).all()
        if (whole and ahead.value >= here.value - 1e-9 * abs(here.value)) or np.abs(step).max() < 1e-12:
            return ahead, step
        step = step / 2
