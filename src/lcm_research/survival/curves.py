"""
Survival curves from counts of spells, and what is read off them.

Every function takes a table of counts as ``spell_counts`` returns it: ``duration_days``, ``event_observed``,
``n``, and where they exist ``entry_days`` (late entry) and ``replicate`` (groups of customers). A spell is at
risk on day ``t`` where ``entry_days < t <= duration_days``; on one day events come before censoring.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError, SparseCellWarning
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, jackknife_se
from lcm_research.survival.risk_sets import SPELL, check_spells, one_lifetime, replicates, risk_arrays
from lcm_research.survival.step_function import on_day

__all__ = [
    "IntervalKind",
    "SurvivalCurve",
    "at_risk_at",
    "at_risk_table",
    "incidence_at",
    "kaplan_meier",
    "median",
    "quantile",
    "survival_at",
    "truncate",
]

IntervalKind = Literal["replicate", "log-log", "log", "plain"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SurvivalCurve:
    """
    A product-limit curve with pointwise intervals.

    Attributes
    ----------
    times : array of shape (n_times,)
        Days on which a spell ended or, with late entry, entered; rising.
    at_risk, events : arrays of int
        Spells at risk on each day, and those that lapsed on it.
    survival, standard_error, lower, upper : arrays of float
        Share that goes on past each day; Greenwood's standard error; pointwise interval of ``level``.
    n, n_events : int
        Spells and events behind the whole curve.
    interval : str
        How ``lower`` and ``upper`` were made.
    follow_up_days : float
        Last day the curve speaks of; questions beyond it are refused.
    without : array of shape (100, n_times), optional
        The curve without each group of customers; with ``interval="replicate"`` only.
    groups_with_event : array of shape (n_times,), optional
        Groups of customers with an event on or before each day.
    """

    times: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    survival: np.ndarray
    standard_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: int
    n_events: int
    level: float
    interval: IntervalKind
    follow_up_days: float
    without: np.ndarray | None = field(default=None, repr=False)
    groups_with_event: np.ndarray | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """Return the curve as a table, one row a day on which something happened."""
        columns = ("times", "at_risk", "events", "survival", "standard_error", "lower", "upper")
        return pd.DataFrame({name: getattr(self, name) for name in columns}).rename(columns={"times": "duration_days"})


def kaplan_meier(counts: pd.DataFrame, *, interval: IntervalKind, level: float = 0.95) -> SurvivalCurve:
    """
    Share of spells that go on past each day, by the product-limit estimator [1]_.

    Parameters
    ----------
    counts : DataFrame
        One row a cell; see the module.
    interval : {"replicate", "log-log", "log", "plain"}
        ``replicate``: delete-a-group jackknife on the log-log scale, t with 99 degrees of freedom, which holds
        where a customer has several spells; days with events in fewer than 20 groups get ``log-log``. The others
        are Greenwood's, symmetric on the named scale, as R's ``conf.type`` names them.

    Returns
    -------
    SurvivalCurve

    Raises
    ------
    ModelError
        Without a spell, with a duration that is not after its entry, or with ``replicate`` and no such column.

    Warns
    -----
    SparseCellWarning
        Where everyone at risk leaves before others enter late: the curve stays at 0 from there.

    References
    ----------
    .. [1] Kaplan and Meier (1958), JASA 53:457; Greenwood (1926).

    Examples
    --------
    Of four spells one lapses on day 10, one is lost sight of on day 20, one lapses on day 30:

    >>> counts = pd.DataFrame({"duration_days": [10, 20, 30, 40], "event_observed": [True, False, True, False], "n": 1})
    >>> kaplan_meier(counts, interval="log-log").survival.tolist()
    [0.75, 0.75, 0.375, 0.375]
    """
    counts = one_lifetime(check_spells(counts, SPELL, "a survival curve"))
    replicate, n_groups = replicates(counts, by_group=interval == "replicate", instead="log-log")
    times, at_risk, (events,) = risk_arrays(counts, [counts["event_observed"].to_numpy(bool)], replicate, n_groups)
    total_risk, total_events = at_risk.sum(axis=0), events.sum(axis=0)
    survival, greenwood = _product_limit(total_risk, total_events)
    if (survival[:-1] == 0).any() and (total_risk[np.argmax(survival == 0) + 1 :] > 0).any():
        warnings.warn(
            f"everyone at risk on day {times[np.argmax(survival == 0)]:g} left while others enter later: the curve "
            "stays at 0 from there; read it conditionally on a later day",
            SparseCellWarning,
            stacklevel=2,
        )
    z = stats.norm.ppf(0.5 + level / 2)
    analytic: Literal["log-log", "log", "plain"] = "log-log" if interval == "replicate" else interval
    lower, upper = _greenwood_interval(survival, greenwood, z, analytic)
    without = groups = None
    if interval == "replicate":
        pairs = zip(total_risk - at_risk, total_events - events, strict=True)
        without = np.stack([_product_limit(risk, lapses)[0] for risk, lapses in pairs])
        groups = (events.cumsum(axis=1) > 0).sum(axis=0)
        _put_replicate_interval(survival, without, groups, level, lower, upper)
    return SurvivalCurve(
        times=times,
        at_risk=total_risk.astype(np.int64),
        events=total_events.astype(np.int64),
        survival=survival,
        standard_error=survival * np.sqrt(np.where(survival > 0, greenwood, 0)),
        lower=lower,
        upper=upper,
        n=int(counts["n"].sum()),
        n_events=int(total_events.sum()),
        level=level,
        interval=interval,
        follow_up_days=float(times[-1]),
        without=without,
        groups_with_event=groups,
    )


def _product_limit(at_risk: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve, and Greenwood's sum, which is infinite where the curve is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(at_risk > 0, 1 - events / at_risk, 1.0)
        term = np.where(events > 0, events / (at_risk * (at_risk - events)), 0.0)
    return np.cumprod(factor), np.cumsum(term)


def _greenwood_interval(
    survival: np.ndarray, greenwood: np.ndarray, z: float, kind: Literal["log-log", "log", "plain"]
) -> tuple[np.ndarray, np.ndarray]:
    """Interval as R's survfit: 1 where nobody left yet; at 0, which no scale reaches, the last upper end stays."""
    root = np.sqrt(greenwood)
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "plain":
            lower, upper = survival - z * survival * root, survival + z * survival * root
        elif kind == "log":
            lower, upper = survival * np.exp(-z * root), survival * np.exp(z * root)
        else:
            centre, half = np.log(-np.log(survival)), z * root / np.log(survival)
            lower, upper = np.exp(-np.exp(centre - half)), np.exp(-np.exp(centre + half))
    lower, upper = (np.where(survival == 1, 1.0, np.clip(end, 0, 1)) for end in (lower, upper))
    alive = survival > 0
    last_upper = upper[alive][-1] if alive.any() else 1.0
    return np.where(alive, lower, 0.0), np.where(alive, upper, last_upper)


