"""
Spells that end in one of several ways: the share that has ended in each by every day, and groups beside each other.

The counts are those of ``kaplan_meier`` with the column ``cause`` instead of ``event_observed``: a text, the way in
which the spells of the row ended; ``""`` or ``"censored"`` where they were still open when last seen.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import FewEventsWarning, ModelError, SparseCellWarning, nearest
from lcm_research.estimate import FEW_GROUPS, Estimate, jackknife, jackknife_se
from lcm_research.survival.risk_sets import check_spells, entry_days, replicates, risk_arrays
from lcm_research.survival.step_function import on_day

__all__ = [
    "CENSORED",
    "CumulativeIncidence",
    "IncidenceInterval",
    "checked_cause",
    "cumulative_incidence",
    "cumulative_incidence_at",
    "days_lost",
]

IncidenceInterval = Literal["replicate", "log-log"]

CENSORED = ("", "censored")
"""Values of ``cause`` that stand for none: the spell was still open when last seen."""

ALL = 1 - 1e-12
"""A share above this is 1 but for rounding, and has no place on the log-log scale."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CumulativeIncidence:
    """
    The share of spells that ended by one cause, with pointwise intervals.

    Attributes
    ----------
    times : array of shape (n_times,)
        Days on which a spell ended or, with late entry, entered; rising.
    at_risk, events, other_events : arrays of int
        Spells at risk on each day, those that ended on it by ``cause``, and those that ended by another.
    incidence, standard_error, lower, upper : arrays of float
        Share that has ended by ``cause`` on or before each day; its standard error by the infinitesimal
        jackknife over spells; pointwise interval of ``level``.
    survival : array of float
        Share that goes on past each day; with the incidences of all causes it adds up to 1.
    cause : str
    causes : tuple of str
        All causes in the counts.
    n, n_events : int
        Spells, and those that ended by ``cause``.
    follow_up_days : float
        Last day the curve speaks of; questions beyond it are refused.
    without : array of shape (100, n_times), optional
        The incidence without each group of customers; with ``interval="replicate"`` only.
    groups_with_event : array of shape (n_times,), optional
        Groups of customers with an end by ``cause`` on or before each day.
    """

    times: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    other_events: np.ndarray
    incidence: np.ndarray
    standard_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    survival: np.ndarray
    cause: str
    causes: tuple[str, ...]
    n: int
    n_events: int
    level: float
    interval: IncidenceInterval
    follow_up_days: float
    without: np.ndarray | None = field(default=None, repr=False)
    groups_with_event: np.ndarray | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """Return the curve as a table, one row a day on which something happened."""
        columns = ("times", "at_risk", "events", "other_events", "incidence", "standard_error", "lower", "upper")
        return pd.DataFrame({name: getattr(self, name) for name in columns}).rename(columns={"times": "duration_days"})


def cumulative_incidence(
    counts: pd.DataFrame, *, cause: str, interval: IncidenceInterval, level: float = 0.95
) -> CumulativeIncidence:
    """
    Share of spells that have ended by ``cause`` by each day, while other causes may end them first [1]_.

    The Aalen-Johansen estimator. One minus a Kaplan-Meier curve that treats the other causes as censoring
    answers another question (what if nothing else could end a spell) and is always larger.

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``cause``, ``n``, and where they exist ``entry_days`` and ``replicate``; see the module.
    cause : str
        One of the causes in the counts.
    interval : {"replicate", "log-log"}
        ``replicate``: delete-a-group jackknife on the log-log scale, t with 99 degrees of freedom; days with
        events of ``cause`` in fewer than 20 groups get ``log-log``. ``log-log``: symmetric on that scale, from
        the standard error that R's ``survfit`` gives, which holds where each customer has one spell.

    Raises
    ------
    ModelError
        Without a spell or an end by ``cause``, with a duration below 1 or not after its entry, with an empty or
        contradictory ``cause``, or with ``replicate`` and no such column.

    Warns
    -----
    SparseCellWarning
        Where everyone at risk leaves before others enter late: the curve stays level from there.

    References
    ----------
    .. [1] Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141.

    Examples
    --------
    Of four spells one ends on day 10 by moving away, one is lost sight of on day 20, one ends on day 30:

    >>> counts = pd.DataFrame({"duration_days": [10, 20, 30, 40], "cause": ["moved", "", "price", ""], "n": 1})
    >>> cumulative_incidence(counts, cause="price", interval="log-log").incidence.tolist()
    [0.0, 0.0, 0.375, 0.375]
    """
    if interval not in ("replicate", "log-log"):
        raise ModelError(f"interval must be 'replicate' or 'log-log'; came '{interval}'")
    counts = check_spells(counts, ("duration_days", "cause", "n"), "a cumulative incidence")
    causes = checked_cause(counts, cause)
    groups, n_groups = replicates(counts, by_group=interval == "replicate", instead="log-log")
    own, ended = (counts["cause"] == cause).to_numpy(bool), ~counts["cause"].isin(CENSORED).to_numpy(bool)
    times, at_risk, (events, all_events) = risk_arrays(counts, [own, ended], groups, n_groups)
    total_risk, total_events, total_ends = (each.sum(axis=0) for each in (at_risk, events, all_events))
    incidence, survival = _aalen_johansen(total_risk, total_events, total_ends)
    _warn_of_early_end(times, total_risk, survival)

    before = np.concatenate([[1.0], survival[:-1]])
    standard_error = _standard_error(counts, own, ended, times, total_risk, total_events, total_ends, before, incidence)
    lower, upper = _log_log_interval(incidence, standard_error, float(stats.norm.ppf(0.5 + level / 2)))
    without = with_event = None
    if interval == "replicate":
        without, _ = _aalen_johansen(total_risk - at_risk, total_events - events, total_ends - all_events)
        with_event = (events.cumsum(axis=1) > 0).sum(axis=0)
        _put_replicate_interval(incidence, without, with_event, level, lower, upper)
    return CumulativeIncidence(
        times=times,
        at_risk=total_risk.astype(np.int64),
        events=total_events.astype(np.int64),
        other_events=(total_ends - total_events).astype(np.int64),
        incidence=incidence,
        standard_error=standard_error,
        lower=lower,
        upper=upper,
        survival=survival,
        cause=cause,
        causes=causes,
        n=int(counts["n"].sum()),
        n_events=int(total_events.sum()),
        level=level,
        interval=interval,
        follow_up_days=float(times[-1]),
        without=without,
        groups_with_event=with_event,
    )


