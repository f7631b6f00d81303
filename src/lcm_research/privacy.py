"""
Small groups are never published: what describes fewer than ``min_group`` customers is blanked.

Blanking one row of a group whose total can be had from elsewhere would be undone by a subtraction, so a
second row, the next smallest, is blanked with it (complementary suppression).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError

__all__ = ["merge_small_groups", "small_rows"]


def small_rows(n: pd.Series, within: pd.Series | None, *, min_group: int) -> np.ndarray:
    """
    Return which rows of a table must be blanked.

    Parameters
    ----------
    n : Series of int
        Customers behind each row. A row of 0 describes nobody and stays.
    within : Series, optional
        The group that rows add up in (one total is known for each of its values); all rows where absent.
    min_group : int
        Smallest number of customers that may be described.

    Returns
    -------
    array of bool
        Rows below ``min_group``, and in a group with a single such row the next smallest as well.

    Examples
    --------
    >>> small_rows(pd.Series([4, 12, 90]), None, min_group=10).tolist()
    [True, True, False]
    """
    sizes = n.to_numpy(float)
    hidden = (sizes > 0) & (sizes < min_group)
    groups = np.zeros(len(sizes), int) if within is None else pd.factorize(within)[0]
    for group in np.unique(groups[hidden]):
        rows = np.flatnonzero(groups == group)
        shown = rows[~hidden[rows] & (sizes[rows] > 0)]
        if hidden[rows].sum() == 1 and len(shown):
            hidden[shown[np.argmin(sizes[shown])]] = True
    return hidden


def merge_small_groups(counts: pd.DataFrame, by: str, *, min_group: int, n: Sequence[str], other: str) -> pd.DataFrame:
    """
    Merge the groups of ``by`` that hold fewer than ``min_group`` customers into one named ``other``.

    Where what is merged is itself too small, the next smallest group joins it; ModelError where that leaves
    fewer customers than ``min_group`` altogether.

    Parameters
    ----------
    counts : DataFrame
        Additive counts with the column ``by``.
    n : list of str
        The columns of ``counts`` that count customers; summed they are a group's size.
    """
    sizes = counts.groupby(by)[list(n)].sum().sum(axis=1).sort_values(kind="stable")
    if sizes.sum() < min_group:
        raise ModelError(
            f"groups by '{by}' hold {int(sizes.sum())} customers together, fewer than privacy.min_group={min_group}; "
            "nothing can be said about them"
        )
    small = list(sizes.index[sizes < min_group])
    while small and sizes[small].sum() < min_group:
        small.append(sizes.index[len(small)])
    if not small:
        return counts
    return counts.assign(**{by: counts[by].where(~counts[by].isin(small), other)})
