"""
Does engaging go with staying? The naive comparison beside the corrected ones, and how far to trust the last.

Whoever ever engaged had to last long enough to do so (immortal time [1]_); a landmark gives everybody the same
time; an exposure that lags behind, among spells of the same age and customers who had bought as often, also takes
away most of what active people do anyway. What purchases tell about a customer is not all there is to know, so
the corrected ratio is adjusted, not causal: the E-value says how strong a missed cause would have to be.

References
----------
.. [1] Suissa (2008), American Journal of Epidemiology 167:492; Anderson, Cain and Gelber (1983), Journal of
   Clinical Oncology 1:710.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, Estimate, jackknife
from lcm_research.survival.hazards import cox
from lcm_research.survival.partial_likelihood import TieRule

__all__ = [
    "BiasPanel",
    "EValue",
    "bias_panel",
    "e_value",
    "ever_engaged_ratio",
    "exposure_overlap",
    "lag_profile",
    "lagged_ratio",
    "landmark_ratio",
]

Outcome = Literal["rare", "common"]


@dataclass(frozen=True, kw_only=True)
class EValue:
    """
    How strong an unmeasured cause would have to be to explain a ratio away.

    Attributes
    ----------
    estimate, interval_end : float
        The risk ratio, at least 1, that it would need with the exposure and with the outcome alike, beyond all
        that was adjusted for: to move the estimate to 1, and the end of the interval nearer to 1. It is 1 where
        the interval holds 1 already.
    outcome : {"rare", "common"}
        How the hazard ratio was read as a risk ratio.
    """

    estimate: float
    interval_end: float
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class BiasPanel:
    """
    Three answers to one question, from naive to corrected.

    Attributes
    ----------
    naive, landmark, lagged : Estimate
        Hazard ratios of lapsing, engaged against not: by ever having engaged, by having engaged before the
        landmark, by having engaged some periods earlier among spells alike in age and past purchases. ``n`` is
        the number of customers compared.
    gap : Estimate
        The naive ratio divided by the lagged one; its logarithm is the bias that the correction takes away. The
        two share their customers, and the interval knows.
    """

    naive: Estimate
    landmark: Estimate
    lagged: Estimate
    gap: Estimate

    def table(self) -> pd.DataFrame:
        """Return one row an analysis: hazard ratio, interval, n, and its distance from the lagged one in logs."""
        shown = {"naive": self.naive, "landmark": self.landmark, "lagged": self.lagged}
        return pd.DataFrame(
            {
                "analysis": list(shown),
                "hazard_ratio": [e.value for e in shown.values()],
                "lower": [e.lower for e in shown.values()],
                "upper": [e.upper for e in shown.values()],
                "n_customers": [e.n for e in shown.values()],
                "log_gap": [float(np.log(e.value / self.lagged.value)) for e in shown.values()],
            }
        )


def ever_engaged_ratio(counts: pd.DataFrame, *, ties: TieRule, level: float = 0.95) -> Estimate:
    """
    Hazard ratio of customers who ever engaged during their spell: the naive comparison, biased by construction.

    Parameters
    ----------
    counts : DataFrame
        Of ``ever_engaged_counts``.
    ties : {"efron", "breslow"}
        As for ``cox``, which also says what is refused.
    """
    return _ratio(counts, adjust_for=(), ties=ties, level=level)


def landmark_ratio(counts: pd.DataFrame, *, adjust_for: Sequence[str], ties: TieRule, level: float = 0.95) -> Estimate:
    """
    Hazard ratio from the landmark on of customers who had engaged before it.

    Parameters
    ----------
    counts : DataFrame
        Of ``landmark_counts``.
    adjust_for : list of str
        Columns of ``counts`` within whose combinations customers are compared; may be empty.
    ties : {"efron", "breslow"}
    """
    return _ratio(counts, adjust_for=adjust_for, ties=ties, level=level)


def lagged_ratio(
    counts: pd.DataFrame, *, lag_periods: int, adjust_for: Sequence[str], ties: TieRule, level: float = 0.95
) -> Estimate:
    """
    Hazard ratio of having engaged ``lag_periods`` earlier, among spells of the same age.

    Cox's model on periods: every combination of period and ``adjust_for`` has a hazard of its own, so that
    customers are compared only within it. The first ``lag_periods`` periods, where nobody is exposed, tell nothing
    and are left out, and with them the customers who bought once.

    Three things keep it from being the effect of engaging. Purchases tell activity only roughly, and the less active
    fall silent for longer than the window more often: below 1 where engaging does nothing. Who left and comes back
    within the window is silent and known to go on: above 1, the more the longer the window. And a lapse is dated at
    the last purchase, before the customer leaves, so that an effect on leaving shows weaker here. How far each of them
    moves it in simulated brands, and how often the interval holds the truth, is counted in ``docs/coverage.md``.

    Parameters
    ----------
    counts : DataFrame
        Of ``exposure_counts`` with the same ``lag_periods``.
    lag_periods : int
    adjust_for : list of str
        Such as ``["activity"]`` and segments; may be empty.
    ties : {"efron", "breslow"}
        Lapses of one period are ties; Breslow's rule pulls the ratio towards 1.

    Returns
    -------
    Estimate
        ``n`` is the number of spells at risk when period ``lag_periods + 1`` begins.
    """
    return _lagged(counts, after_period=lag_periods, adjust_for=adjust_for, ties=ties, level=level)


def lag_profile(
    counts_by_lag: Mapping[int, pd.DataFrame], *, adjust_for: Sequence[str], ties: TieRule, level: float = 0.95
) -> pd.DataFrame:
    """
    The lagged hazard ratio at growing lags, in the same periods of the same spells.

    Customers may fall silent on the brand's channels because they are about to leave. Then the ratio rises towards
    1 as the lag grows; what fades over months is not what engaging does.

    Parameters
    ----------
    counts_by_lag : mapping of int to DataFrame
        Counts of ``exposure_counts`` by their ``lag_periods``; only periods after the largest lag are compared.

    Returns
    -------
    DataFrame
        ``lag_periods``, ``hazard_ratio``, ``lower``, ``upper``, ``n_customers``, one row a lag, rising.
    """
    if not counts_by_lag:
        raise ModelError("a profile of lags needs the counts of at least one lag; came none")
    after = max(counts_by_lag)
    lags = sorted(counts_by_lag)
    made = [
        _lagged(counts_by_lag[lag], after_period=after, adjust_for=adjust_for, ties=ties, level=level) for lag in lags
    ]
    return pd.DataFrame(
        {
            "lag_periods": lags,
            "hazard_ratio": [e.value for e in made],
            "lower": [e.lower for e in made],
            "upper": [e.upper for e in made],
            "n_customers": [e.n for e in made],
        }
    )


def exposure_overlap(counts: pd.DataFrame, *, lag_periods: int, within: Sequence[str]) -> pd.DataFrame:
    """
    Share of spell-periods that are exposed, by what customers are compared within.

    Where it is near 0 or 1 there is hardly anybody to compare with, and the ratio rests on the others.

    Parameters
    ----------
    counts : DataFrame
        Of ``exposure_counts``.
    within : list of str
        Such as ``["activity"]``.

    Returns
    -------
    DataFrame
        ``within``, ``n_at_risk``, ``n_engaged`` (spell-periods; a customer stands in several), ``share_engaged``,
        ``n_events``.
    """
    _check_columns(counts, within)
    after = counts[counts["period"] > lag_periods]
    after = after.assign(n_engaged=after["n_at_risk"] * after["engaged"].astype("int64"))
    table = after.groupby(list(within), as_index=False)[["n_at_risk", "n_engaged", "n_events"]].sum()
    return table.assign(share_engaged=table["n_engaged"] / table["n_at_risk"])


def bias_panel(
    *,
    ever: pd.DataFrame,
    landmark: pd.DataFrame,
    exposure: pd.DataFrame,
    lag_periods: int,
    adjust_for: Sequence[str],
    ties: TieRule,
    level: float = 0.95,
) -> BiasPanel:
    """
    Put the naive hazard ratio beside the corrected ones, with the gap between them.

    Parameters
    ----------
    ever, landmark, exposure : DataFrame
        Of ``ever_engaged_counts``, ``landmark_counts`` and ``exposure_counts`` with the same window.
    lag_periods : int
        That of ``exposure``.
    adjust_for : list of str
        What the lagged ratio holds equal; the other two hold nothing equal, as they are usually reported.
    ties : {"efron", "breslow"}
    """
    naive = ever_engaged_ratio(ever, ties=ties, level=level)
    lagged = lagged_ratio(exposure, lag_periods=lag_periods, adjust_for=adjust_for, ties=ties, level=level)
    gap = jackknife(
        naive.value / lagged.value,
        _without(naive) / _without(lagged),
        unit="ratio",
        n=naive.n,
        scale="log",
        level=level,
    )
    return BiasPanel(
        naive=naive,
        landmark=landmark_ratio(landmark, adjust_for=(), ties=ties, level=level),
        lagged=lagged,
        gap=gap,
    )


def e_value(ratio: Estimate, *, outcome: Outcome) -> EValue:
    r"""
    Strength that an unmeasured cause would need to explain a hazard ratio away [1]_.

    :math:`E = RR + \sqrt{RR (RR - 1)}`, of the ratio or its inverse, whichever is above 1. A hazard ratio stands
    for a risk ratio where the outcome is rare; where it is common,
    :math:`RR \approx (1 - 0.5^{\sqrt{HR}}) / (1 - 0.5^{\sqrt{1/HR}})`.

    Parameters
    ----------
    ratio : Estimate
        A hazard ratio.
    outcome : {"rare", "common"}
        Common: more than 15% lapse within follow-up.

    References
    ----------
    .. [1] VanderWeele and Ding (2017), Annals of Internal Medicine 167:268.

    Examples
    --------
    The paper's own case, a risk ratio of 3.9 (1.8 to 8.7):

    >>> found = e_value(Estimate(value=3.9, lower=1.8, upper=8.7, unit="hazard_ratio", n=300), outcome="rare")
    >>> round(found.estimate, 2), round(found.interval_end, 2)
    (7.26, 3.0)
    """
    if outcome not in ("rare", "common"):
        raise ModelError(f"outcome must be 'rare' or 'common'; came '{outcome}'")
    if not 0 < ratio.lower <= ratio.value <= ratio.upper:
        raise ModelError(f"an E-value needs a positive ratio inside its interval; came {ratio.value:.4g}")
    nearer = ratio.lower if ratio.value > 1 else ratio.upper
    explained = ratio.lower <= 1 <= ratio.upper
    return EValue(
        estimate=_strength(ratio.value, outcome),
        interval_end=1.0 if explained else _strength(nearer, outcome),
        outcome=outcome,
    )


def _strength(ratio: float, outcome: Outcome) -> float:
    above = max(ratio, 1 / ratio)
    if outcome == "common":
        above = (1 - 0.5 ** np.sqrt(above)) / (1 - 0.5 ** np.sqrt(1 / above))
    return float(above + np.sqrt(above * (above - 1)))


def _lagged(
    counts: pd.DataFrame, *, after_period: int, adjust_for: Sequence[str], ties: TieRule, level: float
) -> Estimate:
    """Fit the periods after ``after_period``, each spell-period a row that enters when its period begins."""
    compared = counts[counts["period"] > after_period]
    if compared.empty:
        raise ModelError(
            f"a lag of {after_period} needs counts of more than {after_period} periods; came counts of "
            f"{counts['period'].max()}; choose a shorter lag or shorter periods"
        )
    lapsed = compared.assign(event_observed=True, n=compared["n_events"])
    stayed = compared.assign(event_observed=False, n=compared["n_at_risk"] - compared["n_events"])
    rows = pd.concat([lapsed, stayed], ignore_index=True)
    rows = rows.assign(entry_days=rows["period"] - 1, duration_days=rows["period"])
    ratio = _ratio(rows[rows["n"] > 0], adjust_for=adjust_for, ties=ties, level=level)
    first = compared["period"] == after_period + 1
    return replace(ratio, n=int(compared.loc[first, "n_at_risk"].sum()))


def _ratio(counts: pd.DataFrame, *, adjust_for: Sequence[str], ties: TieRule, level: float) -> Estimate:
    """Hazard ratio of ``engaged``, with a baseline for each combination of ``adjust_for``."""
    _check_columns(counts, adjust_for)
    _check_contrast(counts)
    rows = counts
    if adjust_for:
        rows = counts.assign(alike=counts.groupby(list(adjust_for)).ngroup())
    fit = cox(
        rows,
        covariates=["engaged"],
        ties=ties,
        intervals="replicate",
        strata="alike" if adjust_for else None,
        level=level,
    )
    return fit.hazard_ratios["engaged"]


def _check_contrast(counts: pd.DataFrame) -> None:
    if counts["engaged"].nunique() < 2:
        told = "nobody" if counts.empty else f"{counts['engaged'].iloc[0]} for all {counts['n'].sum():,}"
        raise ModelError(f"a ratio needs some who engaged and some who did not; engaged is {told}")
    n_groups = counts.loc[counts["event_observed"].astype(bool) & (counts["n"] > 0), "replicate"].nunique()
    if n_groups < FEW_GROUPS:
        raise ModelError(
            f"lapses in {n_groups} groups of customers, fewer than {FEW_GROUPS}: too few for an interval; wait for "
            "more customers"
        )


def _without(ratio: Estimate) -> np.ndarray:
    if ratio.leave_one_out is None:
        raise ModelError("the gap needs ratios with their leave-one-out values; came one without")
    return ratio.leave_one_out


def _check_columns(counts: pd.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in counts:
            raise ModelError(
                f"the counts have no column '{column}' to compare within; {nearest(column, map(str, counts.columns))}"
            )
