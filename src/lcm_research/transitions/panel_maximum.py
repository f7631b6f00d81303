"""The maximum of a panel's likelihood, where it is flat as well, and the information there."""

from __future__ import annotations

import numpy as np
from scipy import optimize

from lcm_research.errors import ModelError
from lcm_research.transitions.continuous import StageNames
from lcm_research.transitions.panel_likelihood import PanelCells, log_likelihood

__all__ = ["MOST_RATIO", "limits", "maximum"]

MOST_RATIO = 200.0
"""By how much a covariate, over its range, may multiply an intensity: beyond it no data of customers tell more."""

STEP = 1e-5
"""Of the coefficients, for the second derivatives."""


def maximum(cells: PanelCells, begin: np.ndarray, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the coefficients at the maximum, their covariance, and which are held at their limit."""
    scale, shape = cells.n.sum(), begin.shape

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            value, score = log_likelihood(cells, flat.reshape(shape))
        except ModelError:
            return np.inf, np.zeros_like(flat)
        return -value / scale, -score.sum(axis=0).ravel() / scale

    found = optimize.minimize(loss, begin.ravel(), jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 500})
    flat = np.clip(found.x, -limit, limit)
    held = np.abs(flat) >= limit
    for _ in range(50):  # Newton's method from there: BFGS stops early where the likelihood is flat
        score = log_likelihood(cells, flat.reshape(shape))[1].sum(axis=0).ravel()
        held = (np.abs(flat) >= limit) & (score * flat > 0)
        information = information_at(cells, flat, shape)[np.ix_(~held, ~held)]
        sizes, directions = np.linalg.eigh(information)
        if sizes[0] <= 1e-8 * sizes[-1]:
            _refuse_untold(cells.names, np.flatnonzero(~held)[np.argmax(np.abs(directions[:, 0]))] // shape[1])
        step = np.zeros_like(flat)
        step[~held] = np.linalg.solve(information, score[~held])
        flat = np.clip(flat + step * min(1.0, 1.0 / np.abs(step).max(initial=1e-300)), -limit, limit)
        if np.abs(step).max() < 1e-7:
            covariance = np.zeros((flat.size, flat.size))
            covariance[np.ix_(~held, ~held)] = np.linalg.inv(information)
            return flat.reshape(shape), covariance, held.reshape(shape)
    raise ModelError(
        "the likelihood has no clear maximum after 50 steps; leave moves or covariates out, or wait for more looks"
    )


def limits(cells: PanelCells, n_moves: int) -> np.ndarray:
    """How far from 0 each coefficient may go: intensities anywhere, ratios to 200 over the covariate's range."""
    ranges = np.ptp(cells.patterns, axis=(0, 1))
    columns = np.divide(np.log(MOST_RATIO), ranges, out=np.full(len(ranges), np.inf), where=ranges > 0)
    return np.tile(columns, n_moves)


def _refuse_untold(names: StageNames, move: int) -> None:
    a, b = names.moves[move]
    raise ModelError(
        f"the data do not tell the intensity of moving from '{a}' to '{b}' apart from the others; leave that move "
        "or its covariates out, or wait for more looks"
    )


def information_at(cells: PanelCells, flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Minus the second derivatives of the log-likelihood, from differences of its exact score."""
    rows = []
    for k in range(len(flat)):
        ends = []
        for sign in (1, -1):
            moved = flat.copy()
            moved[k] += sign * STEP
            ends.append(log_likelihood(cells, moved.reshape(shape))[1].sum(axis=0).ravel())
        rows.append((ends[1] - ends[0]) / (2 * STEP))
    information = np.array(rows)
    return (information + information.T) / 2
