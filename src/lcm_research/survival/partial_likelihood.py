"""
Cox's partial likelihood on counts: risk sets by pattern and day, its derivatives, and each row's share in them.

On a day with ``m`` tied lapses Efron's rule takes them off the risk set one after another: step ``l`` of ``m``
uses everyone at risk less the share ``l / m`` of those who lapse. All sums over steps are made at once, so the
cost is in patterns and days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

__all__ = [
    "RiskSets",
    "Sums",
    "TieRule",
    "information",
    "log_likelihood",
    "risk_sets",
    "score",
    "score_by_day",
    "score_residuals",
    "sums_at",
]

TieRule = Literal["efron", "breslow"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskSets:
    """
    Who is at risk and who lapses, on each day with a lapse, stratum after stratum.

    Attributes
    ----------
    days : array of shape (n_days,)
    at_risk, events : arrays of shape (n_patterns, n_days)
        Spells (times their case weights).
    day_of_step : array of int, shape (n_steps,)
        The day of each step of the tie rule, one step a tied lapse.
    taken_off : array of shape (n_steps,)
        Share of the tied lapses already taken off the risk set.
    weight : array of shape (n_steps,)
        Mean case weight of the lapses of that day.
    entered_before, ended_by : arrays of int, shape (n_rows,)
        For each row of counts, how many days (of ``days``, with its stratum's place) lie up to its entry and its end.
    row_weight : array of shape (n_rows,)
    n_strata : int
    """

    days: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    day_of_step: np.ndarray
    taken_off: np.ndarray
    weight: np.ndarray
    entered_before: np.ndarray
    ended_by: np.ndarray
    row_weight: np.ndarray
    n_strata: int


def risk_sets(
    counts: pd.DataFrame,
    pattern: np.ndarray,
    n_patterns: int,
    *,
    ties: TieRule,
    strata: str | None,
    case_weights: str | None,
) -> RiskSets:
    """Arrange counts as risk sets; ``pattern`` says which covariate pattern each row has."""
    ended = counts["duration_days"].to_numpy(float)
    entered = counts["entry_days"].to_numpy(float) if "entry_days" in counts else np.zeros(len(counts))
    lapsed = counts["event_observed"].to_numpy(bool)
    n = counts["n"].to_numpy(np.int64)
    row_weight = np.ones(len(counts)) if case_weights is None else counts[case_weights].to_numpy(float)
    codes = np.zeros(len(counts), np.int64) if strata is None else pd.factorize(counts[strata], sort=True)[0]

    days, entered_before, ended_by = [], np.empty(len(counts), np.int64), np.empty(len(counts), np.int64)
    offset = 0
    for code in range(codes.max() + 1):
        own = codes == code
        own_days = np.unique(ended[own & lapsed & (n > 0)])
        entered_before[own] = offset + np.searchsorted(own_days, entered[own], side="right")
        ended_by[own] = offset + np.searchsorted(own_days, ended[own], side="right")
        days.append(own_days)
        offset += len(own_days)

    def spread(place: np.ndarray, mass: np.ndarray, rows: np.ndarray) -> np.ndarray:
        flat = rows * (offset + 1) + place
        return np.bincount(flat, mass, n_patterns * (offset + 1)).reshape(n_patterns, offset + 1)

    mass = n * row_weight
    change = spread(entered_before, mass, pattern) - spread(ended_by, mass, pattern)
    events = spread(ended_by[lapsed] - 1, mass[lapsed], pattern[lapsed])[:, :-1]
    tied = np.bincount(ended_by[lapsed] - 1, n[lapsed], offset).astype(np.int64)
    day_of_step = np.repeat(np.arange(offset), tied)
    place_in_day = np.arange(len(day_of_step)) - np.repeat(tied.cumsum() - tied, tied)
    return RiskSets(
        days=np.concatenate(days),
        at_risk=change.cumsum(axis=1)[:, :-1].clip(min=0),
        events=events,
        day_of_step=day_of_step,
        taken_off=place_in_day / tied[day_of_step] if ties == "efron" else np.zeros(len(day_of_step)),
        weight=(events.sum(axis=0) / tied)[day_of_step],
        entered_before=entered_before,
        ended_by=ended_by,
        row_weight=row_weight,
        n_strata=int(codes.max()) + 1,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """
    What the likelihood and its derivatives need at one value of the coefficients.

    With ``R`` and ``D`` the summed relative hazards at risk and lapsing, ``f`` the share taken off and
    ``denominator = R - f D``: sums over the steps of a day of ``1/denominator`` and ``1/denominator^2``, times
    powers of ``f``; ``hazard`` is the first, the day's baseline hazard.
    """

    linear: np.ndarray
    relative: np.ndarray
    denominator: np.ndarray
    hazard: np.ndarray
    hazard_off: np.ndarray
    square: np.ndarray
    square_off: np.ndarray
    square_off_off: np.ndarray
    at_risk_x: np.ndarray
    events_x: np.ndarray


def sums_at(coefficients: np.ndarray, x: np.ndarray, risk: RiskSets) -> Sums:
    """Return the sums at ``coefficients``; ``x`` holds the columns of each pattern."""
    linear = x @ coefficients
    relative = np.exp(linear)
    step, off = risk.day_of_step, risk.taken_off
    denominator = (relative @ risk.at_risk)[step] - off * (relative @ risk.events)[step]

    def by_day(values: np.ndarray) -> np.ndarray:
        return np.bincount(step, values, len(risk.days))

    once = risk.weight / denominator
    twice = once / denominator
    return Sums(
        linear=linear,
        relative=relative,
        denominator=denominator,
        hazard=by_day(once),
        hazard_off=by_day(off * once),
        square=by_day(twice),
        square_off=by_day(off * twice),
        square_off_off=by_day(off * off * twice),
        at_risk_x=risk.at_risk.T @ (relative[:, None] * x),
        events_x=risk.events.T @ (relative[:, None] * x),
    )


def log_likelihood(sums: Sums, x: np.ndarray, risk: RiskSets) -> float:
    """Log partial likelihood."""
    return float(sums.linear @ risk.events.sum(axis=1) - risk.weight @ np.log(sums.denominator))


def score_by_day(sums: Sums, x: np.ndarray, risk: RiskSets) -> np.ndarray:
    """First derivative, day by day: shape (n_days, p)."""
    return risk.events.T @ x - sums.hazard[:, None] * sums.at_risk_x + sums.hazard_off[:, None] * sums.events_x


def score(sums: Sums, x: np.ndarray, risk: RiskSets) -> np.ndarray:
    """First derivative of the log partial likelihood."""
    return score_by_day(sums, x, risk).sum(axis=0)


def information(sums: Sums, x: np.ndarray, risk: RiskSets, day_weight: np.ndarray | float = 1.0) -> np.ndarray:
    """Minus the second derivative; with ``day_weight`` each day's part is multiplied by it."""
    mass = risk.at_risk @ (day_weight * sums.hazard) - risk.events @ (day_weight * sums.hazard_off)
    second = x.T @ ((sums.relative * mass)[:, None] * x)
    r, d = sums.at_risk_x, sums.events_x
    mixed = r.T @ ((day_weight * sums.square_off)[:, None] * d)
    squares = r.T @ ((day_weight * sums.square)[:, None] * r) + d.T @ ((day_weight * sums.square_off_off)[:, None] * d)
    return second - squares + mixed + mixed.T


def score_residuals(counts: pd.DataFrame, x: np.ndarray, risk: RiskSets, sums: Sums, pattern: np.ndarray) -> np.ndarray:
    """
    Each row's share in the score (times its case weight, not its count), shape (n_rows, p).

    A lapse's own distance from the mean at risk, less what its time at risk was expected to bring. They sum to the
    score, which is zero at the fit.
    """

    def until(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros((1, *values.shape[1:])), values.cumsum(axis=0)])

    drawn = sums.square[:, None] * sums.at_risk_x - sums.square_off[:, None] * sums.events_x
    hazard, moment = until(sums.hazard), until(drawn)
    start, end = risk.entered_before, risk.ended_by
    own, relative = x[pattern], sums.relative[pattern][:, None]
    expected = own * (hazard[end] - hazard[start])[:, None] - (moment[end] - moment[start])
    residual = -relative * expected

    lapsed = counts["event_observed"].to_numpy(bool) & (counts["n"].to_numpy() > 0)
    day = end[lapsed] - 1
    mean = sums.hazard[:, None] * sums.at_risk_x - sums.hazard_off[:, None] * sums.events_x
    mean = mean / risk.events.sum(axis=0)[:, None]
    # a tied lapse is only partly at risk on its own day
    drawn_off = sums.square_off[:, None] * sums.at_risk_x - sums.square_off_off[:, None] * sums.events_x
    own_day = own[lapsed] * sums.hazard_off[day][:, None] - drawn_off[day]
    residual[lapsed] += own[lapsed] - mean[day] + relative[lapsed] * own_day
    return residual * risk.row_weight[:, None]
