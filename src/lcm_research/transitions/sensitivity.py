"""
Which transition matters most: how an outcome of a chain answers to each move between stages.

One move becomes more or less likely and the other moves out of the same stage give way in proportion [1]_; moves by
the clock can give way, but nobody can bring them about, so they are marked.

.. [1] Caswell (2001), Matrix Population Models, chapter 9; Caswell (2019), Sensitivity Analysis: Matrix Methods in
   Demography and Ecology.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, jackknife
from lcm_research.transitions.fundamental import fundamental_matrix, reach_probability
from lcm_research.transitions.recency import ChainCounts, Start, probabilities

__all__ = ["Outcome", "elasticities", "outcome_after_change", "probability_outcome", "reweighted", "time_outcome"]

Outcome = Callable[[np.ndarray], np.ndarray]
"""From a transition matrix to the outcome of each state."""

STEP = 1e-30
"""Size of the imaginary step: a derivative by it has no rounding error."""


def time_outcome(chain: ChainCounts, *, target: str, horizon_periods: int | None) -> tuple[Outcome, np.ndarray]:
    """Return the periods until arrival in a stage as an outcome, and the states where it ends."""
    into = chain.members(target)
    return lambda P: fundamental_matrix(P, into, horizon_periods=horizon_periods).sum(axis=1), into


def probability_outcome(chain: ChainCounts, *, target: str, horizon_periods: int | None) -> tuple[Outcome, np.ndarray]:
    """Return the probability of arriving in a stage as an outcome, and the states where it ends."""
    into = chain.members(target)
    return lambda P: reach_probability(P, into, horizon_periods=horizon_periods), into


def reweighted(probability: np.ndarray, rows: np.ndarray, columns: np.ndarray, factor: complex | float) -> np.ndarray:
    """
    Multiply the probability of a move by ``factor`` and let the other moves out of its rows give way in proportion.

    Parameters
    ----------
    probability : array of shape (n_states, n_states)
    rows, columns : arrays of bool, shape (n_states,)
        The states of the stage that is left, and of the one that is entered.
    factor : number

    Returns
    -------
    array of shape (n_states, n_states)
        Rows sum to 1. A row that leads nowhere else stays as it is.

    Examples
    --------
    Half as many stay, so the two other moves share the rest as before, 1 to 3:

    >>> P = np.array([[0.6, 0.1, 0.3], [0, 1, 0], [0, 0, 1]])
    >>> reweighted(P, np.array([True, False, False]), np.array([True, False, False]), 0.5)[0].round(3).tolist()
    [0.3, 0.175, 0.525]
    """
    P = probability.astype(complex if isinstance(factor, complex) else float)
    share = P[:, columns].sum(axis=1)
    can = rows & (share.real > 0) & (share.real < 1)
    if (share[can] * factor).real.max(initial=0.0) > 1:
        raise ModelError(
            f"a probability of {share[can].real.max():.3g} times {np.real(factor):.3g} is above 1; choose a factor up "
            f"to {1 / share[can].real.max():.3g}"
        )
    others = (1 - share * factor) / np.where(can, 1 - share, 1.0)
    changed = np.where(columns[None, :], P * factor, P * others[:, None])
    return np.where(can[:, None], changed, P)


def elasticities(
    chain: ChainCounts,
    outcome: Outcome,
    *,
    final: np.ndarray,
    origin: str,
    start: Start,
    clock: Sequence[tuple[str, str]] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """
    How an outcome of customers of one stage answers to each move between stages.

    Parameters
    ----------
    chain : ChainCounts
    outcome : function
        From a transition matrix to the outcome of each state: ``time_outcome``, ``probability_outcome`` or a value.
    final : array of bool, shape (n_states,)
        States that the outcome treats as the end.
    origin : str
        Stage of the customers at the start.
    start : {"entry", "stock"}
    clock : list of (from, to)
        Moves that nobody can bring about.
    level : float

    Returns
    -------
    DataFrame
        from, to, probability, elasticity (percent change of the outcome for one percent more of the move, the others
        giving way in proportion) with lower and upper by the jackknife, change_per_point (of the outcome, for one
        percentage point more), clock; largest elasticity first.
    """
    counts = chain.without_each_group()
    matrices = probabilities(counts, final, states=chain.states)
    place = chain.stages.index(origin) if chain.members(origin).any() else 0
    shares = np.array([chain.start_shares(each, start)[place] for each in counts])
    levels = np.array([float(share @ outcome(P)) for share, P in zip(shares, matrices, strict=True)])
    rows = []
    for i, j in _moves(chain, counts[0], final):
        leave, enter = chain.stage_of == i, chain.stage_of == j
        slopes = np.array([
            float((share @ outcome(reweighted(P, leave, enter, 1 + 1j * STEP))).imag / STEP)
            for share, P in zip(shares, matrices, strict=True)
        ])  # fmt: skip
        relative = slopes / levels
        found = jackknife(relative[0], relative[1:], unit="ratio", n=int(counts[0, leave].sum()), level=level)
        happens = float(counts[0][np.ix_(leave, enter)].sum() / counts[0, leave].sum())
        pair = (chain.stages[i], chain.stages[j])
        ends = (found.value, found.lower, found.upper)
        rows.append((*pair, happens, *ends, slopes[0] / happens / 100, pair in set(clock)))
    columns = ["from", "to", "probability", "elasticity", "lower", "upper", "change_per_point", "clock"]
    made = pd.DataFrame(rows, columns=columns)
    return made.sort_values("elasticity", key=lambda e: -e.abs(), ignore_index=True)


def outcome_after_change(
    chain: ChainCounts,
    outcome: Outcome,
    *,
    final: np.ndarray,
    origin: str,
    start: Start,
    move: tuple[str, str],
    factor: float,
    unit: str,
    level: float = 0.95,
) -> Estimate:
    """
    Change of an outcome when one move becomes ``factor`` times as likely and the others give way in proportion.

    A calculation on the chain, no promise that anything can change the move alone. Parameters as in
    ``elasticities``; ``move`` is (from, to).

    Returns
    -------
    Estimate
        The outcome after the change less before, in the outcome's unit, by the jackknife.
    """
    counts = chain.without_each_group()
    matrices = probabilities(counts, final, states=chain.states)
    leave, enter = chain.members(move[0]), chain.members(move[1])
    if not counts[0][np.ix_(leave, enter)].any():
        raise ModelError(f"nobody was seen to move from '{move[0]}' to '{move[1]}'; choose a move that happened")
    place = chain.stages.index(origin) if chain.members(origin).any() else 0
    changes = np.array([
        float(chain.start_shares(each, start)[place] @ (outcome(reweighted(P, leave, enter, factor)) - outcome(P)))
        for each, P in zip(counts, matrices, strict=True)
    ])  # fmt: skip
    return jackknife(changes[0], changes[1:], unit=unit, n=int(counts[0, leave].sum()), level=level)


def _moves(chain: ChainCounts, counts: np.ndarray, final: np.ndarray) -> list[tuple[int, int]]:
    """Return the moves between stages that happened, out of stages that do not end the outcome."""
    size = len(chain.stages)
    inside = np.eye(size)[chain.stage_of]
    made = inside.T @ counts @ inside
    return [(i, j) for i in range(size) for j in range(size) if made[i, j] > 0 and not final[chain.stage_of == i].all()]
