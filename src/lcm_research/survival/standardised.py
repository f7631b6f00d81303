"""
How many days longer do those stay who engaged? Restricted means from a landmark on, alike in past purchases.

A difference in days is the same whatever else is held equal beside it, and asks for no hazards in proportion; a
hazard ratio is neither. Past purchases are held equal by standardising: within each class the mean of those who
engaged and of those who did not, both weighted by the share of the class among all who are compared [1]_.

References
----------
.. [1] Karrison (1987), JASA 82:1169; Zucker (1998), JASA 93:702.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, jackknife
from lcm_research.survival.risk_sets import SPELL, check_spells, risk_arrays

__all__ = ["LandmarkMeans", "landmark_difference", "landmark_means"]


@dataclass(frozen=True, kw_only=True)
class LandmarkMeans:
    """
    Mean days until the lapse within a horizon from the landmark on.

    Attributes
    ----------
    engaged, others : Estimate
        In days, were both made up alike of the classes that are held equal.
    difference : Estimate
        ``engaged`` less ``others``, in days.
    ratio : Estimate
        ``engaged`` over ``others``.
    """

    engaged: Estimate
    others: Estimate
    difference: Estimate
    ratio: Estimate


def landmark_difference(
    counts: pd.DataFrame, *, adjust_for: Sequence[str], horizon_days: int, level: float = 0.95
) -> Estimate:
    """
    Days that spells go on longer from the landmark where the customer had engaged before it.

    The difference of ``landmark_means``, which see. With ``adjust_for=[]`` those who engaged are compared with the
    others as they are.

    Examples
    --------
    In the class of one purchase day everybody who engaged goes on for 10 days and the others lapse on day 4; in
    the other, half as large, nothing differs. So (2 * (10 - 4) + 1 * 0) / 3 days:

    >>> rows = [("1", True, 10, 2), ("1", False, 4, 2), ("2+", True, 6, 1), ("2+", False, 6, 1)]
    >>> cells = pd.DataFrame(rows, columns=["activity", "engaged", "duration_days", "n"])
    >>> cells = cells.assign(event_observed=cells["duration_days"] < 10).merge(
    ...     pd.DataFrame({"replicate": range(100)}), how="cross"
    ... )
    >>> landmark_difference(cells, adjust_for=["activity"], horizon_days=10).value
    4.0
    """
    return landmark_means(counts, adjust_for=adjust_for, horizon_days=horizon_days, level=level).difference


def landmark_means(
    counts: pd.DataFrame, *, adjust_for: Sequence[str], horizon_days: int, level: float = 0.95
) -> LandmarkMeans:
    """
    Restricted mean days from the landmark on, of those who engaged before it and of the others.

    Kaplan and Meier's curve of each class and side, its area up to the horizon, averaged over the classes by their
    shares of all spells compared. The shares, too, are estimated: the jackknife draws them anew without each group
    of customers.

    Parameters
    ----------
    counts : DataFrame
        Of ``landmark_counts``, best with ``exposure_days``.
    adjust_for : list of str
        Columns within whose combinations customers are compared, such as ``["activity"]``; may be empty.
    horizon_days : int
        Days from the landmark on, at most the follow-up of every side of every class.

    Returns
    -------
    LandmarkMeans
        Intervals by the delete-a-group jackknife, t with 99 degrees of freedom.

    Raises
    ------
    ModelError
        Where a class has one side only, naming it and its share; beyond the follow-up of a side, naming it; with
        lapses in fewer than 20 groups of customers.
    """
    for column in adjust_for:
        if column not in counts:
            raise ModelError(
                f"the counts have no column '{column}' to compare within; {nearest(column, map(str, counts.columns))}"
            )
    counts = check_spells(counts, [*SPELL, "engaged", "replicate", *adjust_for], "a comparison from a landmark on")
    _check_groups(counts, horizon_days)
    sides = _sides(counts, list(adjust_for), horizon_days)
    n = np.array([[side.n for side in pair] for pair in sides])  # (n_classes, 2, 101), all groups first
    area = np.array([[side.area for side in pair] for pair in sides])
    share = n.sum(axis=1) / n.sum(axis=(0, 1))
    engaged, others = (share[:, None, :] * area).sum(axis=0)
    difference, ratio, size = engaged - others, engaged / others, int(n[:, :, 0].sum())
    return LandmarkMeans(
        engaged=jackknife(engaged[0], engaged[1:], unit="days", n=size, level=level),
        others=jackknife(others[0], others[1:], unit="days", n=size, level=level),
        difference=jackknife(difference[0], difference[1:], unit="days", n=size, level=level),
        ratio=jackknife(ratio[0], ratio[1:], unit="ratio", n=size, scale="log", level=level),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """One side of a class: spells and restricted mean, of all groups of customers and then without each."""

    n: np.ndarray
    area: np.ndarray


def _sides(counts: pd.DataFrame, adjust_for: list[str], horizon_days: int) -> list[tuple[_Side, _Side]]:
    """Engaged and others of each class."""
    classes = counts.groupby(adjust_for) if adjust_for else [("all", counts)]
    made = []
    for key, rows in classes:
        values = key if isinstance(key, tuple) else (key,)
        name = ", ".join(f"{c} {v}" for c, v in zip(adjust_for or ["customers:"], values, strict=True))
        acted = rows["engaged"].to_numpy(bool)
        if acted.all() or not acted.any():
            share, told = rows["n"].sum() / counts["n"].sum(), "all" if acted.all() else "none"
            raise ModelError(
                f"of the class '{name}' ({share:.1%} of {counts['n'].sum():,} spells) {told} engaged, so that "
                "nobody is there to compare with; merge it with its neighbour (fewer breaks) or leave it out and say so"
            )
        engaged, others = (_side(rows[acted == kind], horizon_days, name, kind) for kind in (True, False))
        made.append((engaged, others))
    return made


def _side(rows: pd.DataFrame, horizon_days: int, name: str, engaged: bool) -> _Side:
    last = rows["duration_days"].max()
    ends_in_lapses = rows.loc[rows["duration_days"] == last, "event_observed"].all()
    if last < horizon_days and not ends_in_lapses:
        who = "those who engaged" if engaged else "those who did not engage"
        raise ModelError(
            f"horizon_days={horizon_days} is outside the follow-up of {last} days of {who} in the class '{name}'; "
            f"choose a horizon in [1, {last}], merge classes or wait for more data"
        )
    groups = rows["replicate"].to_numpy(np.int64)
    times, at_risk, (lapses,) = risk_arrays(rows, [rows["event_observed"].to_numpy(bool)], groups, N_GROUPS)
    risk, lapsed = (np.vstack([each.sum(axis=0), each.sum(axis=0) - each]) for each in (at_risk, lapses))
    goes_on = np.cumprod(1 - np.divide(lapsed, risk, out=np.zeros_like(risk), where=risk > 0), axis=1)
    inside = times < horizon_days
    steps = np.diff(np.concatenate([[0.0], times[inside], [horizon_days]]))
    area = np.hstack([np.ones((N_GROUPS + 1, 1)), goes_on[:, inside]]) @ steps
    own = np.bincount(groups, rows["n"].to_numpy(float), N_GROUPS)
    return _Side(n=np.concatenate([[own.sum()], own.sum() - own]), area=area)


def _check_groups(counts: pd.DataFrame, horizon_days: int) -> None:
    """Refuse a horizon without lapses enough for an interval."""
    if horizon_days < 1:
        raise ModelError(f"horizon_days must be at least 1; came {horizon_days}")
    lapsed = counts[counts["event_observed"].astype(bool) & (counts["duration_days"] <= horizon_days)]
    found = lapsed["replicate"].nunique()
    if found < FEW_GROUPS:
        raise ModelError(
            f"lapses within {horizon_days} days in {found} groups of customers, fewer than {FEW_GROUPS}: too few for "
            "an interval; choose a longer horizon or wait for more customers"
        )
