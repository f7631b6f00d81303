"""
Which distribution of the days until the lapse: by Akaike's criterion, by a test of a special case, by its residuals.

The closest of those compared need not be close. The residuals say so in the days that were seen; beyond the
follow-up nothing does.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError, ShortFollowUpWarning
from lcm_research.survival.cumulative_hazard import running_rate
from lcm_research.survival.cure import CureDistribution, mixture_cure
from lcm_research.survival.curves import SurvivalCurve
from lcm_research.survival.duration_fit import check_durations
from lcm_research.survival.duration_likelihood import DISTRIBUTIONS, STANDARD, Distribution, log_survival
from lcm_research.survival.follow_up import follow_up_check
from lcm_research.survival.likelihood_fit import columns_of
from lcm_research.survival.parametric import AcceleratedFailureTimeFit, fit_columns
from lcm_research.survival.risk_sets import SPELL, check_spells, entry_days, risk_arrays

__all__ = [
    "Agreement",
    "LikelihoodRatio",
    "agreement",
    "choose_distribution",
    "cox_snell_residuals",
    "likelihood_ratio_test",
]


@dataclass(frozen=True, kw_only=True)
class LikelihoodRatio:
    """Twice the gain in log-likelihood of a distribution over its special case, and the chance of as much."""

    general: str
    special_case: str
    chi_square: float
    degrees_of_freedom: int
    p_value: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """
    How close a fitted curve runs to the one that was seen.

    ``largest_gap`` (fitted less seen) is on ``on_day``; ``share_inside`` of the ``n_days`` days with an event
    have the fitted curve within the pointwise interval of the one seen.
    """

    largest_gap: float
    on_day: float
    share_inside: float
    n_days: int
    level: float


def choose_distribution(
    counts: pd.DataFrame,
    *,
    covariates: Sequence[str],
    distributions: Sequence[Distribution] = DISTRIBUTIONS,
    with_cured_share: bool = False,
    reference: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """
    Compare distributions by Akaike's criterion, on the same counts and columns [1]_.

    The smallest is the closest of those compared, which need not be close: draw its curve beside Kaplan-Meier's.

    Parameters
    ----------
    distributions : list of {"weibull", "lognormal", "loglogistic", "exponential", "gengamma"}
    with_cured_share : bool
        Compare the first three also mixed with a share that never lapses, the covariates in both parts, where
        the follow-up has a plateau (``follow_up_check``).

    Returns
    -------
    DataFrame
        One row a distribution, best first: ``distribution``, ``cured_share`` (whether it is mixed with one),
        ``n_parameters``, ``log_likelihood``, ``aic``, ``aic_difference`` (from the best). A generalised gamma
        whose shape runs off, and a mixture whose share does or is not identified, have no row.

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
    counts = check_spells(counts, SPELL, "a comparison of distributions", continuous=True)
    columns = columns_of(counts, covariates, reference)
    check_durations(counts, columns, "information", distributions)
    rows: list[tuple[str, bool, int, float, float]] = []
    for each in distributions:
        with contextlib.suppress(*([ModelError] if each == "gengamma" else [])):
            fit = fit_columns(counts, columns, each, "information", 0.95)
            rows.append((each, False, len(fit.names), fit.log_likelihood, fit.aic))
    if with_cured_share and follow_up_check(counts).sufficient:
        rows += _mixtures(counts, covariates, distributions, reference)
    names = ["distribution", "cured_share", "n_parameters", "log_likelihood", "aic"]
    table = pd.DataFrame(rows, columns=names)
    table["aic_difference"] = table["aic"] - table["aic"].min()
    return table.sort_values("aic", ignore_index=True)


def likelihood_ratio_test(
    general: AcceleratedFailureTimeFit, special_case: AcceleratedFailureTimeFit
) -> LikelihoodRatio:
    """
    Test whether a special case of a distribution is enough, both fitted to the same counts and columns.

    Parameters
    ----------
    general, special_case : AcceleratedFailureTimeFit
        The generalised gamma has the log-normal (shape 0), the Weibull (shape 1) and the exponential (shape and
        scale 1) as special cases, the Weibull the exponential.

    Raises
    ------
    ModelError
        For two fits of which neither is a special case of the other, or of different counts or columns.

    Examples
    --------
    Four spells a day on days 1 to 4 wear out; the exponential does not:

    >>> from lcm_research.survival.parametric import accelerated_failure_time
    >>> counts = pd.DataFrame({"duration_days": [1, 2, 3, 4], "event_observed": True, "n": 4})
    >>> fits = [accelerated_failure_time(counts, distribution=d, covariates=[], intervals="information")
    ...         for d in ("weibull", "exponential")]
    >>> test = likelihood_ratio_test(*fits)
    >>> test.degrees_of_freedom, round(test.chi_square, 2)
    (1, 13.36)
    """
    nested = {"gengamma": ("lognormal", "weibull", "exponential"), "weibull": ("exponential",)}
    if special_case.distribution not in nested.get(general.distribution, ()):
        raise ModelError(
            f"'{special_case.distribution}' is no special case of '{general.distribution}'; compare the two "
            "by choose_distribution"
        )
    same = general.design.names == special_case.design.names
    if not same or (general.n, general.n_events) != (special_case.n, special_case.n_events):
        raise ModelError(
            f"the fits are of {general.n} and {special_case.n} spells with {general.n_events} and "
            f"{special_case.n_events} events, of columns {list(general.design.names)} and "
            f"{list(special_case.design.names)}; a likelihood-ratio test needs both on the same counts and columns"
        )
    gain = 2 * (general.log_likelihood - special_case.log_likelihood)
    degrees = len(general.names) - len(special_case.names)
    return LikelihoodRatio(
        general=general.distribution,
        special_case=special_case.distribution,
        chi_square=gain,
        degrees_of_freedom=degrees,
        p_value=float(stats.chi2.sf(gain, degrees)),
        n=general.n,
    )


