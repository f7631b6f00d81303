"""
Are there engaged and other customers at every level of activity? Without that nothing can be adjusted.

Where all of the most active engage, nobody shows what they would do without; a model would answer there by
extending what it saw elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate, proportion

__all__ = ["Positivity", "exposure_by_activity", "past_days_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Positivity:
    """
    Share of spell-periods that are exposed, from the least to the most active.

    Attributes
    ----------
    activity : tuple of str
        Past purchase days of each group, such as ``"2-3"``; heaped values make fewer groups than asked for.
    share_engaged : tuple of Estimate
        ``n`` is the smallest number of customers that can stand behind the group: those at risk in one period.
    n_engaged, n_not_engaged : arrays of int
        Spell-periods; a customer stands in several.
    has_both : array of bool
        Whether at least ``min_share`` are engaged and at least ``min_share`` are not.
    min_share : float
    """

    activity: tuple[str, ...]
    share_engaged: tuple[Estimate, ...]
    n_engaged: np.ndarray
    n_not_engaged: np.ndarray
    has_both: np.ndarray
    min_share: float

    @property
    def holds(self) -> bool:
        """Whether every group has both levels of exposure."""
        return bool(self.has_both.all())

    @property
    def share_with_both(self) -> float:
        """Share of all spell-periods that lie in groups with both levels."""
        sizes = self.n_engaged + self.n_not_engaged
        return float(sizes[self.has_both].sum() / sizes.sum())

    def table(self) -> pd.DataFrame:
        """Return one row a group of activity; ``n_customers`` is at least so many."""
        return pd.DataFrame(
            {
                "activity": self.activity,
                "n_customers": [share.n for share in self.share_engaged],
                "n_engaged": self.n_engaged,
                "n_not_engaged": self.n_not_engaged,
                "share_engaged": self.share_engaged,
                "has_both": self.has_both,
            }
        )


def past_days_of(activity: pd.Series) -> pd.Series:
    """
    Past purchase days at which a class of activity begins.

    >>> past_days_of(pd.Series(["1", "2-3", "8+"])).tolist()
    [1, 2, 8]
    """
    return activity.astype(str).str.extract(r"^(\d+)", expand=False).astype("int64")


def exposure_by_activity(
    counts: pd.DataFrame, *, lag_periods: int, n_groups: int, min_share: float, level: float = 0.95
) -> Positivity:
    """
    Share engaged in groups of about equal size, by the number of past purchase days [1]_.

    Parameters
    ----------
    counts : DataFrame
        Of ``exposure_counts`` with the same ``lag_periods`` and breaks as fine as wanted; a class is never split.
    n_groups : int
        10 for tenths.
    min_share : float
        Between 0 and 0.5: the share of engaged, and of others, that a group needs for both to be there.

    References
    ----------
    .. [1] Petersen, Porter, Gruber, Wang and van der Laan (2012), Statistical Methods in Medical Research 21:31.
    """
    _check(n_groups, min_share)
    after = counts[counts["period"] > lag_periods]
    if not after["n_at_risk"].sum():
        raise ModelError(f"nobody is at risk after a lag of {lag_periods} periods; choose a shorter lag")
    after = after.assign(past_days=past_days_of(after["activity"]))
    sizes = after.groupby("past_days")["n_at_risk"].sum()
    middle = (sizes.cumsum() - sizes / 2) / sizes.sum()
    place = pd.Series(np.floor(middle * n_groups).astype(int), index=sizes.index)
    after = after.assign(place=after["past_days"].map(place))
    shares, engaged, others = [], [], []
    for _, rows in after.groupby("place"):
        exposed = rows["engaged"].to_numpy(bool)
        at_risk, groups = rows["n_at_risk"].to_numpy(float), rows["replicate"].to_numpy(np.int64)
        every, acted = (np.bincount(groups, at_risk * kind, N_GROUPS) for kind in (1, exposed))
        n_customers = int(rows.groupby("period")["n_at_risk"].sum().max())
        found = proportion(acted, every, level=level)
        shares.append(Estimate(**{**vars(found), "n": n_customers}))
        engaged.append(int(acted.sum()))
        others.append(int(every.sum() - acted.sum()))
    values = np.array([share.value for share in shares])
    return Positivity(
        activity=tuple(_label(rows["activity"]) for _, rows in after.groupby("place")),
        share_engaged=tuple(shares),
        n_engaged=np.array(engaged),
        n_not_engaged=np.array(others),
        has_both=(values >= min_share) & (values <= 1 - min_share),
        min_share=min_share,
    )


def _label(activity: pd.Series) -> str:
    """From the first number of the lowest class to the last of the highest, written as classes are."""
    names = activity.drop_duplicates()
    names = names.iloc[np.argsort(past_days_of(names).to_numpy())]
    first, last = names.iloc[0], names.iloc[-1]
    if len(names) == 1:
        return str(first)
    begin = str(first).split("-")[0]
    return f"{begin}+" if str(last).endswith("+") else f"{begin}-{str(last).split('-')[-1]}"


def _check(n_groups: int, min_share: float) -> None:
    if n_groups < 2:
        raise ModelError(f"n_groups must be at least 2, such as 10 for tenths; came {n_groups}")
    if not 0 < min_share < 0.5:
        raise ModelError(f"min_share must lie between 0 and 0.5, such as 0.05; came {min_share:g}")
