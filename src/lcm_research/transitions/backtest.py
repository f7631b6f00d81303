"""
How good forecasts of the stage mix would have been: made again at the end of earlier periods and held against the next.

The errors of those forecasts also say how much periods differ from each other, which widens the intervals of the
forecast that is published.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.transitions.forecast import FlowCounts, Projection, Season, project

__all__ = ["FEWEST_HELD_OUT", "Backtest", "StageForecast", "backtest", "effective_periods", "stage_forecast"]

FEWEST_HELD_OUT = 8
"""Held-out periods below which neither coverage nor the variance between periods is told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Backtest:
    """
    Forecasts from earlier periods, and what came.

    Attributes
    ----------
    rows : DataFrame
        origin, target, ahead, stage, share, lower, upper, observed, persistence (the share at the origin), inside.
        Intervals use the variance between the other held-out periods, never the one that is judged; missing where
        there are fewer than eight.
    scores : DataFrame
        One row for each number of periods ahead: ahead, n_periods, brier, brier_persistence, log_score,
        log_score_persistence, coverage. Scores are those of a customer drawn from the observed mix; lower is better.
        ``coverage`` is the share of stage intervals that held; missing below eight periods.
    between : array of shape (horizon, n_stages)
        Variance of shares between periods beyond what customers tell; missing below eight held-out periods.
    """

    rows: pd.DataFrame
    scores: pd.DataFrame
    between: np.ndarray

    def beats_persistence(self, *, ahead: int) -> bool:
        """
        Whether both scores are below those of a mix that stays as it is.

        Where both log scores are infinite (a stage that held nobody came to hold somebody) the other decides.
        """
        row = self.scores.set_index("ahead").loc[ahead]
        told = row["log_score"] < row["log_score_persistence"] or np.isinf(row["log_score"])
        return bool(row["brier"] < row["brier_persistence"] and told)

    def mean_error(self, *, ahead: int) -> tuple[float, float]:
        """Return by how much a share was off on average, of the forecasts and of a mix that stays as it is."""
        rows = self.rows[self.rows["ahead"] == ahead]
        own, kept = ((rows[name] - rows["observed"]).abs().mean() for name in ("share", "persistence"))
        return float(own), float(kept)


@dataclass(frozen=True, kw_only=True, eq=False)
class StageForecast:
    """
    The mix of stages in each of the next periods.

    Attributes
    ----------
    rows : DataFrame
        period_start, ahead, stage, share, lower, upper, n_expected, replicate_sd, binomial_sd, between_sd (standard
        deviations of the share).
    season : str
        What was done about the calendar, or that it is missing.
    between_reason : str
        Empty where the intervals know how periods differ; otherwise why they do not.
    carried_from : int or None
        Periods ahead beyond which too few were held out: from there on the variance between periods is that of so
        many ahead, grown with the square of the horizon, as under a steady drift. None where nothing is carried.
    """

    rows: pd.DataFrame
    season: str
    between_reason: str
    carried_from: int | None

    def table(self) -> pd.DataFrame:
        """Return the rows."""
        return self.rows


def backtest(
    flows: FlowCounts,
    *,
    horizon_periods: int,
    min_train_periods: int,
    season: Season,
    train_periods: int | None = None,
    level: float = 0.95,
) -> Backtest:
    """
    Forecast again from the end of each earlier period, with what was known then.

    Parameters
    ----------
    flows : FlowCounts
    horizon_periods : int
        Periods ahead.
    min_train_periods : int
        Periods of moves that the first forecast rests on.
    season, train_periods
        As in ``project``.
    level : float
        Of the intervals whose coverage is counted.

    Raises
    ------
    ModelError
        No period is left to hold out.
    """
    last = len(flows.periods) - 1
    origins = list(range(max(min_train_periods, 1), last))
    if not origins:
        raise ModelError(
            f"{last} periods of moves with min_train_periods={min_train_periods} leave none to hold out; choose "
            f"{max(last - 1, 1)} at most"
        )
    made = [
        project(
            flows.until(t), horizon_periods=min(horizon_periods, last - t), season=season, train_periods=train_periods
        )
        for t in origins
    ]
    shares = np.array([flows.stock(t).sum(axis=0) / flows.stock(t).sum() for t in range(last + 1)])
    frames, scores = [], []
    between = np.full((horizon_periods, len(flows.stages)), np.nan)
    for k in range(1, horizon_periods + 1):
        usable = [(t, p) for t, p in zip(origins, made, strict=True) if t + k <= last]
        if not usable:
            continue
        frame, extra = _one_horizon(flows, shares, usable, k, level)
        between[k - 1] = extra
        frames.append(frame)
        scores.append(_scores(shares, usable, k, frame))
    return Backtest(rows=pd.concat(frames, ignore_index=True), scores=pd.DataFrame(scores), between=between)