def _put_replicate_interval(
    survival: np.ndarray,
    without: np.ndarray,
    groups: np.ndarray,
    level: float,
    lower: np.ndarray,
    upper: np.ndarray,
) -> None:
    """Overwrite the analytic interval on days with enough groups, on the log-log scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        centre, spread = np.log(-np.log(survival)), np.log(-np.log(without))
    usable = (groups >= FEW_GROUPS) & np.isfinite(centre) & np.isfinite(spread).all(axis=0)
    half = stats.t.ppf(0.5 + level / 2, N_GROUPS - 1) * jackknife_se(centre[usable], spread[:, usable])
    lower[usable] = np.exp(-np.exp(centre[usable] + half))
    upper[usable] = np.exp(-np.exp(centre[usable] - half))


def survival_at(curve: SurvivalCurve, day: float) -> Estimate:
    """Share that goes on past ``day``, with the curve's own interval there; refused beyond its follow-up."""
    return on_day(curve, curve.survival, day, before=1.0, unit="probability")


def incidence_at(curve: SurvivalCurve, day: float) -> Estimate:
    """Share to whom the event has happened by ``day``: one minus ``survival_at``."""
    stays = survival_at(curve, day)
    left = None if stays.leave_one_out is None else 1 - stays.leave_one_out
    return replace(
        stays, value=1 - stays.value, lower=1 - stays.upper, upper=1 - stays.lower, unit="share", leave_one_out=left
    )


