"""
What if the customers lost sight of are not like the others?

A survival curve lets those who are censored lapse as the rest do. Nothing in the data says so. The bounds let all
of them lapse at once, or none within the horizon; between the two, their hazard is the others' times a factor [1]_.

References
----------
.. [1] Jackson, White, Seaman, Evans, Baisley and Carpenter (2014), Statistics in Medicine 33:4681.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, jackknife, leave_one_out, proportion
from lcm_research.survival.risk_sets import SPELL, check_spells

__all__ = ["CensoringBounds", "censoring_bounds"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CensoringBounds:
    """
    The share that stays and the restricted mean, by what becomes of the censored.

    Attributes
    ----------
    horizon_days : int
    share_censored : Estimate
        Share of spells lost sight of before the horizon, without a lapse.
    hazard_factors : tuple of float
        From infinite (all lapse at once) over the factors asked for to 0 (none lapses within the horizon), falling;
        1 is the usual curve.
    stays, restricted_mean : tuple of Estimate
        One a factor: share that goes on past the horizon, and mean days within it.
    """

    horizon_days: int
    share_censored: Estimate
    hazard_factors: tuple[float, ...]
    stays: tuple[Estimate, ...]
    restricted_mean: tuple[Estimate, ...]

    def table(self) -> pd.DataFrame:
        """Return one row a factor, from the worst case to the best."""
        return pd.DataFrame(
            {
                "hazard_factor": self.hazard_factors,
                "survival": self.stays,
                "restricted_mean_days": self.restricted_mean,
            }
        )

    def at(self, factor: float) -> tuple[Estimate, Estimate]:
        """Return the share that stays and the restricted mean at one of ``hazard_factors``."""
        if factor not in self.hazard_factors:
            raise ModelError(f"hazard factor {factor:g} was not asked for; known are {list(self.hazard_factors)}")
        place = self.hazard_factors.index(factor)
        return self.stays[place], self.restricted_mean[place]


def censoring_bounds(
    counts: pd.DataFrame, *, horizon_days: int, hazard_factors: Sequence[float], level: float = 0.95
) -> CensoringBounds:
    r"""
    Bound what informative censoring could do to the share that stays and to the restricted mean.

    A spell censored after day :math:`c` goes on past :math:`t` with probability
    :math:`(S(t) / S(c))^k`, where :math:`S` is the product-limit curve and :math:`k` the factor on the hazard; with
    :math:`k = 1` the mean over all spells is that curve again (Efron's self-consistency).

    Parameters
    ----------
    counts : DataFrame
        As for ``kaplan_meier``, with ``replicate`` and without late entry.
    horizon_days : int
        Within the follow-up.
    hazard_factors : list of float
        Positive factors between the bounds, such as ``[2, 1, 0.5]``.

    Examples
    --------
    Of ten spells of each group two lapse on day 10, four are lost sight of on day 20, four are followed to day 40:

    >>> spells = pd.DataFrame({"duration_days": [10, 20, 40], "event_observed": [True, False, False], "n": [2, 4, 4]})
    >>> counts = spells.merge(pd.DataFrame({"replicate": range(100)}), how="cross")
    >>> worst, usual, best = censoring_bounds(counts, horizon_days=40, hazard_factors=[1]).stays
    >>> worst.value, round(usual.value, 3), best.value
    (0.4, 0.8, 0.8)
    """
    counts = check_spells(counts, [*SPELL, "replicate"], "a bound on what censoring hides")
    factors = _checked_factors(counts, horizon_days, hazard_factors)
    lapsed, lost = _by_day(counts, horizon_days)
    _check_groups(lapsed)
    followed = counts["duration_days"].to_numpy() >= horizon_days
    late = followed & ~(counts["event_observed"].to_numpy(bool) & (counts["duration_days"].to_numpy() == horizon_days))
    groups, n = counts["replicate"].to_numpy(np.int64), counts["n"].to_numpy(float)
    beyond, everyone = np.bincount(groups, n * late, N_GROUPS), np.bincount(groups, n, N_GROUPS)

    # days 1 to the horizon: lapses, losses; last column: those followed beyond it
    grouped = np.concatenate([lapsed, lost, beyond[:, None]], axis=1)
    size = int(n.sum())
    stays, means = [], []
    for factor in factors:
        value, without = leave_one_out(grouped, functools.partial(_stay_and_mean, horizon_days, factor))
        if factor == np.inf:
            stays.append(proportion(beyond, everyone, unit="probability", level=level))
        elif factor == 0:
            stays.append(proportion(everyone - lapsed.sum(axis=1), everyone, unit="probability", level=level))
        else:
            stays.append(jackknife(value[0], without[:, 0], unit="probability", n=size, scale="loglog", level=level))
        means.append(jackknife(value[1], without[:, 1], unit="days", n=size, level=level))
    return CensoringBounds(
        horizon_days=horizon_days,
        share_censored=proportion(lost.sum(axis=1), everyone, level=level),
        hazard_factors=factors,
        stays=tuple(stays),
        restricted_mean=tuple(means),
    )


def _stay_and_mean(horizon_days: int, factor: float, sums: np.ndarray) -> np.ndarray:
    """Share past the horizon and area up to it; ``sums`` are lapses and losses by day, and those followed beyond."""
    lapsed, lost = sums[:horizon_days], sums[horizon_days:-1]
    gone = np.concatenate([[0.0], (lapsed + lost).cumsum()[:-1]])
    at_risk = sums.sum() - gone
    hazard = np.divide(lapsed, at_risk, out=np.zeros(horizon_days), where=at_risk > 0)
    # of those lost sight of so far, how many are still there after each day
    hidden, still = 0.0, np.empty(horizon_days)
    keep = np.zeros(horizon_days) if factor == np.inf else (1 - hazard) ** factor
    for day in range(horizon_days):
        hidden = hidden * keep[day] + (0.0 if factor == np.inf else lost[day])
        still[day] = hidden
    seen = sums.sum() - (lapsed + lost).cumsum()
    share = (seen + still) / sums.sum()
    return np.array([share[-1], 1 + share[:-1].sum()])


def _by_day(counts: pd.DataFrame, horizon_days: int) -> tuple[np.ndarray, np.ndarray]:
    """Lapses, and losses without a lapse before the horizon, by group and day; shape (100, horizon_days)."""
    day = counts["duration_days"].to_numpy(np.int64)
    event, n = counts["event_observed"].to_numpy(bool), counts["n"].to_numpy(float)
    flat = counts["replicate"].to_numpy(np.int64) * horizon_days + np.minimum(day, horizon_days) - 1
    made = []
    for kind in (event & (day <= horizon_days), ~event & (day < horizon_days)):
        cells = np.bincount(flat, n * kind, N_GROUPS * horizon_days)
        made.append(cells.reshape(N_GROUPS, horizon_days))
    return made[0], made[1]


def _check_groups(lapsed: np.ndarray) -> None:
    groups = int((lapsed.sum(axis=1) > 0).sum())
    if groups < FEW_GROUPS:
        raise ModelError(
            f"lapses by the horizon in {groups} groups of customers, fewer than {FEW_GROUPS}: too few for an interval; "
            "choose a later horizon or wait for more customers"
        )


def _checked_factors(counts: pd.DataFrame, horizon_days: int, asked: Sequence[float]) -> tuple[float, ...]:
    if "entry_days" in counts and counts["entry_days"].any():
        raise ModelError("bounds on censoring need spells seen from their first day; these counts have late entry")
    longest = int(counts["duration_days"].max())
    if not 1 <= horizon_days <= longest:
        raise ModelError(
            f"horizon_days={horizon_days} is outside the follow-up of {longest} days; choose a day in [1, {longest}]"
        )
    wrong = [factor for factor in asked if not 0 < factor < np.inf]
    if wrong:
        raise ModelError(f"hazard_factors must be positive numbers, such as [2, 1, 0.5]; came {wrong[0]:g}")
    return (np.inf, *sorted({float(factor) for factor in asked}, reverse=True), 0.0)
