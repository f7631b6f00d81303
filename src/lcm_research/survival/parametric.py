"""
Accelerated failure time models: a covariate stretches or shortens the time until the lapse by a factor.

``log T = intercept + x b + scale * error``, with the error's distribution named. A curve of few numbers, which
also speaks about days beyond the follow-up: there it is an assumption, and every prediction says so.

Where purchases date activity, many spells end on day 1 at once and no smooth distribution holds: give day 1 to
``first_day_logit`` and the spells that go on to this model, with ``entry_days=1`` (they were seen past day 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse, stats

from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import N_GROUPS, Estimate, jackknife
from lcm_research.survival.covariates import Design
from lcm_research.survival.duration_likelihood import (
    STANDARD,
    Distribution,
    Evaluation,
    duration_cells,
    maximise,
)
from lcm_research.survival.likelihood_fit import (
    FitIntervals,
    check_events,
    columns_of,
    pattern_row,
)
from lcm_research.survival.ratios import ratio_estimates, ratio_table, spread_of_moves

__all__ = [
    "AcceleratedFailureTimeFit",
    "Distribution",
    "accelerated_failure_time",
    "choose_distribution",
    "predicted_curve",
    "predicted_survival_at",
]

INTERCEPT, LOG_SCALE = "(Intercept)", "Log(scale)"


@dataclass(frozen=True, kw_only=True, eq=False)
class AcceleratedFailureTimeFit:
    """
    A fitted accelerated failure time model, in the parametrisation of R's ``survreg``.

    Attributes
    ----------
    distribution : {"weibull", "lognormal", "loglogistic", "exponential"}
    names : tuple of str, length p
        All parameters: ``(Intercept)``, the columns, and ``Log(scale)`` unless the distribution fixes it.
    coefficients, standard_error : arrays of shape (p,)
        On the scale of log days; standard errors as ``intervals`` asked.
    covariance : array of shape (p, p)
        Inverse of the observed information.
    scale : float
        Spread of log days around their centre; 1 for the exponential.
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
    distribution : {"weibull", "lognormal", "loglogistic", "exponential"}
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
    .. [1] Kalbfleisch and Prentice (2002), The Statistical Analysis of Failure Time Data, chapters 2 and 3.

    Examples
    --------
    Exponential: of every 4 spells all lapse, in 10 + 20 + 30 + 40 days at risk, so the mean is 25 days:

    >>> counts = pd.DataFrame({"duration_days": [10, 20, 30, 40], "event_observed": True, "n": 3})
    >>> fit = accelerated_failure_time(counts, distribution="exponential", covariates=[], intervals="information")
    >>> round(float(np.exp(fit.coefficients[0])), 6)
    25.0
    """
    columns = columns_of(counts, covariates, reference)
    _check(counts, columns, intervals, [distribution])
    return _fit(counts, columns, distribution, intervals, level)


def choose_distribution(
    counts: pd.DataFrame,
    *,
    covariates: Sequence[str],
    distributions: Sequence[Distribution] = ("weibull", "lognormal", "loglogistic", "exponential"),
    reference: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """
    Compare distributions by Akaike's criterion, on the same counts and columns [1]_.

    The smallest is the closest of those compared, which need not be close: draw its curve beside Kaplan-Meier's.

    Returns
    -------
    DataFrame
        One row a distribution, best first: ``distribution``, ``n_parameters``, ``log_likelihood``, ``aic``,
        ``aic_difference`` (from the best).

    Raises
    ------
    ModelError
        As ``accelerated_failure_time`` refuses.

    References
    ----------
    .. [1] Akaike (1974), IEEE Transactions on Automatic Control 19:716.
    """
    if not distributions:
        raise ModelError("a comparison needs at least one distribution; came none")
    columns = columns_of(counts, covariates, reference)
    _check(counts, columns, "information", distributions)
    rows = []
    for each in distributions:
        fit = _fit(counts, columns, each, "information", 0.95)
        rows.append((each, len(fit.names), fit.log_likelihood, fit.aic))
    table = pd.DataFrame(rows, columns=["distribution", "n_parameters", "log_likelihood", "aic"])
    table["aic_difference"] = table["aic"] - table["aic"].min()
    return table.sort_values("aic", ignore_index=True)


def predicted_survival_at(fit: AcceleratedFailureTimeFit, values: Mapping[str, float], day: float) -> Estimate:
    """
    Share of a covariate pattern that goes on past ``day``, by the fitted distribution.

    Parameters
    ----------
    values : mapping
        A number for every column of ``fit.design.names``; 0 or 1 for a level.
    day : float
        Not negative. Beyond ``fit.follow_up_days`` no spell was seen: the answer is the distribution's alone.

    Returns
    -------
    Estimate
        Interval on the log-log scale, as ``fit.intervals`` asked.
    """
    row = np.concatenate([[1.0], pattern_row(fit.design.names, values)])
    if day < 0:
        raise ModelError(f"day {day:g} lies before the start of a spell; choose a day from 0 on")
    if day == 0:
        return Estimate(value=1.0, lower=1.0, upper=1.0, unit="probability", n=fit.n, level=fit.level)
    value, slope = _log_log_survival(fit, fit.coefficients, row, day)
    if fit.moved is not None:
        without = [_log_log_survival(fit, fit.coefficients - each, row, day)[0] for each in fit.moved]
        shares = np.exp(-np.exp(np.array([value, *without])))
        return jackknife(shares[0], shares[1:], unit="probability", n=fit.n, scale="loglog", level=fit.level)
    half = float(stats.norm.ppf(0.5 + fit.level / 2) * np.sqrt(slope @ fit.covariance @ slope))
    share, lower, upper = (float(np.exp(-np.exp(value + end))) for end in (0, half, -half))
    return Estimate(value=share, lower=lower, upper=upper, unit="probability", n=fit.n, level=fit.level)


def predicted_curve(
    fit: AcceleratedFailureTimeFit, values: Mapping[str, float], *, days: Sequence[float]
) -> pd.DataFrame:
    """
    Share of a covariate pattern that goes on past each of ``days``; see ``predicted_survival_at``.

    Returns
    -------
    DataFrame
        ``duration_days``, ``survival``, ``lower``, ``upper``, ``beyond_follow_up`` (true where it extrapolates).
    """
    shares = [predicted_survival_at(fit, values, day) for day in days]
    return pd.DataFrame(
        {
            "duration_days": np.asarray(days, float),
            "survival": [s.value for s in shares],
            "lower": [s.lower for s in shares],
            "upper": [s.upper for s in shares],
            "beyond_follow_up": np.asarray(days, float) > fit.follow_up_days,
        }
    )


def _fit(
    counts: pd.DataFrame, columns: Design, distribution: Distribution, intervals: FitIntervals, level: float
) -> AcceleratedFailureTimeFit:
    standard = STANDARD[distribution]
    cells = duration_cells(counts, columns.pattern)
    # centred and scaled, so that Newton steps are about standard deviations
    mean, spread = columns.matrix.mean(axis=0), columns.matrix.std(axis=0)
    x = np.column_stack([np.ones(len(columns.matrix)), (columns.matrix - mean) / spread])
    names = (INTERCEPT, *columns.names)
    scaled, at_fit = maximise(x, cells, standard, names)

    back = np.diag(np.concatenate([[1.0], 1 / spread, np.ones(int(standard.free_scale))]))
    back[0, 1 : len(names)] = -mean / spread
    coefficients = back @ scaled
    inverse = np.linalg.inv(at_fit.information)
    covariance = back @ inverse @ back.T
    moved = _moves(counts, cells.cell, at_fit) @ inverse @ back.T if intervals == "replicate" else None
    error = np.sqrt(np.diag(covariance)) if moved is None else spread_of_moves(moved)
    n, inside = round(cells.n.sum()), slice(1, len(names))
    return AcceleratedFailureTimeFit(
        distribution=distribution,
        names=(*names, LOG_SCALE) if standard.free_scale else names,
        coefficients=coefficients,
        standard_error=error,
        covariance=covariance,
        scale=float(np.exp(coefficients[-1])) if standard.free_scale else 1.0,
        time_ratios=ratio_estimates(
            columns.names,
            coefficients[inside],
            error[inside],
            None if moved is None else moved[:, inside],
            unit="time_ratio",
            n=n,
            level=level,
        ),
        log_likelihood=at_fit.value,
        aic=2 * len(coefficients) - 2 * at_fit.value,
        n=n,
        n_events=round(float(cells.n @ cells.event)),
        follow_up_days=float(counts["duration_days"].max()),
        intervals=intervals,
        level=level,
        design=columns,
        moved=moved,
    )


def _moves(counts: pd.DataFrame, cell: np.ndarray, at_fit: Evaluation) -> np.ndarray:
    """Score of each group of customers, shape (100, p): its counts by cell times the score of a spell there."""
    groups = counts["replicate"].to_numpy(np.int64)
    shape = (N_GROUPS, len(at_fit.scores))
    return sparse.coo_matrix((counts["n"].to_numpy(float), (groups, cell)), shape=shape).tocsr() @ at_fit.scores


def _log_log_survival(
    fit: AcceleratedFailureTimeFit, coefficients: np.ndarray, row: np.ndarray, day: float
) -> tuple[float, np.ndarray]:
    """log(-log S) of a pattern at a day, and its slope by the parameters."""
    standard = STANDARD[fit.distribution]
    scale = np.exp(coefficients[-1]) if standard.free_scale else 1.0
    z = np.array([(np.log(day) - row @ coefficients[: len(row)]) / scale])
    log_survival, first, _ = standard.survival(z)
    by_z = float(first[0] / log_survival[0])
    slope = np.append(-row / scale, -z) if standard.free_scale else -row
    return float(np.log(-log_survival[0])), by_z * slope


def _check(
    counts: pd.DataFrame, columns: Design, intervals: FitIntervals, distributions: Sequence[Distribution]
) -> None:
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
