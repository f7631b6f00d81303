"""The cells within which engaged and other customers are compared: a period of the spell by what is held equal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lcm_research.errors import ModelError, nearest

__all__ = ["exposure_strata"]


def exposure_strata(counts: pd.DataFrame, *, lag_periods: int, within: Sequence[str]) -> pd.DataFrame:
    """
    Keep the periods after the lag where both engaged and other customers are at risk, and number them.

    Parameters
    ----------
    counts : DataFrame
        Of ``exposure_counts`` with the same ``lag_periods``.
    within : list of str
        Columns of ``counts`` that make strata beside ``period``; may be empty.

    Returns
    -------
    DataFrame
        Rows of ``counts`` with the column ``stratum``, from 0 on. ModelError where no stratum has both.
    """
    for column in within:
        if column not in counts:
            raise ModelError(
                f"the counts have no column '{column}' to compare within; {nearest(column, map(str, counts.columns))}"
            )
    after = counts[(counts["period"] > lag_periods) & (counts["n_at_risk"] > 0)]
    keys = ["period", *within]
    both = after.groupby(keys)["engaged"].transform("nunique") == 2
    if not both.any():
        raise ModelError(
            f"after a lag of {lag_periods} periods no stratum holds both engaged and other customers "
            f"({int(after['n_at_risk'].sum()):,} spell-periods in all); hold less equal or choose a shorter lag"
        )
    kept = after[both]
    return kept.assign(stratum=kept.groupby(keys).ngroup())
