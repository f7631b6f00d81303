"""
The likelihood of log days on counts: a location by covariate pattern, one scale, a named standard error.

A lapse gives the density, a spell still going on its survival, a late entry divides by the survival then. Each
is a function of ``z = (log days - location) / scale`` with two derivatives, so score and information are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from lcm_research.errors import ModelError

__all__ = ["STANDARD", "Distribution", "DurationCells", "Evaluation", "duration_cells", "evaluate", "maximise"]

Distribution = Literal["weibull", "lognormal", "loglogistic", "exponential"]
Curve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Standard:
    """Log density and log survival of the standard error, each with two derivatives; exponential fixes the scale."""

    density: Curve
    survival: Curve
    free_scale: bool = True


def _extreme_density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    e = np.exp(z)
    return z - e, 1 - e, -e


def _extreme_survival(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    e = np.exp(z)
    return -e, -e, -e


def _normal_density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return -(z**2) / 2 - np.log(2 * np.pi) / 2, -z, np.full_like(z, -1.0)


def _normal_survival(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    log_survival = special.log_ndtr(-z)
    hazard = np.exp(-(z**2) / 2 - np.log(2 * np.pi) / 2 - log_survival)
    return log_survival, -hazard, -hazard * (hazard - z)


def _logistic_density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p = special.expit(z)
    return z - 2 * np.logaddexp(0, z), 1 - 2 * p, -2 * p * (1 - p)


def _logistic_survival(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p = special.expit(z)
    return -np.logaddexp(0, z), -p, -p * (1 - p)


STANDARD: dict[Distribution, Standard] = {
    "weibull": Standard(_extreme_density, _extreme_survival),
    "lognormal": Standard(_normal_density, _normal_survival),
    "loglogistic": Standard(_logistic_density, _logistic_survival),
    "exponential": Standard(_extreme_density, _extreme_survival, free_scale=False),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class DurationCells:
    """
    Spells that are alike in everything the likelihood asks.

    Attributes
    ----------
    pattern : array of int, shape (n_cells,)
    log_ended, log_entered : arrays of float, shape (n_cells,)
        Log days; ``log_entered`` is 0 where ``late`` is false.
    event, late : arrays of bool
        Lapsed; seen only from a later day on.
    n : array of float
        Spells.
    cell : array of int, shape (n_rows,)
        The cell of each row of the counts.
    """

    pattern: np.ndarray
    log_ended: np.ndarray
    log_entered: np.ndarray
    event: np.ndarray
    late: np.ndarray
    n: np.ndarray
    cell: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Log-likelihood at some parameters, each cell's score (n_cells, p) for one spell, and the information (p, p)."""

    value: float
    scores: np.ndarray
    score: np.ndarray
    information: np.ndarray


def duration_cells(counts: pd.DataFrame, pattern: np.ndarray) -> DurationCells:
    """Merge rows of counts that differ only in what the likelihood does not ask, such as ``replicate``."""
    entered = counts["entry_days"].to_numpy(float) if "entry_days" in counts else np.zeros(len(counts))
    keys = {
        "pattern": pattern,
        "ended": counts["duration_days"].to_numpy(float),
        "entered": entered,
        "event": counts["event_observed"].to_numpy(bool),
    }
    cell = pd.DataFrame(keys).groupby(list(keys)).ngroup().to_numpy()
    first = np.unique(cell, return_index=True)[1]
    entry, late = entered[first], entered[first] > 0
    return DurationCells(
        pattern=pattern[first],
        log_ended=np.log(keys["ended"][first]),
        log_entered=np.log(np.where(late, entry, 1.0)),
        event=keys["event"][first],
        late=late,
        n=np.bincount(cell, counts["n"].to_numpy(float)),
        cell=cell,
    )


