"""
How many events a customer has had by each day: purchases, visits or complaints that may come again and again.

The table of counts has one row a day of follow-up (and group of customers), all of it additive:

- ``day``: days since each customer's own origin, from 0;
- ``n_entered``: customers at risk from the day after ``day`` on (on day 0 those seen from their origin on);
- ``n_left``: customers whose follow-up ends with ``day``, the last on which they are at risk;
- ``n_events``: events on ``day``, of whoever; a customer may have several on one day;
- ``replicate`` (optional): groups of customers.

A follow-up ends because observation does. Customers who will never come again stay at risk until then: the
mean is over all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.survival.cumulative_hazard import running_rate
from lcm_research.survival.risk_sets import check_spells, entry_days, replicates
from lcm_research.survival.step_function import on_day

__all__ = ["MeanCumulativeFunction", "RecurrentInterval", "mean_at", "mean_cumulative_function", "recurrent_counts"]

RecurrentInterval = Literal["replicate", "poisson"]

FLOWS = ("n_entered", "n_left", "n_events")


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanCumulativeFunction:
    """
    Mean number of events by day, with pointwise intervals.

    Attributes
    ----------
    times : array of shape (n_times,)
        Days on which an event happened or a follow-up began or ended, from 1; rising.
    at_risk, events : arrays of int
        Customers under follow-up on each day, and events on it.
    mean, standard_error, lower, upper : arrays of float
        Events per customer up to each day; standard error as of a Poisson process; pointwise interval of
        ``level``.
    n, n_events : int
        Follow-ups and events behind the whole function.
    without : array of shape (100, n_times), optional
        The function without each group of customers; with ``interval="replicate"`` only.
    """

    times: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: int
    n_events: int
    level: float
    interval: RecurrentInterval
    follow_up_days: float
    without: np.ndarray | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """Return the function as a table, one row a day on which something happened."""
        columns = ("times", "at_risk", "events", "mean", "standard_error", "lower", "upper")
        return pd.DataFrame({name: getattr(self, name) for name in columns}).rename(columns={"times": "day"})


def recurrent_counts(follow_ups: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """
    Arrange follow-ups and events as the table of counts that this module takes.

    Parameters
    ----------
    follow_ups : DataFrame
        ``duration_days`` (last day at risk), ``n``, and where they exist ``entry_days`` and ``replicate``: how
        many customers are followed from when to when.
    events : DataFrame
        ``day``, ``n`` and, where ``follow_ups`` has it, ``replicate``: how many events on which day of follow-up.

    Returns
    -------
    DataFrame
        ``replicate`` where it exists, ``day``, ``n_entered``, ``n_left``, ``n_events``; one row a day.
    """
    follow_ups = check_spells(follow_ups, ("duration_days", "n"), "a mean cumulative function")
    keys = ["replicate", "day"] if "replicate" in follow_ups else ["day"]
    missing = [c for c in (*keys, "n") if c not in events]
    if missing:
        raise ModelError(f"the events need the columns {', '.join([*keys, 'n'])}; missing {missing}")
    moves = {
        "n_entered": follow_ups.assign(day=entry_days(follow_ups).astype(np.int64)),
        "n_left": follow_ups.assign(day=follow_ups["duration_days"]),
        "n_events": events,
    }
    parts = [table[[*keys, "n"]].rename(columns={"n": flow}) for flow, table in moves.items()]
    return pd.concat(parts).fillna(0).groupby(keys, as_index=False)[list(FLOWS)].sum().astype(np.int64)


def mean_cumulative_function(
    counts: pd.DataFrame, *, interval: RecurrentInterval, level: float = 0.95
) -> MeanCumulativeFunction:
    """
    Mean number of events that a customer has had by each day [1]_.

    Each day adds the events of the day by the customers under follow-up on it, so that customers seen for
    longer do not count for more. Nothing is assumed about how one customer's events hang together.

    Parameters
    ----------
    counts : DataFrame
        One row a day; see the module and ``recurrent_counts``.
    interval : {"replicate", "poisson"}
        ``replicate``: delete-a-group jackknife on the log scale, t with 99 degrees of freedom, which holds
        however a customer's events hang together [2]_; days with events in fewer than 20 groups get
        ``poisson``. ``poisson``: as if each customer's events were a Poisson process with one rate for all;
        too short where some customers have many.

    Raises
    ------
    ModelError
        Without a follow-up or an event, with events while nobody is under follow-up, with more leaving than
        entered, or with ``replicate`` and no such column.

    References
    ----------
    .. [1] Nelson (1988), Journal of Quality Technology 20:24.
    .. [2] Lawless and Nadeau (1995), Technometrics 37:158.

    Examples
    --------
    Two customers: one is seen for 10 days and buys on days 3 and 8, the other for 5 days and buys on day 3:

    >>> follow_ups = pd.DataFrame({"duration_days": [10, 5], "n": 1})
    >>> events = pd.DataFrame({"day": [3, 8], "n": [2, 1]})
    >>> found = mean_cumulative_function(recurrent_counts(follow_ups, events), interval="poisson")
    >>> found.table()[["day", "at_risk", "events", "mean"]].values.tolist()
    [[3.0, 2.0, 2.0, 1.0], [5.0, 2.0, 0.0, 1.0], [8.0, 1.0, 1.0, 2.0], [10.0, 1.0, 0.0, 2.0]]
    """
    _check(counts, interval)
    groups, n_groups = replicates(counts, by_group=interval == "replicate", instead="poisson")
    days, at_risk, events = _by_day(counts, groups, n_groups)
    _check_at_risk(days, at_risk.sum(axis=0), events.sum(axis=0))
    mean, standard_error, lower, upper, without = running_rate(at_risk, events, level)
    return MeanCumulativeFunction(
        times=days,
        at_risk=at_risk.sum(axis=0).astype(np.int64),
        events=events.sum(axis=0).astype(np.int64),
        mean=mean,
        standard_error=standard_error,
        lower=lower,
        upper=upper,
        n=int(counts["n_entered"].sum()),
        n_events=int(events.sum()),
        level=level,
        interval=interval,
        follow_up_days=float(days[at_risk.sum(axis=0) > 0][-1]),
        without=without,
    )


def mean_at(function: MeanCumulativeFunction, day: float) -> Estimate:
    """Mean number of events by ``day``, with the function's own interval there; refused beyond its follow-up."""
    return on_day(function, function.mean, day, before=0.0, unit="events per customer")


