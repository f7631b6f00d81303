"""
Which customers of a stage move where: a multinomial logit of the moves, fitted on counts by covariate pattern.

One equation a destination: the log odds of moving there rather than staying, by what was known before the month of
the move [1]_. It is fitted to counts, so it costs by the number of patterns and not of customers, and customers who
count in many months widen the intervals: the spread is that of 100 groups of customers.

.. [1] Theil (1969), International Economic Review 10:251; McFadden (1974), in Frontiers in Econometrics; for panels
   of stages Muenz and Rubinstein (1985), Biometrics 41:91.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate, jackknife
from lcm_research.stages.moves import Moves
from lcm_research.transitions.move_cells import INTERCEPT, MoveCells, move_cells
from lcm_research.transitions.replicate_wald import ReplicateWald, replicate_wald

__all__ = ["MultinomialLogit", "multinomial_logit", "probabilities_at"]

FARTHEST = 15.0
"""A coefficient beyond this is running off: some column separates those who move from those who do not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MultinomialLogit:
    """
    A fitted multinomial logit of the moves out of one stage.

    Attributes
    ----------
    cells : MoveCells
        What was fitted, and what was joined or left out.
    coefficients : array of shape (q, p)
        Log odds ratios of each destination against the base, in the order of ``cells.destinations[1:]`` and
        ``cells.names``.
    covariance : array of shape (q * p, q * p)
        Inverse of the information, as if every customer-month were another customer's.
    moved : array of shape (100, q, p)
        By how much each group of customers moves the coefficients: one Newton step without its scores.
    log_likelihood : float
    n : int
        Customers (customer-months where they were not counted).
    """

    cells: MoveCells
    coefficients: np.ndarray
    covariance: np.ndarray = field(repr=False)
    moved: np.ndarray = field(repr=False)
    log_likelihood: float
    n: int
    level: float

    @property
    def n_months(self) -> int:
        """Customer-months fitted."""
        return round(float(self.cells.n.sum()))

    @property
    def without_each_group(self) -> np.ndarray:
        """Coefficients of all customers and then without each group, shape (101, q, p)."""
        return np.concatenate([self.coefficients[None], self.coefficients - self.moved])

    def odds_ratio(self, to_stage: str, covariate: str, level: str) -> Estimate:
        """Return the odds of a move rather than staying, at one level over those at the reference."""
        row, column = self.cells.destination(to_stage) - 1, self.cells.column(covariate, level)
        if row < 0:
            raise ModelError(f"'{to_stage}' is what the others are compared with; it has no odds ratio")
        at = self.coefficients[row, column]
        without = np.exp(at - self.moved[:, row, column])
        return jackknife(float(np.exp(at)), without, unit="odds_ratio", n=self.n, scale="log", level=self.level)

    def joint_test(self, covariate: str) -> ReplicateWald:
        """Test that a covariate goes with no move at all: Hotelling on the spread between groups of customers."""
        level = self.cells.levels[covariate][1:] if covariate in self.cells.levels else ()
        if not level:
            self.cells.level(covariate, "")
        columns = [self.cells.column(covariate, each) for each in level]
        value = self.coefficients[:, columns].ravel()
        return replicate_wald(value, value - self.moved[:, :, columns].reshape(N_GROUPS, -1))

    def table(self) -> pd.DataFrame:
        """
        Return one row for each destination and level.

        Columns: to, covariate, level, reference, odds_ratio, lower, upper, n_level (customer-months at the level),
        n_moves (those of them that moved there).
        """
        made = self.cells.n.sum(axis=0)
        rows = []
        for to in self.cells.destinations[1:]:
            for covariate, levels in self.cells.levels.items():
                for level in levels[1:]:
                    at = (self.cells.patterns[covariate] == level).to_numpy()
                    found = self.odds_ratio(to, covariate, level)
                    size = (int(made[at].sum()), int(made[at][:, self.cells.destination(to)].sum()))
                    rows.append((to, covariate, level, levels[0], found.value, found.lower, found.upper, *size))
        columns = ["to", "covariate", "level", "reference", "odds_ratio", "lower", "upper", "n_level", "n_moves"]
        return pd.DataFrame(rows, columns=columns)


