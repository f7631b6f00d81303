"""Mean days until the lapse within a horizon: the area under a survival curve, and differences between groups."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from scipy import stats

from lcm_research.errors import FewEventsWarning, ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate, jackknife
from lcm_research.survival.curves import SurvivalCurve

__all__ = [
    "restricted_mean",
    "restricted_mean_difference",
    "restricted_mean_ratio",
    "standardised_difference",
]


def restricted_mean(curve: SurvivalCurve, *, horizon_days: float) -> Estimate:
    r"""
    Expected days until the lapse within the first ``horizon_days`` of a spell.

    The area under the curve, :math:`\int_0^\tau S(t)\,dt` [1]_, with the standard error of that area (not the
    variance of the durations). It stays defined when fewer than half of the customers lapse.

    Parameters
    ----------
    horizon_days : float
        Positive and within the follow-up of ``curve``.

    Returns
    -------
    Estimate
        In days. By the jackknife where the curve has ``interval="replicate"`` and at least 20 groups hold an
        event by the horizon, otherwise from Greenwood's terms.

    References
    ----------
    .. [1] Royston and Parmar (2013), BMC Medical Research Methodology 13:152.

    Examples
    --------
    Half of the customers leave on day 10, so 10 + 20 * 0.5 days by day 30:

    >>> import pandas as pd
    >>> from lcm_research.survival.curves import kaplan_meier
    >>> counts = pd.DataFrame({"duration_days": [10, 30], "event_observed": [True, False], "n": [5, 5]})
    >>> restricted_mean(kaplan_meier(counts, interval="log-log"), horizon_days=30).value
    20.0
    """
    _check_horizon(curve, horizon_days)
    value = _area(curve.times, curve.survival, horizon_days)
    without = _areas_without(curve, horizon_days)
    if without is not None:
        return jackknife(value, without, unit="days", n=curve.n, level=curve.level)
    return _normal(value, _area_se(curve, horizon_days), curve.n, curve.level)


def restricted_mean_difference(curve: SurvivalCurve, other: SurvivalCurve, *, horizon_days: float) -> Estimate:
    """
    Days that spells of ``curve`` last longer than those of ``other`` within ``horizon_days``.

    By the jackknife over the groups of customers that both share, where both have one; otherwise as of
    independent samples.
    """
    for each in (curve, other):
        _check_horizon(each, horizon_days)
    value = _area(curve.times, curve.survival, horizon_days) - _area(other.times, other.survival, horizon_days)
    n, level = curve.n + other.n, curve.level
    mine, theirs = _areas_without(curve, horizon_days), _areas_without(other, horizon_days)
    if mine is not None and theirs is not None:
        return jackknife(value, mine - theirs, unit="days", n=n, level=level)
    return _normal(value, np.hypot(_area_se(curve, horizon_days), _area_se(other, horizon_days)), n, level)


def restricted_mean_ratio(curve: SurvivalCurve, other: SurvivalCurve, *, horizon_days: float) -> Estimate:
    """
    Restricted mean of ``curve`` as a multiple of that of ``other``, symmetric on the log scale.

    By the jackknife over the groups of customers that both share, where both have one; otherwise by the delta
    method, as of independent samples.
    """
    for each in (curve, other):
        _check_horizon(each, horizon_days)
    areas = [_area(each.times, each.survival, horizon_days) for each in (curve, other)]
    value, n, level = areas[0] / areas[1], curve.n + other.n, curve.level
    mine, theirs = _areas_without(curve, horizon_days), _areas_without(other, horizon_days)
    if mine is not None and theirs is not None:
        return jackknife(value, mine / theirs, unit="ratio", n=n, scale="log", level=level)
    errors = [_area_se(each, horizon_days) for each in (curve, other)]
    factor = float(np.exp(stats.norm.ppf(0.5 + level / 2) * np.hypot(errors[0] / areas[0], errors[1] / areas[1])))
    return Estimate(value=value, lower=value / factor, upper=value * factor, unit="ratio", n=n, level=level)


def standardised_difference(
    strata: Mapping[str, tuple[SurvivalCurve, SurvivalCurve]], *, horizon_days: float
) -> Estimate:
    """
    Days that one group stays longer than another, were both made up alike of the strata [1]_.

    The difference of restricted means within each stratum, weighted by the spells that both groups have in it. The
    mix of strata is taken as known. Where the difference is not the same in all strata this is its average.

    Parameters
    ----------
    strata : mapping of stratum to two SurvivalCurve
        The group's curve and the other's; every one followed to ``horizon_days``, or ModelError with the stratum.

    References
    ----------
    .. [1] Karrison (1987), JASA 82:1169; Zucker (1998), JASA 93:702.
    """
    if not strata:
        raise ModelError("a standardised difference needs at least one stratum; came none")
    for name, pair in strata.items():
        short = min(curve.follow_up_days for curve in pair)
        if short < horizon_days:
            raise ModelError(
                f"in stratum '{name}' a group is followed for {short:g} days only; choose a horizon in (0, {short:g}] "
                "or merge strata"
            )
    parts = [restricted_mean_difference(*pair, horizon_days=horizon_days) for pair in strata.values()]
    sizes = np.array([part.n for part in parts], dtype=float)
    share, level = sizes / sizes.sum(), parts[0].level
    value, n = float(share @ [part.value for part in parts]), int(sizes.sum())
    jackknifed = [part.leave_one_out for part in parts if part.leave_one_out is not None]
    if len(jackknifed) == len(parts):
        return jackknife(value, share @ np.stack(jackknifed), unit="days", n=n, level=level)
    errors = [np.hypot(_area_se(a, horizon_days), _area_se(b, horizon_days)) for a, b in strata.values()]
    return _normal(value, float(np.sqrt(share**2 @ np.square(errors))), n, level)


def _areas_without(curve: SurvivalCurve, horizon_days: float) -> np.ndarray | None:
    """Areas without each group of customers; None, with a warning, where too few groups hold an event."""
    if curve.without is None or curve.groups_with_event is None:
        return None
    by_horizon = curve.groups_with_event[curve.times <= horizon_days]
    groups = int(by_horizon[-1]) if len(by_horizon) else 0
    if groups < FEW_GROUPS:
        warnings.warn(
            f"events by day {horizon_days:g} in {groups} groups of customers, fewer than {FEW_GROUPS}: the interval "
            "of the restricted mean is Greenwood's",
            FewEventsWarning,
            stacklevel=3,
        )
        return None
    return np.array([_area(curve.times, each, horizon_days) for each in curve.without])


def _area(times: np.ndarray, survival: np.ndarray, horizon_days: float) -> float:
    inside = times < horizon_days
    steps = np.diff(np.concatenate([[0.0], times[inside], [horizon_days]]))
    return float(steps @ np.concatenate([[1.0], survival[inside]]))


def _area_se(curve: SurvivalCurve, horizon_days: float) -> float:
    """Root of the sum over events of (area still to come)^2 d / (n (n - d))."""
    inside = curve.times < horizon_days
    times, survival = curve.times[inside], curve.survival[inside]
    steps = np.diff(np.concatenate([times, [horizon_days]]))
    to_come = (survival * steps)[::-1].cumsum()[::-1]
    d, n = curve.events[inside].astype(float), curve.at_risk[inside].astype(float)
    terms = np.divide(d, n * (n - d), out=np.zeros(len(d)), where=(d > 0) & (n > d))
    return float(np.sqrt((to_come**2 * terms).sum()))


def _normal(value: float, standard_error: float, n: int, level: float) -> Estimate:
    half = float(stats.norm.ppf(0.5 + level / 2) * standard_error)
    return Estimate(value=value, lower=value - half, upper=value + half, unit="days", n=n, level=level)


def _check_horizon(curve: SurvivalCurve, horizon_days: float) -> None:
    if not 0 < horizon_days <= curve.follow_up_days:
        raise ModelError(
            f"horizon_days={horizon_days:g} is outside the follow-up of {curve.follow_up_days:g} days; choose a "
            f"horizon in (0, {curve.follow_up_days:g}] or wait for more data"
        )
