"""When in their life customers lapse: the hazard of each day, smoothed over the days around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, jackknife_se
from lcm_research.survival.cumulative_hazard import HazardInterval
from lcm_research.survival.risk_sets import check_spells, replicates, risk_arrays

__all__ = ["SmoothedHazard", "smoothed_hazard"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SmoothedHazard:
    """
    A smoothed hazard with pointwise intervals.

    Attributes
    ----------
    days : array of int, shape (n_days,)
        Every day after ``from_day`` up to ``until_day``.
    at_risk, events : arrays of int
        Spells at risk on each day, and those that lapsed on it.
    hazard, lower, upper : arrays of float
        Lapses a day of those at risk, averaged over days around; pointwise interval of ``level``. The interval says
        how chance moves the average, not what the smoothing takes away from peaks.
    bandwidth_days : float
    n, n_events : int
        Spells at risk after ``from_day``, and the events used.
    """

    days: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    hazard: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    bandwidth_days: float
    from_day: int
    until_day: int
    n: int
    n_events: int
    level: float
    interval: HazardInterval

    def table(self) -> pd.DataFrame:
        """Return one row a day."""
        columns = ("days", "at_risk", "events", "hazard", "lower", "upper")
        return pd.DataFrame({name: getattr(self, name) for name in columns}).rename(columns={"days": "duration_days"})


def smoothed_hazard(
    counts: pd.DataFrame,
    *,
    bandwidth_days: float,
    from_day: int,
    until_day: int,
    interval: HazardInterval,
    level: float = 0.95,
) -> SmoothedHazard:
    """
    Share of those at risk that lapses on each day, averaged over the days within ``bandwidth_days`` of it.

    A kernel estimate [1]_ with Epanechnikov's kernel; within a bandwidth of either end, where half of the days are
    missing, with the boundary kernels of Mueller and Wang [2]_, which lean on the days that are there without
    bending the curve towards them.

    Parameters
    ----------
    counts : DataFrame
        As for ``kaplan_meier``; ``entry_days`` is honoured.
    bandwidth_days : float
        Between 2 and half of the days from ``from_day`` to ``until_day``. Wider is smoother, and lower at peaks.
    from_day : int
        Only lapses after this day are used: 0 for all, 1 to leave out those who bought on one day only.
    until_day : int
        Last day that is used; somebody must be at risk on each day until then.
    interval : {"replicate", "log"}
        ``replicate``: delete-a-group jackknife on the log scale, t with 99 degrees of freedom; days with events
        around them in fewer than 20 groups get ``log``. ``log``: from Aalen's variance, symmetric on that scale.
        Where no lapse lies around, the upper end is that of a Poisson count of none.

    Raises
    ------
    ModelError
        For a bandwidth or days outside these bounds, without a lapse between the days, and as ``kaplan_meier``.

    References
    ----------
    .. [1] Ramlau-Hansen (1983), Annals of Statistics 11:453.
    .. [2] Mueller and Wang (1994), Biometrics 50:61.
    """
    if interval not in ("replicate", "log"):
        raise ModelError(f"interval must be 'replicate' or 'log'; came '{interval}'")
    check_spells(counts, ("duration_days", "event_observed", "n"), "a smoothed hazard")
    _check_days(bandwidth_days, from_day, until_day)
    groups, n_groups = replicates(counts, by_group=interval == "replicate", instead="log")
    at_risk, events = _daily(counts, groups, n_groups, from_day, until_day)
    risk, d = at_risk.sum(axis=0), events.sum(axis=0)
    if (risk == 0).any():
        first = from_day + 1 + int(np.argmax(risk == 0))
        raise ModelError(
            f"nobody is at risk on day {first}; choose until_day of at most {first - 1}, or a later from_day"
        )
    if d.sum() == 0:
        raise ModelError(f"no spell lapses after day {from_day} up to day {until_day}; widen the days")
    weight = _weights(until_day - from_day, bandwidth_days)
    hazard = np.maximum(weight @ (d / risk), 0.0)
    lower, upper = _interval_of_independent_spells(weight, d, risk, hazard, level)
    if interval == "replicate":
        _put_replicate_interval(weight, at_risk, events, hazard, lower, upper, level)
    return SmoothedHazard(
        days=np.arange(from_day + 1, until_day + 1),
        at_risk=risk.astype(np.int64),
        events=d.astype(np.int64),
        hazard=hazard,
        lower=lower,
        upper=upper,
        bandwidth_days=bandwidth_days,
        from_day=from_day,
        until_day=until_day,
        n=int(counts["n"].to_numpy()[counts["duration_days"].to_numpy() > from_day].sum()),
        n_events=int(d.sum()),
        level=level,
        interval=interval,
    )


def _check_days(bandwidth_days: float, from_day: int, until_day: int) -> None:
    if from_day < 0 or until_day <= from_day:
        raise ModelError(
            f"days must satisfy 0 <= from_day < until_day; came from_day={from_day}, until_day={until_day}"
        )
    widest = (until_day - from_day) / 2
    if not 2 <= bandwidth_days <= widest:
        raise ModelError(
            f"bandwidth_days={bandwidth_days:g} is outside [2, {widest:g}], half of the days from {from_day} to "
            f"{until_day}; choose another bandwidth or more days"
        )


def _daily(
    counts: pd.DataFrame, groups: np.ndarray, n_groups: int, from_day: int, until_day: int
) -> tuple[np.ndarray, np.ndarray]:
    """At risk and lapses on every day, also on those on which nothing happened; shape (n_groups, n_days)."""
    times, at_risk, (events,) = risk_arrays(counts, [counts["event_observed"].to_numpy(bool)], groups, n_groups)
    days = np.arange(from_day + 1, until_day + 1)
    place = np.searchsorted(times, days)  # those at risk on a day are those at risk when next something happens
    known = place < len(times)
    risk, lapses = np.zeros((2, n_groups, len(days)))
    risk[:, known] = at_risk[:, place[known]]
    exact = known & (times[np.minimum(place, len(times) - 1)] == days)
    lapses[:, exact] = events[:, place[exact]]
    return risk, lapses


def _weights(n_days: int, bandwidth: float) -> np.ndarray:
    """
    Weight of each day (columns) in the average of each day (rows).

    A day stands for its middle, which makes sums over days close to integrals; the rest of the rounding is scaled
    away, so that a constant hazard comes back as it is.
    """
    middle = np.arange(n_days) + 0.5
    z = (middle[:, None] - middle[None, :]) / bandwidth  # positive for days before
    before, after = np.minimum(middle / bandwidth, 1), np.minimum((n_days - middle) / bandwidth, 1)
    left = _boundary_kernel(z, before[:, None])
    right = _boundary_kernel(-z, after[:, None])
    weight = np.where((before < 1)[:, None], left, right)
    return weight / weight.sum(axis=1, keepdims=True)


def _boundary_kernel(z: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Mueller and Wang's kernel for a day that has only the share ``q`` of the bandwidth on one side; q = 1: inside."""
    made = 12 / (1 + q) ** 4 * (z + 1) * (z * (1 - 2 * q) + (3 * q**2 - 2 * q + 1) / 2)
    return np.where((z >= -1) & (z <= q), made, 0.0)


