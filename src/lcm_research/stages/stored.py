"""
Moves counted from a panel that somebody already has: one row for each customer and period.

The stages of a customer are written as the digits of a few whole numbers, which any engine adds up in one pass over
the rows, in whatever order they come; nothing is sorted.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.canonical import replicate
from lcm_research.errors import DataError

__all__ = ["stored_panel_counts"]

BITS = 56
"""Of a whole number that hold digits; the others are room for rows that are there twice."""


def stored_panel_counts(
    panel: ir.Table,
    *,
    stages: Sequence[str] | Sequence[int],
    first_period: int,
    last_period: int,
    by: Sequence[str] = (),
) -> pd.DataFrame:
    """
    Count customers' moves between stages from one period to the next, from a stored panel.

    Parameters
    ----------
    panel : Ibis table
        One row for each customer and period, in any order, with customer_id, ``period`` (whole numbers, one apart),
        ``stage``, the segments, and ``replicate`` where it has one (otherwise it is made from customer_id). Segments
        and replicate are those of the customer, the same in every row.
    stages : list of str or int
        Rows in other stages (unknown) are left out, and so are moves from and to them.
    first_period, last_period : int
        Rows of other periods are left out.
    by : list of str
        Segments to keep.

    Returns
    -------
    DataFrame
        from_stage, to_stage, period (the later one), the segments, replicate; n customers, those who stay too.
        Sorted by these.

    Raises
    ------
    DataError
        No two periods, or a customer has several rows in a period.
    """
    if last_period <= first_period:
        raise DataError(f"moves need two periods; first_period={first_period} and last_period={last_period} hold none")
    bits = len(stages).bit_length()
    places = _places(bits, first_period, last_period)
    packed = _packed(panel, stages, places, by)
    moves = places[places["digit"] > 0].assign(shift=lambda moves: bits * (moves["digit"] - 1)).drop(columns="digit")
    moves = moves.astype({"shift": "int32"})  # what Spark shifts by
    rows = packed.cross_join(ibis.memtable(moves))
    pair = ibis.cases(*((rows.word == at, rows[f"word_{at}"] >> rows["shift"]) for at in places["word"].unique()))
    mask = 2**bits - 1
    rows = rows.select("period", *by, "replicate", "too_many", was=pair & mask, code=(pair >> bits) & mask)
    cells = rows.group_by("was", "code", "period", *by, "replicate").agg(
        n=rows.count(), too_many=rows.too_many.sum().cast("int64")
    )
    counts = cells.to_pandas()
    if (counts["too_many"] > 0).any():
        n = counts.loc[counts["period"] == last_period, "too_many"].sum()
        raise DataError(
            f"expected one row for each customer and period; {n} customers have several in a period; keep one of them"
        )
    counts = counts[(counts["was"] > 0) & (counts["code"] > 0)]
    named = pd.Series([None, *stages])
    counts = counts.assign(from_stage=named.take(counts["was"]).array, to_stage=named.take(counts["code"]).array)
    keys = ["from_stage", "to_stage", "period", *by, "replicate"]
    types = {"period": "int64", "replicate": "int64", "n": "int64"}
    return counts[[*keys, "n"]].astype(types).sort_values(keys, ignore_index=True)


def _places(bits: int, first_period: int, last_period: int) -> pd.DataFrame:
    """Return which digit of which number a period is; numbers share a period with the next, so a move lies in one."""
    digits = BITS // bits
    found = [
        (start + digit, word, digit)
        for word, start in enumerate(range(first_period, last_period, digits - 1))
        for digit in range(min(digits, last_period + 1 - start))
    ]
    return pd.DataFrame(found, columns=["period", "word", "digit"], dtype="int64")


def _packed(
    panel: ir.Table, stages: Sequence[str] | Sequence[int], places: pd.DataFrame, by: Sequence[str]
) -> ir.Table:
    """Return one row a customer with the numbers, and whether a period comes several times."""
    bits = len(stages).bit_length()
    weights = places.assign(weight=2 ** (bits * places["digit"])).pivot(index="period", columns="word", values="weight")
    weights = weights.fillna(0).astype("int64").add_prefix("weight_").reset_index()
    codes = pd.DataFrame({"stage": list(stages), "code": range(1, len(stages) + 1)})
    rows = panel.join(ibis.memtable(weights), "period", how="inner").join(ibis.memtable(codes), "stage", how="inner")
    words = {f"word_{at}": (rows.code * rows[f"weight_{at}"]).sum().cast("int64") for at in places["word"].unique()}
    kept = [*by, *(["replicate"] if "replicate" in panel.columns else [])]
    packed = rows.group_by("customer_id", *kept).agg(n_rows=rows.count(), **words)
    if "replicate" not in kept:
        packed = packed.mutate(replicate=replicate(packed.customer_id))
    digits = places.drop_duplicates("period")[["word", "digit"]].itertuples(index=False)
    there = [((packed[f"word_{word}"] >> bits * digit) & (2**bits - 1) > 0).cast("int64") for word, digit in digits]
    return packed.mutate(too_many=(packed.n_rows > functools.reduce(operator.add, there)).cast("int64"))
