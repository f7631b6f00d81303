"""
Tests that differences from a null are all zero, and which of them are not, from the spread between customers.

Journeys of one customer go together: who likes a channel ends many journeys with it, and who buys, buys again. Groups
of customers left out in turn see that; a permutation of journeys does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from lcm_research.estimate import FEW_GROUPS, MOST_DIFFERENCES, N_GROUPS, hotelling, jackknife_se

__all__ = ["JointTest", "Reason", "joint_test", "p_values"]

Reason = Literal["", "few_groups", "many_channels", "nothing_varies"]
"""Why there is no test: too few groups of customers, too many channels, or differences that cannot vary."""

_DUST = 1e-12
"""Shares closer than this differ by rounding only."""


@dataclass(frozen=True, kw_only=True)
class JointTest:
    """
    One test of several differences at once: are all of them zero?

    Parameters
    ----------
    f_statistic : float
    degrees_of_freedom : tuple of int
    p_value : float
        NaN where there is no test.
    n_channels : int
        Channels that were tested: those met in at least 20 groups of customers.
    reason : {"", "few_groups", "many_channels", "nothing_varies"}
        Why there is no test; empty where there is one.
    """

    f_statistic: float
    degrees_of_freedom: tuple[int, int]
    p_value: float
    n_channels: int
    reason: Reason = ""

    def rejects(self, level: float) -> bool:
        """Whether the differences are not all zero, at ``level``; False where there is no test."""
        return bool(self.p_value <= 1 - level)


def joint_test(difference: np.ndarray, without: np.ndarray, n_groups: np.ndarray) -> JointTest:
    """
    Test that all differences are zero by Hotelling's T squared on the jackknife covariance.

    Parameters
    ----------
    difference : array of shape (K,)
        Of shares, so that they do not grow with the number of customers; they may sum to zero.
    without : array of shape (100, K)
        The same without each group of customers; NaN where too few groups say anything.
    n_groups : array of shape (K,)
        Groups of customers behind each; those with fewer than 20 are left out.
    """
    used = n_groups >= FEW_GROUPS
    n = int(used.sum())
    if n == 0 or not np.isfinite(without).all():
        return _no_test("few_groups", n)
    if (jackknife_se(difference, without)[used] < _DUST).all():
        return _no_test("nothing_varies", n)
    f_statistic, freedom, p_value = hotelling(difference[used], without[:, used])
    if freedom[0] > MOST_DIFFERENCES:
        return _no_test("many_channels", n)
    return JointTest(f_statistic=f_statistic, degrees_of_freedom=freedom, p_value=p_value, n_channels=n)


def p_values(difference: np.ndarray, without: np.ndarray, n_groups: np.ndarray) -> np.ndarray:
    """
    Return two-sided p-values of each difference, by Student's t with 99 degrees of freedom.

    Parameters are those of ``joint_test``. NaN where fewer than 20 groups stand behind it, or it cannot vary.
    """
    spread = jackknife_se(difference, without)
    told = np.isfinite(spread) & (spread >= _DUST) & (n_groups >= FEW_GROUPS)
    p = np.full(len(difference), np.nan)
    p[told] = 2 * stats.t.sf(np.abs(difference[told]) / spread[told], N_GROUPS - 1)
    return p


def _no_test(reason: Reason, n_channels: int) -> JointTest:
    nan = float("nan")
    return JointTest(f_statistic=nan, degrees_of_freedom=(0, 0), p_value=nan, n_channels=n_channels, reason=reason)
