"""
The likelihood of histories whose lapses share a gamma frailty, with the frailty integrated out.

A customer lapses at the rate ``z * rate_k * exp(x b)`` on days of class ``k``, with ``z`` of mean 1 and variance
``v``. With ``D`` lapses and ``L`` expected at ``z = 1`` over all days at risk, the integral over ``z`` has the closed
form ``(1 + v)(1 + 2v) ... (1 + (D - 1)v) * (1 + vL) ** -(D + 1/v)`` times the rates of the lapses, which runs into
Poisson's likelihood as ``v`` goes to 0. Histories add up, so the cost is in distinct ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from lcm_research.errors import ModelError

__all__ = ["Evaluation", "Histories", "evaluate", "fit_given", "largest_variance", "profile_interval"]

BEYOND = 1e4
"""A variance that grows past this grows without end."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Histories:
    """Lapses and days at risk by class, shape (n_rows, n_classes); covariate columns and counts of the rows."""

    events: np.ndarray
    exposure: np.ndarray
    x: np.ndarray
    n: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Log-likelihood, score of each row, shape (n_rows, q), and information: log rates, coefficients, variance."""

    value: float
    scores: np.ndarray
    information: np.ndarray


def evaluate(at: np.ndarray, variance: float, histories: Histories) -> Evaluation:
    """Evaluate at log rates and coefficients ``at`` and a variance of 0 or more."""
    n, x, n_classes = histories.n, histories.x, histories.exposure.shape[1]
    linear = x @ at[n_classes:]
    expected = histories.exposure * np.exp(at[:n_classes] + linear[:, None])
    D, L = histories.events.sum(axis=1), expected.sum(axis=1)
    grown = 1 + variance * L
    weight = (1 + variance * D) / grown
    log_grown, by_variance, twice = _log_term(variance, L)
    climbs, climbs_first, climbs_second = _climbs(variance, D)
    value = n @ (histories.events @ at[:n_classes] + D * linear + climbs - D * np.log(grown) - log_grown)

    slope = np.column_stack([expected, L[:, None] * x])
    seen = np.column_stack([histories.events, D[:, None] * x])
    score_variance = climbs_first - D * L / grown - by_variance
    information = np.zeros((slope.shape[1] + 1,) * 2)
    held = slope.T @ ((n * weight * variance / grown)[:, None] * slope)
    inside = np.diag(np.concatenate([(n * weight) @ expected, np.zeros(x.shape[1])]))
    inside[n_classes:, n_classes:] = x.T @ ((n * weight * L)[:, None] * x)
    mixed = expected.T @ ((n * weight)[:, None] * x)
    inside[:n_classes, n_classes:], inside[n_classes:, :n_classes] = mixed, mixed.T
    information[:-1, :-1] = inside - held
    information[-1, :-1] = information[:-1, -1] = (n * (D - L) / grown**2) @ slope
    information[-1, -1] = -(n @ (climbs_second + D * L**2 / grown**2 - twice))
    scores = np.column_stack([seen - weight[:, None] * slope, score_variance])
    return Evaluation(value=float(value), scores=scores, information=information)


def _climbs(variance: float, D: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum of log(1 + j v) over j below D, and its two derivatives by v."""
    steps = np.arange(int(D.max(initial=0)))
    terms = np.log1p(variance * steps), steps / (1 + variance * steps), -((steps / (1 + variance * steps)) ** 2)
    sums = [np.concatenate([[0.0], each.cumsum()])[D.astype(np.int64)] for each in terms]
    return sums[0], sums[1], sums[2]


def _log_term(variance: float, L: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log(1 + v L) / v, and its two derivatives by v; a series where v L is small."""
    u = variance * L
    small = u < 1e-3
    safe = np.where(small, 1.0, u)
    plain = L * np.log1p(safe) / safe
    first = L**2 * (1 / (1 + safe) - np.log1p(safe) / safe) / safe
    second = L**3 * (-1 / (1 + safe) ** 2 - 2 * (1 / (1 + safe) - np.log1p(safe) / safe) / safe) / safe
    s = np.where(small, u, 0.0)
    series = (
        L * (1 - s / 2 + s**2 / 3 - s**3 / 4),
        L**2 * (-1 / 2 + 2 * s / 3 - 3 * s**2 / 4 + 4 * s**3 / 5),
        L**3 * (2 / 3 - 6 * s / 4 + 12 * s**2 / 5 - 20 * s**3 / 6),
    )
    told = [np.where(small, near, far) for near, far in zip(series, (plain, first, second), strict=True)]
    return told[0], told[1], told[2]


def fit_given(variance: float, start: np.ndarray, histories: Histories) -> tuple[np.ndarray, Evaluation]:
    """Log rates and coefficients that maximise the likelihood at a given variance, which is concave in them."""
    at, there = start, evaluate(start, variance, histories)
    for _ in range(100):
        gradient = histories.n @ there.scores[:, :-1]
        step = np.linalg.solve(there.information[:-1, :-1], gradient)
        while True:
            ahead = evaluate(at + step, variance, histories)
            if ahead.value >= there.value - 1e-9 * abs(there.value) or np.abs(step).max() < 1e-12:
                break
            step = step / 2
        at, there = at + step, ahead
        if np.abs(at).max() > 50:
            raise ModelError("a coefficient grows without end: one of its levels holds no lapse; merge levels")
        if np.abs(step).max() < 1e-10:
            return at, there
    raise ModelError("the frailty model did not settle in 100 steps; merge rare levels")


def largest_variance(start: np.ndarray, histories: Histories) -> float:
    """Variance at which the likelihood, maximised over all else, is largest; 0 where it falls from there."""
    at = start

    def slope(log_variance: float) -> float:
        nonlocal at
        at, there = fit_given(float(np.exp(log_variance)), at, histories)
        return float(histories.n @ there.scores[:, -1])

    if histories.n @ fit_given(0.0, start, histories)[1].scores[:, -1] <= 0:
        return 0.0
    low, high = np.log(1e-8), 0.0
    while slope(high) > 0:
        low, high = high, high + np.log(4)
        if high > np.log(BEYOND):
            raise ModelError(
                "the variance of the frailty grows without end: customers lapse again and again or never; look at who "
                "can lapse at all first"
            )
    return float(np.exp(optimize.brentq(slope, low, high, xtol=1e-12, rtol=1e-14)))


def profile_interval(
    variance: float, best: float, cutoff: float, start: np.ndarray, histories: Histories
) -> tuple[float, float]:
    """Variances whose maximised log-likelihood is within half of ``cutoff`` of the best; down to 0."""
    at = start

    def beyond(candidate: float) -> float:
        nonlocal at
        at, there = fit_given(candidate, at, histories)
        return 2 * (best - there.value) - cutoff

    upper = max(2 * variance, 0.01)
    while beyond(upper) < 0:
        upper *= 2
        if upper > BEYOND:
            return 0.0 if beyond(0.0) <= 0 else _root(beyond, 0.0, variance), np.inf
    lower = 0.0 if beyond(0.0) <= 0 else _root(beyond, 0.0, variance)
    return lower, _root(beyond, variance, upper)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-9, rtol=1e-10))
