"""
Hazard ratios by Cox's model, fitted on counts: covariate pattern by day, never one row a customer.

``n`` means replicated rows: Efron's loop over tied lapses runs over all of them, so the fit equals the one on
rows. Case weights in R's sense, where a row is one lapse however heavy, are another column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate
from lcm_research.survival.covariates import Design, design
from lcm_research.survival.likelihood_fit import FEWEST_EVENTS, check_events
from lcm_research.survival.partial_likelihood import (
    RiskSets,
    Sums,
    TieRule,
    information,
    log_likelihood,
    risk_sets,
    score,
    score_residuals,
    sums_at,
)
from lcm_research.survival.ratios import ratio_estimates, ratio_table
from lcm_research.survival.risk_sets import SPELL, check_spells

__all__ = [
    "FEWEST_EVENTS",
    "CoxFit",
    "CoxIntervals",
    "Residuals",
    "check_choices",
    "cox",
    "fit_parts",
    "predicted_survival",
]

CoxIntervals = Literal["replicate", "robust", "information"]

Residuals = Callable[[pd.DataFrame, np.ndarray, RiskSets, Sums, np.ndarray], np.ndarray]
"""From counts, columns, risk sets, sums and patterns to each row's share in the score, shape (n_rows, p)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxFit:
    """
    A fitted proportional-hazards model.

    Attributes
    ----------
    names : tuple of str, length p
        Columns: ``region[south]`` for a level, ``age`` for a number.
    coefficients : array of shape (p,)
        Log hazard ratios.
    covariance : array of shape (p, p)
        Inverse of the observed information.
    standard_error : array of shape (p,)
        As ``intervals`` asked: of the information, the sandwich or the jackknife.
    hazard_ratios : mapping of name to Estimate
        Lapses a day at risk relative to the reference level, or for one unit more of a number.
    log_likelihood_null, log_likelihood, likelihood_ratio, wald, score_test : float
        At zero and at the fit; the three chi-squares with p degrees of freedom (Wald's as ``intervals`` asked).
    days, baseline_hazard : arrays
        Days with an event (stratum after stratum) and the hazard on each at zero of every column.
    n, n_events : int
        Spells and events.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray
    standard_error: np.ndarray
    hazard_ratios: Mapping[str, Estimate]
    log_likelihood_null: float
    log_likelihood: float
    likelihood_ratio: float
    wald: float
    score_test: float
    days: np.ndarray
    baseline_hazard: np.ndarray
    n: int
    n_events: int
    ties: TieRule
    intervals: CoxIntervals
    design: Design = field(repr=False)
    risk: RiskSets = field(repr=False)
    sums: Sums = field(repr=False)

    def table(self) -> pd.DataFrame:
        """Return one row a column of the model: coefficient, standard error, hazard ratio with its interval."""
        return ratio_table(self.names, self.coefficients, self.standard_error, self.hazard_ratios, unit="hazard_ratio")


def cox(
    counts: pd.DataFrame,
    *,
    covariates: Sequence[str],
    ties: TieRule,
    intervals: CoxIntervals,
    reference: Mapping[str, str] | None = None,
    strata: str | None = None,
    case_weights: str | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> CoxFit:
    """
    Ratios of the hazard of lapsing between covariate patterns [1]_.

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``event_observed``, ``n``, the covariates, and where they exist ``entry_days`` and
        ``replicate``.
    covariates : list of str
        Text columns (a ratio for each level against the reference) or numbers (a ratio a unit).
    ties : {"efron", "breslow"}
        Several lapses on one day: Efron's is close to exact, Breslow's pulls ratios towards 1.
    intervals : {"replicate", "robust", "information"}
        ``replicate``: one-step delete-a-group jackknife from the score residuals, t with 99 degrees of freedom,
        for customers with several spells. ``robust``: sandwich by row, or by ``cluster`` [2]_. ``information``:
        the model's own.
    reference : mapping, optional
        Reference levels; by default the most frequent.
    strata : str, optional
        Column whose values each have a baseline of their own.
    case_weights : str, optional
        Column with weights of rows in R's sense.
    cluster : str, optional
        Column that groups rows for ``intervals="robust"``.
    level : float
        Confidence level.

    Raises
    ------
    ModelError
        Before fitting, naming the column: missing values, constant, collinear or perfectly separating; fewer
        than 5 events a parameter; ``replicate`` with events in fewer than 20 groups.

    Warns
    -----
    FewEventsWarning
        Fewer than 10 events a parameter.

    References
    ----------
    .. [1] Cox (1972), JRSS B 34:187; Efron (1977), JASA 72:557.
    .. [2] Lin and Wei (1989), JASA 84:1074.
    """
    extra = [name for name in (strata, case_weights, cluster) if name is not None]
    counts = check_spells(counts, (*SPELL, *extra), "Cox's model")
    check_choices(counts, ties, intervals, case_weights)
    columns = design(counts, covariates, reference)
    check_events(counts, len(columns.names), intervals, instead="robust")
    risk = risk_sets(counts, columns.pattern, len(columns.matrix), ties=ties, strata=strata, case_weights=case_weights)
    parts = fit_parts(
        counts,
        columns,
        risk,
        score_residuals,
        unit="hazard_ratio",
        ties=ties,
        intervals=intervals,
        cluster=cluster,
        level=level,
    )
    return CoxFit(**parts)


def fit_parts(
    counts: pd.DataFrame,
    columns: Design,
    risk: RiskSets,
    residuals: Residuals,
    *,
    unit: str,
    ties: TieRule,
    intervals: CoxIntervals,
    cluster: str | None,
    level: float,
) -> dict[str, Any]:
    """Maximise the partial likelihood of risk sets; return every attribute of a ``CoxFit`` by name."""
    _check_contrasts(counts, columns, risk)
    # centred and scaled, so that Newton steps are about standard deviations
    mean, scale = columns.matrix.mean(axis=0), columns.matrix.std(axis=0)
    x = (columns.matrix - mean) / scale
    null = sums_at(np.zeros(x.shape[1]), x, risk)
    scaled, sums = _newton(x, risk, null, columns.names)

    inverse = np.linalg.inv(information(sums, x, risk))
    coefficients, covariance = scaled / scale, inverse / np.outer(scale, scale)
    without = None
    chosen = covariance
    if intervals != "information":
        moves = residuals(counts, x, risk, sums, columns.pattern) @ (inverse / scale[:, None]).T
        without, chosen = _influence(counts, moves, cluster, intervals)
    fitted = log_likelihood(sums, x, risk)
    start, steepest = log_likelihood(null, x, risk), score(null, x, risk)
    error = np.sqrt(np.diag(chosen))
    n = int(counts["n"].sum())
    return {
        "names": columns.names,
        "coefficients": coefficients,
        "covariance": covariance,
        "standard_error": error,
        "hazard_ratios": ratio_estimates(columns.names, coefficients, error, without, unit=unit, n=n, level=level),
        "log_likelihood_null": start,
        "log_likelihood": fitted,
        "likelihood_ratio": 2 * (fitted - start),
        "wald": float(coefficients @ np.linalg.solve(chosen, coefficients)),
        "score_test": float(steepest @ np.linalg.solve(information(null, x, risk), steepest)),
        "days": risk.days,
        "baseline_hazard": sums.hazard * np.exp(-mean @ coefficients),
        "n": n,
        "n_events": int(counts.loc[counts["event_observed"], "n"].sum()),
        "ties": ties,
        "intervals": intervals,
        "design": columns,
        "risk": risk,
        "sums": sums,
    }


def predicted_survival(fit: CoxFit, values: Mapping[str, float], day: float) -> float:
    """
    Share of a covariate pattern that goes on past ``day``.

    Parameters
    ----------
    values : mapping
        A number for every column of ``fit.names``; 0 or 1 for a level.
    day : float
        Within the days of the fit, which must have no strata.
    """
    if fit.risk.n_strata > 1:
        raise ModelError(f"the fit has {fit.risk.n_strata} strata, each with its own baseline; fit one of them")
    missing = [name for name in fit.names if name not in values]
    if missing:
        raise ModelError(f"a prediction needs a value for every column; missing {missing}")
    relative = np.exp(sum(fit.coefficients[i] * values[name] for i, name in enumerate(fit.names)))
    return float(np.exp(-fit.baseline_hazard[fit.days <= day].sum() * relative))


def _newton(x: np.ndarray, risk: RiskSets, start: Sums, names: Sequence[str]) -> tuple[np.ndarray, Sums]:
    """Maximise the partial likelihood; halve a step that does not climb."""
    at, sums = np.zeros(x.shape[1]), start
    value = log_likelihood(sums, x, risk)
    spread, direction = np.linalg.eigh(information(sums, x, risk))
    if spread[0] < 1e-10 * spread[-1]:
        raise ModelError(
            f"column '{names[int(np.abs(direction[:, 0]).argmax())]}' is collinear among those at risk on days with an "
            "event: the others determine it there; leave one of them out"
        )
    for _ in range(50):
        step = np.linalg.solve(information(sums, x, risk), score(sums, x, risk))
        while True:
            ahead = sums_at(at + step, x, risk)
            new = log_likelihood(ahead, x, risk)
            if new >= value - 1e-9 * abs(value) or np.abs(step).max() < 1e-12:
                break
            step = step / 2
        at, sums, value = at + step, ahead, new
        far = int(np.abs(at).argmax())
        if abs(at[far]) > 20:
            raise ModelError(
                f"column '{names[far]}' separates the events together with others: its coefficient grows without end; "
                "merge levels or leave it out"
            )
        if np.abs(step).max() < 1e-10:
            return at, sums
    raise ModelError(f"the fit of {list(names)} did not settle in 50 steps; merge rare levels")


def _influence(
    counts: pd.DataFrame, moves: np.ndarray, cluster: str | None, intervals: CoxIntervals
) -> tuple[np.ndarray | None, np.ndarray]:
    """How each group of customers moves the coefficients (by replicate only), and the robust covariance."""
    n = counts["n"].to_numpy(float)
    if intervals == "replicate":
        groups = counts["replicate"].to_numpy(np.int64)
        moved = np.stack([np.bincount(groups, n * column, N_GROUPS) for column in moves.T], axis=1)
        return moved, (N_GROUPS - 1) / N_GROUPS * moved.T @ moved
    if cluster is None:
        return None, (moves * n[:, None]).T @ moves
    codes = pd.factorize(counts[cluster])[0]
    summed = np.stack([np.bincount(codes, n * column) for column in moves.T])
    return None, summed @ summed.T


def check_choices(counts: pd.DataFrame, ties: str, intervals: str, case_weights: str | None = None) -> None:
    """Refuse an unknown tie rule or kind of interval, and case weights that weigh nothing."""
    for name, chosen, known in (("ties", ties, get_args(TieRule)), ("intervals", intervals, get_args(CoxIntervals))):
        if chosen not in known:
            raise ModelError(f"{name} must be one of {', '.join(known)}; came '{chosen}'")
    if case_weights is None:
        return
    weights = counts[case_weights].to_numpy(float)
    wrong = int((~np.isfinite(weights) | (weights <= 0)).sum())
    if wrong:
        raise ModelError(
            f"{wrong} of {len(weights)} rows have a case weight in '{case_weights}' that is not a positive number; "
            "leave those rows out"
        )


def _check_contrasts(counts: pd.DataFrame, columns: Design, risk: RiskSets) -> None:
    """Refuse events on a single day, and columns that set one spell apart or nobody at risk together."""
    if len(risk.days) == 1:
        raise ModelError(
            f"all {int(counts.loc[counts['event_observed'], 'n'].sum())} events are on day {risk.days[0]:g}: there is "
            "no order of events to compare; compare shares (for day 1 by first_day_logit) or count days finer"
        )
    sizes = np.bincount(columns.pattern, counts["n"].to_numpy(float), len(columns.matrix))
    at_risk = risk.at_risk > 0
    for name, column in zip(columns.names, columns.matrix.T, strict=True):
        values = np.unique(column)
        if len(values) == 2 and min(sizes[column == value].sum() for value in values) == 1:
            raise ModelError(
                f"column '{name}' sets one spell apart from all others: its ratio would be one customer's; merge "
                "levels or leave it out"
            )
        top, bottom = (np.where(at_risk, sign * column[:, None], -np.inf).max(axis=0) for sign in (1, -1))
        if (top == -bottom).all():
            raise ModelError(
                f"column '{name}' is the same for all at risk{' within a stratum' if risk.n_strata > 1 else ''} on "
                "each day with an event: nobody to compare; leave it out"
            )
    _check_separation(columns, risk)


def _check_separation(columns: Design, risk: RiskSets) -> None:
    """Refuse a column whose largest (or smallest) value at risk belongs to the lapse, on every day with one."""
    at_risk, lapsed = risk.at_risk > 0, risk.events > 0
    for name, column in zip(columns.names, columns.matrix.T, strict=True):
        for sign, extreme in ((1, "largest"), (-1, "smallest")):
            signed = sign * column[:, None]
            top = np.where(at_risk, signed, -np.inf).max(axis=0)
            if (np.where(lapsed, signed, np.inf).min(axis=0) >= top).all():
                raise ModelError(
                    f"column '{name}' separates perfectly: each lapse has the {extreme} value at risk on its day, so "
                    "its hazard ratio is infinite or 0; merge levels or leave it out"
                )
