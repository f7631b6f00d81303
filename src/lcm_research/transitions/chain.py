"""
The transition matrix of a Markov chain in discrete time, with intervals that know customers from customer-periods.

A customer contributes many moves, so moves are not independent: intervals leave out whole groups of customers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats
from scipy.sparse.csgraph import connected_components

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, proportion
from lcm_research.privacy import small_rows
from lcm_research.stages.moves import Moves
from lcm_research.transitions.counts import customers_behind, moves_by_group

__all__ = ["TransitionMatrix", "dirichlet_interval", "stationary_distribution", "transition_matrix"]

UNIT = "probability"


@dataclass(frozen=True, kw_only=True, eq=False)
class TransitionMatrix:
    """
    Probability of being in each stage one period later, given the stage now.

    Parameters
    ----------
    moves : Moves
        What the scheme allows, and which moves are made by the clock.
    n : array of float, shape (n_stages, n_stages)
        Moves counted, in customer-periods; from rows, to columns.
    estimates : mapping of (from, to) to Estimate
        Each possible move out of a stage that somebody was in, with ``n`` the customers who were in it.
    customers : array of int, shape (n_stages, n_stages)
        Different customers who made each move.
    customers_from : array of int, shape (n_stages,)
        Different customers who started a period in each stage.
    """

    moves: Moves
    n: np.ndarray
    estimates: Mapping[tuple[str, str], Estimate]
    customers: np.ndarray
    customers_from: np.ndarray

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages, in the scheme's order."""
        return self.moves.stages

    @property
    def unvisited(self) -> tuple[str, ...]:
        """Stages in which nobody started a period: nothing is known about leaving them."""
        return tuple(stage for stage, n in zip(self.stages, self.n.sum(axis=1), strict=True) if n == 0)

    @property
    def probability(self) -> np.ndarray:
        """Array of shape (n_stages, n_stages); rows sum to 1, and are missing for unvisited stages."""
        with np.errstate(invalid="ignore"):
            return self.n / self.n.sum(axis=1, keepdims=True)

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the moves at their maximum, given the first stage of each customer."""
        made = self.n > 0
        return float((self.n[made] * np.log(self.probability[made])).sum())

    def estimate(self, from_stage: str, to_stage: str) -> Estimate:
        """Return a probability with its interval; ModelError for a move that cannot be estimated."""
        found = self.estimates.get((from_stage, to_stage))
        if found is not None:
            return found
        for stage in (from_stage, to_stage):
            if stage not in self.stages:
                raise ModelError(f"no stage is named '{stage}'; the stages are {', '.join(self.stages)}")
        if from_stage in self.unvisited:
            raise ModelError(f"nobody started a period as '{from_stage}', so no move out of it can be estimated")
        raise ModelError(f"the scheme rules out a move from '{from_stage}' to '{to_stage}' within one period")

    def likeliest_exit(self, from_stage: str) -> str | None:
        """Return the stage that customers leave ``from_stage`` for most often; None where nobody left it."""
        row = self.n[self.stages.index(from_stage)].copy()
        row[self.stages.index(from_stage)] = 0
        return self.stages[int(row.argmax())] if row.any() else None

    def standard_error(self, *, assume: Literal["multinomial", "poisson"]) -> np.ndarray:
        """
        Analytic standard errors, as if every move were another customer's.

        ``multinomial`` takes the number of customer-periods in a stage as given; ``poisson`` lets it vary,
        which is what R's markovchain prints. Kept beside the jackknife to compare with other software.
        """
        p, total = self.probability, self.n.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(p * (1 - p) / total) if assume == "multinomial" else np.sqrt(self.n) / total

    def hidden(self, *, min_group: int) -> np.ndarray:
        """Return which cells describe fewer than ``min_group`` customers, or would give such a cell away."""
        rows = pd.Series(np.repeat(self.stages, len(self.stages)))
        cells = small_rows(pd.Series(self.customers.ravel()), rows, min_group=min_group).reshape(self.n.shape)
        few = (self.customers_from > 0) & (self.customers_from < min_group)
        return cells | few[:, None]

    def smallest_shown(self, *, min_group: int) -> int:
        """Return the customers behind the smallest cell that is not hidden; 0 where all are."""
        shown = self.customers[~self.hidden(min_group=min_group) & (self.customers > 0)]
        return int(shown.min()) if len(shown) else 0

    def publishable(self, pairs: Sequence[tuple[str, str]], *, min_group: int) -> list[tuple[str, str]]:
        """Return those of some moves that were estimated and give away no group below ``min_group`` customers."""
        hidden, place = self.hidden(min_group=min_group), self.stages.index
        return [pair for pair in pairs if pair in self.estimates and not hidden[place(pair[0]), place(pair[1])]]

    def table(self) -> pd.DataFrame:
        """
        Return one row for each possible move.

        Columns: from, to, probability, lower, upper, n_moves and n_from (customer-periods), n_customers (different
        customers who made the move), n_customers_from (who were in the stage), clock (made by time alone), purchase
        (made by a purchase alone). Probabilities are missing where nobody was in the stage.
        """
        columns = ["from", "to", "probability", "lower", "upper", "n_moves", "n_from", "n_customers"]
        rows = []
        for i, j in zip(*np.nonzero(self.moves.possible), strict=True):
            pair = (self.stages[i], self.stages[j])
            found = self.estimates.get(pair)
            ends = (found.value, found.lower, found.upper) if found else (np.nan,) * 3
            size = (int(self.n[i, j]), int(self.n[i].sum()), int(self.customers[i, j]), int(self.customers_from[i]))
            rows.append((*pair, *ends, *size, bool(self.moves.clock[i, j]), bool(self.moves.purchase[i, j])))
        return pd.DataFrame(rows, columns=[*columns, "n_customers_from", "clock", "purchase"])


def transition_matrix(
    counts: pd.DataFrame,
    *,
    stages: Sequence[str],
    moves: Moves | None = None,
    customers: pd.DataFrame | None = None,
    level: float = 0.95,
) -> TransitionMatrix:
    """
    Estimate the probability of each move between stages within one period.

    The share of customer-periods in a stage that ended in each stage, which is the maximum-likelihood estimate
    [1]_. Intervals leave out groups of customers (jackknife on the logit scale); where fewer than 20 groups made,
    or did not make, a move, they are exact (Clopper-Pearson) for customer-periods. A move that the scheme rules
    out has probability 0 and no interval.

    Parameters
    ----------
    counts : DataFrame
        from_stage, to_stage, replicate, n, as ``transition_counts`` returns them; further keys are summed over.
    stages : list of str
        Order of the stages.
    moves : Moves, optional
        From ``possible_moves``; without it every move is possible and none is made by the clock.
    customers : DataFrame, optional
        From ``customers_by_move``; without it every move counts as another customer's.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        No move was counted, or a move that the scheme rules out was.

    References
    ----------
    .. [1] Anderson and Goodman (1957), Annals of Mathematical Statistics 28:89.
    """
    allowed = moves or _anything(stages)
    if allowed.stages != tuple(stages):
        raise ModelError(f"the moves are those of stages {allowed.stages}; the counts were to be of {tuple(stages)}")
    grouped = moves_by_group(counts, stages=stages)
    n = grouped.sum(axis=0)
    if not n.any():
        raise ModelError(
            "a transition matrix needs customers whose stage is known at the end of two periods in a row; none were "
            "counted: the window may be too short for the churn window, or the history not complete"
        )
    _refuse_impossible(n, allowed)
    moved, started = (
        customers_behind(customers, stages=stages)
        if customers is not None
        else (n.astype(np.int64), n.sum(axis=1).astype(np.int64))
    )
    estimates = {
        (stages[i], stages[j]): _probability(grouped, i, j, allowed, int(started[i]), level)
        for i, j in zip(*np.nonzero(allowed.possible), strict=True)
        if n[i].any()
    }
    return TransitionMatrix(moves=allowed, n=n, estimates=estimates, customers=moved, customers_from=started)


def _anything(stages: Sequence[str]) -> Moves:
    none = np.zeros((len(stages), len(stages)), dtype=bool)
    return Moves(stages=tuple(stages), possible=~none, clock=none, purchase=none)


def _refuse_impossible(n: np.ndarray, moves: Moves) -> None:
    wrong = np.argwhere((n > 0) & ~moves.possible)
    if len(wrong):
        i, j = wrong[0]
        raise ModelError(
            f"{int(n[i, j])} moves from '{moves.stages[i]}' to '{moves.stages[j]}' were counted, which the scheme "
            "rules out within one period; counts and moves must come from the same scheme and thresholds"
        )


def _probability(grouped: np.ndarray, i: int, j: int, moves: Moves, n_customers: int, level: float) -> Estimate:
    if moves.possible[i].sum() == 1:  # nothing else can happen: true by definition
        return Estimate(value=1.0, lower=1.0, upper=1.0, unit=UNIT, n=n_customers, level=level)
    found = proportion(grouped[:, i, j], grouped[:, i].sum(axis=1), unit=UNIT, level=level)
    return replace(found, n=n_customers)


def dirichlet_interval(
    matrix: TransitionMatrix, *, prior: float, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return posterior means and equal-tailed intervals of the probabilities under a symmetric Dirichlet prior.

    A stated prior where the data are few. Moves that the scheme rules out keep probability 0: they get no prior.

    Parameters
    ----------
    matrix : TransitionMatrix
    prior : float
        Prior moves put into each possible cell: 1 is uniform, 0.5 is Jeffreys'.

    Returns
    -------
    mean, lower, upper : arrays of shape (n_stages, n_stages)
    """
    if prior <= 0:
        raise ModelError(f"a Dirichlet prior is positive; came prior={prior:g}; 0.5 is Jeffreys' choice")
    possible = matrix.moves.possible
    a = np.where(possible, matrix.n + prior, 0.0)
    rest = a.sum(axis=1, keepdims=True) - a
    mean = a / a.sum(axis=1, keepdims=True)
    certain = possible & (rest == 0)
    with np.errstate(invalid="ignore"):
        lower, upper = (stats.beta.ppf(q, a, rest) for q in ((1 - level) / 2, (1 + level) / 2))
    ends = [np.where(certain, 1.0, np.where(possible, end, 0.0)) for end in (lower, upper)]
    return mean, ends[0], ends[1]


