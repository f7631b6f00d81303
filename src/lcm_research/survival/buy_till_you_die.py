"""
Who is still a customer where nobody says goodbye: buying at a rate of one's own until leaving unseen.

While alive, a customer buys at a constant rate; after a purchase they may leave for good, with a chance of their
own. Rates are spread over customers by a gamma distribution, chances by a beta. Set beside a fixed window of
silence it reads each silence by how often that customer used to buy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy import special

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate
from lcm_research.survival.derived import derived
from lcm_research.survival.likelihood_fit import FitIntervals
from lcm_research.survival.newton import Evaluation, climb, moves
from lcm_research.survival.ratios import spread_of_moves
from lcm_research.survival.risk_sets import numpy_typed

__all__ = [
    "BuyTillYouDieFit",
    "Dropout",
    "buy_till_you_die",
    "expected_purchases",
    "mean_alive",
    "probability_alive",
]

Dropout = Literal["after_repeat", "after_any"]

FEWEST_REPEATERS = 40
"""Customers who bought again below which four parameters are refused."""

CELL = ["frequency", "recency_days", "observation_days"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BuyTillYouDieFit:
    """
    A fitted model of buying until leaving unseen.

    Attributes
    ----------
    dropout : {"after_repeat", "after_any"}
    time_unit_days : float
        Days in a unit of time: 7 where ``alpha`` is in weeks.
    log_parameters, standard_error : arrays of shape (4,)
        Logs of ``r`` and ``alpha`` (shape and rate of the gamma distribution of buying rates, so that ``r /
        alpha`` purchases a unit of time are expected of a customer), ``a`` and ``b`` (of the beta distribution
        of the chance to leave after a purchase).
    covariance : array of shape (4, 4)
        Of the log parameters: inverse of the observed information.
    log_likelihood, aic : float
    n, n_repeaters : int
        Customers, and those who bought again.
    moved : array of shape (100, 4), optional
        By how much each group of customers moves the log parameters; with ``intervals="replicate"`` only.
    """

    dropout: Dropout
    time_unit_days: float
    log_parameters: np.ndarray
    standard_error: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    aic: float
    n: int
    n_repeaters: int
    intervals: FitIntervals
    level: float
    moved: np.ndarray | None = field(default=None, repr=False)

    @property
    def r(self) -> float:
        """Shape of the buying rates."""
        return float(np.exp(self.log_parameters[0]))

    @property
    def alpha(self) -> float:
        """Rate of the buying rates, in units of time."""
        return float(np.exp(self.log_parameters[1]))

    @property
    def a(self) -> float:
        """First number of the beta distribution of the chance to leave."""
        return float(np.exp(self.log_parameters[2]))

    @property
    def b(self) -> float:
        """Second number of the beta distribution of the chance to leave."""
        return float(np.exp(self.log_parameters[3]))

    def table(self) -> pd.DataFrame:
        """Return one row a parameter: ``parameter``, ``value``, and the standard error of its log."""
        return pd.DataFrame(
            {
                "parameter": ["r", "alpha", "a", "b"],
                "value": np.exp(self.log_parameters),
                "standard_error_log": self.standard_error,
            }
        )


def buy_till_you_die(
    counts: pd.DataFrame, *, dropout: Dropout, time_unit_days: float, intervals: FitIntervals, level: float = 0.95
) -> BuyTillYouDieFit:
    """
    Fit buying rates and chances to leave to counts of frequency, recency and observation time.

    Parameters
    ----------
    counts : DataFrame
        Of ``frequency_recency_counts``: ``frequency`` (purchase periods after the first), ``recency_days`` (from
        the first to the last of them), ``observation_days`` (from the first to the end), ``n``, ``replicate``.
    dropout : {"after_repeat", "after_any"}
        ``after_repeat``: customers may leave after a purchase that is not their first, so that who bought once is
        alive for certain, however long ago (BG/NBD [1]_). ``after_any``: after the first too (MBG/NBD [2]_).
    time_unit_days : float
        Days in a unit of time of ``alpha``; it moves nothing else.
    intervals : {"replicate", "information"}
        ``replicate``: one-step delete-a-group jackknife, t with 99 degrees of freedom. ``information``: the
        model's own.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        Without customers; with a recency outside the observation time or not 0 for who bought once; with fewer
        than 40 customers who bought again; where a parameter runs off (customers are alike in it); with
        ``replicate`` and no such column, or customers who bought again in fewer than 20 groups.

    References
    ----------
    .. [1] Fader, Hardie and Lee (2005), Marketing Science 24:275.
    .. [2] Batislam, Denizel and Filiztekin (2007), International Journal of Research in Marketing 24:201.
    """
    if dropout not in get_args(Dropout):
        raise ModelError(f"dropout must be 'after_repeat' or 'after_any'; came '{dropout}'")
    counts = _checked(counts, intervals)
    cell = counts.groupby(CELL).ngroup().to_numpy()
    cells = counts.groupby(CELL)["n"].sum().reset_index()
    frequency, recency, observed = _numbers(cells, time_unit_days)
    n = cells["n"].to_numpy(float)
    start = np.log([0.5, 0.5 * (n @ observed) / (n @ frequency), 1.0, 3.0])
    at, here = climb(
        lambda at: _likelihood(at, frequency, recency, observed, n, dropout),
        start,
        what="r, alpha, a and b",
        check=_check_bounded,
    )
    covariance = np.linalg.inv(here.information)
    moved = moves(counts, cell, here) if intervals == "replicate" else None
    return BuyTillYouDieFit(
        dropout=dropout,
        time_unit_days=time_unit_days,
        log_parameters=at,
        standard_error=np.sqrt(np.diag(covariance)) if moved is None else spread_of_moves(moved),
        covariance=covariance,
        log_likelihood=here.value,
        aic=8 - 2 * here.value,
        n=round(n.sum()),
        n_repeaters=round(n[frequency > 0].sum()),
        intervals=intervals,
        level=level,
        moved=moved,
    )


def probability_alive(fit: BuyTillYouDieFit, customers: pd.DataFrame) -> np.ndarray:
    """
    Chance that customers have not left by the end of their observation.

    Parameters
    ----------
    customers : DataFrame
        ``frequency``, ``recency_days``, ``observation_days``; one row a customer or a cell of counts.

    Returns
    -------
    array of shape (n_rows,)
        With ``dropout="after_repeat"`` 1 for who bought once: an assumption, no finding.
    """
    return _alive(fit.log_parameters, *_numbers(customers, fit.time_unit_days), fit.dropout)


def expected_purchases(fit: BuyTillYouDieFit, customers: pd.DataFrame, *, days: float) -> np.ndarray:
    """
    Purchases expected of customers in the ``days`` after their observation, given what they bought in it.

    With frequency, recency and observation of 0, those of a new customer after the first purchase. In Euler's
    form of the hypergeometric function, which does not overflow for who buys often.
    """
    if days < 0:
        raise ModelError(f"days ahead must not be negative; came {days:g}")
    frequency, recency, observed = _numbers(customers, fit.time_unit_days)
    ahead = days / fit.time_unit_days
    # the formula divides by a - 1: its limit at a = 1 is the mean from both sides
    sides = (fit.a,) if abs(fit.a - 1) > 1e-5 else (fit.a - 1e-5, fit.a + 1e-5)
    first = fit.dropout == "after_any"
    made = np.zeros(len(frequency))
    for a in sides:
        survived = fit.b + frequency + first
        share = ahead / (fit.alpha + observed + ahead)
        rest = special.hyp2f1(a + fit.b + first - 1 - fit.r, a - 1, a + survived - 1, share)
        made += (a + survived - 1) / (a - 1) * (1 - (1 - share) ** (a - 1) * rest) / len(sides)
    return made * _alive(fit.log_parameters, frequency, recency, observed, fit.dropout)


def mean_alive(fit: BuyTillYouDieFit, counts: pd.DataFrame, *, silent_days: int) -> Estimate:
    """
    Mean chance to be alive of customers whose silence is longer than ``silent_days``: declared lapsed by a window.

    Parameters
    ----------
    counts : DataFrame
        Those that were fitted.
    silent_days : int
        The window: customers with ``observation_days - recency_days`` above it.

    Returns
    -------
    Estimate
        A probability; ``n`` are the customers declared lapsed. With ``intervals="replicate"`` each group is left
        out of the fit and of the mean.

    Raises
    ------
    ModelError
        Where nobody is silent for so long; where all bought once and the model assumes them alive.
    """
    silent = counts[(counts["observation_days"] - counts["recency_days"] > silent_days) & (counts["n"] > 0)]
    if not len(silent):
        raise ModelError(f"no customer is silent for more than {silent_days} days; ask for a shorter window")
    if fit.dropout == "after_repeat" and (silent["frequency"] == 0).all():
        raise ModelError("all who are silent bought once, whom dropout='after_repeat' assumes alive; use 'after_any'")
    numbers, n = _numbers(silent, fit.time_unit_days), silent["n"].to_numpy(float)
    groups = silent["replicate"].to_numpy(np.int64) if fit.moved is not None else np.zeros(len(n), np.int64)
    sizes = np.bincount(groups, n, N_GROUPS)

    def mean(at: np.ndarray) -> float:
        return float(n @ _alive(at, *numbers, fit.dropout) / n.sum())

    def mean_without(at: np.ndarray, group: int) -> float:
        alive = _alive(at, *numbers, fit.dropout) * n
        return float((alive.sum() - alive[groups == group].sum()) / (n.sum() - sizes[group]))

    total = round(n.sum())
    return derived(fit, mean, unit="probability", scale="logit", n=total, without_group=mean_without)


def _numbers(table: pd.DataFrame, unit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frequency, recency, observed = (table[name].to_numpy(float) for name in CELL)
    return frequency, recency / unit, observed / unit


def _alive(
    at: np.ndarray, frequency: np.ndarray, recency: np.ndarray, observed: np.ndarray, dropout: Dropout
) -> np.ndarray:
    return special.expit(-_odds_of_leaving(at, frequency, recency, observed, dropout))


def _odds_of_leaving(
    at: np.ndarray, frequency: np.ndarray, recency: np.ndarray, observed: np.ndarray, dropout: Dropout
) -> np.ndarray:
    """Log odds that the last purchase was the last of all: left then, against alive and silent since."""
    r, alpha, a, b = np.exp(at)
    survived = b + frequency + (dropout == "after_any")
    may_leave = survived > b
    silence = (r + frequency) * np.log((alpha + observed) / (alpha + recency))
    return np.where(may_leave, np.log(a / np.where(may_leave, survived - 1, 1.0)) + silence, -np.inf)


def _likelihood(
    at: np.ndarray, frequency: np.ndarray, recency: np.ndarray, observed: np.ndarray, n: np.ndarray, dropout: Dropout
) -> Evaluation:
    """By the logs of r, alpha, a, b: buying, times alive and silent or left at the last purchase."""
    parameters = r, alpha, a, b = np.exp(at)
    survived = b + frequency + (dropout == "after_any")
    may_leave = survived > b
    bought = r + frequency
    odds = _odds_of_leaving(at, frequency, recency, observed, dropout)
    left = special.expit(odds)
    value = special.gammaln(bought) - special.gammaln(r) + r * np.log(alpha) - bought * np.log(alpha + observed)
    value += special.betaln(a, survived) - special.betaln(a, b) + np.logaddexp(0, odds)

    zero, inverse = np.zeros_like(frequency), np.where(may_leave, 1 / np.where(may_leave, survived - 1, 1.0), 0.0)
    # slopes of the log chance of being alive and silent, and of having left, by r, alpha, a, b
    alive_slope = np.stack([-np.log(alpha + observed), -bought / (alpha + observed), zero, zero])
    left_slope = np.stack([-np.log(alpha + recency), -bought / (alpha + recency), zero + 1 / a, -inverse])
    apart = left_slope - alive_slope
    psi = special.psi
    scores = alive_slope + left * apart
    scores[0] += psi(bought) - psi(r) + np.log(alpha)
    scores[1] += r / alpha
    scores[2] += psi(a + b) - psi(a + survived)
    scores[3] += psi(a + b) - psi(a + survived) + psi(survived) - psi(b)

    curvature = (apart * (n * left * (1 - left))) @ apart.T
    trigamma = partial(special.polygamma, 1)
    both = n @ (trigamma(a + b) - trigamma(a + survived))
    closer = [(1 - left) / (alpha + observed) ** k + left / (alpha + recency) ** k for k in (1, 2)]
    curvature[0, 0] += n @ (trigamma(bought) - trigamma(r))
    curvature[[0, 1], [1, 0]] += n @ (1 / alpha - closer[0])
    curvature[1, 1] += n @ (bought * closer[1] - r / alpha**2)
    curvature[2, 2] += both - n @ left / a**2
    curvature[[2, 3], [3, 2]] += both
    curvature[3, 3] += both + n @ (trigamma(survived) - trigamma(b) + left * inverse**2)
    scores *= parameters[:, None]
    score = scores @ n
    information = -(curvature * np.outer(parameters, parameters) + np.diag(score))
    return Evaluation(value=float(n @ value), scores=scores.T, score=score, information=information)


def _check_bounded(at: np.ndarray) -> None:
    if np.abs(at).max() < 12:
        return
    name = ("r", "alpha", "a", "b")[int(np.abs(at).argmax())]
    raise ModelError(
        f"the parameter {name} runs off (to {np.exp(at[np.abs(at).argmax()]):.3g}): customers are alike in their "
        "buying rate or in their chance to leave, or leave too rarely to tell; watch them for longer"
    )


def _checked(counts: pd.DataFrame, intervals: FitIntervals) -> pd.DataFrame:
    columns = [*CELL, "n", *(["replicate"] if intervals == "replicate" else [])]
    missing = [c for c in columns if c not in counts]
    if missing:
        raise ModelError(f"a model of purchase histories needs {', '.join(columns)}; missing {missing}")
    for name in columns:
        if counts[name].isna().any():
            raise ModelError(f"{int(counts[name].isna().sum())} rows have no value in '{name}'; drop or mend them")
    counts = numpy_typed(counts)
    counts = counts[counts["n"] > 0]
    if not len(counts):
        raise ModelError("a model of purchase histories needs at least one customer; came none")
    n, frequency, recency, observed = (counts[c].to_numpy(float) for c in ["n", *CELL])
    wrong = (recency < 0) | (recency > observed) | ((frequency == 0) & (recency > 0)) | (frequency < 0)
    if wrong.any():
        raise ModelError(
            f"{n[wrong].sum():.0f} customers have a recency outside their observation, or above 0 with one purchase; "
            "recency_days runs from the first to the last purchase"
        )
    repeaters = int(n[frequency > 0].sum())
    if repeaters < FEWEST_REPEATERS:
        raise ModelError(
            f"{repeaters} of {n.sum():.0f} customers bought again, fewer than {FEWEST_REPEATERS} for four parameters; "
            "watch them for longer"
        )
    n_groups = counts.loc[counts["frequency"] > 0, "replicate"].nunique() if intervals == "replicate" else FEW_GROUPS
    if n_groups < FEW_GROUPS:
        raise ModelError(
            f"customers who bought again in {n_groups} groups, fewer than {FEW_GROUPS}; choose intervals='information'"
        )
    return counts
