"""
Does a difference between groups turn around once they are made up alike?

A group may stay longer only because more of its customers come from where everybody stays (Simpson's paradox
[1]_). Every pair of segments is looked at: the contrast of the one, within the levels of the other.

References
----------
.. [1] Simpson (1951), JRSS B 13:238.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate
from lcm_research.survival.curves import SurvivalCurve, at_risk_at, kaplan_meier
from lcm_research.survival.restricted import restricted_mean_difference, standardised_difference

__all__ = ["Reversal", "simpson_scan"]


@dataclass(frozen=True, kw_only=True)
class Reversal:
    """
    One contrast, pooled and made up alike of the levels of another segment.

    Attributes
    ----------
    by, group, reference : str
        The contrast: days that ``group`` stays longer than ``reference``, the two largest of segment ``by``.
    within : str
        The other segment.
    pooled, standardised : Estimate
        In days, on the same customers: over all levels of ``within``, and averaged over them with the weights of
        all customers.
    n_levels, n_opposite : int
        Levels that could be compared, and those whose difference has the other sign than ``pooled``.
    share_covered : float
        Share of the customers of both groups who are in those levels.
    """

    by: str
    group: str
    reference: str
    within: str
    pooled: Estimate
    standardised: Estimate
    n_levels: int
    n_opposite: int
    share_covered: float

    @property
    def turns(self) -> bool:
        """Whether the standardised difference has the other sign, whatever the intervals say."""
        return self.pooled.value * self.standardised.value < 0

    @property
    def reversed(self) -> bool:
        """Whether both intervals leave out 0, on different sides."""
        return self.pooled.sign() * self.standardised.sign() == -1


def simpson_scan(
    counts: pd.DataFrame,
    *,
    segments: Sequence[str],
    contrasts: Mapping[str, tuple[str, str]],
    horizon_days: int,
    min_at_risk: int,
    level: float = 0.95,
) -> list[Reversal]:
    """
    Look at the contrast of each segment within the levels of every other.

    Parameters
    ----------
    counts : DataFrame
        Of ``spell_counts`` with the columns ``segments``.
    segments : list of str
        At least two.
    contrasts : mapping of str to (group, reference)
        The contrast of each segment that has one, as the page makes it.
    horizon_days : int
        Of the restricted means.
    min_at_risk : int
        A level is compared where both groups have as many customers at risk at the horizon, and lapses in at least
        20 groups of customers.

    Returns
    -------
    list of Reversal
        One a pair of segments with at least two levels compared, in the order of ``segments``. Intervals are not
        corrected for the number of pairs.
    """
    if len(segments) < 2:
        raise ModelError(f"a reversal needs two segments to cross; came {list(segments)}")
    found = []
    for by in segments:
        for within in segments:
            if within != by and by in contrasts:
                made = _look_within(counts, by, contrasts[by], within, horizon_days, min_at_risk, level)
                found += [made] if made else []
    return found


def _look_within(
    counts: pd.DataFrame,
    by: str,
    contrast: tuple[str, str],
    within: str,
    horizon_days: int,
    min_at_risk: int,
    level: float,
) -> Reversal | None:
    rows = counts[counts[by].isin(contrast)]
    strata = {}
    for name, own in rows.groupby(within):
        curves = [
            kaplan_meier(own[own[by] == g], interval="replicate", level=level) for g in contrast if _has(own, by, g)
        ]
        if len(curves) == 2 and all(_is_carried(curve, horizon_days, min_at_risk) for curve in curves):
            strata[str(name)] = (curves[0], curves[1])
    if len(strata) < 2:
        return None
    compared = rows[rows[within].astype(str).isin(strata)]
    whole = [kaplan_meier(compared[compared[by] == g], interval="replicate", level=level) for g in contrast]
    pooled = restricted_mean_difference(whole[0], whole[1], horizon_days=horizon_days)
    parts = [restricted_mean_difference(*pair, horizon_days=horizon_days).value for pair in strata.values()]
    return Reversal(
        by=by,
        group=contrast[0],
        reference=contrast[1],
        within=within,
        pooled=pooled,
        standardised=standardised_difference(strata, horizon_days=horizon_days),
        n_levels=len(strata),
        n_opposite=int((np.array(parts) * pooled.value < 0).sum()),
        share_covered=float(compared["n"].sum() / rows["n"].sum()),
    )


def _has(counts: pd.DataFrame, by: str, group: str) -> bool:
    return bool(counts.loc[counts[by] == group, "n"].sum() > 0)


def _is_carried(curve: SurvivalCurve, horizon_days: int, min_at_risk: int) -> bool:
    """Whether a curve is followed to the horizon by enough customers, with lapses in enough groups of them."""
    if curve.follow_up_days < horizon_days or at_risk_at(curve, horizon_days) < min_at_risk:
        return False
    by_horizon = np.flatnonzero(curve.times < horizon_days)
    if curve.groups_with_event is None or not len(by_horizon):
        return False
    return bool(curve.groups_with_event[by_horizon[-1]] >= FEW_GROUPS)
