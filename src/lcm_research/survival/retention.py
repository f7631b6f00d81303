"""
Contractual retention by period: the shifted-beta-geometric model.

Each customer leaves at the end of a period with a chance of their own that never changes; those chances are
spread over customers by a beta distribution. Retention then rises with tenure because the likely leavers leave
first, not because anybody changes. Two numbers describe the whole curve, also the periods not yet seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.survival.derived import derived
from lcm_research.survival.likelihood_fit import FitIntervals, check_events
from lcm_research.survival.newton import Evaluation, climb, moves
from lcm_research.survival.ratios import spread_of_moves
from lcm_research.survival.risk_sets import numpy_typed

__all__ = [
    "ShiftedBetaGeometricFit",
    "predicted_retained",
    "predicted_retention_curve",
    "residual_lifetime",
    "retention_rate",
    "shifted_beta_geometric",
]

COLUMNS = ("duration_periods", "event_observed", "n")


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftedBetaGeometricFit:
    """
    A fitted shifted-beta-geometric model.

    Attributes
    ----------
    alpha, beta : float
        Of the beta distribution of the chance to leave; ``alpha / (alpha + beta)`` of the customers leave in
        their first period. Large values: customers are alike.
    log_parameters, standard_error : arrays of shape (2,)
        Log alpha and log beta; standard errors as ``intervals`` asked.
    covariance : array of shape (2, 2)
        Of the log parameters: inverse of the observed information.
    log_likelihood, aic : float
    n, n_events : int
        Customers, and those who left.
    follow_up_periods : int
        Last period in which anybody was followed; beyond it the model speaks alone.
    moved : array of shape (100, 2), optional
        By how much each group of customers moves the log parameters; with ``intervals="replicate"`` only.
    """

    alpha: float
    beta: float
    log_parameters: np.ndarray
    standard_error: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    aic: float
    n: int
    n_events: int
    follow_up_periods: int
    intervals: FitIntervals
    level: float
    moved: np.ndarray | None = field(default=None, repr=False)


def shifted_beta_geometric(
    counts: pd.DataFrame, *, intervals: FitIntervals, level: float = 0.95
) -> ShiftedBetaGeometricFit:
    r"""
    Fit retention by period to customers with a contract [1]_.

    :math:`P(T = t) = B(\alpha + 1, \beta + t - 1) / B(\alpha, \beta)` and
    :math:`S(t) = B(\alpha, \beta + t) / B(\alpha, \beta)`.

    Parameters
    ----------
    counts : DataFrame
        ``duration_periods`` (whole, from 1: the period that was the customer's last, or the last one that is over
        for a customer who is still there), ``event_observed`` (left), ``n`` customers, and ``replicate`` where
        ``intervals`` asks for it.
    intervals : {"replicate", "information"}
        ``replicate``: one-step delete-a-group jackknife, t with 99 degrees of freedom. ``information``: the
        model's own.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        Without customers; with durations that are no whole periods from 1; with fewer than 10 who left; with
        retention that does not rise with tenure (customers are alike: one rate says it all); with ``replicate``
        and leavers in fewer than 20 groups.

    References
    ----------
    .. [1] Fader and Hardie (2007), Journal of Interactive Marketing 21:76.

    Examples
    --------
    Of 100 customers 50 leave in the first period, of the 50 left only 10 in the second:

    >>> counts = pd.DataFrame({"duration_periods": [1, 2, 2], "event_observed": [True, True, False], "n": [50, 10, 40]})
    >>> fit = shifted_beta_geometric(counts, intervals="information")
    >>> [round(retention_rate(fit, period).value, 6) for period in (1, 2)]
    [0.5, 0.8]
    """
    counts = _checked(counts, intervals)
    keys = ["duration_periods", "event_observed"]
    cell = counts.groupby(keys).ngroup().to_numpy()
    cells = counts.groupby(keys)["n"].sum().reset_index()
    period, left = cells["duration_periods"].to_numpy(float), cells["event_observed"].to_numpy(bool)
    n = cells["n"].to_numpy(float)
    rate = float(n @ left / (n @ period))

    def check(at: np.ndarray) -> None:
        if np.exp(at).max() > 1e5:
            raise ModelError(
                f"alpha and beta run off (to {np.exp(at[0]):.3g} and {np.exp(at[1]):.3g}): retention does not rise "
                f"with tenure, so customers are alike; one rate of leaving, {rate:.3g} a period, says it all"
            )

    start = np.log([1.0, max(1 / rate - 1, 0.1)])
    at, here = climb(lambda at: _likelihood(at, period, left, n), start, what="alpha and beta", check=check)
    covariance = np.linalg.inv(here.information)
    moved = moves(counts, cell, here) if intervals == "replicate" else None
    return ShiftedBetaGeometricFit(
        alpha=float(np.exp(at[0])),
        beta=float(np.exp(at[1])),
        log_parameters=at,
        standard_error=np.sqrt(np.diag(covariance)) if moved is None else spread_of_moves(moved),
        covariance=covariance,
        log_likelihood=here.value,
        aic=4 - 2 * here.value,
        n=round(n.sum()),
        n_events=round(float(n @ left)),
        follow_up_periods=int(period[n > 0].max()),
        intervals=intervals,
        level=level,
        moved=moved,
    )


def predicted_retained(fit: ShiftedBetaGeometricFit, period: int) -> Estimate:
    """
    Share of new customers who are still there after ``period`` periods.

    The interval is of the share that the model expects; the customers of a year that is unlike the others lie
    outside it. Beyond ``fit.follow_up_periods`` the share is the model's assumption.
    """
    if period < 0 or period != int(period):
        raise ModelError(f"a period is a whole number from 0 on; came {period:g}")
    if period == 0:
        return Estimate(value=1.0, lower=1.0, upper=1.0, unit="probability", n=fit.n, level=fit.level)
    return derived(
        fit, lambda at: float(np.exp(_log_survival(np.exp(at), float(period)))), unit="probability", scale="loglog"
    )


def retention_rate(fit: ShiftedBetaGeometricFit, period: int) -> Estimate:
    """Of the customers who are there when ``period`` (from 1) begins, the share that stays beyond it."""
    if period < 1 or period != int(period):
        raise ModelError(f"a period of which customers are retained is a whole number from 1 on; came {period:g}")

    def rate(at: np.ndarray) -> float:
        alpha, beta = np.exp(at)
        return float((beta + period - 1) / (alpha + beta + period - 1))

    return derived(fit, rate, unit="probability", scale="logit")


def residual_lifetime(fit: ShiftedBetaGeometricFit, *, period: int, discount: float) -> Estimate:
    """
    Renewals still to come of a customer in ``period`` who is about to decide, discounted [1]_.

    ``DERL``: the sum over ``k = 0, 1, ...`` of the chance to make that renewal and all before it, times
    ``(1 + discount)**-k``.

    Parameters
    ----------
    period : int
        The period that ends now, from 1; ``period - 1`` renewals were made.
    discount : float
        Rate by period, positive: without it the sum is infinite where ``alpha`` is at most 1.

    References
    ----------
    .. [1] Fader and Hardie (2010), Marketing Science 29:85.
    """
    if discount <= 0:
        raise ModelError(f"a discount rate by period must be positive; came {discount:g}")
    if period < 1 or period != int(period):
        raise ModelError(f"a period is a whole number from 1 on; came {period:g}")

    def expected(at: np.ndarray) -> float:
        alpha, beta = np.exp(at)
        first = (beta + period - 1) / (alpha + beta + period - 1)
        return float(first * special.hyp2f1(1, beta + period, alpha + beta + period, 1 / (1 + discount)))

    return derived(fit, expected, unit="periods", scale="log")


def predicted_retention_curve(fit: ShiftedBetaGeometricFit, periods: Sequence[int]) -> pd.DataFrame:
    """
    Share still there after each of ``periods``, and the share retained in it.

    Returns
    -------
    DataFrame
        ``period``, ``survival``, ``lower``, ``upper``, ``retention_rate``, ``beyond_follow_up``.
    """
    shares = [predicted_retained(fit, period) for period in periods]
    rates = [retention_rate(fit, period).value if period else np.nan for period in periods]
    return pd.DataFrame(
        {
            "period": list(periods),
            "survival": [share.value for share in shares],
            "lower": [share.lower for share in shares],
            "upper": [share.upper for share in shares],
            "retention_rate": rates,
            "beyond_follow_up": [period > fit.follow_up_periods for period in periods],
        }
    )


def _log_survival(parameters: np.ndarray, period: np.ndarray | float) -> np.ndarray:
    alpha, beta = parameters
    return special.betaln(alpha, beta + period) - special.betaln(alpha, beta)


def _likelihood(at: np.ndarray, period: np.ndarray, left: np.ndarray, n: np.ndarray) -> Evaluation:
    """By log alpha and log beta: ``log B(alpha + left, beta + t - left) - log B(alpha, beta)`` a customer."""
    alpha, beta = np.exp(at)
    a, b = alpha + left, beta + period - left
    value = special.betaln(a, b) - special.betaln(alpha, beta)
    first = special.psi(np.stack([a, b, a + b])) - special.psi([[alpha], [beta], [alpha + beta]])
    scores = np.column_stack([alpha * (first[0] - first[2]), beta * (first[1] - first[2])])
    second = special.polygamma(1, np.stack([a, b, a + b])) - special.polygamma(1, [[alpha], [beta], [alpha + beta]])
    by_own, by_other, both = second @ n
    score = n @ scores
    across = -alpha * beta * both
    curvature = np.array([[alpha**2 * (by_own - both), across], [across, beta**2 * (by_other - both)]]) + np.diag(score)
    return Evaluation(value=float(n @ value), scores=scores, score=score, information=-curvature)


def _checked(counts: pd.DataFrame, intervals: FitIntervals) -> pd.DataFrame:
    missing = [c for c in COLUMNS if c not in counts]
    if missing:
        raise ModelError(f"retention by period needs {', '.join(COLUMNS)}; missing {missing}")
    for name in COLUMNS:
        if counts[name].isna().any():
            raise ModelError(f"{int(counts[name].isna().sum())} rows have no value in '{name}'; drop or mend them")
    counts = numpy_typed(counts)
    counts = counts[counts["n"] > 0]
    if not len(counts):
        raise ModelError("retention by period needs at least one customer; came none")
    periods = counts["duration_periods"].to_numpy(float)
    wrong = int(counts["n"].to_numpy()[~((periods >= 1) & (periods == np.floor(periods)))].sum())
    if wrong:
        raise ModelError(
            f"{wrong} customers have duration_periods that is no whole number from 1 on; count whole periods"
        )
    check_events(counts, 2, intervals, stacklevel=4)
    return counts
