"""
Hazard ratios where spells end in several ways: of the hazard of one cause, or of the share that it takes.

A cause's own hazard (``cause_specific``) asks how fast it takes those who are still there. The subdistribution
hazard (``fine_gray``) asks who has a larger share ended by it, and keeps those whom another cause has taken in the
risk set: a ratio there moves the cumulative incidence, but is the rate of nobody in particular. Report both.

The counts are those of ``cumulative_incidence``: ``duration_days``, ``cause``, ``n``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.survival.competing import CENSORED, checked_cause
from lcm_research.survival.covariates import design
from lcm_research.survival.hazards import CoxFit, CoxIntervals, check_choices, cox, fit_parts
from lcm_research.survival.likelihood_fit import check_events, pattern_row
from lcm_research.survival.partial_likelihood import RiskSets, Sums, TieRule, risk_sets, score_residuals
from lcm_research.survival.ratios import ratio_table
from lcm_research.survival.risk_sets import check_spells, risk_arrays

__all__ = ["FineGrayFit", "cause_specific", "fine_gray", "predicted_incidence"]

NEEDED = ("duration_days", "cause", "n")


def cause_specific(
    counts: pd.DataFrame,
    *,
    cause: str,
    covariates: Sequence[str],
    ties: TieRule,
    intervals: CoxIntervals,
    reference: Mapping[str, str] | None = None,
    strata: str | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> CoxFit:
    """
    Ratios of the hazard of ending by ``cause``, among spells that nothing has ended yet [1]_.

    Cox's model with the ends by other causes as censoring. A ratio above 1 need not mean a larger share that ends
    by the cause: another cause may take the same customers first.

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``cause`` (``""`` or ``"censored"`` while open), ``n``, the covariates, and where they
        exist ``entry_days`` and ``replicate``.
    cause : str
        One of the causes in the counts.
    covariates, ties, intervals, reference, strata, cluster, level
        As for ``cox``.

    Raises
    ------
    ModelError
        As ``cox`` and ``cumulative_incidence`` refuse.

    References
    ----------
    .. [1] Prentice et al. (1978), Biometrics 34:541.
    """
    counts = check_spells(counts, NEEDED, "a cause-specific hazard")
    checked_cause(counts, cause)
    return cox(
        counts.assign(event_observed=counts["cause"] == cause),
        covariates=covariates,
        ties=ties,
        intervals=intervals,
        reference=reference,
        strata=strata,
        cluster=cluster,
        level=level,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class FineGrayFit(CoxFit):
    """
    A fitted proportional subdistribution-hazards model.

    As ``CoxFit``, with hazards and ratios of the subdistribution: ``baseline_hazard`` is that of the share ended
    by ``cause``, and ``risk.at_risk`` holds those whom another cause has taken with their weights.
    """

    cause: str
    follow_up_days: float

    def table(self) -> pd.DataFrame:
        """Return one row a column of the model: coefficient, standard error, ratio with its interval."""
        return ratio_table(
            self.names,
            self.coefficients,
            self.standard_error,
            self.hazard_ratios,
            unit="subdistribution_hazard_ratio",
        )


def fine_gray(
    counts: pd.DataFrame,
    *,
    cause: str,
    covariates: Sequence[str],
    ties: TieRule,
    intervals: CoxIntervals,
    reference: Mapping[str, str] | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> FineGrayFit:
    """
    Ratios of the subdistribution hazard of ``cause``: who has a larger share ended by it [1]_.

    A spell that another cause ended on day s stays at risk on every later day t with the weight G(t-) / G(s-),
    the chance that it would still be under observation. G is the product-limit curve of censoring, one for all
    covariate patterns; on one day ends come before censoring, so that those who end on a day are not at risk of
    censoring on it (as in R's ``finegray``).

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``cause`` (``""`` or ``"censored"`` while open), ``n``, the covariates, known on the
        first day of the spell, and where it exists ``replicate``.
    cause : str
        One of the causes in the counts.
    ties : {"efron", "breslow"}
        As for ``cox``.
    intervals : {"replicate", "robust", "information"}
        ``replicate`` and ``robust`` take each spell's influence on the censoring weights into account. R's
        ``coxph`` on ``finegray`` data does not, and ``information`` does neither that nor hold for repeated
        spells.
    covariates, reference, cluster, level
        As for ``cox``.

    Raises
    ------
    ModelError
        As ``cox`` and ``cumulative_incidence`` refuse; and with late entry, or covariates that change within a
        spell (both are rows with ``entry_days`` above 0): a spell that has ended has no later value of a
        covariate.

    References
    ----------
    .. [1] Fine and Gray (1999), JASA 94:496.
    """
    extra = [] if cluster is None else [cluster]
    counts = check_spells(counts, (*NEEDED, *extra), "a subdistribution hazard")
    checked_cause(counts, cause)
    counts = counts.assign(event_observed=(counts["cause"] == cause).to_numpy(bool))
    check_choices(counts, ties, intervals)
    _check_entry(counts)
    columns = design(counts, covariates, reference)
    check_events(counts, len(columns.names), intervals, instead="robust")
    risk = risk_sets(counts, columns.pattern, len(columns.matrix), ties=ties, strata=None, case_weights=None)
    censoring = _censoring(counts, risk)

    def residuals(counts: pd.DataFrame, x: np.ndarray, risk: RiskSets, sums: Sums, pattern: np.ndarray) -> np.ndarray:
        return score_residuals(counts, x, risk, sums, pattern) + _later_residuals(censoring, x, risk, sums, pattern)

    parts = fit_parts(
        counts,
        columns,
        replace(risk, at_risk=risk.at_risk + _held(censoring, columns.pattern, risk)),
        residuals,
        unit="subdistribution_hazard_ratio",
        ties=ties,
        intervals=intervals,
        cluster=cluster,
        level=level,
    )
    return FineGrayFit(cause=cause, follow_up_days=float(counts["duration_days"].max()), **parts)


def predicted_incidence(fit: FineGrayFit, values: Mapping[str, float], day: float) -> float:
    """
    Share of a covariate pattern that has ended by the fit's cause by ``day``.

    One minus the product over days of one minus the pattern's subdistribution hazard; with ratios of 1 it is the
    Aalen-Johansen estimate.

    Parameters
    ----------
    values : mapping
        A number for every column of ``fit.names``; 0 or 1 for a level.
    day : float
        Within the follow-up.
    """
    if not 0 <= day <= fit.follow_up_days:
        raise ModelError(
            f"day {day:g} is outside the follow-up of {fit.follow_up_days:g} days; choose a day in "
            f"[0, {fit.follow_up_days:g}] or wait for more data"
        )
    row = pattern_row(fit.names, values) - fit.design.matrix.mean(axis=0)
    relative = float(np.exp(row @ fit.coefficients))
    if fit.ties == "breslow":
        hazard = fit.sums.hazard[fit.days <= day]
    else:  # Efron takes tied ends off one after another
        hazard = (fit.risk.weight / fit.sums.denominator)[fit.days[fit.risk.day_of_step] <= day]
    return float(1 - np.prod(np.clip(1 - relative * hazard, 0, 1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Censoring:
    """
    The product-limit curve of censoring, and what each row of counts and each day of the fit need of it.

    ``times``: all days with an end, with the spells ``exposed`` to censoring on each and those ``lost``; ``chance``:
    G just before each day of the fit; ``place``: each row's end among ``times``; ``before_end``: G just before it;
    ``open``, ``taken``: rows lost sight of, and rows that another cause ended.
    """

    times: np.ndarray
    exposed: np.ndarray
    lost: np.ndarray
    chance: np.ndarray
    place: np.ndarray
    before_end: np.ndarray
    open: np.ndarray
    taken: np.ndarray
    n: np.ndarray


def _censoring(counts: pd.DataFrame, risk: RiskSets) -> _Censoring:
    still_open = counts["cause"].isin(CENSORED).to_numpy(bool)
    one_group = np.zeros(len(counts), np.int64)
    times, at_risk, (lost, ended) = risk_arrays(counts, [still_open, ~still_open], one_group, 1)
    exposed = (at_risk - ended)[0]
    stays = np.concatenate([[1.0], np.cumprod(1 - _ratio(lost[0], exposed))])
    place = np.searchsorted(times, counts["duration_days"].to_numpy())
    return _Censoring(
        times=times,
        exposed=exposed,
        lost=lost[0],
        chance=stays[np.searchsorted(times, risk.days)],
        place=place,
        before_end=stays[place],
        open=still_open,
        taken=~still_open & ~counts["event_observed"].to_numpy(bool),
        n=counts["n"].to_numpy(float),
    )


def _held(censoring: _Censoring, pattern: np.ndarray, risk: RiskSets) -> np.ndarray:
    """Weights of spells that another cause has ended, by pattern and day of the fit after it."""
    n_patterns, n_days = risk.at_risk.shape
    rows = censoring.taken
    flat = pattern[rows] * (n_days + 1) + risk.ended_by[rows]
    mass = np.bincount(flat, censoring.n[rows] / censoring.before_end[rows], n_patterns * (n_days + 1))
    return censoring.chance * mass.reshape(n_patterns, n_days + 1)[:, :-1].cumsum(axis=1)


def _later_residuals(
    censoring: _Censoring, x: np.ndarray, risk: RiskSets, sums: Sums, pattern: np.ndarray
) -> np.ndarray:
    """Each row's share in the score after another cause ended it, and by moving the curve of censoring."""
    drawn = sums.square[:, None] * sums.at_risk_x - sums.square_off[:, None] * sums.events_x
    to_come = np.zeros((len(risk.days) + 1, 1 + x.shape[1]))
    both = censoring.chance[:, None] * np.column_stack([sums.hazard, drawn])
    to_come[:-1] = both[::-1].cumsum(axis=0)[::-1]

    weight = np.where(censoring.taken, sums.relative[pattern] / censoring.before_end, 0.0)[:, None]
    hazard, moment = to_come[risk.ended_by, :1], to_come[risk.ended_by, 1:]
    own = -weight * (x[pattern] * hazard - moment)

    # a change of log G on day s moves the weights of those taken by then on every later day: Fine and Gray's q
    n_times = len(censoring.times)
    mass = (censoring.n[:, None] * weight * np.column_stack([np.ones(len(pattern)), x[pattern]])).T
    held = np.stack([np.bincount(censoring.place, each, n_times) for each in mass], axis=1).cumsum(axis=0)
    after = to_come[np.searchsorted(risk.days, censoring.times, side="right")]
    q = held[:, :1] * after[:, 1:] - held[:, 1:] * after[:, :1]
    drift = q * _ratio(censoring.lost, censoring.exposed * (censoring.exposed - censoring.lost))[:, None]
    drift_before = np.concatenate([np.zeros((1, q.shape[1])), drift.cumsum(axis=0)])[censoring.place]
    jump = (q * _ratio(np.ones(n_times), censoring.exposed)[:, None])[censoring.place]
    return own + drift_before - censoring.open[:, None] * jump


def _check_entry(counts: pd.DataFrame) -> None:
    if "entry_days" in counts and (counts["entry_days"] > 0).any():
        late = int(counts.loc[counts["entry_days"] > 0, "n"].sum())
        raise ModelError(
            f"{late} of {int(counts['n'].sum())} spells have entry_days above 0 (late entry, or a covariate that "
            "changes within a spell), for which the weights of a subdistribution hazard are not defined here; use "
            "counts with incident entry and covariates of the first day, or cause_specific"
        )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