def cox_snell_residuals(fit: AcceleratedFailureTimeFit, counts: pd.DataFrame) -> pd.DataFrame:
    """
    Cumulative hazard that the fit gives each spell, beside the one that the spells show [1]_.

    Under the fitted distribution the residuals are censored draws from a unit exponential, whose cumulative
    hazard is the residual itself: a table whose two columns run apart shows where the distribution does not hold.

    Parameters
    ----------
    counts : DataFrame
        Those that were fitted.

    Returns
    -------
    DataFrame
        One row a distinct residual with an event, rising: ``residual``, ``cumulative_hazard`` (Nelson-Aalen's) with its
        pointwise interval ``lower`` and ``upper`` on the log scale, ``at_risk``, ``events``.

    References
    ----------
    .. [1] Cox and Snell (1968), JRSS B 30:248.
    """
    counts = check_spells(counts, SPELL, "a check of residuals", continuous=True)
    standard, design = STANDARD[fit.distribution], fit.design
    x = np.column_stack([np.ones(len(design.matrix)), design.matrix])[design.pattern]
    if len(x) != len(counts):
        raise ModelError(f"the fit is of {len(x)} rows of counts, these are {len(counts)}; give those that were fitted")
    k = x.shape[1]
    v = np.full(len(x), fit.shape or 0.0)

    def hazard(days: np.ndarray) -> np.ndarray:
        z = (np.log(np.where(days > 0, days, 1.0)) - x @ fit.coefficients[:k]) / fit.scale
        return np.where(days > 0, -standard.survival(z, v).value, 0.0)

    entered = hazard(entry_days(counts).astype(float))
    seen = counts.assign(duration_days=hazard(counts["duration_days"].to_numpy(float)), entry_days=entered)
    lapsed = counts["event_observed"].to_numpy(bool)
    times, at_risk, (events,) = risk_arrays(seen, [lapsed], np.zeros(len(x), np.int64), 1)
    total, _, lower, upper, _ = running_rate(at_risk, events, fit.level)
    columns = {
        "residual": times,
        "cumulative_hazard": total,
        "lower": lower,
        "upper": upper,
        "at_risk": np.rint(at_risk[0]).astype(np.int64),
        "events": np.rint(events[0]).astype(np.int64),
    }
    return pd.DataFrame(columns).loc[lambda table: table["events"] > 0].reset_index(drop=True)


def agreement(fit: AcceleratedFailureTimeFit, curve: SurvivalCurve, *, given_day: float, min_at_risk: int) -> Agreement:
    """
    Hold a fitted curve without covariates against the product-limit curve of the same spells.

    Parameters
    ----------
    given_day : float
        Day past which all spells went (1 for those that go on after their first day); 0 for all spells.
    min_at_risk : int
        Days with fewer spells at risk are not compared.

    Raises
    ------
    ModelError
        For a fit with covariates, or a curve without a day to compare.
    """
    if fit.design.names:
        raise ModelError(f"the fit has the columns {list(fit.design.names)}; a curve of all spells needs a fit without")
    days = (curve.at_risk >= min_at_risk) & (curve.events > 0) & (curve.times > given_day)
    if not days.any():
        raise ModelError(f"the curve has no day with an event and {min_at_risk} spells at risk; ask for fewer")
    standard, second = STANDARD[fit.distribution], np.ones(0 if fit.shape is None else 1)
    past, given = (
        np.array([log_survival(standard, fit.coefficients, np.ones(1), second, day)[0] for day in at])
        for at in (curve.times[days], [given_day])
    )
    fitted = np.exp(past - given)
    gaps = fitted - curve.survival[days]
    furthest = int(np.abs(gaps).argmax())
    inside = (curve.lower[days] <= fitted) & (fitted <= curve.upper[days])
    return Agreement(
        largest_gap=float(gaps[furthest]),
        on_day=float(curve.times[days][furthest]),
        share_inside=float(inside.mean()),
        n_days=int(days.sum()),
        level=curve.level,
    )


def _mixtures(
    counts: pd.DataFrame,
    covariates: Sequence[str],
    distributions: Sequence[Distribution],
    reference: Mapping[str, str] | None,
) -> list[tuple[str, bool, int, float, float]]:
    rows: list[tuple[str, bool, int, float, float]] = []
    for each in get_args(CureDistribution):
        if each not in distributions:
            continue
        with contextlib.suppress(ModelError, ShortFollowUpWarning), warnings.catch_warnings():
            warnings.simplefilter("error", ShortFollowUpWarning)
            fit = mixture_cure(
                counts,
                distribution=each,
                covariates=covariates,
                cured_covariates=covariates,
                intervals="information",
                reference=reference,
            )
            rows.append((each, True, len(fit.names), fit.log_likelihood, fit.aic))
    return rows
