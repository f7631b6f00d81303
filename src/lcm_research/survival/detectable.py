"""
How small a difference these data could have shown, before any result is looked at.

A comparison that finds nothing says little where nothing but a huge effect could have been found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate, by_replicate, jackknife_se
from lcm_research.survival.strata import exposure_strata

__all__ = ["DetectableRatio", "detectable_difference", "detectable_ratio"]


@dataclass(frozen=True, kw_only=True)
class DetectableRatio:
    """
    The hazard ratios nearest to 1 that would be told from 1.

    Attributes
    ----------
    below, above : float
        One is the inverse of the other.
    n_events : int
        Lapses where both engaged and others are at risk.
    share_engaged : float
        Share of their spell-periods that are exposed.
    design_effect : float
        Variance by groups of customers over that of independent spells; at least 1.
    power, level : float
    """

    below: float
    above: float
    n_events: int
    share_engaged: float
    design_effect: float
    power: float
    level: float


def detectable_ratio(
    counts: pd.DataFrame, *, lag_periods: int, adjust_for: Sequence[str], power: float, level: float
) -> DetectableRatio:
    r"""
    Smallest hazard ratio that a lagged comparison finds with a given power [1]_.

    :math:`|\log HR| = (z_{(1 + level) / 2} + z_{power}) \sqrt{deff / \sum_s d_s p_s (1 - p_s)}`, with the lapses
    :math:`d_s` and the share engaged :math:`p_s` of each stratum (period by ``adjust_for``); with one stratum
    that is Schoenfeld's formula. The design effect compares the spread of the log-rank score between groups of
    customers with what independent spells would give; on which side of 1 the ratio lies is not looked at.

    Parameters
    ----------
    counts : DataFrame
        Of ``exposure_counts`` with the same ``lag_periods``.
    adjust_for : list of str
        Columns of ``counts`` that are held equal; may be empty.
    power : float
        Probability of telling such a ratio from 1, above one half.
    level : float
        Confidence level of the interval that would tell it.

    References
    ----------
    .. [1] Schoenfeld (1983), Biometrics 39:499.
    """
    _check(power, level)
    strata = exposure_strata(counts, lag_periods=lag_periods, within=adjust_for)
    levels: list[pd.Index] = [pd.RangeIndex(strata["stratum"].max() + 1), pd.Index([False, True])]
    grouped = by_replicate(strata, ["n_at_risk", "n_events"], ["stratum", "engaged"], levels)
    n, d = grouped.sum(axis=(0, 2)).T
    share, hazard = grouped.sum(axis=0)[:, 1, 0] / n, d / n
    information = float((d * share * (1 - share)).sum())
    if information == 0:
        raise ModelError("no lapse lies where both engaged and other customers are at risk; nothing can be detected")
    # what each group adds to the log-rank score, less what it should at the risk it bears (martingale residuals)
    residual = grouped[..., 1] - hazard[:, None] * grouped[..., 0]
    scores = (residual[:, :, 1] - share * residual.sum(axis=2)).sum(axis=1)
    spread = N_GROUPS / (N_GROUPS - 1) * float(((scores - scores.mean()) ** 2).sum())
    effect = max(1.0, spread / information)
    z = stats.norm.ppf(0.5 + level / 2) + stats.norm.ppf(power)
    log_ratio = float(z * np.sqrt(effect / information))
    return DetectableRatio(
        below=float(np.exp(-log_ratio)),
        above=float(np.exp(log_ratio)),
        n_events=int(d.sum()),
        share_engaged=float((n * share).sum() / n.sum()),
        design_effect=effect,
        power=power,
        level=level,
    )


def detectable_difference(estimate: Estimate, *, power: float) -> float:
    """
    Smallest difference that would be told from 0 with a given power, in the estimate's unit.

    Only the standard error and the level of ``estimate`` are used: the error times the sum of the quantile that
    its interval takes and that of the power.

    Examples
    --------
    A standard error of 10 days, a 95% interval and a power of 80%: 10 * (1.960 + 0.842).

    >>> found = Estimate(value=3.0, lower=3.0 - 19.6, upper=3.0 + 19.6, unit="days", n=500)
    >>> round(detectable_difference(found, power=0.8), 1)
    28.0
    """
    _check(power, estimate.level)
    tail = 0.5 + estimate.level / 2
    if estimate.leave_one_out is None:
        quantile = float(stats.norm.ppf(tail))
        error = (estimate.upper - estimate.lower) / (2 * quantile)
        return float(error * (quantile + stats.norm.ppf(power)))
    freedom = len(estimate.leave_one_out) - 1
    error = float(jackknife_se(estimate.value, estimate.leave_one_out))
    return float(error * (stats.t.ppf(tail, freedom) + stats.t.ppf(power, freedom)))


def _check(power: float, level: float) -> None:
    for name, value in (("power", power), ("level", level)):
        if not 0.5 < value < 1:
            raise ModelError(f"{name} must lie between 0.5 and 1, such as 0.8 or 0.95; came {value:g}")