def cumulative_incidence_at(curve: CumulativeIncidence, day: float) -> Estimate:
    """Share that has ended by the curve's cause by ``day``, with its interval there; refused beyond its follow-up."""
    return on_day(curve, curve.incidence, day, before=0.0, unit="share")


def days_lost(curve: CumulativeIncidence, *, horizon_days: float) -> Estimate:
    """
    Days of a spell that its cause takes within the first ``horizon_days``: the area under the incidence [1]_.

    With the days lost to the other causes and the restricted mean it adds up to ``horizon_days``.

    Parameters
    ----------
    horizon_days : float
        Positive and within the follow-up of ``curve``.

    Returns
    -------
    Estimate
        In days. By the jackknife where the curve has ``interval="replicate"`` and at least 20 groups hold an
        event by the horizon, otherwise from the multinomial variance of the ends of each day.

    References
    ----------
    .. [1] Andersen (2013), Statistics in Medicine 32:5278.
    """
    if not 0 < horizon_days <= curve.follow_up_days:
        raise ModelError(
            f"horizon_days={horizon_days:g} is outside the follow-up of {curve.follow_up_days:g} days; choose a "
            f"horizon in (0, {curve.follow_up_days:g}] or wait for more data"
        )
    inside = curve.times < horizon_days
    steps = np.diff(np.concatenate([curve.times[inside], [horizon_days]]))
    value = float(steps @ curve.incidence[inside])
    if curve.without is not None and curve.groups_with_event is not None:
        n_groups = int(curve.groups_with_event[inside].max(initial=0))
        if n_groups >= FEW_GROUPS:
            without = curve.without[:, inside] @ steps
            return jackknife(value, without, unit="days", n=curve.n, level=curve.level)
        warnings.warn(
            f"ends by '{curve.cause}' by day {horizon_days:g} in {n_groups} groups of customers, fewer than "
            f"{FEW_GROUPS}: the interval of the days lost is the multinomial one",
            FewEventsWarning,
            stacklevel=2,
        )
    half = float(stats.norm.ppf(0.5 + curve.level / 2)) * _days_lost_se(curve, steps, inside)
    return Estimate(value=value, lower=value - half, upper=value + half, unit="days", n=curve.n, level=curve.level)


def checked_cause(counts: pd.DataFrame, cause: str) -> tuple[str, ...]:
    """Return the causes in the counts; refuse a cause that is not among them and a column that says two things."""
    unknown = int(counts["n"].to_numpy()[counts["cause"].isna().to_numpy()].sum())
    if unknown:
        raise ModelError(f"{unknown} spells have no value in 'cause'; write '' or 'censored' where a spell is open")
    if cause in CENSORED:
        raise ModelError(f"cause='{cause}' stands for spells that are still open; name what ended a spell")
    ended = ~counts["cause"].isin(CENSORED)
    if "event_observed" in counts:
        torn = int(counts["n"].to_numpy()[(counts["event_observed"].astype(bool) != ended).to_numpy()].sum())
        if torn:
            raise ModelError(f"'cause' and 'event_observed' disagree for {torn} spells; keep one of the two columns")
    causes = tuple(sorted(counts.loc[ended & (counts["n"] > 0), "cause"].unique()))
    if cause not in causes:
        raise ModelError(f"no spell of {int(counts['n'].sum())} ended by '{cause}'; {nearest(cause, causes)}")
    return causes


