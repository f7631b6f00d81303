"""Groups of spells beside each other that may end in several ways: is one way as common in each?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.survival.competing import CENSORED, checked_cause
from lcm_research.survival.risk_sets import check_spells, risk_arrays

__all__ = ["GrayTest", "gray_test"]


@dataclass(frozen=True, kw_only=True, eq=False)
class GrayTest:
    """
    Gray's test of k groups.

    Attributes
    ----------
    chi_square, p_value : float
    degrees_of_freedom : int
        One less than the number of groups.
    cause : str
    groups : tuple of str
    observed, expected : arrays of shape (k,)
        Ends by ``cause`` that each group had, and would have had under one shared cumulative incidence.
    n : array of int, shape (k,)
        Spells of each group.
    """

    chi_square: float
    degrees_of_freedom: int
    p_value: float
    cause: str
    groups: tuple[str, ...]
    observed: np.ndarray
    expected: np.ndarray
    n: np.ndarray

    def table(self) -> pd.DataFrame:
        """Return one row a group: spells, observed and expected ends by the cause."""
        return pd.DataFrame({"group": self.groups, "n": self.n, "observed": self.observed, "expected": self.expected})


def gray_test(counts: pd.DataFrame, *, by: str, cause: str) -> GrayTest:
    """
    Test whether groups share one cumulative incidence of ``cause`` [1]_.

    A log-rank test in which spells that ended by another cause stay among those at risk, with the weight of the
    share of their group that would still be under observation. Where the log-rank test of ``cause`` asks about its
    rate among the spells still open, this asks about its share of all. Spells count as independent: with several
    spells a customer the test is too sure of itself.

    Parameters
    ----------
    counts : DataFrame
        As for ``cumulative_incidence``, with the column ``by``.
    by : str
        Column with the group, of at least two values.
    cause : str
        One of the causes in the counts.

    Raises
    ------
    ModelError
        As ``cumulative_incidence``; with fewer than two groups; and where a group's spells have all ended on a day
        and others of it enter later.

    References
    ----------
    .. [1] Gray (1988), Annals of Statistics 16:1141.
    """
    check_spells(counts, ("duration_days", "cause", "n", by), "Gray's test")
    checked_cause(counts, cause)
    groups = tuple(sorted(counts[by].unique()))
    if len(groups) < 2:
        raise ModelError(f"Gray's test needs at least two groups of '{by}'; came {len(groups)}: {list(groups)}")
    codes = pd.Index(groups).get_indexer(pd.Index(counts[by]))
    own = (counts["cause"] == cause).to_numpy(bool)
    other = ~own & ~counts["cause"].isin(CENSORED).to_numpy(bool)
    times, at_risk, (events, others) = risk_arrays(counts, [own, other], codes, len(groups))
    before, after = _survival(at_risk, events + others)
    if ((before <= 0) & (at_risk > 0)).any():
        group, day = np.argwhere((before <= 0) & (at_risk > 0))[0]
        raise ModelError(
            f"all spells of '{by}' = {groups[group]} at risk had ended before day {times[day]:g}, where others enter; "
            "start the comparison later, or merge groups"
        )
    expected, variance = _score(at_risk, events, others, before, after)
    difference = (events.sum(axis=1) - expected)[:-1]
    # a group that is never at risk together with another says nothing, so a generalised inverse
    chi_square = float(difference @ np.linalg.pinv(variance[:-1, :-1], hermitian=True) @ difference)
    return GrayTest(
        chi_square=chi_square,
        degrees_of_freedom=len(groups) - 1,
        p_value=float(stats.chi2.sf(chi_square, len(groups) - 1)),
        cause=cause,
        groups=groups,
        observed=events.sum(axis=1),
        expected=expected,
        n=np.bincount(codes, counts["n"].to_numpy(float), len(groups)).astype(np.int64),
    )


def _survival(at_risk: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of each group that no cause has ended, before and after each day."""
    after = np.cumprod(1 - _ratio(ends, at_risk), axis=1)
    return np.hstack([np.ones((len(after), 1)), after[:, :-1]]), after


def _score(
    at_risk: np.ndarray, events: np.ndarray, others: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Expected ends by the cause under one shared incidence F, and the covariance of observed less expected.

    A group's score is a sum of martingales over the ends of every group: those by the cause count a_ik + u_k g_ik,
    those by another w_k g_ik, where h_k = Y_k / S_k(t-) stands for the spells under observation, a_ik is the
    log-rank weight with h for those at risk, g_ik what a change of F today does to the rest of the score,
    w_k = (1 - F) / S_k and u_k = 1 - w_k (Gray 1988, section 3).
    """
    d = events.sum(axis=0)
    own_share = np.cumsum(before * _ratio(events, at_risk), axis=1)
    own_before = np.hstack([np.zeros((len(events), 1)), own_share[:, :-1]])
    h = _ratio(at_risk, before)
    not_yet = h * (1 - own_before)
    expected = (not_yet * _ratio(d, not_yet.sum(axis=0))).sum(axis=1)

    total = h.sum(axis=0)
    step = _ratio(d, total)
    left = 1 - step.cumsum()
    a = h[:, None] * (np.eye(len(h))[:, :, None] - _ratio(h, total)[None])
    # F of groups that differ widely may pass 1; there is nothing left to weight by then
    c = (a * _ratio(step, left + step)).cumsum(axis=2)
    g = c[:, :, -1:] - c
    w = _ratio(np.broadcast_to(left, after.shape), after)
    u = np.where(after > 0, 1 - w, 1.0)
    own_variance = _without_replacement(d, total * before) * before * _ratio(np.broadcast_to(step, h.shape), at_risk)
    other_variance = _without_replacement(others, at_risk) * before**2 * _ratio(others, at_risk**2) * (after > 0)
    by_own, by_other = a + u * g, w * g
    variance = np.einsum("ikt,jkt,kt->ij", by_own, by_own, own_variance)
    return expected, variance + np.einsum("ikt,jkt,kt->ij", by_other, by_other, other_variance)


def _without_replacement(drawn: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Factor by which ``drawn`` ends on one day vary less than as many on days of their own."""
    return 1 - np.where(drawn > 1, _ratio(np.broadcast_to(drawn - 1, of.shape), of - 1), 0.0)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)
