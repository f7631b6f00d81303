"""
Spells cut at named days: the same spells as pieces, each in one stretch of tenure.

What changes with tenure (a hazard ratio, a covariate of the period) can then differ between pieces.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.survival.competing import CENSORED
from lcm_research.survival.risk_sets import check_spells, entry_days

__all__ = ["split_at"]


def split_at(counts: pd.DataFrame, days: Sequence[int]) -> pd.DataFrame:
    """
    Cut spells at named days, so that each piece lies in one stretch of tenure.

    A spell that goes on past a cut is censored there and enters the next stretch late. As long as nothing else
    differs between stretches, no estimate changes.

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``n``, and ``event_observed`` or ``cause``; where it exists ``entry_days``.
    days : list of int
        Rising; a stretch ends with each of them (inclusive), and the last has no end.

    Returns
    -------
    DataFrame
        The columns of ``counts``, ``entry_days`` and ``interval`` (1 for the first stretch); alike rows are added
        up, so ``n`` counts pieces.

    Raises
    ------
    ModelError
        For days that are not rising whole numbers, or beyond which no spell goes on.

    Examples
    --------
    Of two spells one lapses on day 20 and one is lost sight of on day 50:

    >>> counts = pd.DataFrame({"duration_days": [20, 50], "event_observed": [True, False], "n": 1})
    >>> split_at(counts, [30]).values.tolist()
    [[20, True, 0, 1, 1], [30, False, 0, 1, 1], [50, False, 30, 2, 1]]
    """
    ends = [c for c in ("event_observed", "cause") if c in counts]
    if not ends:
        raise ModelError("a split of spells needs the column event_observed or cause; came neither")
    counts = check_spells(counts, ("duration_days", *ends, "n"), "a split of spells")
    _check_days(days, counts["duration_days"].max())
    ended, entered = counts["duration_days"].to_numpy(), entry_days(counts)
    pieces = []
    for place, (start, stop) in enumerate(zip([0, *days], [*days, ended.max()], strict=True)):
        inside = (ended > start) & (entered < stop)
        own, goes_on = counts[inside], ended[inside] > stop
        piece = own.assign(
            duration_days=np.minimum(ended[inside], stop),
            entry_days=np.maximum(entered[inside], start).astype(ended.dtype),
            interval=place + 1,
        )
        if "event_observed" in ends:
            piece["event_observed"] = own["event_observed"].to_numpy() & ~goes_on
        if "cause" in ends:
            piece["cause"] = own["cause"].where(~goes_on, CENSORED[0])
        pieces.append(piece)
    table = pd.concat(pieces, ignore_index=True)
    keys = [c for c in table.columns if c != "n"]
    return table.groupby(keys, as_index=False, dropna=False)["n"].sum()


def _check_days(days: Sequence[int], longest: float) -> None:
    if not len(days):
        raise ModelError("a split needs at least one day; came none")
    whole = all(day == int(day) and day >= 1 for day in days)
    if not whole or any(later <= earlier for earlier, later in itertools.pairwise(days)):
        raise ModelError(f"days to split at must be rising whole numbers from 1 on; came {list(days)}")
    if days[-1] >= longest:
        raise ModelError(f"no spell goes on past day {days[-1]}, the longest has {longest:g} days; choose earlier days")
