"""The fundamental matrix of a chain with final states, and what follows from it: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import shortest_path

__all__ = ["absorption_variance", "can_reach", "fundamental_matrix", "reach_probability"]


def fundamental_matrix(probability: np.ndarray, final: np.ndarray, *, horizon_periods: int | None) -> np.ndarray:
    r"""
    Expected periods spent in each state before a final one, by the state at the start.

    :math:`N = (I - Q)^{-1}` with ``Q`` the moves between states that are not final [1]_; with a horizon of ``k``
    periods :math:`\sum_{t=0}^{k-1} Q^t`. The period at the start counts.

    Parameters
    ----------
    probability : array of shape (n_states, n_states)
    final : array of bool, shape (n_states,)
    horizon_periods : int or None

    Returns
    -------
    array of shape (n_states, n_states)
        Periods; rows and columns of final states are 0.

    References
    ----------
    .. [1] Kemeny and Snell (1960), Finite Markov Chains.

    Examples
    --------
    Of the active, 1 in 5 leaves each period, so they stay 5 periods:

    >>> leaving = np.array([[0.8, 0.2], [0.0, 1.0]])
    >>> float(fundamental_matrix(leaving, np.array([False, True]), horizon_periods=None)[0, 0].round(9))
    5.0
    """
    stays = np.flatnonzero(~final)
    Q = probability[np.ix_(stays, stays)]
    out = np.zeros_like(probability)
    if horizon_periods is None:
        out[np.ix_(stays, stays)] = np.linalg.solve(np.eye(len(stays)) - Q, np.eye(len(stays)))
        return out
    power = np.eye(len(stays), dtype=probability.dtype)
    total = np.zeros_like(power)
    for _ in range(horizon_periods):
        total = total + power
        power = power @ Q
    out[np.ix_(stays, stays)] = total
    return out


def absorption_variance(probability: np.ndarray, final: np.ndarray) -> np.ndarray:
    r"""
    Variance of the number of periods before a final state, by the state at the start (0 for final ones).

    :math:`(2N - I)t - t^2` with ``t`` the row sums of ``N`` (Kemeny and Snell 1960).
    """
    N = fundamental_matrix(probability, final, horizon_periods=None)
    t = N.sum(axis=1)
    return np.where(final, 0.0, 2 * N @ t - t - t**2)


def reach_probability(probability: np.ndarray, target: np.ndarray, *, horizon_periods: int | None) -> np.ndarray:
    """
    Probability of being in ``target`` at some time, or within a horizon, by the state at the start.

    Parameters
    ----------
    probability : array of shape (n_states, n_states)
    target : array of bool, shape (n_states,)
        Where to arrive.

    Returns
    -------
    array of shape (n_states,)
        1 in the target itself.
    """
    ends = target
    arriving = probability[:, target].sum(axis=1) * ~target
    if horizon_periods is None:
        # states that cannot arrive have probability 0; leaving them out keeps the system regular
        ends = ends | ~can_reach(probability, target)
    N = fundamental_matrix(probability, ends, horizon_periods=horizon_periods)
    return N @ arriving + target


def can_reach(probability: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return from which states a path leads to one of ``target``, which lead to themselves."""
    distance = shortest_path(np.ascontiguousarray(probability.real > 0, dtype=float), unweighted=True)
    return np.isfinite(distance[:, target]).any(axis=1)
