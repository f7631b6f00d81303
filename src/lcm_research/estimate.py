"""
A number with its interval, unit and sample size, and the interval that fits each kind of statistic.

Customers are split into 100 groups by ``replicate`` (a column of every reduction). A smooth statistic gets
the delete-a-group jackknife: computed once on all counts and once without each group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError

__all__ = [
    "N_GROUPS",
    "Estimate",
    "by_replicate",
    "clopper_pearson",
    "exact_proportion",
    "group_draws",
    "group_pulls",
    "holm",
    "hotelling",
    "jackknife",
    "jackknife_se",
    "leave_one_out",
    "proportion",
    "share_reached",
    "wald",
]

N_GROUPS = 100
"""Number of groups that ``replicate`` splits customers into."""

FEW_GROUPS = 20
"""With an event in fewer groups than this the jackknife is not used."""

MOST_DIFFERENCES = 30
"""Differences tested at once; with more of them 100 groups of customers say too little about how they vary together."""

FEWEST_DRAWS = 999
"""Draws of the bootstrap of groups below which a p-value is too coarse."""

Scale = Literal["identity", "log", "logit", "loglog"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """
    A number a reader may act on, with what is needed to read it.

    Parameters
    ----------
    value, lower, upper : float
        The estimate and its interval, in ``unit``.
    unit : str
        What is counted or measured: ``"days"``, ``"probability"``, ``"ratio"``, ``"share"``.
    n : int
        Number of customers (or journeys, where the unit says so) that the number rests on.
    level : float
        Confidence level of the interval.
    leave_one_out : array of shape (100,), optional
        The statistic without each group of customers; differences between findings are formed from it.
        Never published.
    """

    value: float
    lower: float
    upper: float
    unit: str
    n: int
    level: float = 0.95
    leave_one_out: np.ndarray | None = field(default=None, repr=False, compare=False)

    def sign(self, null: float = 0.0) -> int:
        """Return +1 or -1 when the interval leaves out ``null``, otherwise 0."""
        return int(self.lower > null) - int(self.upper < null)


def by_replicate(counts: pd.DataFrame, values: list[str], index: list[str], levels: list[pd.Index]) -> np.ndarray:
    """
    Arrange a table of counts as an array with the groups of customers along the first axis.

    Parameters
    ----------
    counts : DataFrame
        With the integer column ``replicate``, the columns ``index`` and the columns ``values``.
    values : list of str
        Columns to arrange, along the last axis.
    index : list of str
        Columns that become the axes between, in this order.
    levels : list of Index
        The values along each of those axes; a value of ``counts`` outside them is an error.

    Returns
    -------
    array of float, shape (100, len(levels[0]), ..., len(values))
    """
    shape = (N_GROUPS, *(len(level) for level in levels))
    codes = [counts["replicate"].to_numpy(np.int64)]
    for column, level in zip(index, levels, strict=True):
        code = level.get_indexer(pd.Index(counts[column]))
        if (code < 0).any():
            unknown = sorted(set(counts[column][code < 0].astype(str)))[:3]
            raise ModelError(f"column '{column}' holds {unknown}, which is not among its declared levels")
        codes.append(code)
    flat = np.ravel_multi_index(tuple(codes), shape)
    size = math.prod(shape)
    stacked = [np.bincount(flat, weights=counts[v].to_numpy(float), minlength=size).reshape(shape) for v in values]
    return np.stack(stacked, axis=-1)


def leave_one_out(
    grouped: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray | float]
) -> tuple[np.ndarray, np.ndarray]:
    """
    Compute a statistic on all counts and without each group.

    Parameters
    ----------
    grouped : array of shape (100, ...)
        Counts by group, as ``by_replicate`` returns them.
    statistic : function
        From counts of shape ``grouped.shape[1:]`` to a number or an array.

    Returns
    -------
    value : array
        ``statistic`` of the sum over groups.
    without : array of shape (100, *value.shape)
        ``statistic`` of the sum less each group in turn.
    """
    total = grouped.sum(axis=0)
    value = np.asarray(statistic(total), dtype=float)
    without = np.stack([np.asarray(statistic(total - group), dtype=float) for group in grouped])
    return value, without


def jackknife_se(value: np.ndarray | float, without: np.ndarray) -> np.ndarray:
    """
    Standard error of a smooth statistic by the delete-a-group jackknife.

    The groups' spread around the full estimate, scaled by (G - 1) / G [1]_.

    References
    ----------
    .. [1] Kott (2001), Journal of Official Statistics 17:521.
    """
    groups = without.shape[0]
    return np.sqrt((groups - 1) / groups * ((without - np.asarray(value)) ** 2).sum(axis=0))


_FORWARD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: x,
    "log": np.log,
    "logit": lambda x: np.log(x) - np.log1p(-x),
    "loglog": lambda x: np.log(-np.log(x)),
}
_BACKWARD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: x,
    "log": np.exp,
    "logit": lambda x: 1 / (1 + np.exp(-x)),
    "loglog": lambda x: np.exp(-np.exp(x)),
}


def jackknife(
    value: float, without: np.ndarray, *, unit: str, n: int, scale: Scale = "identity", level: float = 0.95
) -> Estimate:
    """
    Put an interval around a smooth statistic from its leave-one-group-out values.

    Student's t with 99 degrees of freedom, on the scale where the statistic is closest to normal:
    ``log`` for rates, ratios and intensities, ``logit`` or ``loglog`` for probabilities.

    Parameters
    ----------
    value : float
        The statistic on all customers.
    without : array of shape (100,)
        The statistic without each group, from ``leave_one_out``.
    scale : {"identity", "log", "logit", "loglog"}
        Where the interval is symmetric. A value on the edge of the scale (a probability of 0 or 1, a
        ratio of 0) has no jackknife interval: ModelError; use ``exact_proportion``.
    """
    with np.errstate(all="ignore"):
        centre, spread = _FORWARD[scale](np.asarray(value, float)), _FORWARD[scale](np.asarray(without, float))
    if not (np.isfinite(centre) and np.isfinite(spread).all()):
        raise ModelError(
            f"a jackknife interval on the {scale} scale needs values inside it with and without each group of "
            f"customers; came {value:.4g}; use an exact interval or merge groups"
        )
    half = stats.t.ppf(0.5 + level / 2, len(spread) - 1) * jackknife_se(centre, spread)
    ends = sorted((float(_BACKWARD[scale](centre - half)), float(_BACKWARD[scale](centre + half))))
    return Estimate(
        value=float(value), lower=ends[0], upper=ends[1], unit=unit, n=int(n), level=level, leave_one_out=without
    )


def clopper_pearson(events: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """
    Exact interval of a proportion (Clopper and Pearson 1934).

    >>> tuple(round(end, 4) for end in clopper_pearson(0, 10))
    (0.0, 0.3085)
    """
    tail = (1 - level) / 2
    lower = 0.0 if events == 0 else float(stats.beta.ppf(tail, events, n - events + 1))
    upper = 1.0 if events == n else float(stats.beta.ppf(1 - tail, events + 1, n - events))
    return lower, upper


def exact_proportion(events: int, n: int, *, unit: str = "share", level: float = 0.95) -> Estimate:
    """Return a proportion of independent customers with its Clopper-Pearson interval."""
    if n < 1:
        raise ModelError("a proportion needs at least one customer; came none")
    lower, upper = clopper_pearson(events, n, level)
    return Estimate(value=events / n, lower=lower, upper=upper, unit=unit, n=n, level=level)


def proportion(events: np.ndarray, n: np.ndarray, *, unit: str = "share", level: float = 0.95) -> Estimate:
    """
    Return a proportion with the interval that its counts allow.

    Parameters
    ----------
    events, n : arrays of shape (100,)
        Events and trials by group of customers.

    Returns
    -------
    Estimate
        By the jackknife on the logit scale; exact where fewer than 20 groups hold an event (or a
        non-event).
    """
    total, trials = float(events.sum()), float(n.sum())
    if min((events > 0).sum(), (n > events).sum()) < FEW_GROUPS:
        return exact_proportion(round(total), round(trials), unit=unit, level=level)
    value, without = leave_one_out(np.stack([events, n], axis=1).astype(float), lambda c: c[0] / c[1])
    return jackknife(float(value), without, unit=unit, n=round(trials), scale="logit", level=level)


def wald(difference: np.ndarray, covariance: np.ndarray) -> tuple[float, int]:
    """Squared length of a difference in units of its covariance, and how many directions that covariance has."""
    sizes, directions = np.linalg.eigh(covariance)
    # a group that is never at risk together with another says nothing: its direction has no variance
    known = sizes > 1e-10 * max(sizes.max(initial=0), 0)
    along = directions.T[known] @ difference
    return float((along**2 / sizes[known]).sum()), int(known.sum())


def hotelling(value: np.ndarray, without: np.ndarray) -> tuple[float, tuple[int, int], float]:
    """
    Test that all of ``value`` are zero by Hotelling's T squared on the jackknife covariance [1]_.

    Parameters
    ----------
    value : array of shape (p,)
        Smooth differences that do not grow with the number of customers.
    without : array of shape (100, p)
        The same without each group of customers.

    Returns
    -------
    f_statistic : float
    degrees_of_freedom : tuple of int
        The directions in which the differences vary, at most p, and 100 less them; trust it up to
        ``MOST_DIFFERENCES`` of them.
    p_value : float

    References
    ----------
    .. [1] Hotelling (1931), Annals of Mathematical Statistics 2:360; Korn and Graubard (1990), American
       Statistician 44:270.
    """
    moved = without - value
    t_square, rank = wald(value, (N_GROUPS - 1) / N_GROUPS * moved.T @ moved)
    freedom = (rank, N_GROUPS - rank)
    if not 0 < rank < N_GROUPS:
        return float("nan"), freedom, float("nan")
    f_statistic = t_square * (N_GROUPS - rank) / ((N_GROUPS - 1) * rank)
    return f_statistic, freedom, float(stats.f.sf(f_statistic, *freedom))


def group_pulls(value: np.ndarray, without: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return what each group of customers does to smooth statistics, and their standard errors by the jackknife.

    Parameters
    ----------
    value : array of shape (k,)
    without : array of shape (100, k)
        The same without each group of customers.

    Returns
    -------
    pulls : array of shape (100, k)
        Centred; drawing groups with replacement and adding their pulls up needs no fit.
    error : array of shape (k,)
        0 where nothing varies but by rounding.
    """
    pulls = np.sqrt((N_GROUPS - 1) / N_GROUPS) * (value - without)
    error = np.sqrt((pulls**2).sum(axis=0))
    rounding = 1e-12 * np.maximum(np.abs(value), 1e-12)
    return pulls - pulls.mean(axis=0), np.where(error > rounding, error, 0.0)