def _aalen_johansen(at_risk: np.ndarray, events: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share ended by the cause and share that goes on, along the last axis."""
    survival = np.cumprod(1 - _ratio(ends, at_risk), axis=-1)
    before = np.concatenate([np.ones((*survival.shape[:-1], 1)), survival[..., :-1]], axis=-1)
    return np.cumsum(before * _ratio(events, at_risk), axis=-1), survival


def _standard_error(
    counts: pd.DataFrame,
    own: np.ndarray,
    ended: np.ndarray,
    times: np.ndarray,
    at_risk: np.ndarray,
    events: np.ndarray,
    ends: np.ndarray,
    before: np.ndarray,
    incidence: np.ndarray,
) -> np.ndarray:
    """
    Root of the sum over spells of their squared influence on the incidence of each day.

    With a = S(u-)/Y(u), b = 1/(Y(u) - d(u)) and dM an end less its expectation, a spell's influence on F(t) is the
    sum over u <= t of a dM_cause - (F(t) - F(u)) b dM = A(t) - F(t) B(t). It stops when the spell ends, so that the
    sums over the spells that have ended and over those at risk are running sums over days.
    """
    n, n_times = counts["n"].to_numpy(float), len(times)
    at_end = np.searchsorted(times, counts["duration_days"].to_numpy())
    at_start = np.searchsorted(times, entry_days(counts), side="right")
    a, b = _ratio(before, at_risk), _ratio(np.ones(n_times), at_risk - ends)
    hazard_own, hazard = _ratio(events, at_risk), _ratio(ends, at_risk)
    drift_a = np.concatenate([[0.0], (a * hazard_own + incidence * b * hazard).cumsum()])
    drift_b = np.concatenate([[0.0], (b * hazard).cumsum()])

    start_a, start_b = drift_a[at_start], drift_b[at_start]
    final_a = own * a[at_end] + ended * (incidence * b)[at_end] - (drift_a[at_end + 1] - start_a)
    final_b = ended * b[at_end] - (drift_b[at_end + 1] - start_b)

    def gone(value: np.ndarray) -> np.ndarray:
        return np.bincount(at_end, n * value, n_times).cumsum()

    def here(value: np.ndarray) -> np.ndarray:
        return np.bincount(at_start, n * value, n_times + 1)[:-1].cumsum() - gone(value)

    F, level = incidence, drift_a[1:] - incidence * drift_b[1:]
    of_gone = gone(final_a**2) - 2 * F * gone(final_a * final_b) + F**2 * gone(final_b**2)
    of_here = level**2 * here(np.ones(len(n))) - 2 * level * (here(start_a) - F * here(start_b))
    of_here += here(start_a**2) - 2 * F * here(start_a * start_b) + F**2 * here(start_b**2)
    return np.sqrt(np.maximum(of_gone + of_here, 0))


def _days_lost_se(curve: CumulativeIncidence, steps: np.ndarray, inside: np.ndarray) -> float:
    """Root of the sum over days of the multinomial variance of their ends, each weighted by what is still to come."""
    own, at_risk = curve.events[inside].astype(float), curve.at_risk[inside].astype(float)
    ends = own + curve.other_events[inside]
    before = np.concatenate([[1.0], curve.survival[:-1]])[inside]
    left = steps[::-1].cumsum()[::-1]
    to_come = (steps * curve.incidence[inside])[::-1].cumsum()[::-1] - curve.incidence[inside] * left
    gain, loss = _ratio(before, at_risk) * left, _ratio(to_come, at_risk - ends)
    stay = _ratio(at_risk - ends, at_risk)
    variance = gain**2 * own * (1 - _ratio(own, at_risk)) - 2 * gain * loss * own * stay + loss**2 * ends * stay
    return float(np.sqrt(max(variance.sum(), 0)))


def _log_log_interval(incidence: np.ndarray, se: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric on the log-log scale; 0 to 0 before the first event, 1 to 1 where all have ended by the cause."""
    within = (incidence > 0) & (incidence < ALL)
    logs = np.log(np.where(within, incidence, 0.5))
    half = z * se / np.where(within, -incidence * logs, 1)
    lower, upper = (np.exp(logs * np.exp(sign * half)) for sign in (1, -1))
    return np.where(within, lower, incidence), np.where(within, upper, incidence)


def _put_replicate_interval(
    incidence: np.ndarray, without: np.ndarray, groups: np.ndarray, level: float, lower: np.ndarray, upper: np.ndarray
) -> None:
    """Overwrite the analytic interval on days with enough groups, on the log-log scale."""
    inside = (incidence > 0) & (incidence < ALL) & ((without > 0) & (without < ALL)).all(axis=0)
    usable = (groups >= FEW_GROUPS) & inside
    centre, spread = (np.log(-np.log(each[..., usable])) for each in (incidence, without))
    half = stats.t.ppf(0.5 + level / 2, len(without) - 1) * jackknife_se(centre, spread)
    lower[usable] = np.exp(-np.exp(centre + half))
    upper[usable] = np.exp(-np.exp(centre - half))


def _warn_of_early_end(times: np.ndarray, at_risk: np.ndarray, survival: np.ndarray) -> None:
    over = np.flatnonzero(survival <= 0)
    if len(over) and (at_risk[over[0] + 1 :] > 0).any():
        warnings.warn(
            f"everyone at risk on day {times[over[0]]:g} left while others enter later: the curve stays level from "
            "there; read it conditionally on a later day",
            SparseCellWarning,
            stacklevel=3,
        )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)
