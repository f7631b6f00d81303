"""From purchases to frequency, recency and observation time: all that a model of buying until leaving asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError
from lcm_research.survival.spells import History, classified_spells

__all__ = ["Period", "frequency_recency_counts"]

Period = Literal["day", "week"]


@reduction(
    keys={"frequency": "int64", "recency_days": "int64", "observation_days": "int64", "replicate": "int64"},
    counts={"n": "int64"},
)
def frequency_recency_counts(
    tables: Tables,
    *,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    period: Period,
    by: Sequence[str],
) -> ir.Table:
    """
    Count new customers by how often they bought again, when last, and for how long they were watched.

    Parameters
    ----------
    window_days, observation_start_day, as_of_day, history, by
        As for ``spell_counts`` with incident entry: customers whose first purchase is known and under
        observation. ``window_days`` says with ``history="from_observation_start"`` which first purchases are.
    period : {"day", "week"}
        Purchases within a period (a day, or a week from Monday) count once; recency and observation time run
        from period to period. A week makes fewer cells.

    Returns
    -------
    ir.Table
        ``by``, ``frequency`` (periods with a purchase after the first), ``recency_days`` (from the first to the
        last such period), ``observation_days`` (from the first to that of ``as_of_day``), ``replicate`` and the
        count of customers ``n``.
    """
    if period not in get_args(Period):
        raise ModelError(f"period must be 'day' or 'week'; came '{period}'")
    spells = classified_spells(tables, window_days, observation_start_day, as_of_day, history, "incident", by)
    new = spells.filter(spells.number == 1, spells.status.isin(["used", "starts_after_cut"]))
    new = new.select("customer_id", "replicate", "start_day", *by)

    # 1970-01-01 was a Thursday: three days on, weeks start on Mondays
    length, shift = (7, 3) if period == "week" else (1, 0)
    purchases = tables["transactions"]
    purchases = purchases.filter(~purchases.is_return, purchases.day <= as_of_day).select("customer_id", "day")
    bought = purchases.inner_join(new, "customer_id")
    bought = bought.filter(bought.day >= bought.start_day)
    places = bought.mutate(place=((bought.day + shift) // length).cast("int64"))
    lives = places.group_by(["customer_id", "replicate", *by]).agg(
        periods=places.place.nunique(), first=places.place.min(), last=places.place.max()
    )
    end = (as_of_day + shift) // length
    cells = lives.mutate(
        frequency=lives.periods - 1,
        recency_days=(lives["last"] - lives["first"]) * length,
        observation_days=(ibis.literal(end, "int64") - lives["first"]) * length,
    )
    keys = [*by, "frequency", "recency_days", "observation_days", "replicate"]
    return cells.group_by(keys).agg(n=lambda t: t.count())
