"""
Hazard ratios that change over tenure: one a stretch of days, or a drift with the logarithm of the day.

The remedy where a test speaks against proportional hazards. Spells are cut at named days (``split_at``), and in each
stretch a covariate has a ratio of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, Estimate, jackknife
from lcm_research.survival.covariates import design
from lcm_research.survival.hazards import FEWEST_EVENTS, CoxFit, cox
from lcm_research.survival.likelihood_fit import FitIntervals
from lcm_research.survival.partial_likelihood import TieRule
from lcm_research.survival.risk_sets import SPELL, check_spells
from lcm_research.survival.split_spells import split_at

__all__ = ["DriftRatios", "DriftScale", "StepRatios", "drift_ratios", "ratio_on_day", "step_ratios", "usable_days"]

DriftScale = Literal["log", "identity"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StepRatios:
    """
    Hazard ratios of one covariate, one for each stretch of tenure.

    Attributes
    ----------
    covariate : str
    names : tuple of str
        Its columns: ``region[south]`` for a level, ``age`` for a number.
    from_day, until_day : arrays of int, shape (n_steps,)
        First and last day of each stretch; the last one ends with the longest spell.
    n, n_events : arrays of int, shape (n_steps,)
        Spells at risk in each stretch, and those that lapsed in it.
    ratios : mapping of name to tuple of Estimate
        One a stretch.
    chi_square, degrees_of_freedom, p_value : float
        Likelihood-ratio test against one ratio for all stretches.
    fit : CoxFit
        The model, with the other covariates.
    """

    covariate: str
    names: tuple[str, ...]
    from_day: np.ndarray
    until_day: np.ndarray
    n: np.ndarray
    n_events: np.ndarray
    ratios: Mapping[str, tuple[Estimate, ...]]
    chi_square: float
    degrees_of_freedom: int
    p_value: float
    fit: CoxFit = field(repr=False)

    def table(self) -> pd.DataFrame:
        """Return one row a column of the covariate and stretch, with the hazard ratio and its interval."""
        n_steps, told = len(self.from_day), [each for name in self.names for each in self.ratios[name]]
        steps = {c: np.tile(getattr(self, c), len(self.names)) for c in ("from_day", "until_day", "n", "n_events")}
        return pd.DataFrame(
            {"covariate": np.repeat(np.array(self.names, object), n_steps)}
            | steps
            | {
                "hazard_ratio": [each.value for each in told],
                "lower": [each.lower for each in told],
                "upper": [each.upper for each in told],
            }
        )


def step_ratios(
    counts: pd.DataFrame,
    *,
    covariate: str,
    days: Sequence[int],
    ties: TieRule,
    intervals: FitIntervals,
    covariates: Sequence[str] = (),
    reference: Mapping[str, str] | None = None,
    strata: str | None = None,
    level: float = 0.95,
) -> StepRatios:
    """
    Hazard ratios of a covariate in each stretch of tenure, by Cox's model with step functions [1]_.

    A later stretch compares those who are still there: if the first days have taken the fastest of one group, its
    ratio may turn without anybody having changed.

    Parameters
    ----------
    counts : DataFrame
        As for ``cox``.
    covariate : str
        Text (a ratio for each level against the reference) or a number; its ratio changes at ``days``.
    days : list of int
        Last day of each stretch but the last; named before looking at the ratios.
    covariates : list of str
        Others, each with one ratio throughout.
    ties, reference, strata, level
        As for ``cox``.
    intervals : {"replicate", "information"}
        As for ``cox``. A spell is several pieces here, so a sandwich by row does not hold.

    Raises
    ------
    ModelError
        As ``cox`` and ``split_at`` refuse; and with a stretch of fewer than 5 events for each column of the
        covariate, or (``replicate``) of events in fewer than 20 groups of customers.

    References
    ----------
    .. [1] Therneau and Grambsch (2000), Modeling Survival Data, section 6.5.
    """
    counts = _checked(counts, covariate, covariates, intervals)
    pieces = split_at(counts, days)
    columns = design(counts, [covariate], reference)
    n_steps = len(days) + 1
    starts = [1, *(int(day) + 1 for day in days)]
    tallied = (
        pieces.assign(n_events=pieces["n"] * pieces["event_observed"]).groupby("interval")[["n", "n_events"]].sum()
    )
    until_day = np.array([*days, counts["duration_days"].max()])
    _check_steps(pieces, len(columns.names), starts, until_day, intervals)
    made = {
        f"{name} from day {start}": value * (pieces["interval"] == place + 1)
        for name, value in _columns(pieces, columns.names, columns.levels, covariate)
        for place, start in enumerate(starts)
    }
    choices = _choices(counts, covariates, reference, ties, intervals, strata, level)
    fit = cox(pieces.assign(**made), covariates=[*made, *covariates], **choices)
    constant = cox(
        counts,
        covariates=[covariate, *covariates],
        **(choices | {"reference": choices["reference"] | dict(columns.references)}),
    )
    chi_square, n_free = max(2 * (fit.log_likelihood - constant.log_likelihood), 0.0), len(made) - len(columns.names)
    told = {
        name: tuple(
            replace(fit.hazard_ratios[f"{name} from day {start}"], n=int(n))
            for start, n in zip(starts, tallied["n"], strict=True)
        )
        for name in columns.names
    }
    return StepRatios(
        covariate=covariate,
        names=columns.names,
        from_day=np.array(starts[:n_steps]),
        until_day=until_day,
        n=tallied["n"].to_numpy(),
        n_events=tallied["n_events"].to_numpy(),
        ratios=told,
        chi_square=chi_square,
        degrees_of_freedom=n_free,
        p_value=float(stats.chi2.sf(chi_square, n_free)),
        fit=replace(fit, n=int(counts["n"].sum())),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class DriftRatios:
    """
    A hazard ratio that drifts: its logarithm is a straight line in the day, or in the logarithm of the day.

    Attributes
    ----------
    covariate : str
    names : tuple of str
        Its columns.
    scale : {"log", "identity"}
    level_coefficient, drift_coefficient : arrays of shape (n_names,)
        The log ratio is the first plus the second times ``log(day)`` or ``day``.
    chi_square, degrees_of_freedom, p_value : float
        Likelihood-ratio test against no drift.
    follow_up_days : float
    fit : CoxFit
        The model, with the other covariates; its columns are ``names``, then each ``name x scale(day)``.
    """

    covariate: str
    names: tuple[str, ...]
    scale: DriftScale
    level_coefficient: np.ndarray
    drift_coefficient: np.ndarray
    chi_square: float
    degrees_of_freedom: int
    p_value: float
    follow_up_days: float
    level: float
    fit: CoxFit = field(repr=False)

    def table(self, days: Sequence[float]) -> pd.DataFrame:
        """Return one row a column of the covariate and day, with the hazard ratio there and its interval."""
        told = [(name, day, ratio_on_day(self, name, day)) for name in self.names for day in days]
        rows = [(name, day, ratio.value, ratio.lower, ratio.upper) for name, day, ratio in told]
        return pd.DataFrame(rows, columns=["covariate", "day", "hazard_ratio", "lower", "upper"])


def drift_ratios(
    counts: pd.DataFrame,
    *,
    covariate: str,
    scale: DriftScale,
    period_days: int,
    ties: TieRule,
    intervals: FitIntervals,
    covariates: Sequence[str] = (),
    reference: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> DriftRatios:
    """
    A covariate's hazard ratio as a smooth function of tenure: Cox's model with ``covariate x g(day)`` [1]_.

    Parameters
    ----------
    counts : DataFrame
        As for ``cox``.
    covariate : str
        Text or a number, whose ratio drifts.
    scale : {"log", "identity"}
        ``g``: the logarithm of the day, or the day.
    period_days : int
        ``g`` is held at the middle of each period of so many days: with 1 it is exact, and costs a cell for each
        day; with 7 or 30 the table stays small.
    covariates, ties, reference, level
        As for ``cox``.
    intervals : {"replicate", "information"}
        As for ``step_ratios``.

    Raises
    ------
    ModelError
        As ``cox`` and ``split_at`` refuse; with fewer than two periods, or more than 2,000 patterns and periods.

    References
    ----------
    .. [1] Cox (1972), JRSS B 34:187, section 8.
    """
    if scale not in get_args(DriftScale):
        raise ModelError(f"scale must be 'log' or 'identity'; came '{scale}'")
    counts = _checked(counts, covariate, covariates, intervals)
    follow_up = counts["duration_days"].max()
    if not 1 <= period_days < follow_up or period_days != int(period_days):
        raise ModelError(
            f"period_days={period_days} must be a whole number of days, at least 1 and below the longest spell "
            f"({follow_up:g} days)"
        )
    cuts = list(range(int(period_days), int(np.ceil(follow_up)), int(period_days)))
    pieces = split_at(counts, cuts)
    middle = (pieces["interval"] - 0.5) * period_days + 0.5
    drift = np.log(middle) if scale == "log" else middle
    columns = design(counts, [covariate], reference)
    made = dict(_columns(pieces, columns.names, columns.levels, covariate))
    drifting = {f"{name} x {scale}(day)": value * drift for name, value in made.items()}
    choices = _choices(counts, covariates, reference, ties, intervals, None, level)
    fit = cox(pieces.assign(**made, **drifting), covariates=[*made, *drifting, *covariates], **choices)
    constant = cox(
        counts,
        covariates=[covariate, *covariates],
        **(choices | {"reference": choices["reference"] | dict(columns.references)}),
    )
    chi_square, n_free = max(2 * (fit.log_likelihood - constant.log_likelihood), 0.0), len(drifting)
    return DriftRatios(
        covariate=covariate,
        names=columns.names,
        scale=scale,
        level_coefficient=fit.coefficients[:n_free],
        drift_coefficient=fit.coefficients[n_free : 2 * n_free],
        chi_square=chi_square,
        degrees_of_freedom=n_free,
        p_value=float(stats.chi2.sf(chi_square, n_free)),
        follow_up_days=float(follow_up),
        level=level,
        fit=replace(fit, n=int(counts["n"].sum())),
    )


def ratio_on_day(found: DriftRatios, name: str, day: float) -> Estimate:
    """Hazard ratio of the column ``name`` on ``day``, with its interval; refused beyond the follow-up."""
    if name not in found.names:
        raise ModelError(f"the drift has no column '{name}'; {nearest(name, found.names)}")
    if not 1 <= day <= found.follow_up_days:
        raise ModelError(f"day {day:g} is outside the follow-up; choose a day in [1, {found.follow_up_days:g}]")
    g = float(np.log(day)) if found.scale == "log" else float(day)
    places = [found.fit.names.index(name), found.fit.names.index(f"{name} x {found.scale}(day)")]
    weight = np.array([1.0, g])
    value = float(weight @ found.fit.coefficients[places])
    without = [found.fit.hazard_ratios[found.fit.names[place]].leave_one_out for place in places]
    if without[0] is not None and without[1] is not None:
        moved = np.exp(weight @ np.log(np.stack([without[0], without[1]])))
        return jackknife(
            float(np.exp(value)), moved, unit="hazard_ratio", n=found.fit.n, scale="log", level=found.level
        )
    variance = weight @ found.fit.covariance[np.ix_(places, places)] @ weight
    half = float(stats.norm.ppf(0.5 + found.level / 2) * np.sqrt(variance))
    ratio, lower, upper = (float(np.exp(value + end)) for end in (0, -half, half))
    return Estimate(value=ratio, lower=lower, upper=upper, unit="hazard_ratio", n=found.fit.n, level=found.level)


def usable_days(counts: pd.DataFrame, days: Sequence[int], *, covariate: str) -> list[int]:
    """
    Return those of ``days`` that ``step_ratios`` can cut at, going from the first to the last.

    A cut stays where the stretch up to it and all days after it both hold lapses in at least 20 groups of customers
    and, for text, at least 5 lapses of each level. It does not look at the ratios.
    """
    counts = check_spells(counts, (*SPELL, "replicate"), "a changing hazard ratio")
    lapsed = counts[counts["event_observed"]]
    levels = counts[covariate].nunique() if lapsed[covariate].dtype == object else 1

    def enough(start: float, stop: float) -> bool:
        inside = lapsed[(lapsed["duration_days"] > start) & (lapsed["duration_days"] <= stop)]
        sizes = inside.groupby(covariate)["n"].sum() if levels > 1 else inside[["n"]].sum()
        held = len(sizes) == levels and bool((sizes >= FEWEST_EVENTS).all())
        return held and inside["replicate"].nunique() >= FEW_GROUPS

    kept: list[int] = []
    for day in days:
        if enough(kept[-1] if kept else 0, day) and enough(day, np.inf):
            kept.append(int(day))
    return kept


def _checked(counts: pd.DataFrame, covariate: str, covariates: Sequence[str], intervals: str) -> pd.DataFrame:
    if intervals not in get_args(FitIntervals):
        raise ModelError(
            f"intervals must be 'replicate' or 'information'; came '{intervals}': a split spell is several rows, so a "
            "sandwich by row does not hold"
        )
    if covariate in covariates:
        raise ModelError(f"'{covariate}' cannot have both one ratio and several; take it out of covariates")
    return check_spells(counts, SPELL, "a changing hazard ratio")


def _columns(
    pieces: pd.DataFrame, names: Sequence[str], levels: Sequence[str], covariate: str
) -> list[tuple[str, pd.Series]]:
    """The covariate's columns on the pieces, as ``design`` names them on the whole spells."""
    text = pieces[covariate].astype(str)
    return [(n, (text == v).astype(float) if v else pieces[covariate]) for n, v in zip(names, levels, strict=True)]


