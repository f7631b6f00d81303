"""
The likelihood of log days on counts: a location by covariate pattern, one scale, a named standard error.

A lapse gives the density, a spell still going on its survival, a late entry divides by the survival then. Each
is a function of ``z = (log days - location) / scale`` and, where the distribution has one, of a second number
``v`` by pattern: the shape of the generalised gamma, the logit of the share that never lapses. Two derivatives
by each make score and information exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from lcm_research.errors import ModelError
from lcm_research.survival import generalised_gamma
from lcm_research.survival.newton import Evaluation, climb

__all__ = [
    "DISTRIBUTIONS",
    "STANDARD",
    "Distribution",
    "DurationCells",
    "Standard",
    "Terms",
    "duration_cells",
    "evaluate",
    "log_survival",
    "log_survivals",
    "maximise",
    "standard_quantile",
]

Distribution = Literal["weibull", "lognormal", "loglogistic", "exponential", "gengamma"]
Value = np.ndarray | float


class Terms(NamedTuple):
    """A log density or log survival at ``(z, v)`` with its derivatives by z, z twice, v, v twice, and both."""

    value: np.ndarray
    z: np.ndarray
    zz: np.ndarray
    v: Value = 0.0
    vv: Value = 0.0
    zv: Value = 0.0


Curve = Callable[[np.ndarray, np.ndarray], Terms]


@dataclass(frozen=True)
class Standard:
    """
    Log density and log survival of the standard error.

    ``free_scale`` is false for the exponential. ``second`` names what ``v`` is, where the distribution has it;
    beyond ``widest`` either way it has run off.
    """

    density: Curve
    survival: Curve
    free_scale: bool = True
    second: str = ""
    widest: float = np.inf


def _extreme_density(z: np.ndarray, v: np.ndarray) -> Terms:
    e = np.exp(z)
    return Terms(z - e, 1 - e, -e)


def _extreme_survival(z: np.ndarray, v: np.ndarray) -> Terms:
    e = np.exp(z)
    return Terms(-e, -e, -e)


def _normal_density(z: np.ndarray, v: np.ndarray) -> Terms:
    return Terms(-(z**2) / 2 - np.log(2 * np.pi) / 2, -z, np.full_like(z, -1.0))


def _normal_survival(z: np.ndarray, v: np.ndarray) -> Terms:
    log_survival = special.log_ndtr(-z)
    hazard = np.exp(-(z**2) / 2 - np.log(2 * np.pi) / 2 - log_survival)
    return Terms(log_survival, -hazard, -hazard * (hazard - z))


def _logistic_density(z: np.ndarray, v: np.ndarray) -> Terms:
    p = special.expit(z)
    return Terms(z - 2 * np.logaddexp(0, z), 1 - 2 * p, -2 * p * (1 - p))


def _logistic_survival(z: np.ndarray, v: np.ndarray) -> Terms:
    p = special.expit(z)
    return Terms(-np.logaddexp(0, z), -p, -p * (1 - p))


def _gamma_density(z: np.ndarray, v: np.ndarray) -> Terms:
    value, by_v, twice_v = generalised_gamma.by_shape(generalised_gamma.log_density, z, v)
    by_z, twice_z, both = generalised_gamma.log_density_slopes(z, v)
    return Terms(value, by_z, twice_z, by_v, twice_v, both)


def _gamma_survival(z: np.ndarray, v: np.ndarray) -> Terms:
    value, by_v, twice_v = generalised_gamma.by_shape(generalised_gamma.log_survival, z, v)
    density = _gamma_density(z, v)
    hazard = np.exp(density.value - value)
    return Terms(value, -hazard, -hazard * (density.z + hazard), by_v, twice_v, -hazard * (density.v - by_v))


STANDARD: dict[Distribution, Standard] = {
    "weibull": Standard(_extreme_density, _extreme_survival),
    "lognormal": Standard(_normal_density, _normal_survival),
    "loglogistic": Standard(_logistic_density, _logistic_survival),
    "exponential": Standard(_extreme_density, _extreme_survival, free_scale=False),
    "gengamma": Standard(_gamma_density, _gamma_survival, second="shape", widest=10),
}
DISTRIBUTIONS: tuple[Distribution, ...] = tuple(STANDARD)


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


def evaluate(at: np.ndarray, x: np.ndarray, w: np.ndarray, cells: DurationCells, standard: Standard) -> Evaluation:
    """
    Log-likelihood and its derivatives at ``at``.

    Parameters
    ----------
    at : array of shape (p,)
        A coefficient for each column of ``x``, the log of the scale where it is free, one for each column of ``w``.
    x, w : arrays of shape (n_patterns, k), (n_patterns, m)
        Columns of the location and of the second number by pattern, the constant first; ``m`` may be 0.
    """
    k, free = x.shape[1], standard.free_scale
    columns, seconds = x[cells.pattern], w[cells.pattern]
    log_scale = at[k] if free else 0.0
    scale, location, v = np.exp(log_scale), columns @ at[:k], seconds @ at[k + free :]
    end, entry = (cells.log_ended - location) / scale, (cells.log_entered - location) / scale
    ended = _chosen(cells.event, standard.density(end, v), standard.survival(end, v))
    sides = [(1.0, end, ended)]
    if cells.late.any():
        entered = _chosen(cells.late, standard.survival(entry, v), Terms(*np.zeros((6, 1))))
        sides.append((-1.0, entry, entered))

    value = np.where(cells.event, -log_scale - cells.log_ended, 0.0)
    scores, information = np.zeros((len(end), len(at))), np.zeros((len(at), len(at)))
    if free:
        scores[:, k] = np.where(cells.event, -1.0, 0.0)
    for sign, z, terms in sides:
        # derivatives of z and of v by each parameter
        of_z = np.column_stack([-columns / scale, *([-z] if free else []), np.zeros_like(seconds)])
        of_v = np.column_stack([np.zeros((len(z), k + free)), seconds])
        value = value + sign * terms.value
        scores += sign * (of_z * terms.z[:, None] + of_v * np.reshape(terms.v, (-1, 1)))
        information -= _curvature(of_z, of_v, sign * cells.n, terms, k if free else None)
    return Evaluation(value=float(cells.n @ value), scores=scores, score=cells.n @ scores, information=information)


def _chosen(first: np.ndarray, one: Terms, other: Terms) -> Terms:
    return Terms(*(np.where(first, a, b) for a, b in zip(one, other, strict=True)))


def _curvature(of_z: np.ndarray, of_v: np.ndarray, weight: np.ndarray, terms: Terms, scale: int | None) -> np.ndarray:
    """Second derivatives by all parameters, summed over cells; ``scale`` is the place of the log scale."""
    made = of_z.T @ (of_z * (weight * terms.zz)[:, None])
    if of_v.any():
        mixed = of_z.T @ (of_v * (weight * terms.zv)[:, None])
        made += mixed + mixed.T + of_v.T @ (of_v * (weight * terms.vv)[:, None])
    if scale is not None:  # z is not linear in the log scale
        bend = -(of_z.T @ (weight * terms.z))
        made[scale, :] += bend
        made[:, scale] += bend
        made[scale, scale] -= bend[scale]
    return made


def maximise(
    start: np.ndarray, x: np.ndarray, w: np.ndarray, cells: DurationCells, standard: Standard, names: tuple[str, ...]
) -> tuple[np.ndarray, Evaluation]:
    """
    Return the parameters at the maximum, and the likelihood there.

    ``x`` and ``w`` hold the constant and columns that are centred and scaled; ``names`` are those of ``x``.
    """
    return climb(
        lambda at: evaluate(at, x, w, cells, standard),
        start,
        what=str(list(names)),
        check=lambda at: _check_bounded(at, names, standard),
    )


def _check_bounded(at: np.ndarray, names: tuple[str, ...], standard: Standard) -> None:
    k, seconds = len(names), at[len(names) + standard.free_scale :]
    slopes = np.abs(at[1:k])
    if len(slopes) and slopes.max() > 20:
        raise ModelError(
            f"column '{names[1 + int(slopes.argmax())]}' separates the events together with others: its coefficient "
            "grows without end; merge levels or leave it out"
        )
    if standard.free_scale and at[k] < -8:
        raise ModelError(
            "the columns determine the day of every lapse, so the scale shrinks to 0; leave columns out or merge levels"
        )
    if len(seconds) and np.abs(seconds).max() > standard.widest:
        raise ModelError(
            f"the {standard.second} runs off ({seconds[np.abs(seconds).argmax()]:.3g} and on, beyond "
            f"{standard.widest:g}): the durations do not tell it; choose a distribution without it"
        )


def log_survival(
    standard: Standard, at: np.ndarray, x: np.ndarray, w: np.ndarray, day: float
) -> tuple[float, np.ndarray, float]:
    """Log of the share of one pattern (its rows ``x`` and ``w``) past a day, its slope by ``at`` and by log day."""
    k, free = len(x), standard.free_scale
    if day <= 0:
        return 0.0, np.zeros(len(at)), 0.0
    scale = np.exp(at[k]) if free else 1.0
    z = (np.log(day) - x @ at[:k]) / scale
    terms = standard.survival(np.array([z]), np.array([w @ at[k + free :]]))
    by_z, by_v = float(terms.z[0]), float(np.ravel(terms.v)[0])
    slope = np.concatenate([-x / scale * by_z, [-z * by_z] if free else [], w * by_v])
    return float(terms.value[0]), slope, by_z / scale


def log_survivals(standard: Standard, at: np.ndarray, x: np.ndarray, w: np.ndarray, day: float) -> np.ndarray:
    """As ``log_survival``, the values only, for several sets of parameters ``at`` of shape (n_sets, p)."""
    k, free = len(x), standard.free_scale
    if day <= 0:
        return np.zeros(len(at))
    scale = np.exp(at[:, k]) if free else 1.0
    return standard.survival((np.log(day) - at[:, :k] @ x) / scale, at[:, k + free :] @ w).value


def standard_quantile(standard: Standard, v: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The ``z`` below which each ``share`` of the standard error with second number ``v`` lies."""
    low, high, z = np.full(len(v), -200.0), np.full(len(v), 200.0), np.zeros(len(v))
    for _ in range(100):
        with np.errstate(all="ignore"):
            terms = standard.survival(z, v)
            gap = terms.value - np.log1p(-share)
            ahead = z - gap / terms.z
        low, high = np.where(gap < 0, low, z), np.where(gap < 0, z, high)
        # Newton's step where it stays within what is known, otherwise the middle of that
        ahead = np.where((ahead > low) & (ahead < high), ahead, (low + high) / 2)
        moved, z = np.abs(ahead - z).max(), ahead
        if moved < 1e-13:
            break
    return z
