"""
Where a likelihood of durations is largest: what is refused before, how far a group of customers moves it, what follows.

Shared by the accelerated failure time models and by the mixture with a share that never lapses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import linalg, stats

from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import Estimate, jackknife
from lcm_research.survival.covariates import Design
from lcm_research.survival.duration_likelihood import (
    STANDARD,
    Distribution,
    DurationCells,
    Standard,
    log_survival,
    log_survivals,
    maximise,
)
from lcm_research.survival.likelihood_fit import FitIntervals, check_events
from lcm_research.survival.newton import moves
from lcm_research.survival.ratios import spread_of_moves

__all__ = ["Maximum", "Start", "check_durations", "curve_table", "largest", "mean_start", "share_past"]

Start = Callable[[np.ndarray, np.ndarray, DurationCells], np.ndarray]
"""From columns of the location, columns of the second number and cells to parameters to start from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Maximum:
    """
    Parameters at the maximum, on the scale of the columns as they came.

    ``moved`` (100, p) is how far each group of customers moves them, with ``intervals="replicate"`` only.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    standard_error: np.ndarray
    moved: np.ndarray | None
    log_likelihood: float
    n: int
    n_events: int


def largest(
    counts: pd.DataFrame,
    cells: DurationCells,
    location: np.ndarray,
    second: np.ndarray,
    standard: Standard,
    names: tuple[str, ...],
    intervals: FitIntervals,
    start: Start,
) -> Maximum:
    """
    Maximise the likelihood of counts.

    Parameters
    ----------
    location, second : arrays of shape (n_patterns, k), (n_patterns, m)
        Columns of the location without a constant; columns of the second number, its constant first, or none.
    names : tuple of str
        The constant and the columns of the location.
    """
    x, back_x = _centred(location)
    w, back_w = _centred(second[:, 1:]) if second.shape[1] else (second, np.zeros((0, 0)))
    scaled, at_fit = maximise(start(x, w, cells), x, w, cells, standard, names)
    back = linalg.block_diag(back_x, np.eye(int(standard.free_scale)), back_w)
    covariance = back @ np.linalg.inv(at_fit.information) @ back.T
    moved = moves(counts, cells.cell, at_fit) @ back.T if intervals == "replicate" else None
    return Maximum(
        coefficients=back @ scaled,
        covariance=covariance,
        standard_error=np.sqrt(np.diag(covariance)) if moved is None else spread_of_moves(moved),
        moved=moved,
        log_likelihood=at_fit.value,
        n=round(cells.n.sum()),
        n_events=round(float(cells.n @ cells.event)),
    )


def mean_start(x: np.ndarray, cells: DurationCells, standard: Standard) -> np.ndarray:
    """One exponential for all: days at risk by events."""
    at = np.zeros(x.shape[1] + standard.free_scale)
    at[0] = np.log(cells.n @ np.exp(cells.log_ended) / (cells.n @ cells.event))
    return at


def _centred(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A constant and columns in standard deviations from their means, and the way back to the columns as they came."""
    mean, spread = matrix.mean(axis=0), matrix.std(axis=0)
    back = np.diag(np.concatenate([[1.0], 1 / spread]))
    back[0, 1:] = -mean / spread
    return np.column_stack([np.ones(len(matrix)), (matrix - mean) / spread]), back


class _Fitted(Protocol):
    """What a prediction needs of a fit."""

    @property
    def coefficients(self) -> np.ndarray: ...
    @property
    def covariance(self) -> np.ndarray: ...
    @property
    def moved(self) -> np.ndarray | None: ...
    @property
    def n(self) -> int: ...
    @property
    def level(self) -> float: ...


def share_past(
    fit: _Fitted, standard: Standard, x: np.ndarray, w: np.ndarray, day: float, *, given_day: float
) -> Estimate:
    """Share of one pattern (its rows ``x`` and ``w``) past ``day``, of those past ``given_day``."""
    if given_day < 0 or day < given_day:
        raise ModelError(
            f"day {day:g} lies before day {given_day:g}, which the spells went past; choose a day from there on"
            if given_day > 0
            else f"day {day:g} lies before the start of a spell; choose a day from 0 on"
        )
    if day == given_day:
        return Estimate(value=1.0, lower=1.0, upper=1.0, unit="probability", n=fit.n, level=fit.level)

    past, given = (log_survival(standard, fit.coefficients, x, w, d) for d in (day, given_day))
    total, slope = given[0] - past[0], given[1] - past[1]
    if fit.moved is not None:
        at = fit.coefficients - fit.moved
        without = np.exp(log_survivals(standard, at, x, w, day) - log_survivals(standard, at, x, w, given_day))
        return jackknife(float(np.exp(-total)), without, unit="probability", n=fit.n, scale="loglog", level=fit.level)
    half = float(stats.norm.ppf(0.5 + fit.level / 2) * np.sqrt(slope @ fit.covariance @ slope)) / total
    share, lower, upper = (float(np.exp(-total * np.exp(end))) for end in (0, half, -half))
    return Estimate(value=share, lower=lower, upper=upper, unit="probability", n=fit.n, level=fit.level)


def curve_table(shares: Sequence[Estimate], days: Sequence[float], follow_up_days: float) -> pd.DataFrame:
    """Predicted shares as a table, one row a day."""
    return pd.DataFrame(
        {
            "duration_days": np.asarray(days, float),
            "survival": [s.value for s in shares],
            "lower": [s.lower for s in shares],
            "upper": [s.upper for s in shares],
            "beyond_follow_up": np.asarray(days, float) > follow_up_days,
        }
    )


def check_durations(
    counts: pd.DataFrame, columns: Design, intervals: FitIntervals, distributions: Sequence[Distribution]
) -> None:
    """Refuse an unknown distribution, too few events, events on one day, and columns that tell who lapses."""
    for each in distributions:
        if each not in STANDARD:
            raise ModelError(f"no distribution '{each}' is known here; {nearest(each, list(STANDARD))}")
    check_events(counts, len(columns.names), intervals, stacklevel=4)
    there = counts["n"].to_numpy() > 0
    lapsed = counts["event_observed"].to_numpy(bool) & there
    days = counts.loc[lapsed, "duration_days"]
    if days.nunique() < 2 and any(STANDARD[each].free_scale for each in distributions):
        raise ModelError(
            f"all {int(counts.loc[lapsed, 'n'].sum())} events are on day {days.iloc[0]:g}: no spread of durations to "
            "fit; count days finer, or model that day by first_day_logit"
        )
    for name, column in zip(columns.names, columns.matrix.T, strict=True):
        values = column[columns.pattern]
        held = values[lapsed]
        for extreme, end in (("smallest", values[there].min()), ("largest", values[there].max())):
            if (held == end).all():
                raise ModelError(
                    f"column '{name}' separates perfectly: each event has its {extreme} value, {end:g}, so its time "
                    "ratio is infinite or 0; merge levels or leave it out"
                )
