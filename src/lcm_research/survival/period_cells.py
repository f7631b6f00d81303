"""
Spells on a clock of periods: how many are at risk in each, and how many lapse, without a row for each of them.

A spell counts in a period by the share of the period in which it was seen: one that is lost sight of on day 10
of 30 counts for a third. Leaving such periods out would raise the hazard, because lapses in them are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.survival.risk_sets import SPELL, check_spells

__all__ = ["Clock", "PeriodCells", "clock_of", "followed", "period_cells", "period_counts"]


def period_counts(counts: pd.DataFrame, *, period_days: int, by: Sequence[str]) -> pd.DataFrame:
    """
    Spells at risk and lapses by period, for each combination of the columns ``by``.

    Returns
    -------
    DataFrame
        ``by``, ``period``, ``at_risk`` (float: a spell seen for a third of a period counts a third), ``events``.
        Periods in which nobody is at risk are left out.
    """
    counts = followed(counts, period_days, None)
    patterns = counts[list(by)].drop_duplicates().sort_values(list(by), ignore_index=True)
    place = np.zeros(len(counts), np.int64)
    if by:
        place = pd.MultiIndex.from_frame(patterns).get_indexer(pd.MultiIndex.from_frame(counts[list(by)]))
    n_patterns = len(patterns) if by else 1
    cells = period_cells(clock_of(counts, place, n_patterns, period_days), np.ones(len(counts), bool))
    n_periods = cells.events.shape[1]
    table = (
        patterns.loc[np.repeat(np.arange(len(patterns)), n_periods)].reset_index(drop=True) if by else pd.DataFrame()
    )
    table["period"] = np.tile(np.arange(1, n_periods + 1), n_patterns)
    table["at_risk"] = (cells.events + cells.others).ravel()
    table["events"] = np.rint(cells.events.ravel()).astype(np.int64)
    return table[table["at_risk"] > 0].reset_index(drop=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class Clock:
    """
    Rows of counts on the clock: not lapsing from ``start`` to ``stop`` (days), then maybe in ``period`` (from 0).

    ``shape`` is (n_patterns, n_periods).
    """

    pattern: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    period: np.ndarray
    event: np.ndarray
    n: np.ndarray
    period_days: int
    shape: tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class PeriodCells:
    """Lapses, and spells that did not lapse times the share of the period seen; shape (n_patterns, n_periods)."""

    events: np.ndarray
    others: np.ndarray


def followed(counts: pd.DataFrame, period_days: int, horizon_days: int | None) -> pd.DataFrame:
    """Counts that hold spells, followed up to the horizon only."""
    counts = check_spells(counts, SPELL, "a model of durations")
    if period_days < 1 or period_days != int(period_days):
        raise ModelError(f"period_days={period_days} is not a whole number of days; choose 1 or more")
    if horizon_days is None:
        return counts
    if horizon_days < period_days:
        raise ModelError(f"horizon_days={horizon_days} ends before the first period of {period_days} days; choose more")
    seen = counts[counts["entry_days"] < horizon_days] if "entry_days" in counts else counts
    ended = seen["duration_days"]
    return seen.assign(
        event_observed=seen["event_observed"].astype(bool) & (ended <= horizon_days),
        duration_days=ended.clip(upper=horizon_days),
    )


def clock_of(counts: pd.DataFrame, pattern: np.ndarray, n_patterns: int, period_days: int) -> Clock:
    """Put rows of counts on the clock; ``pattern`` says which covariate pattern each has."""
    ended = counts["duration_days"].to_numpy(float)
    entered = counts["entry_days"].to_numpy(float) if "entry_days" in counts else np.zeros(len(counts))
    event = counts["event_observed"].to_numpy(bool)
    period = np.ceil(ended / period_days).astype(np.int64) - 1
    stop = np.where(event, period * period_days, ended)
    return Clock(
        pattern=pattern,
        start=np.minimum(entered, stop),
        stop=stop,
        period=period,
        event=event,
        n=counts["n"].to_numpy(float),
        period_days=period_days,
        shape=(n_patterns, int(period.max()) + 1),
    )


def period_cells(clock: Clock, rows: np.ndarray) -> PeriodCells:
    """Counts by pattern and period of the chosen rows, without a row for each period of each spell."""
    n_patterns, n_periods = clock.shape
    pattern, n = clock.pattern[rows], clock.n[rows]

    def spread(period: np.ndarray, mass: np.ndarray) -> np.ndarray:
        flat = np.bincount(pattern * (n_periods + 1) + period, mass, n_patterns * (n_periods + 1))
        return flat.reshape(n_patterns, n_periods + 1)

    def days_seen_until(day: np.ndarray) -> np.ndarray:
        whole = (day // clock.period_days).astype(np.int64)
        ends_in = spread(whole, n)
        later = ends_in.sum(axis=1, keepdims=True) - ends_in.cumsum(axis=1)
        return (later * clock.period_days + spread(whole, n * (day % clock.period_days)))[:, :-1]

    # whole numbers of days, so the difference is exact
    others = (days_seen_until(clock.stop[rows]) - days_seen_until(clock.start[rows])) / clock.period_days
    return PeriodCells(events=spread(clock.period[rows], n * clock.event[rows])[:, :-1], others=others)
