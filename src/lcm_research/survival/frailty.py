"""
Some customers lapse again and again: a frailty that all spells of a customer share.

A customer's lapse rate is the rate of their covariates times a frailty of their own, gamma distributed with mean 1.
Its variance says how far customers of one covariate pattern differ. Rates are constant within classes of tenure, so
that the likelihood has a closed form in counts of histories (``spell_history_counts``): lapses and days at risk by
class. A semi-parametric fit would need every customer's row in every step, and answers the same questions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import FewEventsWarning, ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, jackknife
from lcm_research.survival.covariates import Design, design
from lcm_research.survival.frailty_likelihood import (
    Evaluation,
    Histories,
    fit_given,
    largest_variance,
    profile_interval,
)
from lcm_research.survival.likelihood_fit import FEWEST_EVENTS, FitIntervals, check_events
from lcm_research.survival.ratios import ratio_estimates, ratio_table, spread_of_moves
from lcm_research.survival.risk_sets import numpy_typed

__all__ = ["SharedFrailtyFit", "marginal_hazard_ratio", "shared_frailty"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedFrailtyFit:
    """
    Hazard ratios between customers of equal frailty, and how far frailties differ.

    Attributes
    ----------
    names : tuple of str, length p
        Columns: ``region[south]`` for a level, ``age`` for a number.
    coefficients, standard_error : arrays of shape (p,)
        Log hazard ratios given the frailty.
    hazard_ratios : mapping of name to Estimate
        Given the frailty: one customer beside another who differs in the column alone.
    without_frailty : mapping of name to Estimate
        Of the same model with variance 0: ratios of rates between groups of customers, whose frailties are mixed.
    daily_rate : array of shape (n_classes,)
        Lapses a day at risk in each class, at a frailty of 1 and zero of every column.
    variance : Estimate
        Of the frailty; its interval is by profile likelihood and may begin at 0.
    chi_square, p_value : float
        Likelihood-ratio test of a variance of 0, which lies on the edge: half of the p-value of one degree of
        freedom [1]_.
    log_likelihood, log_likelihood_without : float
        With the frailty and without.
    breaks_days : tuple of int
    n, n_events, n_repeated : int
        Customers, lapses, and customers with two lapses or more.

    References
    ----------
    .. [1] Self and Liang (1987), JASA 82:605.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    standard_error: np.ndarray
    hazard_ratios: Mapping[str, Estimate]
    without_frailty: Mapping[str, Estimate]
    daily_rate: np.ndarray
    variance: Estimate
    chi_square: float
    p_value: float
    log_likelihood: float
    log_likelihood_without: float
    breaks_days: tuple[int, ...]
    n: int
    n_events: int
    n_repeated: int
    intervals: FitIntervals
    level: float
    parameters: np.ndarray = field(repr=False)
    covariance: np.ndarray = field(repr=False)
    moved: np.ndarray | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """Return one row a column: the ratio given the frailty with its interval, beside the one without frailty."""
        table = ratio_table(self.names, self.coefficients, self.standard_error, self.hazard_ratios, unit="hazard_ratio")
        return table.assign(hazard_ratio_without_frailty=[self.without_frailty[name].value for name in self.names])


