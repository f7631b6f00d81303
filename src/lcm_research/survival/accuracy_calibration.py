"""
Do predicted risks mean what they say? Of those given a risk of 30%, do 30% lapse?

Observed shares are one minus the Kaplan-Meier curve of each group of predicted risk. Two numbers sum the picture up:
by how much predictions are too low or too high on the whole, and whether they are too extreme (a slope below 1) or
too timid (above 1) [1]_.

References
----------
.. [1] Cox (1958), Biometrika 45:562; van Calster, McLernon, van Smeden, Wynants and Steyerberg (2019), BMC Medicine
   17:230.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, Scale, exact_proportion
from lcm_research.survival.accuracy import KnownOutcomes, compressed, estimate_of, known_by, without_each_group
from lcm_research.survival.curves import incidence_at, kaplan_meier

__all__ = ["Calibration", "calibration"]

NEAREST_TO_CERTAIN = 1e-6
"""Predicted risks nearer to 0 or 1 than this are taken as that near, for their log odds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """
    Predicted beside observed risk of lapsing by ``horizon_days``.

    Attributes
    ----------
    groups : tuple of (n, mean predicted risk, observed risk)
        From the lowest predicted risk to the highest; observed risks are Estimates.
    predicted : float
        Mean predicted risk of all.
    observed : Estimate
        Share that lapsed.
    in_the_large : Estimate
        Observed less predicted, on the whole; 0 where predictions are right on average.
    slope : Estimate or None
        Of the log odds of lapsing on those predicted; 1 where differences between predictions are as large as they
        should be. None where the prediction is the same for all, or separates who lapsed from who did not.
    """

    horizon_days: int
    groups: tuple[tuple[int, float, Estimate], ...]
    predicted: float
    observed: Estimate
    in_the_large: Estimate
    slope: Estimate | None

    def table(self) -> pd.DataFrame:
        """Return one row a group of predicted risk: customers, mean predicted risk, observed risk."""
        rows = [(place + 1, *group) for place, group in enumerate(self.groups)]
        return pd.DataFrame(rows, columns=["risk_group", "n", "predicted_risk", "observed_risk"])


def calibration(
    counts: pd.DataFrame, *, prediction: str, horizon_days: int, n_groups: int, level: float = 0.95
) -> Calibration:
    """
    Compare the risk that was predicted with the share that lapsed by ``horizon_days``.

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``event_observed``, ``n``, ``replicate`` and the prediction, of spells that it has not seen.
    prediction : str
        Column with the probability of lapsing by ``horizon_days``.
    n_groups : int
        Groups of customers of rising predicted risk and about equal size; equal predictions stay together.
    level : float
        Jackknife by groups of customers; the prediction is held fixed.
    """
    counts = compressed(counts, [prediction])

    def summary(rows: pd.DataFrame) -> np.ndarray:
        known = known_by(rows, prediction=prediction, day=horizon_days)
        predicted = float((known.risk * known.n).sum() / known.n.sum())
        return np.array([known.base_rate, known.base_rate - predicted, _slope(known)])

    value, without = without_each_group(counts, summary)
    n = int(counts["n"].sum())

    def told(column: int, unit: str, scale: Scale) -> Estimate:
        return estimate_of(value[column], without[:, column], unit=unit, scale=scale, n=n, level=level)

    return Calibration(
        horizon_days=horizon_days,
        groups=tuple(_groups(counts, prediction, horizon_days, n_groups, level)),
        predicted=float(value[0] - value[1]),
        observed=told(0, "share", "logit"),
        in_the_large=told(1, "share", "identity"),
        slope=told(2, "ratio", "identity") if np.isfinite(np.append(without[:, 2], value[2])).all() else None,
    )


def _groups(
    counts: pd.DataFrame, prediction: str, horizon_days: int, n_groups: int, level: float
) -> list[tuple[int, float, Estimate]]:
    if n_groups < 2:
        raise ModelError(f"calibration needs at least 2 groups of predicted risk; came {n_groups}")
    sizes = counts.groupby(prediction)["n"].sum()
    middle = (sizes.cumsum() - sizes / 2) / sizes.sum()
    group = counts[prediction].map(np.floor(middle * n_groups).astype(int))
    return [_group(rows, prediction, horizon_days, level) for _, rows in counts.groupby(group)]


def _group(rows: pd.DataFrame, prediction: str, horizon_days: int, level: float) -> tuple[int, float, Estimate]:
    n = rows["n"].to_numpy(float)
    predicted = float((rows[prediction] * n).sum() / n.sum())
    known = known_by(rows, prediction=prediction, day=horizon_days)
    if min(known.lapsed.sum(), known.stayed.sum()) <= 0:  # all alike: a curve without a step has no interval
        observed = exact_proportion(round(known.lapsed.sum()), round(n.sum()), level=level)
        return int(n.sum()), predicted, observed
    # nobody, followed to the horizon: where the last known days come earlier the curve goes on level until then
    nobody = rows.iloc[:1].assign(duration_days=horizon_days, event_observed=False, n=0)
    curve = kaplan_meier(pd.concat([rows, nobody]), interval="replicate", level=level)
    return int(n.sum()), predicted, incidence_at(curve, horizon_days)


def _slope(known: KnownOutcomes) -> float:
    """Slope of a logistic regression of the outcome on the predicted log odds, by Newton's method."""
    near = np.clip(known.risk, NEAREST_TO_CERTAIN, 1 - NEAREST_TO_CERTAIN)
    x = np.column_stack([np.ones(len(near)), np.log(near) - np.log1p(-near)])
    total = known.lapsed + known.stayed
    if np.ptp(x[total > 0, 1]) < 1e-9:
        return np.nan
    at = np.array([0.0, 1.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ at))
        information = (x * (total * p * (1 - p))[:, None]).T @ x
        if np.linalg.cond(information) > 1e12:  # a level of risk where all lapse, or none: the slope runs away
            return np.nan
        step = np.linalg.solve(information, x.T @ (known.lapsed - total * p))
        at = at + step * min(1.0, 5 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-10:
            return float(at[1])
    return np.nan