def _by_day(counts: pd.DataFrame, groups: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days from 1 on, customers at risk and events by group of customers, shape (n_groups, n_days)."""
    days, place = np.unique(np.concatenate([[0], counts["day"].to_numpy(np.int64)]), return_inverse=True)
    flat, shape = groups * len(days) + place[1:], (n_groups, len(days))
    entered, left, events = (
        np.bincount(flat, counts[flow].to_numpy(float), n_groups * len(days)).reshape(shape) for flow in FLOWS
    )
    # who enters or leaves with a day does so after it
    at_risk = (entered - left).cumsum(axis=1)[:, :-1]
    return days[1:], at_risk, events[:, 1:]


def _check(counts: pd.DataFrame, interval: str) -> None:
    if interval not in ("replicate", "poisson"):
        raise ModelError(f"interval must be 'replicate' or 'poisson'; came '{interval}'")
    missing = [c for c in ("day", *FLOWS) if c not in counts]
    if missing:
        raise ModelError(
            f"a mean cumulative function needs the columns day, {', '.join(FLOWS)}; missing {missing}; "
            "recurrent_counts makes them from follow-ups and events"
        )
    entered, left, happened = (int(counts[flow].sum()) for flow in FLOWS)
    if not entered:
        raise ModelError("a mean cumulative function needs at least one customer under follow-up; came none")
    if not happened:
        raise ModelError(f"none of {entered} customers had an event; a mean cumulative function needs at least one")
    if left != entered:
        raise ModelError(f"{entered} follow-ups begin and {left} end; give each follow-up its last day")
    early = counts["day"].to_numpy() < np.where(counts["n_events"].to_numpy() + counts["n_left"].to_numpy() > 0, 1, 0)
    if early.any():
        raise ModelError(
            f"{int(early.sum())} rows have events or ends of follow-up before day 1, the first day at risk; count "
            "events from the day after the origin"
        )


def _check_at_risk(days: np.ndarray, at_risk: np.ndarray, events: np.ndarray) -> None:
    stray = (at_risk <= 0) & (events > 0)
    if (at_risk < 0).any():
        raise ModelError(
            f"by day {days[np.argmax(at_risk < 0)]} more follow-ups have ended than begun; mend the counts"
        )
    if stray.any():
        raise ModelError(
            f"{int(events[stray].sum())} events happen while nobody is under follow-up, the first on day "
            f"{days[np.argmax(stray)]}; leave out events beyond each customer's follow-up"
        )
