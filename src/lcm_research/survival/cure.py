"""
Mixture cure: a share of the customers that never lapses, and how long the others go on.

``S(t) = cured + (1 - cured) S_u(t)``, the share by a logit, ``S_u`` an accelerated failure time model. A curve
that levels off within the follow-up is what tells the two apart; without that plateau a long tail and a cured
share look alike, and the model is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy import special, stats

from lcm_research.errors import ModelError, ShortFollowUpWarning, nearest
from lcm_research.estimate import Estimate, jackknife
from lcm_research.survival.covariates import Design
from lcm_research.survival.duration_fit import check_durations, curve_table, largest, mean_start, share_past
from lcm_research.survival.duration_likelihood import (
    STANDARD,
    DurationCells,
    Standard,
    Terms,
    duration_cells,
    log_survival,
)
from lcm_research.survival.follow_up import TOO_SHORT, FollowUpCheck, follow_up_check
from lcm_research.survival.likelihood_fit import FitIntervals, columns_of, pattern_row
from lcm_research.survival.ratios import ratio_estimates, ratio_table
from lcm_research.survival.risk_sets import SPELL, check_spells

__all__ = [
    "CureDistribution",
    "MixtureCureFit",
    "cured_share",
    "mixture_cure",
    "predicted_cure_curve",
]

CureDistribution = Literal["weibull", "lognormal", "loglogistic"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureCureFit:
    """
    A fitted mixture cure model.

    Attributes
    ----------
    distribution : {"weibull", "lognormal", "loglogistic"}
        Of the days until the lapse of those who lapse.
    names : tuple of str, length p
        ``(Intercept)``, columns and ``Log(scale)`` of the days; ``cured: (Intercept)`` and columns of the share.
    coefficients, standard_error : arrays of shape (p,)
        Log days, then logits; standard errors as ``intervals`` asked.
    covariance : array of shape (p, p)
        Inverse of the observed information.
    scale : float
        Spread of log days around their centre.
    time_ratios, odds_ratios : mappings of column to Estimate
        Factor on the days of those who lapse; factor on the odds of never lapsing.
    log_likelihood, aic : float
        Comparable with those of ``accelerated_failure_time`` on the same counts.
    n, n_events : int
        Spells and events.
    follow_up : FollowUpCheck
    still_to_lapse : float
        Of those whom the fit has going on at the end of the follow-up, the share that will lapse after it. Above
        5% the plateau is not the cured share [1]_.
    moved : array of shape (100, p), optional
        By how much each group of customers moves the coefficients; with ``intervals="replicate"`` only.

    References
    ----------
    .. [1] Selukar and Othus (2023), Statistics in Medicine 42:209, whose ratio this follows.
    """

    distribution: CureDistribution
    names: tuple[str, ...]
    coefficients: np.ndarray
    standard_error: np.ndarray
    covariance: np.ndarray
    scale: float
    time_ratios: Mapping[str, Estimate]
    odds_ratios: Mapping[str, Estimate]
    log_likelihood: float
    aic: float
    n: int
    n_events: int
    follow_up: FollowUpCheck
    still_to_lapse: float
    intervals: FitIntervals
    level: float
    design: Design = field(repr=False)
    cured_design: Design = field(repr=False)
    moved: np.ndarray | None = field(default=None, repr=False)

    @property
    def identified(self) -> bool:
        """Whether the plateau is settled enough to be read as a share that never lapses."""
        return self.still_to_lapse < TOO_SHORT

    def table(self) -> pd.DataFrame:
        """Return one row a column of the share's logit: coefficient, standard error, odds ratio, interval."""
        names = self.cured_design.names
        place = slice(len(self.names) - len(names), None)
        return ratio_table(
            names, self.coefficients[place], self.standard_error[place], self.odds_ratios, unit="odds_ratio"
        )

    def days_table(self) -> pd.DataFrame:
        """Return one row a column of the days: coefficient, standard error, time ratio, interval."""
        names = self.design.names
        place = slice(1, 1 + len(names))
        return ratio_table(
            names, self.coefficients[place], self.standard_error[place], self.time_ratios, unit="time_ratio"
        )