def group_draws(pulls: np.ndarray, *, rng: np.random.Generator, n_draws: int) -> np.ndarray:
    """Return what drawing 100 groups with replacement does to each statistic, shape (n_draws, k)."""
    if n_draws < FEWEST_DRAWS:
        raise ModelError(f"a bootstrap of the groups needs at least {FEWEST_DRAWS} draws; came n_draws={n_draws}")
    return rng.multinomial(N_GROUPS, np.full(N_GROUPS, 1 / N_GROUPS), size=n_draws) @ pulls


def share_reached(draws: np.ndarray, observed: float) -> float:
    """Return the share of draws that come as far as what was observed, which counts as one of them."""
    return float((1 + (draws >= observed - 1e-12).sum()) / (len(draws) + 1))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """
    Adjust p-values so that the chance of any false alarm among them stays at the level [1]_.

    The smallest is multiplied by their number, the next by one less, and so on; none falls below a smaller one.
    Missing values are no test: they stay missing and do not count.

    References
    ----------
    .. [1] Holm (1979), Scandinavian Journal of Statistics 6:65.

    Examples
    --------
    >>> holm([0.03, 0.01, 0.2]).tolist()
    [0.06, 0.03, 0.2]
    """
    raw = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(raw), np.nan)
    order = np.argsort(raw)[: int(np.isfinite(raw).sum())]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * factors), 1.0)
    return adjusted
