"""What survival is asked under every churn window: does engaging go with staying, and which group stays longer?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate
from lcm_research.specification.curve import SpecificationCurve, curve_of
from lcm_research.survival.curves import SurvivalCurve, kaplan_meier
from lcm_research.survival.engagement import lagged_ratio
from lcm_research.survival.partial_likelihood import TieRule
from lcm_research.survival.restricted import restricted_mean_difference

__all__ = ["days_curve", "engaged_curve"]


def engaged_curve(
    counts: Mapping[tuple[int, int], pd.DataFrame],
    *,
    own: tuple[int, int],
    adjust_for: Sequence[str],
    ties: TieRule,
    level: float = 0.95,
) -> SpecificationCurve:
    """
    The lagged hazard ratio of having engaged, under other churn windows and lags.

    Parameters
    ----------
    counts : mapping of (window_days, lag_periods) to DataFrame
        Of ``exposure_counts`` with that window and that lag.
    own : (window_days, lag_periods)
        The study's own.
    adjust_for, ties, level
        As for ``lagged_ratio``.

    Returns
    -------
    SpecificationCurve
        With the null 1, compared on the log scale.
    """
    return curve_of(
        {case: (case[1], table) for case, table in counts.items()},
        lambda given: lagged_ratio(given[1], lag_periods=given[0], adjust_for=adjust_for, ties=ties, level=level),
        choices=lambda case: {"window_days": str(case[0]), "lag_periods": str(case[1])},
        own=own,
        null=1.0,
        scale="log",
    )


def days_curve(
    counts: Mapping[str, pd.DataFrame],
    *,
    own: str,
    by: str,
    group: str,
    other: str,
    horizon_days: int,
    level: float = 0.95,
) -> SpecificationCurve:
    """
    Days that one group of new customers stays longer than another within ``horizon_days``, under other churn windows.

    Parameters
    ----------
    counts : mapping of window to DataFrame
        Of ``spell_counts`` with that window, ``entry="incident"`` and ``by``; the name of a window is its days, or
        ``"personal"``.
    own : str
        The study's own window.
    by, group, other : str
        The segment and the two groups.
    horizon_days : int

    Returns
    -------
    SpecificationCurve
        With the null 0; a window that leaves too short a follow-up is unanswered.
    """

    def longer(table: pd.DataFrame) -> Estimate:
        mine, theirs = (_curve_of_group(table, by, name, level) for name in (group, other))
        return restricted_mean_difference(mine, theirs, horizon_days=horizon_days)

    return curve_of(counts, longer, choices=lambda window: {"window_days": window}, own=own, null=0.0)


def _curve_of_group(counts: pd.DataFrame, by: str, group: str, level: float) -> SurvivalCurve:
    rows = counts[counts[by] == group]
    n_groups = rows.loc[rows["event_observed"] & (rows["n"] > 0), "replicate"].nunique()
    if n_groups < FEW_GROUPS:
        raise ModelError(
            f"'{group}' has lapses in {n_groups} groups of customers, fewer than {FEW_GROUPS}; compare larger groups"
        )
    return kaplan_meier(rows, interval="replicate", level=level)
