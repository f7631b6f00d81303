"""
A curve of spells read as a stage scheme dates lapses: declared a window after the last purchase, at a month's end.

A spell that started on day ``s`` and lasted ``d`` days is seen to have lapsed at the end of a month ``t`` where
``t - s >= d + W``. So the share not yet declared then is the curve of the spells, moved by the window:
``S(t - s - W)``, averaged over the days of a month on which spells start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate, jackknife
from lcm_research.study.churn import Churn
from lcm_research.survival.curves import SurvivalCurve, kaplan_meier, truncate

__all__ = [
    "DeclaredCurve",
    "declared_curve",
    "declared_spells",
    "declared_window",
    "longest_months",
    "months_to_declaration",
    "read_at_month_ends",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class DeclaredCurve:
    """
    Share of spells whose lapse is not declared by the end of each month.

    Attributes
    ----------
    months : array of shape (n_months + 1,)
        Months after the one in which the spell started; 0 is its end.
    waiting, lower, upper : arrays of float
        With a pointwise interval of ``level``.
    without : array of shape (100, n_months + 1)
        The same without each group of customers.
    n : int
        Spells.
    """

    months: np.ndarray
    waiting: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    without: np.ndarray
    n: int
    level: float


def declared_window(churn: Churn) -> int:
    """Return the window of a study whose stages and spells lapse by the same silence; ModelError for any other."""
    if churn.kind == "inactivity" and churn.window_days is not None and churn.activity == ("purchases",):
        return churn.window_days
    came = "a contract" if churn.kind == "contract" else "a personal window" if churn.personal_window else "social acts"
    raise ModelError(
        f"stages declare a lapse by one window of days without a purchase; churn of this study goes by {came}, so its "
        "spells end at other times than its stages; choose churn.window_days and purchases as the only activity"
    )


def declared_spells(
    spells: pd.DataFrame, *, window_days: int, most_months: int, min_at_risk: int, level: float
) -> DeclaredCurve:
    """
    Return the share of spells not declared lapsed at the ends of months, as far as enough spells are followed.

    Parameters
    ----------
    spells : DataFrame
        As ``spell_counts`` returns them, for customers' first spells.
    window_days : int
    most_months : int
        Months to follow; fewer where the follow-up is shorter.
    min_at_risk : int
        The follow-up ends where fewer spells are at risk.
    level : float
    """
    curve = truncate(kaplan_meier(spells, interval="replicate", level=level), min_at_risk=min_at_risk)
    longest = longest_months(curve, window_days=window_days)
    return declared_curve(curve, window_days=window_days, n_months=min(most_months, max(longest, 1)))


def longest_months(curve: SurvivalCurve, *, window_days: int) -> int:
    """
    Return how many months the follow-up of a curve reaches, whatever day of a month a spell started on; 0 for none.

    The window counts: a lapse that is declared now happened before it.
    """
    reach = _days_to_month_ends(1200).max(axis=0) - window_days
    return max(int(np.searchsorted(reach, curve.follow_up_days, side="right")) - 1, 0)


def declared_curve(curve: SurvivalCurve, *, window_days: int, n_months: int) -> DeclaredCurve:
    """
    Read a curve of spells at the ends of months, as lapses are declared there.

    Spells are taken to start on all days of a month alike.

    Parameters
    ----------
    curve : SurvivalCurve
        Of spells, with ``interval="replicate"``.
    window_days : int
        The silence after which a lapse is declared.
    n_months : int
        At most ``longest_months``.

    Returns
    -------
    DeclaredCurve
        Intervals by the jackknife on the logit scale; before 20 groups of customers hold a lapse, the averaged ends
        of the curve's own.
    """
    longest = longest_months(curve, window_days=window_days)
    if not 1 <= n_months <= longest:
        raise ModelError(
            f"n_months={n_months} is outside what the spells' follow-up of {curve.follow_up_days:g} days and the "
            f"window of {window_days} days can tell; choose 1 to {longest}"
        )
    if curve.without is None or curve.groups_with_event is None:
        raise ModelError("a declared curve needs the curve without each group; fit it with interval='replicate'")
    place = np.searchsorted(curve.times, _days_to_month_ends(n_months) - window_days, side="right")

    def at_ends(values: np.ndarray) -> np.ndarray:
        return np.concatenate([[1.0], values])[place].mean(axis=0)

    waiting, lower, upper = (at_ends(each) for each in (curve.survival, curve.lower, curve.upper))
    without = np.array([at_ends(each) for each in curve.without])
    groups = np.concatenate([[0], curve.groups_with_event])[place].max(axis=0)
    for month in np.flatnonzero((groups >= FEW_GROUPS) & (waiting > 0)):
        found = jackknife(
            float(waiting[month]), without[:, month], unit="share", n=curve.n, scale="logit", level=curve.level
        )
        lower[month], upper[month] = found.lower, found.upper
    return DeclaredCurve(
        months=np.arange(n_months + 1), waiting=waiting, lower=lower, upper=upper, without=without, n=curve.n,
        level=curve.level,
    )  # fmt: skip


def read_at_month_ends(counts: pd.DataFrame, *, n_months: int, level: float) -> DeclaredCurve:
    """
    Return the share of newcomers whom no month's end has found lapsed, by the product-limit estimator in months.

    A lapse that a purchase undoes before the month is over is not seen here, as no stage shows it. So this is what a
    chain of stages is to reproduce; the curve of spells counts those lapses too.

    Parameters
    ----------
    counts : DataFrame
        duration_periods, event_observed, replicate, n, as ``passage_counts`` returns them.
    n_months : int
        Beyond the longest time that a newcomer was followed, ModelError.
    level : float
    """
    # counted from 1, so that a lapse at the very first month's end has a duration
    spans = counts.assign(duration_days=counts["duration_periods"] + 1)
    curve = kaplan_meier(spans, interval="replicate", level=level)
    if n_months + 1 > curve.follow_up_days:
        raise ModelError(
            f"n_months={n_months} is beyond the {curve.follow_up_days - 1:g} months that newcomers were followed; "
            "choose fewer"
        )
    place = np.searchsorted(curve.times, np.arange(1, n_months + 2), side="right")
    at = [np.concatenate([[1.0], each])[place] for each in (curve.survival, curve.lower, curve.upper)]
    pieces = curve.without if curve.without is not None else np.empty((0, len(curve.times)))
    without = np.array([np.concatenate([[1.0], each])[place] for each in pieces])
    return DeclaredCurve(
        months=np.arange(n_months + 1), waiting=at[0], lower=at[1], upper=at[2], without=without, n=curve.n, level=level
    )


def months_to_declaration(declared: DeclaredCurve, *, horizon_months: int) -> Estimate:
    """
    Months from the one in which spells start until their lapse is declared, within a horizon.

    The sum of the shares not yet declared at the ends of months 0 to ``horizon_months - 1``: the same restricted mean
    that a chain of months gives.
    """
    if not 1 <= horizon_months < len(declared.months):
        raise ModelError(
            f"horizon_months={horizon_months} is outside the {len(declared.months) - 1} months of the curve; choose "
            f"1 to {len(declared.months) - 1}"
        )
    value = float(declared.waiting[:horizon_months].sum())
    without = declared.without[:, :horizon_months].sum(axis=1)
    return jackknife(value, without, unit="months", n=declared.n, scale="log", level=declared.level)


def _days_to_month_ends(n_months: int) -> np.ndarray:
    """Return the days from each day of four years to the ends of its own and of the months after it."""
    days = np.arange(np.datetime64("2001-01-01"), np.datetime64("2005-01-01"))
    next_month = days.astype("datetime64[M]")[:, None] + np.arange(1, n_months + 2)
    return (next_month.astype("datetime64[D]") - days[:, None]).astype(np.int64) - 1