def multinomial_logit(
    counts: pd.DataFrame,
    *,
    from_stage: str,
    covariates: Sequence[str],
    moves: Moves,
    reference: Mapping[str, str] | None = None,
    n_customers: int | None = None,
    level: float = 0.95,
) -> MultinomialLogit:
    """
    Odds ratios of the moves out of one stage by what was known of the customer before.

    Maximum likelihood by Newton's steps on counts. Intervals by the one-step delete-a-group jackknife from the scores
    of 100 groups of customers, t with 99 degrees of freedom.

    Parameters
    ----------
    counts, from_stage, covariates, moves, reference
        As for ``move_cells``, which says what is joined, left out or refused.
    n_customers : int, optional
        Different customers behind the counts, from ``covariate_customers``; without it every customer-month counts.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        See ``move_cells``; besides, where levels together separate those who move from those who stay.

    Examples
    --------
    Of those who engaged 40 in 100 return, of the others 20 in 100: odds of 2/3 against 1/4.

    >>> import numpy as np
    >>> from lcm_research.stages.moves import Moves
    >>> no, anything = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    >>> moves = Moves(stages=("active", "dormant"), possible=anything, clock=no, purchase=no)
    >>> rows = [("1+", "active", 40), ("1+", "dormant", 60), ("0", "active", 20), ("0", "dormant", 80)]
    >>> counts = pd.DataFrame(rows, columns=["engaged", "to_stage", "n"]).assign(from_stage="dormant")
    >>> counts = counts.merge(pd.DataFrame({"replicate": range(100)}), how="cross")
    >>> fit = multinomial_logit(counts, from_stage="dormant", covariates=["engaged"], moves=moves)
    >>> round(fit.odds_ratio("active", "engaged", "1+").value, 6)
    2.666667
    """
    reference_of = reference or {}
    cells = move_cells(counts, from_stage=from_stage, covariates=covariates, moves=moves, reference=reference_of)
    coefficients, covariance, log_likelihood = _maximum(cells)
    q, p = coefficients.shape
    share = probabilities_at(cells.x, coefficients)[:, 1:]
    residual = cells.n[:, :, 1:] - cells.n.sum(axis=2, keepdims=True) * share
    scores = np.einsum("gmj,mp->gjp", residual, cells.x).reshape(N_GROUPS, q * p)
    return MultinomialLogit(
        cells=cells,
        coefficients=coefficients,
        covariance=covariance,
        moved=(scores @ covariance).reshape(N_GROUPS, q, p),
        log_likelihood=log_likelihood,
        n=round(float(cells.n.sum())) if n_customers is None else n_customers,
        level=level,
    )


def probabilities_at(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """
    Return the probability of each destination, the base first, for rows of columns.

    Parameters
    ----------
    x : array of shape (n, p)
    coefficients : array of shape (..., q, p)

    Returns
    -------
    array of shape (..., n, q + 1)
    """
    at = np.einsum("np,...qp->...nq", x, coefficients)
    at = np.concatenate([np.zeros((*at.shape[:-1], 1)), at], axis=-1)
    odds = np.exp(at - at.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def _maximum(cells: MoveCells) -> tuple[np.ndarray, np.ndarray, float]:
    """Newton's steps from equal odds in all patterns, halved where they overshoot."""
    x, y = cells.x, cells.n.sum(axis=0)
    whole, q, p = y.sum(axis=1), y.shape[1] - 1, x.shape[1]
    at = np.zeros((q, p))
    at[:, 0] = np.log(y[:, 1:].sum(axis=0) / y[:, 0].sum())
    value = _log_likelihood(x, y, at)
    for _ in range(100):
        share = probabilities_at(x, at)[:, 1:]
        score = ((y[:, 1:] - whole[:, None] * share).T @ x).ravel()
        information = _information(x, whole, share)
        step = np.linalg.solve(information, score).reshape(q, p)
        while _log_likelihood(x, y, at + step) < value - 1e-9 * abs(value) and np.abs(step).max() > 1e-12:
            step = step / 2
        at = at + step
        value = _log_likelihood(x, y, at)
        _refuse_running(cells, at)
        if np.abs(step).max() < 1e-10:
            share = probabilities_at(x, at)[:, 1:]
            return at, np.linalg.inv(_information(x, whole, share)), value
    raise ModelError(f"the model of moves from '{cells.from_stage}' did not settle in 100 steps; merge rare levels")


def _log_likelihood(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> float:
    share = probabilities_at(x, at)
    there = y > 0
    return float((y[there] * np.log(share[there])).sum())


def _information(x: np.ndarray, whole: np.ndarray, share: np.ndarray) -> np.ndarray:
    q, p = share.shape[1], x.shape[1]
    made = np.empty((q, p, q, p))
    for j in range(q):
        for k in range(q):
            weight = whole * share[:, j] * ((j == k) - share[:, k])
            made[j, :, k, :] = (x * weight[:, None]).T @ x
    return made.reshape(q * p, q * p)


def _refuse_running(cells: MoveCells, at: np.ndarray) -> None:
    far = np.abs(at) * (np.array(cells.names) != INTERCEPT)
    if far.max() > FARTHEST:
        row, column = np.unravel_index(int(far.argmax()), far.shape)
        raise ModelError(
            f"the fit runs off: '{cells.names[column]}' separates those who move from '{cells.from_stage}' to "
            f"'{cells.destinations[int(row) + 1]}' from the others; merge levels or leave it out"
        )