def stage_forecast(
    flows: FlowCounts,
    tried: Backtest | None,
    *,
    horizon_periods: int,
    season: Season,
    train_periods: int | None = None,
    level: float = 0.95,
) -> StageForecast:
    """
    Forecast the mix of stages with intervals from customers, chance, and how periods differ.

    Parameters
    ----------
    flows : FlowCounts
    tried : Backtest or None
        From ``backtest`` with the same choices: it knows how periods differ, and where fewer than eight were held
        out so far ahead, how they differ over the longest horizon with eight. Without it, or with fewer than eight at
        any horizon, intervals are those of customers and chance alone, and the result says so.
    horizon_periods, season, train_periods, level
        As in ``backtest``.
    """
    found = project(flows, horizon_periods=horizon_periods, season=season, train_periods=train_periods)
    extra = np.full(found.share.shape, np.nan)
    if tried is not None:
        known = min(horizon_periods, len(tried.between))
        extra[:known] = tried.between[:known]
    n_held_out = 0 if tried is None else int(tried.scores["n_periods"].max())
    freedom = np.array([_freedom(tried, k) for k in range(1, horizon_periods + 1)])[:, None]
    known = ~np.isnan(extra).any(axis=1)
    carried_from = None
    if known.any() and not known.all():
        carried_from = int(np.flatnonzero(known).max()) + 1
        ahead = np.arange(carried_from + 1, horizon_periods + 1)
        extra[carried_from:] = extra[carried_from - 1] * (ahead[:, None] / carried_from) ** 2
        freedom[carried_from:] = freedom[carried_from - 1]
    reason = ""
    if not known.any():
        reason = (
            f"intervals do not know how periods differ: {n_held_out} periods were held out, and {FEWEST_HELD_OUT} are "
            "needed"
        )
    customers = found.replicate_variance + found.binomial_variance
    lower, upper = _interval(found.share, customers + np.nan_to_num(extra), freedom, level)
    rows = []
    for k in range(horizon_periods):
        start = str((pd.Period(flows.periods[-1][:7], freq="M") + k + 1).start_time.date())
        for j, stage in enumerate(flows.stages):
            ends = (found.share[k, j], lower[k, j], upper[k, j], found.n[k] * found.share[k, j])
            parts = (found.replicate_variance[k, j], found.binomial_variance[k, j], extra[k, j])
            rows.append((start, k + 1, stage, *ends, *(float(np.sqrt(v)) for v in parts)))
    columns = ["period_start", "ahead", "stage", "share", "lower", "upper", "n_expected"]
    made = pd.DataFrame(rows, columns=[*columns, "replicate_sd", "binomial_sd", "between_sd"])
    return StageForecast(rows=made, season=found.season, between_reason=reason, carried_from=carried_from)