def shared_frailty(
    histories: pd.DataFrame,
    *,
    breaks_days: Sequence[int],
    covariates: Sequence[str],
    intervals: FitIntervals,
    reference: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> SharedFrailtyFit:
    """
    Hazard ratios of lapsing, and the variance of the frailty that a customer's spells share [1]_ [2]_.

    Parameters
    ----------
    histories : DataFrame
        ``events_1``, ``exposure_days_1``, and so on for each class of tenure, the covariates (of the customer), the
        count of customers ``n``, and where it exists ``replicate``; of ``spell_history_counts``. Days are whole,
        and the one of a lapse counts as half a day at risk.
    breaks_days : list of int
        The breaks that the histories were counted with, one a class.
    covariates : list of str
        Text columns or numbers; at least one.
    intervals : {"replicate", "information"}
        Of the ratios, as for ``cox``: one-step delete-a-group jackknife, or the model's own.
    reference : mapping, optional
        Reference levels; by default the most frequent.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        As ``cox`` refuses columns; with a class without a lapse, fewer than 5 customers with two lapses (one each
        does not tell a frailty from a falling rate), or a variance that grows without end.

    Warns
    -----
    FewEventsWarning
        Fewer than 20 customers with two lapses; fewer than 10 customers with a lapse a column.

    References
    ----------
    .. [1] Vaupel, Manton and Stallard (1979), Demography 16:439.
    .. [2] Therneau and Grambsch (2000), Modeling Survival Data, chapter 9; Lawless (1987), Canadian Journal of
       Statistics 15:209.
    """
    if intervals not in get_args(FitIntervals):
        raise ModelError(f"intervals must be 'replicate' or 'information'; came '{intervals}'")
    histories = _checked(histories, breaks_days)
    columns = design(histories, covariates, reference)
    own = _arrays(histories, len(breaks_days), columns)
    _check_enough(histories, own, columns, intervals)
    mean, scale = columns.matrix.mean(axis=0), columns.matrix.std(axis=0)
    rate = (own.n @ own.events) / (own.n @ own.exposure)
    start, naive = fit_given(0.0, np.concatenate([np.log(rate), np.zeros(len(scale))]), own)
    variance = largest_variance(start, own)
    at, there = fit_given(variance, start, own) if variance > 0 else (start, naive)

    n_classes, n = len(breaks_days), int(own.n.sum())
    back = np.diag(np.concatenate([np.ones(n_classes), 1 / scale, [1.0]]))
    back[:n_classes, n_classes:-1] = -mean / scale
    groups = histories["replicate"].to_numpy(np.int64) if intervals == "replicate" else None
    # on the edge the variance does not move, and without a frailty it is not there
    with_it = _spread(own, there, back, groups, free=variance > 0)
    without = _spread(own, naive, back, groups, free=False)
    parameters = np.append(back[:-1, :-1] @ at, variance)
    inside = slice(n_classes, -1)

    def ratios(point: np.ndarray, spread: _Spread) -> dict[str, Estimate]:
        moved = None if spread.moved is None else spread.moved[:, inside]
        return ratio_estimates(
            columns.names, point[inside], spread.error[inside], moved, unit="hazard_ratio", n=n, level=level
        )

    ends = profile_interval(variance, there.value, float(stats.chi2.ppf(level, 1)), start, own)
    chi_square = max(2 * (there.value - naive.value), 0.0)
    return SharedFrailtyFit(
        names=columns.names,
        coefficients=parameters[inside],
        standard_error=with_it.error[inside],
        hazard_ratios=ratios(parameters, with_it),
        without_frailty=ratios(np.append(back[:-1, :-1] @ start, 0.0), without),
        daily_rate=np.exp(parameters[:n_classes]),
        variance=Estimate(value=variance, lower=ends[0], upper=ends[1], unit="variance", n=n, level=level),
        chi_square=chi_square,
        p_value=float(stats.chi2.sf(chi_square, 1) / 2) if variance > 0 else 1.0,
        log_likelihood=there.value,
        log_likelihood_without=naive.value,
        breaks_days=tuple(breaks_days),
        n=n,
        n_events=int(own.n @ own.events.sum(axis=1)),
        n_repeated=_repeated(own),
        intervals=intervals,
        level=level,
        parameters=parameters,
        covariance=with_it.covariance,
        moved=with_it.moved,
    )


def marginal_hazard_ratio(fit: SharedFrailtyFit, name: str, day: float) -> Estimate:
    """
    Hazard ratio of a column among all who are still in their first spell on ``day``, frailties mixed.

    The frail leave first, and sooner where rates are high, so those who are left differ less and less: the ratio
    starts at the one given the frailty and drifts towards 1 [1]_. The other columns are at zero.

    Parameters
    ----------
    day : float
        From the first break on.

    References
    ----------
    .. [1] Aalen (1994), Statistical Methods in Medical Research 3:227.
    """
    if name not in fit.names:
        raise ModelError(f"the fit has no column '{name}'; {nearest(name, fit.names)}")
    if day < fit.breaks_days[0]:
        raise ModelError(f"day {day:g} lies before the first break, {fit.breaks_days[0]}; choose a later day")
    stops = np.append(fit.breaks_days[1:], np.inf)
    days = np.clip(np.minimum(day, stops) - np.array(fit.breaks_days), 0, None)
    place, n_classes = len(days) + fit.names.index(name), len(days)

    def log_ratio(parameters: np.ndarray) -> float:
        gone = max(parameters[-1], 0.0) * (days @ np.exp(parameters[:n_classes]))
        own = parameters[place]
        return float(own + np.log1p(gone) - np.log1p(gone * np.exp(own)))

    return _ratio_of(fit, log_ratio)


def _ratio_of(fit: SharedFrailtyFit, log_ratio: Callable[[np.ndarray], float]) -> Estimate:
    """A ratio that is a function of all parameters: by the jackknife, or by the slope of its logarithm."""
    value = log_ratio(fit.parameters)
    if fit.moved is not None:
        without = np.exp([log_ratio(fit.parameters - moved) for moved in fit.moved])
        return jackknife(float(np.exp(value)), without, unit="hazard_ratio", n=fit.n, scale="log", level=fit.level)
    steps = np.eye(len(fit.parameters)) * 1e-6
    slope = np.array([(log_ratio(fit.parameters + step) - log_ratio(fit.parameters - step)) / 2e-6 for step in steps])
    half = float(stats.norm.ppf(0.5 + fit.level / 2) * np.sqrt(slope @ fit.covariance @ slope))
    ratio, lower, upper = (float(np.exp(value + end)) for end in (0, -half, half))
    return Estimate(value=ratio, lower=lower, upper=upper, unit="hazard_ratio", n=fit.n, level=fit.level)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Spread:
    """Covariance of all parameters by the information, their moves as each group is left out, and standard errors."""

    covariance: np.ndarray
    moved: np.ndarray | None
    error: np.ndarray


def _spread(own: Histories, found: Evaluation, back: np.ndarray, groups: np.ndarray | None, *, free: bool) -> _Spread:
    kept = slice(None) if free else slice(None, -1)
    inverse = np.zeros_like(found.information)
    inverse[kept, kept] = np.linalg.inv(found.information[kept, kept])
    covariance = back @ inverse @ back.T
    if groups is None:
        return _Spread(covariance=covariance, moved=None, error=np.sqrt(np.diag(covariance)))
    score = np.stack([np.bincount(groups, own.n * column, N_GROUPS) for column in found.scores.T], axis=1)
    moved = score @ inverse @ back.T
    return _Spread(covariance=covariance, moved=moved, error=spread_of_moves(moved))


def _arrays(histories: pd.DataFrame, n_classes: int, columns: Design) -> Histories:
    """Arrays of the likelihood; a lapse fell somewhere within its day, of which half counts as at risk."""
    classes = range(1, n_classes + 1)
    events = histories[[f"events_{k}" for k in classes]].to_numpy(float)
    x = (columns.matrix - columns.matrix.mean(axis=0)) / columns.matrix.std(axis=0)
    return Histories(
        events=events,
        exposure=histories[[f"exposure_days_{k}" for k in classes]].to_numpy(float) - events / 2,
        x=x[columns.pattern],
        n=histories["n"].to_numpy(float),
    )


def _repeated(own: Histories) -> int:
    return int(own.n[own.events.sum(axis=1) >= 2].sum())


def _checked(histories: pd.DataFrame, breaks_days: Sequence[int]) -> pd.DataFrame:
    if not len(breaks_days):
        raise ModelError("a frailty model needs the breaks_days that its histories were counted with; came none")
    needed = [f"{name}_{k}" for k in range(1, len(breaks_days) + 1) for name in ("events", "exposure_days")]
    beyond = f"events_{len(breaks_days) + 1}"
    missing = [c for c in (*needed, "n") if c not in histories]
    if missing or beyond in histories:
        raise ModelError(
            f"histories of {len(breaks_days)} classes have the columns {', '.join(needed)} and n; "
            + (f"missing {missing}" if missing else f"there is also {beyond}: give the breaks_days they were made with")
        )
    histories = numpy_typed(histories)
    for name in (*needed, "n"):
        values = pd.to_numeric(histories[name], errors="coerce").to_numpy(float)
        wrong = int((~np.isfinite(values) | (values < 0) | (values != np.floor(values))).sum())
        if wrong:
            raise ModelError(f"{wrong} of {len(values)} rows have a '{name}' that is no count; drop or mend them")
    histories = histories[histories["n"] > 0]
    for k in range(1, len(breaks_days) + 1):
        stray = histories.loc[histories[f"exposure_days_{k}"] < histories[f"events_{k}"], "n"].sum()
        if stray:
            raise ModelError(
                f"{stray} customers lapse more often in class {k} than they have days at risk in it; mend the histories"
            )
    return histories


def _check_enough(histories: pd.DataFrame, own: Histories, columns: Design, intervals: FitIntervals) -> None:
    total = own.events.sum(axis=1)
    tallied = pd.DataFrame({"event_observed": total > 0, "n": (own.n * np.maximum(total, 1)).astype(np.int64)})
    if "replicate" in histories:
        tallied["replicate"] = histories["replicate"].to_numpy()
    check_events(tallied, len(columns.names), intervals, stacklevel=4)
    for k, n_events in enumerate(own.n @ own.events, 1):
        if n_events == 0:
            raise ModelError(
                f"class {k} of {own.events.shape[1]} holds no lapse: its rate is 0; choose fewer breaks_days"
            )
    if _repeated(own) < FEWEST_EVENTS:
        raise ModelError(
            f"{_repeated(own)} customers have two lapses or more, fewer than {FEWEST_EVENTS}: with one each a frailty "
            "cannot be told from a falling rate; use cox or discrete_hazard"
        )
    if _repeated(own) < FEW_GROUPS:
        warnings.warn(
            f"{_repeated(own)} customers have two lapses or more, fewer than {FEW_GROUPS}: the variance of the frailty "
            "rests on how the rates fall with tenure",
            FewEventsWarning,
            stacklevel=3,
        )
    for name, column in zip(columns.names, columns.matrix.T, strict=True):
        values, held = column[columns.pattern], total > 0
        for extreme, end in (("smallest", values.min()), ("largest", values.max())):
            if (values[held] == end).all():
                raise ModelError(
                    f"column '{name}' separates perfectly: each lapse has its {extreme} value, {end:g}, so its "
                    "ratio is infinite or 0; merge levels or leave it out"
                )
