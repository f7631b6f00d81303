"""
Whether the outcomes of moves depend on something, in tables some of whose cells cannot happen.

Every test of this room asks that: the next stage by the stage before (order), by period, by cohort, by segment. A
cell that a scheme rules out is a structural zero: it is fitted as zero and is no degree of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS
from lcm_research.stages.moves import Moves
from lcm_research.transitions.replicate_wald import ReplicateWald, replicate_wald

__all__ = ["Behaviour", "Classical", "behaviour", "classical_test", "expected_counts", "group_test"]

STAYED = "(stayed or clock)"
"""Outcome of a period in which a customer did nothing: staying and moves by the clock together."""

RARELY = 5.0
"""Moves expected in a cell below which its excess is too skewed for a test on the spread between groups."""

ITERATIONS, CLOSE = 2000, 1e-11


@dataclass(frozen=True, kw_only=True, eq=False)
class Behaviour:
    """
    What can come out of a period that a customer has a say in.

    Where a scheme has a clock, the moves that only a purchase makes are outcomes of their own, and all others are
    one: whether a silent customer stays or is moved on follows from the definition of the stages.

    Attributes
    ----------
    outcomes : tuple of str
    place : array of int, shape (n_stages, n_stages)
        Outcome that each move belongs to; -1 where the scheme rules it out.
    possible : array of bool, shape (n_stages, n_outcomes)
    """

    outcomes: tuple[str, ...]
    place: np.ndarray
    possible: np.ndarray

    def gather(self, moves: np.ndarray) -> np.ndarray:
        """Sum moves (..., n_stages, n_stages) into outcomes (..., n_stages, n_outcomes)."""
        out = np.zeros((*moves.shape[:-1], len(self.outcomes)))
        for i, j in zip(*np.nonzero(self.place >= 0), strict=True):
            out[..., i, self.place[i, j]] += moves[..., i, j]
        return out


def behaviour(stages: Sequence[str], moves: Moves | None) -> Behaviour:
    """Return the outcomes of each stage: its possible moves, or purchases and all else where there is a clock."""
    size = len(stages)
    if moves is None or not (moves.clock.any() or moves.purchase.any()):
        possible = np.ones((size, size), dtype=bool) if moves is None else moves.possible
        place = np.where(possible, np.arange(size)[None, :], -1)
        return Behaviour(outcomes=tuple(stages), place=place, possible=possible.copy())
    place = np.where(moves.purchase, np.arange(size)[None, :], np.where(moves.possible, size, -1))
    reached = [k for k in range(size + 1) if (place == k).any()]
    names = tuple([*stages, STAYED][k] for k in reached)
    place = np.where(place >= 0, np.searchsorted(reached, place), -1)
    possible = np.stack([(place == k).any(axis=1) for k in range(len(reached))], axis=1)
    return Behaviour(outcomes=names, place=place, possible=possible)


@dataclass(frozen=True, kw_only=True)
class Classical:
    """
    Likelihood ratio and Pearson's statistic, as if every move were another customer's.

    Attributes
    ----------
    likelihood_ratio, pearson : float
    degrees_of_freedom : int
        0 where there is nothing to compare; the p-values are then NaN.
    """

    likelihood_ratio: float
    pearson: float
    degrees_of_freedom: int

    @property
    def p_value(self) -> float:
        """Of the likelihood ratio."""
        return _p_value(self.likelihood_ratio, self.degrees_of_freedom)

    @property
    def pearson_p_value(self) -> float:
        """Of Pearson's statistic."""
        return _p_value(self.pearson, self.degrees_of_freedom)

    def __add__(self, other: Classical) -> Classical:
        return Classical(
            likelihood_ratio=self.likelihood_ratio + other.likelihood_ratio,
            pearson=self.pearson + other.pearson,
            degrees_of_freedom=self.degrees_of_freedom + other.degrees_of_freedom,
        )