def quantile(curve: SurvivalCurve, share: float) -> Estimate:
    """
    Day by which ``share`` of the spells have lapsed, with the interval that inverts the curve's [1]_.

    Where the curve runs level at exactly ``1 - share`` the day is the middle of that stretch, as in R. An end
    of the interval that the follow-up does not reach is infinite.

    Raises
    ------
    ModelError
        Where fewer than ``share`` have lapsed by the end of the follow-up.

    References
    ----------
    .. [1] Brookmeyer and Crowley (1982), Biometrics 38:29.
    """
    target = 1 - share
    day = _crossing(curve.times, curve.survival, target)
    if not np.isfinite(day):
        raise ModelError(
            f"{share:.0%} of the spells have not lapsed by day {curve.follow_up_days:g}, where "
            f"{curve.survival[-1]:.1%} go on; ask for a share of at most {1 - curve.survival[-1]:.3f} or wait "
            "for more data"
        )
    lower, upper = (_crossing(curve.times, end, target) for end in (curve.lower, curve.upper))
    return Estimate(value=day, lower=lower, upper=upper, unit="days", n=curve.n, level=curve.level)


def median(curve: SurvivalCurve) -> Estimate:
    """Day by which half of the spells have lapsed; see ``quantile``."""
    return quantile(curve, 0.5)


def _crossing(times: np.ndarray, curve: np.ndarray, target: float) -> float:
    """First day at or below ``target``; the middle of a stretch at exactly ``target``; infinite if never."""
    at_or_below, below = (np.flatnonzero(curve <= target + tolerance) for tolerance in (1e-9, -1e-9))
    if not len(at_or_below):
        return np.inf
    first = times[at_or_below[0]]
    level_stretch = len(below) > 0 and below[0] > at_or_below[0]
    return float((first + times[below[0]]) / 2) if level_stretch else float(first)


def at_risk_at(curve: SurvivalCurve, day: float) -> int:
    """Spells at risk on ``day``: entered before it and not ended before it."""
    place = int(np.searchsorted(curve.times, max(day, 1e-9), side="left"))
    return int(curve.at_risk[place]) if place < len(curve.times) else 0


def at_risk_table(curves: Mapping[str, SurvivalCurve], days: Sequence[float]) -> pd.DataFrame:
    """Return the spells at risk on each of ``days``: one row a curve, one column a day."""
    rows = {name: [at_risk_at(curve, day) for day in days] for name, curve in curves.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(days)).astype(np.int64)


def truncate(curve: SurvivalCurve, *, min_at_risk: int) -> SurvivalCurve:
    """
    End a curve where fewer than ``min_at_risk`` spells are left at risk.

    A step down there would show single customers. ModelError where the curve never has as many.
    """
    enough = np.flatnonzero(curve.at_risk >= min_at_risk)
    if not len(enough):
        raise ModelError(
            f"the curve has at most {curve.at_risk.max()} spells at risk, fewer than {min_at_risk}; merge groups"
        )
    keep = slice(0, int(enough[-1]) + 1)
    arrays = ("times", "at_risk", "events", "survival", "standard_error", "lower", "upper", "groups_with_event")
    cut = {name: getattr(curve, name)[keep] for name in arrays if getattr(curve, name) is not None}
    if curve.without is not None:
        cut["without"] = curve.without[:, keep]
    return replace(curve, **cut, follow_up_days=float(cut["times"][-1]))
