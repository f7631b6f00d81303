"""
Hazard ratios by Cox's model, fitted on counts: covariate pattern by day, never one row a customer.

``n`` means replicated rows: Efron's loop over tied lapses runs over all of them, so the fit equals the one on
rows. Case weights in R's sense, where a row is one lapse however heavy, are another column.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import FewEventsWarning, ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate
from lcm_research.survival.covariates import Design, design
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

__all__ = ["CoxFit", "CoxIntervals", "cox", "predicted_survival"]

CoxIntervals = Literal["replicate", "robust", "information"]

FEWEST_EVENTS = 5
FEW_EVENTS = 10
"""Events a parameter below which a fit is refused, and doubted (Vittinghoff and McCulloch 2007; Peduzzi 1995)."""


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
    columns = design(counts, covariates, reference)
    _check_events(counts, columns, intervals)
    # centred and scaled, so that Newton steps are about standard deviations
    mean, scale = columns.matrix.mean(axis=0), columns.matrix.std(axis=0)
    x = (columns.matrix - mean) / scale
    risk = risk_sets(counts, columns.pattern, len(x), ties=ties, strata=strata, case_weights=case_weights)
    _check_separation(columns, risk)
    null = sums_at(np.zeros(x.shape[1]), x, risk)
    scaled, sums = _newton(x, risk, null, columns.names)

    inverse = np.linalg.inv(information(sums, x, risk))
    coefficients, covariance = scaled / scale, inverse / np.outer(scale, scale)
    without, robust = _influence(counts, x, risk, sums, columns.pattern, inverse / scale[:, None], cluster, intervals)
    fitted = log_likelihood(sums, x, risk)
    start, steepest = log_likelihood(null, x, risk), score(null, x, risk)
    chosen = covariance if intervals == "information" else robust
    error = np.sqrt(np.diag(chosen))
    n = int(counts["n"].sum())
    return CoxFit(
        names=columns.names,
        coefficients=coefficients,
        covariance=covariance,
        standard_error=error,
        hazard_ratios=ratio_estimates(
            columns.names, coefficients, error, without, unit="hazard_ratio", n=n, level=level
        ),
        log_likelihood_null=start,
        log_likelihood=fitted,
        likelihood_ratio=2 * (fitted - start),
        wald=float(coefficients @ np.linalg.solve(chosen, coefficients)),
        score_test=float(steepest @ np.linalg.solve(information(null, x, risk), steepest)),
        days=risk.days,
        baseline_hazard=sums.hazard * np.exp(-mean @ coefficients),
        n=n,
        n_events=int(counts.loc[counts["event_observed"].astype(bool), "n"].sum()),
        ties=ties,
        intervals=intervals,
        design=columns,
        risk=risk,
        sums=sums,
    )


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
    counts: pd.DataFrame,
    x: np.ndarray,
    risk: RiskSets,
    sums: Sums,
    pattern: np.ndarray,
    inverse: np.ndarray,
    cluster: str | None,
    intervals: CoxIntervals,
) -> tuple[np.ndarray | None, np.ndarray]:
    """How each group of customers moves the coefficients (None unless asked), and the robust covariance."""
    if intervals == "information":
        return None, np.zeros((len(inverse), len(inverse)))
    moves = score_residuals(counts, x, risk, sums, pattern) @ inverse.T
    n = counts["n"].to_numpy(float)
    if intervals == "replicate":
        groups = counts["replicate"].to_numpy(np.int64)
        moved = np.stack([np.bincount(groups, n * column, N_GROUPS) for column in moves.T], axis=1)
        return moved, (N_GROUPS - 1) / N_GROUPS * moved.T @ moved
    if cluster is None:
        return None, (moves * n[:, None]).T @ moves
    summed = pd.DataFrame(moves * n[:, None]).groupby(counts[cluster].to_numpy()).sum().to_numpy()
    return None, summed.T @ summed


def _check_events(counts: pd.DataFrame, columns: Design, intervals: CoxIntervals) -> None:
    lapsed = counts[counts["event_observed"].astype(bool) & (counts["n"] > 0)]
    n_events, n_columns = int(lapsed["n"].sum()), len(columns.names)
    told = f"{n_events} events for {n_columns} parameters ({n_events / n_columns:.1f} each)"
    if n_events < FEWEST_EVENTS * n_columns:
        raise ModelError(f"{told}, fewer than {FEWEST_EVENTS} each; merge levels or leave covariates out")
    if n_events < FEW_EVENTS * n_columns:
        warnings.warn(f"{told}, fewer than {FEW_EVENTS} each", FewEventsWarning, stacklevel=3)
    if intervals != "replicate":
        return
    if "replicate" not in counts:
        raise ModelError("intervals='replicate' needs the column 'replicate' in the counts; choose 'robust' without it")
    if lapsed["replicate"].nunique() < FEW_GROUPS:
        raise ModelError(
            f"events in {lapsed['replicate'].nunique()} groups of customers, fewer than {FEW_GROUPS}; "
            "choose intervals='information'"
        )


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
