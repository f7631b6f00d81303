"""Does a hazard ratio stay the same over a customer's life? The exact score test of proportional hazards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.survival.hazards import CoxFit
from lcm_research.survival.partial_likelihood import information, score_by_day

__all__ = ["SchoenfeldResiduals", "TimeScale", "proportional_hazards_test", "schoenfeld_residuals"]

TimeScale = Literal["km", "log", "identity"]


def proportional_hazards_test(fit: CoxFit, *, transform: TimeScale) -> pd.DataFrame:
    """
    Test whether each log hazard ratio drifts with time [1]_.

    The score test of adding ``covariate x g(day)`` to the model, with the exact information: the one that R's
    ``cox.zph`` has used since survival 3.

    Parameters
    ----------
    fit : CoxFit
        Without strata.
    transform : {"km", "log", "identity"}
        ``g``: one minus the pooled survival just before the day, its logarithm, or the day itself.

    Returns
    -------
    DataFrame
        One row a covariate and the row ``GLOBAL``: ``chi_square``, ``degrees_of_freedom``, ``p_value``. A small
        p-value speaks against a constant ratio; with many events it also finds drifts that do not matter.

    References
    ----------
    .. [1] Grambsch and Therneau (1994), Biometrika 81:515.
    """
    _refuse_strata(fit)
    drift = _drift(fit, transform)
    x = fit.design.matrix
    scale = x.std(axis=0)
    x = (x - x.mean(axis=0)) / scale
    gradient = drift @ score_by_day(fit.sums, x, fit.risk)
    constant, mixed, drifting = (information(fit.sums, x, fit.risk, weight) for weight in (1.0, drift, drift**2))
    # what is left of the drifts' information once the coefficients themselves are free
    left = drifting - mixed @ np.linalg.solve(constant, mixed)

    rows = {}
    terms = np.array(fit.design.terms)
    for term in [*dict.fromkeys(fit.design.terms), "GLOBAL"]:
        chosen = np.flatnonzero((terms == term) | (term == "GLOBAL"))
        part = gradient[chosen]
        chi_square = float(part @ np.linalg.solve(left[np.ix_(chosen, chosen)], part))
        rows[term] = (chi_square, len(chosen), float(stats.chi2.sf(chi_square, len(chosen))))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["chi_square", "degrees_of_freedom", "p_value"])
    return table.rename_axis("covariate").reset_index()


@dataclass(frozen=True, kw_only=True, eq=False)
class SchoenfeldResiduals:
    """
    How the log hazard ratios move over a customer's life.

    Attributes
    ----------
    names : tuple of str, length p
        Columns of the model.
    days : array of shape (n_days,)
        Days with a lapse; rising.
    n_events : array of shape (n_days,)
        Lapses on each.
    residual : array of shape (n_days, p)
        Mean scaled residual of the day's lapses plus the fitted coefficient: an estimate of the log hazard ratio on
        that day alone.
    smooth, lower, upper : arrays of shape (n_days, p)
        A curve through them, and its pointwise interval of ``level``.
    coefficients, variance : arrays of shape (p,)
        The fitted log hazard ratios, and the variance of one lapse's residual.
    n : int
        Spells of the fit.
    """

    names: tuple[str, ...]
    days: np.ndarray
    n_events: np.ndarray
    residual: np.ndarray
    smooth: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    coefficients: np.ndarray
    variance: np.ndarray
    n: int
    level: float

    def table(self, *, min_events: int) -> pd.DataFrame:
        """
        Return the mean residuals of neighbouring days, each row with at least ``min_events`` lapses.

        The residual of a day with one lapse gives away that customer's covariates; means of more do not. Columns:
        ``covariate``, ``from_day``, ``until_day``, ``n_events``, ``residual``, ``lower``, ``upper``.
        """
        total = int(self.n_events.sum())
        if total < min_events:
            raise ModelError(f"the fit rests on {total} lapses, fewer than min_events={min_events}")
        # a bin ends on the first day by which another min_events have lapsed; the rest joins the last bin
        bins, held = np.zeros(len(self.days), np.int64), 0.0
        for day, n in enumerate(self.n_events):
            bins[day] = bins[day - 1] + (held >= min_events) if day else 0
            held = n if held >= min_events else held + n
        if held < min_events:
            bins[bins == bins[-1]] = max(bins[-1] - 1, 0)
        size = np.bincount(bins, self.n_events)
        half = stats.norm.ppf(0.5 + self.level / 2) * np.sqrt(self.variance / size[:, None])
        mean = (
            np.stack([np.bincount(bins, self.n_events * column) for column in self.residual.T], axis=1) / size[:, None]
        )
        first = np.flatnonzero(np.diff(bins, prepend=-1))
        days = {"from_day": self.days[first], "until_day": self.days[np.append(first[1:], len(bins)) - 1]}
        ends = {"lower": mean - half, "upper": mean + half}
        parts = [
            pd.DataFrame(
                {"covariate": name} | days | {"n_events": size.astype(np.int64), "residual": mean[:, i]}
            ).assign(**{end: value[:, i] for end, value in ends.items()})
            for i, name in enumerate(self.names)
        ]
        return pd.concat(parts, ignore_index=True)


def schoenfeld_residuals(
    fit: CoxFit, *, transform: TimeScale, degrees_of_freedom: int, level: float = 0.95
) -> SchoenfeldResiduals:
    """
    Log hazard ratio of each day with a lapse, with a smooth curve through the days [1]_.

    A lapse's covariates less their mean at risk, scaled by the covariance of the coefficients and added to them. They
    add up over lapses, so that a day's mean with its number of lapses is all that is kept. A level curve is a
    constant ratio.

    Parameters
    ----------
    fit : CoxFit
        Without strata.
    transform : {"km", "log", "identity"}
        Time scale on which the curve is smooth, as in ``proportional_hazards_test``.
    degrees_of_freedom : int
        Of the natural cubic spline, its level included: at least 2, a straight line; R's ``plot.cox.zph`` takes 4.
    level : float
        Of the interval, which takes lapses as independent.

    References
    ----------
    .. [1] Grambsch and Therneau (1994), Biometrika 81:515.
    """
    _refuse_strata(fit)
    if degrees_of_freedom < 2:
        raise ModelError(f"degrees_of_freedom={degrees_of_freedom} is below 2, a straight line")
    days, n_events = fit.risk.days, fit.risk.events.sum(axis=0)
    if len(days) <= degrees_of_freedom:
        raise ModelError(
            f"{len(days)} days with a lapse carry at most {len(days) - 1} degrees of freedom; came "
            f"degrees_of_freedom={degrees_of_freedom}"
        )
    # the sums of the fit are those of centred and scaled columns
    scale = fit.design.matrix.std(axis=0)
    x = (fit.design.matrix - fit.design.matrix.mean(axis=0)) / scale
    mean = score_by_day(fit.sums, x, fit.risk) * scale / n_events[:, None]
    total = n_events.sum()
    residual = fit.coefficients + total * mean @ fit.covariance
    variance = total * np.diag(fit.covariance)

    basis = _natural_spline(_drift(fit, transform), n_events, degrees_of_freedom)
    inverse = np.linalg.inv(basis.T @ (n_events[:, None] * basis))
    smooth = basis @ (inverse @ (basis.T @ (n_events[:, None] * residual)))
    spread = np.sqrt(np.einsum("ti,ij,tj->t", basis, inverse, basis)[:, None] * variance)
    half = stats.norm.ppf(0.5 + level / 2) * spread
    return SchoenfeldResiduals(
        names=fit.names,
        days=days,
        n_events=n_events.astype(np.int64),
        residual=residual,
        smooth=smooth,
        lower=smooth - half,
        upper=smooth + half,
        coefficients=fit.coefficients,
        variance=variance,
        n=fit.n,
        level=level,
    )


def _natural_spline(x: np.ndarray, weight: np.ndarray, size: int) -> np.ndarray:
    """Columns of a natural cubic spline with its knots at even shares of the weight: linear beyond the outer ones."""
    x = (x - x.min()) / (x.max() - x.min())
    share = (weight.cumsum() - weight / 2) / weight.sum()
    knots = np.concatenate([[0.0], np.interp(np.linspace(0, 1, size)[1:-1], share, x), [1.0]])

    def cubic(knot: float) -> np.ndarray:
        last = knots[-1]
        return (np.maximum(x - knot, 0) ** 3 - np.maximum(x - last, 0) ** 3) / (last - knot)

    bends = [cubic(knot) - cubic(knots[-2]) for knot in knots[:-2]]
    return np.column_stack([np.ones(len(x)), x, *bends])


def _refuse_strata(fit: CoxFit) -> None:
    if fit.risk.n_strata > 1:
        raise ModelError(f"the test is for a fit without strata; came {fit.risk.n_strata}")


def _drift(fit: CoxFit, transform: TimeScale) -> np.ndarray:
    days = fit.risk.days.astype(float)
    if transform == "identity":
        drift = days
    elif transform == "log":
        drift = np.log(days)
    else:
        share = 1 - fit.risk.events.sum(axis=0) / fit.risk.at_risk.sum(axis=0)
        drift = 1 - np.concatenate([[1.0], np.cumprod(share)[:-1]])
    return drift - np.average(drift, weights=fit.risk.events.sum(axis=0))
