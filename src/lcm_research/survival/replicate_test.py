"""Tests from the spread between groups of customers, which hold where a customer has several spells; Holm's rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.estimate import FEW_GROUPS, MOST_DIFFERENCES, N_GROUPS, Estimate, hotelling
from lcm_research.survival.risk_sets import risk_arrays

__all__ = [
    "ReplicateTest",
    "difference_p_value",
    "excess_test",
    "replicate_test",
    "risk_by_customers",
]


@dataclass(frozen=True, kw_only=True)
class ReplicateTest:
    """
    A test that several differences are zero, from 100 groups of customers.

    Attributes
    ----------
    f_statistic, p_value : float
        NaN where the test does not apply; ``reason`` then says why.
    degrees_of_freedom : tuple of int
        Of the F distribution: the differences, and 100 less them.
    reason : str
        Empty where the test applies.
    """

    f_statistic: float
    degrees_of_freedom: tuple[int, int]
    p_value: float
    reason: str = ""


def replicate_test(
    value: np.ndarray, without: np.ndarray, *, groups_with_event: Sequence[int] | np.ndarray, names: Sequence[str]
) -> ReplicateTest:
    """
    Test that all of ``value`` are zero from the spread between groups of customers, see ``hotelling``.

    Parameters
    ----------
    value : array of shape (p,)
        Differences that do not grow with the number of customers (shares, means).
    without : array of shape (100, p)
        The same without each group of customers.
    groups_with_event : array of int, shape (k,)
        Groups of customers that hold an event, for each of the ``names`` compared.
    names : list of str, length k

    Returns
    -------
    ReplicateTest
        F with p and 100 - p degrees of freedom, p at most 30. Without numbers, but with the reason, beyond that and
        where one of the ``names`` has an event in fewer than 20 groups of customers.
    """
    reason = ""
    scarcest = int(np.argmin(groups_with_event))
    f_statistic, freedom, p_value = hotelling(value, without)
    if groups_with_event[scarcest] < FEW_GROUPS:
        reason = (
            f"'{names[scarcest]}' has events in {groups_with_event[scarcest]} groups of customers, fewer than "
            f"{FEW_GROUPS}; merge it with another"
        )
    elif freedom[0] > MOST_DIFFERENCES:
        reason = f"{freedom[0]} differences at once, more than {MOST_DIFFERENCES}; merge groups"
    elif freedom[0] == 0:
        reason = "the groups never differ from what is expected of them"
    if reason:
        return ReplicateTest(f_statistic=np.nan, degrees_of_freedom=(0, 0), p_value=np.nan, reason=reason)
    return ReplicateTest(f_statistic=f_statistic, degrees_of_freedom=freedom, p_value=p_value)


def excess_test(
    observed: np.ndarray, expected: np.ndarray, without: np.ndarray, *, events: np.ndarray, names: Sequence[str]
) -> ReplicateTest:
    """
    Test that no group has more events than expected, as a share of all: a sum alone would grow with customers.

    Parameters
    ----------
    observed, expected : arrays of shape (k,)
    without : array of shape (2, 100, k)
        Both without each group of customers.
    events : array of shape (100, k)
        Events by group of customers.
    """
    left_observed, left_expected = without
    share = (observed - expected)[:-1] / observed.sum()
    total = left_observed.sum(axis=1, keepdims=True)
    excess = (left_observed - left_expected)[:, :-1]
    left = np.divide(excess, total, out=np.zeros_like(excess), where=total > 0)
    return replicate_test(share, left, groups_with_event=(events > 0).sum(axis=0), names=names)


def risk_by_customers(
    counts: pd.DataFrame, kinds: Sequence[np.ndarray], by: str, groups: Sequence[str]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """
    Count who is at risk and who has which event by group of customers, group compared, and day.

    Returns
    -------
    times : array of shape (n_times,)
    arrays : list of arrays of shape (100, k, n_times), or (1, k, n_times) without ``replicate``
        Those at risk, then one a kind of event.
    """
    n_groups, k = N_GROUPS if "replicate" in counts else 1, len(groups)
    replicate = counts["replicate"].to_numpy(np.int64) if "replicate" in counts else 0
    codes = pd.Index(groups).get_indexer(pd.Index(counts[by]))
    times, at_risk, happened = risk_arrays(counts, kinds, replicate * k + codes, n_groups * k)
    return times, [each.reshape(n_groups, k, len(times)) for each in (at_risk, *happened)]


def difference_p_value(estimate: Estimate, null: float = 0.0) -> float:
    """
    Two-sided p-value of a difference whose interval is symmetric: t with 99 degrees of freedom where it was jackknifed.

    Where nothing varies, 1 at the null and 0 beside it.
    """
    by = stats.norm if estimate.leave_one_out is None else stats.t(N_GROUPS - 1)
    error = (estimate.upper - estimate.lower) / 2 / by.ppf(0.5 + estimate.level / 2)
    distance = abs(estimate.value - null)
    if error <= 0:
        return float(distance == 0)
    return float(2 * by.sf(distance / error))
