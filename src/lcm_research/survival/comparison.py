"""Groups of customers beside each other: do they share one curve, and how many days longer does one stay?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate, holm, wald
from lcm_research.survival.curves import (
    IntervalKind,
    SurvivalCurve,
    kaplan_meier,
)
from lcm_research.survival.replicate_test import (
    ReplicateTest,
    difference_p_value,
    excess_test,
    risk_by_customers,
)
from lcm_research.survival.restricted import restricted_mean, restricted_mean_difference, restricted_mean_ratio
from lcm_research.survival.risk_sets import check_spells

__all__ = [
    "GroupComparison",
    "LogRank",
    "LogRankWeights",
    "compare_groups",
    "log_rank",
    "pairwise_differences",
    "pairwise_log_rank",
]

LogRankWeights = Literal["gehan-breslow", "tarone-ware", "peto-peto"]
Weigh = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From those at risk and the lapses of each day (last axis) to the weight of the day."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LogRank:
    """
    A log-rank test of k groups.

    Attributes
    ----------
    chi_square, p_value : float
        By the model: spells count as independent.
    degrees_of_freedom : int
        One less than the number of groups that are ever at risk together.
    groups : tuple of str
    observed, expected : arrays of shape (k,)
        Events that each group had, and would have had under one shared curve, times the weights of their days.
    n : array of int, shape (k,)
        Spells of each group.
    weights : str
        How days are weighted, in words: ``"rho=0, gamma=0"``, ``"tarone-ware"``.
    strata : str or None
        Column within whose values the groups were compared.
    by_customers : ReplicateTest or None
        The same question asked of the spread between groups of customers, which holds where a customer has several
        spells; None where the counts have no ``replicate``.
    """

    chi_square: float
    degrees_of_freedom: int
    p_value: float
    groups: tuple[str, ...]
    observed: np.ndarray
    expected: np.ndarray
    n: np.ndarray
    weights: str
    strata: str | None
    by_customers: ReplicateTest | None

    def table(self) -> pd.DataFrame:
        """Return one row a group: spells, observed and expected events."""
        return pd.DataFrame({"group": self.groups, "n": self.n, "observed": self.observed, "expected": self.expected})


def log_rank(
    counts: pd.DataFrame,
    *,
    by: str,
    rho: float | None = None,
    gamma: float = 0.0,
    weights: LogRankWeights | None = None,
    strata: str | None = None,
) -> LogRank:
    r"""
    Test whether groups lapse at the same rate on every day of their spells.

    Parameters
    ----------
    counts : DataFrame
        As for ``kaplan_meier``, with the column ``by``; ``entry_days`` is honoured, and with ``replicate`` the test
        is made from groups of customers as well.
    by : str
        Column with the group, of at least two values.
    rho, gamma : float
        Weight of a day in the family of Fleming and Harrington, :math:`S^\rho (1 - S)^\gamma` with the pooled curve
        just before the day [1]_. (0, 0) is the log-rank test, best where hazards are proportional; (1, 0) listens to
        early days, (0, 1) to late ones, (1, 1) to those between.
    weights : {"gehan-breslow", "tarone-ware", "peto-peto"}
        Instead of ``rho``: those at risk (which lets the pattern of censoring in), their root, or the pooled curve of
        Peto and Peto, each lapse taken off one more at risk [2]_.
    strata : str, optional
        Column within whose values the groups are compared; weights follow each stratum's own curve.

    Raises
    ------
    ModelError
        With neither or both of ``rho`` and ``weights``, with fewer than two groups, and as ``kaplan_meier``.

    References
    ----------
    .. [1] Harrington and Fleming (1982), Biometrika 69:553.
    .. [2] Gehan (1965), Biometrika 52:203; Breslow (1970), Biometrika 57:579; Tarone and Ware (1977), Biometrika
       64:156; Peto and Peto (1972), JRSS A 135:185.
    """
    weigh, told = _weighting(rho, gamma, weights)
    columns = ("duration_days", "event_observed", "n", by, *([strata] if strata else []))
    check_spells(counts, columns, "a log-rank test")
    groups = tuple(sorted(counts[by].unique()))
    if len(groups) < 2:
        raise ModelError(f"a log-rank test needs at least two groups of '{by}'; came {len(groups)}: {list(groups)}")
    k, parts = len(groups), [counts] if strata is None else [own for _, own in counts.groupby(strata, sort=True)]
    observed, expected = np.zeros((2, k))
    covariance, lapses = np.zeros((k, k)), np.zeros((N_GROUPS, k))
    without = np.zeros((2, N_GROUPS, k))
    for part in parts:
        _, (at_risk, events) = risk_by_customers(part, [part["event_observed"].to_numpy(bool)], by, groups)
        risk, d = at_risk.sum(axis=0), events.sum(axis=0)
        made = _observed_and_expected(risk, d, weigh)
        observed, expected = observed + made[0], expected + made[1]
        covariance += _covariance(risk, d, weigh)
        if len(at_risk) > 1:
            lapses += events.sum(axis=2)
            without += np.stack(_observed_and_expected(risk - at_risk, d - events, weigh))
    chi_square, rank = wald((observed - expected)[:-1], covariance[:-1, :-1])
    tested = None
    if "replicate" in counts:
        tested = excess_test(observed, expected, without, events=lapses, names=groups)
    return LogRank(
        chi_square=chi_square,
        degrees_of_freedom=rank,
        p_value=float(stats.chi2.sf(chi_square, rank)) if rank else 1.0,
        groups=groups,
        observed=observed,
        expected=expected,
        n=np.array([counts.loc[counts[by] == g, "n"].sum() for g in groups], dtype=np.int64),
        weights=told,
        strata=strata,
        by_customers=tested,
    )


def _weighting(rho: float | None, gamma: float, weights: LogRankWeights | None) -> tuple[Weigh, str]:
    if (rho is None) == (weights is None):
        came = "neither" if rho is None else f"rho={rho:g} and weights='{weights}'"
        raise ModelError(f"a log-rank test needs one choice of weights, rho or weights; came {came}")
    if weights is None:
        assert rho is not None
        if rho < 0 or gamma < 0:
            raise ModelError(f"rho and gamma are powers of at least 0; came rho={rho:g}, gamma={gamma:g}")
        return _fleming_harrington(rho, gamma), f"rho={rho:g}, gamma={gamma:g}"
    if gamma != 0:
        raise ModelError(f"gamma={gamma:g} goes with rho, not with weights='{weights}'")
    known: dict[str, Weigh] = {
        "gehan-breslow": lambda n, d: n,
        "tarone-ware": lambda n, d: np.sqrt(n),
        "peto-peto": lambda n, d: np.cumprod(1 - d / (n + 1), axis=-1),
    }
    if weights not in known:
        raise ModelError(f"weights must be one of {', '.join(known)}; came '{weights}'")
    return known[weights], weights


def _fleming_harrington(rho: float, gamma: float) -> Weigh:
    def weigh(n: np.ndarray, d: np.ndarray) -> np.ndarray:
        after = np.cumprod(1 - _ratio(d, n), axis=-1)
        before = np.concatenate([np.ones((*after.shape[:-1], 1)), after[..., :-1]], axis=-1)
        return before**rho * (1 - before) ** gamma

    return weigh


def _observed_and_expected(at_risk: np.ndarray, events: np.ndarray, weigh: Weigh) -> tuple[np.ndarray, np.ndarray]:
    """Weighted lapses of each group, and those it would have had at the pooled rate; days are the last axis."""
    n, d = at_risk.sum(axis=-2), events.sum(axis=-2)
    weight = weigh(n, d)[..., None, :]
    return (weight * events).sum(axis=-1), (weight * at_risk * _ratio(d, n)[..., None, :]).sum(axis=-1)


def _covariance(at_risk: np.ndarray, events: np.ndarray, weigh: Weigh) -> np.ndarray:
    """Hypergeometric covariance of observed less expected, summed over days."""
    n, d = at_risk.sum(axis=0), events.sum(axis=0)
    spread = weigh(n, d) ** 2 * d * _ratio(n - d, (n - 1) * n)
    return np.diag(at_risk @ spread) - (at_risk * _ratio(spread, n)) @ at_risk.T


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)


def pairwise_log_rank(
    counts: pd.DataFrame,
    *,
    by: str,
    inference: Literal["replicate", "model"],
    rho: float | None = None,
    gamma: float = 0.0,
    weights: LogRankWeights | None = None,
    strata: str | None = None,
) -> pd.DataFrame:
    """
    Compare the curves of every two groups, with Holm's correction for the number of pairs.

    Parameters
    ----------
    inference : {"replicate", "model"}
        Which p-value is told and corrected: from groups of customers, or taking spells as independent.
    by, rho, gamma, weights, strata
        As for ``log_rank``.

    Returns
    -------
    DataFrame
        One row a pair: ``group``, ``other`` (the larger first), ``n`` spells of both, ``statistic`` (F for
        ``replicate``, chi-square for ``model``), ``p_value``, ``p_value_holm``, and ``reason``, which is not empty
        where a pair cannot be tested.
    """
    if inference not in ("replicate", "model"):
        raise ModelError(f"inference must be 'replicate' or 'model'; came '{inference}'")
    if inference == "replicate" and "replicate" not in counts:
        raise ModelError("inference='replicate' needs the column 'replicate' in the counts; choose 'model' without it")
    rows = []
    for group, other in combinations(_by_size(counts, by), 2):
        pair = counts[counts[by].isin([group, other])]
        test = log_rank(pair, by=by, rho=rho, gamma=gamma, weights=weights, strata=strata)
        grouped = test.by_customers if inference == "replicate" else None
        told = (test.chi_square, test.p_value, "") if grouped is None else _told(grouped)
        rows.append((group, other, int(test.n.sum()), *told))
    table = pd.DataFrame(rows, columns=["group", "other", "n", "statistic", "p_value", "reason"])
    table.insert(5, "p_value_holm", holm(table["p_value"].to_numpy(float)))
    return table


def _told(test: ReplicateTest) -> tuple[float, float, str]:
    return test.f_statistic, test.p_value, test.reason


def _by_size(counts: pd.DataFrame, by: str) -> list[str]:
    """Groups from the largest to the smallest, so that none comes first by its outcome."""
    sizes = counts.groupby(by)["n"].sum().sort_values(ascending=False, kind="stable")
    if len(sizes) < 2:
        raise ModelError(f"a comparison needs at least two groups of '{by}'; came {len(sizes)}")
    return [str(group) for group in sizes.index]


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupComparison:
    """
    Groups beside each other: their curves, restricted means, and differences from one reference.

    Attributes
    ----------
    curves : mapping of group to SurvivalCurve
        From the largest group to the smallest.
    reference : str
        The largest group, so that it is not chosen by its outcome.
    means : mapping of group to Estimate
        Restricted means in days; groups that are not followed to the horizon are missing.
    differences : mapping of group to Estimate
        Days longer than the reference; without the reference itself.
    ratios : mapping of group to Estimate
        Restricted mean as a multiple of the reference's.
    """

    by: str
    horizon_days: float
    curves: Mapping[str, SurvivalCurve]
    reference: str
    means: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    ratios: Mapping[str, Estimate]

    def largest_contrast(self) -> str | None:
        """Return the largest group beside the reference that can be compared with it, if any."""
        return next(iter(self.differences), None)

    def table(self) -> pd.DataFrame:
        """Return one row a group; estimates as Estimate, None where the follow-up is too short."""
        return pd.DataFrame(
            {
                "group": list(self.curves),
                "n": [curve.n for curve in self.curves.values()],
                "n_events": [curve.n_events for curve in self.curves.values()],
                "restricted_mean": [self.means.get(group) for group in self.curves],
                "difference": [self.differences.get(group) for group in self.curves],
                "restricted_mean_ratio": [self.ratios.get(group) for group in self.curves],
            }
        )


def compare_groups(
    counts: pd.DataFrame, *, by: str, horizon_days: float, interval: IntervalKind, level: float = 0.95
) -> GroupComparison:
    """
    Compare how long groups stay within ``horizon_days``, each with the largest.

    Parameters
    ----------
    counts : DataFrame
        As for ``kaplan_meier``, with the column ``by`` of at least two values.
    horizon_days : float
        Within the follow-up of the largest group; groups that are not followed so long get no mean.
    interval : str
        As for ``kaplan_meier``.
    level : float
        Of every interval; there is no correction for the number of groups (``pairwise_differences`` has one).
    """
    groups = _by_size(counts, by)
    curves = {g: kaplan_meier(counts[counts[by] == g], interval=interval, level=level) for g in groups}
    reference = curves[groups[0]]
    others = {g: curves[g] for g in groups[1:] if curves[g].follow_up_days >= horizon_days}
    return GroupComparison(
        by=by,
        horizon_days=horizon_days,
        curves=curves,
        reference=groups[0],
        means={
            g: restricted_mean(curve, horizon_days=horizon_days)
            for g, curve in ({groups[0]: reference} | others).items()
        },
        differences={g: restricted_mean_difference(c, reference, horizon_days=horizon_days) for g, c in others.items()},
        ratios={g: restricted_mean_ratio(c, reference, horizon_days=horizon_days) for g, c in others.items()},
    )


def pairwise_differences(comparison: GroupComparison) -> pd.DataFrame:
    """
    Compare the restricted means of every two groups, with Holm's correction for the number of pairs.

    Groups that are not followed to the horizon are left out. The intervals are those of one pair; the corrected
    p-value is what answers for all pairs together.

    Returns
    -------
    DataFrame
        One row a pair: ``group``, ``other``, ``n`` spells of both, ``difference`` (Estimate, days that ``group`` stays
        longer), ``restricted_mean_ratio`` (Estimate), ``p_value`` of the difference, ``p_value_holm``.
    """
    horizon, rows = comparison.horizon_days, []
    for group, other in combinations(comparison.means, 2):
        pair = comparison.curves[group], comparison.curves[other]
        difference = restricted_mean_difference(*pair, horizon_days=horizon)
        ratio = restricted_mean_ratio(*pair, horizon_days=horizon)
        rows.append((group, other, difference.n, difference, ratio, difference_p_value(difference)))
    columns = ["group", "other", "n", "difference", "restricted_mean_ratio", "p_value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_value_holm=holm(table["p_value"].to_numpy(float)))