def _one_horizon(
    flows: FlowCounts, shares: np.ndarray, usable: list[tuple[int, Projection]], k: int, level: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """Hold forecasts ``k`` periods ahead against what came; return them and the variance between periods."""
    forecast = np.array([p.share[k - 1] for _, p in usable])
    customers = np.array([p.replicate_variance[k - 1] + p.binomial_variance[k - 1] for _, p in usable])
    observed = np.array([shares[t + k] for t, _ in usable])
    surplus = (observed - forecast) ** 2 - customers
    count = len(usable)
    enough = count >= FEWEST_HELD_OUT
    lower = upper = np.full(forecast.shape, np.nan)
    extra = np.full(forecast.shape[1], np.nan)
    if enough:
        extra = np.maximum(surplus.mean(axis=0), 0.0)
        others = np.maximum((surplus.sum(axis=0) - surplus) / (count - 1), 0.0)
        lower, upper = _interval(forecast, customers + others, effective_periods(count, k), level)
    rows = []
    for i, (t, _) in enumerate(usable):
        for j, stage in enumerate(flows.stages):
            ends = (forecast[i, j], lower[i, j], upper[i, j], observed[i, j], shares[t][j])
            rows.append((flows.periods[t], flows.periods[t + k], k, stage, *ends))
    columns = ["origin", "target", "ahead", "stage", "share", "lower", "upper", "observed", "persistence"]
    frame = pd.DataFrame(rows, columns=columns)
    inside = (frame["lower"] <= frame["observed"]) & (frame["observed"] <= frame["upper"])
    return frame.assign(inside=inside if enough else None), extra


def _scores(shares: np.ndarray, usable: list[tuple[int, Projection]], k: int, frame: pd.DataFrame) -> dict[str, float]:
    """Score forecasts, and a mix that stays as it is, for a customer drawn from the observed mix."""
    observed = np.array([shares[t + k] for t, _ in usable])
    tried = {
        "": np.array([p.share[k - 1] for _, p in usable]),
        "_persistence": np.array([shares[t] for t, _ in usable]),
    }
    row: dict[str, float] = {"ahead": k, "n_periods": len(usable)}
    for name, q in tried.items():
        brier = 1 - 2 * (observed * q).sum(axis=1) + (q**2).sum(axis=1)
        with np.errstate(divide="ignore"):
            log_score = -np.where(observed > 0, observed * np.log(np.where(observed > 0, q, 1.0)), 0.0).sum(axis=1)
        row[f"brier{name}"], row[f"log_score{name}"] = float(brier.mean()), float(log_score.mean())
    moving = frame[(frame["share"] > 0) & (frame["share"] < 1)]
    row["coverage"] = float(moving["inside"].mean()) if len(usable) >= FEWEST_HELD_OUT else np.nan
    return row


def _freedom(tried: Backtest | None, k: int) -> float:
    """Degrees of freedom of the variance between periods."""
    if tried is None or k > len(tried.between) or np.isnan(tried.between[k - 1]).any():
        return 99.0
    return effective_periods(float(tried.scores.loc[tried.scores["ahead"] == k, "n_periods"].sum()), k)


def effective_periods(n_periods: float, ahead: int) -> float:
    """
    Periods whose squared errors are as good as independent, among forecasts whose horizons overlap; 1 at least.

    Errors made j periods apart share ahead - j of ahead shocks, so their squares correlate by (1 - j / ahead) squared
    (Bartlett 1946).

    >>> effective_periods(12, 1), effective_periods(12, 2)
    (12.0, 8.0)
    """
    overlap = 1 - np.arange(1, ahead) / ahead
    return max(float(n_periods / (1 + 2 * (overlap**2).sum())), 1.0)


def _interval(
    share: np.ndarray, variance: np.ndarray, freedom: np.ndarray | float, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric on the logit scale; a share of 0 or 1 has no width."""
    inner = (share > 0) & (share < 1)
    q = np.where(inner, share, 0.5)
    centre = np.log(q / (1 - q))
    half = stats.t.ppf(0.5 + level / 2, freedom) * np.sqrt(variance) / (q * (1 - q))
    ends = [1 / (1 + np.exp(-(centre + sign * half))) for sign in (-1, 1)]
    return np.where(inner, ends[0], share), np.where(inner, ends[1], share)