def evaluate(at: np.ndarray, x: np.ndarray, cells: DurationCells, standard: Standard) -> Evaluation:
    """
    Log-likelihood and its derivatives at ``at``.

    Parameters
    ----------
    at : array of shape (p,)
        A coefficient for each column of ``x``, then the log of the scale where it is free.
    x : array of shape (n_patterns, k)
        Columns by pattern, the constant first.
    """
    columns = x[cells.pattern]
    log_scale = at[x.shape[1]] if standard.free_scale else 0.0
    scale = np.exp(log_scale)
    location = columns @ at[: x.shape[1]]
    end, entry = (cells.log_ended - location) / scale, (cells.log_entered - location) / scale
    ended = [np.where(cells.event, d, s) for d, s in zip(standard.density(end), standard.survival(end), strict=True)]
    entered = [np.where(cells.late, s, 0.0) for s in standard.survival(entry)]
    value = ended[0] - cells.event * (log_scale + cells.log_ended) - entered[0]

    first = ended[1] - entered[1]
    stretched = end * ended[1] - entry * entered[1]
    scores = -first[:, None] * columns / scale
    # minus the second derivatives, blocks of coefficients and log scale
    within = columns.T @ (columns * (-cells.n * (ended[2] - entered[2]) / scale**2)[:, None])
    if not standard.free_scale:
        return _summed(value, scores, within, cells.n)
    scores = np.column_stack([scores, -stretched - cells.event])
    twice = end * ended[2] - entry * entered[2]
    across = columns.T @ (-cells.n * (twice + first) / scale)
    corner = -cells.n @ (end**2 * ended[2] - entry**2 * entered[2] + stretched)
    return _summed(
        value, scores, np.block([[within, across[:, None]], [across[None, :], np.array([[corner]])]]), cells.n
    )


def _summed(value: np.ndarray, scores: np.ndarray, information: np.ndarray, n: np.ndarray) -> Evaluation:
    return Evaluation(value=float(n @ value), scores=scores, score=n @ scores, information=information)


def maximise(
    x: np.ndarray, cells: DurationCells, standard: Standard, names: tuple[str, ...]
) -> tuple[np.ndarray, Evaluation]:
    """
    Climb to the maximum by Newton steps, halved where they overshoot, until they no longer move.

    ``x`` holds the constant and columns that are centred and scaled; ``names`` are theirs.
    """
    n_events = float(cells.n @ cells.event)
    at = np.zeros(x.shape[1] + standard.free_scale)
    at[0] = np.log(cells.n @ np.exp(cells.log_ended) / n_events)
    here = evaluate(at, x, cells, standard)
    for _ in range(100):
        size, direction = np.linalg.eigh(here.information)
        # sizes without their signs: uphill also where the likelihood is not yet concave
        along = direction.T @ here.score / np.maximum(np.abs(size), 1e-10 * np.abs(size).max())
        step = direction @ along
        step *= min(1.0, 3.0 / np.abs(step).max()) if step.any() else 1.0
        here, step = _climb(at, step, here, x, cells, standard)
        at = at + step
        _check_bounded(at, names, standard)
        if np.abs(step).max() < 1e-10 and size.min() > 0:
            return at, here
    raise ModelError(f"the fit of {list(names)} did not settle in 100 steps; merge rare levels or choose another shape")


def _climb(
    at: np.ndarray, step: np.ndarray, here: Evaluation, x: np.ndarray, cells: DurationCells, standard: Standard
) -> tuple[Evaluation, np.ndarray]:
    while True:
        with np.errstate(over="ignore", invalid="ignore"):
            ahead = evaluate(at + step, x, cells, standard)
        if ahead.value >= here.value - 1e-9 * abs(here.value) or np.abs(step).max() < 1e-12:
            return ahead, step
        step = step / 2


def _check_bounded(at: np.ndarray, names: tuple[str, ...], standard: Standard) -> None:
    slopes = np.abs(at[1 : len(names)])
    if len(slopes) and slopes.max() > 20:
        raise ModelError(
            f"column '{names[1 + int(slopes.argmax())]}' separates the events together with others: its coefficient "
            "grows without end; merge levels or leave it out"
        )
    if standard.free_scale and at[-1] < -8:
        raise ModelError(
            "the columns determine the day of every lapse, so the scale shrinks to 0; leave columns out or merge levels"
        )