def stationary_distribution(probability: np.ndarray, *, stages: Sequence[str]) -> pd.Series:
    r"""
    Return the shares of stages that one more period leaves as they are.

    The solution of :math:`\pi P = \pi`. It describes a population that nobody enters: for customers who keep
    arriving it is no forecast.

    Parameters
    ----------
    probability : array of shape (n_stages, n_stages)
        Rows sum to 1.
    stages : list of str

    Raises
    ------
    ModelError
        A row is missing, or customers end in one of several groups of stages depending on where they start.

    Examples
    --------
    Of the active 1 in 10 pauses, of the pausing 3 in 10 return, so 3 are active for each that pauses:

    >>> stationary_distribution(np.array([[0.9, 0.1], [0.3, 0.7]]), stages=["active", "paused"]).round(4).to_dict()
    {'active': 0.75, 'paused': 0.25}
    """
    P = np.asarray(probability, dtype=float)
    if not np.allclose(P.sum(axis=1), 1.0):
        bad = [stage for stage, total in zip(stages, P.sum(axis=1), strict=True) if not np.isclose(total, 1.0)]
        raise ModelError(f"rows of a transition matrix sum to 1; that of '{bad[0]}' does not (nobody was in it?)")
    n_classes, member = connected_components(P > 0, directed=True, connection="strong")
    classes = [np.flatnonzero(member == c) for c in range(n_classes)]
    closed = sorted(c.tolist() for c in classes if not np.delete(P[c], c, axis=1).any())
    if len(closed) > 1:
        ends = " or ".join("{" + ", ".join(stages[i] for i in c) + "}" for c in closed)
        raise ModelError(f"there is no one stationary distribution: customers end in {ends}, depending on their start")
    size = len(P)
    system = np.vstack([P.T - np.eye(size), np.ones(size)])
    pi = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)[0]
    return pd.Series(np.clip(pi, 0.0, 1.0), index=list(stages))
