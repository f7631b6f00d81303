"""
Accelerated failure time models: a covariate stretches or shortens the time until the lapse by a factor.

``log T = intercept + x b + scale * error``, with the error's distribution named. A curve of few numbers, which
also speaks about days beyond the follow-up: there it is an assumption, and every prediction says so.

Where purchases date activity, many spells end on day 1 at once and no smooth distribution holds: give day 1 to
``first_day_logit`` and the spells that go on to this model, with ``entry_days=1`` (they were seen past day 1);
predictions for them then take ``given_day=1``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, jackknife
from lcm_research.survival.covariates import Design
from lcm_research.survival.duration_fit import check_durations, curve_table, largest, mean_start, share_past
from lcm_research.survival.duration_likelihood import (
    STANDARD,
    Distribution,
    DurationCells,
    Standard,
    duration_cells,
    log_survival,
    log_survivals,
    maximise,
    standard_quantile,
)
from lcm_research.survival.likelihood_fit import FitIntervals, columns_of, pattern_row
from lcm_research.survival.ratios import ratio_estimates, ratio_table
from lcm_research.survival.risk_sets import SPELL, check_spells

__all__ = [
    "AcceleratedFailureTimeFit",
    "Distribution",
    "accelerated_failure_time",
    "fit_columns",
    "predicted_curve",
    "predicted_median",
    "predicted_quantile",
    "predicted_survival_at",
]

INTERCEPT, LOG_SCALE, SHAPE = "(Intercept)", "Log(scale)", "Q"


@dataclass(frozen=True, kw_only=True, eq=False)
class AcceleratedFailureTimeFit:
    """
    A fitted accelerated failure time model, in the parametrisation of R's ``survreg`` (``flexsurv`` for gengamma).

    Attributes
    ----------
    distribution : {"weibull", "lognormal", "loglogistic", "exponential", "gengamma"}
    names : tuple of str, length p
        All parameters: ``(Intercept)``, the columns, ``Log(scale)`` unless the distribution fixes it, and ``Q``,
        the shape, for the generalised gamma.
    coefficients, standard_error : arrays of shape (p,)
        On the scale of log days; standard errors as ``intervals`` asked.
    covariance : array of shape (p, p)
        Inverse of the observed information.
    scale : float
        Spread of log days around their centre; 1 for the exponential.
    shape : float, optional
        Of the generalised gamma (``Q``): 0 is the log-normal, 1 the Weibull, equal to the scale the gamma.
    time_ratios : mapping of column to Estimate
        Factor by which days until the lapse are multiplied, against the reference level or for one unit more.
    log_likelihood, aic : float
        Of the durations in days (not of their logs), so distributions can be compared.
    n, n_events : int
        Spells and events.
    follow_up_days : float
        Longest duration seen; predictions beyond it extrapolate.
    moved : array of shape (100, p), optional
        By how much each group of customers moves the coefficients; with ``intervals="replicate"`` only.
    """

    distribution: Distribution
    names: tuple[str, ...]
    coefficients: np.ndarray
    standard_error: np.ndarray
    covariance: np.ndarray
    scale: float
    shape: float | None
    time_ratios: Mapping[str, Estimate]
    log_likelihood: float
    aic: float
    n: int
    n_events: int
    follow_up_days: float
    intervals: FitIntervals
    level: float
    design: Design = field(repr=False)
    moved: np.ndarray | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """Return one row a column of the model: coefficient, standard error, time ratio with its interval."""
        columns = self.design.names
        inside = slice(1, 1 + len(columns))
        return ratio_table(
            columns, self.coefficients[inside], self.standard_error[inside], self.time_ratios, unit="time_ratio"
        )


def accelerated_failure_time(
    counts: pd.DataFrame,
    *,
    distribution: Distribution,
    covariates: Sequence[str],
    intervals: FitIntervals,
    reference: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> AcceleratedFailureTimeFit:
    """
    Factors by which covariate patterns stretch the days until the lapse [1]_.

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``event_observed``, ``n``, the covariates, and where they exist ``entry_days`` (a spell
        counts given that it was still going on then) and ``replicate``. Days are taken as exact: rounded up to
        whole days, spells of a few days pull ratios towards 1, and ``discrete_hazard`` suits them better.
    distribution : {"weibull", "lognormal", "loglogistic", "exponential", "gengamma"}
        Of the days until the lapse; see ``choose_distribution``.
    covariates : list of str
        Text columns or numbers; an empty list fits one curve to all.
    intervals : {"replicate", "information"}
        ``replicate``: one-step delete-a-group jackknife from the score residuals, t with 99 degrees of freedom,
        which holds where a customer has several spells. ``information``: the model's own.
    reference : mapping, optional
        Reference levels; by default the most frequent.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        Before fitting, naming the column: missing values, constant, collinear, or all events at its smallest or
        largest value; fewer than 5 events a column; all events on one day; ``replicate`` with events in fewer
        than 20 groups.

    Warns
    -----
    FewEventsWarning
        Fewer than 10 events a column.

    References
    ----------
    .. [1] Kalbfleisch and Prentice (2002), The Statistical Analysis of Failure Time Data, chapters 2 and 3;
       Prentice (1974), Biometrika 61:539, for the generalised gamma.

    Examples
    --------
    Exponential: of every 4 spells all lapse, in 10 + 20 + 30 + 40 days at risk, so the mean is 25 days:

    >>> counts = pd.DataFrame({"duration_days": [10, 20, 30, 40], "event_observed": True, "n": 3})
    >>> fit = accelerated_failure_time(counts, distribution="exponential", covariates=[], intervals="information")
    >>> round(float(np.exp(fit.coefficients[0])), 6)
    25.0
    """
    counts = check_spells(counts, SPELL, "a model of durations", continuous=True)
    columns = columns_of(counts, covariates, reference)
    check_durations(counts, columns, intervals, [distribution])
    return fit_columns(counts, columns, distribution, intervals, level)


def predicted_survival_at(
    fit: AcceleratedFailureTimeFit, values: Mapping[str, float], day: float, *, given_day: float = 0.0
) -> Estimate:
    """
    Share of a covariate pattern that goes on past ``day``, by the fitted distribution.

    Parameters
    ----------
    values : mapping
        A number for every column of ``fit.design.names``; 0 or 1 for a level.
    day : float
        Not negative. Beyond ``fit.follow_up_days`` no spell was seen: the answer is the distribution's alone.
    given_day : float
        Of those that go on past this day; 0 asks for all.

    Returns
    -------
    Estimate
        Interval on the log-log scale, as ``fit.intervals`` asked.
    """
    x, w = _rows(fit, values)
    return share_past(fit, STANDARD[fit.distribution], x, w, day, given_day=given_day)


def predicted_curve(
    fit: AcceleratedFailureTimeFit, values: Mapping[str, float], *, days: Sequence[float], given_day: float = 0.0
) -> pd.DataFrame:
    """
    Share of a covariate pattern that goes on past each of ``days``; see ``predicted_survival_at``.

    Returns
    -------
    DataFrame
        ``duration_days``, ``survival``, ``lower``, ``upper``, ``beyond_follow_up`` (true where it extrapolates).
    """
    shares = [predicted_survival_at(fit, values, day, given_day=given_day) for day in days]
    return curve_table(shares, days, fit.follow_up_days)


def predicted_quantile(
    fit: AcceleratedFailureTimeFit, values: Mapping[str, float], share: float, *, given_day: float = 0.0
) -> Estimate:
    """
    Day by which ``share`` of a covariate pattern has lapsed, by the fitted distribution.

    Parameters
    ----------
    values : mapping
        A number for every column of ``fit.design.names``; 0 or 1 for a level.
    share : float
        Between 0 and 1, both excluded; 0.5 is the median.
    given_day : float
        Of those that go on past this day; 0 asks for all.

    Returns
    -------
    Estimate
        Days, with an interval on the log scale, as ``fit.intervals`` asked. A value beyond
        ``fit.follow_up_days`` is the distribution's assumption, and so is its interval.

    Examples
    --------
    Half of an exponential with a mean of 25 days is over by day 25 log 2:

    >>> counts = pd.DataFrame({"duration_days": [10, 20, 30, 40], "event_observed": True, "n": 3})
    >>> fit = accelerated_failure_time(counts, distribution="exponential", covariates=[], intervals="information")
    >>> round(predicted_quantile(fit, {}, 0.5).value, 3)
    17.329
    """
    if not 0 < share < 1:
        raise ModelError(f"a quantile needs a share between 0 and 1; came {share:g}")
    x, w = _rows(fit, values)
    standard = STANDARD[fit.distribution]
    at = fit.coefficients
    centre = float(_log_quantile(standard, at[None, :], x, w, share, given_day)[0])
    day = float(np.exp(centre))
    if fit.moved is not None:
        without = np.exp(_log_quantile(standard, at - fit.moved, x, w, share, given_day))
        return jackknife(day, without, unit="days", n=fit.n, scale="log", level=fit.level)
    (_, slope, by_log_day), (_, slope_given, _) = (log_survival(standard, at, x, w, d) for d in (day, given_day))
    slope = (slope_given - slope) / by_log_day
    half = float(stats.norm.ppf(0.5 + fit.level / 2) * np.sqrt(slope @ fit.covariance @ slope))
    lower, upper = (float(np.exp(centre + end)) for end in (-half, half))
    return Estimate(value=day, lower=lower, upper=upper, unit="days", n=fit.n, level=fit.level)


def predicted_median(
    fit: AcceleratedFailureTimeFit, values: Mapping[str, float], *, given_day: float = 0.0
) -> Estimate:
    """Day by which half of a covariate pattern has lapsed; see ``predicted_quantile``."""
    return predicted_quantile(fit, values, 0.5, given_day=given_day)


def _log_quantile(
    standard: Standard, at: np.ndarray, x: np.ndarray, w: np.ndarray, share: float, given_day: float
) -> np.ndarray:
    """Log of the day for each set of parameters ``at`` of shape (n_sets, p)."""
    k = len(x)
    given = np.exp(log_survivals(standard, at, x, w, given_day))
    z = standard_quantile(standard, at[:, k + standard.free_scale :] @ w, 1 - (1 - share) * given)
    return at[:, :k] @ x + (np.exp(at[:, k]) if standard.free_scale else 1.0) * z


def _rows(fit: AcceleratedFailureTimeFit, values: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    second = np.ones(1 if STANDARD[fit.distribution].second else 0)
    return np.concatenate([[1.0], pattern_row(fit.design.names, values)]), second


def fit_columns(
    counts: pd.DataFrame, columns: Design, distribution: Distribution, intervals: FitIntervals, level: float
) -> AcceleratedFailureTimeFit:
    """Fit one distribution to counts that were checked."""
    standard = STANDARD[distribution]
    cells = duration_cells(counts, columns.pattern)
    names = (INTERCEPT, *columns.names)
    second = np.ones((len(columns.matrix), 1 if standard.second else 0))

    def start(x: np.ndarray, w: np.ndarray, cells: DurationCells) -> np.ndarray:
        return _gamma_start(x, cells, names) if standard.second else mean_start(x, cells, standard)

    found = largest(counts, cells, columns.matrix, second, standard, names, intervals, start)
    inside, n, k = slice(1, len(names)), found.n, len(names)
    return AcceleratedFailureTimeFit(
        distribution=distribution,
        names=names + (LOG_SCALE,) * standard.free_scale + (SHAPE,) * bool(standard.second),
        coefficients=found.coefficients,
        standard_error=found.standard_error,
        covariance=found.covariance,
        scale=float(np.exp(found.coefficients[k])) if standard.free_scale else 1.0,
        shape=float(found.coefficients[-1]) if standard.second else None,
        time_ratios=ratio_estimates(
            columns.names,
            found.coefficients[inside],
            found.standard_error[inside],
            None if found.moved is None else found.moved[:, inside],
            unit="time_ratio",
            n=n,
            level=level,
        ),
        log_likelihood=found.log_likelihood,
        aic=2 * len(found.coefficients) - 2 * found.log_likelihood,
        n=n,
        n_events=found.n_events,
        follow_up_days=float(counts["duration_days"].max()),
        intervals=intervals,
        level=level,
        design=columns,
        moved=found.moved,
    )


def _gamma_start(x: np.ndarray, cells: DurationCells, names: tuple[str, ...]) -> np.ndarray:
    """The better of its two famous members: the log-normal, with shape 0, and the Weibull, with shape 1."""
    found = []
    for distribution, shape in (("lognormal", 0.0), ("weibull", 1.0)):
        standard = STANDARD[distribution]  # type: ignore[index]
        at, here = maximise(mean_start(x, cells, standard), x, x[:, :0], cells, standard, names)
        found.append((here.value, np.append(at, shape)))
    return max(found, key=lambda pair: pair[0])[1]
