"""
Does engaging "explain" what came before it? Then customers are not alike within the classes they are compared in.

Engaging cannot change purchases that were made earlier. Past purchases are therefore a negative-control outcome
[1]_: activity stands behind them as it stands behind staying, the exposure cannot. Customers are compared within
classes of past purchase days; where the engaged still bought on more days than others of their class, activity is
not held equal, and it is not held equal in the comparison of lapses either.

The control sees what purchases can tell. Classes that hold each number of purchase days apart leave it nothing to
see: then it says so, and does not pass. Where it passes, causes of engaging and of staying that never show in
purchases remain possible; the E-value speaks of them.

References
----------
.. [1] Lipsitch, Tchetgen Tchetgen and Cohen (2010), Epidemiology 21:383.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate, by_replicate, jackknife, leave_one_out
from lcm_research.survival.exposure import activity_classes
from lcm_research.survival.positivity import past_days_of
from lcm_research.survival.strata import exposure_strata

__all__ = ["PastActivity", "past_activity"]


@dataclass(frozen=True, kw_only=True)
class PastActivity:
    """
    Purchase days before the exposure: engaged less others, within what is held equal.

    Attributes
    ----------
    difference : Estimate or None
        In purchase days; None where no class holds more than one number of them.
    within_class_sd : float
        Standard deviation of the past purchase days within the strata; 0 where ``difference`` is None.
    n_strata : int
        Strata that hold both engaged and others.
    """

    difference: Estimate | None
    within_class_sd: float
    n_strata: int

    @property
    def separated(self) -> bool:
        """Whether the difference could be seen and its interval holds 0."""
        return self.difference is not None and self.difference.sign() == 0


def past_activity(
    counts: pd.DataFrame,
    *,
    lag_periods: int,
    activity_breaks: Sequence[int],
    within: Sequence[str],
    level: float = 0.95,
) -> PastActivity:
    r"""
    Compare past purchase days of engaged and other customers within the classes of an adjusted comparison.

    The mean difference within each stratum (period by class by ``within``), weighted by
    :math:`n_1 n_0 / (n_1 + n_0)`, as Mantel and Haenszel weigh.

    Parameters
    ----------
    counts : DataFrame
        Of ``exposure_counts`` with the same ``lag_periods`` and every number of purchase days a class of its own
        (``activity_breaks=range(2, 41)``); the last, open class counts as its lowest number.
    activity_breaks : list of int
        Those of the comparison that is tested.
    within : list of str
        Segments that it holds equal besides.

    Returns
    -------
    PastActivity
        Intervals by the jackknife over groups of customers.
    """
    days = past_days_of(counts["activity"])
    if not counts["activity"].astype(str).str.fullmatch(r"\d+\+?").all():
        wide = next(name for name in counts["activity"] if "-" in str(name))
        raise ModelError(
            f"past activity needs counts with every number of purchase days apart; came the class '{wide}'; ask "
            "exposure_counts for activity_breaks from 2 to 40, each number one"
        )
    names = np.array(activity_classes(activity_breaks))
    rows = counts.assign(activity_class=names[np.digitize(days, activity_breaks)], past_days=days)
    rows = exposure_strata(rows, lag_periods=lag_periods, within=["activity_class", *within])
    _check_groups(rows)
    sums = rows.assign(total=rows["n_at_risk"] * rows["past_days"], squares=rows["n_at_risk"] * rows["past_days"] ** 2)
    n_strata = int(sums["stratum"].max()) + 1
    levels: list[pd.Index] = [pd.RangeIndex(n_strata), pd.Index([False, True])]
    grouped = by_replicate(sums, ["n_at_risk", "total", "squares"], ["stratum", "engaged"], levels)
    sd = _within_sd(grouped.sum(axis=0))
    if sd < 1e-9:
        return PastActivity(difference=None, within_class_sd=0.0, n_strata=n_strata)
    value, without = leave_one_out(grouped, _weighted_difference)
    n = int(rows[rows["period"] == rows["period"].min()]["n_at_risk"].sum())
    return PastActivity(
        difference=jackknife(float(value), without, unit="purchase_days", n=n, level=level),
        within_class_sd=sd,
        n_strata=n_strata,
    )


def _weighted_difference(sums: np.ndarray) -> float:
    """From sums of shape (n_strata, 2, 3); a stratum that a group leaves without one side weighs nothing."""
    n = sums[:, :, 0]
    both = (n > 0).all(axis=1)
    mean = sums[both, :, 1] / n[both]
    weight = n[both].prod(axis=1) / n[both].sum(axis=1)
    return float(weight @ (mean[:, 1] - mean[:, 0]) / weight.sum())


def _within_sd(sums: np.ndarray) -> float:
    """Standard deviation around the mean of each stratum, engaged and others together."""
    n, total, squares = sums.sum(axis=1).T
    return float(np.sqrt(max(0.0, (squares - total**2 / n).sum()) / n.sum()))


def _check_groups(rows: pd.DataFrame) -> None:
    groups = rows.loc[rows["engaged"].astype(bool), "replicate"].nunique()
    if groups < FEW_GROUPS:
        raise ModelError(
            f"engaged customers in {groups} groups, fewer than {FEW_GROUPS}: too few for an interval; wait for more "
            "customers"
        )