def _choices(
    counts: pd.DataFrame,
    covariates: Sequence[str],
    reference: Mapping[str, str] | None,
    ties: TieRule,
    intervals: FitIntervals,
    strata: str | None,
    level: float,
) -> dict[str, Any]:
    """What both fits share; reference levels are the most frequent among spells, not among pieces."""
    references = design(counts, covariates, reference).references if covariates else {}
    known = dict(references)
    return {"ties": ties, "intervals": intervals, "strata": strata, "level": level, "reference": known}


def _check_steps(
    pieces: pd.DataFrame, n_columns: int, starts: Sequence[int], until_day: np.ndarray, intervals: str
) -> None:
    for place, (start, stop) in enumerate(zip(starts, until_day, strict=True)):
        lapsed = pieces[(pieces["interval"] == place + 1) & pieces["event_observed"]]
        n_events, told = int(lapsed["n"].sum()), f"days {start} to {stop:g} hold"
        if n_events < FEWEST_EVENTS * n_columns:
            raise ModelError(
                f"{told} {n_events} events for {n_columns} ratios, fewer than {FEWEST_EVENTS} each; choose fewer days"
            )
        if intervals == "replicate" and "replicate" in pieces and lapsed["replicate"].nunique() < FEW_GROUPS:
            raise ModelError(
                f"{told} events in {lapsed['replicate'].nunique()} groups of customers, fewer than {FEW_GROUPS}; "
                "choose fewer days, or intervals='information'"
            )
