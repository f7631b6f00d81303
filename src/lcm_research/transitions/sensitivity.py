"""
Which transition matters most: how an outcome of a chain answers to each move between stages.

One move becomes more or less likely and the other moves out of the same stage give way in proportion [1]_; moves by
the clock can give way, but nobody can bring them about, so they are marked.

.. [1] Caswell (2001), Matrix Population Models, chapter 9; Caswell (2019), Sensitivity Analysis: Matrix Methods in
   Demography and Ecology.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, jackknife
from lcm_research.transitions.fundamental import fundamental_matrix, reach_probability
from lcm_research.transitions.recency import ChainCounts, Start, probabilities

__all__ = [
    "Outcome",
    "alike",
    "elasticities",
    "levers",
    "outcome_after_change",
    "probability_outcome",
    "reweighted",
    "time_outcome",
]

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


def reweighted(
    probability: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    factor: complex | float,
    *,
    at_most_certain: bool = False,
) -> np.ndarray:
    """
    Multiply the probability of a move by ``factor`` and let the other moves out of its rows give way in proportion.

    Parameters
    ----------
    probability : array of shape (n_states, n_states)
    rows, columns : arrays of bool, shape (n_states,)
        The states of the stage that is left, and of the one that is entered.
    factor : number
    at_most_certain : bool
        Whether a row in which the move would be more than certain makes it certain; otherwise it is refused.

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
    if at_most_certain:
        certain = can & (share.real * np.real(factor) >= 1)
        P = np.where(certain[:, None], P * columns / np.where(certain, share, 1.0)[:, None], P)
        can &= ~certain
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
    origin: str | np.ndarray,
    start: Start,
    clock: Sequence[tuple[str, str]] = (),
    n_customers: Mapping[str, int] | None = None,
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
    origin : str or array of shape (101, n_states)
        Stage of the customers at the start; or their shares of the states, with and without each group of customers.
    start : {"entry", "stock"}
        Where in their stage they are; of no weight where ``origin`` tells it.
    clock : list of (from, to)
        Moves that nobody can bring about.
    n_customers : mapping of stage to int, optional
        Customers behind the moves out of each stage; without it customer-periods are told.
    level : float

    Returns
    -------
    DataFrame
        from, to, probability, elasticity (percent change of the outcome for one percent more of the move, the others
        giving way in proportion) with lower and upper by the jackknife, change_per_point (of the outcome, for one
        percentage point more), clock, estimate (the elasticity as an Estimate, with its values without each group);
        largest elasticity first.
    """
    counts = chain.without_each_group()
    matrices = probabilities(counts, final, states=chain.states)
    shares = _shares(chain, counts, origin, start)
    levels = np.array([float(share @ outcome(P)) for share, P in zip(shares, matrices, strict=True)])
    rows = []
    for i, j in _moves(chain, counts[0], final):
        leave, enter = chain.stage_of == i, chain.stage_of == j
        slopes = np.array([
            float((share @ outcome(reweighted(P, leave, enter, 1 + 1j * STEP))).imag / STEP)
            for share, P in zip(shares, matrices, strict=True)
        ])  # fmt: skip
        relative = slopes / levels
        n = int(counts[0, leave].sum()) if n_customers is None else int(n_customers.get(chain.stages[i], 0))
        found = jackknife(relative[0], relative[1:], unit="elasticity", n=n, level=level)
        happens = float(counts[0][np.ix_(leave, enter)].sum() / counts[0, leave].sum())
        pair = (chain.stages[i], chain.stages[j])
        ends = (found.value, found.lower, found.upper)
        rows.append((*pair, happens, *ends, slopes[0] / happens / 100, pair in set(clock), found))
    columns = ["from", "to", "probability", "elasticity", "lower", "upper", "change_per_point", "clock", "estimate"]
    made = pd.DataFrame(rows, columns=columns)
    return made.sort_values("elasticity", key=lambda e: -e.abs(), ignore_index=True)


def levers(found: pd.DataFrame, *, among: Sequence[tuple[str, str]], at_most: int) -> pd.DataFrame:
    """
    Return the moves of ``elasticities`` that somebody could work on, the most important first.

    Moves by the clock are none, nor is staying, which is what the moves out leave over; moves that do not touch the
    outcome at all are left out.

    Parameters
    ----------
    found : DataFrame
        Of ``elasticities``.
    among : list of (from, to)
        Moves that may be shown.
    at_most : int
        Moves to return.
    """
    touched = (found["elasticity"].abs() > 1e-9) & (found["from"] != found["to"]) & ~found["clock"]
    may = np.array([pair in set(among) for pair in zip(found["from"], found["to"], strict=True)], dtype=bool)
    return found[touched & may].head(at_most).reset_index(drop=True)


def alike(moves: pd.DataFrame, *, level: float = 0.95) -> list[tuple[str, str]]:
    """
    Return the moves whose elasticity cannot be told from the largest, which is the first, in size.

    Parameters
    ----------
    moves : DataFrame
        Of ``levers``.
    level : float
        Of each pairwise interval of a difference, by the jackknife over the groups that both share.
    """
    sizes = [_size(row) for row in moves["estimate"]]
    same = []
    for place, pair in enumerate(zip(moves["from"], moves["to"], strict=True)):
        if place:
            gap = jackknife(
                sizes[0][0] - sizes[place][0], sizes[0][1] - sizes[place][1], unit="ratio", n=1, level=level
            )
            if gap.sign() == 0:
                same.append(pair)
    return same


def _size(elasticity: Estimate) -> tuple[float, np.ndarray]:
    """Return how large an elasticity is, whatever its sign, with its values without each group."""
    sign = -1.0 if elasticity.value < 0 else 1.0
    without = elasticity.leave_one_out if elasticity.leave_one_out is not None else np.empty(0)
    return sign * elasticity.value, sign * without


def _shares(chain: ChainCounts, counts: np.ndarray, origin: str | np.ndarray, start: Start) -> np.ndarray:
    """Return where customers start: shares of shape (101, n_states)."""
    if not isinstance(origin, str):
        return origin
    place = chain.stages.index(origin) if chain.members(origin).any() else 0
    return np.array([chain.start_shares(each, start)[place] for each in counts])


def outcome_after_change(
    chain: ChainCounts,
    outcome: Outcome,
    *,
    final: np.ndarray,
    origin: str | np.ndarray,
    start: Start,
    move: tuple[str, str],
    factor: float,
    unit: str,
    at_most_certain: bool = False,
    level: float = 0.95,
) -> Estimate:
    """
    Change of an outcome when one move becomes ``factor`` times as likely and the others give way in proportion.

    A calculation on the chain, no promise that anything can change the move alone. Parameters as in
    ``elasticities``; ``move`` is (from, to), ``at_most_certain`` as in ``reweighted``.

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
    changes = np.array([
        float(share @ (outcome(reweighted(P, leave, enter, factor, at_most_certain=at_most_certain)) - outcome(P)))
        for share, P in zip(_shares(chain, counts, origin, start), matrices, strict=True)
    ])  # fmt: skip
    return jackknife(changes[0], changes[1:], unit=unit, n=int(counts[0, leave].sum()), level=level)


def _moves(chain: ChainCounts, counts: np.ndarray, final: np.ndarray) -> list[tuple[int, int]]:
    """Return the moves between stages that happened, out of stages that do not end the outcome."""
    size = len(chain.stages)
    inside = np.eye(size)[chain.stage_of]
    made = inside.T @ counts @ inside
    return [(i, j) for i in range(size) for j in range(size) if made[i, j] > 0 and not final[chain.stage_of == i].all()]
