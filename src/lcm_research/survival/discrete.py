"""
The hazard of lapsing period by period, fitted on counts: covariate pattern by period, never one row a person.

A binomial model of those who lapse in a period among those at risk in it. With a complementary log-log link its
ratios are those of Cox's model for durations seen by period only; with a logit link they are odds ratios.

How spells count in periods that they were seen in for a part only: ``period_cells``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.tools.sm_exceptions import ModelWarning

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate
from lcm_research.survival.covariates import Design
from lcm_research.survival.likelihood_fit import (
    FitIntervals,
    check_events,
    columns_of,
    pattern_row,
)
from lcm_research.survival.period_cells import Clock, PeriodCells, clock_of, followed, period_cells
from lcm_research.survival.ratios import ratio_estimates, ratio_table, spread_of_moves

__all__ = ["Baseline", "DiscreteHazardFit", "Link", "discrete_hazard", "hazard_by_period"]

Link = Literal["cloglog", "logit"]
Baseline = Literal["period", "log-period"]

MAX_PERIOD_COLUMNS = 120
"""More baseline columns than this are no longer a model to read."""

UNITS: dict[Link, str] = {"cloglog": "hazard_ratio", "logit": "odds_ratio"}


@dataclass(frozen=True, kw_only=True, eq=False)
class DiscreteHazardFit:
    """
    A fitted hazard by period.

    Attributes
    ----------
    names : tuple of str, length p
        All parameters, the baseline's first: ``period[1]`` ..., or ``(Intercept)`` and ``log(period)``.
    coefficients, standard_error : arrays of shape (p,)
        On the scale of the link; standard errors as ``intervals`` asked.
    covariance : array of shape (p, p)
        Inverse of the expected information.
    ratios : mapping of column to Estimate
        Hazard ratios (``cloglog``) or odds ratios (``logit``) of lapsing in a period.
    log_likelihood, deviance : float
        Of the rows behind the counts, one a person and period; comparable with any other fit to the same rows.
    at_risk, events : arrays of shape (n_periods,)
        Spells at risk in each period (by the share of it in which they were seen), and lapses.
    n, n_events : int
        Spells and lapses.
    moved : array of shape (100, p), optional
        By how much each group of customers moves the coefficients; with ``intervals="replicate"`` only.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    standard_error: np.ndarray
    covariance: np.ndarray
    ratios: Mapping[str, Estimate]
    log_likelihood: float
    deviance: float
    at_risk: np.ndarray
    events: np.ndarray
    n: int
    n_events: int
    period_days: int
    link: Link
    baseline: Baseline
    intervals: FitIntervals
    level: float
    design: Design = field(repr=False)
    moved: np.ndarray | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """Return one row a covariate's column: coefficient, standard error, hazard or odds ratio with interval."""
        columns = self.design.names
        own = slice(len(self.names) - len(columns), None)
        return ratio_table(
            columns, self.coefficients[own], self.standard_error[own], self.ratios, unit=UNITS[self.link]
        )


