"""
Every kind of purchase history that rules can tell apart, as a table of primitives.

Rules compare primitives with thresholds, so histories on and beside each threshold stand for all others. They
show whether rules leave somebody out, and which moves between stages can happen at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.stages.primitives import PRIMITIVES

__all__ = ["MONTH_DAYS", "consistent", "further_values", "histories", "one_period_later"]

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


def further_values(name: str, compared: Iterable[float]) -> list[int | None]:
    """
    Return values of a primitive, or of a streak, on and beside what rules compare it with.

    >>> further_values("n_w_before", [2.0])
    [0, 1, 2, 3]
    >>> further_values("re", [180.0])
    [0, 1, 179, 180, 181, None]
    """
    numbers = {int(np.floor(value)) for value in compared}
    kind = PRIMITIVES[name].of if name in PRIMITIVES else "count"
    if name == "length_before":
        return [*MONTH_DAYS]
    if kind == "money":
        # far apart, so that the ratio of two windows falls on either side of any share
        found = {0, 1, 1000} | {x for value in numbers for x in (value - 1, value, 10 * value)}
        return [*sorted(x for x in found if x >= 0)]
    found = {0, 1} | {value + step for value in numbers for step in (-1, 0, 1)}
    missing: list[int | None] = [None] if kind in ("days", "score") else []
    return [*sorted(x for x in found if x >= 0), *missing]


def consistent(kinds: ir.Table, name: str, windows: Mapping[str, int]) -> list[ir.BooleanValue]:
    """Return what must hold for the primitive ``name`` beside those that ``kinds`` has already."""
    if name not in ("n_w", "n_w_before", "m_w", "m_w_before", "cat_w", "r_w", "u0"):
        return []
    value, w = kinds[name], windows.get(name, 0)
    within, longer = (kinds.r < w).fill_null(False), (kinds.u >= w).fill_null(False)
    if name == "n_w":
        return [(value > 0) == within, value <= kinds.n, longer | (value == kinds.n)]
    if name == "n_w_before":
        first = kinds.n_w if "n_w" in kinds.columns else 0
        return [value <= kinds.n - first, longer | (value == 0)]
    if name in ("m_w", "cat_w"):
        return [within | (value == 0), *([value < kinds.n.clip(lower=1)] if name == "cat_w" else [])]
    if name == "m_w_before":
        return [longer | (value == 0)]
    if name == "r_w":
        known = (value >= w) & (value >= kinds.r) & (value <= kinds.u)
        return [longer.ifelse(known.fill_null(False), value.isnull()), within | (value == kinds.r) | value.isnull()]
    return [value.notnull()]


def one_period_later(before: pd.DataFrame) -> pd.DataFrame:
    """
    Return what each history can have become a period later: without a purchase, and with one or more.

    At most as many are bought as the largest number in ``before``, which is beyond all that rules compare with.

    Returns
    -------
    DataFrame
        The primitives at the end of the later period, with the columns ``origin`` (row of ``before``) and
        ``bought`` (whether the period held a purchase).
    """
    most = max(int(before["n"].max()), 2)
    origin = before.assign(origin=np.arange(len(before)))[["origin", "n", "r", "u"]]
    later = []
    for length in MONTH_DAYS:
        aged = origin.assign(r_before=origin["r"], u=origin["u"] + length)
        later.append(aged.assign(r=origin["r"] + length, n_period=0, bought=False))
        for last in (0, 1, length - 2, length - 1):
            for bought in range(1, most + 1):
                fresh = aged.assign(n=origin["n"] + bought, r=last, n_period=bought, bought=True)
                firsts = [last] if bought == 1 else [last, length - 1]
                later += [fresh.assign(u=fresh["u"].fillna(first)) for first in firsts]
    types = dict.fromkeys(["n", "r", "u", "n_period", "r_before"], "Int64")
    return pd.concat(later, ignore_index=True).astype(types).drop_duplicates(ignore_index=True)


def _beside(values: Iterable[float], steps: Iterable[int]) -> np.ndarray:
    found = {int(np.floor(value)) + step for value in values for step in steps}
    return np.array(sorted(x for x in found if x >= 0))
