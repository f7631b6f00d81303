"""
Moves between coarse stages in many universes at once: the same customers under other schemes and other thresholds.

Every universe's stage is an expression over the same rows, kept as one digit of a whole number, so that a single
pass over the data, and a single look at the period before, serves all of them.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict, Unpack

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import StudyError
from lcm_research.stages.calendar import months
from lcm_research.stages.dense import History
from lcm_research.stages.scheme import COARSE
from lcm_research.stages.shared import shared_ends, universes_of

__all__ = ["DIGITS", "MultiverseOptions", "coarse_codes", "coarse_name", "coarse_transition_counts", "digit", "places"]

BITS = 3
"""A digit holds 0 (unknown, or not there yet) or 1 and the place of a coarse stage: six stages fit three bits."""

DIGITS = 20
"""So many digits fit one whole number of 64 bits, its sign left alone."""


class MultiverseOptions(TypedDict):
    """
    What the counts of a multiverse are told, in JSON-able values.

    ``universes`` maps a label to what ``StageRules.parameters`` returns; the others are those of ``stage_panel``.
    """

    universes: Mapping[str, Mapping[str, Any]]
    observation_start_day: int
    as_of_day: int
    history: History
    period: NotRequired[Literal["month"]]
    by: NotRequired[Sequence[str]]


@reduction(
    keys={
        "universe": "object",
        "from_stage": "object",
        "to_stage": "object",
        "period_start": "object",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def coarse_transition_counts(tables: Tables, **options: Unpack[MultiverseOptions]) -> ir.Table:
    """
    Count customers' moves between coarse stages from the end of one period to the end of the next, by universe.

    The coarse stage is found row by row, as the crosswalk of each scheme says. A customer who stays is counted as
    well; customer-periods with an unknown stage at either end are not.

    Parameters
    ----------
    tables : Tables
    **options
        See ``MultiverseOptions``; any number of universes.

    Returns
    -------
    Ibis table
        universe, from_stage, to_stage (of ``COARSE``), period_start, the segments, replicate; n customers.
    """
    keys = ["period_start", *options.get("by", ()), "replicate"]
    codes = coarse_codes(tables, options)
    numbers = [column for column in codes.columns if column.startswith("codes_")]
    in_time = ibis.window(group_by="customer_id", order_by="period")
    before = {f"was_{column}": codes[column].lag().over(in_time) for column in numbers}
    moved = codes.select(*keys, *numbers, **before).filter(lambda t: t.was_codes_0.notnull())
    # customers alike in all universes of a number are counted first, then told apart by universe
    turns = moved.cross_join(ibis.memtable(pd.DataFrame({"codes_at": range(len(numbers))}, dtype="int64")))
    turns = turns.select("codes_at", *keys, was=_in_turn(turns, "was_", numbers), now=_in_turn(turns, "", numbers))
    alike = turns.group_by("codes_at", "was", "now", *keys).agg(n=turns.count())
    held = places(options["universes"])
    each = alike.join(ibis.memtable(held.drop(columns="universe")), "codes_at", how="inner")
    each = each.select("universe_at", *keys, "n", was=digit(each.was, each.shift), now=digit(each.now, each.shift))
    each = each.filter((each.was > 0) & (each.now > 0))
    cells = each.group_by("universe_at", "was", "now", *keys).agg(n=each.n.sum())
    cells = cells.join(ibis.memtable(held[["universe_at", "universe"]]), "universe_at", how="inner")
    return cells.select("universe", *keys, "n", from_stage=coarse_name(cells.was), to_stage=coarse_name(cells.now))


def _in_turn(turns: ir.Table, prefix: str, numbers: Sequence[str]) -> ir.IntegerValue:
    """Return the number whose turn it is in each row."""
    return ibis.cases(*((turns.codes_at == at, turns[f"{prefix}{column}"]) for at, column in enumerate(numbers)))


def coarse_codes(tables: Tables, options: MultiverseOptions) -> ir.Table:
    """
    Return one row for each customer and period with the coarse stages in all universes.

    Returns
    -------
    Ibis table
        customer_id, replicate, the segments, period, period_start, and ``codes_0``, ``codes_1``, ...: each holds a
        digit for each of ``DIGITS`` universes; ``places`` says where and ``digit`` reads it.
    """
    if options.get("period", "month") != "month":
        raise StudyError(f"expected period='month', the only one there is; came {options['period']!r}")
    start, by = options["observation_start_day"], options.get("by", ())
    dense, found = shared_ends(
        tables,
        universes_of(tables, options["universes"]),
        calendar=months(observation_start_day=start, as_of_day=options["as_of_day"]),
        observation_start_day=start,
        history=options["history"],
        by=by,
    )
    own = {f"code_{at}": one.code(dense, observation_start_day=start) for at, one in enumerate(found)}
    coded = dense.mutate(**own)
    coarse = [one.rules.coarse(coded[f"code_{at}"], one.names(coded)) + 1 for at, one in enumerate(found)]
    # an engine may take small numbers for short ones; two casts say that products are long
    digits = [one.cast("int8").cast("int64") * 2 ** (BITS * (at % DIGITS)) for at, one in enumerate(coarse)]
    numbers = [functools.reduce(operator.add, digits[at : at + DIGITS]) for at in range(0, len(digits), DIGITS)]
    columns = ["customer_id", "replicate", *by, "period", "period_start"]
    return coded.select(*columns, **{f"codes_{at}": number for at, number in enumerate(numbers)})


def places(universes: Mapping[str, Any]) -> pd.DataFrame:
    """Return each universe with its place, the number that holds it, and where its digit begins."""
    found = [(label, at, at // DIGITS, BITS * (at % DIGITS)) for at, label in enumerate(universes)]
    return pd.DataFrame(found, columns=["universe", "universe_at", "codes_at", "shift"]).astype({"shift": "int32"})


def digit(codes: Any, shift: Any) -> Any:
    """Return one digit of codes: 0 where the stage is unknown, otherwise 1 and the place in ``COARSE``."""
    return (codes >> shift) & ((1 << BITS) - 1)


def coarse_name(place: ir.IntegerValue) -> ir.StringValue:
    """Return the coarse stage that a digit stands for."""
    return ibis.cases(*((place == at, stage) for at, stage in enumerate(COARSE, start=1)))
