"""Groups of customers beside each other: do they share one curve, and how many days longer does one stay?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.survival.curves import (
    IntervalKind,
    SurvivalCurve,
    kaplan_meier,
)
from lcm_research.survival.restricted import restricted_mean, restricted_mean_difference

__all__ = ["GroupComparison", "LogRank", "compare_groups", "log_rank"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LogRank:
    """
    A log-rank test of k groups.

    Attributes
    ----------
    chi_square, p_value : float
    degrees_of_freedom : int
        One less than the number of groups.
    groups : tuple of str
    observed, expected : arrays of shape (k,)
        Events that each group had, and would have had under one shared curve (weighted where ``rho`` is not 0).
    n : array of int, shape (k,)
        Spells of each group.
    """

    chi_square: float
    degrees_of_freedom: int
    p_value: float
    groups: tuple[str, ...]
    observed: np.ndarray
    expected: np.ndarray
    n: np.ndarray
    rho: float

    def table(self) -> pd.DataFrame:
        """Return one row a group: spells, observed and expected events."""
        return pd.DataFrame({"group": self.groups, "n": self.n, "observed": self.observed, "expected": self.expected})


def log_rank(counts: pd.DataFrame, *, by: str, rho: float) -> LogRank:
    """
    Test whether groups lapse at the same rate on every day of their spells [1]_.

    Spells count as independent: with several spells a customer the test is too sure of itself.

    Parameters
    ----------
    counts : DataFrame
        As for ``kaplan_meier``, with the column ``by``.
    by : str
        Column with the group, of at least two values.
    rho : float
        Weight of a day: its pooled survival to the power ``rho``. 0 is the log-rank test; 1, Peto and Peto's,
        listens more to early days.

    References
    ----------
    .. [1] Harrington and Fleming (1982), Biometrika 69:553.
    """
    groups = tuple(sorted(counts[by].unique()))
    if len(groups) < 2:
        raise ModelError(f"a log-rank test needs at least two groups of '{by}'; came {len(groups)}: {list(groups)}")
    pooled = kaplan_meier(counts, interval="log-log")
    days = pooled.times[pooled.events > 0]
    at_risk, events = _on_days(counts, by, groups, days)
    n, d = at_risk.sum(axis=0), events.sum(axis=0)
    survival_before = np.concatenate([[1.0], pooled.survival[pooled.events > 0][:-1]])
    weight = survival_before**rho

    observed, expected = (weight * events).sum(axis=1), (weight * d * at_risk / n).sum(axis=1)
    spread = weight**2 * d * np.divide(n - d, n - 1, out=np.zeros(len(n)), where=n > 1) / n
    covariance = np.diag(at_risk @ spread) - (at_risk * spread / n) @ at_risk.T
    # a group that is never at risk together with another says nothing, so a generalised inverse
    difference = (observed - expected)[:-1]
    chi_square = float(difference @ np.linalg.pinv(covariance[:-1, :-1], hermitian=True) @ difference)
    return LogRank(
        chi_square=chi_square,
        degrees_of_freedom=len(groups) - 1,
        p_value=float(stats.chi2.sf(chi_square, len(groups) - 1)),
        groups=groups,
        observed=observed,
        expected=expected,
        n=np.array([counts.loc[counts[by] == g, "n"].sum() for g in groups], dtype=np.int64),
        rho=rho,
    )


def _on_days(counts: pd.DataFrame, by: str, groups: tuple[str, ...], days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At risk and events of each group on the days with an event of any, shape (k, n_days)."""
    at_risk, events = np.zeros((2, len(groups), len(days)))
    for place, group in enumerate(groups):
        own = counts[counts[by] == group]
        n, ended = own["n"].to_numpy(float), own["duration_days"].to_numpy()
        entered = own["entry_days"].to_numpy() if "entry_days" in own else np.zeros(len(own))
        exits = np.searchsorted(days, ended, side="right")  # days up to and including the last are at risk
        enters = np.searchsorted(days, entered, side="right")
        change = np.bincount(enters, n, len(days) + 1) - np.bincount(exits, n, len(days) + 1)
        at_risk[place] = change.cumsum()[:-1]
        lapsed = own["event_observed"].to_numpy(bool)
        events[place] = np.bincount(np.searchsorted(days, ended[lapsed]), n[lapsed], len(days))
    return at_risk, events


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupComparison:
    """
    Groups beside each other: their curves, restricted means and differences from one reference.

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
    """

    by: str
    horizon_days: float
    curves: Mapping[str, SurvivalCurve]
    reference: str
    means: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]

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
        Of every interval; there is no correction for the number of groups.
    """
    sizes = counts.groupby(by)["n"].sum().sort_values(ascending=False, kind="stable")
    if len(sizes) < 2:
        raise ModelError(f"a comparison needs at least two groups of '{by}'; came {len(sizes)}")
    groups = [str(group) for group in sizes.index]
    curves = {g: kaplan_meier(counts[counts[by] == g], interval=interval, level=level) for g in groups}
    followed = [g for g in groups if curves[g].follow_up_days >= horizon_days or g == groups[0]]
    return GroupComparison(
        by=by,
        horizon_days=horizon_days,
        curves=curves,
        reference=groups[0],
        means={g: restricted_mean(curves[g], horizon_days=horizon_days) for g in followed},
        differences={
            g: restricted_mean_difference(curves[g], curves[groups[0]], horizon_days=horizon_days) for g in followed[1:]
        },
    )
