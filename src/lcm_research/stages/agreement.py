"""How far the schemes of a multiverse agree: customer-months by the coarse stage that two universes put them in."""

from __future__ import annotations

import itertools
from typing import Unpack

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import StudyError
from lcm_research.stages.multiverse import DIGITS, MultiverseOptions, coarse_codes, coarse_name, digit, places

__all__ = ["agreement_counts"]


@reduction(
    keys={
        "first": "object",
        "second": "object",
        "first_stage": "object",
        "second_stage": "object",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def agreement_counts(tables: Tables, **options: Unpack[MultiverseOptions]) -> ir.Table:
    """
    Count customer-months by the coarse stages that each pair of universes puts them in at the end of the month.

    Only customer-months whose stage is known in both are counted: the jointly known ones, from which Cohen's kappa
    follows.

    Parameters
    ----------
    tables : Tables
    **options
        See ``MultiverseOptions``; two universes or more, at most ``DIGITS``: one a scheme, say.

    Returns
    -------
    Ibis table
        first, second (labels, ``first`` before ``second`` in the alphabet; each pair once), first_stage, second_stage
        (of ``COARSE``), the segments, replicate; n customer-months.
    """
    universes = options["universes"]
    if not 2 <= len(universes) <= DIGITS:
        raise StudyError(
            f"expected 2 to {DIGITS} universes, so that each can be set beside each; came {len(universes)}; choose "
            "one a scheme"
        )
    keys = [*options.get("by", ()), "replicate"]
    codes = coarse_codes(tables, options)
    # customers alike in every universe are counted first, then told apart by pair
    alike = codes.group_by("codes_0", *keys).agg(n=codes.count())
    pairs = _pairs(places(universes))
    each = alike.cross_join(ibis.memtable(pairs.drop(columns=["first", "second"])))
    one, other = digit(each.codes_0, each.first_shift), digit(each.codes_0, each.second_shift)
    each = each.select("pair", *keys, "n", one=one, other=other)
    each = each.filter((each.one > 0) & (each.other > 0))
    cells = each.group_by("pair", "one", "other", *keys).agg(n=each.n.sum())
    cells = cells.join(ibis.memtable(pairs[["pair", "first", "second"]]), "pair", how="inner")
    named = {"first_stage": coarse_name(cells.one), "second_stage": coarse_name(cells.other)}
    return cells.select("first", "second", *keys, "n", **named)


def _pairs(places: pd.DataFrame) -> pd.DataFrame:
    """Return every pair of universes, in alphabetical order, with the places of their digits."""
    ordered = sorted(zip(places["universe"], places["shift"], strict=True))
    rows = [(at, *one, *other) for at, (one, other) in enumerate(itertools.combinations(ordered, 2))]
    pairs = pd.DataFrame(rows, columns=["pair", "first", "first_shift", "second", "second_shift"])
    return pairs.astype({"first_shift": "int32", "second_shift": "int32"})