def _interval_of_independent_spells(
    weight: np.ndarray, d: np.ndarray, risk: np.ndarray, hazard: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    error = np.sqrt(weight**2 @ (d / risk**2))
    z = stats.norm.ppf(0.5 + level / 2)
    factor = np.exp(z * np.divide(error, hazard, out=np.zeros(len(hazard)), where=hazard > 0))
    lower, upper = hazard / factor, hazard * factor
    # with no lapse around, or more weight taken off than given, the count of none among the days at risk around
    around = (weight != 0) @ risk
    none = hazard <= 0
    upper[none] = stats.chi2.ppf(0.5 + level / 2, 2) / 2 / around[none] + z * error[none]
    return lower, upper


def _put_replicate_interval(
    weight: np.ndarray,
    at_risk: np.ndarray,
    events: np.ndarray,
    hazard: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    level: float,
) -> None:
    """Overwrite the interval on days with lapses around them in enough groups of customers."""
    left_risk = at_risk.sum(axis=0) - at_risk
    left = np.divide(events.sum(axis=0) - events, left_risk, out=np.zeros_like(left_risk), where=left_risk > 0)
    without = left @ weight.T
    groups = ((events @ (weight != 0).T) > 0).sum(axis=0)
    usable = (groups >= FEW_GROUPS) & (hazard > 0) & (without > 0).all(axis=0)
    spread = jackknife_se(np.log(hazard[usable]), np.log(without[:, usable]))
    factor = np.exp(stats.t.ppf(0.5 + level / 2, N_GROUPS - 1) * spread)
    lower[usable], upper[usable] = hazard[usable] / factor, hazard[usable] * factor