def mixture_cure(
    counts: pd.DataFrame,
    *,
    distribution: CureDistribution,
    covariates: Sequence[str],
    cured_covariates: Sequence[str],
    intervals: FitIntervals,
    reference: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> MixtureCureFit:
    """
    Share of customers that never lapses, and days until the lapse of the others [1]_.

    Parameters
    ----------
    counts : DataFrame
        As for ``accelerated_failure_time``.
    distribution : {"weibull", "lognormal", "loglogistic"}
        Of the days of those who lapse.
    covariates, cured_covariates : list of str
        Columns of the days, and of the logit of the share; either may be empty, a column may be in both.
    intervals : {"replicate", "information"}
        As for ``accelerated_failure_time``.
    reference : mapping, optional
        Reference levels; by default the most frequent.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        As ``accelerated_failure_time`` refuses, and where the last event is too close to the end of the
        follow-up for a plateau (see ``follow_up_check``), or the share runs off to 0 or 1.

    Warns
    -----
    ShortFollowUpWarning
        Where, by the fit, more than 5% of those on the plateau will still lapse: a share that the choice of the
        distribution decides.

    References
    ----------
    .. [1] Berkson and Gage (1952), JASA 47:501; Farewell (1982), Biometrics 38:1041.
    """
    if distribution not in get_args(CureDistribution):
        offered = nearest(distribution, get_args(CureDistribution))
        raise ModelError(f"no distribution '{distribution}' is known here; {offered}")
    counts = check_spells(counts, SPELL, "a model with a cured share", continuous=True)
    columns, cured_columns = (columns_of(counts, names, reference) for names in (covariates, cured_covariates))
    every = columns_of(counts, list(dict.fromkeys([*covariates, *cured_covariates])), reference)
    check_durations(counts, every, intervals, [distribution])
    follow_up = follow_up_check(counts)
    if not follow_up.sufficient:
        raise ModelError(
            f"the last of {follow_up.n_events} events is on day {follow_up.last_event_days:g} of a follow-up of "
            f"{follow_up.last_spell_days:g} days, with {follow_up.n_events_before} events in as many days before it "
            f"(alpha {follow_up.alpha:.2g}, not below {TOO_SHORT}): the curve does not level off, so a cured share "
            "cannot be told from a long tail; use accelerated_failure_time or wait for more data"
        )
    fit = _fit(counts, columns, cured_columns, every, follow_up, distribution, intervals, level)
    if not fit.identified:
        warnings.warn(
            f"of those who go on past day {follow_up.last_spell_days:g}, {fit.still_to_lapse:.0%} will still lapse by "
            f"the fit, more than {TOO_SHORT:.0%}: the cured share rests on the choice of the distribution",
            ShortFollowUpWarning,
            stacklevel=2,
        )
    return fit


def cured_share(fit: MixtureCureFit, values: Mapping[str, float], *, given_day: float = 0.0) -> Estimate:
    """
    Share of a covariate pattern that never lapses.

    Parameters
    ----------
    values : mapping
        A number for every column of both parts; 0 or 1 for a level.
    given_day : float
        Of those that go on past this day; 0 asks for all.

    Returns
    -------
    Estimate
        Interval on the logit scale, as ``fit.intervals`` asked.
    """
    x, w = _rows(fit, values)
    standard = with_cured(STANDARD[fit.distribution])

    def log_share(at: np.ndarray) -> tuple[float, np.ndarray]:
        logit = float(w @ at[-len(w) :])
        past, slope, _ = log_survival(standard, at, x, w, given_day)
        of_logit = np.concatenate([np.zeros(len(at) - len(w)), w * special.expit(-logit)])
        return float(special.log_expit(logit)) - past, of_logit - slope

    value, slope = log_share(fit.coefficients)
    share = float(np.exp(value))
    if fit.moved is not None:
        without = np.exp([log_share(fit.coefficients - each)[0] for each in fit.moved])
        return jackknife(share, without, unit="share", n=fit.n, scale="logit", level=fit.level)
    half = float(stats.norm.ppf(0.5 + fit.level / 2) * np.sqrt(slope @ fit.covariance @ slope)) / (1 - share)
    lower, upper = (float(special.expit(special.logit(share) + end)) for end in (-half, half))
    return Estimate(value=share, lower=lower, upper=upper, unit="share", n=fit.n, level=fit.level)


def predicted_cure_curve(
    fit: MixtureCureFit, values: Mapping[str, float], *, days: Sequence[float], given_day: float = 0.0
) -> pd.DataFrame:
    """
    Share of a covariate pattern that goes on past each of ``days``, those who never lapse among them.

    Returns
    -------
    DataFrame
        As ``predicted_curve`` returns.
    """
    x, w = _rows(fit, values)
    standard = with_cured(STANDARD[fit.distribution])
    shares = [share_past(fit, standard, x, w, day, given_day=given_day) for day in days]
    return curve_table(shares, days, fit.follow_up.last_spell_days)


def with_cured(base: Standard) -> Standard:
    """Mix a standard error with a share, of logit ``v``, that never lapses."""

    def density(z: np.ndarray, v: np.ndarray) -> Terms:
        each, cured = base.density(z, v), special.expit(v)
        return Terms(each.value + special.log_expit(-v), each.z, each.zz, -cured, -cured * (1 - cured))

    def survival(z: np.ndarray, v: np.ndarray) -> Terms:
        each, cured = base.survival(z, v), special.expit(v)
        # of those going on, the part that will lapse
        lapsing = special.expit(each.value - v)
        both = lapsing * (1 - lapsing)
        return Terms(
            np.logaddexp(v, each.value) + special.log_expit(-v),
            lapsing * each.z,
            both * each.z**2 + lapsing * each.zz,
            1 - lapsing - cured,
            both - cured * (1 - cured),
            -both * each.z,
        )

    return Standard(density, survival, base.free_scale, second="logit of the cured share", widest=20)


def _fit(
    counts: pd.DataFrame,
    columns: Design,
    cured_columns: Design,
    every: Design,
    follow_up: FollowUpCheck,
    distribution: CureDistribution,
    intervals: FitIntervals,
    level: float,
) -> MixtureCureFit:
    standard = with_cured(STANDARD[distribution])
    cells = duration_cells(counts, every.pattern)
    first = np.unique(every.pattern, return_index=True)[1]
    location, second = (each.matrix[each.pattern[first]] for each in (columns, cured_columns))
    second = np.column_stack([np.ones(len(second)), second])
    names = ("(Intercept)", *columns.names)
    found = largest(counts, cells, location, second, standard, names, intervals, _start)
    k, at, moved = len(names), found.coefficients, found.moved
    days, share = slice(1, k), slice(k + 2, None)
    ratios = {
        unit: ratio_estimates(
            design.names,
            at[place],
            found.standard_error[place],
            None if moved is None else moved[:, place],
            unit=unit,
            n=found.n,
            level=level,
        )
        for unit, design, place in (("time_ratio", columns, days), ("odds_ratio", cured_columns, share))
    }
    x = np.column_stack([np.ones(len(location)), location])
    return MixtureCureFit(
        distribution=distribution,
        names=(*names, "Log(scale)", *(f"cured: {name}" for name in ("(Intercept)", *cured_columns.names))),
        coefficients=at,
        standard_error=found.standard_error,
        covariance=found.covariance,
        scale=float(np.exp(at[k])),
        time_ratios=ratios["time_ratio"],
        odds_ratios=ratios["odds_ratio"],
        log_likelihood=found.log_likelihood,
        aic=2 * len(at) - 2 * found.log_likelihood,
        n=found.n,
        n_events=found.n_events,
        follow_up=follow_up,
        still_to_lapse=_still_to_lapse(at, x, second, cells, STANDARD[distribution], follow_up.last_spell_days),
        intervals=intervals,
        level=level,
        design=columns,
        cured_design=cured_columns,
        moved=moved,
    )


def _start(x: np.ndarray, w: np.ndarray, cells: DurationCells) -> np.ndarray:
    """Those seen to lapse by their own mean, the share by those who were not."""
    lapsed = cells.n * cells.event
    at = mean_start(x, cells, STANDARD["weibull"])
    at[0] = np.log(lapsed @ np.exp(cells.log_ended) / lapsed.sum())
    cured = np.clip(1 - lapsed.sum() / cells.n.sum(), 0.02, 0.98)
    return np.concatenate([at, [special.logit(cured)], np.zeros(w.shape[1] - 1)])


def _still_to_lapse(
    at: np.ndarray, x: np.ndarray, w: np.ndarray, cells: DurationCells, base: Standard, last_day: float
) -> float:
    """Of those going on past the last day by the fit, the share that is not cured; over all patterns by size."""
    k, size = x.shape[1], np.bincount(cells.pattern, cells.n, len(x))
    left = np.exp(base.survival((np.log(last_day) - x @ at[:k]) / np.exp(at[k]), np.zeros(len(x))).value)
    cured = special.expit(w @ at[k + 1 :])
    return float(size @ ((1 - cured) * left) / (size @ (cured + (1 - cured) * left)))


def _rows(fit: MixtureCureFit, values: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    names = list(dict.fromkeys([*fit.design.names, *fit.cured_design.names]))
    given = dict(zip(names, pattern_row(names, values), strict=True))
    rows = [np.array([1.0, *(given[name] for name in design.names)]) for design in (fit.design, fit.cured_design)]
    return rows[0], rows[1]
