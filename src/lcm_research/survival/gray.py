"""Groups of spells beside each other that may end in several ways: is one way as common in each?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, wald
from lcm_research.survival.competing import CENSORED, checked_cause
from lcm_research.survival.replicate_test import ReplicateTest, excess_test, risk_by_customers
from lcm_research.survival.risk_sets import check_spells

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
    strata : str or None
        Column within whose values the groups were compared.
    by_customers : ReplicateTest or None
        The same question asked of the spread between groups of customers, which holds where a customer has several
        spells; None where the counts have no ``replicate``.
    """

    chi_square: float
    degrees_of_freedom: int
    p_value: float
    cause: str
    groups: tuple[str, ...]
    observed: np.ndarray
    expected: np.ndarray
    n: np.ndarray
    strata: str | None
    by_customers: ReplicateTest | None

    def table(self) -> pd.DataFrame:
        """Return one row a group: spells, observed and expected ends by the cause."""
        return pd.DataFrame({"group": self.groups, "n": self.n, "observed": self.observed, "expected": self.expected})


def gray_test(counts: pd.DataFrame, *, by: str, cause: str, strata: str | None = None) -> GrayTest:
    """
    Test whether groups share one cumulative incidence of ``cause`` [1]_.

    A log-rank test in which spells that ended by another cause stay among those at risk, with the weight of the
    share of their group that would still be under observation. Where the log-rank test of ``cause`` asks about its
    rate among the spells still open, this asks about its share of all.

    Parameters
    ----------
    counts : DataFrame
        As for ``cumulative_incidence``, with the column ``by``; with ``replicate`` the test is made from groups of
        customers as well.
    by : str
        Column with the group, of at least two values.
    cause : str
        One of the causes in the counts.
    strata : str, optional
        Column within whose values the groups are compared; each stratum has a shared incidence of its own.

    Raises
    ------
    ModelError
        As ``cumulative_incidence``; with fewer than two groups; and where a group's spells have all ended on a day
        and others of it enter later.

    References
    ----------
    .. [1] Gray (1988), Annals of Statistics 16:1141.
    """
    columns = ("duration_days", "cause", "n", by, *([strata] if strata else []))
    check_spells(counts, columns, "Gray's test")
    checked_cause(counts, cause)
    groups = tuple(sorted(counts[by].unique()))
    if len(groups) < 2:
        raise ModelError(f"Gray's test needs at least two groups of '{by}'; came {len(groups)}: {list(groups)}")
    k = len(groups)
    observed, expected, variance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    ended, without = np.zeros((N_GROUPS, k)), np.zeros((2, N_GROUPS, k))
    for part in [counts] if strata is None else [own for _, own in counts.groupby(strata, sort=True)]:
        own = (part["cause"] == cause).to_numpy(bool)
        other = ~own & ~part["cause"].isin(CENSORED).to_numpy(bool)
        times, by_customers = risk_by_customers(part, [own, other], by, groups)
        at_risk, events, others = (each.sum(axis=0) for each in by_customers)
        before, after = _survival(at_risk, events + others)
        _check_overlap(times, at_risk, before, by, groups)
        own_expected, own_variance = _score(at_risk, events, others, before, after)
        observed, expected, variance = observed + events.sum(axis=1), expected + own_expected, variance + own_variance
        if "replicate" in counts:
            ended += by_customers[1].sum(axis=2)
            left = zip(at_risk - by_customers[0], events - by_customers[1], others - by_customers[2], strict=True)
            without += np.stack([(each[1].sum(axis=1), _expected(*each)) for each in left], axis=1)
    chi_square, rank = wald((observed - expected)[:-1], variance[:-1, :-1])
    tested = None
    if "replicate" in counts:
        tested = excess_test(observed, expected, without, events=ended, names=groups)
    return GrayTest(
        chi_square=chi_square,
        degrees_of_freedom=rank,
        p_value=float(stats.chi2.sf(chi_square, rank)) if rank else 1.0,
        cause=cause,
        groups=groups,
        observed=observed,
        expected=expected,
        n=np.array([counts.loc[counts[by] == group, "n"].sum() for group in groups], dtype=np.int64),
        strata=strata,
        by_customers=tested,
    )


def _check_overlap(
    times: np.ndarray, at_risk: np.ndarray, before: np.ndarray, by: str, groups: tuple[str, ...]
) -> None:
    stranded = np.argwhere((before <= 0) & (at_risk > 0))
    if len(stranded):
        group, day = stranded[0]
        raise ModelError(
            f"all spells of '{by}' = {groups[group]} at risk had ended before day {times[day]:g}, where others enter; "
            "start the comparison later, or merge groups"
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
    d, h = events.sum(axis=0), _ratio(at_risk, before)
    expected = _expected(at_risk, events, others)
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


def _expected(at_risk: np.ndarray, events: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Ends by the cause of each group under one shared incidence."""
    before, _ = _survival(at_risk, events + others)
    own_share = np.cumsum(before * _ratio(events, at_risk), axis=1)
    own_before = np.hstack([np.zeros((len(events), 1)), own_share[:, :-1]])
    not_yet = _ratio(at_risk, before) * (1 - own_before)
    return (not_yet * _ratio(events.sum(axis=0), not_yet.sum(axis=0))).sum(axis=1)


def _without_replacement(drawn: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Factor by which ``drawn`` ends on one day vary less than as many on days of their own."""
    return 1 - np.where(drawn > 1, _ratio(np.broadcast_to(drawn - 1, of.shape), of - 1), 0.0)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)