def expected_counts(tables: np.ndarray, possible: np.ndarray) -> np.ndarray:
    r"""
    Return what is expected where outcomes do not depend on the row, given which cells can happen.

    Quasi-independence :math:`e_{ij} = a_i b_j` on the possible cells [1]_, by proportional fitting to the margins;
    in a table without structural zeros row total times column total over the total.

    Parameters
    ----------
    tables : array of shape (..., n_rows, n_outcomes)
    possible : array of bool, shape (n_rows, n_outcomes)

    References
    ----------
    .. [1] Goodman (1968), Journal of the American Statistical Association 63:1091.
    """
    rows, columns = tables.sum(axis=-1, keepdims=True), tables.sum(axis=-2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        if possible.all():
            return np.nan_to_num(rows * columns / rows.sum(axis=-2, keepdims=True))
        fitted = np.broadcast_to(possible, tables.shape).astype(float)
        for _ in range(ITERATIONS):
            fitted = fitted * np.nan_to_num(rows / fitted.sum(axis=-1, keepdims=True))
            share = np.nan_to_num(columns / fitted.sum(axis=-2, keepdims=True))
            fitted = fitted * share
            if np.abs(share - 1)[np.broadcast_to(columns, share.shape) > 0].max(initial=0) < CLOSE:
                return fitted
    raise ModelError(
        f"quasi-independence was not reached in {ITERATIONS} rounds; the possible moves leave margins of 0: merge "
        "stages"
    )


def classical_test(table: np.ndarray, possible: np.ndarray) -> Classical:
    """
    Test one table by likelihood ratio and by Pearson's statistic.

    Rows and outcomes that never happened are left out, so they are no degrees of freedom either.

    >>> classical_test(np.array([[10.0, 20.0], [20.0, 10.0]]), np.ones((2, 2), dtype=bool)).degrees_of_freedom
    1
    """
    table, possible = _seen(table, possible)
    freedom = len(_directions(possible))
    if not freedom:
        return Classical(likelihood_ratio=0.0, pearson=0.0, degrees_of_freedom=0)
    expected = expected_counts(table, possible)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(table > 0, table * np.log(table / expected), 0.0).sum()
        pearson = np.where(expected > 0, (table - expected) ** 2 / expected, 0.0).sum()
    return Classical(likelihood_ratio=float(2 * ratio), pearson=float(pearson), degrees_of_freedom=freedom)


def group_test(
    grouped: Sequence[np.ndarray], possible: Sequence[np.ndarray], *, rng: np.random.Generator | None = None
) -> tuple[ReplicateWald, int]:
    """
    Test several tables together on the spread between groups of customers.

    What is tested are observed less expected shares, in the directions that fixed margins leave free. A row or an
    outcome seen in fewer than 20 groups of customers is left out, and so is a cell expected fewer than five times: a
    spread between so few says nothing.

    Parameters
    ----------
    grouped : list of arrays of shape (100, n_rows, n_outcomes)
        One a table; tables may differ in shape.
    possible : list of arrays of bool, shape (n_rows, n_outcomes)
    rng : Generator, optional
        For the bootstrap where there are more than 30 differences.

    Returns
    -------
    ReplicateWald
    left_out : int
        Rows, outcomes and cells with too few.
    """
    everything = sum(float(table.sum()) for table in grouped)
    values, withouts, left_out = [], [], 0
    for table, allowed in zip(grouped, possible, strict=True):
        table, allowed, dropped = _common(table, allowed)
        left_out += dropped
        table, allowed, rare = _without_rare(table, allowed)
        left_out += rare
        directions = _directions(allowed)
        if not len(directions):
            continue
        total = table.sum(axis=0)
        stack = np.concatenate([total[None], total[None] - table])
        excess = (stack - expected_counts(stack, allowed))[:, allowed] / everything
        along = excess @ directions.T
        values.append(along[0])
        withouts.append(along[1:])
    if not values:
        nothing = replicate_wald(np.zeros(0), np.zeros((100, 0)))
        reason = (
            f"what could be compared was seen in fewer than {FEW_GROUPS} groups of customers, or expected fewer than "
            f"{RARELY:g} times"
        )
        return (replace(nothing, reason=reason) if left_out else nothing), left_out
    return replicate_wald(np.concatenate(values), np.concatenate(withouts, axis=1), rng=rng), left_out


def _seen(table: np.ndarray, possible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = table.sum(axis=1) > 0, table.sum(axis=0) > 0
    return table[np.ix_(rows, columns)], possible[np.ix_(rows, columns)]


def _common(table: np.ndarray, possible: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Leave out rows and outcomes seen in too few groups, until none is left."""
    seen_at_all = int((table.sum(axis=(0, 2)) > 0).sum() + (table.sum(axis=(0, 1)) > 0).sum())
    while True:
        rows = (table.sum(axis=2) > 0).sum(axis=0) >= FEW_GROUPS
        columns = (table.sum(axis=1) > 0).sum(axis=0) >= FEW_GROUPS
        if rows.all() and columns.all():
            return table, possible, seen_at_all - len(rows) - len(columns)
        table, possible = table[:, rows][:, :, columns], possible[np.ix_(rows, columns)]


def _without_rare(table: np.ndarray, possible: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """
    Leave out cells that are expected too rarely, as if they could not happen.

    What is expected follows from the margins and not from the cell itself, so leaving it out favours no answer.
    """
    kept = possible.copy()
    while kept.any():
        expected = expected_counts((table * kept).sum(axis=0), kept)
        rare = kept & (expected < RARELY)
        if not rare.any():
            break
        kept &= ~rare
    return table * kept, kept, int(possible.sum() - kept.sum())


def _directions(possible: np.ndarray) -> np.ndarray:
    """Orthonormal directions, over the possible cells, that change no margin: as many as degrees of freedom."""
    if min(possible.shape, default=0) == 0 or not possible.any():
        return np.zeros((0, int(possible.sum())))
    i, j = np.nonzero(possible)
    n_rows, n_columns = possible.shape
    n_parts = connected_components(coo_array((np.ones(len(i)), (i, n_rows + j)), shape=(sum(possible.shape),) * 2))[0]
    free = len(i) - (n_rows + n_columns - n_parts)
    margins = np.zeros((n_rows + n_columns, len(i)))
    margins[i, np.arange(len(i))] = 1
    margins[n_rows + j, np.arange(len(i))] = 1
    return np.linalg.svd(margins)[2][len(i) - free :]


def _p_value(statistic: float, freedom: int) -> float:
    return float(stats.chi2.sf(statistic, freedom)) if freedom else float("nan")
