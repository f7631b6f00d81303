"""
How near predicted risks of lapsing come to what happened: Brier score, its null, and time-dependent AUC.

Every function takes counts of spells that the prediction has not seen: ``duration_days``, ``event_observed``, ``n``,
``replicate``, and the predicted risk as a column. Whoever is lost sight of before the day that is asked about is
answered for by those followed longer (inverse probability of censoring weights [1]_). As everywhere here a spell
that is censored on day ``d`` is known to go on past ``d``: on one day events come before censoring.

References
----------
.. [1] Graf, Schmoor, Sauerbrei and Schumacher (1999), Statistics in Medicine 18:2529; Gerds and Schumacher (2006),
   Biometrical Journal 48:1029.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.integrate import trapezoid

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, Scale, jackknife
from lcm_research.survival.risk_sets import check_spells

__all__ = [
    "BrierScore",
    "KnownOutcomes",
    "auc_at",
    "auc_gain",
    "brier_at",
    "brier_score",
    "check_predicted",
    "compressed",
    "estimate_of",
    "followed_through",
    "known_by",
    "time_dependent_auc",
    "without_each_group",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownOutcomes:
    """
    Who had lapsed by a day and who went on past it, by predicted risk.

    Attributes
    ----------
    risk : array of shape (n_risks,)
        The distinct predictions, rising.
    n : array of shape (n_risks,)
        Spells with each prediction, those lost sight of too.
    lapsed, stayed : arrays of shape (n_risks,)
        Spells that lapsed by the day and that went on past it, weighted for those lost sight of before. Together
        they add up to all spells, and ``lapsed`` to one minus the Kaplan-Meier curve times all spells.
    """

    risk: np.ndarray
    n: np.ndarray
    lapsed: np.ndarray
    stayed: np.ndarray

    @property
    def base_rate(self) -> float:
        """Share that lapsed by the day, by Kaplan and Meier."""
        return float(self.lapsed.sum() / self.n.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class BrierScore:
    """
    Mean squared distance between predicted risk and outcome, day by day, beside that of the base rate.

    Attributes
    ----------
    days : array of shape (n_days,)
    score, null, index : tuples of Estimate, length n_days
        The score of the prediction; of the Kaplan-Meier curve of the same spells, which knows no differences
        between them; and one minus their ratio, the index of prediction accuracy (0: no better than the base rate).
    integrated, integrated_null, integrated_index : Estimate
        The same, averaged over the days from the first to the last (trapezoids); of one day that day's.
    """

    days: np.ndarray
    score: tuple[Estimate, ...]
    null: tuple[Estimate, ...]
    index: tuple[Estimate, ...]
    integrated: Estimate
    integrated_null: Estimate
    integrated_index: Estimate

    def table(self) -> pd.DataFrame:
        """Return one row a day: Brier score, that of the base rate, index of prediction accuracy."""
        return pd.DataFrame(
            {
                "horizon_days": self.days,
                "brier_score": list(self.score),
                "null_brier_score": list(self.null),
                "index_of_prediction_accuracy": list(self.index),
            }
        )


def brier_score(counts: pd.DataFrame, *, risk: Mapping[int, str], level: float = 0.95) -> BrierScore:
    """
    Judge predicted risks by their squared distance from what happened [1]_ [2]_.

    Parameters
    ----------
    counts : DataFrame
    risk : mapping of day to column
        The predicted probability of lapsing by each day.
    level : float
        Jackknife by groups of customers; the prediction is held fixed.

    Raises
    ------
    ModelError
        For a day beyond the follow-up, predictions outside 0 to 1, or lapses in fewer than 20 groups of customers.

    References
    ----------
    .. [1] Graf, Schmoor, Sauerbrei and Schumacher (1999), Statistics in Medicine 18:2529.
    .. [2] Kattan and Gerds (2018), Diagnostic and Prognostic Research 2:7 (the index).
    """
    days = np.array(sorted(risk))
    counts = compressed(counts, list(risk.values()))

    def scores(rows: pd.DataFrame) -> np.ndarray:
        known = [known_by(rows, prediction=risk[day], day=day) for day in days]
        pairs = np.array([[brier_at(k), k.base_rate * (1 - k.base_rate)] for k in known])
        both = np.vstack([pairs, _averaged(days, pairs)])
        return np.column_stack([both, 1 - both[:, 0] / both[:, 1]])

    value, without = without_each_group(counts, scores)
    n = int(counts["n"].sum())

    def told(column: int, unit: str, scale: Scale) -> list[Estimate]:
        parts = zip(value[:, column], without[:, :, column].T, strict=True)
        return [estimate_of(v, w, unit=unit, scale=scale, n=n, level=level) for v, w in parts]

    score, null = (told(column, "brier_score", "log") for column in (0, 1))
    index = told(2, "share", "identity")
    return BrierScore(
        days=days,
        score=tuple(score[:-1]),
        null=tuple(null[:-1]),
        index=tuple(index[:-1]),
        integrated=score[-1],
        integrated_null=null[-1],
        integrated_index=index[-1],
    )


def brier_at(known: KnownOutcomes) -> float:
    """Mean squared distance between the predicted risk and the outcome on one day."""
    squares = known.lapsed * (1 - known.risk) ** 2 + known.stayed * known.risk**2
    return float(squares.sum() / known.n.sum())


def time_dependent_auc(counts: pd.DataFrame, *, risk: Mapping[int, str], level: float = 0.95) -> list[Estimate]:
    """
    Chance that one who lapsed by a day was given a higher risk than one who went on past it [1]_.

    Cumulative cases, dynamic controls; half a point where the two risks are equal.

    Parameters
    ----------
    risk : mapping of day to column
        What to judge for each day; any score that rises with the risk will do.

    Returns
    -------
    list of Estimate
        One a day, rising; intervals on the logit scale.

    References
    ----------
    .. [1] Uno, Cai, Tian and Wei (2007), JASA 102:527; Hung and Chiang (2010), Canadian Journal of Statistics 38:8.
    """
    counts, days = compressed(counts, list(risk.values())), sorted(risk)

    def areas(rows: pd.DataFrame) -> np.ndarray:
        return np.array([auc_at(known_by(rows, prediction=risk[day], day=day)) for day in days])

    value, without = without_each_group(counts, areas)
    n = int(counts["n"].sum())
    parts = zip(value, without.T, strict=True)
    return [estimate_of(v, w, unit="probability", scale="logit", n=n, level=level) for v, w in parts]


def auc_gain(counts: pd.DataFrame, *, prediction: str, rival: str, horizon_days: int, level: float = 0.95) -> Estimate:
    """AUC of a prediction less that of a rival for the same spells; the interval knows that they share them."""
    counts = compressed(counts, [prediction, rival])

    def gain(rows: pd.DataFrame) -> float:
        own, other = (auc_at(known_by(rows, prediction=p, day=horizon_days)) for p in (prediction, rival))
        return own - other

    value, without = without_each_group(counts, gain)
    n = int(counts["n"].sum())
    return estimate_of(float(value), without, unit="share", scale="identity", n=n, level=level)


def auc_at(known: KnownOutcomes) -> float:
    """Area under the curve of one day: see ``time_dependent_auc``."""
    lapsed, stayed = known.lapsed.sum(), known.stayed.sum()
    if min(lapsed, stayed) <= 0:
        raise ModelError("an AUC needs spells that lapsed by the day and spells that went on; one kind is missing")
    below = known.stayed.cumsum() - known.stayed / 2
    return float((known.lapsed * below).sum() / (lapsed * stayed))


def known_by(counts: pd.DataFrame, *, prediction: str, day: int) -> KnownOutcomes:
    """
    Sort spells by their predicted risk into those that lapsed by ``day`` and those that went on past it.

    Raises
    ------
    ModelError
        Where nobody is followed through ``day``, so that no weight can answer for those lost sight of.
    """
    duration, event = counts["duration_days"].to_numpy(), counts["event_observed"].to_numpy(bool)
    n = counts["n"].to_numpy(float)
    through = followed_through(counts)
    if through(np.array([day]))[0] <= 0:
        raise ModelError(
            f"day {day} is outside the follow-up of {duration.max():g} days; choose a day in [1, {duration.max():g}]"
        )
    lapsed = event & (duration <= day)
    stayed = (duration > day) | ((duration == day) & ~event)
    # one who lapsed had to be followed through that day only, one who went on through the day asked about
    weight = n / np.where(lapsed | stayed, through(np.minimum(duration, day)), 1.0)
    risk, place = np.unique(counts[prediction].to_numpy(float), return_inverse=True)
    total, gone, there = (np.bincount(place, mass, len(risk)) for mass in (n, weight * lapsed, weight * stayed))
    return KnownOutcomes(risk=risk, n=total, lapsed=gone, stayed=there)


def followed_through(counts: pd.DataFrame) -> Callable[[np.ndarray], np.ndarray]:
    """
    Chance of being followed through a day, by Kaplan and Meier with the roles of event and censoring changed.

    A spell that is censored on day ``d`` was followed through it; one that lapsed on ``d`` could not be censored.

    Returns
    -------
    function
        From days to probabilities, stepping down right after a day with censoring.
    """
    duration, event = counts["duration_days"].to_numpy(), counts["event_observed"].to_numpy(bool)
    n = counts["n"].to_numpy(float)
    times, place = np.unique(duration, return_inverse=True)
    ended = np.bincount(place, n)
    lost = np.bincount(place, n * ~event)
    could_be_lost = ended[::-1].cumsum()[::-1] - (ended - lost)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(lost > 0, 1 - lost / could_be_lost, 1.0)
    curve = np.concatenate([[1.0], share.cumprod()])
    return lambda days: curve[np.searchsorted(times, days, side="left")]


def compressed(counts: pd.DataFrame, columns: Sequence[str], *, sums: Sequence[str] = ("n",)) -> pd.DataFrame:
    """Check counts and add up the cells that no column in ``columns``, duration, event or group tells apart."""
    keys = [*dict.fromkeys(columns), "duration_days", "event_observed"]
    check_spells(counts, [*keys, *sums], "judging a prediction")
    if "entry_days" in counts and (counts["entry_days"] > 0).any():
        raise ModelError("predictions are judged from the day they were made on; came spells with late entry")
    for column in columns:
        check_predicted(counts[column], column)
    keys = [*keys, "replicate"] if "replicate" in counts else keys
    return counts[counts["n"] > 0].groupby(keys, as_index=False)[list(sums)].sum()


def check_predicted(values: pd.Series, name: str) -> None:
    """Refuse predictions that are no probabilities."""
    outside = ~values.between(0, 1)
    if outside.any():
        raise ModelError(
            f"column '{name}' should hold predicted risks from 0 to 1; came {values[outside].iloc[0]:.4g} in "
            f"{int(outside.sum())} of {len(values)} rows; predict probabilities, not scores"
        )


def without_each_group(
    counts: pd.DataFrame, statistic: Callable[[pd.DataFrame], np.ndarray | float]
) -> tuple[np.ndarray, np.ndarray]:
    """
    Compute a statistic of counts, and again without each of the 100 groups of customers.

    Returns
    -------
    value : array
    without : array of shape (100, *value.shape)

    Raises
    ------
    ModelError
        Without the column ``replicate``, or with lapses in fewer than 20 groups: no interval would hold.
    """
    if "replicate" not in counts:
        raise ModelError("intervals by groups of customers need the column 'replicate' in the counts")
    groups = counts["replicate"].to_numpy(np.int64)
    happened = counts["event_observed"].to_numpy(bool)
    n_groups = min(len(np.unique(groups[happened])), len(np.unique(groups[~happened])))
    if n_groups < FEW_GROUPS:
        raise ModelError(
            f"lapses, or spells that go on, in {n_groups} groups of customers, fewer than {FEW_GROUPS}: too few to "
            "judge a prediction by; wait for more customers"
        )
    value = np.asarray(statistic(counts), float)
    filled = set(groups)
    without = [np.asarray(statistic(counts[groups != g]), float) if g in filled else value for g in range(N_GROUPS)]
    return value, np.stack(without)


def estimate_of(value: float, without: np.ndarray, *, unit: str, scale: Scale, n: int, level: float) -> Estimate:
    """
    Put the jackknife's interval around one value.

    Where the value, or one without a group, lies on the edge of ``scale`` (a list that holds nobody but lapsed
    customers), the interval is symmetric instead and cut off at the edge.
    """
    every, edges = np.append(without, value), {"log": (0.0, np.inf), "logit": (0.0, 1.0)}
    low, high = edges.get(scale, (-np.inf, np.inf))
    for edge in (low, high):  # what a sum's last bits left short of the edge is on it
        every = np.where(np.abs(every - edge) < 1e-12, edge, every)
    without, value = every[:-1], float(every[-1])
    if ((every > low) & (every < high)).all():
        return jackknife(value, without, unit=unit, n=n, scale=scale, level=level)
    made = jackknife(value, without, unit=unit, n=n, scale="identity", level=level)
    return replace(made, lower=max(made.lower, low), upper=min(made.upper, high))


def _averaged(days: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return pairs[0] if len(days) == 1 else trapezoid(pairs, days, axis=0) / (days[-1] - days[0])