def discrete_hazard(
    counts: pd.DataFrame,
    *,
    period_days: int,
    link: Link,
    covariates: Sequence[str],
    baseline: Baseline,
    intervals: FitIntervals,
    horizon_days: int | None = None,
    reference: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> DiscreteHazardFit:
    """
    Ratios of the hazard of lapsing within a period between covariate patterns [1]_.

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``event_observed``, ``n``, the covariates, and where they exist ``entry_days`` and
        ``replicate``.
    period_days : int
        Length of a period; period 1 holds days 1 to ``period_days`` of a spell.
    link : {"cloglog", "logit"}
        Hazard ratios that do not depend on the length of the period, or odds ratios.
    covariates : list of str
        Text columns or numbers; an empty list fits the baseline alone.
    baseline : {"period", "log-period"}
        A level for each period, or a straight line in the log of its number (a Weibull-like hazard).
    intervals : {"replicate", "information"}
        ``replicate``: one-step delete-a-group jackknife from the score residuals, t with 99 degrees of freedom,
        which holds where a customer has several spells. ``information``: the model's own.
    horizon_days : int, optional
        Follow spells up to this day only, where later periods are too thin.
    reference : mapping, optional
        Reference levels; by default the most frequent.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        Before fitting, naming the column or period: missing values, constant, collinear or perfectly separating;
        fewer than 5 events a column; a period without a lapse (or without anyone else) that ``baseline="period"``
        would have to fit; ``replicate`` with events in fewer than 20 groups.

    Warns
    -----
    FewEventsWarning
        Fewer than 10 events a column.

    References
    ----------
    .. [1] Prentice and Gloeckler (1978), Biometrics 34:57; Allison (1982), Sociological Methodology 13:61.

    Examples
    --------
    Of 20 spells 5 lapse in week 1 and 5 of the other 15 in week 2:

    >>> counts = pd.DataFrame({"duration_days": [3, 14, 14], "event_observed": [True, True, False], "n": [5, 5, 10]})
    >>> fit = discrete_hazard(counts, period_days=7, link="logit", covariates=[], baseline="period",
    ...                       intervals="information")
    >>> hazard_by_period(fit, {})["hazard"].round(6).tolist()
    [0.25, 0.333333]
    """
    counts = followed(counts, period_days, horizon_days)
    columns = columns_of(counts, covariates, reference)
    check_events(counts, len(columns.names), intervals)
    clock = clock_of(counts, columns.pattern, len(columns.matrix), period_days)
    cells = period_cells(clock, np.ones(len(counts), bool))
    _check(columns, cells, baseline)
    names, x = _matrix(columns, cells, baseline)
    coefficients, covariance, log_likelihood = _binomial(x, cells, link, names, len(columns.names))

    moved = None
    if intervals == "replicate":
        scores = _scores(clock, counts["replicate"].to_numpy(np.int64), x, _slopes(x @ coefficients, link))
        moved = scores @ covariance
    error = np.sqrt(np.diag(covariance)) if moved is None else spread_of_moves(moved)
    own, n = slice(len(names) - len(columns.names), None), round(float(clock.n.sum()))
    return DiscreteHazardFit(
        names=names,
        coefficients=coefficients,
        standard_error=error,
        covariance=covariance,
        ratios=ratio_estimates(
            columns.names,
            coefficients[own],
            error[own],
            None if moved is None else moved[:, own],
            unit=UNITS[link],
            n=n,
            level=level,
        ),
        log_likelihood=log_likelihood,
        deviance=-2 * log_likelihood,
        at_risk=(cells.events + cells.others).sum(axis=0),
        events=cells.events.sum(axis=0),
        n=n,
        n_events=round(float(cells.events.sum())),
        period_days=period_days,
        link=link,
        baseline=baseline,
        intervals=intervals,
        level=level,
        design=columns,
        moved=moved,
    )


def hazard_by_period(fit: DiscreteHazardFit, values: Mapping[str, float]) -> pd.DataFrame:
    """
    Chance of lapsing in each period, and share going on past it, for one covariate pattern.

    Parameters
    ----------
    values : mapping
        A number for every column of ``fit.design.names``; 0 or 1 for a level.

    Returns
    -------
    DataFrame
        ``period``, ``last_day``; ``hazard`` of those still active at its start, ``hazard_lower``,
        ``hazard_upper`` (on the scale of the link); ``survival``, ``survival_lower``, ``survival_upper`` (on the
        log-log scale), as ``fit.intervals`` asked.
    """
    n_periods = len(fit.at_risk)
    row = pattern_row(fit.design.names, values)
    x = np.hstack([_baseline_columns(n_periods, fit.baseline), np.tile(row, (n_periods, 1))])
    at, (_, by_other) = x @ fit.coefficients, _slopes(x @ fit.coefficients, fit.link)
    cumulative = -np.log1p(-_inverse(at, fit.link)).cumsum()
    slope = (-by_other[:, None] * x).cumsum(axis=0) / cumulative[:, None]
    half, half_log = _half_width(fit, x), _half_width(fit, slope)
    return pd.DataFrame(
        {
            "period": np.arange(1, n_periods + 1),
            "last_day": np.arange(1, n_periods + 1) * fit.period_days,
            "hazard": _inverse(at, fit.link),
            "hazard_lower": _inverse(at - half, fit.link),
            "hazard_upper": _inverse(at + half, fit.link),
            "survival": np.exp(-cumulative),
            "survival_lower": np.exp(-cumulative * np.exp(half_log)),
            "survival_upper": np.exp(-cumulative * np.exp(-half_log)),
        }
    )


def _check(columns: Design, cells: PeriodCells, baseline: Baseline) -> None:
    n_periods = cells.events.shape[1]
    if baseline == "log-period":
        if n_periods < 2:
            raise ModelError("baseline='log-period' needs two periods or more; came 1; choose shorter periods")
    elif n_periods > MAX_PERIOD_COLUMNS:
        raise ModelError(
            f"{n_periods} periods, more than {MAX_PERIOD_COLUMNS}; choose longer periods or baseline='log-period'"
        )
    else:
        for who, numbers in (("lapse", cells.events), ("spell that goes on", cells.others)):
            empty = np.flatnonzero(numbers.sum(axis=0) == 0)
            if len(empty):
                raise ModelError(
                    f"period {empty[0] + 1} of {n_periods} holds no {who}, so its level has no estimate; choose longer "
                    "periods, a shorter horizon_days, or baseline='log-period'"
                )
    by_name = {name: column[:, None] for name, column in zip(columns.names, columns.matrix.T, strict=True)}
    if baseline == "log-period":
        by_name["log(period)"] = np.log(np.arange(1, n_periods + 1))[None, :]
    for name, column in by_name.items():
        values = np.broadcast_to(column, cells.events.shape)
        lapsed, others = values[cells.events > 0], values[cells.others > 0]
        if lapsed.max() <= others.min() or others.max() <= lapsed.min():
            raise ModelError(
                f"column '{name}' separates perfectly: one of its ends holds nobody who lapsed, or nobody else; merge "
                "levels or leave it out"
            )


def _baseline_columns(n_periods: int, baseline: Baseline) -> np.ndarray:
    if baseline == "period":
        return np.eye(n_periods)
    return np.column_stack([np.ones(n_periods), np.log(np.arange(1, n_periods + 1))])


def _matrix(columns: Design, cells: PeriodCells, baseline: Baseline) -> tuple[tuple[str, ...], np.ndarray]:
    """Names, and one row a cell: pattern after pattern, period by period."""
    n_patterns, n_periods = cells.events.shape
    own = _baseline_columns(n_periods, baseline)
    names = [f"period[{i + 1}]" for i in range(n_periods)] if baseline == "period" else ["(Intercept)", "log(period)"]
    x = np.hstack([np.tile(own, (n_patterns, 1)), np.repeat(columns.matrix, n_periods, axis=0)])
    return (*names, *columns.names), x


def _binomial(
    x: np.ndarray, cells: PeriodCells, link: Link, names: Sequence[str], n_columns: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, covariance and log-likelihood: two weighted rows a cell, those who lapse and the others."""
    weight = np.concatenate([cells.events.ravel(), cells.others.ravel()])
    lapsed = np.repeat([1.0, 0.0], len(x))
    there = weight > 0
    model = sm.GLM(
        lapsed[there],
        np.vstack([x, x])[there],
        family=sm.families.Binomial(sm.families.links.CLogLog() if link == "cloglog" else sm.families.links.Logit()),
        freq_weights=weight[there],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        fit = model.fit(maxiter=100, tol=1e-12, tol_criterion="params")
    far = np.abs(fit.params * x.std(axis=0))[len(names) - n_columns :]
    if not fit.converged or (len(far) and far.max() > 20):
        worst = f"column '{names[len(names) - n_columns + int(far.argmax())]}'" if len(far) else "the baseline"
        raise ModelError(f"the fit did not settle: {worst} runs away; merge rare levels or choose longer periods")
    return fit.params, fit.cov_params(), float(fit.llf)


def _inverse(at: np.ndarray, link: Link) -> np.ndarray:
    return -np.expm1(-np.exp(at)) if link == "cloglog" else 1 / (1 + np.exp(-at))


def _slopes(at: np.ndarray, link: Link) -> tuple[np.ndarray, np.ndarray]:
    """Slope of the log-likelihood of one who lapses, and of one who does not, by the linear predictor."""
    if link == "cloglog":
        e = np.exp(at)
        return e / np.expm1(e), -e
    p = _inverse(at, link)
    return 1 - p, -p


def _scores(clock: Clock, groups: np.ndarray, x: np.ndarray, slopes: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Score of each group of customers, shape (100, p)."""
    scores = []
    for group in range(N_GROUPS):
        own = period_cells(clock, groups == group)
        scores.append((own.events.ravel() * slopes[0] + own.others.ravel() * slopes[1]) @ x)
    return np.stack(scores)


def _half_width(fit: DiscreteHazardFit, rows: np.ndarray) -> np.ndarray:
    """Half the interval of ``rows @ coefficients``."""
    if fit.moved is None:
        error = np.sqrt(np.einsum("ij,jk,ik->i", rows, fit.covariance, rows))
        return stats.norm.ppf(0.5 + fit.level / 2) * error
    return stats.t.ppf(0.5 + fit.level / 2, N_GROUPS - 1) * spread_of_moves(fit.moved @ rows.T)
