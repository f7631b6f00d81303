"""
Every kind of purchase history that rules can tell apart, as a table of primitives.

Rules compare primitives with thresholds, so histories on and beside each threshold stand for all others. They
show whether rules leave somebody out, and which moves between stages can happen at all.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

__all__ = ["MONTH_DAYS", "histories", "one_period_later"]

MONTH_DAYS = (28, 31)
"""The shortest and the longest period, in days."""


def histories(days: Iterable[float], purchases: Iterable[float]) -> pd.DataFrame:
    """
    Return the primitives of customers on and beside each threshold.

    Parameters
    ----------
    days, purchases : iterable of float
        What rules compare days, and numbers of purchases, with.

    Returns
    -------
    DataFrame of nullable int
        One row a history, with the columns n, r, u, n_period, r_before. A customer without a purchase has
        no r and u; r_before is missing without a purchase before the period.
    """
    length = MONTH_DAYS[-1]
    steps = (-1, 0, 1, *(step - period for period in MONTH_DAYS for step in (0, 1)))
    on_days = _beside([0, length, *days], steps)
    on_n = _beside([1, *purchases], (-1, 0, 1))
    some = pd.DataFrame({"n": on_n[on_n > 0]})
    firsts, lasts, earlier = (pd.DataFrame({name: on_days}) for name in ("u", "r", "r_before"))
    # silent in the period; one purchase is the first and the last at once
    silent = lasts[lasts["r"] >= length].merge(firsts, how="cross").merge(some, how="cross")
    silent = silent[(silent["u"] >= silent["r"]) & ((silent["n"] > 1) | (silent["u"] == silent["r"]))]
    silent = silent.assign(n_period=0, r_before=silent["r"] - length)
    recent = lasts[lasts["r"] < length].merge(some, how="cross")
    fresh = recent.merge(firsts[firsts["u"] < length], how="cross")
    fresh = fresh[(fresh["u"] >= fresh["r"]) & ((fresh["n"] > 1) | (fresh["u"] == fresh["r"]))]
    fresh = fresh.assign(n_period=fresh["n"])
    # bought again: once before the period, or more often before it
    again = recent[recent["n"] > 1].merge(earlier, how="cross")
    once = again.assign(n_period=again["n"] - 1, u=again["r_before"] + length)
    often = again[again["n"] > 2].assign(n_period=1).merge(firsts, how="cross")
    often = often[often["u"] > often["r_before"] + length]
    nobody = pd.DataFrame({"n": [0], "n_period": [0]})
    columns = ["n", "r", "u", "n_period", "r_before"]
    kinds = [part.reindex(columns=columns).astype("Int64") for part in (nobody, silent, fresh, once, often)]
    return pd.concat(kinds, ignore_index=True)


def one_period_later(before: pd.DataFrame) -> pd.DataFrame:
    """
    Return what each history can have become a period later: without a purchase, and with one or two.

    Returns
    -------
    DataFrame
        The primitives at the end of the later period, with the columns ``origin`` (row of ``before``) and
        ``bought`` (whether the period held a purchase).
    """
    origin = before.assign(origin=np.arange(len(before)))[["origin", "n", "r", "u"]]
    later = []
    for length in MONTH_DAYS:
        aged = origin.assign(r_before=origin["r"], u=origin["u"] + length)
        later.append(aged.assign(r=origin["r"] + length, n_period=0, bought=False))
        for last in (0, 1, length - 2, length - 1):
            for bought in (1, 2):
                fresh = aged.assign(n=origin["n"] + bought, r=last, n_period=bought, bought=True)
                firsts = [last] if bought == 1 else [last, length - 1]
                later += [fresh.assign(u=fresh["u"].fillna(first)) for first in firsts]
    types = dict.fromkeys(["n", "r", "u", "n_period", "r_before"], "Int64")
    return pd.concat(later, ignore_index=True).astype(types).drop_duplicates(ignore_index=True)


def _beside(values: Iterable[float], steps: Iterable[int]) -> np.ndarray:
    found = {int(np.floor(value)) + step for value in values for step in steps}
    return np.array(sorted(x for x in found if x >= 0))
