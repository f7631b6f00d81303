"""The cumulative hazard of a spell: the sum over days of the share of those at risk that lapse."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, jackknife_se
from lcm_research.survival.risk_sets import SPELL, check_spells, replicates, risk_arrays

__all__ = ["CumulativeHazard", "HazardInterval", "log_interval", "nelson_aalen", "running_rate"]

HazardInterval = Literal["replicate", "log"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CumulativeHazard:
    """
    A cumulative hazard with pointwise intervals.

    Attributes
    ----------
    times : array of shape (n_times,)
        Days on which a spell ended or, with late entry, entered; rising.
    at_risk, events : arrays of int
        Spells at risk on each day, and those that lapsed on it.
    cumulative_hazard, standard_error, lower, upper : arrays of float
        Sum of ``events / at_risk`` up to each day; Aalen's standard error; pointwise interval of ``level``.
    n, n_events : int
        Spells and events behind the whole curve.
    without : array of shape (100, n_times), optional
        The cumulative hazard without each group of customers; with ``interval="replicate"`` only.
    """

    times: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    cumulative_hazard: np.ndarray
    standard_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: int
    n_events: int
    level: float
    interval: HazardInterval
    without: np.ndarray | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """Return the cumulative hazard as a table, one row a day on which something happened."""
        columns = ("times", "at_risk", "events", "cumulative_hazard", "standard_error", "lower", "upper")
        return pd.DataFrame({name: getattr(self, name) for name in columns}).rename(columns={"times": "duration_days"})


def nelson_aalen(counts: pd.DataFrame, *, interval: HazardInterval, level: float = 0.95) -> CumulativeHazard:
    """
    Lapses that a spell kept at risk would have had by each day: the cumulative hazard [1]_.

    Its slope is the hazard: a straight line is a constant risk, a bend a day at which it changes. For one of
    several causes, let ``event_observed`` be true for that cause only.

    Parameters
    ----------
    counts : DataFrame
        As for ``kaplan_meier``: ``duration_days``, ``event_observed``, ``n``, and where they exist ``entry_days``
        and ``replicate``.
    interval : {"replicate", "log"}
        ``replicate``: delete-a-group jackknife on the log scale, t with 99 degrees of freedom; days with events
        in fewer than 20 groups get ``log``. ``log``: from Aalen's variance, the sum of ``events / at_risk**2``
        (R's ``std.chaz``), symmetric on the log scale.

    Raises
    ------
    ModelError
        Without a spell, with a duration below 1 or not after its entry, or with ``replicate`` and no such column.

    References
    ----------
    .. [1] Nelson (1972), Technometrics 14:945; Aalen (1978), Annals of Statistics 6:701.

    Examples
    --------
    Of four spells one lapses on day 10, of the two that are left on day 30 another:

    >>> counts = pd.DataFrame({"duration_days": [10, 20, 30, 40], "event_observed": [True, False, True, False], "n": 1})
    >>> nelson_aalen(counts, interval="log").cumulative_hazard.tolist()
    [0.25, 0.25, 0.75, 0.75]
    """
    if interval not in ("replicate", "log"):
        raise ModelError(f"interval must be 'replicate' or 'log'; came '{interval}'")
    counts = check_spells(counts, SPELL, "a cumulative hazard")
    groups, n_groups = replicates(counts, by_group=interval == "replicate", instead="log")
    lapsed = counts["event_observed"].to_numpy(bool)
    times, at_risk, (events,) = risk_arrays(counts, [lapsed], groups, n_groups)
    hazard, standard_error, lower, upper, without = running_rate(at_risk, events, level)
    return CumulativeHazard(
        times=times,
        at_risk=at_risk.sum(axis=0).astype(np.int64),
        events=events.sum(axis=0).astype(np.int64),
        cumulative_hazard=hazard,
        standard_error=standard_error,
        lower=lower,
        upper=upper,
        n=int(counts["n"].sum()),
        n_events=int(events.sum()),
        level=level,
        interval=interval,
        without=without,
    )


def running_rate(
    at_risk: np.ndarray, events: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """
    Sum over days of events by those at risk, with a pointwise interval on the log scale.

    Parameters
    ----------
    at_risk, events : arrays of shape (n_groups, n_times)
        With one group, the standard error is that of independent events; with 100, the interval is the
        jackknife's on days with events in at least 20 groups.

    Returns
    -------
    rate, standard_error, lower, upper : arrays of shape (n_times,)
    without : array of shape (100, n_times), or None
    """
    total_risk, total_events = at_risk.sum(axis=0), events.sum(axis=0)
    rate = _cumulated(total_events, total_risk)
    standard_error = np.sqrt(_cumulated(total_events, total_risk**2))
    lower, upper = log_interval(rate, standard_error, float(stats.norm.ppf(0.5 + level / 2)))
    if len(at_risk) == 1:
        return rate, standard_error, lower, upper, None
    without = _cumulated(total_events - events, total_risk - at_risk)
    groups = (events.cumsum(axis=1) > 0).sum(axis=0)
    usable = (groups >= FEW_GROUPS) & (without > 0).all(axis=0)
    spread = jackknife_se(np.log(rate[usable]), np.log(without[:, usable]))
    half = stats.t.ppf(0.5 + level / 2, len(at_risk) - 1) * spread
    lower[usable], upper[usable] = rate[usable] * np.exp(-half), rate[usable] * np.exp(half)
    return rate, standard_error, lower, upper, without


def log_interval(value: np.ndarray, standard_error: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Interval symmetric on the log scale; 0 to 0 where nothing has happened yet."""
    factor = np.exp(z * np.divide(standard_error, value, out=np.zeros(len(value)), where=value > 0))
    return value / factor, value * factor


def _cumulated(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0).cumsum(axis=-1)
