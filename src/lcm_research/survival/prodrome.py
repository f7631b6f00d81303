"""
Does what engaging goes with fade as it lies further back?

Customers who are about to leave may fall silent on the brand's channels first. Then "did not engage" is an early
sign of leaving and no cause of it, and the further back one looks the less it says [1]_. An effect that itself
wears off fades as well: a ratio that fades is not shown to be one or the other.

References
----------
.. [1] Horwitz and Feinstein (1980), American Journal of Medicine 68:255 (protopathic bias).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, jackknife
from lcm_research.survival.engagement import lagged_ratio
from lcm_research.survival.partial_likelihood import TieRule

__all__ = ["lag_fading"]


def lag_fading(
    counts_by_lag: Mapping[int, pd.DataFrame], *, adjust_for: Sequence[str], ties: TieRule, level: float = 0.95
) -> Estimate:
    """
    Hazard ratio at the longest lag over that at the shortest, in the same periods of the same spells.

    Parameters
    ----------
    counts_by_lag : mapping of int to DataFrame
        As for ``lag_profile``, of at least two lags.
    adjust_for : list of str
    ties : {"efron", "breslow"}

    Returns
    -------
    Estimate
        A ratio: above 1 where what is below 1 at the shortest lag rises as the lag grows. The two hazard ratios
        share their customers, and the interval knows.
    """
    if len(counts_by_lag) < 2:
        raise ModelError(f"fading needs the counts of at least two lags; came {sorted(counts_by_lag)}")
    longest, shortest = max(counts_by_lag), min(counts_by_lag)
    # both after the longest lag, so that the same spell-periods are compared
    far, near = (
        lagged_ratio(counts_by_lag[lag], lag_periods=longest, adjust_for=adjust_for, ties=ties, level=level)
        for lag in (longest, shortest)
    )
    return jackknife(
        far.value / near.value,
        np.asarray(far.leave_one_out) / np.asarray(near.leave_one_out),
        unit="ratio",
        n=far.n,
        scale="log",
        level=level,
    )
